package session

import (
	"context"
	"errors"
	"runtime"
	"slices"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/ring"
)

// roomWaiter is a caller that found no room in the request ring or no credit.
type roomWaiter struct{ wake chan struct{} }

// outboxRecord is a cancel or credit record that did not fit when it was due. It is sent by whoever
// comes first: the next caller, a reaper, or the pump when the server made room.
type outboxRecord struct {
	opcode uint16
	callID uint32
	space  uint64
}

// NotSentError says that a request was never published: certainly it had no effect.
type NotSentError struct{ Cause error }

func (e *NotSentError) Error() string { return e.Cause.Error() }
func (e *NotSentError) Unwrap() error { return e.Cause }

// roomSpins is how often a caller looks for room before it sleeps.
const roomSpins = 64

// lockWithRoom takes the send lock when a record of that payload fits and that much credit is
// left. With an error the lock is not held.
func (ch *Channel) lockWithRoom(ctx context.Context, payload, space uint64) error {
	ch.send.Lock()
	for spins := 0; ; spins++ {
		ok, err := ch.hasRoom(payload, space)
		if err != nil {
			ch.send.Unlock()
			if errors.Is(err, ring.ErrBroken) {
				ch.session.Fail(err)
			}
			return &NotSentError{err}
		}
		if ok {
			return nil
		}
		if spins < roomSpins {
			ch.send.Unlock()
			ch.reapOnce()
			runtime.Gosched()
			ch.session.policy.Burst()
		} else if err := ch.sleepForRoom(ctx, payload, space); err != nil {
			return &NotSentError{err}
		}
		ch.send.Lock()
	}
}

// hasRoom is asked under the send lock.
func (ch *Channel) hasRoom(payload, space uint64) (bool, error) {
	if ch.send.dead != nil {
		return false, ch.send.dead
	}
	ch.flushOutbox()
	if !ch.hasCall() || uint64(ch.reserved.Load())+space > ring.Reservable(ch.answers.Size) {
		return false, nil
	}
	return ch.send.producer.HasRoom(payload)
}

// sleepForRoom waits until there might be room. The send lock is held at the start and not at the
// end.
func (ch *Channel) sleepForRoom(ctx context.Context, payload, space uint64) error {
	w := &roomWaiter{make(chan struct{}, 1)}
	ch.send.waiters = append(ch.send.waiters, w)
	ch.waiting.Add(1)
	// SYNC both client-asleep: bit 1 is set before request_head is looked at once more.
	runHook(hookBeforeRoomArming)
	ch.flag.Set(layout.ClientWaitsForSpace)
	ok, err := ch.hasRoom(payload, space)
	ch.send.Unlock()
	defer ch.removeWaiter(w)
	if ok || err != nil {
		return nil // the caller asks again, and gets the same answer
	}
	// Credit comes back with answers, so this counts as a caller that waits for one.
	ch.reap.Lock()
	ch.parked.Add(1)
	ch.settle()
	ch.reap.Unlock()
	defer func() {
		ch.reap.Lock()
		ch.parked.Add(-1)
		ch.settle()
		ch.reap.Unlock()
	}()
	select {
	case <-w.wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (ch *Channel) removeWaiter(w *roomWaiter) {
	ch.send.Lock()
	defer ch.send.Unlock()
	if i := slices.Index(ch.send.waiters, w); i >= 0 {
		ch.send.waiters = slices.Delete(ch.send.waiters, i, i+1)
		ch.waiting.Add(-1)
		ch.clearSpaceFlag()
	}
	ch.left()
}

func (ch *Channel) clearSpaceFlag() {
	if len(ch.send.waiters) == 0 && len(ch.send.outbox) == 0 && !ch.send.closed {
		ch.flag.Clear(layout.ClientWaitsForSpace)
	}
}

// roomChanged wakes everybody who waits for room and sends what is due. Called after answers were
// consumed and after a ring; the send lock is taken only if somebody waits.
func (ch *Channel) roomChanged() {
	if ch.waiting.Load() == 0 {
		return
	}
	ch.send.Lock()
	defer ch.send.Unlock()
	for _, w := range ch.send.waiters {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	if ch.send.dead == nil {
		ch.flushOutbox()
	}
}

// post sends a record that has no answer, now or as soon as there is room. It never blocks.
func (ch *Channel) post(opcode uint16, callID uint32, space uint64) {
	ch.send.Lock()
	defer ch.send.Unlock()
	if ch.send.dead != nil {
		return
	}
	ch.send.outbox = append(ch.send.outbox, outboxRecord{opcode, callID, space})
	ch.waiting.Add(1)
	ch.flushOutbox()
}

// flushOutbox is called under the send lock.
func (ch *Channel) flushOutbox() {
	if len(ch.send.outbox) == 0 {
		return
	}
	sent := 0
	for _, record := range ch.send.outbox {
		room, err := ch.send.producer.HasRoom(0)
		if !room && err == nil {
			// Ask to be told about room, and look once more.
			ch.flag.Set(layout.ClientWaitsForSpace)
			room, err = ch.send.producer.HasRoom(0)
		}
		if !room || err != nil {
			break
		}
		var header ring.Header
		(&ring.Request{Opcode: record.opcode, CallID: record.callID, ResponseSpace: uint32(record.space)}).Encode(&header)
		ch.send.producer.Put(&header, nil, &ring.Payload{}, 0, 0)
		sent++
	}
	if sent > 0 {
		ch.publish()
		ch.send.outbox = slices.Delete(ch.send.outbox, 0, sent)
		ch.waiting.Add(-int32(sent))
		ch.clearSpaceFlag()
	}
}
