package index_test

import (
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/layout"
)

func TestANegativeEntryIsAMissThatSaysSo(t *testing.T) { bothPaths(t, testNegativeEntry) }

func testNegativeEntry(t *testing.T) {
	const never = 1 << 60
	for _, key := range []string{"abc", "a-key-of-16-bytes", "a key that no assembly computes the hash of"} {
		w, _ := storetest.NewInMemory(storetest.Options{})
		w.Set(storetest.Entry{Key: key, HardExpiry: never, Negative: true})
		value, result, meta := lookup(w, 0, key)
		if result != index.Absent || value != "" {
			t.Fatalf("%q: %q, result %d", key, value, result)
		}
		if meta.Version == 0 || meta.HardExpiryMs != never || meta.SoftExpiryMs != layout.Never {
			t.Errorf("%q: %+v", key, meta)
		}
		for w.NowMs() < 2 {
		}
		w.Set(storetest.Entry{Key: key, HardExpiry: 1, Negative: true})
		wantMiss(t, w, 0, key)
		w.Set(storetest.Entry{Key: key, Value: []byte("value")})
		wantHit(t, w, 0, key, "value")
	}
}

func TestAssemblyLeavesNegativeEntries(t *testing.T) {
	needAssembly(t)
	w, _ := storetest.NewInMemory(storetest.Options{})
	for _, expiry := range []uint64{0, 1 << 60} {
		w.Set(storetest.Entry{Key: "a-key", HardExpiry: expiry, SoftExpiry: expiry, Negative: true})
		if agree(t, w.Store, w.Namespace(0), "a-key") {
			t.Errorf("with expiry %d: decided by the assembly", expiry)
		}
	}
}

// A negative entry in a segment that is reused while it is looked at proves nothing.
func TestANegativeEntryThatMovesIsLookedUpAgain(t *testing.T) {
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "key", Negative: true})
	index.SetHooks(t, nil, nil, once(func() { w.Set(storetest.Entry{Key: "key", Value: []byte("value")}) }))
	wantHit(t, w, 0, "key", "value")
}
