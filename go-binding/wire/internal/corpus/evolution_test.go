package corpus

import (
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
)

func buildV1(b *wire.Builder) {
	r := NewRootV1(b)
	r.SetId(17)
	r.SetName("old")
	set(r.NewNumbers(3), 100, 200, 300)
	set(r.NewNames(2), "x", "y")
	items := r.NewItems(2)
	items.At(0).SetValue(1)
	items.At(0).SetText("first")
	items.At(1).SetValue(2)
	set(r.NewBytes(5), 5, 6, 7, 8, 9)
}

func checkV1(t *testing.T, m *wire.Message) {
	r := RootV1(m)
	eq(t, "id", r.Id(), 17)
	eq(t, "name", r.Name(), "old")
	elements(t, "numbers", r.Numbers(), 100, 200, 300)
	elements(t, "names", r.Names(), "x", "y")
	eq(t, "items", r.Items().Len(), 2)
	eq(t, "items[0]", r.Items().At(0).Value(), 1)
	eq(t, "items[0].text", r.Items().At(0).Text(), "first")
	eq(t, "items[1]", r.Items().At(1).Value(), 2)
	elements(t, "bytes", r.Bytes(), 5, 6, 7, 8, 9)
	checkV1AsV2(t, RootV2(m))
}

// checkV1AsV2 reads an old peer's message with today's schema: lists of primitives and of text as
// lists of structs, short structs, fields that are not there.
func checkV1AsV2(t *testing.T, r V2Reader) {
	eq(t, "id", r.Id(), 17)
	eq(t, "name", r.Name(), "old")
	eq(t, "numbers", r.Numbers().Len(), 3)
	for i := range r.Numbers().Len() {
		n := r.Numbers().At(i)
		eq(t, "number", n.Value(), uint32(100*(i+1)))
		eq(t, "number.text", n.Text(), "no text")
		eq(t, "number.extra", n.Extra(), -1)
	}
	eq(t, "names", r.Names().Len(), 2)
	eq(t, "names[0]", r.Names().At(0).Name(), "x")
	eq(t, "names[1]", r.Names().At(1).Name(), "y")
	eq(t, "names[1].number", r.Names().At(1).Number(), 5)
	eq(t, "items", r.Items().Len(), 2)
	eq(t, "items[0].text", r.Items().At(0).Text(), "first")
	eq(t, "items[1].value", r.Items().At(1).Value(), 2)
	eq(t, "items[1].extra", r.Items().At(1).Extra(), 12)
	eq(t, "items[1].point", r.Items().At(1).HasPoint(), false)
	eq(t, "bytes", r.Bytes().Len(), 5)
	for i := range r.Bytes().Len() {
		eq(t, "byte", r.Bytes().At(i).Value(), uint8(5+i))
		eq(t, "byte.wide", r.Bytes().At(i).Wide(), 77)
	}
	eq(t, "added", r.Added(), 99)
	eq(t, "note", r.Note(), "none")
	eq(t, "more", r.More().Len(), 0)
}

func buildV2(b *wire.Builder) {
	r := NewRootV2(b)
	r.SetId(18)
	r.SetName("new")
	numbers := r.NewNumbers(2)
	numbers.At(0).SetValue(400)
	numbers.At(0).SetText("four hundred")
	numbers.At(1).SetValue(500)
	numbers.At(1).SetExtra(-2)
	names := r.NewNames(2)
	names.At(0).SetName("z")
	names.At(0).SetNumber(26)
	names.At(1).SetName("w")
	item := r.NewItems(1).At(0)
	item.SetValue(3)
	item.SetText("third")
	item.SetExtra(13)
	setPoint(item.NewPoint(), 7, 8, "point")
	bytes := r.NewBytes(2)
	bytes.At(0).SetValue(250)
	bytes.At(1).SetWide(78)
	r.SetAdded(100)
	r.SetNote("some")
	r.NewMore(1).At(0).SetValue(4)
}

func checkV2(t *testing.T, m *wire.Message) {
	r := RootV2(m)
	eq(t, "numbers", r.Numbers().Len(), 2)
	eq(t, "numbers[0].text", r.Numbers().At(0).Text(), "four hundred")
	eq(t, "numbers[0].extra", r.Numbers().At(0).Extra(), -1)
	eq(t, "numbers[1].text", r.Numbers().At(1).Text(), "no text")
	eq(t, "numbers[1].extra", r.Numbers().At(1).Extra(), -2)
	eq(t, "names[0].number", r.Names().At(0).Number(), 26)
	eq(t, "items[0].extra", r.Items().At(0).Extra(), 13)
	eq(t, "items[0].point", r.Items().At(0).Point().Label(), "point")
	eq(t, "bytes[1].wide", r.Bytes().At(1).Wide(), 78)
	eq(t, "added", r.Added(), 100)
	eq(t, "note", r.Note(), "some")
	eq(t, "more", r.More().At(0).Value(), 4)
	checkV2AsV1(t, RootV1(m))
}

// checkV2AsV1 reads a new peer's message with an old schema: lists of structs as lists of primitives
// and of text, structs with more fields than are known.
func checkV2AsV1(t *testing.T, r V1Reader) {
	eq(t, "id", r.Id(), 18)
	eq(t, "name", r.Name(), "new")
	elements(t, "numbers", r.Numbers(), 400, 500)
	elements(t, "names", r.Names(), "z", "w")
	eq(t, "items", r.Items().Len(), 1)
	eq(t, "items[0].value", r.Items().At(0).Value(), 3)
	eq(t, "items[0].text", r.Items().At(0).Text(), "third")
	elements(t, "bytes", r.Bytes(), 250, 0)
}
