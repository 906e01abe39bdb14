package ring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

const ringBytes = layout.MinRingBytes

func newRing() Memory {
	region := shm.FromWords(make([]uint64, (ringBytes+2*64)/8))
	return Memory{Region: region, Offset: 128, Size: ringBytes, Tail: region.Word(0), Head: region.Word(64)}
}

func put(t *testing.T, p *Producer, opcode uint16, payload *Payload) bool {
	t.Helper()
	room, err := p.HasRoom(payload.Len())
	if err != nil {
		t.Fatal(err)
	}
	if room {
		var header Header
		(&Request{Length: uint32(payload.Len()), Opcode: opcode}).Encode(&header)
		p.Put(&header, nil, payload, 0, payload.Len())
		p.Publish()
	}
	return room
}

func take(t *testing.T, c *Consumer) ([]byte, bool) {
	t.Helper()
	var header Header
	ok, err := c.Next(&header)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return nil, false
	}
	payload := c.AppendPayload(nil, 0)
	c.Advance()
	c.Release()
	return payload, true
}

func TestHeadersRoundTrip(t *testing.T) {
	var header Header
	request := Request{1, 2, 3, 4, 5, 6, 7, [16]byte{8, 9}, [8]byte{10}, 11, 12}
	request.Encode(&header)
	var request2 Request
	if request2.Decode(&header); request2 != request {
		t.Errorf("%+v became %+v", request, request2)
	}
	response := Response{1, 2, 3, 4, 5, 2, 7, 8, 9, 10, 11, -12}
	response.Encode(&header)
	var response2 Response
	if response2.Decode(&header); response2 != response {
		t.Errorf("%+v became %+v", response, response2)
	}
}

// Every payload size at every starting offset of the ring, so that each combination of record, pad
// and end of the ring occurs.
func TestWrapAndPad(t *testing.T) {
	for start := uint64(0); start < ringBytes; start += 64 {
		for _, size := range []uint64{0, 1, 63, 64, 65, 1000, MaxPayload(ringBytes)} {
			m := newRing()
			m.Tail.Store(start)
			m.Head.Store(start)
			p, c := NewProducer(m), NewConsumer(m)
			value := bytes.Repeat([]byte{byte(size)}, int(size))
			for range 2 {
				if !put(t, p, layout.OpCall, &Payload{Value: value}) {
					t.Fatalf("no room for %d bytes at %d of an empty ring", size, start)
				}
				if got, ok := take(t, c); !ok || !bytes.Equal(got, value) {
					t.Fatalf("%d bytes at %d: got %d, %v", size, start, len(got), ok)
				}
			}
			if c.Head() != p.Tail() {
				t.Fatalf("%d bytes at %d: head %d, tail %d", size, start, c.Head(), p.Tail())
			}
		}
	}
}

func TestModelAgainstAQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	m := newRing()
	start := uint64(1<<64 - 10*ringBytes) // positions wrap around 2^64 on the way
	m.Tail.Store(start)
	m.Head.Store(start)
	p, c := NewProducer(m), NewConsumer(m)
	var queue [][]byte
	full := 0
	for i := range 200000 {
		if random.IntN(2) == 0 {
			payload := Payload{
				Body:  bytes.Repeat([]byte{byte(i)}, random.IntN(40)),
				Key:   string(bytes.Repeat([]byte{byte(i + 1)}, random.IntN(100))),
				Value: bytes.Repeat([]byte{byte(i + 2)}, random.IntN(2000)),
			}
			if put(t, p, layout.OpSet, &payload) {
				queue = append(queue, append(append(append([]byte{}, payload.Body...), payload.Key...), payload.Value...))
			} else {
				full++
			}
			continue
		}
		got, ok := take(t, c)
		if ok != (len(queue) > 0) || ok && !bytes.Equal(got, queue[0]) {
			t.Fatalf("step %d: got %d bytes, %v; %d queued", i, len(got), ok, len(queue))
		}
		if ok {
			queue = queue[1:]
		}
	}
	if full == 0 {
		t.Error("the ring was never full")
	}
}

func TestChunksOfAPayload(t *testing.T) {
	payload := Payload{Body: []byte("0123"), Key: "abc", Value: []byte("ABCDEFG")}
	whole := "0123abcABCDEFG"
	for from := range uint64(len(whole)) + 1 {
		for n := range uint64(len(whole)) - from + 1 {
			m := newRing()
			p, c := NewProducer(m), NewConsumer(m)
			var header Header
			(&Request{Length: uint32(n + 2), Opcode: layout.OpSet}).Encode(&header)
			p.Put(&header, []byte("<>"), &payload, from, n)
			p.Publish()
			if got, _ := take(t, c); string(got) != "<>"+whole[from:from+n] {
				t.Fatalf("[%d:%d] = %q", from, from+n, got)
			}
		}
	}
}

func TestBrokenRings(t *testing.T) {
	record := func(m Memory, offset uint64, opcode uint16, length uint32) {
		var header Header
		(&Request{Length: length, Opcode: opcode}).Encode(&header)
		m.Region.CopyIn(m.Offset+offset, header[:])
	}
	cases := map[string]func(m Memory){
		"tail too far":       func(m Memory) { m.Tail.Store(ringBytes + 64) },
		"tail behind head":   func(m Memory) { m.Head.Store(64); m.Tail.Store(0) },
		"tail not aligned":   func(m Memory) { m.Tail.Store(100) },
		"record beyond tail": func(m Memory) { record(m, 0, 1, 100); m.Tail.Store(64) },
		"record too long":    func(m Memory) { record(m, 0, 1, ringBytes/4); m.Tail.Store(ringBytes) },
		"record of 2^32-1":   func(m Memory) { record(m, 0, 1, 1<<32-1); m.Tail.Store(ringBytes) },
		"pad too short":      func(m Memory) { record(m, 0, 0, 100); m.Tail.Store(ringBytes) },
		"pad beyond tail":    func(m Memory) { record(m, 0, 0, ringBytes-64); m.Tail.Store(64) },
		"record across the end": func(m Memory) {
			m.Head.Store(ringBytes - 64)
			record(m, ringBytes-64, 1, 64)
			m.Tail.Store(ringBytes + 64)
		},
		"pad across the end": func(m Memory) {
			m.Head.Store(ringBytes - 64)
			record(m, ringBytes-64, 0, 64)
			m.Tail.Store(ringBytes + 64)
		},
		"pad of 2^32-64 and a bit": func(m Memory) { record(m, 0, 0, 1<<32-64); m.Tail.Store(ringBytes) },
	}
	for name, harm := range cases {
		m := newRing()
		harm(m)
		var header Header
		if ok, err := NewConsumer(m).Next(&header); ok || !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	m := newRing()
	p := NewProducer(m)
	m.Head.Store(1 << 40)
	for range 20 {
		room, err := p.HasRoom(MaxPayload(ringBytes))
		if errors.Is(err, ErrBroken) {
			return
		}
		if room {
			p.Put(&header, nil, &Payload{Value: make([]byte, MaxPayload(ringBytes))}, 0, MaxPayload(ringBytes))
		}
	}
	t.Error("a producer believed a head beyond its tail")
}

var header Header

func TestRandomRingsNeverPanic(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	m := newRing()
	for range 20000 {
		for at := uint64(0); at < ringBytes; at += 64 {
			binary.LittleEndian.PutUint64(header[:], random.Uint64()&0xffff0000ffff>>random.IntN(16))
			m.Region.CopyIn(m.Offset+at, header[:8])
			if random.IntN(8) == 0 {
				break
			}
		}
		head := random.Uint64N(64) * 64
		m.Head.Store(head)
		m.Tail.Store(head + random.Uint64N(300)*64)
		c := NewConsumer(m)
		var h Header
		for steps := 0; ; steps++ {
			ok, err := c.Next(&h)
			if !ok || err != nil {
				break
			}
			c.AppendPayload(nil, random.Uint64N(20))
			c.Advance()
			if steps > 1000 {
				t.Fatal("a consumer does not end")
			}
		}
	}
}

// One goroutine on each side; under -race this also shows that the Go state of the two sides is
// disjoint.
func TestProducerAndConsumerInParallel(t *testing.T) {
	m := newRing()
	const records = 50000
	var failed atomic.Bool
	go func() {
		p := NewProducer(m)
		for i := range records {
			payload := Payload{Value: []byte(fmt.Sprintf("%0*d", 1+i%700, i))}
			for !failed.Load() {
				if room, err := p.HasRoom(payload.Len()); err != nil {
					failed.Store(true)
				} else if room {
					var h Header
					(&Request{Length: uint32(payload.Len()), Opcode: 1}).Encode(&h)
					p.Put(&h, nil, &payload, 0, payload.Len())
					p.Publish()
					break
				}
				shm.Pause(10)
			}
		}
	}()
	c := NewConsumer(m)
	for i := 0; i < records && !failed.Load(); {
		got, ok := take(t, c)
		if !ok {
			shm.Pause(10)
			continue
		}
		if want := fmt.Sprintf("%0*d", 1+i%700, i); string(got) != want {
			failed.Store(true)
			t.Fatalf("record %d: %q", i, got)
		}
		i++
	}
}
