package session

import (
	"sync"
	"sync/atomic"

	"github.com/hearthd/hearth/go-binding/internal/layout"
)

// Pending is what readers must know of the asynchronous writes of their own session: which keys have
// a change on its way that the store may not show yet. It is safe for concurrent use.
//
// Keys are counted by hash, in few counters, so a reader may be sent to look more closely for nothing,
// but never the other way round.
type Pending struct {
	// gate is all that a reader looks at while nothing is queued, and 0 then. On cache lines of its own:
	// whoever queues writes changes it.
	_    [128]byte
	gate atomic.Int64
	_    [120]byte

	counts [pendingCounts]atomic.Int32

	mu   sync.Mutex
	lost map[lostKey]struct{}
}

type lostKey struct {
	target uint32
	key    string
}

const (
	pendingCounts = 1024
	closedGate    = 1 << 62
)

// changes says whether a request of this kind changes a key, so that readers wait for it.
func changes(op uint16) bool { return op == layout.OpSet || op == layout.OpDelete }

// Any says whether a read must look more closely: something is queued, or lost, or the client closed.
func (p *Pending) Any() bool { return p.gate.Load() != 0 }

// Has says whether a key with this hash may have a change on its way, or a lost one.
func (p *Pending) Has(hash uint64) bool { return p.counts[hash%pendingCounts].Load() != 0 }

// Shut makes Any true for ever.
func (p *Pending) Shut() { p.gate.Add(closedGate) }

func (p *Pending) begin(hash uint64) {
	p.counts[hash%pendingCounts].Add(1)
	p.gate.Add(1)
}

func (p *Pending) end(hash uint64) {
	p.counts[hash%pendingCounts].Add(-1)
	p.gate.Add(-1)
}

// finish takes a write off that was answered. One that the session's end has overtaken stays for ever,
// by its key: what the store has under it is older than what this process has written, or may be.
func (p *Pending) finish(c *call) {
	if c.failure == nil {
		p.end(c.hash)
		return
	}
	p.lose(c.target, c.key)
}

func (p *Pending) lose(target uint32, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost == nil {
		p.lost = map[lostKey]struct{}{}
	}
	p.lost[lostKey{target, key}] = struct{}{}
}

// Pending is what the session's readers look at before they read.
func (s *Session) Pending() *Pending { return &s.pending }

// Unapplied says, of a session that takes no more requests, whether a change of the key was queued
// that was not applied, as far as this process knows. ch is the channel that the key's writes take.
func (ch *Channel) Unapplied(target uint32, key string) bool {
	ch.reap.Lock()
	defer ch.reap.Unlock()
	for i := range ch.table {
		// The fields were written before open was, and stay while it is not 0.
		c := ch.table[i].Load()
		if c != nil && c.open.Load() != 0 && c.async && changes(c.op) && c.target == target && c.key == key {
			return true
		}
	}
	p := &ch.session.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	_, lost := p.lost[lostKey{target, key}]
	return lost
}
