package hearth

import (
	"context"
	"encoding/binary"
	"math"
	"strings"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

// The operations of this file look at the entry and write in one step: hearthd executes them one
// after the other, and nothing of any process comes in between. An entry that has expired or was
// flushed is not there for them. What they find, [ErrNotFound], [ErrExists] or [ErrVersionMismatch],
// they return as it is, like a miss of Get, without allocating; everything else is an *Error.

// Add stores a value only if the key is not there, and returns the version of the new entry. If the
// key is there it changes nothing and returns ErrExists with the version of the entry. It allocates
// nothing, with or without options, and keeps neither key nor value.
//
// After a failure with Execution Maybe the value may have been stored. Adding it again is safe, but
// ErrExists may then mean the entry of the first try: who must know whether it was his puts something
// of his own into the value.
//
// Errors: ErrExists; as *Error those of [Namespace.Set].
func (n *Namespace) Add(ctx context.Context, key string, value []byte, options ...SetOption) (version uint64, err error) {
	return n.setIf(ctx, "add", layout.SetIfAbsent, key, value, options)
}

// Replace stores a value only if the key is there, and returns the version of the new entry. The new
// entry has the expiries that the options say, or the namespace's default, as after Set. It allocates
// nothing, and keeps neither key nor value.
//
// After a failure with Execution Maybe the value may have been stored; replacing it again is safe.
//
// Errors: ErrNotFound; as *Error those of [Namespace.Set].
func (n *Namespace) Replace(ctx context.Context, key string, value []byte, options ...SetOption) (version uint64, err error) {
	return n.setIf(ctx, "replace", layout.SetIfPresent, key, value, options)
}

func (n *Namespace) setIf(ctx context.Context, op string, mode uint32, key string, value []byte, options []SetOption) (uint64, error) {
	r, err := n.setRequest(ctx, op, key, value, options)
	if err != nil {
		return 0, err
	}
	binary.LittleEndian.PutUint32(r.Body[layout.SetBodyMode:], mode)
	var result session.Result
	return n.change(ctx, op, &r, &result)
}

// CompareAndSwap stores a value only if the entry still has the version that [Namespace.GetAppend] or
// an earlier operation has returned, and returns the version of the new entry. If it has another one
// it changes nothing and returns ErrVersionMismatch with the version that it has; if the key is not
// there, ErrNotFound. The new entry has the expiries that the options say, or the namespace's
// default. It allocates nothing, and keeps neither key nor value. No entry has version 0: where
// nothing is expected, use [Namespace.Add].
//
// A change that depends on the value is a loop, of which no concurrent change is lost:
//
//	for {
//		value, meta, err := ns.GetAppend(buffer[:0], key)
//		...
//		_, err = ns.CompareAndSwap(ctx, key, meta.Version, changed)
//		if err != hearth.ErrVersionMismatch {
//			return err
//		}
//	}
//
// Versions grow over the whole store and none is given twice, so a version also tells an entry from
// one that was deleted and written anew.
//
// After a failure with Execution Maybe the value may have been stored. Trying again with the same
// version is safe, since it cannot store a second time; ErrVersionMismatch may then mean the entry of
// the first try.
//
// Errors: ErrVersionMismatch, ErrNotFound; as *Error those of [Namespace.Set].
func (n *Namespace) CompareAndSwap(ctx context.Context, key string, version uint64, value []byte, options ...SetOption) (current uint64, err error) {
	r, err := n.setRequest(ctx, "compare and swap", key, value, options)
	if err != nil {
		return 0, err
	}
	hard := binary.LittleEndian.Uint64(r.Body[layout.SetBodyHardTtlMs:])
	soft := binary.LittleEndian.Uint64(r.Body[layout.SetBodySoftTtlMs:])
	r.Op, r.BodyLength = layout.OpCompareAndSwap, layout.CasBodySize
	binary.LittleEndian.PutUint64(r.Body[layout.CasBodyHardTtlMs:], hard)
	binary.LittleEndian.PutUint64(r.Body[layout.CasBodySoftTtlMs:], soft)
	binary.LittleEndian.PutUint32(r.Body[layout.CasBodyKeyLength:], uint32(len(key)))
	binary.LittleEndian.PutUint32(r.Body[layout.CasBodyValueLength:], uint32(len(value)))
	binary.LittleEndian.PutUint64(r.Body[layout.CasBodyExpectedVersion:], version)
	var result session.Result
	return n.change(ctx, "compare and swap", &r, &result)
}

// CounterOption says what Increment and Decrement do where the key is not there.
type CounterOption struct {
	given, invalid bool
	value          int64
	hard, soft     uint64
}

// Initial makes a key that is not there count as value, and the change comes on top: the first
// Increment(ctx, key, 1, Initial(0)) returns 1, and whoever is first, the sum is right. The TTLs are
// those of the entry this creates, without them the namespace's default; an entry that is there keeps
// its own.
func Initial(value int64, ttl ...SetOption) CounterOption {
	hard, soft, ok := ttls(ttl)
	return CounterOption{given: true, invalid: !ok, value: value, hard: hard, soft: soft}
}

// Increment adds delta to a counter and returns its new value and version. The entry keeps its
// expiries. It allocates nothing and keeps no key.
//
// A counter is an entry whose value is a decimal number, with a minus sign in front of a negative one
// and nothing else: Set stores one as []byte("41"), and every Get reads it with strconv.ParseInt. It
// is an int64 and does not wrap around: a change that would leave the range is refused.
//
// Concurrent changes of any number of processes all count. After a failure with Execution Maybe this
// one may have counted, and doing it again could count it twice: it is not safe to repeat. Where an
// exact number matters more than a round trip, use [Namespace.CompareAndSwap], which can be repeated.
//
// Errors: ErrNotFound, without [Initial]; as *Error: ErrNotCounter when the value is no such number,
// ErrCounterRange, both with Execution Done and the counter as it was, and those of [Namespace.Set].
func (n *Namespace) Increment(ctx context.Context, key string, delta int64, options ...CounterOption) (value int64, version uint64, err error) {
	return n.count(ctx, "increment", key, delta, options)
}

// Decrement subtracts delta; everything else is as with [Namespace.Increment]. Counters go below zero.
// A delta of math.MinInt64, which has no opposite, is refused with ErrCounterRange.
func (n *Namespace) Decrement(ctx context.Context, key string, delta int64, options ...CounterOption) (value int64, version uint64, err error) {
	if delta == math.MinInt64 {
		return 0, 0, counterRange(ctx, "decrement", key)
	}
	return n.count(ctx, "decrement", key, -delta, options)
}

func (n *Namespace) count(ctx context.Context, op, key string, delta int64, options []CounterOption) (int64, uint64, error) {
	if len(key) < layout.MinKeyBytes || len(key) > layout.MaxKeyBytes {
		return 0, 0, n.invalidKey(ctx, op, key)
	}
	r := session.Request{Op: layout.OpIncrement, Target: n.view.Handle, Key: key,
		BodyLength: layout.IncrementBodySize}
	hard, soft := uint64(layout.TTLDefault), uint64(layout.TTLDefault)
	for i := range options {
		o := &options[i]
		if o.invalid {
			return 0, 0, invalidTTL(ctx, op, key)
		}
		if o.given {
			hard, soft = o.hard, o.soft
			binary.LittleEndian.PutUint64(r.Body[layout.IncrementBodyInitial:], uint64(o.value))
			binary.LittleEndian.PutUint32(r.Body[layout.IncrementBodyFlags:], layout.IncrementHasInitial)
		}
	}
	binary.LittleEndian.PutUint64(r.Body[layout.IncrementBodyHardTtlMs:], hard)
	binary.LittleEndian.PutUint64(r.Body[layout.IncrementBodySoftTtlMs:], soft)
	binary.LittleEndian.PutUint64(r.Body[layout.IncrementBodyDelta:], uint64(delta))
	binary.LittleEndian.PutUint32(r.Body[layout.IncrementBodyKeyLength:], uint32(len(key)))
	var result session.Result
	version, err := n.change(ctx, op, &r, &result)
	if err != nil {
		return 0, 0, err
	}
	return result.Number, version, nil
}

// Append puts bytes behind the value of a key that is there, and returns the version of the new
// entry, which keeps its expiries. It allocates nothing, and keeps neither key nor value.
//
// Concurrent appends of any number of processes all arrive, each in one piece. Every one rewrites the
// whole value, so this is for values of some KiB. After a failure with Execution Maybe the bytes may
// have been appended, and doing it again could append them twice: it is not safe to repeat.
//
// Errors: ErrNotFound; as *Error: ErrValueTooLarge when the whole value would be longer than
// [Namespace.MaxValueBytes], which leaves it as it was, and those of [Namespace.Set].
func (n *Namespace) Append(ctx context.Context, key string, value []byte) (version uint64, err error) {
	if len(key) < layout.MinKeyBytes || len(key) > layout.MaxKeyBytes {
		return 0, n.invalidKey(ctx, "append", key)
	}
	if uint64(len(value)) > n.maxValueBytes {
		return 0, tooLarge(ctx, "append", key, uint64(len(value)), n.maxValueBytes)
	}
	r := session.Request{Op: layout.OpAppend, Target: n.view.Handle, Key: key, Value: value,
		BodyLength: layout.AppendBodySize}
	binary.LittleEndian.PutUint32(r.Body[layout.AppendBodyKeyLength:], uint32(len(key)))
	binary.LittleEndian.PutUint32(r.Body[layout.AppendBodyValueLength:], uint32(len(value)))
	var result session.Result
	return n.change(ctx, "append", &r, &result)
}

// change sends a request of this file, and returns the version that is there now and what was found.
func (n *Namespace) change(ctx context.Context, op string, r *session.Request, result *session.Result) (uint64, error) {
	trace := stamp(ctx, r)
	n.channel(r.Key).Do(ctx, r, nil, result)
	if result.Failure == nil {
		switch code := Code(result.Status); {
		case code == 0:
			return result.Version, nil
		case code == CodeAlreadyExists:
			return result.Version, ErrExists
		case code == CodeAborted:
			return result.Version, ErrVersionMismatch
		case code == CodeNotFound && Execution(result.Execution) == Done:
			return 0, ErrNotFound
		}
	}
	return 0, operationError(op, r.Key, trace.TraceID, result)
}

func counterRange(ctx context.Context, op, key string) error {
	return &Error{Op: op, Name: strings.Clone(key), Code: CodeOutOfRange, Execution: NotStarted, sentinel: ErrCounterRange,
		Message: "a delta of math.MinInt64 has no opposite", TraceID: traceOf(ctx).TraceID}
}
