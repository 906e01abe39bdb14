package hearth

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

// Set stores a value. When it returns nil, every reader on the host sees the value or a later one.
// It allocates nothing, with or without options, and keeps neither key nor value.
//
// After a failure with Execution Maybe the value may have been stored; setting it again is safe.
//
// Errors, as *Error: ErrInvalidKey, ErrInvalidTTL, ErrValueTooLarge, ErrPermission, ErrStoreFull,
// ErrNotRunning, ErrClosed, ctx's.
func (n *Namespace) Set(ctx context.Context, key string, value []byte, options ...SetOption) error {
	r, err := n.setRequest(ctx, "set", key, value, options)
	if err != nil {
		return err
	}
	trace := stamp(ctx, &r)
	var result session.Result
	n.channel(key).Do(ctx, &r, nil, &result)
	if result.Failure != nil || result.Status != 0 {
		return operationError("set", key, trace.TraceID, &result)
	}
	return nil
}

// SetAsync queues a Set and returns as soon as it is in the ring, which waits only while the ring is
// full or too many requests are unanswered. What failed, and that everything before was applied, is
// told by [Client.Flush]. Writes of one client to one key are applied in the order in which they
// were called. Reads through this client see the value, and wait for it if it was not applied yet;
// those of others may see the old one until Flush has returned.
//
// Values longer than a quarter of the ring (16 KiB by default) are sent as by Set.
//
// Errors: those that are known at once, as of Set.
func (n *Namespace) SetAsync(ctx context.Context, key string, value []byte, options ...SetOption) error {
	r, err := n.setRequest(ctx, "set", key, value, options)
	if err != nil {
		return err
	}
	return n.start(ctx, &r, "set", key)
}

// setRequest returns its result by value: a pointer to it would make the compiler believe that the
// value is kept, and move the caller's to the heap.
func (n *Namespace) setRequest(ctx context.Context, op, key string, value []byte, options []SetOption) (session.Request, error) {
	if len(key) < layout.MinKeyBytes || len(key) > layout.MaxKeyBytes {
		return session.Request{}, n.invalidKey(ctx, op, key)
	}
	if uint64(len(value)) > n.maxValueBytes {
		return session.Request{}, tooLarge(ctx, op, key, uint64(len(value)), n.maxValueBytes)
	}
	hard, soft, ok := ttls(options)
	if !ok {
		return session.Request{}, invalidTTL(ctx, op, key)
	}
	r := session.Request{Op: layout.OpSet, Target: n.view.Handle, Key: key, Value: value,
		BodyLength: layout.SetBodySize}
	binary.LittleEndian.PutUint64(r.Body[layout.SetBodyHardTtlMs:], hard)
	binary.LittleEndian.PutUint64(r.Body[layout.SetBodySoftTtlMs:], soft)
	binary.LittleEndian.PutUint32(r.Body[layout.SetBodyKeyLength:], uint32(len(key)))
	binary.LittleEndian.PutUint32(r.Body[layout.SetBodyValueLength:], uint32(len(value)))
	return r, nil
}

// Delete removes a key and says whether it was there. When it returns without error, no reader on the
// host sees the value any more. It allocates nothing.
//
// Errors, as *Error: ErrInvalidKey, ErrPermission, ErrNotRunning, ErrClosed, ctx's.
func (n *Namespace) Delete(ctx context.Context, key string) (existed bool, err error) {
	if len(key) < layout.MinKeyBytes || len(key) > layout.MaxKeyBytes {
		return false, n.invalidKey(ctx, "delete", key)
	}
	r := session.Request{Op: layout.OpDelete, Target: n.view.Handle, Key: key}
	keyBody(&r, key)
	trace := stamp(ctx, &r)
	var result session.Result
	n.channel(key).Do(ctx, &r, nil, &result)
	switch {
	case result.Failure == nil && result.Status == 0:
		return true, nil
	case result.Failure == nil && Code(result.Status) == CodeNotFound && Execution(result.Execution) == Done:
		return false, nil
	}
	return false, operationError("delete", key, trace.TraceID, &result)
}

// DeleteAsync queues a Delete; see [Namespace.SetAsync]. That the key does not exist is no error.
func (n *Namespace) DeleteAsync(ctx context.Context, key string) error {
	if len(key) < layout.MinKeyBytes || len(key) > layout.MaxKeyBytes {
		return n.invalidKey(ctx, "delete", key)
	}
	r := session.Request{Op: layout.OpDelete, Target: n.view.Handle, Key: key}
	keyBody(&r, key)
	return n.start(ctx, &r, "delete", key)
}

// Touch gives an existing key new expiries; what no option names takes the namespace's default.
//
// Errors: ErrNotFound; as *Error: ErrInvalidKey, ErrInvalidTTL, ErrPermission, ErrStoreFull,
// ErrNotRunning, ErrClosed, ctx's.
func (n *Namespace) Touch(ctx context.Context, key string, options ...SetOption) error {
	if len(key) < layout.MinKeyBytes || len(key) > layout.MaxKeyBytes {
		return n.invalidKey(ctx, "touch", key)
	}
	hard, soft, ok := ttls(options)
	if !ok {
		return invalidTTL(ctx, "touch", key)
	}
	r := session.Request{Op: layout.OpTouch, Target: n.view.Handle, Key: key, BodyLength: layout.TouchBodySize}
	binary.LittleEndian.PutUint64(r.Body[layout.TouchBodyHardTtlMs:], hard)
	binary.LittleEndian.PutUint64(r.Body[layout.TouchBodySoftTtlMs:], soft)
	binary.LittleEndian.PutUint32(r.Body[layout.TouchBodyKeyLength:], uint32(len(key)))
	trace := stamp(ctx, &r)
	var result session.Result
	n.channel(key).Do(ctx, &r, nil, &result)
	switch {
	case result.Failure == nil && result.Status == 0:
		return nil
	case result.Failure == nil && Code(result.Status) == CodeNotFound && Execution(result.Execution) == Done:
		return ErrNotFound
	}
	return operationError("touch", key, trace.TraceID, &result)
}

func keyBody(r *session.Request, key string) {
	r.BodyLength = layout.KeyBodySize
	binary.LittleEndian.PutUint32(r.Body[layout.KeyBodyKeyLength:], uint32(len(key)))
}

func (n *Namespace) start(ctx context.Context, r *session.Request, op, key string) error {
	trace := stamp(ctx, r)
	r.Hash = n.store.Hash(&n.view, key)
	if err := n.channel(key).Start(ctx, r, key); err != nil {
		return operationError(op, key, trace.TraceID, &session.Result{Failure: err})
	}
	return nil
}

// Flush waits until every asynchronous write that was queued before has been applied or has failed.
// It returns a *FlushError if any failed since the last Flush, or an *Error if it could not wait to
// the end.
func (c *Client) Flush(ctx context.Context) error {
	for i := range c.session.Channels() {
		// hearthd answers in order: what was asked before a ping is answered when the ping is.
		r := session.Request{Op: layout.OpPing}
		trace := stamp(ctx, &r)
		var result session.Result
		c.session.Channel(uint64(i)).Do(ctx, &r, nil, &result)
		if result.Failure != nil || result.Status != 0 {
			return operationError("flush", "", trace.TraceID, &result)
		}
	}
	failed, first := c.session.AsyncErrors()
	if failed == 0 {
		return nil
	}
	e := &FlushError{Failed: failed}
	for i := range first {
		op := "set"
		if first[i].Op == layout.OpDelete {
			op = "delete"
		}
		e.Errors = append(e.Errors, operationError(op, first[i].Key, [16]byte{}, &first[i].Result))
	}
	return e
}

func tooLarge(ctx context.Context, op, name string, length, limit uint64) error {
	return &Error{Op: op, Name: strings.Clone(name), Code: CodeInvalidArgument, Execution: NotStarted, sentinel: ErrValueTooLarge,
		Message: fmt.Sprintf("%d bytes, at most %d are allowed", length, limit), TraceID: traceOf(ctx).TraceID}
}

func invalidTTL(ctx context.Context, op, name string) error {
	return &Error{Op: op, Name: strings.Clone(name), Code: CodeInvalidArgument, Execution: NotStarted, sentinel: ErrInvalidTTL,
		Message: "a TTL is positive, and a soft one is not longer than the hard one", TraceID: traceOf(ctx).TraceID}
}
