package wire

// StructBuilder is a struct of a message being built. Setters take positions from the schema and are
// without effect outside the struct, which happens only on the zero value and on what an allocation
// that failed returned; the failure itself is what Builder.Bytes reports. A handle is valid until
// its Builder is reset.
type StructBuilder struct {
	b         *Builder
	at        int    // byte in the buffer at which the data section starts
	dataBytes uint32 // size of the data section
	pointers  uint32
}

// SetUint8 sets the byte at byte offset off of the data section.
func (s StructBuilder) SetUint8(off uint32, v uint8) {
	if off < s.dataBytes {
		s.b.buf[s.at+int(off)] = v
	}
}

// SetUint16 sets the two bytes at byte offset off of the data section.
func (s StructBuilder) SetUint16(off uint32, v uint16) {
	if uint64(off)+2 <= uint64(s.dataBytes) {
		le.PutUint16(s.b.buf[s.at+int(off):], v)
	}
}

// SetUint32 sets the four bytes at byte offset off of the data section.
func (s StructBuilder) SetUint32(off uint32, v uint32) {
	if uint64(off)+4 <= uint64(s.dataBytes) {
		le.PutUint32(s.b.buf[s.at+int(off):], v)
	}
}

// SetUint64 sets the eight bytes at byte offset off of the data section.
func (s StructBuilder) SetUint64(off uint32, v uint64) {
	if uint64(off)+8 <= uint64(s.dataBytes) {
		le.PutUint64(s.b.buf[s.at+int(off):], v)
	}
}

// SetBit sets the bit at bit offset off of the data section.
func (s StructBuilder) SetBit(off uint32, v bool) {
	if off/8 < s.dataBytes {
		setBit(&s.b.buf[s.at+int(off/8)], off%8, v)
	}
}

func setBit(dst *byte, bit uint32, v bool) {
	if v {
		*dst |= 1 << bit
	} else {
		*dst &^= 1 << bit
	}
}

// pointer returns the byte of pointer p.
func (s StructBuilder) pointer(p uint16) (at int, ok bool) {
	return s.at + int(s.dataBytes) + int(p)*wordBytes, uint32(p) < s.pointers
}

// Clear sets pointer p to null. The object it led to stays in the message, unreachable.
func (s StructBuilder) Clear(p uint16) {
	if at, ok := s.pointer(p); ok {
		le.PutUint64(s.b.buf[at:], 0)
	}
}

// SetText sets pointer p to a copy of v with a terminating zero. An empty v is an empty text, which
// is not the same as a null pointer.
func (s StructBuilder) SetText(p uint16, v string) {
	if at, ok := s.pointer(p); ok {
		s.b.setText(at, v)
	}
}

// SetTextBytes is SetText for bytes.
func (s StructBuilder) SetTextBytes(p uint16, v []byte) {
	if at, ok := s.pointer(p); ok {
		s.b.setBytes(at, v, 1)
	}
}

// SetData sets pointer p to a copy of v. An empty or nil v is empty data, which is not the same as a
// null pointer.
func (s StructBuilder) SetData(p uint16, v []byte) {
	if at, ok := s.pointer(p); ok {
		s.b.setBytes(at, v, 0)
	}
}

// NewStruct sets pointer p to a new struct, all zero.
func (s StructBuilder) NewStruct(p, dataWords, pointers uint16) StructBuilder {
	if at, ok := s.pointer(p); ok {
		return s.b.newStruct(at, dataWords, pointers)
	}
	return StructBuilder{b: s.b}
}

// NewList sets pointer p to a new list of n elements, all zero. A negative n, or one beyond 2^29 - 1,
// records ErrTooLarge.
func (s StructBuilder) NewList(p uint16, layout Layout, n int) ListBuilder {
	if at, ok := s.pointer(p); ok {
		return s.b.newList(at, layout, n)
	}
	return ListBuilder{b: s.b}
}

func (b *Builder) setText(ptr int, v string) {
	if dst, ok := b.bytesAt(ptr, len(v), 1); ok {
		copy(dst, v)
	}
}

func (b *Builder) setBytes(ptr int, v []byte, extra int) {
	if dst, ok := b.bytesAt(ptr, len(v), extra); ok {
		copy(dst, v)
	}
}
