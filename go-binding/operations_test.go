package hearth_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

func wantValue(t testing.TB, ns *hearth.Namespace, key, want string) hearth.Metadata {
	t.Helper()
	value, meta, err := ns.GetAppend(nil, key)
	if err != nil || string(value) != want {
		t.Fatalf("%s is %.100q, %v; want %.100q", key, value, err, want)
	}
	return meta
}

// wantBare checks an outcome that is no *Error, and returns the version that came with it.
func wantBare(t testing.TB, version uint64, err, want error) uint64 {
	t.Helper()
	if err != want {
		t.Fatalf("%v (%#v), want %v", err, err, want)
	}
	return version
}

func TestAddStoresOnlyWhereNothingIs(t *testing.T) {
	_, _, ns := start(t)
	first, err := ns.Add(background, "k", []byte("one"), hearth.TTL(time.Hour), hearth.SoftTTL(time.Minute))
	check(t, err)
	meta := wantValue(t, ns, "k", "one")
	if meta.Version != first || time.Until(meta.Expires) < 59*time.Minute || time.Until(meta.StaleAt) > time.Minute {
		t.Errorf("version %d: %+v", first, meta)
	}
	version, err := ns.Add(background, "k", []byte("two"))
	if wantBare(t, version, err, hearth.ErrExists) != first {
		t.Errorf("version %d exists, want %d", version, first)
	}
	wantValue(t, ns, "k", "one")
	_, err = ns.Delete(background, "k")
	check(t, err)
	again, err := ns.Add(background, "k", []byte("three"))
	check(t, err)
	if again <= first {
		t.Errorf("version %d after %d", again, first)
	}
	wantValue(t, ns, "k", "three")
	check(t, ns.Set(background, "brief", []byte("v"), hearth.TTL(time.Millisecond)))
	for err = hearth.ErrExists; err != nil; {
		wantBare(t, 0, err, hearth.ErrExists)
		_, err = ns.Add(background, "brief", []byte("w"))
	}
	wantValue(t, ns, "brief", "w")
}

func TestReplaceNeedsAnEntry(t *testing.T) {
	_, client, ns := start(t)
	version, err := ns.Replace(background, "k", []byte("one"))
	if wantBare(t, version, err, hearth.ErrNotFound) != 0 {
		t.Error("a version of nothing:", version)
	}
	if _, err := ns.Get(background, "k"); err != hearth.ErrNotFound {
		t.Fatal(err)
	}
	check(t, ns.Set(background, "k", []byte("one"), hearth.TTL(time.Hour)))
	version, err = ns.Replace(background, "k", []byte("two"))
	check(t, err)
	if meta := wantValue(t, ns, "k", "two"); meta.Version != version || !meta.Expires.IsZero() {
		t.Errorf("version %d: %+v", version, meta)
	}
	short := namespace(t, client, "short")
	check(t, short.Set(background, "k", []byte("one"), hearth.NoExpiry()))
	_, err = short.Replace(background, "k", []byte("two"))
	check(t, err)
	if meta := wantValue(t, short, "k", "two"); meta.Expires.IsZero() {
		t.Error("the namespace's default TTL does not apply")
	}
}

func TestCompareAndSwapNeedsTheVersion(t *testing.T) {
	_, _, ns := start(t)
	_, err := ns.CompareAndSwap(background, "k", 1, []byte("x"))
	wantBare(t, 0, err, hearth.ErrNotFound)
	check(t, ns.Set(background, "k", []byte("one")))
	version := wantValue(t, ns, "k", "one").Version
	for _, wrong := range []uint64{0, version - 1, version + 1, math.MaxUint64} {
		current, err := ns.CompareAndSwap(background, "k", wrong, []byte("two"))
		if wantBare(t, current, err, hearth.ErrVersionMismatch) != version {
			t.Errorf("current version %d, want %d", current, version)
		}
	}
	wantValue(t, ns, "k", "one")
	next, err := ns.CompareAndSwap(background, "k", version, []byte("two"), hearth.TTL(time.Hour))
	check(t, err)
	if meta := wantValue(t, ns, "k", "two"); meta.Version != next || meta.Expires.IsZero() {
		t.Errorf("version %d: %+v", next, meta)
	}
	// Written anew it is another entry, with the same bytes.
	_, err = ns.Delete(background, "k")
	check(t, err)
	check(t, ns.Set(background, "k", []byte("two")))
	_, err = ns.CompareAndSwap(background, "k", next, []byte("three"))
	wantBare(t, 0, err, hearth.ErrVersionMismatch)
}

func TestIncrementAndDecrement(t *testing.T) {
	_, client, ns := start(t)
	_, _, err := ns.Increment(background, "n", 1)
	wantBare(t, 0, err, hearth.ErrNotFound)
	value, version, err := ns.Increment(background, "n", 5, hearth.Initial(-7, hearth.TTL(time.Hour)))
	if value != -2 || err != nil {
		t.Fatal(value, err)
	}
	expires := wantValue(t, ns, "n", "-2").Expires
	if d := time.Until(expires); d > time.Hour || d < 59*time.Minute {
		t.Errorf("expires in %v", d)
	}
	for _, step := range []struct{ by, want int64 }{{2, 0}, {0, 0}, {math.MaxInt64, math.MaxInt64}, {math.MinInt64, -1}} {
		later, laterVersion, err := ns.Increment(background, "n", step.by, hearth.Initial(1000, hearth.TTL(time.Second)))
		if later != step.want || laterVersion <= version || err != nil {
			t.Fatalf("%+v: %d, version %d after %d, %v", step, later, laterVersion, version, err)
		}
		version = laterVersion
	}
	if value, _, err = ns.Decrement(background, "n", 41); value != -42 || err != nil {
		t.Fatal(value, err)
	}
	if meta := wantValue(t, ns, "n", "-42"); meta.Expires.Sub(expires).Abs() > time.Millisecond {
		t.Errorf("the expiry moved from %v to %v", expires, meta.Expires)
	}
	short := namespace(t, client, "short")
	_, _, err = short.Decrement(background, "n", 1, hearth.Initial(0))
	check(t, err)
	if meta := wantValue(t, short, "n", "-1"); meta.Expires.IsZero() || meta.StaleAt.IsZero() {
		t.Errorf("the namespace's default does not apply: %+v", meta)
	}
	check(t, ns.Set(background, "n", []byte("41")))
	if value, _, err = ns.Increment(background, "n", 1); value != 42 || err != nil {
		t.Fatal(value, err)
	}
}

func TestIncrementRefusesWhatItCannotCount(t *testing.T) {
	_, _, ns := start(t)
	for _, value := range []string{"", "x", "1 ", "+1", "1.5", "9223372036854775808"} {
		check(t, ns.Set(background, "n", []byte(value)))
		_, _, err := ns.Increment(background, "n", 1, hearth.Initial(0))
		e := wantError(t, err, hearth.ErrNotCounter, hearth.CodeFailedPrecondition, hearth.Done)
		if e.Name != "n" || e.Op != "increment" || !strings.Contains(e.Message, "decimal number") {
			t.Errorf("%#v", e)
		}
		wantValue(t, ns, "n", value)
	}
	limit := strconv.FormatInt(math.MaxInt64, 10)
	check(t, ns.Set(background, "n", []byte(limit)))
	_, _, err := ns.Increment(background, "n", 1)
	wantError(t, err, hearth.ErrCounterRange, hearth.CodeOutOfRange, hearth.Done)
	wantValue(t, ns, "n", limit)
	_, _, err = ns.Decrement(background, "n", math.MinInt64)
	wantError(t, err, hearth.ErrCounterRange, hearth.CodeOutOfRange, hearth.NotStarted)
	_, _, err = ns.Increment(background, "n", 1, hearth.Initial(0, hearth.TTL(-1)))
	wantError(t, err, hearth.ErrInvalidTTL, hearth.CodeInvalidArgument, hearth.NotStarted)
	wantValue(t, ns, "n", limit)
}

func TestAppend(t *testing.T) {
	_, _, ns := start(t)
	_, err := ns.Append(background, "k", []byte("x"))
	wantBare(t, 0, err, hearth.ErrNotFound)
	check(t, ns.Set(background, "k", []byte("one"), hearth.TTL(time.Hour)))
	expires := wantValue(t, ns, "k", "one").Expires
	long := strings.Repeat("more", 30<<10) // in parts
	version, err := ns.Append(background, "k", []byte(long))
	check(t, err)
	if meta := wantValue(t, ns, "k", "one"+long); meta.Version != version || meta.Expires.Sub(expires).Abs() > time.Millisecond {
		t.Errorf("version %d, expires %v: %+v", version, expires, meta)
	}
	most := ns.MaxValueBytes()
	check(t, ns.Set(background, "large", make([]byte, most-1)))
	_, err = ns.Append(background, "large", []byte("ab"))
	wantError(t, err, hearth.ErrValueTooLarge, hearth.CodeInvalidArgument, hearth.NotStarted)
	_, err = ns.Append(background, "large", make([]byte, most+1))
	wantError(t, err, hearth.ErrValueTooLarge, hearth.CodeInvalidArgument, hearth.NotStarted)
	if value, err := ns.Get(background, "large"); err != nil || !bytes.Equal(value, make([]byte, most-1)) {
		t.Fatalf("%d bytes, %v", len(value), err)
	}
	_, err = ns.Append(background, "large", []byte("a"))
	check(t, err)
}

func TestConditionsOnArgumentsRightsAndRoom(t *testing.T) {
	daemon, client, ns := start(t)
	calls := func(ns *hearth.Namespace, key string, value []byte) map[string]error {
		errs := map[string]error{}
		_, errs["add"] = ns.Add(background, key, value)
		_, errs["replace"] = ns.Replace(background, key, value)
		_, errs["compare and swap"] = ns.CompareAndSwap(background, key, 1, value)
		_, errs["append"] = ns.Append(background, key, value)
		_, _, errs["increment"] = ns.Increment(background, key, 1, hearth.Initial(0))
		_, _, errs["decrement"] = ns.Decrement(background, key, 1, hearth.Initial(0))
		return errs
	}
	for _, key := range []string{"", strings.Repeat("x", 1025)} {
		for op, err := range calls(ns, key, nil) {
			if e := wantError(t, err, hearth.ErrInvalidKey, hearth.CodeInvalidArgument, hearth.NotStarted); e.Op != op {
				t.Errorf("%s says %s", op, e.Op)
			}
		}
	}
	for op, err := range calls(ns, "too large", make([]byte, ns.MaxValueBytes()+1)) {
		if !strings.HasSuffix(op, "ment") {
			wantError(t, err, hearth.ErrValueTooLarge, hearth.CodeInvalidArgument, hearth.NotStarted)
		}
	}
	_, err := ns.Add(background, "k", nil, hearth.TTL(1e9), hearth.SoftTTL(2e9))
	wantError(t, err, hearth.ErrInvalidTTL, hearth.CodeInvalidArgument, hearth.NotStarted)
	full := namespace(t, client, "full")
	for i := 0; err == nil || !errors.Is(err, hearth.ErrStoreFull); i++ {
		_, err = full.Add(background, fmt.Sprint("k", i), make([]byte, 100<<10))
	}
	wantError(t, err, hearth.ErrStoreFull, hearth.CodeResourceExhausted, hearth.NotStarted)
	_, err = full.Append(background, "k0", make([]byte, 100<<10))
	wantError(t, err, hearth.ErrStoreFull, hearth.CodeResourceExhausted, hearth.NotStarted)
	wantValue(t, full, "k0", string(make([]byte, 100<<10)))
	daemon.Kill()
	for {
		if _, err = ns.Add(background, "k", nil); err != nil {
			break
		}
	}
	for _, err := range calls(ns, "k", nil) {
		wantError(t, err, hearth.ErrNotRunning, hearth.CodeUnavailable, hearth.NotStarted)
	}
}

// inParallel runs work in several goroutines of several clients, each client a session as another
// process would have one, and waits for all of them.
func inParallel(t *testing.T, daemon *hearthtest.Daemon, clients, goroutines int, work func(ns *hearth.Namespace, worker int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for c := range clients {
		ns := namespace(t, daemon.Dial(t, hearth.WithChannels(2)), "default")
		for g := range goroutines {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := work(ns, c*goroutines+g); err != nil {
					t.Error(err)
				}
			}()
		}
	}
	wg.Wait()
}

func TestNoConcurrentIncrementIsLost(t *testing.T) {
	const clients, goroutines, each = 4, 8, 200
	daemon, _, ns := start(t)
	seen := make([]map[int64]bool, clients*goroutines)
	inParallel(t, daemon, clients, goroutines, func(ns *hearth.Namespace, worker int) error {
		seen[worker] = map[int64]bool{}
		for i := range each {
			step := int64(3)
			if i%2 == 1 {
				step = -2
			}
			// All of them may be the first.
			value, _, err := ns.Increment(background, "n", step, hearth.Initial(1000))
			if err != nil {
				return err
			}
			seen[worker][value] = true
			if value, _, err = ns.Increment(background, "unique", 1, hearth.Initial(0)); err != nil {
				return err
			}
			if seen[worker][-value] {
				return fmt.Errorf("%d was returned twice", value)
			}
			seen[worker][-value] = true
		}
		return nil
	})
	wantValue(t, ns, "n", fmt.Sprint(1000+clients*goroutines*each/2))
	wantValue(t, ns, "unique", fmt.Sprint(clients*goroutines*each))
	// Every value of a counter that only grows was returned exactly once.
	all := map[int64]int{}
	for _, values := range seen {
		for value := range values {
			if value < 0 {
				all[value]++
			}
		}
	}
	if len(all) != clients*goroutines*each {
		t.Errorf("%d different values, want %d", len(all), clients*goroutines*each)
	}
}

func TestNoUpdateOfACompareAndSwapLoopIsLost(t *testing.T) {
	const clients, goroutines, each = 4, 4, 60
	daemon, _, ns := start(t)
	check(t, ns.Set(background, "list", nil))
	inParallel(t, daemon, clients, goroutines, func(ns *hearth.Namespace, worker int) error {
		var buffer []byte
		for i := range each {
			for {
				value, meta, err := ns.GetAppend(buffer[:0], "list")
				if err != nil {
					return err
				}
				buffer = fmt.Appendf(value, "%d.%d ", worker, i)
				_, err = ns.CompareAndSwap(background, "list", meta.Version, buffer)
				if err == nil {
					break
				}
				if err != hearth.ErrVersionMismatch {
					return err
				}
			}
		}
		return nil
	})
	wantOncePerWorker(t, ns, "list", clients*goroutines, each)
}

func TestConcurrentAppendsAllArriveWhole(t *testing.T) {
	const clients, goroutines, each = 4, 4, 100
	daemon, _, ns := start(t)
	inParallel(t, daemon, clients, goroutines, func(ns *hearth.Namespace, worker int) error {
		// One of them creates the entry.
		if _, err := ns.Add(background, "list", nil); err != nil && err != hearth.ErrExists {
			return err
		}
		for i := range each {
			if _, err := ns.Append(background, "list", fmt.Appendf(nil, "%d.%d ", worker, i)); err != nil {
				return err
			}
		}
		return nil
	})
	wantOncePerWorker(t, ns, "list", clients*goroutines, each)
}

// wantOncePerWorker checks that each worker's records are there once, in its order.
func wantOncePerWorker(t *testing.T, ns *hearth.Namespace, key string, workers, each int) {
	t.Helper()
	value, err := ns.Get(background, key)
	check(t, err)
	next := make([]int, workers)
	for _, record := range strings.Fields(string(value)) {
		var worker, i int
		if n, err := fmt.Sscanf(record, "%d.%d", &worker, &i); n != 2 || err != nil || worker >= workers || i != next[worker] {
			t.Fatalf("record %q, want number %v: %v", record, next, err)
		}
		next[worker]++
	}
	for worker, n := range next {
		if n != each {
			t.Errorf("%d records of worker %d, want %d", n, worker, each)
		}
	}
}

func TestOnlyOneAddWins(t *testing.T) {
	const clients, goroutines, rounds = 4, 4, 50
	daemon, _, _ := start(t)
	var mutex sync.Mutex
	winners := map[string]int{}
	inParallel(t, daemon, clients, goroutines, func(ns *hearth.Namespace, worker int) error {
		for i := range rounds {
			key := fmt.Sprint("lock", i)
			_, err := ns.Add(background, key, fmt.Append(nil, worker))
			if err == nil {
				mutex.Lock()
				winners[key]++
				mutex.Unlock()
			} else if err != hearth.ErrExists {
				return err
			}
		}
		return nil
	})
	if len(winners) != rounds {
		t.Errorf("%d of %d keys were won", len(winners), rounds)
	}
	for key, n := range winners {
		if n != 1 {
			t.Errorf("%s was won %d times", key, n)
		}
	}
}
