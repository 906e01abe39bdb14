package index_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/layout"
)

// once runs f the first time the returned hook is called.
func once(f func()) func() {
	done := false
	return func() {
		if !done {
			done = true
			f()
		}
	}
}

func TestOverwriteDuringTheCopyIsRetried(t *testing.T) {
	bothPaths(t, testOverwriteDuringTheCopyIsRetried)
}

func testOverwriteDuringTheCopyIsRetried(t *testing.T) {
	for name, install := range map[string]func(hook func()){
		"before the copy": func(hook func()) { index.SetHooks(t, nil, hook, nil) },
		"after the copy":  func(hook func()) { index.SetHooks(t, nil, nil, hook) },
	} {
		w, _ := storetest.NewInMemory(storetest.Options{})
		w.Set(storetest.Entry{Key: "k", Value: []byte("old")})
		install(once(func() { w.Set(storetest.Entry{Key: "k", Value: []byte("new!")}) }))
		if got, result, _ := lookup(w, 0, "k"); result != index.Hit || got != "new!" {
			t.Errorf("%s: %q, result %d", name, got, result)
		}
	}
}

func TestSegmentReuseDuringTheCopyIsSeen(t *testing.T) {
	bothPaths(t, testSegmentReuseDuringTheCopyIsSeen)
}

func testSegmentReuseDuringTheCopyIsSeen(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "k", Value: []byte("old")})
	segment, entry := w.EntryOf(0, "k")
	slot := w.SlotOf(0, "k")
	// The slot is left as it was, as if the reader's second look at it came before the clearing:
	// only the generation tells.
	word := w.Region.U64(slot)
	index.SetHooks(t, nil, nil, once(func() {
		w.Retire(segment)
		_, generation := w.SegmentWord(segment) // and it is open again, as if nothing had been
		w.Region.Word(w.SegmentHeader(segment)).Store(uint64(layout.SegmentOpen)<<layout.SegmentStateShift | generation)
		w.Region.CopyIn(entry, bytes.Repeat([]byte{0xee}, 64))
		w.Region.Word(slot).Store(word)
	}))
	wantMiss(t, w, 0, "k")
}

func TestReusedBytesDoNotHideAKey(t *testing.T) { bothPaths(t, testReusedBytesDoNotHideAKey) }

func testReusedBytesDoNotHideAKey(t *testing.T) {
	// The key is overwritten and its old segment reused before the reader compares keys: the old
	// bytes now look like another key, which must not be taken for a miss.
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "k", Value: []byte("old")})
	_, entry := w.EntryOf(0, "k")
	index.SetHooks(t, nil, once(func() {
		w.Set(storetest.Entry{Key: "k", Value: []byte("new")})
		w.Region.CopyIn(entry, bytes.Repeat([]byte{0xee}, 32))
	}), nil)
	wantHit(t, w, 0, "k", "new")
}

func TestSplitDuringAReadIsRetried(t *testing.T) { bothPaths(t, testSplitDuringAReadIsRetried) }

func testSplitDuringAReadIsRetried(t *testing.T) {
	for _, key := range []string{"k", "missing"} {
		w, _ := storetest.NewInMemory(storetest.Options{Segments: 8})
		w.Set(storetest.Entry{Key: "k", Value: []byte("v")})
		index.SetHooks(t, once(func() { w.MoveKeyToNewPage(0, "k", 5) }), nil, nil)
		if key == "k" {
			wantHit(t, w, 0, "k", "v")
		} else {
			wantMiss(t, w, 0, key)
		}
	}
}

func TestAMovedDirectoryWordIsAReasonToRetry(t *testing.T) { bothPaths(t, testMovedDirectoryWord) }

func testMovedDirectoryWord(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "k", Value: []byte("v")})
	rounds := 0
	index.SetHooks(t, nil, nil, func() {
		if rounds++; rounds == 1 { // nothing but the sequence changes
			w.PointDirectory(0, 0, 9)
			w.PointDirectory(1, 1, 9)
		}
	})
	wantHit(t, w, 0, "k", "v")
	if rounds != 2 {
		t.Fatalf("%d rounds, want 2", rounds)
	}
}

func TestEndlessChangesEndInContended(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "k", Value: []byte("v")})
	rounds := 0
	index.SetHooks(t, nil, nil, func() {
		rounds++
		w.Set(storetest.Entry{Key: "k", Value: []byte("v")})
	})
	got, result, _ := lookup(w, 0, "k")
	if result != index.Contended || got != "" || rounds != 8 {
		t.Fatalf("%q, result %d after %d rounds; want contended, nothing appended, 8", got, result, rounds)
	}
}

func TestFrequencyBitsAreNoChange(t *testing.T) { bothPaths(t, testFrequencyBitsAreNoChange) }

func testFrequencyBitsAreNoChange(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "k", Value: []byte("v")})
	slot := w.Region.Word(w.SlotOf(0, "k"))
	rounds := 0
	index.SetHooks(t, nil, nil, func() {
		rounds++
		slot.Store(slot.Load() ^ layout.SlotFrequencyBits)
	})
	wantHit(t, w, 0, "k", "v")
	segment, _ := w.EntryOf(0, "k")
	index.SetHooks(t, nil, nil, func() { // sealed, then retiring: the bytes stay
		rounds++
		_, generation := w.SegmentWord(segment)
		w.Region.Word(w.SegmentHeader(segment)).Store(uint64(layout.SegmentSealed)<<layout.SegmentStateShift | generation)
	})
	wantHit(t, w, 0, "k", "v")
	if rounds != 2 {
		t.Fatalf("%d rounds, want 2: a state or frequency change is no reason to retry", rounds)
	}
}

// Readers against a writer that overwrites and recycles segments as fast as it can. Each value is a
// function of its key, repeated: a torn or foreign copy cannot pass.
func TestConcurrentReadersNeverSeeATornValue(t *testing.T) {
	w := storetest.NewShared(storetest.Options{Segments: 4, DirectoryBits: 1})
	const keys = 50
	var stop atomic.Bool
	var hits, contended atomic.Uint64
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var buffer []byte
			var meta index.Meta
			for i := g; !stop.Load(); i++ {
				key := fmt.Sprintf("key-%02d", i%keys)
				ns := w.Namespace(0)
				value, result := w.Store.Lookup(buffer[:0], ns, key, w.Store.Hash(ns, key), &meta)
				buffer = value
				switch result {
				case index.Hit:
					hits.Add(1)
					checkPattern(t, key, value)
				case index.Contended:
					contended.Add(1)
				}
			}
		}()
	}
	rounds := 60000
	if testing.Short() {
		rounds = 5000
	}
	for i := range rounds {
		key := fmt.Sprintf("key-%02d", i*7%keys)
		w.Set(storetest.Entry{Key: key, Value: pattern(key, byte(i))})
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d hits, %d contended", hits.Load(), contended.Load())
}

func pattern(key string, seed byte) []byte {
	line := append([]byte(key), seed)
	return bytes.Repeat(line, 20+int(seed)%60)
}

func checkPattern(t *testing.T, key string, value []byte) {
	if len(value) < 8 || string(value[:6]) != key || !bytes.Equal(value, pattern(key, value[6])) {
		t.Errorf("torn or foreign value for %s: %q", key, clip(string(value)))
	}
}
