package hearth_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

func TestAFreshValueIsNotLoaded(t *testing.T) {
	_, _, ns := start(t)
	check(t, ns.Set(background, "k", []byte("value"), hearth.TTL(time.Hour), hearth.SoftTTL(time.Minute)))
	value, meta, err := ns.GetOrLoad(background, []byte("dst:"), "k", mustNotLoad(t))
	if err != nil || string(value) != "dst:value" || meta.Version == 0 || meta.Stale || meta.Expires.IsZero() {
		t.Fatalf("%q, %+v, %v", value, meta, err)
	}
	buffer, key := make([]byte, 0, 64), []byte("k")
	loads := 0
	wantNoAllocations(t, "GetOrLoad", func() {
		_, _, err = ns.GetOrLoad(background, buffer, string(key), func(context.Context, string) ([]byte, error) {
			loads++
			return nil, nil
		}, hearth.TTL(time.Hour), hearth.Jitter(0.1), hearth.NegativeTTL(time.Second))
	})
	if loads != 0 || err != nil {
		t.Errorf("%d loads, %v", loads, err)
	}
}

func TestOneLoadForAllProcesses(t *testing.T) {
	_, a, b := two(t)
	const keys, callers = 20, 8
	var loads [keys]atomic.Int32
	var all sync.WaitGroup
	for i := range keys {
		for j := range 2 * callers {
			all.Add(1)
			go func() {
				defer all.Done()
				ns, key, want := []*hearth.Namespace{a, b}[j%2], fmt.Sprint("key", i), fmt.Sprint("value", i)
				value, _, err := ns.GetOrLoad(background, []byte("dst:"), key, func(_ context.Context, loading string) ([]byte, error) {
					loads[i].Add(1)
					if loading != key {
						t.Errorf("loads %q, want %q", loading, key)
					}
					return []byte(want), nil
				}, hearth.TTL(time.Hour))
				if err != nil || string(value) != "dst:"+want {
					t.Errorf("%s: %q, %v", key, value, err)
				}
			}()
		}
	}
	all.Wait()
	for i := range loads {
		if n := loads[i].Load(); n != 1 {
			t.Errorf("key %d was loaded %d times", i, n)
		}
	}
	meta := wantValue(t, b, "key0", "value0")
	if d := time.Until(meta.Expires); d < 59*time.Minute || d > time.Hour {
		t.Error("expires in", d)
	}
}

func TestWaitersOfBothProcessesGetTheValue(t *testing.T) {
	_, a, b := two(t)
	first := beginLoad(background, a, "k")
	here := join(a, "k", mustNotLoad(t))
	there := getOrLoad(background, b, "k", mustNotLoad(t))
	meta := first.finish("value", nil).want(t, "value", nil)
	for _, waiter := range []<-chan loaded{here, there} {
		if got := (<-waiter).want(t, "value", nil); got.Version != meta.Version || got.Version == 0 {
			t.Errorf("version %d, want %d", got.Version, meta.Version)
		}
	}
}

func TestAStaleValueIsRefreshedByOneAndServedToOthers(t *testing.T) {
	_, a, b := two(t)
	makeStale(t, a, "k", "old")
	first := beginLoad(background, a, "k")
	for _, ns := range []*hearth.Namespace{a, b} {
		value, meta, err := ns.GetOrLoad(background, nil, "k", mustNotLoad(t))
		if err != nil || string(value) != "old" || !meta.Stale {
			t.Fatalf("%q, %+v, %v", value, meta, err)
		}
	}
	if meta := first.finish("new", nil).want(t, "new", nil); meta.Stale {
		t.Error("a value just loaded is stale")
	}
	wantValue(t, b, "k", "new")
}

func TestAFailedRefreshLeavesTheStaleValue(t *testing.T) {
	_, a, b := two(t)
	makeStale(t, a, "k", "old")
	if meta := beginLoad(background, a, "k").finish("", errors.New("down")).want(t, "old", nil); !meta.Stale {
		t.Error("not stale")
	}
	// The lease is free again.
	if meta := beginLoad(background, b, "k").finish("new", nil).want(t, "new", nil); meta.Stale {
		t.Error("stale")
	}
}

func TestRefreshByLoadsInTheBackground(t *testing.T) {
	daemon, _, ns := start(t)
	makeStale(t, ns, "k", "old")
	type contextKey struct{}
	ctx, cancel := context.WithCancel(context.WithValue(background, contextKey{}, "trace"))
	release, seen := make(chan struct{}), make(chan any, 1)
	load := func(ctx context.Context, key string) ([]byte, error) {
		seen <- ctx.Value(contextKey{})
		<-release
		return []byte("new " + key), ctx.Err()
	}
	value, meta, err := ns.GetOrLoad(ctx, nil, "k", mustNotLoad(t), hearth.RefreshBy(load, time.Hour))
	if err != nil || string(value) != "old" || !meta.Stale {
		t.Fatalf("%q, %+v, %v", value, meta, err)
	}
	cancel() // the caller has gone; the refresh goes on
	if got := <-seen; got != "trace" {
		t.Error("the context has lost its values:", got)
	}
	close(release)
	for value := ""; value != "new k"; {
		got, err := ns.Get(background, "k")
		check(t, err)
		value = string(got)
	}

	other := daemon.Dial(t)
	ns = namespace(t, other, "default")
	makeStale(t, ns, "k", "old")
	began, ended := make(chan struct{}), atomic.Bool{}
	_, _, err = ns.GetOrLoad(background, nil, "k", mustNotLoad(t), hearth.RefreshBy(func(ctx context.Context, _ string) ([]byte, error) {
		close(began)
		<-ctx.Done()
		ended.Store(true)
		return nil, ctx.Err()
	}, time.Hour))
	check(t, err)
	<-began
	check(t, other.Close())
	if !ended.Load() {
		t.Error("Close has not waited for the refresh")
	}
}

func TestALoadersErrorIsEveryonesInItsProcess(t *testing.T) {
	_, a, b := two(t)
	first := beginLoad(background, a, "k")
	here := join(a, "k", mustNotLoad(t))
	there := getOrLoad(background, b, "k", returns("mine"))
	down := errors.New("down")
	first.finish("", down).want(t, "", down)
	(<-here).want(t, "", down)
	(<-there).want(t, "mine", nil)
}

func TestAPanicGoesOnInItsCaller(t *testing.T) {
	for _, goexit := range []bool{false, true} {
		_, a, b := two(t)
		began, goOn, caught := make(chan struct{}), make(chan struct{}), make(chan any, 1)
		go func() {
			defer func() { caught <- recover() }()
			_, _, _ = a.GetOrLoad(background, nil, "k", func(context.Context, string) ([]byte, error) {
				close(began)
				<-goOn
				if goexit {
					runtime.Goexit()
				}
				panic("boom")
			})
		}()
		<-began
		here := join(a, "k", mustNotLoad(t))
		there := getOrLoad(background, b, "k", returns("mine"))
		close(goOn)
		if got := <-caught; !goexit && got != "boom" || goexit && got != nil {
			t.Error("recovered", got)
		}
		outcome := <-here
		outcome.want(t, "", hearth.ErrLoadPanic)
		wantError(t, outcome.err, hearth.ErrLoadPanic, hearth.CodeInternal, hearth.Maybe)
		(<-there).want(t, "mine", nil)
	}
}
