package index_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/layout"
)

// rest is what is left of a scan, and how often each key came.
func rest(t *testing.T, scan *index.Scanner) (found map[string]string, times map[string]int) {
	t.Helper()
	found, times = map[string]string{}, map[string]int{}
	for {
		more, err := scan.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return found, times
		}
		found[string(scan.Key)] = string(scan.Value)
		times[string(scan.Key)]++
	}
}

func begin(t *testing.T, w *storetest.Writer, namespace uint16) *index.Scanner {
	t.Helper()
	scan, err := w.Store.Scan(w.Namespace(namespace))
	if err != nil {
		t.Fatal(err)
	}
	return scan
}

func TestScanFindsWhatLookupsFind(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{Namespaces: []string{"a", "b"}, Segments: 40, DirectoryBits: 3})
	want := map[string]string{}
	for i := range 3000 {
		key := fmt.Sprint("key", i)
		w.Set(storetest.Entry{Key: key, Value: []byte(fmt.Sprint(i))})
		want[key] = fmt.Sprint(i)
	}
	w.Set(storetest.Entry{Namespace: 1, Key: "key", Value: []byte("of another")})
	w.Set(storetest.Entry{Key: "expired", HardExpiry: 1})
	w.Set(storetest.Entry{Key: "negative", Negative: true})
	w.Set(storetest.Entry{Key: "large", Value: make([]byte, 150000)})
	want["large"] = string(make([]byte, 150000))
	for w.NowMs() < 2 {
	}
	if found, times := rest(t, begin(t, w, 0)); !maps.Equal(found, want) || len(times) != len(want) {
		t.Fatalf("%d keys of %d, or wrong values", len(found), len(want))
	}
	scan := begin(t, w, 0)
	scan.Prefix = "key29"
	maps.DeleteFunc(want, func(key, _ string) bool { return len(key) < 5 || key[:5] != "key29" })
	if found, _ := rest(t, scan); !maps.Equal(found, want) {
		t.Fatalf("with a prefix: %v", found)
	}
	w.Flush(0)
	if found, _ := rest(t, begin(t, w, 0)); len(found) != 0 {
		t.Fatalf("after a flush: %d keys", len(found))
	}
}

func TestScanOfAnEntryThatChanges(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *storetest.Writer)
		want   map[string]string
	}{
		"overwritten": {func(w *storetest.Writer) { w.Set(storetest.Entry{Key: "k", Value: []byte("new")}) }, map[string]string{"k": "new"}},
		"deleted":     {func(w *storetest.Writer) { w.Delete(0, "k") }, map[string]string{}},
		"page split": {func(w *storetest.Writer) {
			w.MoveKeyToNewPage(0, "k", 5)
			w.Set(storetest.Entry{Key: "k", Value: []byte("new")})
		}, map[string]string{"k": "new"}},
		"frequency": {func(w *storetest.Writer) {
			slot := w.Region.Word(w.SlotOf(0, "k"))
			slot.Store(slot.Load() ^ layout.SlotFrequencyBits)
		}, map[string]string{"k": "old"}},
	} {
		w, _ := storetest.NewInMemory(storetest.Options{Segments: 8})
		w.Set(storetest.Entry{Key: "k", Value: []byte("old")})
		scan := begin(t, w, 0)
		index.SetHooks(t, nil, nil, once(func() { c.change(w) }))
		if found, _ := rest(t, scan); !maps.Equal(found, c.want) {
			t.Errorf("%s: %v, want %v", name, found, c.want)
		}
	}
}

func TestAPageThatWasSplitAndEmptiedHidesNoKey(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{Segments: 8})
	// Two keys of one page.
	hash := func(key string) uint64 { return w.Store.Hash(w.Namespace(0), key) }
	keys := []string{"k0"}
	for i := 1; len(keys) < 2; i++ {
		if key := fmt.Sprint("k", i); hash(key)>>63 == hash("k0")>>63 {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		w.Set(storetest.Entry{Key: key, Value: []byte("v")})
	}
	scan := begin(t, w, 0)
	if more, err := scan.Next(); !more || err != nil {
		t.Fatal(more, err)
	}
	w.MoveKeyToNewPage(0, "k0", 5) // and the old page is all zeros
	if found, _ := rest(t, scan); len(found) != 2 {
		t.Fatalf("%v after the page was moved, want both keys", found)
	}
}

func TestAnUnsteadyEntryIsAnErrorAndTheScanGoesOn(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "k", Value: []byte("v")})
	scan := begin(t, w, 0)
	unsteady := true
	index.SetHooks(t, nil, nil, func() {
		if unsteady {
			w.Set(storetest.Entry{Key: "k", Value: []byte("v")})
		}
	})
	if _, err := scan.Next(); !errors.Is(err, index.ErrUnsteady) {
		t.Fatal(err)
	}
	unsteady = false
	if found, _ := rest(t, scan); len(found) != 1 {
		t.Fatal(found)
	}
}

func TestCursorsNameStoreAndNamespace(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{Namespaces: []string{"a", "b"}})
	scan := begin(t, w, 0)
	cursor := scan.Cursor()
	for name, c := range map[string]struct {
		namespace uint16
		text      string
		want      error
	}{
		"right":             {0, cursor, nil},
		"another namespace": {1, cursor, index.ErrForeignCursor},
		"cut":               {0, cursor[:84], index.ErrNoCursor},
		"changed":           {0, "02" + cursor[2:], index.ErrNoCursor},
		"not hexadecimal":   {0, "xx" + cursor[2:], index.ErrNoCursor},
		"another store":     {0, (&index.Cursor{Store: [16]byte{1}}).String(), index.ErrForeignCursor},
	} {
		if _, err := w.Store.ScanFrom(w.Namespace(c.namespace), c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	state := w.Region.Word32(w.NamespaceRecord(0) + layout.NamespaceRecordState)
	state.Store(2) // dropped
	if _, err := scan.Next(); !errors.Is(err, index.ErrDropped) {
		t.Error(err)
	}
	state.Store(layout.NamespaceLive | 1<<16) // another one has its id
	if _, err := w.Store.ScanFrom(w.Namespace(0), cursor); !errors.Is(err, index.ErrDropped) {
		t.Error(err)
	}
}

// The same fields give this text in tests/core/cache_scan_test.cc.
func TestCursorIsTheSameInCpp(t *testing.T) {
	c := index.Cursor{Handle: 0x56781234, Hash: 0x1122334455667788, Directory: 0x8000000100000002, Position: 513}
	for i := range c.Store {
		c.Store[i] = byte(i)
	}
	const text = "01000102030405060708090a0b0c0d0e0f34127856887766554433221102000000010000800102b889ff63"
	got := c.String()
	if got != text {
		t.Fatalf("%s, want %s", got, text)
	}
	if back, ok := index.ParseCursor(got); !ok || back != c {
		t.Fatalf("%+v, %t", back, ok)
	}
}
