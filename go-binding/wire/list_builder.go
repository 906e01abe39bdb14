package wire

// Layout is how a list is allocated: how its elements are encoded and, for structs, their size.
type Layout struct {
	Elem     Elem
	Data     uint16 // words, only with ElemStruct
	Pointers uint16 // only with ElemStruct
}

// stride is the shape of the elements of a list being built: the bits from one element to the next in
// bits 0 to 31, the words of a struct's data section in bits 32 to 47, the number of pointers in bits
// 48 to 63.
type stride uint64

func makeStride(step uint32, dataWords, pointers uint16) stride {
	return stride(step) | stride(dataWords)<<32 | stride(pointers)<<48
}

func (s stride) step() uint32      { return uint32(s) }
func (s stride) dataBytes() uint32 { return uint32(uint16(s>>32)) * wordBytes }
func (s stride) pointers() uint32  { return uint32(s >> 48) }

// listBuilderHandle is the representation of ListBuilder, named so that NestedListBuilder can
// convert to any list type. Its four words fit into registers.
type listBuilderHandle = struct {
	b      *Builder
	at     int // byte in the buffer at which the elements start
	n      int
	stride stride
}

// ListBuilder is a list of a message being built, not yet of any element type; the typed builders
// are made from it by conversion. An index out of range changes nothing and records ErrIndex. The
// list that an allocation that failed returned has length 0. A handle is valid until its Builder is
// reset.
type ListBuilder listBuilderHandle

// Len returns the number of elements.
func (l ListBuilder) Len() int { return l.n }

// element returns the byte in the buffer at which element i starts, if its elements have at least
// the given number of bits.
func (l ListBuilder) element(i int, bits uint32) (at int, ok bool) {
	if uint(i) >= uint(l.n) || l.stride.step() < bits {
		l.b.fail(ErrIndex)
		return 0, false
	}
	return l.at + int(uint64(i)*uint64(l.stride.step())/8), true
}

// SetBit sets element i of a list of bits.
func (l ListBuilder) SetBit(i int, v bool) {
	if at, ok := l.element(i, 1); ok {
		setBit(&l.b.buf[at], uint32(uint64(i)*uint64(l.stride.step())%8), v)
	}
}

// SetUint8 sets element i of a list of bytes.
func (l ListBuilder) SetUint8(i int, v uint8) {
	if at, ok := l.element(i, 8); ok {
		l.b.buf[at] = v
	}
}

// SetUint16 sets element i of a list of two-byte elements.
func (l ListBuilder) SetUint16(i int, v uint16) {
	if at, ok := l.element(i, 16); ok {
		le.PutUint16(l.b.buf[at:], v)
	}
}

// SetUint32 sets element i of a list of four-byte elements.
func (l ListBuilder) SetUint32(i int, v uint32) {
	if at, ok := l.element(i, 32); ok {
		le.PutUint32(l.b.buf[at:], v)
	}
}

// SetUint64 sets element i of a list of eight-byte elements.
func (l ListBuilder) SetUint64(i int, v uint64) {
	if at, ok := l.element(i, 64); ok {
		le.PutUint64(l.b.buf[at:], v)
	}
}

// pointer returns the byte of element i's pointer.
func (l ListBuilder) pointer(i int) (at int, ok bool) {
	at, ok = l.element(i, 64)
	return at + int(l.stride.dataBytes()), ok && l.stride.pointers() > 0
}

// SetText sets element i to a copy of v; see StructBuilder.SetText.
func (l ListBuilder) SetText(i int, v string) {
	if at, ok := l.pointer(i); ok {
		l.b.setText(at, v)
	}
}

// SetTextBytes is SetText for bytes.
func (l ListBuilder) SetTextBytes(i int, v []byte) {
	if at, ok := l.pointer(i); ok {
		l.b.setBytes(at, v, 1)
	}
}

// SetData sets element i to a copy of v; see StructBuilder.SetData.
func (l ListBuilder) SetData(i int, v []byte) {
	if at, ok := l.pointer(i); ok {
		l.b.setBytes(at, v, 0)
	}
}

// NewList sets element i to a new list; see StructBuilder.NewList.
func (l ListBuilder) NewList(i int, layout Layout, n int) ListBuilder {
	if at, ok := l.pointer(i); ok {
		return l.b.newList(at, layout, n)
	}
	return ListBuilder{b: l.b}
}

// Struct returns element i of a list of structs.
func (l ListBuilder) Struct(i int) StructBuilder {
	at, ok := l.element(i, 0)
	if !ok {
		return StructBuilder{b: l.b}
	}
	return StructBuilder{l.b, at, l.stride.dataBytes(), l.stride.pointers()}
}
