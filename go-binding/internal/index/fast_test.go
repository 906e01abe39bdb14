package index_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/layout"
)

func needAssembly(t *testing.T) {
	if !index.StraightInAssembly {
		t.Skip("this build reads without assembly")
	}
}

// guarded is filled with guard but during a call of agree.
var guarded = bytes.Repeat([]byte{guard}, 3*index.LongestStraightCopy)

const guard = 0xa5

// agree reads a key in assembly and on the thorough path, and compares. The assembly may leave a
// key to the thorough path; what it decides must be the same.
func agree(t testing.TB, s *index.Store, ns *index.Namespace, key string) (decided bool) {
	t.Helper()
	dst := guarded[: 5 : len(guarded)-index.LongestStraightCopy]
	var meta, wantMeta index.Meta
	hash := s.Hash(ns, key)
	n := s.ReadInAssembly(dst, ns, key, hash, &meta)
	want, result := s.LookupThorough(nil, ns, key, hash, &wantMeta)
	switch {
	case n == index.CertainMiss:
		if result == index.Hit {
			t.Fatalf("%q: missed in assembly, there are %d bytes", key, len(want))
		}
	case n < 0:
		return false
	case result != index.Hit: // expiry is the caller's
		if meta.HardExpiryMs == layout.Never {
			t.Fatalf("%q: hit in assembly, result %d on the thorough path", key, result)
		}
	default:
		if !bytes.Equal(dst[5:5+n], want) {
			t.Fatalf("%q: %d bytes in assembly, %d on the thorough path, or different ones", key, n, len(want))
		}
		wantMeta.Stale = false // the caller's as well
		if meta != wantMeta {
			t.Fatalf("%q: %+v in assembly, %+v on the thorough path", key, meta, wantMeta)
		}
	}
	for i := range max(n, 0) {
		guarded[5+i] = guard
	}
	if bytes.Count(guarded, []byte{guard}) != len(guarded) {
		t.Fatalf("%q: wrote beyond a value of %d bytes", key, n)
	}
	return true
}

func TestAssemblyCopiesEveryLength(t *testing.T) {
	needAssembly(t)
	for keyLength := 1; keyLength <= 70; keyLength++ {
		w, _ := storetest.NewInMemory(storetest.Options{Segments: 8})
		value := make([]byte, 300)
		for i := range value {
			value[i] = byte(i + keyLength)
		}
		for n := range 301 {
			key := strings.Repeat("k", keyLength)
			entry := storetest.Entry{Key: key, Value: value[:n]}
			if n%4 == 1 {
				entry.HardExpiry = 1 << 50
			}
			if n%4 >= 2 {
				entry.SoftExpiry = 1 << 49
			}
			w.Set(entry)
			if !agree(t, w.Store, w.Namespace(0), key) {
				t.Fatalf("a value of %d bytes was left to the thorough path", n)
			}
			for at := range keyLength { // a key that differs in one byte
				other := []byte(key)
				other[at] = 'x'
				if n%50 == 0 {
					agree(t, w.Store, w.Namespace(0), string(other))
				}
			}
		}
	}
}

// Two keys whose tags and buckets are the same, so that only the comparison of keys tells them apart.
func TestAssemblyComparesWholeKeys(t *testing.T) {
	needAssembly(t)
	w, _ := storetest.NewInMemory(storetest.Options{})
	ns := w.Namespace(0)
	var meta index.Meta
	buffer := make([]byte, 0, 64)
	for length := 1; length <= 40; length++ {
		key := strings.Repeat("k", length)
		w.Set(storetest.Entry{Key: key, Value: []byte("v")})
		hash := w.Store.Hash(ns, key)
		if w.Store.LookupInAssembly(buffer, ns, key, hash, &meta) != 1 {
			t.Fatalf("a key of %d bytes was not found", length)
		}
		for at := range length {
			other := []byte(key)
			other[at] ^= 0x80
			if w.Store.LookupInAssembly(buffer, ns, string(other), hash, &meta) >= 0 {
				t.Fatalf("byte %d of a key of %d bytes was not compared", at, length)
			}
		}
		if length < 40 && w.Store.LookupInAssembly(buffer, ns, key+"k", hash, &meta) >= 0 {
			t.Fatalf("the length of a key of %d bytes was not compared", length)
		}
	}
}

func TestAssemblyAgreesOnRandomStores(t *testing.T) {
	needAssembly(t)
	random := rand.New(rand.NewPCG(7, 8))
	w, _ := storetest.NewInMemory(storetest.Options{Namespaces: []string{"a", "b"}, Segments: 64, SegmentShift: 20})
	keys := make([]string, 8000)
	for i := range keys {
		keys[i] = fmt.Sprintf("%d%s", i, strings.Repeat("x", random.IntN(40)))
		if i%100 == 0 {
			keys[i] += strings.Repeat("y", random.IntN(900))
		}
	}
	decided, read := 0, 0
	for round := range 4 {
		for range 4000 {
			key := keys[random.IntN(len(keys))]
			namespace := uint16(random.IntN(2))
			if random.IntN(5) == 0 {
				w.Delete(namespace, key)
				continue
			}
			entry := storetest.Entry{Namespace: namespace, Key: key, Value: make([]byte, random.IntN(600))}
			if random.IntN(4) == 0 {
				entry.HardExpiry = []uint64{1, 1 << 50}[random.IntN(2)]
			}
			w.Set(entry)
			setFrequency(w, namespace, key, uint64(random.IntN(4)))
		}
		for _, key := range keys {
			for namespace := range uint16(2) {
				read++
				if agree(t, w.Store, w.Namespace(namespace), key) {
					decided++
				}
			}
		}
		if round == 2 {
			w.Flush(1)
		}
	}
	if decided < read*9/10 {
		t.Fatalf("the assembly decided only %d of %d reads", decided, read)
	}
}

func TestAssemblyLeavesLongValuesAndSmallBuffers(t *testing.T) {
	needAssembly(t)
	w, _ := storetest.NewInMemory(storetest.Options{})
	ns := w.Namespace(0)
	var meta index.Meta
	for _, n := range []int{0, 1, 8, 15, 16, 17, 64, 4096, 4097, 9000} {
		w.Set(storetest.Entry{Key: "some key", Value: bytes.Repeat([]byte{1}, n)})
		hash := w.Store.Hash(ns, "some key")
		for _, room := range []int{0, n - 1, n, n + 1} {
			if room < 0 {
				continue
			}
			got := w.Store.LookupInAssembly(make([]byte, 3, 3+room), ns, "some key", hash, &meta)
			want := n
			if room < n || n > index.LongestStraightCopy {
				want = index.NotInAssembly
			}
			if got != want {
				t.Errorf("a value of %d bytes into room for %d: %d, want %d", n, room, got, want)
			}
			if value, result := w.Store.Read(make([]byte, 3, 3+room), ns, "some key", &meta); result != index.Hit || len(value) != 3+n {
				t.Errorf("Read of %d bytes into room for %d: result %d, %d bytes", n, room, result, len(value))
			}
		}
	}
}

// The copy itself changes the store here, at the last moment before the re-checks: its destination
// is the word that must be looked at again.
func TestAssemblyLooksAgainAfterTheCopy(t *testing.T) {
	needAssembly(t)
	const key = "some key"
	value := bytes.Repeat([]byte{0x5a}, 8)
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: key, Value: value})
	ns := w.Namespace(0)
	hash := w.Store.Hash(ns, key)
	segment, _ := w.EntryOf(0, key)
	directory := layout.StoreHeaderBytes + hash>>63<<3 // of two words
	for name, word := range map[string]uint64{
		"slot":           w.SlotOf(0, key),
		"segment header": w.SegmentHeader(segment) + layout.SegmentHeaderStateGeneration,
		"directory":      directory,
	} {
		before := w.Region.U64(word)
		var meta index.Meta
		n := w.Store.LookupInAssembly(w.Region.Bytes(word, 8)[:0], ns, key, hash, &meta)
		if w.Region.U64(word) == before {
			t.Fatalf("%s: the copy did not reach it", name)
		}
		w.Region.Word(word).Store(before)
		if n != index.NotStraight {
			t.Errorf("%s: changed during the copy, and the read returned %d", name, n)
		}
		if n = w.Store.LookupInAssembly(make([]byte, 0, 8), ns, key, hash, &meta); n != 8 {
			t.Fatalf("%s: not restored, the read returned %d", name, n)
		}
	}
}

// A slot may name any offset. An entry that is not wholly inside its segment is none, even when its
// bytes, in this and the next segment, look like one.
func TestAssemblyStaysInsideTheSegment(t *testing.T) {
	needAssembly(t)
	const shift, segmentBytes = layout.MinSegmentShift, 1 << layout.MinSegmentShift
	for expiries := range 4 {
		w, _ := storetest.NewInMemory(storetest.Options{SegmentShift: shift, Segments: 8})
		entry := storetest.Entry{Key: "some key", Value: []byte("some value")}
		if expiries&1 != 0 {
			entry.HardExpiry = 1 << 50
		}
		if expiries&2 != 0 {
			entry.SoftExpiry = 1 << 49
		}
		w.Set(entry)
		segment, from := w.EntryOf(0, entry.Key)
		image := make([]byte, 64)
		w.Region.CopyOut(image, from)
		slotWord := w.Region.Word(w.SlotOf(0, entry.Key))
		slot := slotWord.Load()
		start := from - slot&layout.SlotOffsetMask<<3
		decided := 0
		for offset := uint64(segmentBytes - 128); offset < segmentBytes+128; offset += 8 {
			w.Region.CopyIn(start+offset, image)
			slotWord.Store(slot&^layout.SlotOffsetMask | offset>>3)
			if agree(t, w.Store, w.Namespace(0), entry.Key) {
				decided++
			}
			w.Region.CopyIn(start+offset, make([]byte, len(image)))
		}
		if whole := (128 - layout.EntryHeaderSize - 18 - 8*(expiries&1+expiries>>1)) / 8; decided != whole+1 {
			t.Errorf("expiries %d: %d entries at the end of segment %d were read, want %d", expiries, decided, segment, whole+1)
		}
	}
}
