package corpus

import (
	"math"
	"slices"
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
)

// testCase is one content of the conformance vectors, written here independently of
// tests/conformance/wire/vectors.cc.
type testCase struct {
	name  string
	build func(b *wire.Builder)
	check func(t *testing.T, m *wire.Message)
}

var cases = []testCase{
	{"primitives", buildPrimitives, checkPrimitives},
	{"primitives_default", func(b *wire.Builder) { NewRootPrimitives(b) }, checkPrimitiveDefaults},
	{"primitives_short", buildPrimitivesShort, checkPrimitivesShort},
	{"null", func(b *wire.Builder) {}, checkPrimitiveDefaults},
	{"blobs", buildBlobs, checkBlobs},
	{"blobs_default", func(b *wire.Builder) { NewRootBlobs(b) }, checkBlobDefaults},
	{"lists", buildLists, checkLists},
	unionCase("union_none", func(u UnionsBuilder) { u.SetNone() },
		func(t *testing.T, u UnionsReader) { eq(t, "which", u.Which(), UnionsWhichNone) }),
	unionCase("union_number", func(u UnionsBuilder) { u.SetNumber(-5) },
		func(t *testing.T, u UnionsReader) { eq(t, "number", u.Number(), -5) }),
	unionCase("union_name", func(u UnionsBuilder) { u.SetName("Ada") },
		func(t *testing.T, u UnionsReader) { eq(t, "name", u.Name(), "Ada") }),
	unionCase("union_point", buildUnionPoint, checkUnionPoint),
	unionCase("union_range", buildUnionRange, checkUnionRange),
	unionCase("union_range_default", buildUnionRangeDefault, checkUnionRangeDefault),
	unionCase("union_numbers", buildUnionNumbers, func(t *testing.T, u UnionsReader) {
		elements(t, "numbers", u.Numbers(), 0, 1000, 2000)
	}),
	unionCase("union_left", func(u UnionsBuilder) { u.NewChoice().SetLeft(200) },
		func(t *testing.T, u UnionsReader) {
			eq(t, "which", u.Choice().Which(), UnionsChoiceWhichLeft)
			eq(t, "left", u.Choice().Left(), 200)
		}),
	unionCase("union_right", func(u UnionsBuilder) { u.NewChoice().SetRight([]byte{9, 8, 7}) },
		func(t *testing.T, u UnionsReader) {
			eq(t, "which", u.Choice().Which(), UnionsChoiceWhichRight)
			eq(t, "right", string(u.Choice().Right()), "\x09\x08\x07")
		}),
	unionCase("union_color", func(u UnionsBuilder) { u.SetColor(ColorGreen) },
		func(t *testing.T, u UnionsReader) { eq(t, "color", u.Color(), ColorGreen) }),
	unionCase("union_ready", func(u UnionsBuilder) { u.SetReady(false) },
		func(t *testing.T, u UnionsReader) { eq(t, "ready", u.Ready(), false) }),
	{"outer", buildOuter, checkOuter},
	{"v1", buildV1, checkV1},
	{"v2", buildV2, checkV2},
	{"imported", buildImported, checkImported},
	{"request", func(b *wire.Builder) { buildRequest(b, benchTenant, benchKey) },
		func(t *testing.T, m *wire.Message) { eq(t, "sum", readRequest(m), requestSum) }},
	{"tree", buildTree, checkTree},
}

func eq[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// list is what the typed lists have in common.
type list[E any] interface {
	Len() int
	At(i int) E
}

func elements[E comparable](t *testing.T, what string, l list[E], want ...E) {
	t.Helper()
	got := make([]E, l.Len())
	for i := range got {
		got[i] = l.At(i)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func buildPrimitives(b *wire.Builder) {
	p := NewRootPrimitives(b)
	p.SetFlag(true)
	p.SetI8(math.MinInt8)
	p.SetI16(math.MinInt16)
	p.SetI32(math.MinInt32)
	p.SetI64(math.MinInt64)
	p.SetU8(math.MaxUint8)
	p.SetU16(math.MaxUint16)
	p.SetU32(math.MaxUint32)
	p.SetU64(math.MaxUint64)
	p.SetF32(1.5)
	p.SetF64(-2.5e-300)
	p.SetColor(ColorBlue)
	p.SetFlagDefault(false)
	p.SetI8Default(1)
	p.SetI16Default(2)
	p.SetI32Default(3)
	p.SetI64Default(4)
	p.SetU8Default(5)
	p.SetU16Default(6)
	p.SetU32Default(7)
	p.SetU64Default(8)
	p.SetF32Default(float32(math.Inf(1)))
	p.SetF64Default(math.Copysign(0, -1))
	p.SetColorDefault(7)
	p.SetFlag2(true)
	p.SetF64Nan(3.5)
}

func checkPrimitives(t *testing.T, m *wire.Message) {
	p := RootPrimitives(m)
	checkFirstPrimitives(t, p)
	eq(t, "i64", p.I64(), math.MinInt64)
	eq(t, "u8", p.U8(), math.MaxUint8)
	eq(t, "u16", p.U16(), math.MaxUint16)
	eq(t, "u32", p.U32(), math.MaxUint32)
	eq(t, "u64", p.U64(), math.MaxUint64)
	eq(t, "f32", p.F32(), 1.5)
	eq(t, "f64", p.F64(), -2.5e-300)
	eq(t, "color", p.Color(), ColorBlue)
	eq(t, "flagDefault", p.FlagDefault(), false)
	eq(t, "i8Default", p.I8Default(), 1)
	eq(t, "i16Default", p.I16Default(), 2)
	eq(t, "i32Default", p.I32Default(), 3)
	eq(t, "i64Default", p.I64Default(), 4)
	eq(t, "u8Default", p.U8Default(), 5)
	eq(t, "u16Default", p.U16Default(), 6)
	eq(t, "u32Default", p.U32Default(), 7)
	eq(t, "u64Default", p.U64Default(), 8)
	eq(t, "f32Default", p.F32Default(), float32(math.Inf(1)))
	eq(t, "f64Default", math.Float64bits(p.F64Default()), 1<<63)
	eq(t, "colorDefault", p.ColorDefault(), 7)
	eq(t, "unknown color", p.ColorDefault().String(), "Color(7)")
	eq(t, "flag2", p.Flag2(), true)
	eq(t, "f64Nan", p.F64Nan(), 3.5)
}

// checkFirstPrimitives checks what is in the first two words.
func checkFirstPrimitives(t *testing.T, p PrimitivesReader) {
	eq(t, "flag", p.Flag(), true)
	eq(t, "i8", p.I8(), math.MinInt8)
	eq(t, "i16", p.I16(), math.MinInt16)
	eq(t, "i32", p.I32(), math.MinInt32)
}

func checkPrimitiveDefaults(t *testing.T, m *wire.Message) {
	p := RootPrimitives(m)
	eq(t, "flag", p.Flag(), false)
	eq(t, "i8", p.I8(), 0)
	eq(t, "i16", p.I16(), 0)
	eq(t, "i32", p.I32(), 0)
	checkLaterDefaults(t, p)
	eq(t, "flagDefault", p.FlagDefault(), true)
	eq(t, "u8", p.U8(), 0)
}

// checkLaterDefaults checks the defaults of what an old peer does not send.
func checkLaterDefaults(t *testing.T, p PrimitivesReader) {
	eq(t, "u32", p.U32(), 0)
	eq(t, "u64", p.U64(), 0)
	eq(t, "f32", p.F32(), 0)
	eq(t, "f64", p.F64(), 0)
	eq(t, "i16Default", p.I16Default(), -1616)
	eq(t, "i32Default", p.I32Default(), -32323232)
	eq(t, "i64Default", p.I64Default(), -6464646464646464)
	eq(t, "u8Default", p.U8Default(), 0xf8)
	eq(t, "u16Default", p.U16Default(), 0xf016)
	eq(t, "u32Default", p.U32Default(), 0xf0000032)
	eq(t, "u64Default", p.U64Default(), 0xf000000000000064)
	eq(t, "f32Default", p.F32Default(), -32.5)
	eq(t, "f64Default", p.F64Default(), 64.25e100)
	eq(t, "colorDefault", p.ColorDefault(), ColorGreen)
	eq(t, "f64Nan", math.IsNaN(p.F64Nan()), true)
}

// buildPrimitivesShort builds what a peer sends whose Primitives ends after two words.
func buildPrimitivesShort(b *wire.Builder) {
	var full wire.Builder
	full.ResetFlat(nil, 0)
	buildPrimitives(&full)
	flat, _ := full.Bytes()
	short := b.Root(2, 0)
	for i, v := range flat[8:24] {
		short.SetUint8(uint32(i), v)
	}
}

func checkPrimitivesShort(t *testing.T, m *wire.Message) {
	p := RootPrimitives(m)
	checkFirstPrimitives(t, p)
	checkLaterDefaults(t, p)
}

func buildBlobs(b *wire.Builder) {
	r := NewRootBlobs(b)
	r.SetTextBytes([]byte("h\u00e9llo"))
	r.SetData([]byte{0, 1, 2, 253, 254, 255, 0})
	r.SetTextDefault("")
	r.SetDataDefault(nil)
}

func checkBlobs(t *testing.T, m *wire.Message) {
	r := RootBlobs(m)
	eq(t, "text", r.Text(), "h\u00e9llo")
	eq(t, "text view", string(r.TextBytes()), "h\u00e9llo")
	eq(t, "data", string(r.Data()), "\x00\x01\x02\xfd\xfe\xff\x00")
	eq(t, "textDefault", r.TextDefault(), "")
	eq(t, "textDefault view", len(r.TextDefaultBytes()), 0)
	eq(t, "dataDefault", len(r.DataDefault()), 0)
	eq(t, "has", r.HasText() && r.HasData() && r.HasTextDefault() && r.HasDataDefault(), true)
}

func checkBlobDefaults(t *testing.T, m *wire.Message) {
	r := RootBlobs(m)
	eq(t, "text", r.Text(), "")
	eq(t, "text view", string(r.TextBytes()), "")
	eq(t, "data", string(r.Data()), "")
	eq(t, "textDefault", r.TextDefault(), "default \"text\" \u00fc")
	eq(t, "textDefault view", string(r.TextDefaultBytes()), "default \"text\" \u00fc")
	eq(t, "dataDefault", string(r.DataDefault()), "\xde\xad\x00\xbe\xef")
	eq(t, "has", r.HasText() || r.HasData() || r.HasTextDefault() || r.HasDataDefault(), false)
}

func buildOuter(b *wire.Builder) {
	outer := NewRootOuter(b)
	outer.SetKind(OuterInnerKindFirst)
	inner := outer.NewInner()
	inner.SetKind(OuterInnerKindSecond)
	inner.NewOuter().NewInner().SetKind(OuterInnerKindSecond)
	inners := outer.NewInners(2)
	inners.At(1).SetKind(OuterInnerKindSecond)
	inners.At(1).NewOuter().SetKind(OuterInnerKindFirst)
}

func checkOuter(t *testing.T, m *wire.Message) {
	outer := RootOuter(m)
	eq(t, "kind", outer.Kind(), OuterInnerKindFirst)
	eq(t, "inner", outer.Inner().Kind(), OuterInnerKindSecond)
	eq(t, "inner.outer.kind", outer.Inner().Outer().Kind(), OuterInnerKindSecond)
	eq(t, "inner.outer.inner", outer.Inner().Outer().Inner().Kind(), OuterInnerKindSecond)
	eq(t, "has", outer.HasInner() && !outer.Inner().Outer().Inner().HasOuter(), true)
	inners := outer.Inners()
	eq(t, "inners", inners.Len(), 2)
	eq(t, "inners[0]", inners.At(0).Kind(), OuterInnerKindFirst)
	eq(t, "inners[0].outer", inners.At(0).HasOuter(), false)
	eq(t, "inners[0].outer.kind", inners.At(0).Outer().Kind(), OuterInnerKindSecond)
	eq(t, "inners[1]", inners.At(1).Kind(), OuterInnerKindSecond)
	eq(t, "inners[1].outer", inners.At(1).Outer().Kind(), OuterInnerKindFirst)
}
