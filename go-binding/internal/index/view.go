package index

import (
	"runtime"
	"sync/atomic"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Pin is one pin record, in memory that the daemon reads.
type Pin struct {
	SegmentPlusOne, Generation *atomic.Uint64
}

// PinFree is what a record holds in SegmentPlusOne that is not in use. 0 means never used.
const PinFree = ^uint64(0)

// Held is a value used in place, under a pin.
type Held struct {
	Pin
	bytes      []byte
	segment    *atomic.Uint64 // its state and generation
	generation uint64
}

// View is Lookup without the copy: after a Hit, held is the value, and its pin keeps the memory from
// being reused, within bounds that the daemon sets. Any other result leaves the pin free. held.Pin
// must be set and free.
func (s *Store) View(ns *Namespace, key string, hash uint64, held *Held, meta *Meta) Result {
	_, result := s.find(nil, ns, key, hash, meta, held, maxAttempts)
	runtime.KeepAlive(s)
	return result
}

// pin claims a segment that was found with this word. The caller then looks again at whatever led it
// here.
func (h *Held) pin(segmentWord *atomic.Uint64, segment, word uint64) {
	runHook(hookBeforePin)
	h.segment, h.generation = segmentWord, word&layout.SegmentGenerationMask
	h.Generation.Store(h.generation)
	// SYNC both segment-pin: the pin can be seen before the slot is looked at once more. Stores and
	// loads of sync/atomic are sequentially consistent: on amd64 a store is an XCHG, on arm64 a
	// store-release that no later load-acquire passes.
	h.SegmentPlusOne.Store(segment + 1)
}

func (h *Held) unpin() {
	// SYNC release segment-unpin: nothing is read from the segment after this.
	h.SegmentPlusOne.Store(PinFree)
}

// Bytes are the value, in shared memory that this process can only read.
func (h *Held) Bytes() []byte { return h.bytes }

// Valid says whether everything that was read from Bytes so far was the value.
func (h *Held) Valid() bool {
	// SYNC acquire segment-reuse: all of it was read before the generation is looked at.
	shm.AcquireFence()
	return h.segment.Load()&layout.SegmentGenerationMask == h.generation
}

// Release lets go of the memory and returns Valid as of the last moment.
func (h *Held) Release() bool {
	valid := h.Valid()
	h.unpin()
	return valid
}
