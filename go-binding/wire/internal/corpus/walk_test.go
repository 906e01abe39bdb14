package corpus

import "github.com/hearthd/hearth/go-binding/wire"

// walker reads everything a message says it has and counts what it got, in units of a word or an
// element, to compare the work that a message causes with its limits.
type walker struct{ work int }

func (w *walker) bytes(values ...[]byte) {
	for _, v := range values {
		for range v {
		}
		w.work += 1 + len(v)/8
	}
}

func (w *walker) numbers(values ...uint64) { w.work += len(values) }

// walkAs reads the root of m as every type of the corpus.
func walkAs(m *wire.Message) int {
	var w walker
	w.primitives(RootPrimitives(m))
	w.blobs(RootBlobs(m))
	w.lists(RootLists(m))
	w.unions(RootUnions(m))
	w.outer(RootOuter(m))
	w.v1(RootV1(m))
	w.v2(RootV2(m))
	w.imported(RootImported(m))
	w.tree(RootTree(m))
	readRequest(m)
	return w.work
}

func (w *walker) primitives(p PrimitivesReader) {
	w.numbers(uint64(p.I8()), uint64(p.I16()), uint64(p.I32()), uint64(p.I64()), uint64(p.U8()),
		uint64(p.U16()), uint64(p.U32()), p.U64(), uint64(p.Color()), p.U64Default(),
		uint64(p.ColorDefault()))
	if p.Flag() && p.FlagDefault() && p.Flag2() && p.F32()+p.F32Default() > 0 && p.F64Nan() > 0 {
		w.work++
	}
}

func (w *walker) blobs(b BlobsReader) {
	w.bytes(b.TextBytes(), b.Data(), b.TextDefaultBytes(), b.DataDefault(), []byte(b.Text()))
}

func (w *walker) point(p PointReader) {
	w.numbers(uint64(p.X()), uint64(p.Y()))
	w.bytes(p.LabelBytes())
}

func (w *walker) points(l PointListReader) {
	for i := range l.Len() {
		w.point(l.At(i))
	}
}

// each reads all elements of a list.
func each[E any](w *walker, l list[E]) {
	for i := range l.Len() {
		l.At(i)
		w.work++
	}
}

func (w *walker) lists(l ListsReader) {
	w.work += l.Voids().Len() + l.Empties().Len()
	each(w, l.Bools())
	each(w, l.I8s())
	each(w, l.I16s())
	each(w, l.I32s())
	each(w, l.I64s())
	each(w, l.F32s())
	each(w, l.F64s())
	each(w, l.Texts())
	each(w, l.Datas())
	each(w, l.Colors())
	each(w, l.Empties())
	w.points(l.Points())
	matrix, cube, names := l.Matrix(), l.Cube(), l.Names()
	for i := range matrix.Len() {
		each(w, matrix.At(i))
	}
	for i := range cube.Len() {
		plane := cube.At(i)
		for j := range plane.Len() {
			each(w, plane.At(j))
		}
	}
	for i := range names.Len() {
		each(w, names.At(i))
	}
	for i, polygons := 0, l.Polygons(); i < polygons.Len(); i++ {
		w.points(polygons.At(i))
	}
}

func (w *walker) unions(u UnionsReader) {
	switch u.Which() {
	case UnionsWhichNumber:
		w.numbers(uint64(u.Number()))
	case UnionsWhichName:
		w.bytes(u.NameBytes())
	case UnionsWhichPoint:
		w.point(u.Point())
	case UnionsWhichRange:
		w.numbers(uint64(u.Range().Low()), uint64(u.Range().High()))
		w.bytes(u.Range().TagBytes())
	case UnionsWhichNumbers:
		each(w, u.Numbers())
	case UnionsWhichChoice:
		if u.Choice().Which() == UnionsChoiceWhichRight {
			w.bytes(u.Choice().Right())
		}
	}
}

func (w *walker) outer(o OuterReader) {
	if w.work++; o.HasInner() && o.Inner().HasOuter() {
		w.outer(o.Inner().Outer())
	}
	for i, l := 0, o.Inners(); i < l.Len(); i++ {
		if w.work++; l.At(i).HasOuter() {
			w.outer(l.At(i).Outer())
		}
	}
}

func (w *walker) v1(r V1Reader) {
	w.bytes(r.NameBytes())
	each(w, r.Numbers())
	each(w, r.Names())
	each(w, r.Bytes())
	for i, l := 0, r.Items(); i < l.Len(); i++ {
		w.bytes(l.At(i).TextBytes())
	}
}

func (w *walker) v2(r V2Reader) {
	w.bytes(r.NameBytes(), r.NoteBytes())
	for i, l := 0, r.Numbers(); i < l.Len(); i++ {
		w.numbers(uint64(l.At(i).Value()), uint64(l.At(i).Extra()))
		w.bytes(l.At(i).TextBytes())
	}
	for i, l := 0, r.Names(); i < l.Len(); i++ {
		w.bytes(l.At(i).NameBytes())
	}
	for i, l := 0, r.Bytes(); i < l.Len(); i++ {
		w.numbers(uint64(l.At(i).Value()), uint64(l.At(i).Wide()))
	}
	for i, l := 0, r.Items(); i < l.Len(); i++ {
		w.bytes(l.At(i).TextBytes())
		w.point(l.At(i).Point())
	}
}

func (w *walker) imported(r ImportedReader) {
	w.numbers(uint64(r.Thing().Size()), uint64(r.Thing().Part().Serial()))
	for i, l := 0, r.Things(); i < l.Len(); i++ {
		w.numbers(uint64(l.At(i).Part().Serial()))
	}
	for i, l := 0, r.Shades(); i < l.Len(); i++ {
		each(w, l.At(i))
	}
}

func (w *walker) tree(n TreeReader) {
	w.numbers(uint64(n.Value()))
	for i, l := 0, n.Children(); i < l.Len(); i++ {
		w.tree(l.At(i))
	}
	if n.HasLeft() {
		w.tree(n.Left())
	}
}
