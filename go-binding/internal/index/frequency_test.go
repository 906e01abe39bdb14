package index_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/layout"
)

// setFrequency changes nothing but the frequency in the slot of a key.
func setFrequency(w *storetest.Writer, namespace uint16, key string, frequency uint64) {
	word := w.Region.Word(w.SlotOf(namespace, key))
	word.Store(word.Load()&^layout.SlotFrequencyBits | frequency<<46)
}

func TestAHitTellsHashAndFrequency(t *testing.T) {
	for length := 1; length <= 40; length++ { // assembly for short keys, for others, and Go
		for expiries := range 4 {
			w, _ := storetest.NewInMemory(storetest.Options{})
			ns := w.Namespace(0)
			key := strings.Repeat("k", length)
			entry := storetest.Entry{Key: key, Value: make([]byte, 20)}
			if expiries&1 != 0 {
				entry.HardExpiry = 1 << 50
			}
			if expiries&2 != 0 {
				entry.SoftExpiry = 1 << 49
			}
			w.Set(entry)
			for frequency := range uint64(4) {
				setFrequency(w, 0, key, frequency)
				for _, room := range []int{0, 64} { // without room the assembly gives up
					var meta index.Meta
					_, result := w.Store.Read(make([]byte, 0, room), ns, key, &meta)
					if result != index.Hit || meta.Hash != w.Store.Hash(ns, key) || meta.Frequency() != frequency ||
						meta.Wanting() != (frequency < 3) {
						t.Fatalf("key of %d bytes, expiries %d, room %d: result %d, frequency %d of %d, %+v",
							length, expiries, room, result, meta.Frequency(), frequency, meta)
					}
				}
			}
		}
	}
}

func TestTheFrequencyIsThatOfTheRightSlot(t *testing.T) { bothPaths(t, testFrequencyOfTheRightSlot) }

func testFrequencyOfTheRightSlot(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{Segments: 64, SegmentShift: 20})
	ns := w.Namespace(0)
	const keys = 3000
	key := func(i int) string { return fmt.Sprint("key ", i) }
	for i := range keys {
		w.Set(storetest.Entry{Key: key(i), Value: []byte("v")})
		setFrequency(w, 0, key(i), uint64(i%4))
	}
	for i := range keys {
		_, result, meta := lookup(w, 0, key(i))
		if result != index.Hit || meta.Frequency() != uint64(i%4) || meta.Hash != w.Store.Hash(ns, key(i)) {
			t.Fatalf("key %d: result %d, %+v", i, result, meta)
		}
	}
}

// A frequency that changes during the copy leaves the read to the thorough path, which does not mind.
// The copy itself changes it here, as in TestAssemblyLooksAgainAfterTheCopy.
func TestAFrequencyThatChangesDuringTheCopyIsNoMiss(t *testing.T) {
	needAssembly(t)
	const key = "some key"
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: key, Value: make([]byte, 8)})
	ns := w.Namespace(0)
	at := w.SlotOf(0, key)
	before := w.Region.U64(at)
	after := before | layout.SlotFrequencyBits
	_, entry := w.EntryOf(0, key)
	w.Region.Word(entry + layout.EntryHeaderSize + 8).Store(after) // the value, behind eight bytes of key
	var meta index.Meta
	dst := w.Region.Bytes(at, 8)[:0]
	if n := w.Store.LookupInAssembly(dst, ns, key, w.Store.Hash(ns, key), &meta); n != index.NotStraight || w.Region.U64(at) != after {
		t.Fatalf("the assembly returned %d, the slot is %#x", n, w.Region.U64(at))
	}
	w.Region.Word(at).Store(before)
	value, result := w.Store.Read(dst, ns, key, &meta)
	if result != index.Hit || len(value) != 8 || w.Region.U64(at) != after || meta.Version == 0 {
		t.Fatalf("result %d, %d bytes, %+v", result, len(value), meta)
	}
}
