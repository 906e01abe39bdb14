package hearth_test

import (
	"fmt"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

func TestAClientReadsItsOwnQueuedWrites(t *testing.T) {
	_, _, ns := start(t)
	items := make([]hearth.Item, 10)
	for i := range 500 {
		want := fmt.Sprint(i)
		for j := range items {
			items[j].Key = fmt.Sprint("k", j)
			check(t, ns.SetAsync(background, items[j].Key, []byte(want)))
		}
		wantValue(t, ns, "k0", want)
		if got, err := ns.Get(background, "k1"); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
		got := <-getOrLoad(background, ns, "k2", mustNotLoad(t))
		got.want(t, want, nil)
		ns.GetMulti(nil, items)
		for _, item := range items {
			if item.Err != nil || string(item.Value) != want {
				t.Fatalf("%s: %q, %v; want %s", item.Key, item.Value, item.Err, want)
			}
		}
		check(t, ns.DeleteAsync(background, "k3"))
		if _, err := ns.Get(background, "k3"); err != hearth.ErrNotFound {
			t.Fatal("read after its deletion:", err)
		}
	}
}

func TestReadersOfOtherKeysDoNotWait(t *testing.T) {
	daemon, client, ns := start(t)
	check(t, ns.Set(background, "other", []byte("value")))
	check(t, ns.Set(background, "k", []byte("old")))
	daemon.Pause(t)
	defer daemon.Resume()
	check(t, ns.SetAsync(background, "k", []byte("new")))
	wantValue(t, ns, "other", "value")
	// hearthd does not answer: what is certain is that the old value is not what was written last.
	if value, _, err := ns.GetAppend(nil, "k"); err != hearth.ErrNotFound {
		t.Fatalf("%q, %v", value, err)
	}
	daemon.Resume()
	wantValue(t, ns, "k", "new")
	check(t, client.Flush(background))
	wantNoAllocations(t, "a read after queued writes", func() { _, _, _ = ns.GetAppend(make([]byte, 0, 16), "k") })
}

func TestQueuedWritesThatDieWithTheDaemonAreRespected(t *testing.T) {
	daemon, client, ns := start(t)
	for _, key := range []string{"set", "deleted", "other"} {
		check(t, ns.Set(background, key, []byte("old"), hearth.TTL(time.Hour)))
	}
	daemon.Pause(t)
	check(t, ns.SetAsync(background, "set", []byte("new")))
	check(t, ns.DeleteAsync(background, "deleted"))
	daemon.Kill()
	for range 3 {
		for _, key := range []string{"set", "deleted"} {
			if value, _, err := ns.GetAppend(nil, key); err != hearth.ErrNotFound {
				t.Fatalf("%s: %q, %v", key, value, err)
			}
		}
		wantValue(t, ns, "other", "old")
		for client.Flush(background) == nil {
		}
	}
	(<-getOrLoad(background, ns, "deleted", returns("loaded"))).want(t, "loaded", nil)
}
