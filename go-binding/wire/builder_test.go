package wire_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
)

func TestFramedAndFlat(t *testing.T) {
	var b wire.Builder
	b.ResetFlat(nil, 0)
	b.Root(1, 0).SetUint64(0, 5)
	flat, err := b.Bytes()
	if want := words(structPtr(0, 1, 0), 5); err != nil || !bytes.Equal(flat, want) {
		t.Errorf("flat: % x, %v", flat, err)
	}
	b.ResetFramed(nil, 0)
	b.Root(1, 0).SetUint64(0, 5)
	framed, err := b.Bytes()
	if want := frame(words(structPtr(0, 1, 0), 5)); err != nil || !bytes.Equal(framed, want) {
		t.Errorf("framed: % x, %v", framed, err)
	}
}

// What a reused buffer held before is not in the message.
func TestReuseIsClean(t *testing.T) {
	buf := bytes.Repeat([]byte{0xff}, 256)
	var b wire.Builder
	b.ResetFramed(buf, len(buf))
	root := b.Root(2, 3)
	root.SetText(0, "x")
	root.NewList(1, wire.Layout{Elem: wire.ElemBit}, 3)
	root.NewList(2, wire.Layout{Elem: wire.ElemStruct, Data: 1, Pointers: 1}, 1)
	reused, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if &reused[0] != &buf[0] {
		t.Error("the buffer was not reused")
	}
	b.ResetFramed(nil, 0)
	root = b.Root(2, 3)
	root.SetText(0, "x")
	root.NewList(1, wire.Layout{Elem: wire.ElemBit}, 3)
	root.NewList(2, wire.Layout{Elem: wire.ElemStruct, Data: 1, Pointers: 1}, 1)
	if fresh, err := b.Bytes(); err != nil || !bytes.Equal(fresh, reused) {
		t.Errorf("% x\n% x\n%v", fresh, reused, err)
	}
}

// The limit holds to the byte: a message of exactly that size is built, one word less is not, and
// the buffer is never left for a larger one.
func TestSizeLimit(t *testing.T) {
	build := func(b *wire.Builder) {
		root := b.Root(1, 2)
		root.SetText(0, "12345678") // two words, with its zero
		root.NewList(1, wire.Layout{Elem: wire.ElemStruct, Data: 1}, 2).Struct(1).SetUint64(0, 9)
	}
	const size = 8 + 8 + 3*8 + 2*8 + 3*8
	for limit := range size + 16 {
		buf := make([]byte, 0, limit)
		var b wire.Builder
		b.ResetFramed(buf, max(limit, 1))
		build(&b)
		out, err := b.Bytes()
		if limit < size {
			if !errors.Is(err, wire.ErrTooLarge) || out != nil {
				t.Errorf("limit %d: %d bytes, %v", limit, len(out), err)
			}
		} else if err != nil || len(out) != size || &out[0] != &buf[:1][0] {
			t.Errorf("limit %d: %d bytes, %v", limit, len(out), err)
		}
	}
}

func TestGrowth(t *testing.T) {
	var b wire.Builder
	b.ResetFramed(nil, 100_000)
	root := b.Root(0, 2)
	list := root.NewList(0, wire.Layout{Elem: wire.ElemPointer}, 100)
	for i := range list.Len() {
		list.SetData(i, bytes.Repeat([]byte{byte(i)}, i))
	}
	root.SetText(1, "end")
	out, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var m wire.Message
	if _, err := m.ReadFramed(out); err != nil {
		t.Fatal(err)
	}
	got := wire.DataList(m.Root().List(0, wire.ElemPointer))
	for i := range got.Len() {
		if !bytes.Equal(got.At(i), bytes.Repeat([]byte{byte(i)}, i)) {
			t.Errorf("element %d: % x", i, got.At(i))
		}
	}
	b.ResetFramed(nil, 300)
	b.Root(0, 1).SetData(0, make([]byte, 264))
	if out, err := b.Bytes(); err != nil || len(out) != 8+8+8+264 || cap(out) > 300 {
		t.Errorf("%d bytes in %d, limit 300: %v", len(out), cap(out), err)
	}
	if got.Len() != 100 || m.Root().Text(1, "") != "end" || m.Err() != nil {
		t.Errorf("%d, %v", got.Len(), m.Err())
	}
	b.ResetFramed(nil, 4096)
	if b.Root(0, 1).SetData(0, make([]byte, 4096)); cap(mustFail(t, &b, wire.ErrTooLarge)) != 0 {
		t.Error("bytes beyond the limit")
	}
}

func mustFail(t *testing.T, b *wire.Builder, want error) []byte {
	t.Helper()
	out, err := b.Bytes()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	return out
}

func TestListLengths(t *testing.T) {
	for _, n := range []int{-1, 1 << 29, math.MaxInt} {
		for elem := wire.ElemVoid; elem <= wire.ElemStruct; elem++ {
			var b wire.Builder
			b.ResetFlat(nil, 1<<20)
			l := b.Root(0, 1).NewList(0, wire.Layout{Elem: elem, Data: 65535, Pointers: 65535}, n)
			if l.Len() != 0 {
				t.Errorf("%d elements", l.Len())
			}
			mustFail(t, &b, wire.ErrTooLarge)
		}
	}
}

func TestBuilderIndex(t *testing.T) {
	for _, i := range []int{-1, 2} {
		var b wire.Builder
		b.ResetFlat(nil, 0)
		l := b.Root(0, 1).NewList(0, wire.Layout{Elem: wire.ElemEight}, 2)
		l.SetUint64(i, 1)
		mustFail(t, &b, wire.ErrIndex)
	}
}

// Handles of what could not be allocated can be used without effect; the first error stays.
func TestDeadHandles(t *testing.T) {
	var b wire.Builder
	b.Root(1, 1).SetUint64(0, 1)
	mustFail(t, &b, wire.ErrNotReset)

	b.ResetFlat(nil, 32)
	root := b.Root(1, 1)
	dead := root.NewStruct(0, 2, 2)
	dead.SetUint8(0, 1)
	dead.SetUint16(0, 1)
	dead.SetUint32(0, 1)
	dead.SetUint64(8, 1)
	dead.SetBit(0, true)
	dead.SetText(0, "x")
	dead.SetData(0, nil)
	dead.Clear(0)
	list := dead.NewList(1, wire.Layout{Elem: wire.ElemPointer}, 3)
	list.SetText(0, "x")
	list.NewList(0, wire.Layout{Elem: wire.ElemBit}, 1).SetBit(0, true)
	list.Struct(0).SetUint64(0, 1)
	mustFail(t, &b, wire.ErrTooLarge)

	var s wire.StructBuilder
	var l wire.ListBuilder
	s.SetUint64(0, 1)
	s.NewStruct(0, 1, 1).SetText(0, "x")
	l.SetUint8(0, 1)
}

// A struct without fields is not a null pointer.
func TestEmptyStruct(t *testing.T) {
	var b wire.Builder
	b.ResetFlat(nil, 0)
	b.Root(0, 1).NewStruct(0, 0, 0)
	out, err := b.Bytes()
	if want := words(structPtr(0, 0, 1), structPtr(-1, 0, 0)); err != nil ||
		!bytes.Equal(out, want) {
		t.Errorf("% x, %v", out, err)
	}
	var m wire.Message
	if err := m.ReadFlat(out); err != nil {
		t.Fatal(err)
	}
	if !m.Root().Has(0) || m.Err() != nil {
		t.Errorf("has %v, %v", m.Root().Has(0), m.Err())
	}
}
