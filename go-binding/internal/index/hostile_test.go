package index_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

func hostileStore() (*storetest.Writer, []uint64, []string) {
	w, words := storetest.NewInMemory(storetest.Options{Namespaces: []string{"a", "b"}, Segments: 6})
	keys := []string{"k", "key of sixteen b", "a key that is quite a bit longer than forty-eight bytes are"}
	for i, key := range keys {
		w.Set(storetest.Entry{Key: key, Value: []byte(fmt.Sprint("value ", i)), HardExpiry: uint64(i) << 40, SoftExpiry: uint64(i)})
	}
	w.Set(storetest.Entry{Key: "large", Value: make([]byte, 150000)})
	return w, words, append(keys, "large", "missing")
}

// readAll attaches and reads; whatever the bytes are, it must come back.
func readAll(t testing.TB, words []uint64, keys []string, known *index.Store) {
	stores := []*index.Store{known} // attached before the damage
	if s, err := index.Attach(shm.FromWords(words)); err == nil {
		stores = append(stores, s)
	}
	var meta index.Meta
	var buffer []byte
	for _, s := range stores {
		for id := range uint32(3) {
			ns, err := s.Namespace(id)
			if err != nil {
				continue
			}
			for _, key := range keys {
				buffer, _ = s.Lookup(buffer[:0], &ns, key, s.Hash(&ns, key), &meta)
				s.Time(meta.HardExpiryMs)
				if index.StraightInAssembly {
					agree(t, s, &ns, key)
				}
			}
		}
		s.HeartbeatAge()
	}
	if scans++; scans%16 == 0 { // it looks at each slot, which takes a while
		scanEverything(t, stores[len(stores)-1])
	}
}

var scans int

// scanEverything scans a damaged store, and views what it finds: it ends, with no more than there are
// slots.
func scanEverything(t testing.TB, s *index.Store) {
	ns, err := s.Namespace(0)
	if err != nil {
		return
	}
	scan, err := s.Scan(&ns)
	if err != nil {
		return
	}
	var segment, generation atomic.Uint64
	var meta index.Meta
	held := index.Held{Pin: index.Pin{SegmentPlusOne: &segment, Generation: &generation}}
	for n := 0; ; n++ {
		if more, err := scan.Next(); err != nil || !more {
			return
		}
		if n > 1<<16 || len(scan.Key) > layout.MaxKeyBytes {
			t.Fatalf("entry %d with a key of %d bytes", n, len(scan.Key))
		}
		key := string(scan.Key)
		if s.View(&ns, key, s.Hash(&ns, key), &held, &meta) == index.Hit {
			_ = held.Bytes()
			held.Release()
		}
	}
}

// interesting are the bytes a reader of these keys looks at: every one of them.
func interesting(w *storetest.Writer, keys []string) []uint64 {
	var offsets []uint64
	add := func(from, n uint64) {
		for i := range n {
			offsets = append(offsets, from+i)
		}
	}
	add(0, layout.RegionPrefixSize+layout.StoreHeaderSize)
	add(layout.StoreHeaderBytes, 16) // the directory
	add(w.NamespaceRecord(0), 2*layout.NamespaceRecordSize)
	for _, key := range keys {
		slot := w.SlotOf(0, key)
		if slot == 0 {
			continue
		}
		segment, entry := w.EntryOf(0, key)
		add(slot&^63, 64)
		add(w.SegmentHeader(segment), layout.SegmentHeaderSize)
		add(entry, layout.EntryHeaderSize+16+uint64(len(key)))
	}
	return offsets
}

func TestEveryByteMayBeAnything(t *testing.T) {
	w, words, keys := hostileStore()
	pristine := append([]uint64(nil), words...)
	values := []byte{0x00, 0x01, 0x7f, 0x80, 0xff}
	for _, offset := range interesting(w, keys) {
		original := w.Region.U8(offset)
		for bit := range 8 {
			w.Region.CopyIn(offset, []byte{original ^ 1<<bit})
			readAll(t, words, keys, w.Store)
		}
		for _, value := range values {
			w.Region.CopyIn(offset, []byte{value})
			readAll(t, words, keys, w.Store)
		}
		w.Region.CopyIn(offset, []byte{original})
	}
	for i := range words {
		if words[i] != pristine[i] {
			t.Fatal("the test did not restore the image")
		}
	}
}

func TestRandomDamage(t *testing.T) {
	w, words, keys := hostileStore()
	pristine := append([]uint64(nil), words...)
	offsets := interesting(w, keys)
	random := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		for range 1 + random.IntN(12) {
			w.Region.CopyIn(offsets[random.IntN(len(offsets))], []byte{byte(random.Uint32())})
		}
		readAll(t, words, keys, w.Store)
		copy(words, pristine)
	}
}

// FuzzReader takes (offset, value) pairs of eight bytes each: 32-bit word index, 32-bit mask.
func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	f.Add(binary.LittleEndian.AppendUint64(nil, uint64(layout.StoreHeaderBytes/8)|0xffff<<32))
	f.Add(binary.LittleEndian.AppendUint64(nil, uint64(layout.StoreHeaderOffset/8)|1<<32))
	w, words, keys := hostileStore()
	pristine := append([]uint64(nil), words...)
	offsets := interesting(w, keys)
	f.Fuzz(func(t *testing.T, damage []byte) {
		copy(words, pristine)
		for ; len(damage) >= 8; damage = damage[8:] {
			pair := binary.LittleEndian.Uint64(damage)
			offset := offsets[uint32(pair)%uint32(len(offsets))] &^ 3
			word := w.Region.Word32(offset)
			word.Store(word.Load() ^ uint32(pair>>32))
		}
		readAll(t, words, keys, w.Store)
	})
}
