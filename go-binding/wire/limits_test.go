package wire_test

import (
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
)

// Following a pointer costs the size of the object, every time; the root pointer costs a word.
func TestTraversalLimit(t *testing.T) {
	segment := words(structPtr(0, 1, 1), 1, structPtr(0, 3, 0), 1, 2, 3)
	m := read(t, wire.Limits{TraversalWords: 1 + 2 + 3 + 3}, segment)
	root := m.Root()
	for range 2 {
		if root.Struct(0).Uint64(16) != 3 {
			t.Fatal("within the limit: ", m.Err())
		}
	}
	if root.Struct(0).Uint64(16) != 0 {
		t.Error("read beyond the limit")
	}
	wantErr(t, m, wire.ErrTraversal)

	// A larger object than the rest of the limit ends it for smaller ones too.
	m = read(t, wire.Limits{TraversalWords: 1 + 2 + 2}, words(structPtr(0, 0, 2), structPtr(1, 3, 0),
		structPtr(0, 1, 0), 1, 2, 3))
	root = m.Root()
	if root.Struct(1).Uint64(0) != 1 {
		t.Error("the smaller object: ", m.Err())
	}
	if root.Struct(0); root.Struct(1).Uint64(0) != 0 {
		t.Error("read after the end of the limit")
	}
	wantErr(t, m, wire.ErrTraversal)
}

func TestTraversalCountsEveryObject(t *testing.T) {
	for name, c := range map[string]struct {
		cost    uint64 // besides root pointer and root struct
		pointer uint64
		rest    []uint64
		use     func(s wire.Struct) bool
	}{
		"data": {2, listPtr(0, wire.ElemByte, 9), []uint64{1, 2},
			func(s wire.Struct) bool { return len(s.Data(0, nil)) == 9 }},
		"bits": {2, listPtr(0, wire.ElemBit, 65), []uint64{1, 2},
			func(s wire.Struct) bool { return s.List(0, wire.ElemBit).Len() == 65 }},
		"two bytes": {2, listPtr(0, wire.ElemTwo, 5), []uint64{1, 2},
			func(s wire.Struct) bool { return s.List(0, wire.ElemTwo).Len() == 5 }},
		"pointers": {2, listPtr(0, wire.ElemPointer, 2), []uint64{0, 0},
			func(s wire.Struct) bool { return s.List(0, wire.ElemPointer).Len() == 2 }},
		"structs with tag": {3, listPtr(0, wire.ElemStruct, 2), []uint64{compositeTag(2, 1, 0), 1, 2},
			func(s wire.Struct) bool { return s.List(0, wire.ElemStruct).Len() == 2 }},
		"void elements": {1000, listPtr(0, wire.ElemVoid, 1000), nil,
			func(s wire.Struct) bool { return s.List(0, wire.ElemVoid).Len() == 1000 }},
		"empty structs": {1001, listPtr(0, wire.ElemStruct, 0), []uint64{compositeTag(1000, 0, 0)},
			func(s wire.Struct) bool { return s.List(0, wire.ElemStruct).Len() == 1000 }},
		"far pad": {2, farPtr(0, 2), []uint64{structPtr(0, 1, 0), 1},
			func(s wire.Struct) bool { return s.Struct(0).Uint64(0) == 1 }},
		"double-far pad": {3, doubleFarPtr(0, 2), []uint64{farPtr(0, 4), structPtr(0, 1, 0), 1},
			func(s wire.Struct) bool { return s.Struct(0).Uint64(0) == 1 }},
	} {
		segment := words(append([]uint64{structPtr(0, 0, 1), c.pointer}, c.rest...)...)
		m := read(t, wire.Limits{TraversalWords: 2 + c.cost}, segment)
		if !c.use(m.Root()) || m.Err() != nil {
			t.Errorf("%s: not readable with %d words: %v", name, c.cost, m.Err())
		}
		m = read(t, wire.Limits{TraversalWords: 2 + c.cost - 1}, segment)
		if c.use(m.Root()) {
			t.Errorf("%s: readable with %d words", name, c.cost-1)
		}
		wantErr(t, m, wire.ErrTraversal)
	}
}

// 24 bytes that claim half a billion elements are refused with the default limits.
func TestAmplification(t *testing.T) {
	for name, segment := range map[string][]byte{
		"void": words(structPtr(0, 0, 1), listPtr(0, wire.ElemVoid, 1<<29-1)),
		"empty structs": words(structPtr(0, 0, 1), listPtr(0, wire.ElemStruct, 0),
			compositeTag(1<<29-1, 0, 0)),
	} {
		m := read(t, wire.Limits{}, segment)
		if n := m.Root().List(0, wire.ElemStruct).Len(); n != 0 {
			t.Errorf("%s: %d elements", name, n)
		}
		wantErr(t, m, wire.ErrTraversal)
	}
}

// Pointers to themselves and to each other end at the nesting limit.
func TestDepth(t *testing.T) {
	loop := words(structPtr(0, 0, 1), structPtr(-1, 0, 1))
	for _, depth := range []int{0, 1, 3, 100} {
		m := read(t, wire.Limits{Depth: depth}, loop)
		want := depth
		if depth == 0 {
			want = wire.DefaultDepth
		}
		levels := 0
		for s := m.Root(); s.Has(0) && levels < 1000; s = s.Struct(0) {
			levels++
		}
		if levels != want {
			t.Errorf("depth %d: %d levels", depth, levels)
		}
		wantErr(t, m, wire.ErrDepth)
	}

	// Lists are levels, and so are the structs in them.
	structs := words(structPtr(0, 0, 1), listPtr(0, wire.ElemStruct, 1), compositeTag(1, 1, 0), 7)
	for depth, want := range map[int]uint64{1: 0, 2: 0, 3: 7} {
		m := read(t, wire.Limits{Depth: depth}, structs)
		if v := m.Root().List(0, wire.ElemStruct).Struct(0).Uint64(0); v != want {
			t.Errorf("list of structs, depth %d: %d", depth, v)
		}
		if (m.Err() == nil) != (want != 0) {
			t.Errorf("list of structs, depth %d: %v", depth, m.Err())
		}
	}
	lists := words(structPtr(0, 0, 1), listPtr(0, wire.ElemPointer, 1), listPtr(-1, wire.ElemPointer, 1))
	m := read(t, wire.Limits{Depth: 10}, lists)
	levels := 1
	for l := m.Root().List(0, wire.ElemPointer); l.Len() > 0 && levels < 1000; levels++ {
		l = l.List(0, wire.ElemPointer)
	}
	if levels != 10 {
		t.Errorf("list of itself: %d levels", levels)
	}
	wantErr(t, m, wire.ErrDepth)
}
