package session

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Pins hands out the pin records of a session. Safe for concurrent use, also during and after Close of
// the session: like its Touches, which it keeps reachable, it is where the mapping's life hangs.
type Pins struct {
	touches *Touches // the region stays mapped as long
	records []index.Pin
	owners  []owner
	places  []atomic.Pointer[[]uintptr] // of the records in use, if they are traced
}

// owner is the number of times a record was taken and given back: odd while it is in use. On a line of
// its own, since goroutines on several CPUs take records at once.
type owner struct {
	count atomic.Uint64
	_     [56]byte
}

// maxPins bounds how many records of a session are used, whatever hearthd offers.
const maxPins = 256

// Claim is a record that was taken.
type Claim struct {
	record int
	count  uint64
}

// Take takes a free record and sets held.Pin. It is false when none is free. skip is how many frames
// to leave out of the place where it was taken.
func (p *Pins) Take(held *index.Held, skip int) (Claim, bool) {
	n := len(p.owners)
	if n == 0 {
		return Claim{}, false
	}
	// Another first record for each goroutine, more or less, and on another line of shared memory.
	first := int(p.touches.spread(shm.AddressOf(held), uint64(n))) &^ 3
	for i := range n {
		record := first + i
		if record >= n {
			record -= n
		}
		count := p.owners[record].count.Load()
		if count&1 != 0 || !p.owners[record].count.CompareAndSwap(count, count+1) {
			continue
		}
		if p.records[0].SegmentPlusOne.Load() == 0 {
			// Or hearthd would not look at the others.
			p.records[0].SegmentPlusOne.CompareAndSwap(0, index.PinFree)
		}
		held.Pin = p.records[record]
		if p.places != nil {
			var frames [16]uintptr
			place := frames[:runtime.Callers(skip+2, frames[:])]
			p.places[record].Store(&place)
		}
		return Claim{record, count + 1}, true
	}
	return Claim{}, false
}

// Give gives a record back whose pin is no longer needed, and says whether everything that was read
// under it was right. Of several calls with one claim the first counts; the others only look.
func (p *Pins) Give(claim Claim, held *index.Held) bool {
	valid := held.Valid()
	// The record first becomes free, for hearthd, and then can be taken: in between nobody else has it.
	if o := &p.owners[claim.record].count; o.CompareAndSwap(claim.count, claim.count|giving) {
		valid = held.Release()
		o.Store(claim.count + 1)
	}
	runtime.KeepAlive(p)
	return valid
}

// Cancel gives a record back that holds no pin.
func (p *Pins) Cancel(claim Claim) { p.owners[claim.record].count.Store(claim.count + 1) }

// giving is set in a count while the record is given back.
const giving = 1 << 63

// InUse is how many records are taken.
func (p *Pins) InUse() int {
	n := 0
	for i := range p.owners {
		n += int(p.owners[i].count.Load() & 1)
	}
	return n
}

// Trace makes Take note where it was called, which allocates. Before the first Take.
func (p *Pins) Trace() { p.places = make([]atomic.Pointer[[]uintptr], len(p.owners)) }

// Places are the call stacks of the records in use, one text for each, if they are traced.
func (p *Pins) Places() []string {
	var texts []string
	for i := range p.places {
		place := p.places[i].Load()
		if place == nil || p.owners[i].count.Load()&1 == 0 {
			continue
		}
		text := ""
		frames := runtime.CallersFrames(*place)
		for more := true; more; {
			var frame runtime.Frame
			frame, more = frames.Next()
			text += fmt.Sprintf("%s\n\t%s:%d\n", frame.Function, frame.File, frame.Line)
		}
		texts = append(texts, text)
	}
	return texts
}

// Pins are the session's pin records.
func (s *Session) Pins() *Pins { return s.pins }

func newPins(region *shm.Region, g geometry, touches *Touches) *Pins {
	n := min(g.pinCount, maxPins)
	p := &Pins{touches: touches, owners: make([]owner, n)}
	for i := range n {
		at := g.pins + i*layout.PinRecordSize
		p.records = append(p.records, index.Pin{
			SegmentPlusOne: region.Word(at + layout.PinRecordSegmentPlusOne),
			Generation:     region.Word(at + layout.PinRecordGeneration),
		})
	}
	return p
}
