package corpus

import (
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
)

// buildRequest builds the message of the benchmarks: 176 bytes with its framing header.
func buildRequest(b *wire.Builder, tenant, key []byte) {
	r := NewRootRequest(b)
	r.SetId(7)
	r.SetDeadlineMicros(1500)
	r.SetFlags(3)
	r.SetUrgent(true)
	r.SetTenantBytes(tenant)
	put := r.Body().NewPut()
	put.SetKey(key)
	put.SetShard(12)
	put.SetVersion(99)
	entries := put.NewEntries(3)
	for i := range entries.Len() {
		e := entries.At(i)
		e.SetOffset(uint32(i) * 4096)
		e.SetSize(4096)
	}
}

// readRequest reads every field and returns a sum of them.
func readRequest(m *wire.Message) uint64 {
	r := RootRequest(m)
	sum := r.Id() + r.DeadlineMicros() + uint64(r.Flags()) + uint64(len(r.TenantBytes()))
	if r.Urgent() {
		sum++
	}
	body := r.Body()
	if body.Which() == RequestBodyWhichPut {
		put := body.Put()
		sum += uint64(len(put.Key())) + uint64(put.Shard()) + put.Version()
		entries := put.Entries()
		for i := range entries.Len() {
			e := entries.At(i)
			sum += uint64(e.Offset()) + uint64(e.Size())
		}
	}
	return sum
}

const requestSum = 7 + 1500 + 3 + 1 + 10 + 40 + 12 + 99 + 3*4096 + (1+2)*4096

var (
	benchTenant = []byte("tenant-001")
	benchKey    = []byte("0123456789abcdef0123456789abcdef01234567")
)

func BenchmarkRead(b *testing.B) {
	var builder wire.Builder
	builder.ResetFramed(nil, 0)
	buildRequest(&builder, benchTenant, benchKey)
	frame, err := builder.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	var m wire.Message
	for b.Loop() {
		if _, err := m.ReadFramed(frame); err != nil {
			b.Fatal(err)
		}
		if readRequest(&m) != requestSum || m.Err() != nil {
			b.Fatal(m.Err())
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	var builder wire.Builder
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		builder.ResetFramed(buf, cap(buf))
		buildRequest(&builder, benchTenant, benchKey)
		frame, err := builder.Bytes()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(frame)))
	}
}
