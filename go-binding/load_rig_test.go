package hearth_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

// mustNotLoad is the loader of calls that need none.
func mustNotLoad(t testing.TB) hearth.LoadFunc {
	return func(context.Context, string) ([]byte, error) {
		t.Error("loaded")
		return nil, errors.New("loaded")
	}
}

// loading is a load that a test lets go on when it likes.
type loading struct {
	began chan struct{}
	goOn  chan loaded
	ended chan loaded
}

type loaded struct {
	value string
	meta  hearth.Metadata
	err   error
}

// beginLoad calls GetOrLoad and returns when its loader runs.
func beginLoad(ctx context.Context, ns *hearth.Namespace, key string, options ...hearth.SetOption) *loading {
	l := &loading{make(chan struct{}), make(chan loaded), make(chan loaded, 1)}
	go func() {
		value, meta, err := ns.GetOrLoad(ctx, nil, key, func(context.Context, string) ([]byte, error) {
			close(l.began)
			next := <-l.goOn
			return []byte(next.value), next.err
		}, options...)
		l.ended <- loaded{string(value), meta, err}
	}()
	<-l.began
	return l
}

func (l *loading) finish(value string, err error) loaded {
	l.goOn <- loaded{value: value, err: err}
	return <-l.ended
}

// getOrLoad starts a call and returns a channel with its outcome.
func getOrLoad(ctx context.Context, ns *hearth.Namespace, key string, load hearth.LoadFunc, options ...hearth.SetOption) <-chan loaded {
	outcome := make(chan loaded, 1)
	go func() {
		value, meta, err := ns.GetOrLoad(ctx, nil, key, load, options...)
		outcome <- loaded{string(value), meta, err}
	}()
	return outcome
}

// join starts a call that waits for another one of its process, and returns when it does.
func join(ns *hearth.Namespace, key string, load hearth.LoadFunc) <-chan loaded {
	outcome := getOrLoad(background, ns, key, load)
	for !hearth.Joined(ns, key) {
		runtime.Gosched()
	}
	return outcome
}

func returns(value string) hearth.LoadFunc {
	return func(context.Context, string) ([]byte, error) { return []byte(value), nil }
}

func (l loaded) want(t testing.TB, value string, err error) hearth.Metadata {
	t.Helper()
	if l.value != value || !errors.Is(l.err, err) {
		t.Fatalf("%q, %v; want %q, %v", l.value, l.err, value, err)
	}
	return l.meta
}

// two are clients of one daemon, as two processes have them.
func two(t testing.TB) (daemon *hearthtest.Daemon, a, b *hearth.Namespace) {
	daemon, _, a = start(t)
	return daemon, a, namespace(t, daemon.Dial(t), "default")
}

// makeStale leaves a value that is stale and served.
func makeStale(t testing.TB, ns *hearth.Namespace, key, value string) {
	t.Helper()
	check(t, ns.Set(background, key, []byte(value), hearth.TTL(time.Hour), hearth.SoftTTL(time.Millisecond)))
	for {
		if _, meta, err := ns.GetAppend(nil, key); err != nil || meta.Stale {
			check(t, err)
			return
		}
	}
}
