package hearth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/session"
)

// LoadFunc gets the value of a key from where it comes from. ErrNotFound, also wrapped, says that there
// is none. Of the slice that it returns nothing is kept.
type LoadFunc func(ctx context.Context, key string) ([]byte, error)

// NegativeTTL makes GetOrLoad remember for d that the loader has returned ErrNotFound: until then every
// process of the host gets ErrNotFound without asking the source. Any write of the key ends it. Such
// entries cannot crowd out values: they have a tenth of the namespace at most, and a namespace that does
// not evict keeps none.
func NegativeTTL(d time.Duration) SetOption { return SetOption{kind: optionNegativeTTL, after: d} }

// RefreshBy makes GetOrLoad refresh stale values in the background: the caller whose turn it is gets the
// stale value at once, like everybody else, and load runs on a goroutine of its own. Its context has the
// values of the caller's, and ends after timeout, which must be positive, or when the client is closed;
// Close waits for it. A load that panics there ends the program, as on any goroutine.
//
// It is an option, with a loader of its own, because most loaders use what their caller has on its stack
// and expect their caller's context; and because GetOrLoad's loader may then be a closure that costs
// nothing while the value is fresh.
func RefreshBy(load LoadFunc, timeout time.Duration) SetOption {
	return SetOption{kind: optionRefresh, load: load, after: timeout}
}

// GetOrLoad appends the value of key to dst, like GetAppend, and gets it from load if it is not there.
// A fresh value costs what GetAppend costs, without an allocation, and load may be a closure.
//
// If it is not there, one caller of the whole host loads it, on its own goroutine, and stores it with
// the options; the others, in this process and in others, sleep until it is there. If the loading
// process dies, or its ctx ends, the next one loads. What load returns is what GetOrLoad returns, also
// where it cannot be stored: because it is too long, the namespace full, or hearthd not running.
// Metadata.Version is 0 then; Expires and StaleAt are zero for every value that was just loaded.
//
// A stale value ([SoftTTL]) is refreshed by one caller of the host, which loads before it returns, or
// in the background with [RefreshBy]. Everybody else gets the stale value at once. So does who should
// refresh it while load fails (load knows, the caller sees Metadata.Stale) or hearthd is not running.
//
// When the key is changed or deleted by anybody while it is being loaded, the loaded value is not
// stored, since it may be older; it is only returned to who has loaded it, whose call began before. Who
// waits for it gets the new value, or loads again.
//
// The loader's error is returned as it is, with dst, to every caller of this process that waits for it;
// other processes try for themselves. ErrNotFound is passed on to them as well, and remembered with
// [NegativeTTL]; a stale value is dropped. If load panics, the panic goes on in its caller, and others
// that wait in this process get ErrLoadPanic. load must not call GetOrLoad with the same key, for which
// it would wait until ctx ends.
//
// Without hearthd, or the right to write, only the callers of this process share a load, and a change by
// another process is not noticed. So it is when a process waits for more keys than half of its response
// rings have room for, 48 for each channel by default ([WithRingBytes]): it loads the others itself.
//
// Errors: load's; ErrNotFound (Metadata.KnownAbsent says whether that is remembered); as *Error:
// ErrInvalidKey, ErrInvalidTTL when it comes to loading, ErrLoadPanic, ErrClosed, ctx's.
func (n *Namespace) GetOrLoad(ctx context.Context, dst []byte, key string, load LoadFunc, options ...SetOption) ([]byte, Metadata, error) {
	value, metadata, err := n.GetAppend(dst, key)
	if err == nil && !metadata.Stale || metadata.KnownAbsent {
		return value, metadata, err
	}
	if err != nil && (errors.Is(err, ErrInvalidKey) || errors.Is(err, ErrClosed)) {
		return value, metadata, err
	}
	p, ok := newLoadPlan(options)
	if !ok {
		return dst, Metadata{}, invalidTTL(ctx, "load", key)
	}
	// A copy: the caller's may be converted from bytes that are used again.
	key = strings.Clone(key)
	if err == nil {
		fresh, done := n.refresh(ctx, key, load, &p)
		if !done {
			return value, metadata, nil
		}
		return fresh.deliver(dst)
	}
	return n.loadMissing(ctx, dst, key, load, &p)
}

// loadPlan is what the options say.
type loadPlan struct {
	hard, soft, negative uint64
	background           LoadFunc
	timeout              time.Duration
}

func newLoadPlan(options []SetOption) (p loadPlan, ok bool) {
	p.hard, p.soft, p.negative, ok = expiries(options)
	for i := range options {
		if o := &options[i]; o.kind == optionRefresh {
			p.background, p.timeout = o.load, o.after
			ok = ok && o.after > 0 && o.load != nil
		}
	}
	return p, ok
}

// loadMissing loads a value that is not there, or waits for who does.
func (n *Namespace) loadMissing(ctx context.Context, dst []byte, key string, load LoadFunc, p *loadPlan) ([]byte, Metadata, error) {
	for {
		f, mine := n.flights.join(key)
		if mine {
			n.fly(ctx, f, key, load, p, true)
			return f.deliver(dst)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return dst, Metadata{}, operationError("load", key, traceOf(ctx).TraceID, &session.Result{Failure: ctx.Err()})
		}
		if !f.again {
			return f.deliver(dst)
		}
		// What there was to share is not for those who came later than it.
		value, metadata, err := n.GetAppend(dst, key)
		if err == nil || metadata.KnownAbsent || errors.Is(err, ErrClosed) {
			return value, metadata, err
		}
	}
}

// refresh loads a stale value anew if nobody else does. Where done is false the stale one is the result.
func (n *Namespace) refresh(ctx context.Context, key string, load LoadFunc, p *loadPlan) (fresh *flight, done bool) {
	f, mine := n.flights.tryJoin(key)
	if !mine {
		return nil, false
	}
	if p.background != nil {
		plan := *p
		started := n.client.spawn(ctx, p.timeout, func(ctx context.Context) {
			n.fly(ctx, f, key, plan.background, &plan, false)
		})
		if !started {
			f.again = true
			n.flights.land(key, f)
		}
		return nil, false
	}
	n.fly(ctx, f, key, load, p, false)
	return f, f.outcome == outcomeLoaded || f.outcome == outcomeAbsent
}

// fly brings a flight to its end: with the value of whoever has filled it in meanwhile, or by loading it.
// A refresh, which does not wait for others, ends without a result if somebody else has the lease. A load
// that cannot wait, because so many do, is this process's own then.
func (n *Namespace) fly(ctx context.Context, f *flight, key string, load LoadFunc, p *loadPlan, wait bool) {
	returned := false
	defer func() {
		if !returned { // load has panicked, or ended its goroutine
			n.release(key, f.token)
			f.err = &Error{Op: "load", Name: key, Code: CodeInternal, Execution: Maybe, sentinel: ErrLoadPanic,
				Message: ErrLoadPanic.Error(), TraceID: traceOf(ctx).TraceID}
		}
		n.flights.land(key, f)
	}()
	if n.lease(ctx, f, key, wait); f.outcome == outcomeNone && (wait || f.token != 0) {
		value, err := load(ctx, key)
		// From here on callers start a flight of their own, so everyone who shares this one came before
		// the fill: had the key been changed before that, the fill would be refused.
		n.flights.leave(key, f)
		n.fill(ctx, f, key, value, err, p)
	}
	f.again = f.again || f.outcome == outcomeNone
	returned = true
}
