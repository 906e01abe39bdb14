package hearth

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

// lease asks hearthd for the value or for the right to load it, and notes in f what it got: an outcome,
// a token, or neither, where the process must load for itself alone.
func (n *Namespace) lease(ctx context.Context, f *flight, key string, wait bool) {
	if !n.writable {
		return
	}
	ch := n.channel(key)
	if wait = wait && ch.TryWait(); wait {
		defer ch.DoneWaiting()
	}
	// As little credit as can be, since it may be held for long; a long value comes in parts.
	r := session.Request{Op: layout.OpLease, Target: uint32(n.view.ID), Key: key, Space: layout.MinResponseSpace - layout.RecordHeaderBytes,
		Limit: n.maxValueBytes, BodyLength: layout.LeaseBodySize}
	binary.LittleEndian.PutUint32(r.Body[layout.LeaseBodyKeyLength:], uint32(len(key)))
	if !wait {
		binary.LittleEndian.PutUint32(r.Body[layout.LeaseBodyFlags:], layout.LeaseNoWait)
	}
	trace := stamp(ctx, &r)
	var result session.Result
	ch.Do(ctx, &r, nil, &result)
	code := Code(result.Status)
	switch {
	case result.Failure != nil && ctx.Err() == nil:
		if errors.Is(result.Failure, ErrClosed) {
			f.outcome, f.err = outcomeFailed, operationError("load", key, trace.TraceID, &result)
		}
	case result.Failure != nil, code == CodeDeadlineExceeded, code == CodeCancelled:
		f.outcome, f.err = outcomeFailed, operationError("load", key, trace.TraceID, &result)
		f.again = true // the contexts of others may go on
	case code == 0 && result.Number != 0:
		f.token = uint64(result.Number)
	case code == 0:
		f.outcome, f.value, f.metadata = outcomeLoaded, result.Value, n.metadata(&result)
		f.again = true // it was fresh when hearthd looked; others may have come later
	case code == CodeNotFound && Execution(result.Execution) == Done:
		f.outcome, f.err, f.metadata = outcomeAbsent, ErrNotFound, n.absence(&result)
		f.again = true
	}
}

// fill stores what the loader has returned, if the lease allows it, and notes the outcome in f.
func (n *Namespace) fill(ctx context.Context, f *flight, key string, value []byte, err error, p *loadPlan) {
	absent := errors.Is(err, ErrNotFound)
	switch {
	case err != nil && !absent:
		f.outcome, f.err = outcomeFailed, err
		f.again = ctx.Err() != nil // it may be this caller's own impatience
		n.release(key, f.token)
		return
	case absent:
		f.outcome, f.err, value = outcomeAbsent, err, nil
	default:
		f.outcome, f.value = outcomeLoaded, value
	}
	if f.token == 0 {
		return
	}
	if ctx.Err() != nil || uint64(len(value)) > n.maxValueBytes {
		n.release(key, f.token)
		return
	}
	r := n.fillRequest(key, value, f.token, absent, p)
	stamp(ctx, &r)
	var result session.Result
	n.channel(key).Do(ctx, &r, nil, &result)
	switch {
	case result.Failure != nil:
		f.again = true // nobody knows whether the lease was still valid
		n.release(key, f.token)
	case Code(result.Status) == CodeAborted:
		f.again = true
	case result.Status == 0:
		f.metadata = Metadata{Version: result.Version, KnownAbsent: absent && result.Version != 0 && p.negative != 0}
	}
}

func (n *Namespace) fillRequest(key string, value []byte, token uint64, absent bool, p *loadPlan) session.Request {
	r := session.Request{Op: layout.OpFill, Target: uint32(n.view.ID), Key: key, Value: value,
		BodyLength: layout.FillBodySize}
	hard, soft := p.hard, p.soft
	if absent {
		hard, soft = p.negative, 0
		binary.LittleEndian.PutUint32(r.Body[layout.FillBodyFlags:], layout.FillAbsent)
	}
	binary.LittleEndian.PutUint64(r.Body[layout.FillBodyHardTtlMs:], hard)
	binary.LittleEndian.PutUint64(r.Body[layout.FillBodySoftTtlMs:], soft)
	binary.LittleEndian.PutUint64(r.Body[layout.FillBodyToken:], token)
	binary.LittleEndian.PutUint32(r.Body[layout.FillBodyKeyLength:], uint32(len(key)))
	binary.LittleEndian.PutUint32(r.Body[layout.FillBodyValueLength:], uint32(len(value)))
	return r
}

// releaseTimeout bounds how long a release waits for room in the ring; the lease then lasts as long as
// the session, or the deadline of its caller.
const releaseTimeout = time.Second

// release gives a lease back, without waiting for the answer: what it says changes nothing here. Not
// under the caller's context, which may have ended.
func (n *Namespace) release(key string, token uint64) {
	if token == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	r := session.Request{Op: layout.OpRelease, Target: uint32(n.view.ID), Key: key, BodyLength: layout.ReleaseBodySize}
	binary.LittleEndian.PutUint64(r.Body[layout.ReleaseBodyToken:], token)
	binary.LittleEndian.PutUint32(r.Body[layout.ReleaseBodyKeyLength:], uint32(len(key)))
	_ = n.channel(key).Start(ctx, &r, key)
}
