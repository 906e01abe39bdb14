package wire

// The two low bits of a pointer word.
const (
	kindStruct = 0
	kindList   = 1
	kindFar    = 2
)

// shape is the layout of one struct and what is left of the nesting limit there, in one word, so
// that handles stay small enough for registers: the bytes of the data section in bits 0 to 31, the
// number of pointers in bits 32 to 47, the remaining depth in bits 48 to 63.
type shape uint64

func makeShape(dataBytes uint32, pointers, depth uint16) shape {
	return shape(dataBytes) | shape(pointers)<<32 | shape(depth)<<48
}

func (s shape) dataBytes() uint32 { return uint32(s) }
func (s shape) pointers() uint16  { return uint16(s >> 32) }
func (s shape) depth() uint16     { return uint16(s >> 48) }

// deeper is the shape one level down. The depth must not be 0.
func (s shape) deeper() shape { return s - 1<<48 }

// place is a byte in a message: the segment in the upper half, the offset in the lower one. Places
// inside handles have been checked: the segment is there and holds the whole object.
type place uint64

func makePlace(seg, at uint32) place { return place(seg)<<32 | place(at) }

func (p place) seg() uint32 { return uint32(p >> 32) }
func (p place) at() uint32  { return uint32(p) }

// target is what a pointer leads to, after far pointers.
type target struct {
	tag   uint64 // the pointer word that describes the object
	bytes []byte // the segment
	seg   uint32
	start uint64 // byte; not yet checked against the segment, and huge if it was negative
}

// near returns where the pointer word tag at byte at leads.
func near(tag, at uint64) uint64 {
	// The offset is in words, in the upper 30 bits of the lower half: times 4 there, times 8 here.
	return at + wordBytes + uint64(int64(int32(uint32(tag))&^3)*2)
}

// follow loads the pointer at p, once, and resolves far pointers. ok is false for a null pointer
// and, with the error recorded, for a bad one.
func (m *Message) follow(p place) (t target, ok bool) {
	t.bytes, t.seg = m.segment(p.seg()), p.seg()
	t.tag = le.Uint64(t.bytes[p.at():])
	if t.tag&3 == kindFar {
		return m.followFar(t.tag, p)
	}
	t.start = near(t.tag, uint64(p.at()))
	return t, t.tag != 0
}

// followFar resolves a far pointer. Its landing pad is one word, the real pointer; or, for a
// double-far pointer, two: a far pointer to the object's content and the object's tag. A pad never
// leads to another pad: a tag that is a far pointer again is of the wrong kind for every caller, so
// there is nothing to loop over.
func (m *Message) followFar(far uint64, p place) (t target, ok bool) {
	double := far&4 != 0
	padWords := uint64(1)
	if double {
		padWords = 2
	}
	padSeg := uint32(far >> 32)
	pad := m.segment(padSeg)
	at := uint64(uint32(far)>>3) * wordBytes
	if !m.claim(uint64(len(pad)), at, padWords) {
		m.refuse(uint64(len(pad)), at, padWords, p)
		return target{}, false
	}
	first := le.Uint64(pad[at:])
	if !double {
		return target{first, pad, padSeg, near(first, at)}, first != 0
	}
	tag := le.Uint64(pad[at+wordBytes:])
	if first&7 != kindFar {
		m.fail(ErrPointer, makePlace(padSeg, uint32(at)))
		return target{}, false
	}
	bodySeg := uint32(first >> 32)
	body := m.segment(bodySeg)
	if body == nil {
		m.fail(ErrBounds, makePlace(padSeg, uint32(at)))
		return target{}, false
	}
	return target{tag, body, bodySeg, uint64(uint32(first)>>3) * wordBytes}, true
}

// claim checks that words words from byte start lie inside a segment of size bytes and takes them
// from the traversal limit. If it returns false, refuse records why.
func (m *Message) claim(size, start, words uint64) bool {
	if start > size || words*wordBytes > size-start || words > m.budget {
		return false
	}
	m.budget -= words
	return true
}

// refuse records the error of a claim for the pointer at p. What exceeds the traversal limit ends
// it, so that no smaller object is read after that.
func (m *Message) refuse(size, start, words uint64, p place) {
	if start > size || words*wordBytes > size-start {
		m.fail(ErrBounds, p)
		return
	}
	m.budget = 0
	m.fail(ErrTraversal, p)
}

// charge takes words from the traversal limit for elements that occupy nothing.
func (m *Message) charge(words uint64, p place) bool {
	if words > m.budget {
		m.budget = 0
		m.fail(ErrTraversal, p)
		return false
	}
	m.budget -= words
	return true
}

// openStruct reads the struct pointer at p. depth is what is left of the nesting limit at the object
// that holds the pointer.
func (m *Message) openStruct(p place, depth uint16) Struct {
	seg := p.seg()
	bytes := m.segment(seg)
	tag := le.Uint64(bytes[p.at():])
	start := near(tag, uint64(p.at()))
	if tag == 0 {
		return Struct{m: m}
	}
	if tag&3 != kindStruct {
		t, ok := m.elsewhere(tag, kindStruct, p)
		if !ok {
			return Struct{m: m}
		}
		tag, bytes, seg, start = t.tag, t.bytes, t.seg, t.start
	}
	if depth == 0 {
		m.fail(ErrDepth, p)
		return Struct{m: m}
	}
	dataWords, pointers := uint16(tag>>32), uint16(tag>>48)
	words := uint64(dataWords) + uint64(pointers)
	if !m.claim(uint64(len(bytes)), start, words) {
		m.refuse(uint64(len(bytes)), start, words, p)
		return Struct{m: m}
	}
	return Struct{m, makePlace(seg, uint32(start)),
		makeShape(uint32(dataWords)*wordBytes, pointers, depth-1)}
}

// elsewhere resolves the pointer word tag at p, which is not of the kind that its reader can handle
// on its own: a far pointer to an object of that kind, or an error.
func (m *Message) elsewhere(tag, kind uint64, p place) (t target, ok bool) {
	if tag&3 == kindFar {
		if t, ok = m.followFar(tag, p); !ok || t.tag&3 == kind {
			return t, ok
		}
	}
	m.fail(ErrPointer, p)
	return t, false
}

// openBytes reads the pointer at p as a list of bytes: text or data. ok is false for a null or bad
// pointer.
func (m *Message) openBytes(p place) (b []byte, ok bool) {
	bytes := m.segment(p.seg())
	tag := le.Uint64(bytes[p.at():])
	start := near(tag, uint64(p.at()))
	if tag == 0 {
		return nil, false
	}
	if tag&3 != kindList {
		t, ok := m.elsewhere(tag, kindList, p)
		if !ok {
			return nil, false
		}
		tag, bytes, start = t.tag, t.bytes, t.start
	}
	if Elem(tag>>32&7) != ElemByte {
		m.fail(ErrPointer, p)
		return nil, false
	}
	n := tag >> 35
	if words := (n + 7) / wordBytes; !m.claim(uint64(len(bytes)), start, words) {
		m.refuse(uint64(len(bytes)), start, words, p)
		return nil, false
	}
	return bytes[start : start+n : start+n], true
}

// openText is openBytes for text: it checks and drops the terminating zero.
func (m *Message) openText(p place) (b []byte, ok bool) {
	b, ok = m.openBytes(p)
	if !ok {
		return nil, false
	}
	n := len(b) - 1
	if n < 0 || b[n] != 0 {
		m.fail(ErrText, p)
		return nil, false
	}
	return b[:n:n], true
}
