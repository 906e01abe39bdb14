package hearth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

var background = context.Background()

func start(t testing.TB, opts ...hearth.Option) (*hearthtest.Daemon, *hearth.Client, *hearth.Namespace) {
	t.Helper()
	daemon := hearthtest.Start(t,
		hearthtest.WithStoreSize("256MiB", "2MiB"),
		hearthtest.WithNamespace("short", `ttl = "1h"`, `soft_ttl = "30m"`),
		hearthtest.WithNamespace("full", `quota_max = "4MiB"`, `eviction = "none"`))
	client := daemon.Dial(t, opts...)
	return daemon, client, namespace(t, client, "default")
}

func namespace(t testing.TB, client *hearth.Client, name string) *hearth.Namespace {
	t.Helper()
	ns, err := client.Namespace(name)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestValuesOfAllSizes(t *testing.T) {
	_, client, ns := start(t)
	other := namespace(t, client, "short")
	for _, size := range []int{0, 1, 63, 64, 1000, 16 << 10, 17 << 10, 100 << 10, 1 << 20, 5 << 20} {
		if uint64(size) > ns.MaxValueBytes() {
			continue
		}
		key := fmt.Sprint("size", size)
		value := bytes.Repeat([]byte{byte(size), 1, 2, 3, 5, 7}, size/6+1)[:size]
		check(t, ns.Set(background, key, value))
		got, meta, err := ns.GetAppend([]byte("before:"), key)
		if err != nil || !bytes.Equal(got, append([]byte("before:"), value...)) {
			t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
		}
		if meta.Version == 0 || !meta.Expires.IsZero() || meta.Stale {
			t.Fatalf("%d bytes: %+v", size, meta)
		}
		if _, err := other.Get(background, key); err != hearth.ErrNotFound {
			t.Fatalf("another namespace has it: %v", err)
		}
	}
	err := ns.Set(background, "too large", make([]byte, ns.MaxValueBytes()+1))
	wantError(t, err, hearth.ErrValueTooLarge, hearth.CodeInvalidArgument, hearth.NotStarted)
}

func wantError(t testing.TB, err, sentinel error, code hearth.Code, execution hearth.Execution) *hearth.Error {
	t.Helper()
	var e *hearth.Error
	if !errors.Is(err, sentinel) || !errors.As(err, &e) || e.Code != code || e.Execution != execution {
		t.Fatalf("%v (%#v); want %v, %v, %v", err, err, sentinel, code, execution)
	}
	return e
}

func TestDeleteTouchAndExpiry(t *testing.T) {
	_, client, ns := start(t)
	check(t, ns.Set(background, "k", []byte("v"), hearth.TTL(time.Hour), hearth.SoftTTL(time.Minute)))
	_, meta, err := ns.GetAppend(nil, "k")
	check(t, err)
	if d := time.Until(meta.Expires); d > time.Hour || d < 59*time.Minute {
		t.Errorf("expires in %v", d)
	}
	if d := time.Until(meta.StaleAt); d > time.Minute || d < 50*time.Second || meta.Stale {
		t.Errorf("stale in %v, %v", d, meta.Stale)
	}
	check(t, ns.Touch(background, "k", hearth.TTL(2*time.Hour), hearth.NoExpiry()))
	_, meta, err = ns.GetAppend(nil, "k")
	check(t, err)
	if !meta.Expires.IsZero() {
		t.Errorf("expires at %v in spite of NoExpiry", meta.Expires)
	}
	if existed, err := ns.Delete(background, "k"); !existed || err != nil {
		t.Fatal(existed, err)
	}
	if existed, err := ns.Delete(background, "k"); existed || err != nil {
		t.Fatal(existed, err)
	}
	if err := ns.Touch(background, "k"); err != hearth.ErrNotFound {
		t.Fatal(err)
	}
	check(t, ns.Set(background, "brief", []byte("v"), hearth.TTL(time.Nanosecond))) // rounded up to 1 ms
	for {
		if _, err := ns.Get(background, "brief"); err == hearth.ErrNotFound {
			break
		}
	}
	short := namespace(t, client, "short")
	check(t, short.Set(background, "k", []byte("v")))
	_, meta, err = short.GetAppend(nil, "k")
	check(t, err)
	if d := time.Until(meta.Expires); d > time.Hour || d < 59*time.Minute {
		t.Errorf("the default TTL expires in %v", d)
	}
	wantError(t, ns.Set(background, "k", nil, hearth.TTL(0)), hearth.ErrInvalidTTL, hearth.CodeInvalidArgument, hearth.NotStarted)
	wantError(t, ns.Set(background, "k", nil, hearth.TTL(1e9), hearth.SoftTTL(2e9)), hearth.ErrInvalidTTL, hearth.CodeInvalidArgument, hearth.NotStarted)
}

func TestKeysAndNames(t *testing.T) {
	_, client, ns := start(t)
	for _, key := range []string{"", strings.Repeat("x", 1025)} {
		wantError(t, ns.Set(background, key, nil), hearth.ErrInvalidKey, hearth.CodeInvalidArgument, hearth.NotStarted)
		_, _, err := ns.GetAppend(nil, key)
		wantError(t, err, hearth.ErrInvalidKey, hearth.CodeInvalidArgument, hearth.NotStarted)
		_, err = ns.Delete(background, key)
		wantError(t, err, hearth.ErrInvalidKey, hearth.CodeInvalidArgument, hearth.NotStarted)
	}
	for _, key := range []string{"x", "\x00", strings.Repeat("y", 1024), "schlüssel"} {
		check(t, ns.Set(background, key, []byte(key)))
		got, _, err := ns.GetAppendBytes(nil, []byte(key))
		if err != nil || string(got) != key {
			t.Fatalf("%q: %q, %v", key, got, err)
		}
	}
	_, err := client.Namespace("nobody")
	wantError(t, err, hearth.ErrUnknownNamespace, hearth.CodeNotFound, hearth.NotStarted)
	_, err = client.Call(background, "nobody.nothing", nil, nil)
	wantError(t, err, hearth.ErrUnknownMethod, hearth.CodeNotFound, hearth.NotStarted)
	if again := namespace(t, client, "default"); again != ns {
		t.Error("a namespace is not remembered")
	}
}

func TestGetMulti(t *testing.T) {
	_, _, ns := start(t)
	var items []hearth.Item
	for i := range 100 {
		key := fmt.Sprint("key", i)
		if i%3 != 0 {
			check(t, ns.Set(background, key, []byte("value of "+key)))
		}
		items = append(items, hearth.Item{Key: key})
	}
	items = append(items, hearth.Item{Key: ""})
	all := ns.GetMulti([]byte("start"), items)
	want := "start"
	for i, item := range items[:100] {
		if i%3 == 0 {
			if item.Err != hearth.ErrNotFound || item.Value != nil {
				t.Fatalf("%s: %q, %v", item.Key, item.Value, item.Err)
			}
			continue
		}
		if item.Err != nil || string(item.Value) != "value of "+item.Key {
			t.Fatalf("%s: %q, %v", item.Key, item.Value, item.Err)
		}
		want += string(item.Value)
	}
	if string(all) != want || !errors.Is(items[100].Err, hearth.ErrInvalidKey) {
		t.Fatalf("%d bytes, want %d; %v", len(all), len(want), items[100].Err)
	}
}

func TestCallSizes(t *testing.T) {
	_, client, _ := start(t)
	for _, size := range []int{0, 1, 64, 16000, 16 << 10, 1 << 20, 64 << 20} {
		request := bytes.Repeat([]byte{1, 2, 3, 5, 7, 11, 13}, size/7+1)[:size]
		got, err := client.Call(background, "hearth.echo", []byte("dst"), request)
		if err != nil || len(got) != size+3 || !bytes.Equal(got[3:], request) {
			t.Fatalf("%d bytes: %d, %v", size, len(got), err)
		}
	}
	_, err := client.Call(background, "hearth.echo", nil, make([]byte, client.Info().MaxMessageBytes+1))
	wantError(t, err, hearth.ErrValueTooLarge, hearth.CodeInvalidArgument, hearth.NotStarted)
}

func TestACallAtALimitIsNotAFullStore(t *testing.T) {
	daemon := hearthtest.Start(t, hearthtest.WithNamespace("full", `quota_max = "4MiB"`, `eviction = "none"`),
		hearthtest.WithConfig("[limits]\nbuffered_per_session = \"64KiB\""))
	client := daemon.Dial(t)
	_, err := client.Call(background, "hearth.echo", nil, make([]byte, 1<<20))
	wantError(t, err, hearth.ErrOverloaded, hearth.CodeResourceExhausted, hearth.NotStarted)
	if errors.Is(err, hearth.ErrStoreFull) {
		t.Error("a Call reports a full store: ", err)
	}
	// More of them than a channel may have incomplete messages: none is left behind.
	one := daemon.Dial(t, hearth.WithChannels(1))
	for range 40 {
		_, err := one.Call(background, "hearth.echo", nil, make([]byte, 1<<20))
		wantError(t, err, hearth.ErrOverloaded, hearth.CodeResourceExhausted, hearth.NotStarted)
	}
	if _, err := one.Call(background, "hearth.echo", nil, []byte("small")); err != nil {
		t.Error("after refused calls: ", err)
	}
	full := namespace(t, client, "full")
	for i := 0; err == nil || !errors.Is(err, hearth.ErrStoreFull); i++ {
		if err = full.Set(background, fmt.Sprint("k", i), make([]byte, 16<<10)); i == 1000 {
			t.Fatal("the namespace does not fill up: ", err)
		}
	}
	wantError(t, err, hearth.ErrStoreFull, hearth.CodeResourceExhausted, hearth.NotStarted)
	if errors.Is(err, hearth.ErrOverloaded) {
		t.Error("a full namespace is reported as overload: ", err)
	}
}

func TestManyGoroutines(t *testing.T) {
	_, client, ns := start(t, hearth.WithChannels(2), hearth.WithRingBytes(16<<10, 16<<10))
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var buffer []byte
			for i := range 300 {
				key := fmt.Sprintf("g%d-%d", g, i%10)
				value := bytes.Repeat([]byte(key), 1+i%50)
				if g == 0 && i%50 == 0 {
					value = bytes.Repeat(value, 100) // long messages among the short ones
				}
				if err := ns.Set(background, key, value); err != nil {
					t.Error(err)
					return
				}
				got, _, err := ns.GetAppend(buffer[:0], key)
				if err != nil || !bytes.Equal(got, value) {
					t.Errorf("%s: %d bytes, %v", key, len(got), err)
					return
				}
				buffer = got
				if i%10 == 0 {
					if echo, err := client.Call(background, "hearth.echo", nil, value); err != nil || !bytes.Equal(echo, value) {
						t.Errorf("echo: %d bytes, %v", len(echo), err)
						return
					}
				}
			}
		}()
	}
	wg.Wait()
}

func TestAsyncWritesAndFlush(t *testing.T) {
	_, client, ns := start(t)
	for i := range 20000 {
		check(t, ns.SetAsync(background, fmt.Sprint("k", i%500), []byte(fmt.Sprint(i)), hearth.TTL(time.Hour)))
	}
	check(t, ns.DeleteAsync(background, "k499"))
	check(t, ns.DeleteAsync(background, "was never there"))
	check(t, ns.SetAsync(background, "large", make([]byte, 200<<10)))
	check(t, client.Flush(background))
	for i := range 499 {
		if got, err := ns.Get(background, fmt.Sprint("k", i)); err != nil || string(got) != fmt.Sprint(19500+i) {
			t.Fatalf("k%d = %q, %v", i, got, err)
		}
	}
	if _, err := ns.Get(background, "k499"); err != hearth.ErrNotFound {
		t.Fatal(err)
	}
	full := namespace(t, client, "full")
	for i := range 100 {
		check(t, full.SetAsync(background, fmt.Sprint("k", i), make([]byte, 100<<10)))
	}
	err := client.Flush(background)
	var flush *hearth.FlushError
	if !errors.As(err, &flush) || !errors.Is(err, hearth.ErrStoreFull) || flush.Failed == 0 {
		t.Fatalf("a full namespace: %v", err)
	}
	var e *hearth.Error
	if errors.As(flush.Errors[0], &e); e == nil || e.Op != "set" || !strings.HasPrefix(e.Name, "k") {
		t.Fatalf("%#v", flush.Errors[0])
	}
	check(t, client.Flush(background))
}

func TestDaemonKilled(t *testing.T) {
	daemon, client, ns := start(t)
	check(t, ns.Set(background, "k", []byte("v")))
	_, err := client.Call(background, "hearth.echo", nil, nil)
	check(t, err)
	daemon.Kill()
	if got, err := ns.Get(background, "k"); err != nil || string(got) != "v" {
		t.Fatalf("reading after the daemon's death: %q, %v", got, err)
	}
	// Until the client has noticed, an operation is in flight when it fails, hence "maybe".
	err = ns.Set(background, "k", []byte("w"))
	var e *hearth.Error
	if !errors.Is(err, hearth.ErrNotRunning) || !errors.As(err, &e) || e.Code != hearth.CodeUnavailable {
		t.Fatal(err)
	}
	wantError(t, ns.Set(background, "k", []byte("w")), hearth.ErrNotRunning, hearth.CodeUnavailable, hearth.NotStarted)
	_, err = client.Namespace("other")
	wantError(t, err, hearth.ErrNotRunning, hearth.CodeUnavailable, hearth.NotStarted)
	if got, err := ns.Get(background, "k"); err != nil || string(got) != "v" {
		t.Fatalf("reading after the session ended: %q, %v", got, err)
	}
	check(t, client.Close())
	if _, err := ns.Get(background, "k"); err != hearth.ErrClosed {
		t.Fatal(err)
	}
}

func TestContexts(t *testing.T) {
	daemon, client, ns := start(t)
	cancelled, cancel := context.WithCancel(background)
	cancel()
	wantError(t, ns.Set(cancelled, "k", nil), context.Canceled, hearth.CodeCancelled, hearth.NotStarted)
	_, err := hearth.Dial(cancelled, hearth.WithSocket(daemon.Socket()))
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	_, err = client.Call(background, "hearth.echo", nil, nil)
	check(t, err)
	// A daemon that does not answer: in flight when the deadline passes.
	daemon.Pause(t)
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	trace := hearth.TraceContext{TraceID: [16]byte{1, 2, 3}}
	e := wantError(t, ns.Set(hearth.WithTrace(ctx, trace), "k", nil), context.DeadlineExceeded, hearth.CodeDeadlineExceeded, hearth.Maybe)
	if e.TraceID != trace.TraceID || !strings.Contains(e.Error(), "010203") {
		t.Errorf("%v has trace id %x", e, e.TraceID)
	}
	daemon.Resume()
	for i := range 1000 { // the late answer disturbs nobody
		check(t, ns.Set(background, fmt.Sprint(i), []byte("v")))
	}
}
