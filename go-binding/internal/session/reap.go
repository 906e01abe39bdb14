package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/ring"
)

// errLong is the cause of answers that do not add up.
var errLong = errors.New("an answer in several records does not add up")

// pending is a hint: something has been published that nobody consumed.
func (ch *Channel) pending() bool { return ch.answers.Pending(ch.head.Load()) }

// Reap takes what was answered so far, unless somebody else is at it.
func (ch *Channel) Reap() { ch.reapOnce() }

// reapOnce takes what is there, unless somebody else is at it.
func (ch *Channel) reapOnce() {
	if ch.reap.TryLock() {
		ch.drain()
		ch.settle()
		ch.reap.Unlock()
	}
}

// drain consumes every published answer. Under the reap lock.
func (ch *Channel) drain() {
	if ch.reap.dead || !ch.pending() {
		return
	}
	var raw ring.Header
	var response ring.Response
	consumer := ch.reap.consumer
	for {
		ok, err := consumer.Next(&raw)
		if err != nil {
			ch.reap.dead = true
			ch.session.failLater(err)
			break
		}
		if !ok {
			break
		}
		response.Decode(&raw)
		ch.deliver(&response)
	}
	ch.head.Store(consumer.Head())
	consumer.Release()
	// Credit is room in the ring: only now that the server sees the head moved is there any to give.
	if freed := ch.reap.freed; freed != 0 {
		ch.reap.freed = 0
		ch.reserved.Add(-freed)
	}
	for _, credit := range ch.reap.credits {
		ch.post(layout.OpCredit, credit.callID, credit.space)
	}
	ch.reap.credits = ch.reap.credits[:0]
	ch.roomChanged()
}

// deliver gives the current record to its call. Records that belong to no open call are dropped: a
// restarted daemon may answer twice.
func (ch *Channel) deliver(response *ring.Response) {
	consumer := ch.reap.consumer
	var c *call
	if index := response.CallID & 0xffff; int(index) < len(ch.table) {
		c = ch.table[index].Load()
	}
	if c == nil || response.Sequence == 0 || c.open.Load() != response.Sequence || c.id != response.CallID {
		consumer.Advance()
		return
	}
	more := response.Flags&layout.RecordMore != 0
	switch {
	case response.Status != 0 && !more:
		c.message = consumer.AppendPayload(c.message[:0], 0)
	case more || c.growing:
		ch.collect(c, response)
	case c.abandoned || c.async:
	case uint64(response.Length) > c.limit:
		c.fail(fmt.Errorf("an answer of %d bytes, %d are allowed", response.Length, c.limit))
	default:
		c.dst = consumer.AppendPayload(c.dst, 0)
	}
	bytes := consumer.Advance()
	if more {
		ch.grant(c, bytes)
		return
	}
	if c.growing && c.received != c.total && response.Status == 0 && !c.abandoned {
		c.fail(fmt.Errorf("%w: %d of %d bytes", errLong, c.received, c.total))
	}
	c.response = *response
	ch.complete(c)
}

// collect appends one record of a long answer.
func (ch *Channel) collect(c *call, response *ring.Response) {
	consumer := ch.reap.consumer
	if c.abandoned || c.failure != nil {
		c.growing = true
		return
	}
	from := uint64(0)
	if !c.growing {
		var prefix [8]byte
		if response.Flags&layout.RecordContinuation != 0 || response.Length < uint32(len(prefix)) {
			c.growing = true
			c.fail(errLong)
			return
		}
		head := consumer.AppendPayload(prefix[:0], 0)
		c.total = binary.LittleEndian.Uint64(head)
		from = uint64(len(prefix))
		c.growing = true
		if c.total > c.limit {
			c.fail(fmt.Errorf("an answer of %d bytes, %d are allowed", c.total, c.limit))
			return
		}
		c.dst = slices.Grow(c.dst, int(c.total))
	}
	n := uint64(response.Length) - from
	if n > c.total-c.received {
		c.fail(fmt.Errorf("%w: more than the announced %d bytes", errLong, c.total))
		return
	}
	c.dst = consumer.AppendPayload(c.dst, from)
	c.received += n
}

// fail makes an answer an error; what follows of it is dropped.
func (c *call) fail(err error) {
	if c.failure == nil {
		c.failure, c.execution = err, executionDone
	}
}

// grant returns the room of a consumed record of a long answer to the server. The first time it adds
// credit, since the reservation was made for a short answer.
func (ch *Channel) grant(c *call, bytes uint64) {
	if !c.enlarged {
		c.enlarged = true
		runHook(hookBeforeGrant)
		extra := ch.answers.Size / 4
		if uint64(ch.reserved.Add(int64(extra))) <= ring.Reservable(ch.answers.Size) {
			c.space += extra
			bytes += extra
		} else {
			ch.reserved.Add(-int64(extra))
		}
	}
	ch.reap.credits = append(ch.reap.credits, outboxRecord{layout.OpCredit, c.id, bytes})
}

// complete ends a call whose result is in place. Its credit returns at the end of drain.
func (ch *Channel) complete(c *call) {
	c.open.Store(0)
	ch.reap.freed += int64(c.space)
	switch {
	case c.abandoned:
		ch.release(c)
	case c.async:
		ch.session.asyncDone(c)
		ch.release(c)
	default:
		parked := c.parked
		if parked {
			c.parked = false
			ch.parked.Add(-1)
		}
		// After this the caller may take the result and release the call, unless it is parked: then
		// it waits for the token.
		c.done.Store(1)
		if parked {
			c.notify <- struct{}{}
		}
	}
}
