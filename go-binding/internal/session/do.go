package session

import (
	"context"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/ring"
)

// Outcomes of a request, as the protocol numbers them.
const (
	executionNotStarted = 0
	executionMaybe      = 1
	executionDone       = 2
)

// Statuses that say what an operation has found.
const (
	statusNotFound      = 5
	statusAlreadyExists = 6
	statusAborted       = 10
)

// everydayOutcome says whether a status tells what an operation found, as it does many times a second
// where clients compete: no text is made for it.
func everydayOutcome(op, status uint16) bool {
	return op != layout.OpCall &&
		(status == statusNotFound || status == statusAlreadyExists || status == statusAborted)
}

// Result is what became of a request.
type Result struct {
	Value        []byte // dst and the answer's bytes
	Version      uint64
	Number       int64
	HardExpiryMs uint64
	SoftExpiryMs uint64
	Status       uint16 // 0 is success
	Execution    uint8
	RetryAfterMs uint32
	Message      string
	// Failure is set when there was no answer: ctx's error, *NotSentError, or why the session ended.
	Failure error
}

// Do sends a request and waits for its answer. The answer's bytes are appended to dst, of which
// nobody keeps a reference after Do returned.
func (ch *Channel) Do(ctx context.Context, r *Request, dst []byte, result *Result) {
	*result = Result{Value: dst}
	if err := ctx.Err(); err != nil {
		result.fail(&NotSentError{err}, executionNotStarted)
		return
	}
	long := ch.isLong(r)
	if long {
		if err := ch.acquireLong(ctx); err != nil {
			result.fail(&NotSentError{err}, executionNotStarted)
			return
		}
	}
	c, rang, err := ch.begin(ctx, r, dst, "", false)
	if err == nil && long {
		err = ch.sendRest(ctx, r, c)
	}
	if long {
		<-ch.longSend
	}
	if err != nil {
		// Not all of it was sent, and the server executes complete messages only.
		result.fail(err, executionNotStarted)
		return
	}
	if err := ch.await(ctx, c, rang); err != nil {
		result.fail(err, executionMaybe)
		return
	}
	ch.take(c, len(dst), result)
}

func (r *Result) fail(err error, execution uint8) { r.Failure, r.Execution = err, execution }

// take moves the result out of a complete call and releases it.
func (ch *Channel) take(c *call, length int, result *Result) {
	result.Value = c.dst
	switch {
	case c.failure != nil:
		result.Value = c.dst[:length]
		result.fail(c.failure, c.execution)
	default:
		result.Version, result.Number = c.response.Version, c.response.Number
		result.HardExpiryMs, result.SoftExpiryMs = c.response.HardExpiryMs, c.response.SoftExpiryMs
		result.Status, result.Execution = c.response.Status, c.response.Execution
		result.RetryAfterMs = c.response.RetryAfterMs
		if result.Status != 0 {
			result.Value = c.dst[:length]
			if !everydayOutcome(c.op, result.Status) {
				result.Message = string(c.message)
			}
		}
	}
	ch.release(c)
}

func (ch *Channel) isLong(r *Request) bool {
	return uint64(r.BodyLength+len(r.Key)+len(r.Value)) > ring.MaxPayload(ch.requests.Size)
}

// Start sends a request whose answer only counts if it is an error, which Session.AsyncErrors
// tells then, with key. It waits for room, and for the answer only if the request is a long one: the
// records of that need its call to the end.
func (ch *Channel) Start(ctx context.Context, r *Request, key string) error {
	if err := ctx.Err(); err != nil {
		return &NotSentError{err}
	}
	if ch.isLong(r) {
		var result Result
		ch.Do(ctx, r, nil, &result)
		ch.session.collectAsync(r.Op, key, &result)
		if result.Failure != nil && ch.session.over() && changes(r.Op) {
			ch.session.pending.begin(r.Hash)
			ch.session.pending.lose(r.Target, key)
		}
		return nil
	}
	tracked := changes(r.Op)
	if tracked {
		ch.session.pending.begin(r.Hash) // before anybody else can see the request
	}
	_, _, err := ch.begin(ctx, r, nil, key, true)
	if err != nil && tracked {
		ch.session.pending.end(r.Hash)
	}
	// Answers pile up in the ring, and hold their credit, while nobody waits for one.
	ch.reapOnce()
	return err
}

// acquireLong lets one long request at a time onto the channel: the server accepts a few incomplete
// messages, and two that share the ring only take turns anyway.
func (ch *Channel) acquireLong(ctx context.Context) error {
	select {
	case ch.longSend <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-ch.session.ended:
		return ch.session.Cause()
	}
}

// sendRest sends the records of a long request after the first. Other callers' records come in
// between. If it cannot go on it abandons the call: the server drops incomplete messages at a cancel.
func (ch *Channel) sendRest(ctx context.Context, r *Request, c *call) error {
	payload := r.payload()
	most := ring.MaxPayload(ch.requests.Size)
	sequence := c.open.Load()
	for from := most - 8; from < payload.Len(); {
		n := min(most, payload.Len()-from)
		if err := ch.lockWithRoom(ctx, n, 0); err != nil {
			return ch.abandon(c, err)
		}
		flags := uint16(layout.RecordContinuation)
		if from+n < payload.Len() {
			flags |= layout.RecordMore
		} else {
			c.sent.Store(true)
		}
		ch.put(r, c, sequence, flags, nil, &payload, from, n)
		ch.publish()
		ch.send.Unlock()
		from += n
		// The server may have refused the message already, for its announced length.
		if c.done.Load() != 0 {
			// It goes on waiting for the rest, unless it hears that none will come.
			if from < payload.Len() {
				ch.post(layout.OpCancel, c.id, 0)
			}
			return nil
		}
	}
	return nil
}

// abandon gives up a call whose answer nobody will wait for.
func (ch *Channel) abandon(c *call, err error) error {
	ch.reap.Lock()
	id, finished := c.id, c.done.Load() != 0
	if !finished {
		c.abandoned, c.dst = true, nil
	}
	ch.reap.Unlock()
	if finished {
		ch.release(c)
	} else {
		ch.post(layout.OpCancel, id, 0)
	}
	return err
}
