package index_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

func lookup(w *storetest.Writer, namespace uint16, key string) (string, index.Result, index.Meta) {
	return lookupIn(w.Store, w.Namespace(namespace), key)
}

// thorough makes lookups skip the straight path, so that both are tested alike.
var thorough bool

func bothPaths(t *testing.T, test func(t *testing.T)) {
	t.Run("straight", test)
	thorough = true
	defer func() { thorough = false }()
	t.Run("thorough", test)
}

func lookupIn(s *index.Store, ns *index.Namespace, key string) (string, index.Result, index.Meta) {
	var meta index.Meta
	lookup := s.Lookup
	if thorough {
		lookup = s.LookupThorough
	}
	value, result := lookup([]byte("dst:"), ns, key, s.Hash(ns, key), &meta)
	return strings.TrimPrefix(string(value), "dst:"), result, meta
}

func wantHit(t *testing.T, w *storetest.Writer, namespace uint16, key, value string) {
	t.Helper()
	if got, result, _ := lookup(w, namespace, key); result != index.Hit || got != value {
		t.Fatalf("%q: %q, result %d; want %q", key, clip(got), result, clip(value))
	}
}

func wantMiss(t *testing.T, w *storetest.Writer, namespace uint16, key string) {
	t.Helper()
	if got, result, _ := lookup(w, namespace, key); result != index.Miss || got != "" {
		t.Fatalf("%q: %q, result %d; want a miss", key, clip(got), result)
	}
}

func clip(s string) string { return s[:min(len(s), 40)] }

func TestSetOverwriteDelete(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{Namespaces: []string{"a", "b"}})
	wantMiss(t, w, 0, "k")
	w.Set(storetest.Entry{Key: "k", Value: []byte("one")})
	wantHit(t, w, 0, "k", "one")
	wantMiss(t, w, 1, "k")
	w.Set(storetest.Entry{Key: "k", Value: nil})
	wantHit(t, w, 0, "k", "")
	version := w.Set(storetest.Entry{Key: "k", Value: []byte("two")})
	if _, _, meta := lookup(w, 0, "k"); meta.Version != version || meta.HardExpiryMs != layout.Never || meta.Stale {
		t.Fatalf("meta %+v, want version %d and no expiry", meta, version)
	}
	if !w.Delete(0, "k") || w.Delete(0, "k") {
		t.Fatal("delete is wrong about what was there")
	}
	wantMiss(t, w, 0, "k")
}

func TestKeyLengthsAndChains(t *testing.T) { bothPaths(t, testKeyLengthsAndChains) }

func testKeyLengthsAndChains(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{Segments: 64})
	want := map[string]string{}
	for i := range 6000 { // two pages of 6272 home slots: chains into the overflow pool happen
		key := fmt.Sprintf("%d-%s", i, strings.Repeat("x", i%200))
		want[key] = fmt.Sprint("value of ", i)
		w.Set(storetest.Entry{Key: key, Value: []byte(want[key])})
	}
	for key, value := range want {
		wantHit(t, w, 0, key, value)
		wantMiss(t, w, 0, key+"y")
	}
}

func TestExpiry(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{})
	now := w.NowMs()
	w.Set(storetest.Entry{Key: "fresh", Value: []byte("v"), HardExpiry: now + 1e6, SoftExpiry: now + 1e5})
	w.Set(storetest.Entry{Key: "soft only", Value: []byte("v"), SoftExpiry: 1})
	w.Set(storetest.Entry{Key: "never", Value: []byte("v"), HardExpiry: layout.Never, SoftExpiry: layout.Never})
	// Store time 1 ms is past as soon as the clock says so.
	for w.NowMs() < 2 {
	}
	w.Set(storetest.Entry{Key: "expired", Value: []byte("v"), HardExpiry: 1})
	wantHit(t, w, 0, "fresh", "v")
	wantHit(t, w, 0, "never", "v")
	wantMiss(t, w, 0, "expired")
	if _, result, meta := lookup(w, 0, "soft only"); result != index.Hit || !meta.Stale {
		t.Fatalf("a softly expired entry: result %d, %+v", result, meta)
	}
	_, _, meta := lookup(w, 0, "fresh")
	if meta.Stale || meta.HardExpiryMs != now+1e6 || meta.SoftExpiryMs != now+1e5 {
		t.Fatalf("a fresh entry has %+v", meta)
	}
}

func TestFlushAndDropped(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "old", Value: []byte("v")})
	w.Flush(0)
	wantMiss(t, w, 0, "old")
	w.Set(storetest.Entry{Key: "old", Value: []byte("new")})
	wantHit(t, w, 0, "old", "new")
	w.Region.Word32(w.NamespaceRecord(0) + layout.NamespaceRecordState).Store(2)
	wantMiss(t, w, 0, "old")
}

func TestStrictNamespaceNeedsAHeartbeat(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "k", Value: []byte("v")})
	w.SetHeartbeat(1) // long ago
	wantHit(t, w, 0, "k", "v")
	w.Region.Word32(w.NamespaceRecord(0) + layout.NamespaceRecordFlags).Store(layout.NamespaceStrict)
	wantMiss(t, w, 0, "k")
	w.Beat()
	wantHit(t, w, 0, "k", "v")
	w.SetHeartbeat(1 << 63) // from the future: a clock that is ahead is not a dead daemon
	wantHit(t, w, 0, "k", "v")
}

func TestLargeValueInARun(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{Segments: 32})
	w.Set(storetest.Entry{Key: "small", Value: []byte("s")})
	value := bytes.Repeat([]byte("0123456789abcdef"), 20000) // 320 kB in segments of 64 KiB
	w.Set(storetest.Entry{Key: "large", Value: value})
	w.Set(storetest.Entry{Key: "after", Value: []byte("a")})
	wantHit(t, w, 0, "large", string(value))
	wantHit(t, w, 0, "small", "s")
	wantHit(t, w, 0, "after", "a")
	segment, _ := w.EntryOf(0, "large")
	w.Region.CopyIn(w.SegmentHeader(segment)+layout.SegmentHeaderRunLength, []byte{2, 0})
	wantMiss(t, w, 0, "large") // longer than its run: not believed
}

func TestModel(t *testing.T) { bothPaths(t, testModel) }

func testModel(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{Namespaces: []string{"a", "b", "c"}, Segments: 200})
	type id struct {
		ns  uint16
		key string
	}
	model := map[id]string{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 30000 {
		k := id{uint16(random.IntN(3)), fmt.Sprint("key", random.IntN(500))}
		switch random.IntN(4) {
		case 0, 1:
			value := strings.Repeat(fmt.Sprint(i, ","), random.IntN(20))
			w.Set(storetest.Entry{Namespace: k.ns, Key: k.key, Value: []byte(value)})
			model[k] = value
		case 2:
			_, want := model[k]
			if w.Delete(k.ns, k.key) != want {
				t.Fatalf("step %d: delete of %v", i, k)
			}
			delete(model, k)
		}
		if value, ok := model[k]; ok {
			wantHit(t, w, k.ns, k.key, value)
		} else {
			wantMiss(t, w, k.ns, k.key)
		}
	}
}

func TestAttachRefuses(t *testing.T) {
	breakWord := func(offset, value uint64) func(*shm.Region) {
		return func(r *shm.Region) { r.Word(offset).Store(value) }
	}
	const header = layout.StoreHeaderOffset
	cases := map[string]struct {
		harm func(*shm.Region)
		want error
	}{
		"no magic":       {breakWord(layout.RegionPrefixMagic, 0), index.ErrNotReady},
		"other magic":    {breakWord(layout.RegionPrefixMagic, 7), index.ErrCorrupt},
		"not live":       {func(r *shm.Region) { r.Word32(layout.RegionPrefixState).Store(0) }, index.ErrNotReady},
		"a session":      {func(r *shm.Region) { r.Word32(layout.RegionPrefixKind).Store(2) }, index.ErrCorrupt},
		"size":           {breakWord(layout.RegionPrefixRegionBytes, 1<<20), index.ErrCorrupt},
		"directory":      {breakWord(header+layout.StoreHeaderDirectoryOffset, 1<<63), index.ErrCorrupt},
		"misaligned":     {breakWord(header+layout.StoreHeaderDirectoryOffset, 4100), index.ErrCorrupt},
		"data":           {breakWord(header+layout.StoreHeaderDataOffset, 1<<62), index.ErrCorrupt},
		"segments":       {func(r *shm.Region) { r.Word32(header + layout.StoreHeaderSegmentCount).Store(1 << 20) }, index.ErrCorrupt},
		"segment shift":  {func(r *shm.Region) { r.Word32(header + layout.StoreHeaderSegmentShift).Store(40) }, index.ErrCorrupt},
		"directory bits": {func(r *shm.Region) { r.Word32(header + layout.StoreHeaderDirectoryBits).Store(63) }, index.ErrCorrupt},
		"namespaces":     {func(r *shm.Region) { r.Word32(header + layout.StoreHeaderNamespaceCapacity).Store(65536) }, index.ErrCorrupt},
	}
	for name, c := range cases {
		w, _ := storetest.NewInMemory(storetest.Options{})
		c.harm(w.Region)
		storetest.SealFrozen(w.Region)
		if _, err := index.Attach(w.Region); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	w, _ := storetest.NewInMemory(storetest.Options{})
	secret := w.Region.Word(layout.RegionPrefixHashSecret)
	secret.Store(secret.Load() ^ 1<<20)
	if _, err := index.Attach(w.Region); !errors.Is(err, index.ErrCorrupt) || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a flipped bit in the header: %v", err)
	}
	w, _ = storetest.NewInMemory(storetest.Options{})
	w.Region.Word32(layout.RegionPrefixLayoutVersion).Store(9)
	_, err := index.Attach(w.Region)
	var mismatch *index.MismatchError
	if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), "layout 9") || !strings.Contains(err.Error(), "layout 1") {
		t.Errorf("another layout version: %v", err)
	}
	if _, err := index.Attach(shm.FromWords(make([]uint64, 4))); !errors.Is(err, index.ErrCorrupt) {
		t.Errorf("32 bytes: %v", err)
	}
	if _, err := w.Store.Namespace(60000); !errors.Is(err, index.ErrCorrupt) {
		t.Errorf("namespace id 60000: %v", err)
	}
}
