package wire_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
)

// words makes a segment of words.
func words(values ...uint64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// structPtr is a struct pointer: offset in words from the word after it.
func structPtr(offset int32, data, pointers uint16) uint64 {
	return uint64(uint32(offset)<<2) | uint64(data)<<32 | uint64(pointers)<<48
}

func listPtr(offset int32, elem wire.Elem, n uint32) uint64 {
	return uint64(uint32(offset)<<2|1) | uint64(elem)<<32 | uint64(n)<<35
}

func farPtr(seg, at uint32) uint64       { return uint64(at<<3|2) | uint64(seg)<<32 }
func doubleFarPtr(seg, at uint32) uint64 { return farPtr(seg, at) | 4 }

// compositeTag is the tag word of a list of structs.
func compositeTag(n uint32, data, pointers uint16) uint64 {
	return structPtr(int32(n), data, pointers)
}

// frame puts segments behind the standard header.
func frame(segments ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(segments)-1))
	for _, s := range segments {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)/8))
	}
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	for _, s := range segments {
		b = append(b, s...)
	}
	return b
}

func read(t *testing.T, limits wire.Limits, segments ...[]byte) *wire.Message {
	t.Helper()
	m := new(wire.Message)
	m.SetLimits(limits)
	if _, err := m.ReadFramed(frame(segments...)); err != nil {
		t.Fatal(err)
	}
	return m
}

func wantErr(t *testing.T, m *wire.Message, want error) {
	t.Helper()
	if !errors.Is(m.Err(), want) {
		t.Errorf("error %v, want %v", m.Err(), want)
	}
}

func TestReadFramedRefuses(t *testing.T) {
	good := frame(words(0))
	huge := frame(words(0))
	binary.LittleEndian.PutUint32(huge[4:], 1<<29)
	many := make([]byte, 4+4*513+8*513)
	binary.LittleEndian.PutUint32(many, 512)
	for name, b := range map[string][]byte{
		"empty":             nil,
		"short header":      good[:7],
		"no body":           good[:8],
		"segment too large": huge,
		"too many segments": many,
		"all segments":      {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"cut table":         {3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		var m wire.Message
		if _, err := m.ReadFramed(b); !errors.Is(err, wire.ErrFrame) {
			t.Errorf("%s: %v, want ErrFrame", name, err)
		}
		if m.Root().Has(0); !errors.Is(m.Err(), wire.ErrFrame) {
			t.Errorf("%s: Err is %v, want ErrFrame", name, m.Err())
		}
	}
	binary.LittleEndian.PutUint32(many, 511)
	var m wire.Message
	if _, err := m.ReadFramed(many); err != nil {
		t.Errorf("512 segments: %v", err)
	}
	if m.Root(); !errors.Is(m.Err(), wire.ErrBounds) {
		t.Errorf("root in an empty segment: %v, want ErrBounds", m.Err())
	}
}

func TestReadFramedReturnsRest(t *testing.T) {
	var m wire.Message
	rest, err := m.ReadFramed(append(frame(words(0), words(1, 2)), 'x', 'y'))
	if err != nil || string(rest) != "xy" {
		t.Errorf("rest %q, error %v", rest, err)
	}
}

// A refused or bad message leaves nothing behind in the Message for the next one.
func TestMessageReuse(t *testing.T) {
	var m wire.Message
	if err := m.ReadFlat(make([]byte, 9)); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("9 bytes: %v", err)
	}
	if _, err := m.ReadFramed(frame(words(farPtr(1, 0)), words(structPtr(0, 1, 0), 5))); err != nil {
		t.Fatal(err)
	}
	if v := m.Root().Uint64(0); v != 5 || m.Err() != nil {
		t.Errorf("value %d, error %v", v, m.Err())
	}
	if err := m.ReadFlat(words(farPtr(1, 0))); err != nil {
		t.Fatal(err)
	}
	m.Root()
	wantErr(t, &m, wire.ErrBounds) // segment 1 was the other message's
}

func TestPointersOutOfBounds(t *testing.T) {
	for name, segment := range map[string][]byte{
		"struct beyond the end":     words(structPtr(0, 1, 0)),
		"struct over the end":       words(structPtr(0, 2, 0), 0),
		"struct pointers over it":   words(structPtr(0, 1, 1), 0),
		"struct before the start":   words(structPtr(-2, 1, 0), 0),
		"largest negative offset":   words(structPtr(-1<<29, 1, 0), 0),
		"largest offset":            words(structPtr(1<<29-1, 0, 0), 0),
		"far to a missing segment":  words(farPtr(1, 0)),
		"far to the last segment":   words(farPtr(1<<32-1, 0)),
		"far beyond the end":        words(farPtr(0, 1)),
		"double far over the end":   words(doubleFarPtr(0, 1), 0),
		"double far, no segment":    words(doubleFarPtr(0, 1), farPtr(7, 0), structPtr(0, 0, 0)),
		"double far, content far":   words(doubleFarPtr(0, 1), farPtr(0, 9), structPtr(0, 1, 0)),
		"double far, content large": words(doubleFarPtr(0, 1), farPtr(0, 2), structPtr(0, 2, 0)),
	} {
		m := read(t, wire.Limits{}, segment)
		if s := m.Root(); s.Uint64(0) != 0 || s.Has(0) {
			t.Errorf("%s: the struct is not empty", name)
		}
		if !errors.Is(m.Err(), wire.ErrBounds) {
			t.Errorf("%s: %v, want ErrBounds", name, m.Err())
		}
	}
}

func TestPointersOfTheWrongKind(t *testing.T) {
	for name, segment := range map[string][]byte{
		"list":                      words(listPtr(0, wire.ElemByte, 1), 0),
		"capability":                words(3),
		"far to far":                words(farPtr(0, 1), farPtr(0, 2), structPtr(0, 1, 0), 5),
		"far to itself":             words(farPtr(0, 0)),
		"far to a list":             words(farPtr(0, 1), listPtr(0, wire.ElemByte, 1), 0),
		"double far to double far":  words(doubleFarPtr(0, 1), doubleFarPtr(0, 1), structPtr(0, 0, 0)),
		"double far, pad no far":    words(doubleFarPtr(0, 1), structPtr(0, 0, 0), structPtr(0, 0, 0)),
		"double far, tag far":       words(doubleFarPtr(0, 1), farPtr(0, 0), farPtr(0, 0)),
		"double far, tag of a list": words(doubleFarPtr(0, 1), farPtr(0, 0), listPtr(0, 0, 0)),
	} {
		m := read(t, wire.Limits{}, segment)
		if s := m.Root(); s.Uint64(0) != 0 || s.Has(0) {
			t.Errorf("%s: the struct is not empty", name)
		}
		if !errors.Is(m.Err(), wire.ErrPointer) {
			t.Errorf("%s: %v, want ErrPointer", name, m.Err())
		}
	}
}

func TestFarPointers(t *testing.T) {
	single := read(t, wire.Limits{}, words(farPtr(1, 1)), words(0, structPtr(0, 1, 0), 77))
	if v := single.Root().Uint64(0); v != 77 || single.Err() != nil {
		t.Errorf("far: %d, %v", v, single.Err())
	}
	double := read(t, wire.Limits{}, words(doubleFarPtr(1, 0)),
		words(farPtr(2, 1), structPtr(0, 1, 1)), words(0, 78, listPtr(0, wire.ElemByte, 3), 0x006968))
	root := double.Root()
	if v := root.Uint64(0); v != 78 || string(root.TextBytes(0, nil)) != "hi" || double.Err() != nil {
		t.Errorf("double far: %d, %q, %v", v, root.TextBytes(0, nil), double.Err())
	}
	null := read(t, wire.Limits{}, words(farPtr(1, 0)), words(0))
	if s := null.Root(); s.Has(0) || null.Err() != nil {
		t.Errorf("far to null: %v", null.Err())
	}
}

func TestText(t *testing.T) {
	text := func(elem wire.Elem, n uint32, content uint64) (string, []byte, error) {
		m := read(t, wire.Limits{}, words(structPtr(0, 0, 1), listPtr(0, elem, n), content))
		s := m.Root()
		return s.Text(0, "def"), s.TextBytes(0, []byte("def")), m.Err()
	}
	if s, b, err := text(wire.ElemByte, 3, 0x6968); s != "hi" || string(b) != "hi" || err != nil {
		t.Errorf("text: %q, %q, %v", s, b, err)
	}
	if s, b, err := text(wire.ElemByte, 2, 0x6968); s != "def" || string(b) != "def" ||
		!errors.Is(err, wire.ErrText) {
		t.Errorf("no terminator: %q, %q, %v", s, b, err)
	}
	if s, _, err := text(wire.ElemByte, 0, 0); s != "def" || !errors.Is(err, wire.ErrText) {
		t.Errorf("no bytes: %q, %v", s, err)
	}
	if s, _, err := text(wire.ElemTwo, 2, 0); s != "def" || !errors.Is(err, wire.ErrPointer) {
		t.Errorf("two-byte elements: %q, %v", s, err)
	}
	if s, _, err := text(wire.ElemByte, 9, 0); s != "def" || !errors.Is(err, wire.ErrBounds) {
		t.Errorf("too long: %q, %v", s, err)
	}
}

// A view's capacity ends with the view, so that appending to it cannot write into the message.
func TestViewsAreClipped(t *testing.T) {
	m := read(t, wire.Limits{}, words(structPtr(0, 0, 1), listPtr(0, wire.ElemByte, 3), 0x6968))
	s := m.Root()
	if b := s.TextBytes(0, nil); cap(b) != 2 {
		t.Errorf("capacity of the text view: %d", cap(b))
	}
	if b := s.Data(0, nil); cap(b) != 3 {
		t.Errorf("capacity of the data view: %d", cap(b))
	}
}

func TestErrorPosition(t *testing.T) {
	m := read(t, wire.Limits{}, words(farPtr(1, 0)), words(structPtr(1, 0, 1), 0, 3))
	m.Root().Struct(0)
	if err := m.Err(); err == nil || err.Error() != "segment 1, word 2: pointer of the wrong kind" {
		t.Errorf("got %v", err)
	}
}

func TestZeroValues(t *testing.T) {
	var s wire.Struct
	var l wire.List
	if s.Uint64(0) != 0 || s.Bit(3) || s.Has(0) || s.Text(0, "d") != "d" || s.Data(0, nil) != nil ||
		s.Struct(0).Uint8(0) != 0 || s.List(0, wire.ElemByte).Len() != 0 || s.Member(0, 9).Has(0) {
		t.Error("the zero Struct is not empty")
	}
	if l.Len() != 0 || l.Bit(0) || l.Uint64(0) != 0 || l.Struct(0).Has(0) || l.Has(0) {
		t.Error("the zero List is not empty")
	}
}
