package wire

import "math"

// The typed lists of a message being built. Set with an index out of range changes nothing and
// records ErrIndex. Layout tells NestedListBuilder how to allocate the list.

// VoidListBuilder builds a List(Void): only a length.
type VoidListBuilder ListBuilder

// Len returns the number of elements.
func (l VoidListBuilder) Len() int { return l.n }

// Layout returns the layout of Void.
func (VoidListBuilder) Layout() Layout { return Layout{Elem: ElemVoid} }

// BoolListBuilder builds a List(Bool).
type BoolListBuilder ListBuilder

// Len returns the number of elements.
func (l BoolListBuilder) Len() int { return l.n }

// Set sets element i.
func (l BoolListBuilder) Set(i int, v bool) { ListBuilder(l).SetBit(i, v) }

// Layout returns the layout of Bool.
func (BoolListBuilder) Layout() Layout { return Layout{Elem: ElemBit} }

// Int8ListBuilder builds a List(Int8).
type Int8ListBuilder ListBuilder

// Len returns the number of elements.
func (l Int8ListBuilder) Len() int { return l.n }

// Set sets element i.
func (l Int8ListBuilder) Set(i int, v int8) { ListBuilder(l).SetUint8(i, uint8(v)) }

// Layout returns the layout of Int8.
func (Int8ListBuilder) Layout() Layout { return Layout{Elem: ElemByte} }

// Int16ListBuilder builds a List(Int16).
type Int16ListBuilder ListBuilder

// Len returns the number of elements.
func (l Int16ListBuilder) Len() int { return l.n }

// Set sets element i.
func (l Int16ListBuilder) Set(i int, v int16) { ListBuilder(l).SetUint16(i, uint16(v)) }

// Layout returns the layout of Int16.
func (Int16ListBuilder) Layout() Layout { return Layout{Elem: ElemTwo} }

// Int32ListBuilder builds a List(Int32).
type Int32ListBuilder ListBuilder

// Len returns the number of elements.
func (l Int32ListBuilder) Len() int { return l.n }

// Set sets element i.
func (l Int32ListBuilder) Set(i int, v int32) { ListBuilder(l).SetUint32(i, uint32(v)) }

// Layout returns the layout of Int32.
func (Int32ListBuilder) Layout() Layout { return Layout{Elem: ElemFour} }

// Int64ListBuilder builds a List(Int64).
type Int64ListBuilder ListBuilder

// Len returns the number of elements.
func (l Int64ListBuilder) Len() int { return l.n }

// Set sets element i.
func (l Int64ListBuilder) Set(i int, v int64) { ListBuilder(l).SetUint64(i, uint64(v)) }

// Layout returns the layout of Int64.
func (Int64ListBuilder) Layout() Layout { return Layout{Elem: ElemEight} }

// Uint8ListBuilder builds a List(UInt8).
type Uint8ListBuilder ListBuilder

// Len returns the number of elements.
func (l Uint8ListBuilder) Len() int { return l.n }

// Set sets element i.
func (l Uint8ListBuilder) Set(i int, v uint8) { ListBuilder(l).SetUint8(i, v) }

// Layout returns the layout of UInt8.
func (Uint8ListBuilder) Layout() Layout { return Layout{Elem: ElemByte} }

// Uint16ListBuilder builds a List(UInt16).
type Uint16ListBuilder ListBuilder

// Len returns the number of elements.
func (l Uint16ListBuilder) Len() int { return l.n }

// Set sets element i.
func (l Uint16ListBuilder) Set(i int, v uint16) { ListBuilder(l).SetUint16(i, v) }

// Layout returns the layout of UInt16.
func (Uint16ListBuilder) Layout() Layout { return Layout{Elem: ElemTwo} }

// Uint32ListBuilder builds a List(UInt32).
type Uint32ListBuilder ListBuilder

// Len returns the number of elements.
func (l Uint32ListBuilder) Len() int { return l.n }

// Set sets element i.
func (l Uint32ListBuilder) Set(i int, v uint32) { ListBuilder(l).SetUint32(i, v) }

// Layout returns the layout of UInt32.
func (Uint32ListBuilder) Layout() Layout { return Layout{Elem: ElemFour} }

// Uint64ListBuilder builds a List(UInt64).
type Uint64ListBuilder ListBuilder

// Len returns the number of elements.
func (l Uint64ListBuilder) Len() int { return l.n }

// Set sets element i.
func (l Uint64ListBuilder) Set(i int, v uint64) { ListBuilder(l).SetUint64(i, v) }

// Layout returns the layout of UInt64.
func (Uint64ListBuilder) Layout() Layout { return Layout{Elem: ElemEight} }

// Float32ListBuilder builds a List(Float32).
type Float32ListBuilder ListBuilder

// Len returns the number of elements.
func (l Float32ListBuilder) Len() int { return l.n }

// Set sets element i.
func (l Float32ListBuilder) Set(i int, v float32) { ListBuilder(l).SetUint32(i, math.Float32bits(v)) }

// Layout returns the layout of Float32.
func (Float32ListBuilder) Layout() Layout { return Layout{Elem: ElemFour} }

// Float64ListBuilder builds a List(Float64).
type Float64ListBuilder ListBuilder

// Len returns the number of elements.
func (l Float64ListBuilder) Len() int { return l.n }

// Set sets element i.
func (l Float64ListBuilder) Set(i int, v float64) { ListBuilder(l).SetUint64(i, math.Float64bits(v)) }

// Layout returns the layout of Float64.
func (Float64ListBuilder) Layout() Layout { return Layout{Elem: ElemEight} }

// TextListBuilder builds a List(Text).
type TextListBuilder ListBuilder

// Len returns the number of elements.
func (l TextListBuilder) Len() int { return l.n }

// Set sets element i to a copy of v.
func (l TextListBuilder) Set(i int, v string) { ListBuilder(l).SetText(i, v) }

// SetBytes sets element i to a copy of v.
func (l TextListBuilder) SetBytes(i int, v []byte) { ListBuilder(l).SetTextBytes(i, v) }

// Layout returns the layout of Text.
func (TextListBuilder) Layout() Layout { return Layout{Elem: ElemPointer} }

// DataListBuilder builds a List(Data).
type DataListBuilder ListBuilder

// Len returns the number of elements.
func (l DataListBuilder) Len() int { return l.n }

// Set sets element i to a copy of v.
func (l DataListBuilder) Set(i int, v []byte) { ListBuilder(l).SetData(i, v) }

// Layout returns the layout of Data.
func (DataListBuilder) Layout() Layout { return Layout{Elem: ElemPointer} }

// BuildableList is what NestedListBuilder needs of its elements: a type made from ListBuilder, such
// as the ones above or the generated builders of lists of structs and enums.
type BuildableList interface {
	~listBuilderHandle
	Layout() Layout
}

// NestedListBuilder builds a list of lists of type L.
type NestedListBuilder[L BuildableList] ListBuilder

// Len returns the number of lists.
func (l NestedListBuilder[L]) Len() int { return l.n }

// New allocates list i with n elements, all zero.
func (l NestedListBuilder[L]) New(i, n int) L {
	var zero L
	return L(ListBuilder(l).NewList(i, zero.Layout(), n))
}

// Layout returns the layout of a list.
func (NestedListBuilder[L]) Layout() Layout { return Layout{Elem: ElemPointer} }
