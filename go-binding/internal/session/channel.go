package session

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/ring"
	"github.com/hearthd/hearth/go-binding/internal/wait"
)

// Channel is a request ring, a response ring and what belongs to them. Safe for concurrent use.
type Channel struct {
	session  *Session
	requests ring.Memory
	answers  ring.Memory
	doorbell wait.Doorbell
	flag     wait.Flag
	pump     *wait.Pump

	send struct {
		sync.Mutex
		producer *ring.Producer
		sequence uint64
		free     *call
		created  uint32
		waiters  []*roomWaiter
		outbox   []outboxRecord
		dead     error // set once; nothing is sent any more
		closed   bool  // nobody is inside any more
	}
	table    []atomic.Pointer[call]
	freed    freeList
	reserved atomic.Int64 // bytes of the response ring
	waiting  atomic.Int32 // room waiters and outbox records, as a hint to reapers
	longSend chan struct{}
	long     atomic.Int32 // calls that may take as long as another process likes

	reap struct {
		sync.Mutex
		consumer *ring.Consumer
		dead     bool
		freed    int64          // credit of calls that were completed since the head was moved
		credits  []outboxRecord // for long answers
	}
	head     atomic.Uint64 // the consumer's, for spinners
	spinners atomic.Int32
	parked   atomic.Int32 // changed under the reap lock
	armed    atomic.Bool  // client_asleep bit 0; changed under the reap lock
	closing  atomic.Bool
	released chan struct{}
}

// maxBodySize is the size of the longest body.
const maxBodySize = max(layout.IncrementBodySize, layout.FillBodySize)

// Request is what a caller wants. Nothing of it is kept.
type Request struct {
	Op     uint16
	Target uint32
	// BodyLength bytes of Body, then Key, then Value are the payload.
	Body        [maxBodySize]byte
	BodyLength  int
	Key         string
	Value       []byte
	Space       uint64 // of the answer; a longer one is streamed
	Limit       uint64 // the longest answer accepted; 0 for the session's limit
	TraceID     [16]byte
	SpanID      [8]byte
	TraceFlags  byte
	HasDeadline bool
	Deadline    time.Time
	// Hash is of the key, and counts where Start queues a change of it (Pending).
	Hash uint64
}

func (r *Request) payload() ring.Payload {
	return ring.Payload{Body: r.Body[:r.BodyLength], Key: r.Key, Value: r.Value}
}

// begin writes the request, or the first record of a long one, and returns its call. The answer's
// bytes are appended to dst. An error means that nothing was published.
func (ch *Channel) begin(ctx context.Context, r *Request, dst []byte, asyncKey string, async bool) (c *call, rang bool, err error) {
	payload := r.payload()
	length := payload.Len()
	long := length > ring.MaxPayload(ch.requests.Size)
	var prefix []byte
	var total [8]byte
	first := length
	if long {
		binary.LittleEndian.PutUint64(total[:], length)
		prefix, first = total[:], ring.MaxPayload(ch.requests.Size)-uint64(len(total))
	}
	space := ch.space(r.Space)
	if err := ch.lockWithRoom(ctx, first+uint64(len(prefix)), space); err != nil {
		return nil, false, err
	}
	c = ch.takeCall()
	c.op, c.space, c.asked, c.dst, c.async, c.key = r.Op, space, uint32(space), dst, async, asyncKey
	c.target, c.hash = r.Target, r.Hash
	c.limit = r.Limit
	if c.limit == 0 {
		c.limit = ch.session.maxMessage
	}
	ch.reserved.Add(int64(space))
	ch.send.sequence++
	flags := uint16(0)
	if long {
		flags = layout.RecordMore
	} else {
		c.sent.Store(true)
	}
	ch.put(r, c, ch.send.sequence, flags, prefix, &payload, 0, first)
	c.open.Store(ch.send.sequence) // from here on the call is the reapers' too
	rang = ch.publish()
	ch.send.Unlock()
	return c, rang, nil
}

// put writes one record of a request.
func (ch *Channel) put(r *Request, c *call, sequence uint64, flags uint16, prefix []byte, payload *ring.Payload, from, n uint64) {
	header := ring.Request{
		Length:        uint32(uint64(len(prefix)) + n),
		Opcode:        r.Op,
		Flags:         flags,
		CallID:        c.id,
		Target:        r.Target,
		Sequence:      sequence,
		TraceID:       r.TraceID,
		SpanID:        r.SpanID,
		TraceFlags:    r.TraceFlags,
		ResponseSpace: c.asked,
	}
	if r.HasDeadline {
		header.DeadlineNs = ch.session.clock.At(r.Deadline)
	}
	var raw ring.Header
	header.Encode(&raw)
	ch.send.producer.Put(&raw, prefix, payload, from, n)
}

// publish hands over what was put, and wakes the server if it sleeps. Under the send lock, so that
// the doorbell cannot be closed meanwhile.
func (ch *Channel) publish() (rang bool) {
	ch.send.producer.Publish()
	return ch.doorbell.Ring()
}

// space brings a wish into the bounds of the protocol and of fairness between callers.
func (ch *Channel) space(wish uint64) uint64 {
	return min(max(ring.RecordBytes(wish), layout.MinResponseSpace), ch.answers.Size/8)
}

// takeCall returns a free call. There always is one when credit is left, because each holds at
// least layout.MinResponseSpace. Under the send lock.
func (ch *Channel) takeCall() *call {
	if ch.send.free == nil {
		ch.send.free = ch.freed.takeAll()
	}
	c := ch.send.free
	if c == nil {
		c = &call{index: ch.send.created, id: ch.send.created, notify: make(chan struct{}, 1)}
		ch.table[c.index].Store(c)
		ch.send.created++
	} else {
		ch.send.free = c.next
	}
	c.next = nil
	c.reset()
	return c
}

// TryWait says whether one more call may take as long as another process likes, such as one for a lease
// that somebody else holds. Such calls get half of the channel's credit at most: were it all theirs, two
// processes that wait for each other could not send what the other one waits for. If true, DoneWaiting
// ends it.
func (ch *Channel) TryWait() bool {
	limit := int32(ring.Reservable(ch.answers.Size) / layout.MinResponseSpace / 2)
	if ch.long.Add(1) <= limit {
		return true
	}
	ch.long.Add(-1)
	return false
}

// DoneWaiting ends what TryWait has allowed.
func (ch *Channel) DoneWaiting() { ch.long.Add(-1) }

// hasCall says whether takeCall will find one. Under the send lock.
func (ch *Channel) hasCall() bool {
	return ch.send.free != nil || ch.freed.head.Load() != nil || ch.send.created < uint32(len(ch.table))
}

// release gives a call back after its result was taken.
func (ch *Channel) release(c *call) {
	c.dst = nil
	ch.freed.push(c)
	ch.left()
}

// left tells Close that somebody left.
func (ch *Channel) left() {
	if ch.closing.Load() {
		select {
		case ch.released <- struct{}{}:
		default:
		}
	}
}
