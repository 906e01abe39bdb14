package session

import (
	"runtime"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Touches tells hearthd which entries are read, so that it keeps them when it must evict something:
// a buffer of hashes for each channel, written without a lock and drained now and then. Any of it may
// be lost. Safe for concurrent use, also during and after Close of the session: the region stays
// mapped until its Touches are unreachable, because only the garbage collector can know that nobody
// is inside Note, and asking it costs a read nothing.
type Touches struct {
	buffers []touchBuffer // empty if hearthd has given none
}

type touchBuffer struct {
	tail    *uint64
	entries []uint64 // a power of two
}

// Note records a read of the entry that meta describes.
//
// Nothing here is atomic. Two goroutines that write at the same moment may lose a touch, and one that
// was suspended in between may step the tail back; hearthd copes with both. Nor is there a barrier,
// so the cache misses of the reads before and after still overlap.
func (t *Touches) Note(meta *index.Meta) {
	if len(t.buffers) == 0 {
		return
	}
	b := &t.buffers[t.pick(shm.AddressOf(meta))]
	tail := *b.tail
	b.entries[tail&uint64(len(b.entries)-1)] = meta.Hash
	*b.tail = tail + 1
	runtime.KeepAlive(t)
}

// Count is how many touches have been written, but for those that collided.
func (t *Touches) Count() (n uint64) {
	for _, b := range t.buffers {
		n += *b.tail
	}
	runtime.KeepAlive(t)
	return n
}

// pick chooses a buffer by the caller's stack. Goroutines that run at the same time have different
// ones, so they mostly write to different cache lines, and it takes no more than a multiplication.
func (t *Touches) pick(stack uintptr) uint64 {
	return t.spread(stack, uint64(len(t.buffers)))
}

// spread is a number below n, by the caller's stack.
func (t *Touches) spread(stack uintptr, n uint64) uint64 {
	const smallestStack, golden = 11, 0x9e3779b97f4a7c15
	return uint64(stack) >> smallestStack * golden >> 32 * n >> 32
}

// Touches is where reads of the store are recorded.
func (s *Session) Touches() *Touches { return s.touches }

// newTouches makes the touches of a session, with which the mapping of the region goes.
func newTouches(region *shm.Region, g geometry, channels int) *Touches {
	t := &Touches{}
	if g.touchEntries > 0 {
		for i := range uint64(channels) {
			at := g.channels + i*g.stride
			t.buffers = append(t.buffers, touchBuffer{
				tail:    &region.Hints(at+layout.ChannelControlTouchTail, 1)[0],
				entries: region.Hints(at+g.touches, g.touchEntries),
			})
		}
	}
	runtime.AddCleanup(t, func(region *shm.Region) { _ = region.Unmap() }, region)
	return t
}
