package hearth_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

func wantNoAllocations(t *testing.T, what string, f func()) {
	t.Helper()
	for range 100 { // buffers, calls and the policy settle
		f()
	}
	if n := testing.AllocsPerRun(2000, f); n != 0 {
		t.Errorf("%s: %v allocations", what, n)
	}
}

func TestNothingAllocates(t *testing.T) {
	_, client, ns := start(t)
	value := make([]byte, 64)
	buffer := make([]byte, 0, 64)
	check(t, ns.Set(background, "k", value))
	check(t, ns.Set(background, "expires", value, hearth.TTL(time.Hour), hearth.SoftTTL(time.Hour)))
	items := []hearth.Item{{Key: "k"}, {Key: "expires"}, {Key: "missing"}}
	key := append(make([]byte, 0, 8), 'k')
	traced := hearth.WithTrace(background, hearth.TraceContext{TraceID: [16]byte{1}})
	wantNoAllocations(t, "GetAppend", func() { _, _, err := ns.GetAppend(buffer, "k"); check(t, err) })
	wantNoAllocations(t, "GetAppend with expiries", func() { _, _, err := ns.GetAppend(buffer, "expires"); check(t, err) })
	wantNoAllocations(t, "GetAppend on the stack", func() {
		var stack [64]byte
		_, _, err := ns.GetAppend(stack[:0], "k")
		check(t, err)
	})
	wantNoAllocations(t, "GetAppendBytes", func() { _, _, err := ns.GetAppendBytes(buffer, key); check(t, err) })
	wantNoAllocations(t, "a miss", func() { _, _, _ = ns.GetAppend(buffer, "missing") })
	wantNoAllocations(t, "Get of a missing key", func() { _, _ = ns.Get(background, "missing") })
	wantNoAllocations(t, "GetAppend and Delete of converted keys", func() {
		_, _, err := ns.GetAppend(buffer, string(key))
		check(t, err)
		_, err = ns.Delete(background, string(append(key, 'x')))
		check(t, err)
	})
	large := make([]byte, 0, 1000)
	wantNoAllocations(t, "GetMulti", func() { ns.GetMulti(large, items) })
	wantNoAllocations(t, "View", func() {
		view, err := ns.View("expires")
		check(t, err)
		_ = view.Metadata()
		check(t, view.Release())
	})
	wantNoAllocations(t, "Set", func() { check(t, ns.Set(background, "k", value)) })
	wantNoAllocations(t, "Set from the stack", func() {
		var stack [64]byte
		check(t, ns.Set(background, "k", stack[:]))
	})
	wantNoAllocations(t, "Set with TTLs", func() {
		check(t, ns.Set(traced, "k", value, hearth.TTL(time.Hour), hearth.SoftTTL(time.Minute)))
	})
	wantNoAllocations(t, "SetAsync", func() { check(t, ns.SetAsync(background, "k", value)) })
	wantNoAllocations(t, "Touch", func() { check(t, ns.Touch(background, "k", hearth.TTL(time.Hour))) })
	wantNoAllocations(t, "Set and Delete", func() {
		check(t, ns.Set(background, "d", value))
		_, err := ns.Delete(background, "d")
		check(t, err)
	})
	wantNoAllocations(t, "Call", func() {
		_, err := client.Call(background, "hearth.echo", buffer, value)
		check(t, err)
	})
	wantNoAllocations(t, "Namespace", func() { _, err := client.Namespace("default"); check(t, err) })
}

func TestOperationsOnConditionAllocateNothing(t *testing.T) {
	_, _, ns := start(t)
	value := make([]byte, 64)
	key := append(make([]byte, 0, 8), 'k')
	traced := hearth.WithTrace(background, hearth.TraceContext{TraceID: [16]byte{1}})
	check(t, ns.Set(background, "k", value))
	wantNoAllocations(t, "Add and Delete", func() {
		_, err := ns.Add(background, "d", value, hearth.TTL(time.Hour), hearth.SoftTTL(time.Minute))
		check(t, err)
		_, err = ns.Delete(background, "d")
		check(t, err)
	})
	wantNoAllocations(t, "Add of a key that is there", func() { _, _ = ns.Add(background, "k", value) })
	wantNoAllocations(t, "Replace from the stack", func() {
		var stack [64]byte
		_, err := ns.Replace(traced, "k", stack[:], hearth.NoExpiry())
		check(t, err)
	})
	wantNoAllocations(t, "Replace of a missing key", func() { _, _ = ns.Replace(background, "missing", value) })
	var version uint64
	wantNoAllocations(t, "CompareAndSwap", func() {
		current, err := ns.CompareAndSwap(background, "k", version, value, hearth.TTL(time.Hour))
		if version = current; err != nil && err != hearth.ErrVersionMismatch {
			t.Fatal(err)
		}
	})
	wantNoAllocations(t, "CompareAndSwap with a wrong version", func() { _, _ = ns.CompareAndSwap(background, "k", 1, value) })
	wantNoAllocations(t, "Increment and Decrement", func() {
		_, _, err := ns.Increment(background, "n", 3, hearth.Initial(1, hearth.TTL(time.Hour)))
		check(t, err)
		_, _, err = ns.Decrement(background, "n", 2)
		check(t, err)
	})
	wantNoAllocations(t, "Increment of a converted key", func() {
		_, _, err := ns.Increment(background, string(append(key, 'n')), 1, hearth.Initial(0))
		check(t, err)
	})
	check(t, ns.Set(background, "a", nil))
	wantNoAllocations(t, "Append", func() { _, err := ns.Append(background, "a", value[:1]); check(t, err) })
}

const million = 1 << 20

func BenchmarkGetAppend(b *testing.B) {
	_, _, ns := start(b)
	check(b, ns.Set(background, "user:00001234567", make([]byte, 64)))
	buffer := make([]byte, 0, 64)
	b.Run("hot", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := ns.GetAppend(buffer, "user:00001234567"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("miss", func(b *testing.B) {
		for b.Loop() {
			_, _, _ = ns.GetAppend(buffer, "user:00001234568")
		}
	})
	b.Run("sync.Map", func(b *testing.B) {
		var m sync.Map
		m.Store("user:00001234567", make([]byte, 64))
		for b.Loop() {
			v, _ := m.Load("user:00001234567")
			_ = append(buffer, v.([]byte)...)
		}
	})
	keys := make([]string, million)
	model := make(map[string][]byte, million)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%011d", i)
		model[keys[i]] = bytes.Repeat([]byte{1}, 64)
		check(b, ns.SetAsync(background, keys[i], model[keys[i]]))
	}
	order := rand.New(rand.NewPCG(5, 6)).Perm(million)
	b.Run("random of 1 M", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if _, _, err := ns.GetAppend(buffer, keys[order[i&(million-1)]]); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
	b.Run("random of 1 M, Go map", func(b *testing.B) {
		i := 0
		for b.Loop() {
			_ = append(buffer, model[keys[order[i&(million-1)]]]...)
			i++
		}
	})
	b.Run("GetMulti of 64 of 1 M, per key", func(b *testing.B) {
		items := make([]hearth.Item, 64)
		large := make([]byte, 0, 64*64)
		i := 0
		for n := 0; n < b.N; n += len(items) {
			for j := range items {
				items[j].Key = keys[order[i&(million-1)]]
				i++
			}
			ns.GetMulti(large, items)
		}
	})
}

// must is check for loops that are measured: Helper, which check calls, walks the stack.
func must(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkView takes a view and gives it back: as long for a large value as for a small one.
func BenchmarkView(b *testing.B) {
	_, _, ns := start(b)
	for _, size := range []int{64, 4 << 10, 512 << 10} {
		check(b, ns.Set(background, "k", make([]byte, size)))
		b.Run(fmt.Sprintf("%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				view, err := ns.View("k")
				if err != nil || view.Release() != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	_, client, ns := start(b)
	value := make([]byte, 64)
	buffer := make([]byte, 0, 64)
	b.Run("Set", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(b, ns.Set(background, "user:00001234567", value))
		}
	})
	b.Run("SetAsync", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(b, ns.SetAsync(background, "user:00001234567", value))
		}
		check(b, client.Flush(background))
	})
	b.Run("Increment", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _, err := ns.Increment(background, "n", 1, hearth.Initial(0))
			must(b, err)
		}
	})
	b.Run("echo", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := client.Call(background, "hearth.echo", buffer, value)
			must(b, err)
		}
	})
	b.Run("echo from 64 goroutines", func(b *testing.B) {
		b.SetParallelism(64 / runtime.GOMAXPROCS(0))
		b.RunParallel(func(pb *testing.PB) {
			buffer := make([]byte, 0, 64)
			for pb.Next() {
				_, err := client.Call(background, "hearth.echo", buffer, value)
				must(b, err)
			}
		})
	})
	b.Run("Set from 64 goroutines", func(b *testing.B) {
		b.SetParallelism(64 / runtime.GOMAXPROCS(0))
		var next atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			key := fmt.Sprintf("user:%011d", next.Add(1))
			for pb.Next() {
				must(b, ns.Set(background, key, value))
			}
		})
	})
}

func BenchmarkDial(b *testing.B) {
	daemon := hearthtest.Start(b)
	for b.Loop() {
		client, err := hearth.Dial(background, hearth.WithSocket(daemon.Socket()))
		check(b, err)
		_ = client.Close()
	}
}
