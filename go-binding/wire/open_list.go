package wire

// openList reads the list pointer at p as a list of want. The encoding lets a list be read as
// another type when each element holds at least what the reader expects:
//
//   - any list as a list of a smaller primitive, or of Void;
//   - a list of structs as a list of primitives or pointers: the first field of each struct;
//   - a list of primitives or pointers as a list of structs: its only field. Not bits: a list of
//     Bool and a list of structs are never compatible.
func (m *Message) openList(p place, want Elem, depth uint16) List {
	t, ok := m.follow(p)
	if !ok {
		return List{m: m}
	}
	if t.tag&3 != kindList {
		m.fail(ErrPointer, p)
		return List{m: m}
	}
	if depth == 0 {
		m.fail(ErrDepth, p)
		return List{m: m}
	}
	elem, count := Elem(t.tag>>32&7), t.tag>>35
	if elem == ElemStruct {
		return m.openComposite(&t, want, depth, p)
	}
	bits, pointers := elem.layout()
	step := bits + 64*uint32(pointers)
	words := (count*uint64(step) + 63) / 64
	if !m.claim(uint64(len(t.bytes)), t.start, words) {
		m.refuse(uint64(len(t.bytes)), t.start, words, p)
		return List{m: m}
	}
	// Void elements occupy nothing, so only a charge can bound how many there are.
	if elem == ElemVoid && !m.charge(count, p) {
		return List{m: m}
	}
	wantBits, wantPointers := want.layout()
	if bits < wantBits || pointers < wantPointers || elem == ElemBit && want == ElemStruct {
		m.fail(ErrPointer, p)
		return List{m: m}
	}
	return List{m, makePlace(t.seg, uint32(t.start)), makeExtent(uint32(count), step),
		makeShape(bits/8, pointers, depth-1)}
}

// openComposite is openList for a list whose elements are encoded as structs: the pointer has the
// number of words of all elements, which a tag word with their number and layout precedes.
func (m *Message) openComposite(t *target, want Elem, depth uint16, p place) List {
	words := t.tag >> 35
	if !m.claim(uint64(len(t.bytes)), t.start, words+1) {
		m.refuse(uint64(len(t.bytes)), t.start, words+1, p)
		return List{m: m}
	}
	tag := le.Uint64(t.bytes[t.start:])
	dataWords, pointers := uint16(tag>>32), uint16(tag>>48)
	count, step := uint64(uint32(tag)>>2), uint64(dataWords)+uint64(pointers)
	if tag&3 != kindStruct {
		m.fail(ErrPointer, makePlace(t.seg, uint32(t.start)))
		return List{m: m}
	}
	if count*step > words {
		m.fail(ErrBounds, makePlace(t.seg, uint32(t.start)))
		return List{m: m}
	}
	// Structs without fields occupy nothing, so only a charge can bound how many there are.
	if step == 0 && !m.charge(count, p) {
		return List{m: m}
	}
	if !want.fits(dataWords, pointers) {
		m.fail(ErrPointer, p)
		return List{m: m}
	}
	return List{m, makePlace(t.seg, uint32(t.start)+wordBytes),
		makeExtent(uint32(count), uint32(step*64)),
		makeShape(uint32(dataWords)*wordBytes, pointers, depth-1)}
}

// fits reports whether structs of this layout can be read as elements of size e.
func (e Elem) fits(dataWords, pointers uint16) bool {
	switch e {
	case ElemVoid, ElemStruct:
		return true
	case ElemBit:
		return false
	case ElemPointer:
		return pointers > 0
	default:
		return dataWords > 0
	}
}
