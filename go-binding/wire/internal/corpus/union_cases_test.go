package corpus

import (
	"errors"
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
)

// unionCase is a Unions message with the same id and position in all cases.
func unionCase(name string, set func(UnionsBuilder), check func(*testing.T, UnionsReader)) testCase {
	build := func(b *wire.Builder) {
		u := NewRootUnions(b)
		u.SetId(0x0123456789abcdef)
		u.Position().SetX(1.25)
		u.Position().SetY(-1.25)
		set(u)
	}
	return testCase{name, build, func(t *testing.T, m *wire.Message) {
		u := RootUnions(m)
		eq(t, "id", u.Id(), 0x0123456789abcdef)
		eq(t, "which", "union_"+u.Which().String(), unionOf(name))
		eq(t, "x", u.Position().X(), 1.25)
		eq(t, "y", u.Position().Y(), -1.25)
		if name != "union_point" {
			eq(t, "depth", u.Position().Depth().Which(), UnionsPositionDepthWhichFlat)
		}
		check(t, u)
	}}
}

// unionOf is the union member in the name of a case.
func unionOf(name string) string {
	switch name {
	case "union_left", "union_right":
		return "union_choice"
	case "union_range_default":
		return "union_range"
	}
	return name
}

func buildUnionPoint(u UnionsBuilder) {
	p := u.NewPoint()
	p.SetX(3)
	p.SetY(-4)
	p.SetLabel("p")
	u.Position().Depth().SetDeep(10.5)
}

func checkUnionPoint(t *testing.T, u UnionsReader) {
	eq(t, "has", u.HasPoint(), true)
	eq(t, "has name", u.HasName(), false)
	eq(t, "x", u.Point().X(), 3)
	eq(t, "y", u.Point().Y(), -4)
	eq(t, "label", u.Point().Label(), "p")
	eq(t, "depth", u.Position().Depth().Which(), UnionsPositionDepthWhichDeep)
	eq(t, "deep", u.Position().Depth().Deep(), 10.5)
}

func buildUnionRange(u UnionsBuilder) {
	u.SetName("not to be seen again")
	r := u.NewRange()
	r.SetLow(2)
	r.SetHigh(20)
	r.SetExact(true)
	r.SetTag("closed")
}

func checkUnionRange(t *testing.T, u UnionsReader) {
	r := u.Range()
	eq(t, "low", r.Low(), 2)
	eq(t, "high", r.High(), 20)
	eq(t, "exact", r.Exact(), true)
	eq(t, "tag", r.Tag(), "closed")
}

// buildUnionRangeDefault sets everything the group shares with other members before it makes the
// group the member that is set: nothing of that may remain.
func buildUnionRangeDefault(u UnionsBuilder) {
	buildUnionRange(u)
	u.SetNumber(-1)
	choice := u.NewChoice()
	choice.SetLeft(255)
	choice.SetRight([]byte("old"))
	u.NewRange()
}

func checkUnionRangeDefault(t *testing.T, u UnionsReader) {
	r := u.Range()
	eq(t, "low", r.Low(), 0)
	eq(t, "high", r.High(), 10)
	eq(t, "exact", r.Exact(), false)
	eq(t, "tag", r.HasTag(), false)
}

func buildUnionNumbers(u UnionsBuilder) {
	numbers := u.NewNumbers(3)
	for i := range numbers.Len() {
		numbers.Set(i, uint16(1000*i))
	}
}

// A getter of a member that is not set reads its default, never the bytes of the member that is, and
// says so.
func TestInactiveMember(t *testing.T) {
	var b wire.Builder
	b.ResetFlat(nil, 0)
	u := NewRootUnions(&b)
	u.SetNumber(0x7fffffff)
	flat, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(u UnionsReader) bool{
		"name":   func(u UnionsReader) bool { return u.Name() == "anonymous" },
		"view":   func(u UnionsReader) bool { return string(u.NameBytes()) == "anonymous" },
		"range":  func(u UnionsReader) bool { return u.Range().Low() == 0 && u.Range().High() == 10 },
		"point":  func(u UnionsReader) bool { return u.Point().X() == 0 },
		"list":   func(u UnionsReader) bool { return u.Numbers().Len() == 0 },
		"choice": func(u UnionsReader) bool { return u.Choice().Left() == 0 },
		"color":  func(u UnionsReader) bool { return u.Color() == ColorBlue },
		"ready":  func(u UnionsReader) bool { return u.Ready() },
	}
	for name, ok := range calls {
		var m wire.Message
		if err := m.ReadFlat(flat); err != nil {
			t.Fatal(err)
		}
		if !ok(RootUnions(&m)) {
			t.Errorf("%s: not the default", name)
		}
		if !errors.Is(m.Err(), wire.ErrInactive) {
			t.Errorf("%s: error %v, want ErrInactive", name, m.Err())
		}
	}
	var m wire.Message
	if err := m.ReadFlat(flat); err != nil {
		t.Fatal(err)
	}
	r := RootUnions(&m)
	if r.Number() != 0x7fffffff || r.HasName() || r.HasPoint() || m.Err() != nil {
		t.Errorf("number %d, has name %v, has point %v, error %v", r.Number(), r.HasName(),
			r.HasPoint(), m.Err())
	}
}

// A discriminant that this version of the schema does not have is reported as it is.
func TestUnknownMember(t *testing.T) {
	var b wire.Builder
	b.ResetFlat(nil, 0)
	u := NewRootUnions(&b)
	for off := range uint32(40) {
		wire.StructBuilder(u).SetUint8(off, 200)
	}
	flat, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var m wire.Message
	if err := m.ReadFlat(flat); err != nil {
		t.Fatal(err)
	}
	eq(t, "which", RootUnions(&m).Which().String(), "UnionsWhich(51400)")
	eq(t, "error", m.Err(), nil)
}
