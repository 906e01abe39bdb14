package hearth_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

func TestADeleteVoidsTheLoad(t *testing.T) {
	_, a, b := two(t)
	first := beginLoad(background, a, "k")
	here := join(a, "k", returns("newer"))
	_, err := b.Delete(background, "k") // of a key that is not there
	check(t, err)
	if meta := first.finish("older", nil).want(t, "older", nil); meta.Version != 0 {
		t.Error("stored:", meta)
	}
	(<-here).want(t, "newer", nil)
	wantValue(t, b, "k", "newer")
}

func TestASetDuringTheLoadWins(t *testing.T) {
	_, a, b := two(t)
	first := beginLoad(background, a, "k")
	here := join(a, "k", mustNotLoad(t))
	there := getOrLoad(background, b, "k", mustNotLoad(t))
	check(t, b.Set(background, "k", []byte("set")))
	(<-there).want(t, "set", nil) // while the loader goes on
	first.finish("loaded", nil).want(t, "loaded", nil)
	(<-here).want(t, "set", nil)
	wantValue(t, a, "k", "set")
}

func TestAnAsynchronousDeleteVoidsTheLoad(t *testing.T) {
	_, _, ns := start(t)
	first := beginLoad(background, ns, "k")
	check(t, ns.DeleteAsync(background, "k"))
	first.finish("older", nil).want(t, "older", nil)
	if _, err := ns.Get(background, "k"); err != hearth.ErrNotFound {
		t.Error("stored after a delete:", err)
	}
}

func TestWhatDoesNotExistIsRemembered(t *testing.T) {
	_, a, b := two(t)
	gone := fmt.Errorf("row 7: %w", hearth.ErrNotFound)
	first := beginLoad(background, a, "k", hearth.NegativeTTL(time.Minute))
	here := join(a, "k", mustNotLoad(t))
	there := getOrLoad(background, b, "k", mustNotLoad(t))
	if meta := first.finish("ignored", gone).want(t, "", gone); !meta.KnownAbsent {
		t.Errorf("%+v", meta)
	}
	(<-here).want(t, "", hearth.ErrNotFound)
	(<-there).want(t, "", hearth.ErrNotFound)
	for _, ns := range []*hearth.Namespace{a, b} {
		_, meta, err := ns.GetOrLoad(background, nil, "k", mustNotLoad(t))
		if err != hearth.ErrNotFound || !meta.KnownAbsent || time.Until(meta.Expires) > time.Minute || meta.Expires.IsZero() {
			t.Errorf("%+v, %v", meta, err)
		}
		if _, err := ns.Get(background, "k"); err != hearth.ErrNotFound {
			t.Error(err)
		}
	}
	if existed, err := b.Delete(background, "k"); existed || err != nil {
		t.Error(existed, err)
	}
	beginLoad(background, b, "k").finish("value", nil).want(t, "value", nil)
}

func TestWhatDoesNotExistIsToldToWhoWaits(t *testing.T) {
	_, a, b := two(t)
	makeStale(t, a, "k", "old")
	meta := beginLoad(background, a, "k").finish("", hearth.ErrNotFound).want(t, "", hearth.ErrNotFound)
	if meta.KnownAbsent {
		t.Error("remembered without NegativeTTL")
	}
	if _, err := b.Get(background, "k"); err != hearth.ErrNotFound {
		t.Error("the stale value is still there:", err)
	}
	beginLoad(background, b, "k").finish("value", nil).want(t, "value", nil)
}

func TestAHolderThatGoesIsSucceeded(t *testing.T) {
	daemon, a, _ := two(t)
	client := daemon.Dial(t)
	first := beginLoad(background, namespace(t, client, "default"), "k")
	waiting := getOrLoad(background, a, "k", returns("mine"))
	check(t, client.Close())
	(<-waiting).want(t, "mine", nil)
	first.finish("late", nil).want(t, "late", nil)
	wantValue(t, a, "k", "mine")
}

func TestWhoeverGivesUpIsSucceeded(t *testing.T) {
	_, a, b := two(t)
	ctx, cancel := context.WithCancel(background)
	first := beginLoad(ctx, a, "k")
	here := join(a, "k", returns("mine"))
	cancel()
	first.finish("", ctx.Err()).want(t, "", context.Canceled)
	(<-here).want(t, "mine", nil)
	wantValue(t, b, "k", "mine")
}

// Wherever a call is when it is given up, nobody waits for a lease that it has got too late.
func TestNoLeaseIsLeftBehind(t *testing.T) {
	_, a, b := two(t)
	for i := range 500 {
		key := fmt.Sprint(i)
		ctx, cancel := context.WithCancel(background)
		first := getOrLoad(ctx, a, key, func(ctx context.Context, _ string) ([]byte, error) { return nil, ctx.Err() })
		for range i % 50 {
			runtime.Gosched()
		}
		cancel()
		second := getOrLoad(background, b, key, returns("loaded"))
		if got := <-first; got.err != nil && !errors.Is(got.err, context.Canceled) {
			t.Fatal(got.err)
		}
		if got := <-second; got.err != nil || got.value != "loaded" && got.value != "" {
			t.Fatal(got)
		}
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	_, a, b := two(t)
	first := beginLoad(background, a, "k")
	for _, ns := range []*hearth.Namespace{a, b} {
		ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
		_, _, err := ns.GetOrLoad(ctx, nil, "k", mustNotLoad(t))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	first.finish("value", nil).want(t, "value", nil)
}

func TestALoadLongerThanItsDeadlineIsNotWaitedFor(t *testing.T) {
	_, a, b := two(t)
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	first := beginLoad(ctx, a, "k")
	value, _, err := b.GetOrLoad(background, nil, "k", returns("mine"))
	if err != nil || string(value) != "mine" {
		t.Fatalf("%q, %v", value, err)
	}
	first.finish("late", nil).want(t, "late", nil)
	wantValue(t, a, "k", "mine")
}

func TestWhatCannotBeStoredIsReturned(t *testing.T) {
	_, client, ns := start(t)
	large := strings.Repeat("x", int(ns.MaxValueBytes())+1)
	value, meta, err := ns.GetOrLoad(background, nil, "k", returns(large))
	if err != nil || string(value) != large || meta.Version != 0 {
		t.Errorf("%d bytes, %+v, %v", len(value), meta, err)
	}
	full := namespace(t, client, "full")
	for i := 0; ; i++ {
		if err = full.Set(background, fmt.Sprint(i), make([]byte, 256<<10)); err != nil {
			break
		}
	}
	if !errors.Is(err, hearth.ErrStoreFull) {
		t.Fatal(err)
	}
	for range 2 {
		value, meta, err = full.GetOrLoad(background, nil, "k", returns(strings.Repeat("v", 256<<10)))
		if err != nil || len(value) != 256<<10 || meta.Version != 0 {
			t.Errorf("%d bytes, %+v, %v", len(value), meta, err)
		}
	}
}

func TestWithoutADaemonEveryProcessLoads(t *testing.T) {
	daemon, client, ns := start(t)
	makeStale(t, ns, "stale", "old")
	check(t, ns.Set(background, "fresh", []byte("value")))
	daemon.Kill()
	for client.Flush(background) == nil { // until the client has noticed
	}
	first := beginLoad(background, ns, "k")
	here := join(ns, "k", mustNotLoad(t))
	if meta := first.finish("loaded", nil).want(t, "loaded", nil); meta.Version != 0 {
		t.Error(meta)
	}
	(<-here).want(t, "loaded", nil)
	(<-getOrLoad(background, ns, "fresh", mustNotLoad(t))).want(t, "value", nil)
	if meta := (<-getOrLoad(background, ns, "stale", mustNotLoad(t))).want(t, "old", nil); !meta.Stale {
		t.Error(meta)
	}
	(<-getOrLoad(background, ns, "gone", func(context.Context, string) ([]byte, error) {
		return nil, hearth.ErrNotFound
	}, hearth.NegativeTTL(time.Hour))).want(t, "", hearth.ErrNotFound)
	check(t, client.Close())
	_, _, err := ns.GetOrLoad(background, nil, "k", mustNotLoad(t))
	if err != hearth.ErrClosed {
		t.Error(err)
	}
}

func TestWhoWaitsForALoadOutlivesTheDaemon(t *testing.T) {
	daemon, a, b := two(t)
	first := beginLoad(background, a, "k")
	waiting := getOrLoad(background, b, "k", returns("mine"))
	daemon.Kill()
	(<-waiting).want(t, "mine", nil)
	if meta := first.finish("value", nil).want(t, "value", nil); meta.Version != 0 {
		t.Error("stored by a dead daemon:", meta)
	}
}

func TestLoadOptions(t *testing.T) {
	_, _, ns := start(t)
	load := mustNotLoad(t)
	for _, options := range [][]hearth.SetOption{
		{hearth.TTL(0)}, {hearth.SoftTTL(-1)}, {hearth.TTL(time.Second), hearth.SoftTTL(time.Minute)},
		{hearth.NegativeTTL(0)}, {hearth.Jitter(-0.1)}, {hearth.Jitter(1.1)},
		{hearth.RefreshBy(load, 0)}, {hearth.RefreshBy(nil, time.Second)},
	} {
		_, _, err := ns.GetOrLoad(background, nil, "k", load, options...)
		wantError(t, err, hearth.ErrInvalidTTL, hearth.CodeInvalidArgument, hearth.NotStarted)
	}
	_, _, err := ns.GetOrLoad(background, nil, "", load)
	wantError(t, err, hearth.ErrInvalidKey, hearth.CodeInvalidArgument, hearth.NotStarted)

	// Of a set as well, which has no use for NegativeTTL.
	shortest, longest := time.Hour, time.Duration(0)
	for range 200 {
		check(t, ns.Set(background, "k", nil, hearth.TTL(time.Hour), hearth.SoftTTL(time.Hour), hearth.Jitter(0.5), hearth.NegativeTTL(1)))
		meta := wantValue(t, ns, "k", "")
		left := time.Until(meta.Expires)
		shortest, longest = min(shortest, left), max(longest, left)
	}
	if shortest < 29*time.Minute || shortest > 40*time.Minute || longest < 50*time.Minute || longest > time.Hour {
		t.Errorf("from %v to %v", shortest, longest)
	}
}

func TestWhoMayNotWriteLoadsForItself(t *testing.T) {
	_, _, writable := start(t)
	ns := hearth.ReadOnly(writable)
	first := beginLoad(background, ns, "k", hearth.NegativeTTL(time.Hour))
	here := join(ns, "k", mustNotLoad(t))
	if meta := first.finish("value", nil).want(t, "value", nil); meta.Version != 0 {
		t.Error("stored without the right to:", meta)
	}
	(<-here).want(t, "value", nil)
	if _, err := ns.Get(background, "k"); err != hearth.ErrNotFound {
		t.Error(err)
	}
	makeStale(t, writable, "stale", "old")
	(<-getOrLoad(background, ns, "stale", mustNotLoad(t))).want(t, "old", nil)
}

func TestNoExpiryOfALoadedValue(t *testing.T) {
	_, client, _ := start(t)
	short := namespace(t, client, "short")
	(<-getOrLoad(background, short, "default", returns("v"))).want(t, "v", nil)
	if meta := wantValue(t, short, "default", "v"); meta.Expires.IsZero() {
		t.Error("the namespace's default does not apply")
	}
	(<-getOrLoad(background, short, "never", returns("v"), hearth.NoExpiry())).want(t, "v", nil)
	if meta := wantValue(t, short, "never", "v"); !meta.Expires.IsZero() || !meta.StaleAt.IsZero() {
		t.Errorf("%+v", meta)
	}
}
