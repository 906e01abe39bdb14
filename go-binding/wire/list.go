package wire

// Elem is how the elements of a list are encoded: the element size of a list pointer.
type Elem uint8

// The element sizes. Their numbers are the ones of the wire format.
const (
	ElemVoid    Elem = 0
	ElemBit     Elem = 1
	ElemByte    Elem = 2
	ElemTwo     Elem = 3 // bytes
	ElemFour    Elem = 4
	ElemEight   Elem = 5
	ElemPointer Elem = 6 // text, data, lists
	ElemStruct  Elem = 7
)

// layout returns the data bits and the pointers of one element; nothing for structs, whose layout is
// in the list's tag word.
func (e Elem) layout() (bits uint32, pointers uint16) {
	switch e {
	case ElemBit:
		return 1, 0
	case ElemByte, ElemTwo, ElemFour, ElemEight:
		return 8 << (e - ElemByte), 0
	case ElemPointer:
		return 0, 1
	default:
		return 0, 0
	}
}

// extent is the number of elements in bits 0 to 31 and the bits from one element to the next in bits
// 32 to 63.
type extent uint64

func makeExtent(n, step uint32) extent { return extent(n) | extent(step)<<32 }

func (e extent) len() int     { return int(uint32(e)) }
func (e extent) step() uint64 { return uint64(e >> 32) }

// listHandle is the representation of List, named so that NestedList can convert to any list type.
type listHandle = struct {
	m      *Message
	place  place // of the first element
	extent extent
	shape  shape // of one element
}

// List is a list of a message being read, not yet of any element type; the typed lists are made from
// it by conversion. An index out of range records ErrIndex and reads as zero. The zero value is an
// empty list. A handle is valid until its Message is reset.
type List listHandle

// Len returns the number of elements.
func (l List) Len() int { return l.extent.len() }

// Bit returns element i of a list of bits.
func (l List) Bit(i int) bool {
	if uint(i) >= uint(l.extent.len()) {
		l.outside()
		return false
	}
	bit := uint64(i) * l.extent.step()
	// Only a list read as Void has elements without a bit.
	return l.extent.step() > 0 &&
		l.m.segment(l.place.seg())[uint64(l.place.at())+bit/8]>>(bit%8)&1 != 0
}

// outside records that an index was out of range.
func (l List) outside() { l.m.fail(ErrIndex, l.place) }

// element returns element i as a struct, without using up a level of nesting.
func (l List) element(i int) Struct {
	if uint(i) < uint(l.extent.len()) {
		return Struct{l.m, l.place + place(uint64(i)*l.extent.step()/8), l.shape}
	}
	l.outside()
	return Struct{m: l.m}
}

// Uint8 returns the first byte of element i.
func (l List) Uint8(i int) uint8 { return l.element(i).Uint8(0) }

// Uint16 returns the first two bytes of element i.
func (l List) Uint16(i int) uint16 { return l.element(i).Uint16(0) }

// Uint32 returns the first four bytes of element i.
func (l List) Uint32(i int) uint32 { return l.element(i).Uint32(0) }

// Uint64 returns the first eight bytes of element i.
func (l List) Uint64(i int) uint64 { return l.element(i).Uint64(0) }

// Has reports whether the pointer of element i is not null.
func (l List) Has(i int) bool { return l.element(i).Has(0) }

// TextBytes returns element i as text; see Struct.TextBytes.
func (l List) TextBytes(i int) []byte { return l.element(i).TextBytes(0, nil) }

// Data returns element i as data; see Struct.Data.
func (l List) Data(i int) []byte { return l.element(i).Data(0, nil) }

// List returns element i as a list of elem; see Struct.List.
func (l List) List(i int, elem Elem) List { return l.element(i).List(0, elem) }

// Struct returns element i as a struct.
func (l List) Struct(i int) Struct {
	s := l.element(i)
	if s.shape.depth() == 0 {
		return l.tooDeep(i)
	}
	s.shape = s.shape.deeper()
	return s
}

// tooDeep is the element of a list at the nesting limit, or of one whose index is out of range.
func (l List) tooDeep(i int) Struct {
	if uint(i) < uint(l.extent.len()) {
		l.m.fail(ErrDepth, l.place)
	}
	return Struct{m: l.m}
}
