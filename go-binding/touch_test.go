package hearth_test

import (
	"fmt"
	"sync"
	"testing"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

// awaitFrequency waits until hearthd has counted the reads of a key, and keeps it awake meanwhile.
func awaitFrequency(t *testing.T, ns *hearth.Namespace, key string, want uint64) {
	t.Helper()
	for {
		check(t, ns.Set(background, "awake", nil))
		got, found := hearth.FrequencyOf(ns, key)
		if !found {
			t.Fatalf("%q is gone", key)
		}
		if got == want {
			return
		}
		if got > want {
			t.Fatalf("%q has frequency %d, want %d", key, got, want)
		}
	}
}

func TestReadsAreCountedUpToThree(t *testing.T) {
	_, client, ns := start(t)
	check(t, ns.Set(background, "k", []byte("v")))
	awaitFrequency(t, ns, "k", 0)
	_, _, err := ns.GetAppend(nil, "k")
	check(t, err)
	awaitFrequency(t, ns, "k", 1)
	_, err = ns.Get(background, "k")
	check(t, err)
	awaitFrequency(t, ns, "k", 2)
	ns.GetMulti(nil, []hearth.Item{{Key: "k"}})
	awaitFrequency(t, ns, "k", 3)
	if n := hearth.TouchesOf(client); n != 3 {
		t.Fatalf("%d touches of 3 reads", n)
	}
	for range 1000 {
		_, _, err := ns.GetAppend(nil, "k")
		check(t, err)
	}
	check(t, ns.Set(background, "k", []byte("w"))) // keeps its frequency
	_, err = ns.Get(background, "k")
	check(t, err)
	_, _ = ns.Get(background, "missing")
	if n := hearth.TouchesOf(client); n != 3 {
		t.Fatalf("%d touches, 3 of them before the key had frequency 3", n)
	}
}

func TestEveryHitBelowThreeIsTouchedAndAllocatesNothing(t *testing.T) {
	_, client, ns := start(t)
	const keys = 3000
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprint("key ", i)
		check(t, ns.SetAsync(background, names[i], []byte("v")))
	}
	check(t, client.Flush(background))
	buffer := make([]byte, 0, 64)
	i := 0
	if n := testing.AllocsPerRun(keys-1, func() {
		_, _, err := ns.GetAppend(buffer, names[i])
		check(t, err)
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := hearth.TouchesOf(client); n != keys {
		t.Errorf("%d touches of %d first reads", n, keys)
	}
}

func TestCloseWhileReadsAreTouching(t *testing.T) {
	daemon := hearthtest.Start(t)
	const keys = 500
	writer := daemon.Dial(t)
	filled := namespace(t, writer, "default")
	for i := range keys {
		check(t, filled.SetAsync(background, fmt.Sprint("key ", i), []byte("v")))
	}
	check(t, writer.Flush(background))
	rounds := 200
	if testing.Short() {
		rounds = 30
	}
	for round := range rounds {
		client, err := hearth.Dial(background, hearth.WithSocket(daemon.Socket()))
		check(t, err)
		ns := namespace(t, client, "default")
		var reading, done sync.WaitGroup
		for g := range 4 {
			reading.Add(1)
			done.Add(1)
			go func() {
				defer done.Done()
				for i := g; ; i++ {
					if _, err := ns.Get(background, fmt.Sprint("key ", i%keys)); err != nil {
						if err != hearth.ErrClosed {
							t.Errorf("round %d: %v", round, err)
						}
						break
					}
					if i == g+100 {
						reading.Done()
					}
				}
			}()
		}
		reading.Wait()
		check(t, client.Close())
		done.Wait()
	}
}
