package hearth_test

import (
	"bytes"
	"errors"
	"testing"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

func TestLargeValues(t *testing.T) {
	const limit = 64<<20 - 1<<12
	daemon := hearthtest.Start(t, hearthtest.WithStoreSize("512MiB", "2MiB"), hearthtest.WithStore(`max_value = "64MiB"`))
	client := daemon.Dial(t)
	ns := namespace(t, client, "default")
	if ns.MaxValueBytes() < limit || ns.MaxValueBytes() > 64<<20 {
		t.Fatal(ns.MaxValueBytes())
	}
	value := make([]byte, ns.MaxValueBytes()+1)
	for i := range value {
		value[i] = byte(i >> 10)
	}
	const quarter, segment = 512 << 10, 2 << 20
	sizes := []int{0, 1, quarter - 1, quarter, quarter + 1, segment - 100, segment, segment + 1, 5 << 20, 639 << 20 / 10,
		len(value) - 1}
	for _, key := range []string{"key", "a key that is longer than sixteen bytes"} {
		for _, size := range sizes {
			check(t, ns.Set(background, key, value[:size]))
			got, err := ns.Get(background, key)
			if err != nil || !bytes.Equal(got, value[:size]) {
				t.Fatalf("%d bytes: %d, %v", size, len(got), err)
			}
		}
	}
	if err := ns.Set(background, "key", value); !errors.Is(err, hearth.ErrValueTooLarge) {
		t.Fatal(err)
	}
	check(t, ns.Set(background, "grows", value[:100]))
	for size := 100; size < 6<<20; size += 1 << 20 {
		_, err := ns.Append(background, "grows", value[size:size+1<<20])
		check(t, err)
	}
	got, err := ns.Get(background, "grows")
	if err != nil || !bytes.Equal(got, value[:100+6<<20]) {
		t.Fatal(len(got), err)
	}
}

// Each value is one byte over and over, so that parts of two values show.
func TestLargeValuesUnderOverwrite(t *testing.T) {
	daemon := hearthtest.Start(t, hearthtest.WithStoreSize("64MiB", "2MiB"))
	writer := namespace(t, daemon.Dial(t), "default")
	reader := namespace(t, daemon.Dial(t), "default")
	sizes := []int{3 << 20, 100, 5 << 20, 1 << 20}
	check(t, writer.Set(background, "key", make([]byte, 7)))
	done := make(chan error)
	go func() {
		defer close(done)
		for i := range 200 {
			if err := writer.Set(background, "key", bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)])); err != nil {
				done <- err
				return
			}
		}
	}()
	reads := 0
	for {
		select {
		case err := <-done:
			check(t, err)
			if reads == 0 {
				t.Error("no reads")
			}
			return
		default:
		}
		value, err := reader.Get(background, "key")
		if err != nil || bytes.Count(value, value[:1]) != len(value) {
			t.Fatalf("%d bytes, %v", len(value), err)
		}
		reads++
	}
}
