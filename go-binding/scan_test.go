package hearth_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

func scanAll(t *testing.T, ns *hearth.Namespace, options ...hearth.ScanOption) map[string]string {
	t.Helper()
	found := map[string]string{}
	for entry, err := range ns.Scan(options...) {
		check(t, err)
		if _, twice := found[entry.Key()]; twice {
			t.Fatalf("%q came twice while nothing changed", entry.Key())
		}
		found[entry.Key()] = string(entry.Value())
	}
	return found
}

func TestScanIsTheMap(t *testing.T) {
	_, client, ns := start(t)
	want := map[string]string{}
	for i := range 20000 { // more than one page
		key, value := fmt.Sprintf("user:%d", i), fmt.Sprint(i)
		want[key] = value
		check(t, ns.SetAsync(background, key, []byte(value)))
	}
	check(t, ns.Set(background, "other", bytes.Repeat([]byte("x"), 100_000)))
	check(t, client.Flush(background))
	if got := scanAll(t, ns, hearth.Prefix("user:")); !maps.Equal(got, want) {
		t.Fatalf("%d of %d keys, or wrong values", len(got), len(want))
	}
	maps.DeleteFunc(want, func(key, _ string) bool { return !strings.HasPrefix(key, "user:77") })
	if got := scanAll(t, ns, hearth.Prefix("user:77")); !maps.Equal(got, want) {
		t.Fatalf("%d of %d keys, or wrong values", len(got), len(want))
	}
	for entry, err := range ns.Scan(hearth.Prefix("other"), hearth.KeysOnly()) {
		check(t, err)
		if len(entry.Value()) != 0 || entry.ValueLength() != 100_000 {
			t.Fatalf("%d bytes of %d", len(entry.Value()), entry.ValueLength())
		}
	}
	for range ns.Scan() { // may be left at any time
		break
	}
}

func TestScanMetadata(t *testing.T) {
	_, _, ns := start(t)
	check(t, ns.Set(background, "k", []byte("v"), hearth.TTL(time.Hour), hearth.SoftTTL(time.Minute)))
	_, want, err := ns.GetAppend(nil, "k")
	check(t, err)
	scan, err := ns.Scanner()
	check(t, err)
	if !scan.Next() || scan.Metadata() != want {
		t.Fatalf("%v, GetAppend says %v (%v)", scan.Metadata(), want, scan.Err())
	}
	if scan.Next() || scan.Err() != nil {
		t.Fatal("more than one entry, or", scan.Err())
	}
}

func TestACursorGoesOnInAnotherClient(t *testing.T) {
	daemon, client, ns := start(t)
	other, err := daemon.Dial(t).Namespace("default")
	check(t, err)
	const keys = 3000
	for i := range keys {
		check(t, ns.SetAsync(background, fmt.Sprint(i), nil))
	}
	check(t, client.Flush(background))
	found := map[string]int{}
	cursor := ""
	for page := 0; ; page++ {
		from := ns
		if page%2 == 1 {
			from = other
		}
		scan, err := from.Scanner(hearth.FromCursor(cursor), hearth.KeysOnly())
		check(t, err)
		n := 0
		for n < 100 && scan.Next() {
			found[scan.Key()]++
			n++
		}
		check(t, scan.Err())
		cursor = scan.Cursor()
		if n == 0 {
			break
		}
	}
	for key, n := range found {
		if n != 1 {
			t.Fatalf("%s came %d times", key, n)
		}
	}
	if len(found) != keys {
		t.Fatalf("%d keys of %d", len(found), keys)
	}
}

func TestCursorsThatLeadNowhere(t *testing.T) {
	daemon := hearthtest.Start(t, hearthtest.WithNamespace("other"))
	client := daemon.Dial(t)
	ns, err := client.Namespace("default")
	check(t, err)
	other, err := client.Namespace("other")
	check(t, err)
	scan, err := ns.Scanner()
	check(t, err)
	cursor := scan.Cursor()
	_, err = ns.Scanner(hearth.FromCursor(cursor))
	check(t, err)
	for _, text := range []string{"x", cursor + "0", strings.Replace(cursor, cursor[:2], "02", 1), strings.ToUpper(cursor[:84]) + "gg"} {
		_, err = ns.Scanner(hearth.FromCursor(text))
		wantError(t, err, hearth.ErrInvalidCursor, hearth.CodeInvalidArgument, hearth.NotStarted)
	}
	_, err = other.Scanner(hearth.FromCursor(cursor))
	wantError(t, err, hearth.ErrInvalidCursor, hearth.CodeFailedPrecondition, hearth.NotStarted)
	_, _, foreign := start(t)
	_, err = foreign.Scanner(hearth.FromCursor(cursor))
	wantError(t, err, hearth.ErrInvalidCursor, hearth.CodeFailedPrecondition, hearth.NotStarted)
	check(t, client.Close())
	if scan.Next() || scan.Err() != hearth.ErrClosed {
		t.Fatal("a scan of a closed client:", scan.Err())
	}
	_, err = ns.Scanner()
	wantIs(t, err, hearth.ErrClosed)
}

// Every key that stays comes, while hearthd overwrites, splits and evicts at full speed.
func TestScanUnderLoad(t *testing.T) {
	daemon := hearthtest.Start(t, hearthtest.WithStoreSize("16MiB", "64KiB"), hearthtest.WithNamespace("stays", `eviction = "none"`))
	client := daemon.Dial(t)
	stays, err := client.Namespace("stays")
	check(t, err)
	passes, err := client.Namespace("default")
	check(t, err)
	const keys = 1000
	for i := range keys {
		check(t, stays.Set(background, fmt.Sprint(i), []byte("v")))
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = stays.SetAsync(background, fmt.Sprint(i%keys), bytes.Repeat([]byte("v"), 1+i%200))
				_ = passes.SetAsync(background, fmt.Sprint(i), nil)
			}
		}
	}()
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		found := map[string]bool{}
		for entry, err := range stays.Scan() {
			if err != nil {
				t.Error(err)
				break
			}
			if strings.Trim(string(entry.Value()), "v") != "" {
				t.Errorf("%s has the value %q", entry.Key(), entry.Value())
			}
			found[entry.Key()] = true
		}
		if len(found) != keys {
			t.Errorf("%d keys of %d", len(found), keys)
		}
	}
	close(stop)
	<-stopped
	_ = client.Flush(background)
}
