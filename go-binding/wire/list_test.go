package wire_test

import (
	"math"
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
)

// Which encodings of a list can be read as which: true where the encoding specification permits.
func TestListCompatibility(t *testing.T) {
	sizes := []wire.Elem{wire.ElemVoid, wire.ElemBit, wire.ElemByte, wire.ElemTwo, wire.ElemFour,
		wire.ElemEight, wire.ElemPointer, wire.ElemStruct}
	encodings := map[string]struct {
		pointer uint64
		rest    []uint64
		ok      string // per size in sizes
	}{
		"void":    {listPtr(0, wire.ElemVoid, 1), nil, "y------y"},
		"bit":     {listPtr(0, wire.ElemBit, 1), []uint64{1}, "yy------"},
		"byte":    {listPtr(0, wire.ElemByte, 1), []uint64{1}, "yyy----y"},
		"two":     {listPtr(0, wire.ElemTwo, 1), []uint64{1}, "yyyy---y"},
		"four":    {listPtr(0, wire.ElemFour, 1), []uint64{1}, "yyyyy--y"},
		"eight":   {listPtr(0, wire.ElemEight, 1), []uint64{1}, "yyyyyy-y"},
		"pointer": {listPtr(0, wire.ElemPointer, 1), []uint64{0}, "y-----yy"},
		"data struct": {listPtr(0, wire.ElemStruct, 1), []uint64{compositeTag(1, 1, 0), 1},
			"y-yyyy-y"},
		"pointer struct": {listPtr(0, wire.ElemStruct, 1), []uint64{compositeTag(1, 0, 1), 0},
			"y-----yy"},
		"both": {listPtr(0, wire.ElemStruct, 2), []uint64{compositeTag(1, 1, 1), 1, 0}, "y-yyyyyy"},
	}
	for name, e := range encodings {
		for i, size := range sizes {
			m := read(t, wire.Limits{},
				words(append([]uint64{structPtr(0, 0, 1), e.pointer}, e.rest...)...))
			l := m.Root().List(0, size)
			if got, want := l.Len() == 1, e.ok[i] == 'y'; got != want {
				t.Errorf("%s as %d: readable %v, want %v", name, size, got, want)
			} else if want && m.Err() != nil {
				t.Errorf("%s as %d: %v", name, size, m.Err())
			} else if !want {
				wantErr(t, m, wire.ErrPointer)
			}
		}
	}
}

// A list of structs read as a list of its first pointer.
func TestPointersOfStructs(t *testing.T) {
	m := read(t, wire.Limits{}, words(structPtr(0, 0, 1), listPtr(0, wire.ElemStruct, 4),
		compositeTag(2, 1, 1), 11, listPtr(2, wire.ElemByte, 2), 22, listPtr(1, wire.ElemByte, 3),
		0x61, 0x6362))
	l := wire.TextList(m.Root().List(0, wire.ElemPointer))
	if l.Len() != 2 || l.At(0) != "a" || l.At(1) != "bc" || m.Err() != nil {
		t.Errorf("%d, %q, %q, %v", l.Len(), l.At(0), l.At(1), m.Err())
	}
}

func TestCompositeTagRefused(t *testing.T) {
	for name, c := range map[string]struct {
		tag  uint64
		want error
	}{
		"more elements than words":  {compositeTag(3, 1, 0), wire.ErrBounds},
		"larger elements":           {compositeTag(2, 1, 1), wire.ErrBounds},
		"largest possible elements": {compositeTag(1<<29-1, 65535, 65535), wire.ErrBounds},
		"tag of a list":             {compositeTag(1, 1, 0) | 1, wire.ErrPointer},
	} {
		m := read(t, wire.Limits{}, words(structPtr(0, 0, 1), listPtr(0, wire.ElemStruct, 2), c.tag,
			1, 2))
		if n := m.Root().List(0, wire.ElemStruct).Len(); n != 0 {
			t.Errorf("%s: %d elements", name, n)
		}
		wantErr(t, m, c.want)
	}
	m := read(t, wire.Limits{}, words(structPtr(0, 0, 1), listPtr(0, wire.ElemStruct, 1),
		compositeTag(1, 1, 0)))
	m.Root().List(0, wire.ElemStruct)
	wantErr(t, m, wire.ErrBounds)
}

func TestListIndex(t *testing.T) {
	segment := words(structPtr(0, 0, 1), listPtr(0, wire.ElemEight, 2), 1, 2)
	for _, i := range []int{-1, 2, math.MaxInt} {
		m := read(t, wire.Limits{}, segment)
		l := m.Root().List(0, wire.ElemEight)
		if v := l.Uint64(i); v != 0 {
			t.Errorf("element %d: %d", i, v)
		}
		wantErr(t, m, wire.ErrIndex)
		m = read(t, wire.Limits{}, segment)
		l = m.Root().List(0, wire.ElemEight)
		if l.Bit(i) || l.Struct(i).Uint64(0) != 0 {
			t.Errorf("element %d is there", i)
		}
		wantErr(t, m, wire.ErrIndex)
	}
}
