package wire

import "math"

// The typed lists of a message being read. At returns the default of its type for an index out of
// range and records ErrIndex. Elem tells NestedList how the list must be encoded.

// VoidList is a List(Void): only a length.
type VoidList List

// Len returns the number of elements.
func (l VoidList) Len() int { return l.extent.len() }

// Elem returns ElemVoid.
func (VoidList) Elem() Elem { return ElemVoid }

// BoolList is a List(Bool).
type BoolList List

// Len returns the number of elements.
func (l BoolList) Len() int { return l.extent.len() }

// At returns element i.
func (l BoolList) At(i int) bool { return List(l).Bit(i) }

// Elem returns ElemBit.
func (BoolList) Elem() Elem { return ElemBit }

// Int8List is a List(Int8).
type Int8List List

// Len returns the number of elements.
func (l Int8List) Len() int { return l.extent.len() }

// At returns element i.
func (l Int8List) At(i int) int8 { return int8(List(l).Uint8(i)) }

// Elem returns ElemByte.
func (Int8List) Elem() Elem { return ElemByte }

// Int16List is a List(Int16).
type Int16List List

// Len returns the number of elements.
func (l Int16List) Len() int { return l.extent.len() }

// At returns element i.
func (l Int16List) At(i int) int16 { return int16(List(l).Uint16(i)) }

// Elem returns ElemTwo.
func (Int16List) Elem() Elem { return ElemTwo }

// Int32List is a List(Int32).
type Int32List List

// Len returns the number of elements.
func (l Int32List) Len() int { return l.extent.len() }

// At returns element i.
func (l Int32List) At(i int) int32 { return int32(List(l).Uint32(i)) }

// Elem returns ElemFour.
func (Int32List) Elem() Elem { return ElemFour }

// Int64List is a List(Int64).
type Int64List List

// Len returns the number of elements.
func (l Int64List) Len() int { return l.extent.len() }

// At returns element i.
func (l Int64List) At(i int) int64 { return int64(List(l).Uint64(i)) }

// Elem returns ElemEight.
func (Int64List) Elem() Elem { return ElemEight }

// Uint8List is a List(UInt8).
type Uint8List List

// Len returns the number of elements.
func (l Uint8List) Len() int { return l.extent.len() }

// At returns element i.
func (l Uint8List) At(i int) uint8 { return List(l).Uint8(i) }

// Elem returns ElemByte.
func (Uint8List) Elem() Elem { return ElemByte }

// Uint16List is a List(UInt16).
type Uint16List List

// Len returns the number of elements.
func (l Uint16List) Len() int { return l.extent.len() }

// At returns element i.
func (l Uint16List) At(i int) uint16 { return List(l).Uint16(i) }

// Elem returns ElemTwo.
func (Uint16List) Elem() Elem { return ElemTwo }

// Uint32List is a List(UInt32).
type Uint32List List

// Len returns the number of elements.
func (l Uint32List) Len() int { return l.extent.len() }

// At returns element i.
func (l Uint32List) At(i int) uint32 { return List(l).Uint32(i) }

// Elem returns ElemFour.
func (Uint32List) Elem() Elem { return ElemFour }

// Uint64List is a List(UInt64).
type Uint64List List

// Len returns the number of elements.
func (l Uint64List) Len() int { return l.extent.len() }

// At returns element i.
func (l Uint64List) At(i int) uint64 { return List(l).Uint64(i) }

// Elem returns ElemEight.
func (Uint64List) Elem() Elem { return ElemEight }

// Float32List is a List(Float32).
type Float32List List

// Len returns the number of elements.
func (l Float32List) Len() int { return l.extent.len() }

// At returns element i.
func (l Float32List) At(i int) float32 { return math.Float32frombits(List(l).Uint32(i)) }

// Elem returns ElemFour.
func (Float32List) Elem() Elem { return ElemFour }

// Float64List is a List(Float64).
type Float64List List

// Len returns the number of elements.
func (l Float64List) Len() int { return l.extent.len() }

// At returns element i.
func (l Float64List) At(i int) float64 { return math.Float64frombits(List(l).Uint64(i)) }

// Elem returns ElemEight.
func (Float64List) Elem() Elem { return ElemEight }

// TextList is a List(Text).
type TextList List

// Len returns the number of elements.
func (l TextList) Len() int { return l.extent.len() }

// At returns a copy of element i.
func (l TextList) At(i int) string { return string(List(l).TextBytes(i)) }

// Bytes returns element i as a view into the message; see Struct.TextBytes.
func (l TextList) Bytes(i int) []byte { return List(l).TextBytes(i) }

// Elem returns ElemPointer.
func (TextList) Elem() Elem { return ElemPointer }

// DataList is a List(Data).
type DataList List

// Len returns the number of elements.
func (l DataList) Len() int { return l.extent.len() }

// At returns element i as a view into the message; see Struct.Data.
func (l DataList) At(i int) []byte { return List(l).Data(i) }

// Elem returns ElemPointer.
func (DataList) Elem() Elem { return ElemPointer }

// ReadableList is what NestedList needs of its elements: a type made from List, such as the ones
// above or the generated lists of structs and enums.
type ReadableList interface {
	~listHandle
	Elem() Elem
}

// NestedList is a list of lists of type L, such as NestedList[Uint32List] for List(List(UInt32)).
type NestedList[L ReadableList] List

// Len returns the number of lists.
func (l NestedList[L]) Len() int { return l.extent.len() }

// At returns list i; the empty list if it is null or bad.
func (l NestedList[L]) At(i int) L {
	var zero L
	return L(List(l).List(i, zero.Elem()))
}

// Elem returns ElemPointer.
func (NestedList[L]) Elem() Elem { return ElemPointer }
