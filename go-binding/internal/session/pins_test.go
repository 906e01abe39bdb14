package session_test

import (
	"sync"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/fakeserver"
	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

func firstPin(server *fakeserver.Server) uint64 {
	return server.Region.Word(layout.SessionHeaderBytes + layout.PinRecordSegmentPlusOne).Load()
}

func TestPinsAreTakenOnceAndGivenBack(t *testing.T) {
	server, s := openTouching(t, 1)
	pins := s.Pins()
	if firstPin(server) != 0 {
		t.Fatal("the first record is marked before any was used")
	}
	var claims []session.Claim
	seen := map[any]bool{}
	for range fakeserver.Pins {
		var held index.Held
		claim, ok := pins.Take(&held, 0)
		if !ok || seen[held.SegmentPlusOne] {
			t.Fatalf("taken %t, twice %t", ok, seen[held.SegmentPlusOne])
		}
		seen[held.SegmentPlusOne] = true
		claims = append(claims, claim)
	}
	if firstPin(server) == 0 {
		t.Fatal("hearthd would not look at these pins")
	}
	var held index.Held
	if _, ok := pins.Take(&held, 0); ok || pins.InUse() != fakeserver.Pins {
		t.Fatalf("taken %t, %d in use", ok, pins.InUse())
	}
	pins.Cancel(claims[3])
	if _, ok := pins.Take(&held, 0); !ok {
		t.Fatal("a record that was given back cannot be taken")
	}
}

func TestAClaimIsGivenBackOnce(t *testing.T) {
	_, s := openTouching(t, 1)
	pins := s.Pins()
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "k", Value: []byte("v")})
	ns := w.Namespace(0)
	var meta index.Meta
	view := func() (session.Claim, index.Held) {
		var held index.Held
		claim, _ := pins.Take(&held, 0)
		if w.Store.View(ns, "k", w.Store.Hash(ns, "k"), &held, &meta) != index.Hit {
			t.Fatal("no hit")
		}
		return claim, held
	}
	first, held := view()
	if !pins.Give(first, &held) {
		t.Fatal("revoked")
	}
	for range fakeserver.Pins { // whoever has the record now keeps it
		view()
	}
	pins.Give(first, &held)
	if pins.InUse() != fakeserver.Pins {
		t.Fatalf("%d in use", pins.InUse())
	}
	if held.SegmentPlusOne.Load() == index.PinFree {
		t.Fatal("somebody else's pin was cleared")
	}
}

func TestPinsOfManyGoroutines(t *testing.T) {
	_, s := openTouching(t, 1)
	pins := s.Pins()
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 20000 {
				var held index.Held
				if claim, ok := pins.Take(&held, 0); ok {
					held.SegmentPlusOne.Store(7)
					pins.Cancel(claim)
				}
			}
		}()
	}
	wg.Wait()
	if pins.InUse() != 0 {
		t.Fatalf("%d in use", pins.InUse())
	}
}
