package index_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

func BenchmarkHash16(b *testing.B) {
	secret := index.Secret{1, 2, 3, 4}
	var sum uint64
	for b.Loop() {
		sum += index.HashKey(&secret, 7, "user:00001234567")
	}
	_ = sum
}

func BenchmarkHotKey(b *testing.B) {
	for _, size := range []int{0, 64, 1024} {
		b.Run(fmt.Sprint(size, "B"), func(b *testing.B) {
			w, _ := storetest.NewInMemory(storetest.Options{})
			w.Set(storetest.Entry{Key: "user:00001234567", Value: make([]byte, size)})
			ns := w.Namespace(0)
			buffer := make([]byte, 0, size)
			var meta index.Meta
			b.ReportAllocs()
			for b.Loop() {
				key := "user:00001234567"
				if _, result := w.Store.Read(buffer, ns, key, &meta); result != index.Hit {
					b.Fatal("miss")
				}
			}
		})
	}
}

func BenchmarkHotKeyWithExpiry(b *testing.B) {
	w, _ := storetest.NewInMemory(storetest.Options{})
	w.Set(storetest.Entry{Key: "k", Value: make([]byte, 64), HardExpiry: 1 << 50})
	ns := w.Namespace(0)
	buffer := make([]byte, 0, 64)
	var meta index.Meta
	for b.Loop() {
		_, _ = w.Store.Read(buffer, ns, "k", &meta)
	}
}

const million = 1 << 20

func millionKeys() []string {
	keys := make([]string, million)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%011d", i)
	}
	return keys
}

// BenchmarkRandomOfMillion compares a random read of the store with one of a Go map that holds the
// same keys and values, both copying the value out.
func BenchmarkRandomOfMillion(b *testing.B) {
	keys := millionKeys()
	order := rand.New(rand.NewPCG(5, 6)).Perm(million)
	b.Run("map", func(b *testing.B) {
		m := make(map[string][]byte, million)
		for _, key := range keys {
			// Written to: untouched pages would all be one zero page, which is always cached.
			m[key] = bytes.Repeat([]byte{1}, 64)
		}
		buffer := make([]byte, 0, 64)
		i := 0
		b.ResetTimer()
		for b.Loop() {
			_ = append(buffer, m[keys[order[i&(million-1)]]]...)
			i++
		}
	})
	b.Run("store", func(b *testing.B) {
		w, _ := storetest.NewInMemory(storetest.Options{DirectoryBits: 9, SegmentShift: 21, Segments: 80})
		for _, key := range keys {
			w.Set(storetest.Entry{Key: key, Value: make([]byte, 64)})
		}
		ns := w.Namespace(0)
		buffer := make([]byte, 0, 64)
		var meta index.Meta
		i := 0
		b.ResetTimer()
		for b.Loop() {
			key := keys[order[i&(million-1)]]
			if _, result := w.Store.Read(buffer, ns, key, &meta); result != index.Hit {
				b.Fatal("miss")
			}
			i++
		}
	})
}

// BenchmarkFirstReads reads random keys through a mapping that this process has not used before, with
// and without Populate, and reports the percentiles of single reads.
func BenchmarkFirstReads(b *testing.B) {
	const reads = 20000
	options := storetest.Options{DirectoryBits: 9, SegmentShift: 21, Segments: 80}
	fd, err := shm.CreateMemfd("bench", int64(options.Bytes()), true)
	if err != nil {
		b.Fatal(err)
	}
	region, err := shm.Map(fd, true)
	if err != nil {
		b.Fatal(err)
	}
	w := storetest.New(region, options)
	keys := millionKeys()
	for _, key := range keys {
		w.Set(storetest.Entry{Key: key, Value: make([]byte, 64)})
	}
	for _, populate := range []bool{false, true} {
		b.Run(fmt.Sprint("populate=", populate), func(b *testing.B) {
			var took []time.Duration
			buffer := make([]byte, 0, 64)
			var meta index.Meta
			for b.Loop() {
				fresh, err := shm.Map(fd, false)
				if err != nil {
					b.Fatal(err)
				}
				store, err := index.Attach(fresh)
				if err != nil {
					b.Fatal(err)
				}
				ns, _ := store.Namespace(0)
				if populate {
					store.Populate(1<<40, func() bool { return true })
				}
				for range reads {
					key := keys[rand.IntN(million)]
					start := time.Now()
					if _, result := store.Read(buffer, &ns, key, &meta); result != index.Hit {
						b.Fatal("miss")
					}
					took = append(took, time.Since(start))
				}
				_ = fresh.Unmap()
			}
			slices.Sort(took)
			for _, percent := range []int{50, 99} {
				b.ReportMetric(float64(took[len(took)*percent/100]), fmt.Sprintf("p%d-ns", percent))
			}
		})
	}
}
