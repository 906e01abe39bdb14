package hearth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

func TestViewIsTheValueInPlace(t *testing.T) {
	_, client, ns := start(t)
	check(t, ns.Set(background, "k", []byte("value"), hearth.TTL(time.Hour), hearth.SoftTTL(time.Minute)))
	view, err := ns.View("k")
	check(t, err)
	if string(view.Bytes()) != "value" || !view.Valid() {
		t.Fatalf("%q, valid %t", view.Bytes(), view.Valid())
	}
	_, want, err := ns.GetAppend(nil, "k")
	check(t, err)
	if got := view.Metadata(); got != want {
		t.Fatalf("metadata %v, GetAppend says %v", got, want)
	}
	if n := client.HeldViews(); n != 1 {
		t.Fatalf("%d views held", n)
	}
	again := view
	check(t, view.Release())
	if view.Bytes() != nil || view.Valid() || client.HeldViews() != 0 {
		t.Fatal("something is left after Release")
	}
	check(t, view.Release())
	// The record is another view's by now, and a copy of the first one cannot take it away.
	other, err := ns.View("k")
	check(t, err)
	check(t, again.Release())
	if client.HeldViews() != 1 {
		t.Fatal("a copy released another view")
	}
	check(t, other.Release())
	var zero hearth.View
	if zero.Valid() || zero.Bytes() != nil || zero.Metadata() != (hearth.Metadata{}) || zero.Release() != nil {
		t.Fatal("the zero View is not empty")
	}
}

func TestViewOfNothing(t *testing.T) {
	_, client, ns := start(t)
	_, err := ns.View("missing")
	wantIs(t, err, hearth.ErrNotFound)
	_, err = ns.View("")
	wantIs(t, err, hearth.ErrInvalidKey)
	_, err = ns.View(strings.Repeat("k", 1025))
	wantIs(t, err, hearth.ErrInvalidKey)
	if client.HeldViews() != 0 {
		t.Fatal("a miss holds a pin")
	}
	check(t, client.Close())
	_, err = ns.View("k")
	wantIs(t, err, hearth.ErrClosed)
}

func wantIs(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
}

func remove(t *testing.T, ns *hearth.Namespace, key string) {
	t.Helper()
	_, err := ns.Delete(background, key)
	check(t, err)
}

func TestViewsBeyondThePinsAreCopies(t *testing.T) {
	_, client, ns := start(t)
	check(t, ns.Set(background, "k", []byte("value")))
	var views []hearth.View
	for range 80 {
		view, err := ns.View("k")
		check(t, err)
		views = append(views, view)
	}
	if n := client.HeldViews(); n != 64 {
		t.Fatalf("%d pins in use", n)
	}
	check(t, ns.Set(background, "k", []byte("other")))
	for i := range views {
		if string(views[i].Bytes()) != "value" || !views[i].Valid() {
			t.Fatalf("view %d is %q", i, views[i].Bytes())
		}
		check(t, views[i].Release())
	}
	if n := client.HeldViews(); n != 0 {
		t.Fatalf("%d pins left", n)
	}
}

// churn overwrites a few keys until done, so that one segment after the other is compacted.
func churn(t *testing.T, ns *hearth.Namespace, done func(i int) bool) {
	t.Helper()
	value := bytes.Repeat([]byte("x"), 8000)
	for i := 0; !done(i); i++ {
		check(t, ns.Set(background, fmt.Sprint("churn", i%20), value))
	}
}

func startSmall(t *testing.T, config string, opts ...hearth.Option) (*hearthtest.Daemon, *hearth.Client, *hearth.Namespace) {
	t.Helper()
	daemon := hearthtest.Start(t, hearthtest.WithStoreSize("4MiB", "64KiB"), hearthtest.WithConfig(config))
	client := daemon.Dial(t, opts...)
	ns, err := client.Namespace("default")
	check(t, err)
	return daemon, client, ns
}

func TestAViewOutlivesItsEntry(t *testing.T) {
	_, _, ns := startSmall(t, "[limits]\npin_max = \"1m\"\n")
	want := bytes.Repeat([]byte("v"), 8000)
	check(t, ns.Set(background, "k", want))
	view, err := ns.View("k")
	check(t, err)
	remove(t, ns, "k")
	churn(t, ns, func(i int) bool { return i == 5000 }) // ten times the store
	if !view.Valid() || !bytes.Equal(view.Bytes(), want) {
		t.Fatal("the bytes have changed under the view")
	}
	check(t, view.Release())
}

func TestARevokedViewSaysSo(t *testing.T) {
	_, client, ns := startSmall(t, "[limits]\npin_max = \"1ms\"\n")
	check(t, ns.Set(background, "k", []byte("value")))
	view, err := ns.View("k")
	check(t, err)
	remove(t, ns, "k")
	churn(t, ns, func(int) bool { return !view.Valid() })
	wantIs(t, view.Release(), hearth.ErrRevoked)
	if client.HeldViews() != 0 {
		t.Fatal("a revoked view was not given back")
	}
}

func TestAViewOutlivesItsClient(t *testing.T) {
	daemon, client, ns := startSmall(t, "")
	other, err := daemon.Dial(t).Namespace("default")
	check(t, err)
	check(t, ns.Set(background, "k", []byte("value")))
	view, err := ns.View("k")
	check(t, err)
	check(t, client.Close())
	for range 3 {
		runtime.GC()
	}
	if string(view.Bytes()) != "value" {
		t.Fatalf("%q", view.Bytes())
	}
	// Nothing holds the memory any more; it is mapped all the same.
	remove(t, other, "k")
	churn(t, other, func(int) bool { return !view.Valid() })
	_ = bytes.Count(view.Bytes(), []byte("x"))
	wantIs(t, view.Release(), hearth.ErrRevoked)
}

func TestViewsOfManyGoroutinesAreNeverWrong(t *testing.T) {
	_, client, ns := startSmall(t, "[limits]\npin_max = \"1m\"\n")
	const keys = 8
	set := func(key, i int) {
		check(t, ns.Set(background, fmt.Sprint(key), bytes.Repeat([]byte{byte(key), byte(i)}, 500+i%3000)))
	}
	for key := range keys {
		set(key, 0)
	}
	reads := 20000
	if testing.Short() {
		reads = 2000
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range reads {
				key := (i + g) % keys
				view, err := ns.View(fmt.Sprint(key))
				if err != nil {
					t.Error(err)
					return
				}
				b := view.Bytes()
				right := len(b) >= 1000 && bytes.Equal(b, bytes.Repeat(b[:2], len(b)/2)) && b[0] == byte(key)
				if err := view.Release(); err == nil && !right {
					t.Errorf("a wrong value of %d bytes, and Release did not say so", len(b))
				}
			}
		}()
	}
	stop := make(chan struct{})
	go func() { wg.Wait(); close(stop) }()
	for i := 0; ; i++ {
		select {
		case <-stop:
			if n := client.HeldViews(); n != 0 {
				t.Fatalf("%d views held at the end", n)
			}
			return
		default:
			set(i%keys, i)
		}
	}
}

// recorder is a test that only notes what it is told.
type recorder struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestLeakedViewsFailATest(t *testing.T) {
	daemon := hearthtest.Start(t)
	client, err := hearth.Dial(context.Background(), hearth.WithSocket(daemon.Socket()), hearth.WithViewTrace())
	check(t, err)
	defer client.Close()
	ns, err := client.Namespace("default")
	check(t, err)
	check(t, ns.Set(background, "k", []byte("value")))
	for _, leak := range []bool{true, false} {
		test := &recorder{TB: t}
		hearthtest.CheckViews(test, client)
		view, err := ns.View("k")
		check(t, err)
		if !leak {
			check(t, view.Release())
		}
		for _, cleanup := range test.cleanups {
			cleanup()
		}
		text := strings.Join(test.errors, "")
		if leak != strings.Contains(text, "1 hearth.View not released") || leak != strings.Contains(text, "TestLeakedViewsFailATest") {
			t.Errorf("leak %t: %q", leak, text)
		}
		check(t, view.Release())
	}
}
