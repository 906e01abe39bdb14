package corpus

import (
	"math"
	"strings"
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
	other "github.com/hearthd/hearth/go-binding/wire/internal/corpus/other"
)

// settable is what the typed list builders have in common.
type settable[E any] interface{ Set(i int, v E) }

func set[E any](l settable[E], values ...E) {
	for i, v := range values {
		l.Set(i, v)
	}
}

func setPoint(p PointBuilder, x, y int32, label string) {
	p.SetX(x)
	p.SetY(y)
	if label != "" {
		p.SetLabel(label)
	}
}

func buildLists(b *wire.Builder) {
	l := NewRootLists(b)
	l.NewVoids(5)
	bools := l.NewBools(11)
	for i := range 11 {
		bools.Set(i, i%3 == 0)
	}
	set(l.NewI8s(3), math.MinInt8, 0, math.MaxInt8)
	set(l.NewI16s(3), math.MinInt16, 0, math.MaxInt16)
	set(l.NewI32s(3), math.MinInt32, 0, math.MaxInt32)
	set(l.NewI64s(3), math.MinInt64, 0, math.MaxInt64)
	set(l.NewU8s(3), 0, 1, math.MaxUint8)
	set(l.NewU16s(3), 0, 1, math.MaxUint16)
	set(l.NewU32s(3), 0, 1, math.MaxUint32)
	set(l.NewU64s(3), 0, 1, math.MaxUint64)
	set(l.NewF32s(2), 0.5, -0.5)
	set(l.NewF64s(2), 1e300, -1e-300)
	texts := l.NewTexts(3)
	texts.Set(0, "")
	texts.Set(1, "one")
	texts.SetBytes(2, []byte("two words"))
	datas := l.NewDatas(3)
	datas.Set(1, []byte{0, 255})
	datas.Set(2, nil)
	set(l.NewColors(3), ColorGreen, ColorRed, ColorBlue)
	points := l.NewPoints(3)
	setPoint(points.At(0), 10, -10, "zero")
	setPoint(points.At(2), math.MaxInt32, math.MinInt32, "two")
	buildNestedLists(l)
	l.NewEmpties(4)
}

func buildNestedLists(l ListsBuilder) {
	matrix := l.NewMatrix(3)
	set(matrix.New(0, 3), 1, 2, 3)
	matrix.New(1, 0)
	cube := l.NewCube(2)
	plane := cube.New(0, 2)
	set(plane.New(0, 3), true, false, true)
	set(plane.New(1, 1), false)
	names := l.NewNames(2)
	set(names.New(0, 2), "a", "bc")
	set(names.New(1, 1), "def")
	polygons := l.NewPolygons(2)
	polygon := polygons.New(0, 2)
	setPoint(polygon.At(0), 1, 2, "a")
	setPoint(polygon.At(1), 3, 4, "")
	setPoint(polygons.New(1, 1).At(0), 5, 6, "c")
	set(l.NewPalettes(1).New(0, 2), ColorBlue, ColorGreen)
}

func checkLists(t *testing.T, m *wire.Message) {
	l := RootLists(m)
	eq(t, "voids", l.Voids().Len(), 5)
	elements(t, "bools", l.Bools(), true, false, false, true, false, false, true, false, false, true,
		false)
	elements(t, "i8s", l.I8s(), math.MinInt8, 0, math.MaxInt8)
	elements(t, "i16s", l.I16s(), math.MinInt16, 0, math.MaxInt16)
	elements(t, "i32s", l.I32s(), math.MinInt32, 0, math.MaxInt32)
	elements(t, "i64s", l.I64s(), math.MinInt64, 0, math.MaxInt64)
	elements(t, "u8s", l.U8s(), 0, 1, math.MaxUint8)
	elements(t, "u16s", l.U16s(), 0, 1, math.MaxUint16)
	elements(t, "u32s", l.U32s(), 0, 1, math.MaxUint32)
	elements(t, "u64s", l.U64s(), 0, 1, math.MaxUint64)
	elements(t, "f32s", l.F32s(), 0.5, -0.5)
	elements(t, "f64s", l.F64s(), 1e300, -1e-300)
	elements(t, "texts", l.Texts(), "", "one", "two words")
	eq(t, "text view", string(l.Texts().Bytes(1)), "one")
	eq(t, "datas", l.Datas().Len(), 3)
	eq(t, "datas[0]", l.Datas().At(0) == nil, true)
	eq(t, "datas[1]", string(l.Datas().At(1)), "\x00\xff")
	eq(t, "datas[2]", len(l.Datas().At(2)), 0)
	elements(t, "colors", l.Colors(), ColorGreen, ColorRed, ColorBlue)
	checkPoints(t, "points", l.Points(), 10, -10, "zero", 0, 0, "", math.MaxInt32, math.MinInt32,
		"two")
	checkNestedLists(t, l)
	eq(t, "empties", l.Empties().Len(), 4)
}

// checkPoints takes x, y and label of each point.
func checkPoints(t *testing.T, what string, l PointListReader, want ...any) {
	t.Helper()
	eq(t, what, l.Len()*3, len(want))
	for i := range l.Len() {
		p := l.At(i)
		eq(t, what+" x", int(p.X()), want[3*i].(int))
		eq(t, what+" y", int(p.Y()), want[3*i+1].(int))
		eq(t, what+" label", p.Label(), want[3*i+2].(string))
		eq(t, what+" has label", p.HasLabel(), want[3*i+2] != "")
	}
}

func checkNestedLists(t *testing.T, l ListsReader) {
	eq(t, "matrix", l.Matrix().Len(), 3)
	elements(t, "matrix[0]", l.Matrix().At(0), 1, 2, 3)
	eq(t, "matrix[1]", l.Matrix().At(1).Len(), 0)
	eq(t, "matrix[2]", l.Matrix().At(2).Len(), 0)
	eq(t, "cube", l.Cube().Len(), 2)
	eq(t, "cube[0]", l.Cube().At(0).Len(), 2)
	elements(t, "cube[0][0]", l.Cube().At(0).At(0), true, false, true)
	elements(t, "cube[0][1]", l.Cube().At(0).At(1), false)
	eq(t, "cube[1]", l.Cube().At(1).Len(), 0)
	eq(t, "names", l.Names().Len(), 2)
	elements(t, "names[0]", l.Names().At(0), "a", "bc")
	elements(t, "names[1]", l.Names().At(1), "def")
	eq(t, "polygons", l.Polygons().Len(), 2)
	checkPoints(t, "polygons[0]", l.Polygons().At(0), 1, 2, "a", 3, 4, "")
	checkPoints(t, "polygons[1]", l.Polygons().At(1), 5, 6, "c")
	eq(t, "palettes", l.Palettes().Len(), 1)
	elements(t, "palettes[0]", l.Palettes().At(0), ColorBlue, ColorGreen)
}

func buildImported(b *wire.Builder) {
	r := NewRootImported(b)
	thing := r.NewThing()
	thing.SetSize(11)
	thing.NewPart().SetSerial(12)
	things := r.NewThings(2)
	things.At(0).SetSize(13)
	things.At(1).NewPart().SetSerial(14)
	r.SetShade(other.ShadeLight)
	set(r.NewShades(1).New(0, 2), other.ShadeDark, other.ShadeLight)
	r.NewSibling().SetSerial(15)
}

func checkImported(t *testing.T, m *wire.Message) {
	r := RootImported(m)
	eq(t, "thing.size", r.Thing().Size(), 11)
	eq(t, "thing.part", r.Thing().Part().Serial(), 12)
	eq(t, "things", r.Things().Len(), 2)
	eq(t, "things[0].size", r.Things().At(0).Size(), 13)
	eq(t, "things[0].part", r.Things().At(0).HasPart(), false)
	eq(t, "things[1].part", r.Things().At(1).Part().Serial(), 14)
	eq(t, "shade", r.Shade(), other.ShadeLight)
	elements(t, "shades[0]", r.Shades().At(0), other.ShadeDark, other.ShadeLight)
	eq(t, "sibling", r.Sibling().Serial(), 15)
}

func buildTree(b *wire.Builder) {
	node := NewRootTree(b)
	for level := range uint32(40) {
		node.SetValue(level)
		children := node.NewChildren(int(level % 4))
		for i := range children.Len() {
			children.At(i).SetValue(level*10 + uint32(i))
		}
		node = node.NewLeft()
	}
}

func checkTree(t *testing.T, m *wire.Message) {
	node := RootTree(m)
	for level := range uint32(40) {
		eq(t, "value", node.Value(), level)
		eq(t, "children", node.Children().Len(), int(level%4))
		for i := range node.Children().Len() {
			eq(t, "child", node.Children().At(i).Value(), level*10+uint32(i))
		}
		node = node.Left()
	}
	eq(t, "end", node.HasLeft(), false)
}

func TestConstants(t *testing.T) {
	eq(t, "maxEntries", MaxEntries, 4096)
	eq(t, "smallest", Smallest, math.MinInt64)
	eq(t, "half", Half, 0.5)
	eq(t, "endless", math.IsInf(Endless, 1), true)
	eq(t, "enabled", Enabled, true)
	eq(t, "greeting", Greeting, "h\u00e9llo \"there\"\n\t\\")
	eq(t, "magic", Magic, "\x00\xff\"\\A")
	eq(t, "favourite", Favourite, ColorBlue)
	eq(t, "negativeZero", math.Signbit(NegativeZero), true)
	eq(t, "tenth", Tenth, 0.1)
	eq(t, "nested", OuterLimit, 7)
	eq(t, "String", strings.Join([]string{ColorRed.String(), ColorBlue.String(),
		UnionsChoiceWhichRight.String(), Empty(3).String()}, " "), "red blue right Empty(3)")
}
