package session

import (
	"sync/atomic"

	"github.com/hearthd/hearth/go-binding/internal/ring"
)

// call is one request until its answer was consumed. It is bound to its place in the channel's
// table for ever and used again and again.
type call struct {
	index uint32
	next  *call // in the list of free calls

	// Written by the caller before open is stored.
	id    uint32
	op    uint16
	asked uint32 // response space in the request
	limit uint64 // the longest answer accepted
	async bool
	key   string // of asynchronous writes, for their errors
	// Of asynchronous writes, for Pending.
	target uint32
	hash   uint64

	// open is the sequence of the request, 0 when no answer is expected. Reapers match answers by
	// it, which also orders the fields above for them.
	open atomic.Uint64
	// done is 1 from when the result is complete.
	done atomic.Uint32
	// sent is true from just before the request's last record is published.
	sent atomic.Bool

	// Guarded by the reap lock until done, then the caller's.
	dst       []byte
	space     uint64 // credit held; grows with a long answer
	total     uint64 // of a long answer
	received  uint64
	growing   bool // a long answer is under way
	enlarged  bool // and was given more credit
	response  ring.Response
	message   []byte // of an error
	failure   error  // instead of a response
	execution uint8  // with failure
	parked    bool
	abandoned bool

	notify chan struct{} // a token when a parked call is complete
}

// reset prepares a free call for another request.
func (c *call) reset() {
	c.id += 1 << 16
	c.async, c.key = false, ""
	c.total, c.received, c.growing, c.enlarged = 0, 0, false, false
	c.message, c.failure = c.message[:0], nil
	c.parked, c.abandoned = false, false
	c.done.Store(0)
	c.sent.Store(false)
}

// freeList is where calls return to. Anybody pushes; only the holder of the send lock takes, and
// takes everything at once, so that there is no ABA problem.
type freeList struct{ head atomic.Pointer[call] }

func (f *freeList) push(c *call) {
	for {
		head := f.head.Load()
		c.next = head
		if f.head.CompareAndSwap(head, c) {
			return
		}
	}
}

func (f *freeList) takeAll() *call { return f.head.Swap(nil) }
