package index_test

import (
	"sync/atomic"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
)

// pinned is a store, and one pin record.
type pinned struct {
	*storetest.Writer
	held                   index.Held
	segment, pinGeneration atomic.Uint64
}

func newPinned() *pinned {
	w, _ := storetest.NewInMemory(storetest.Options{})
	p := &pinned{Writer: w}
	p.held.Pin = index.Pin{SegmentPlusOne: &p.segment, Generation: &p.pinGeneration}
	return p
}

func (p *pinned) view(key string) (index.Meta, index.Result) {
	var meta index.Meta
	ns := p.Namespace(0)
	return meta, p.Store.View(ns, key, p.Store.Hash(ns, key), &p.held, &meta)
}

func TestViewPins(t *testing.T) {
	p := newPinned()
	version := p.Set(storetest.Entry{Key: "k", Value: []byte("value")})
	var meta index.Meta
	ns := p.Namespace(0)
	if result := p.Store.View(ns, "k", p.Store.Hash(ns, "k"), &p.held, &meta); result != index.Hit {
		t.Fatalf("result %d", result)
	}
	segment, _ := p.EntryOf(0, "k")
	_, generation := p.SegmentWord(segment)
	if string(p.held.Bytes()) != "value" || meta.Version != version || !p.held.Valid() {
		t.Fatalf("%q, version %d, valid %t", p.held.Bytes(), meta.Version, p.held.Valid())
	}
	if p.segment.Load() != segment+1 || p.pinGeneration.Load() != generation {
		t.Fatalf("the pin says %d, %d", p.segment.Load(), p.pinGeneration.Load())
	}
	p.Retire(segment)
	if p.held.Valid() || p.held.Release() {
		t.Fatal("a revoked view claims to be right")
	}
	if p.segment.Load() != index.PinFree {
		t.Fatal("the pin is left")
	}
	if _, result := p.view("k"); result != index.Miss || p.segment.Load() != index.PinFree {
		t.Fatalf("result %d, pin %d", result, p.segment.Load())
	}
}

func TestAPinThatComesTooLateIsTakenBack(t *testing.T) {
	for name, change := range map[string]func(p *pinned){
		// The writer has cleared the slot and looked at the pins; the generation is still the old one.
		"slot cleared": func(p *pinned) { p.Delete(0, "k") },
		"overwritten":  func(p *pinned) { p.Set(storetest.Entry{Key: "k", Value: []byte("new")}) },
		"freed": func(p *pinned) {
			segment, _ := p.EntryOf(0, "k")
			p.Retire(segment)
		},
		"page moved": func(p *pinned) { p.PointDirectory(0, 0, 9); p.PointDirectory(1, 1, 9) },
	} {
		p := newPinned()
		p.Set(storetest.Entry{Key: "k", Value: []byte("old")})
		index.SetPinHook(t, once(func() { change(p) }))
		_, result := p.view("k")
		switch name {
		case "overwritten":
			if result != index.Hit || string(p.held.Bytes()) != "new" {
				t.Errorf("%s: result %d, %q", name, result, p.held.Bytes())
			}
		case "page moved":
			if result != index.Hit || string(p.held.Bytes()) != "old" {
				t.Errorf("%s: result %d, %q", name, result, p.held.Bytes())
			}
		default:
			if result != index.Miss || p.segment.Load() != index.PinFree {
				t.Errorf("%s: result %d, pin %d", name, result, p.segment.Load())
			}
		}
	}
}

func TestEndlessChangesLeaveNoPin(t *testing.T) {
	p := newPinned()
	p.Set(storetest.Entry{Key: "k", Value: []byte("v")})
	rounds := 0
	index.SetPinHook(t, func() { rounds++; p.Set(storetest.Entry{Key: "k", Value: []byte("v")}) })
	if _, result := p.view("k"); result != index.Contended || p.segment.Load() != index.PinFree || rounds != 8 {
		t.Fatalf("result %d, pin %d after %d rounds", result, p.segment.Load(), rounds)
	}
}

func TestAPinIsSeenBeforeTheSlotIsLookedAtAgain(t *testing.T) {
	p := newPinned()
	p.Set(storetest.Entry{Key: "k", Value: []byte("v")})
	segment, _ := p.EntryOf(0, "k")
	seen := uint64(0)
	index.SetHooks(t, nil, nil, once(func() { seen = p.segment.Load() })) // after the pin, before the look
	if _, result := p.view("k"); result != index.Hit || seen != segment+1 {
		t.Fatalf("result %d, the pin was %d", result, seen)
	}
}
