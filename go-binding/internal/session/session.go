package session

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/ring"
	"github.com/hearthd/hearth/go-binding/internal/shm"
	"github.com/hearthd/hearth/go-binding/internal/wait"
)

// Config is what the handshake delivered. Open takes ownership of the region and the descriptors.
type Config struct {
	Region          *shm.Region
	ServerDoorbell  int
	ClientDoorbells []int
	MaxMessageBytes uint64
}

// Session is an open session region. Safe for concurrent use.
type Session struct {
	region     *shm.Region
	touches    *Touches // the region stays mapped as long
	pins       *Pins
	doorbell   int
	channels   []*Channel
	policy     *wait.Policy
	maxMessage uint64
	clock      shm.Clock

	pending Pending

	ended     chan struct{} // closed when nothing will be answered any more
	cause     error         // why; set before ended is closed
	causeOnce sync.Once
	closeOnce sync.Once

	async struct {
		sync.Mutex
		errors []AsyncError
		failed uint64
	}
}

// AsyncError is what became of a failed asynchronous request.
type AsyncError struct {
	Op     uint16
	Key    string
	Result Result
}

// maxAsyncErrors bounds what is kept until the next Flush; more are only counted.
const maxAsyncErrors = 64

// maxMessageLimit bounds what the server may declare, since answers of that size are allocated.
const maxMessageLimit = 1 << 30

// Open checks a session region and starts its channels.
func Open(config Config) (*Session, error) {
	s := &Session{
		region:     config.Region,
		doorbell:   config.ServerDoorbell,
		policy:     wait.NewPolicy(),
		maxMessage: min(config.MaxMessageBytes, maxMessageLimit),
		ended:      make(chan struct{}),
	}
	geometry, err := checkGeometry(config.Region, len(config.ClientDoorbells))
	if err == nil {
		s.clock, err = shm.NewClock()
	}
	if err != nil {
		shm.CloseAll(append(config.ClientDoorbells, config.ServerDoorbell))
		_ = config.Region.Unmap()
		return nil, err
	}
	s.touches = newTouches(config.Region, geometry, len(config.ClientDoorbells))
	s.pins = newPins(config.Region, geometry, s.touches)
	for i := range config.ClientDoorbells {
		s.channels = append(s.channels, s.newChannel(geometry, uint64(i)))
	}
	// Only now, because a pump may find the session broken at once.
	for i, ch := range s.channels {
		if ch.pump, err = wait.StartPump(config.ClientDoorbells[i], ch.rung); err != nil {
			shm.CloseAll(config.ClientDoorbells[i+1:])
			s.Close(err)
			return nil, err
		}
	}
	return s, nil
}

// geometry is where the parts of a session region lie.
type geometry struct {
	channels, stride, requests, answers, touches, pins uint64 // offsets
	requestBytes, answerBytes, touchEntries, pinCount  uint64
}

func checkGeometry(region *shm.Region, channels int) (geometry, error) {
	err := index.CheckRegion(region, layout.RegionKindSession, layout.SessionLayoutVersion,
		layout.SessionFingerprint)
	if err != nil {
		return geometry{}, err
	}
	if region.Size() < layout.SessionHeaderBytes {
		return geometry{}, fmt.Errorf("%w: a session of %d bytes", index.ErrCorrupt, region.Size())
	}
	at := func(field uint64) uint64 { return layout.SessionHeaderOffset + field }
	g := geometry{
		channels:     region.U64(at(layout.SessionHeaderChannelOffset)),
		stride:       region.U64(at(layout.SessionHeaderChannelStride)),
		requests:     region.U64(at(layout.SessionHeaderRequestRingOffset)),
		answers:      region.U64(at(layout.SessionHeaderResponseRingOffset)),
		requestBytes: uint64(region.U32(at(layout.SessionHeaderRequestRingBytes))),
		touches:      region.U64(at(layout.SessionHeaderTouchOffset)),
		pins:         region.U64(at(layout.SessionHeaderPinOffset)),
		pinCount:     uint64(region.U32(at(layout.SessionHeaderPinCount))),
		answerBytes:  uint64(region.U32(at(layout.SessionHeaderResponseRingBytes))),
		touchEntries: uint64(region.U32(at(layout.SessionHeaderTouchEntries))),
	}
	count := uint64(region.U32(at(layout.SessionHeaderChannelCount)))
	ringOK := func(n uint64) bool {
		return n >= layout.MinRingBytes && n <= layout.MaxRingBytes && n&(n-1) == 0
	}
	within := func(offset, n uint64) bool { return offset%64 == 0 && offset <= g.stride && n <= g.stride-offset }
	switch {
	case count != uint64(channels) || count == 0 || count > layout.MaxChannels:
		err = fmt.Errorf("%w: %d channels, %d doorbells", index.ErrCorrupt, count, channels)
	case !ringOK(g.requestBytes) || !ringOK(g.answerBytes):
		err = fmt.Errorf("%w: rings of %d and %d bytes", index.ErrCorrupt, g.requestBytes, g.answerBytes)
	case g.channels%64 != 0 || g.stride%64 != 0 || g.stride > region.Size() ||
		!region.Contains(g.channels, g.stride*count):
		err = fmt.Errorf("%w: %d channels of %d bytes at %d", index.ErrCorrupt, count, g.stride, g.channels)
	case !within(0, layout.ChannelControlSize) || !within(g.requests, g.requestBytes) ||
		!within(g.answers, g.answerBytes):
		err = fmt.Errorf("%w: rings at %d and %d in a channel of %d bytes", index.ErrCorrupt, g.requests, g.answers, g.stride)
	case g.touchEntries&(g.touchEntries-1) != 0 || !within(g.touches, g.touchEntries*8):
		err = fmt.Errorf("%w: %d touches at %d in a channel of %d bytes", index.ErrCorrupt, g.touchEntries, g.touches, g.stride)
	case g.pins%8 != 0 || !region.Contains(g.pins, g.pinCount*layout.PinRecordSize):
		err = fmt.Errorf("%w: %d pins at %d", index.ErrCorrupt, g.pinCount, g.pins)
	}
	return g, err
}

func (s *Session) newChannel(g geometry, i uint64) *Channel {
	at := g.channels + i*g.stride
	word := func(field uint64) *atomic.Uint64 { return s.region.Word(at + field) }
	ch := &Channel{
		session: s,
		requests: ring.Memory{Region: s.region, Offset: at + g.requests, Size: g.requestBytes,
			Tail: word(layout.ChannelControlRequestTail), Head: word(layout.ChannelControlRequestHead)},
		answers: ring.Memory{Region: s.region, Offset: at + g.answers, Size: g.answerBytes,
			Tail: word(layout.ChannelControlResponseTail), Head: word(layout.ChannelControlResponseHead)},
		doorbell: wait.Doorbell{Asleep: word(layout.ChannelControlServerAsleep), FD: s.doorbell},
		flag:     wait.Flag{Word: word(layout.ChannelControlClientAsleep)},
		table:    make([]atomic.Pointer[call], ring.Reservable(g.answerBytes)/layout.MinResponseSpace),
		longSend: make(chan struct{}, 1),
		released: make(chan struct{}, 1),
	}
	ch.send.producer = ring.NewProducer(ch.requests)
	ch.reap.consumer = ring.NewConsumer(ch.answers)
	ch.head.Store(ch.reap.consumer.Head())
	return ch
}

// Channels is the number of channels.
func (s *Session) Channels() int { return len(s.channels) }

// Channel returns channel i modulo their number.
func (s *Session) Channel(i uint64) *Channel { return s.channels[i%uint64(len(s.channels))] }

// Ended is closed when the session is over.
func (s *Session) Ended() <-chan struct{} { return s.ended }

func (s *Session) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// Cause is why the session is over. Only after Ended.
func (s *Session) Cause() error { return s.cause }

// Fail ends the session: everything that waits fails, and so does everything that comes. Answers
// that were published are delivered first. Must not be called with a channel's lock held.
func (s *Session) Fail(cause error) {
	s.causeOnce.Do(func() {
		s.cause = cause
		close(s.ended)
		for _, ch := range s.channels {
			ch.fail(cause)
		}
	})
}

// failLater is Fail for those who hold a lock.
func (s *Session) failLater(cause error) { go s.Fail(cause) }

func (ch *Channel) fail(cause error) {
	ch.send.Lock()
	ch.send.dead = cause
	ch.send.outbox = nil
	ch.send.Unlock()
	ch.roomChanged() // callers that wait for room look again, and see that
	ch.reap.Lock()
	defer ch.reap.Unlock()
	ch.drain()
	ch.reap.dead = true
	for i := range ch.table {
		c := ch.table[i].Load()
		if c == nil || c.open.Load() == 0 {
			continue
		}
		c.failure, c.execution = cause, executionMaybe
		// The daemon moves request_head after it executed a batch, so a head that has not reached a
		// request proves nothing. What was not sent completely is certain.
		if !c.sent.Load() {
			c.execution = executionNotStarted
		}
		ch.complete(c)
	}
}

// asyncDone collects the error of an asynchronous request, if it is one.
func (s *Session) asyncDone(c *call) {
	if changes(c.op) {
		s.pending.finish(c)
	}
	if c.failure == nil && c.response.Status == 0 {
		return // the usual case, before a Result is built
	}
	result := Result{Failure: c.failure, Execution: c.execution}
	if c.failure == nil {
		result = Result{Status: c.response.Status, Execution: c.response.Execution,
			RetryAfterMs: c.response.RetryAfterMs, Message: string(c.message)}
	}
	s.collectAsync(c.op, c.key, &result)
}

func (s *Session) collectAsync(op uint16, key string, result *Result) {
	// That a key to delete does not exist is no error.
	gone := result.Failure == nil && result.Status == statusNotFound && op == layout.OpDelete
	// Nor that a lease to release has ended by itself, or with the session.
	gone = gone || op == layout.OpRelease
	if gone || result.Failure == nil && result.Status == 0 {
		return
	}
	s.async.Lock()
	defer s.async.Unlock()
	s.async.failed++
	if len(s.async.errors) < maxAsyncErrors {
		s.async.errors = append(s.async.errors, AsyncError{op, key, *result})
	}
}

// AsyncErrors returns and forgets the errors of asynchronous requests: how many there were, and the
// first of them.
func (s *Session) AsyncErrors() (failed uint64, first []AsyncError) {
	s.async.Lock()
	defer s.async.Unlock()
	failed, first = s.async.failed, s.async.errors
	s.async.failed, s.async.errors = 0, nil
	return failed, first
}

// ErrClosed is the cause of a session that its owner closed.
var ErrClosed = errors.New("the client is closed")

// Close ends the session, waits until no caller is inside, and removes the descriptors. The mapping
// goes with the Touches.
func (s *Session) Close(cause error) {
	s.closeOnce.Do(func() {
		s.Fail(cause)
		for _, ch := range s.channels {
			if ch.pump != nil { // Open did not get that far
				ch.pump.Close()
			}
		}
		for _, ch := range s.channels {
			ch.waitUntilLeft()
		}
		_ = syscall.Close(s.doorbell)
	})
}

// waitUntilLeft returns when every call has been released, and nobody will touch the region again.
func (ch *Channel) waitUntilLeft() {
	ch.closing.Store(true)
	for {
		ch.send.Lock()
		free := uint32(0)
		for c := ch.freed.takeAll(); c != nil; {
			next := c.next
			c.next, ch.send.free = ch.send.free, c
			c = next
		}
		for c := ch.send.free; c != nil; c = c.next {
			free++
		}
		left := free == ch.send.created && len(ch.send.waiters) == 0
		ch.send.closed = left
		ch.send.Unlock()
		if left {
			return
		}
		<-ch.released
	}
}
