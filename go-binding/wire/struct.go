package wire

// Struct is a struct of a message being read. Getters take positions from the schema; what lies
// outside the struct, because an older peer wrote it, reads as zero, null or the given default.
// The zero value is an empty struct. A handle is valid until its Message is reset.
type Struct struct {
	m     *Message
	place place // of the data section
	shape shape
}

// field returns the bytes of the segment from byte offset off of the data section on. The caller has
// checked that the data section reaches so far.
func (s Struct) field(off uint32) []byte {
	return s.m.segment(s.place.seg())[s.place.at()+off:]
}

// Uint8 returns the byte at byte offset off of the data section.
func (s Struct) Uint8(off uint32) uint8 {
	if off < s.shape.dataBytes() {
		return s.field(off)[0]
	}
	return 0
}

// Uint16 returns the two bytes at byte offset off of the data section.
func (s Struct) Uint16(off uint32) uint16 {
	if uint64(off)+2 <= uint64(s.shape.dataBytes()) {
		return le.Uint16(s.field(off))
	}
	return 0
}

// Uint32 returns the four bytes at byte offset off of the data section.
func (s Struct) Uint32(off uint32) uint32 {
	if uint64(off)+4 <= uint64(s.shape.dataBytes()) {
		return le.Uint32(s.field(off))
	}
	return 0
}

// Uint64 returns the eight bytes at byte offset off of the data section.
func (s Struct) Uint64(off uint32) uint64 {
	if uint64(off)+8 <= uint64(s.shape.dataBytes()) {
		return le.Uint64(s.field(off))
	}
	return 0
}

// Bit returns the bit at bit offset off of the data section.
func (s Struct) Bit(off uint32) bool {
	return s.Uint8(off/8)>>(off%8)&1 != 0
}

// Member returns s if the union discriminant at byte offset off is value. Otherwise it records
// ErrInactive and returns the empty struct, from which every getter reads its default: bytes of one
// member are never interpreted as another.
func (s Struct) Member(off uint32, value uint16) Struct {
	if s.Uint16(off) == value {
		return s
	}
	s.m.fail(ErrInactive, s.place)
	return Struct{m: s.m}
}

// pointer returns the place of pointer p, which the caller has checked to be there.
func (s Struct) pointer(p uint16) place {
	return s.place + place(s.shape.dataBytes()) + place(p)*wordBytes
}

// Has reports whether pointer p is there and not null. It does not follow the pointer.
func (s Struct) Has(p uint16) bool {
	return p < s.shape.pointers() && s.m.word(s.pointer(p)) != 0
}

// TextBytes returns the text at pointer p as a view into the message, without the terminating zero;
// def if the pointer is null or bad. The bytes are whatever the peer sent, not necessarily UTF-8.
// Do not write to the view.
func (s Struct) TextBytes(p uint16, def []byte) []byte {
	if p < s.shape.pointers() {
		if b, ok := s.m.openText(s.pointer(p)); ok {
			return b
		}
	}
	return def
}

// Text is TextBytes as a copy.
func (s Struct) Text(p uint16, def string) string {
	if p < s.shape.pointers() {
		if b, ok := s.m.openText(s.pointer(p)); ok {
			return string(b)
		}
	}
	return def
}

// Data returns the data at pointer p as a view into the message; def if the pointer is null or bad.
// Do not write to the view.
func (s Struct) Data(p uint16, def []byte) []byte {
	if p < s.shape.pointers() {
		if b, ok := s.m.openBytes(s.pointer(p)); ok {
			return b
		}
	}
	return def
}

// Struct returns the struct at pointer p; the empty struct if the pointer is null or bad.
func (s Struct) Struct(p uint16) Struct {
	if p < s.shape.pointers() {
		return s.m.openStruct(s.pointer(p), s.shape.depth())
	}
	return Struct{m: s.m}
}

// List returns the list at pointer p, to be read as a list of elem; the empty list if the pointer is
// null or bad.
func (s Struct) List(p uint16, elem Elem) List {
	if p < s.shape.pointers() {
		return s.m.openList(s.pointer(p), elem, s.shape.depth())
	}
	return List{m: s.m}
}
