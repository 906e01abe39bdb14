package corpus

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
)

// hostileLimits are small, so that a test can tell whether they bound the work.
var hostileLimits = wire.Limits{TraversalWords: 2000, Depth: 50}

// maxWork bounds what walkAs can count under hostileLimits. A word that is charged is at most 64
// elements (bits), and what costs nothing, null pointers, is at most all pointers of what was
// charged.
const maxWork = 64 * 2000

// walkFrame reads a frame as everything; it fails the test if the work was not bounded.
func walkFrame(t testing.TB, m *wire.Message, frame []byte) {
	m.SetLimits(hostileLimits)
	if _, err := m.ReadFramed(frame); err != nil {
		return
	}
	if work := walkAs(m); work > maxWork {
		t.Fatalf("%d units of work, at most %d: % x", work, maxWork, frame)
	}
}

func vectorFrames(t testing.TB) map[string][]byte {
	paths, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(paths) == 0 {
		t.Fatal("no vectors: ", err)
	}
	frames := make(map[string][]byte)
	for _, path := range paths {
		if frames[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return frames
}

// Every bit of every vector, flipped: headers, pointers, tags, discriminants.
func TestBitFlips(t *testing.T) {
	var m wire.Message
	for _, frame := range vectorFrames(t) {
		damaged := slices.Clone(frame)
		for bit := range len(frame) * 8 {
			damaged[bit/8] ^= 1 << (bit % 8)
			walkFrame(t, &m, damaged)
			damaged[bit/8] = frame[bit/8]
		}
	}
}

// A frame that is cut off anywhere is refused; the same bytes as a flat segment, whose end the
// framing does not announce, are read within bounds.
func TestTruncation(t *testing.T) {
	var m wire.Message
	m.SetLimits(hostileLimits)
	for name, frame := range vectorFrames(t) {
		for n := range frame {
			cut := slices.Clip(frame[:n])
			if _, err := m.ReadFramed(cut); err == nil {
				t.Fatalf("%s: a frame of %d of %d bytes is accepted", name, n, len(frame))
			}
			if m.Root().Has(0) {
				t.Fatalf("%s: a refused frame has a root", name)
			}
			if n < 8 {
				continue
			}
			if err := m.ReadFlat(cut[8:]); (err == nil) != (n > 8 && n%8 == 0) {
				t.Fatalf("%s: flat segment of %d bytes: %v", name, n-8, err)
			}
			walkAs(&m)
		}
	}
}

// FuzzRead reads arbitrary bytes as every type of the corpus, framed and flat.
func FuzzRead(f *testing.F) {
	for _, frame := range vectorFrames(f) {
		f.Add(frame)
	}
	var m wire.Message
	f.Fuzz(func(t *testing.T, data []byte) {
		walkFrame(t, &m, data)
		if err := m.ReadFlat(data); err == nil {
			if work := walkAs(&m); work > maxWork {
				t.Fatalf("%d units of work, at most %d", work, maxWork)
			}
		}
	})
}

// Reading and building into a reused buffer allocate nothing.
func TestNoAllocations(t *testing.T) {
	var b wire.Builder
	buf := make([]byte, 0, 4096)
	var frame []byte
	build := func() {
		b.ResetFramed(buf, cap(buf))
		buildRequest(&b, benchTenant, benchKey)
		var err error
		if frame, err = b.Bytes(); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, build); n != 0 {
		t.Errorf("building allocates %v times", n)
	}
	eq(t, "size of the benchmark's message", len(frame), 176)

	read := func() {
		var m wire.Message // not even a Message of its own
		if _, err := m.ReadFramed(frame); err != nil || readRequest(&m) != requestSum {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("reading allocates %v times", n)
	}

	// Many segments, once the Message has a table for them; and everything that lists can hold.
	lists := vectorFrames(t)["testdata/lists.multi.bin"]
	var m wire.Message
	var w walker
	readLists := func() {
		if _, err := m.ReadFramed(lists); err != nil {
			t.Fatal(err)
		}
		l := RootLists(&m)
		w.points(l.Points())
		for i, matrix := 0, l.Matrix(); i < matrix.Len(); i++ {
			for j, row := 0, matrix.At(i); j < row.Len(); j++ {
				w.numbers(uint64(row.At(j)))
			}
		}
		for i, texts := 0, l.Texts(); i < texts.Len(); i++ {
			w.bytes(texts.Bytes(i), l.Datas().At(i))
		}
		if m.Err() != nil {
			t.Fatal(m.Err())
		}
	}
	if n := testing.AllocsPerRun(100, readLists); n != 0 {
		t.Errorf("reading lists allocates %v times", n)
	}
}
