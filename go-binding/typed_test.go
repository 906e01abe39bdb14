package hearth_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/wire"
)

type person struct {
	Name string
	Age  uint64
}

// capnPerson is what generated accessors do: a struct of one word and one pointer.
func capnPerson() hearth.Codec[person] {
	return hearth.CapnProto(
		func(b *wire.Builder, p person) {
			root := b.Root(1, 1)
			root.SetUint64(0, p.Age)
			root.SetText(0, p.Name)
		},
		func(m *wire.Message) (person, error) {
			root := m.Root()
			if root.Uint64(0) == math.MaxUint64 {
				return person{}, errors.New("too old")
			}
			return person{Name: string(root.TextBytes(0, nil)), Age: root.Uint64(0)}, nil
		})
}

func testCodec[T any](t *testing.T, codec hearth.Codec[T], values ...T) {
	t.Helper()
	for _, value := range values {
		for _, room := range []int{0, 1, 1000} {
			dst := append(make([]byte, 0, 4+room), "dst:"...)
			data, err := codec.Append(dst, value)
			check(t, err)
			if !bytes.HasPrefix(data, []byte("dst:")) {
				t.Fatalf("%T: dst is gone: %q", codec, data)
			}
			data = data[4:]
			got, err := codec.Decode(data)
			check(t, err)
			clear(data) // nothing of it is kept
			if !reflect.DeepEqual(got, value) {
				t.Errorf("%T, %d bytes of room: %v, want %v", codec, room, got, value)
			}
		}
	}
}

func TestCodecsReturnWhatTheyWereGiven(t *testing.T) {
	anna, nobody := person{"Anna", 41}, person{}
	testCodec(t, hearth.JSON[person](), anna, nobody)
	testCodec(t, hearth.JSON[[]string](), []string{"a", "b"}, nil)
	testCodec(t, hearth.Gob[person](), anna, nobody)
	testCodec(t, hearth.Gob[map[string]int](), map[string]int{"a": 1})
	testCodec(t, hearth.Bytes(), []byte("bytes"), []byte{})
	testCodec(t, hearth.String(), "string", "")
	testCodec(t, capnPerson(), anna, nobody)
}

func TestDamagedValuesAreErrors(t *testing.T) {
	for _, codec := range []hearth.Codec[person]{hearth.JSON[person](), hearth.Gob[person](), capnPerson()} {
		data, err := codec.Append(nil, person{"Anna", 41})
		check(t, err)
		for _, damaged := range [][]byte{nil, data[:1], data[:len(data)/2]} {
			if got, err := codec.Decode(damaged); err == nil {
				t.Errorf("%T: %v of %d bytes", codec, got, len(damaged))
			}
		}
		if got, err := codec.Decode(data); err != nil || got.Name != "Anna" {
			t.Errorf("%T after failures: %v, %v", codec, got, err)
		}
	}
	old, err := capnPerson().Append(nil, person{Age: math.MaxUint64})
	check(t, err)
	if _, err := capnPerson().Decode(old); err == nil || err.Error() != "too old" {
		t.Error("the reader's own error is lost:", err)
	}
}

func TestTypedOperations(t *testing.T) {
	_, client, ns := start(t)
	people := hearth.NewTyped(ns, hearth.JSON[person]())
	if people.Namespace() != ns {
		t.Error("another namespace")
	}
	want := func(key string, value person) hearth.Metadata {
		t.Helper()
		got, meta, err := people.Get(background, key)
		if err != nil || got != value {
			t.Fatalf("%s is %v, %v", key, got, err)
		}
		return meta
	}
	if _, _, err := people.Get(background, "anna"); err != hearth.ErrNotFound {
		t.Error(err)
	}
	_, err := people.Replace(background, "anna", person{})
	wantBare(t, 0, err, hearth.ErrNotFound)
	check(t, people.Set(background, "anna", person{"Anna", 41}, hearth.TTL(time.Hour)))
	meta := want("anna", person{"Anna", 41})
	if meta.Expires.IsZero() {
		t.Error("the option is lost")
	}
	_, err = people.Add(background, "anna", person{})
	wantBare(t, 0, err, hearth.ErrExists)
	_, err = people.CompareAndSwap(background, "anna", meta.Version, person{"Anna", 42})
	check(t, err)
	want("anna", person{"Anna", 42})
	_, err = people.Add(background, "ben", person{"Ben", 1})
	check(t, err)
	_, err = people.Replace(background, "ben", person{"Ben", 2})
	check(t, err)
	want("ben", person{"Ben", 2})
	check(t, people.SetAsync(background, "cleo", person{"Cleo", 3}))
	want("cleo", person{"Cleo", 3})
	check(t, client.Flush(background))
	check(t, people.Touch(background, "cleo", hearth.TTL(time.Hour)))
	if existed, err := people.Delete(background, "cleo"); err != nil || !existed {
		t.Error(existed, err)
	}
}

func TestTypedLoads(t *testing.T) {
	_, _, ns := start(t)
	people := hearth.NewTyped(ns, capnPerson())
	loads := 0
	load := func(_ context.Context, key string) (person, error) {
		loads++
		if key == "nobody" {
			return person{}, hearth.ErrNotFound
		}
		return person{key, 41}, nil
	}
	for range 3 {
		got, _, err := people.GetOrLoad(background, "anna", load)
		if err != nil || got != (person{"anna", 41}) {
			t.Fatal(got, err)
		}
		_, meta, err := people.GetOrLoad(background, "nobody", load, hearth.NegativeTTL(time.Minute))
		if err != hearth.ErrNotFound || !meta.KnownAbsent {
			t.Fatal(meta, err)
		}
	}
	if loads != 2 {
		t.Error(loads, "loads")
	}
	makeStale(t, ns, "ben", string(mustEncode(t, person{"old", 1})))
	got, _, err := people.GetOrLoad(background, "ben", load, people.RefreshBy(load, time.Minute))
	if err != nil || got.Name != "old" {
		t.Fatal(got, err)
	}
	for got.Name != "ben" {
		got, _, err = people.Get(background, "ben")
		check(t, err)
	}
	_, _, err = people.GetOrLoad(background, "cleo", load, people.RefreshBy(nil, time.Minute))
	wantError(t, err, hearth.ErrInvalidTTL, hearth.CodeInvalidArgument, hearth.NotStarted)
}

func mustEncode(t testing.TB, p person) []byte {
	data, err := capnPerson().Append(nil, p)
	check(t, err)
	return data
}

func TestTypedErrors(t *testing.T) {
	_, _, ns := start(t)
	floats := hearth.NewTyped(ns, hearth.JSON[float64]())
	wantError(t, floats.Set(background, "k", math.NaN()), hearth.ErrCodec, hearth.CodeInvalidArgument, hearth.NotStarted)
	wantError(t, floats.SetAsync(background, "k", math.NaN()), hearth.ErrCodec, hearth.CodeInvalidArgument, hearth.NotStarted)
	_, _, err := floats.GetOrLoad(background, "k", func(context.Context, string) (float64, error) { return math.NaN(), nil })
	wantError(t, err, hearth.ErrCodec, hearth.CodeInvalidArgument, hearth.NotStarted)
	check(t, ns.Set(background, "k", []byte("no number")))
	_, _, err = floats.Get(background, "k")
	wantError(t, err, hearth.ErrCodec, hearth.CodeInvalidArgument, hearth.Done)
	_, _, err = floats.GetOrLoad(background, "k", func(context.Context, string) (float64, error) {
		t.Error("loaded over a value of another program")
		return 0, nil
	})
	wantError(t, err, hearth.ErrCodec, hearth.CodeInvalidArgument, hearth.Done)
}

func TestTypedAllocatesNothingOfItsOwn(t *testing.T) {
	_, _, ns := start(t)
	type point struct{ x, y uint64 }
	points := hearth.NewTyped(ns, hearth.CapnProto(
		func(b *wire.Builder, p point) {
			root := b.Root(2, 0)
			root.SetUint64(0, p.x)
			root.SetUint64(8, p.y)
		},
		func(m *wire.Message) (point, error) {
			root := m.Root()
			return point{root.Uint64(0), root.Uint64(8)}, nil
		}))
	loads := uint64(0)
	wantNoAllocations(t, "Set", func() { check(t, points.Set(background, "k", point{1, 2})) })
	wantNoAllocations(t, "Get", func() { _, _, _ = points.Get(background, "k") })
	wantNoAllocations(t, "GetOrLoad", func() {
		_, _, _ = points.GetOrLoad(background, "k", func(context.Context, string) (point, error) {
			loads++
			return point{loads, 0}, nil
		})
	})
	if got, _, err := points.Get(background, "k"); err != nil || got != (point{1, 2}) || loads != 0 {
		t.Error(got, err, loads)
	}
}
