package corpus

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hearthd/hearth/go-binding/wire"
)

// variants are the encodings of one content that the C++ side writes. Contents with groups or unions
// have no double-far variant.
var variants = []string{".bin", ".multi.bin", ".double.bin"}

// checkVectors reads every vector in dir and returns how many files there were.
func checkVectors(t *testing.T, dir string) int {
	read := 0
	for _, c := range cases {
		for _, variant := range variants {
			frame, err := os.ReadFile(filepath.Join(dir, c.name+variant))
			if os.IsNotExist(err) && variant == ".double.bin" {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			read++
			t.Run(c.name+variant, func(t *testing.T) { checkFrame(t, c, frame) })
		}
	}
	return read
}

func checkFrame(t *testing.T, c testCase, frame []byte) {
	var m wire.Message
	rest, err := m.ReadFramed(frame)
	if err != nil {
		t.Fatal(err)
	}
	eq(t, "bytes after the message", len(rest), 0)
	c.check(t, &m)
	if err := m.Err(); err != nil {
		t.Error(err)
	}
}

// The checked-in vectors read as what they say; so do messages that Go built itself.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil {
		t.Fatal(err)
	}
	if read := checkVectors(t, "testdata"); read != len(files) {
		t.Errorf("read %d of %d vectors: some have no case", read, len(files))
	}
	if len(files) < 2*len(cases) {
		t.Errorf("%d vectors for %d cases", len(files), len(cases))
	}
}

func buildFrame(t testing.TB, c testCase) []byte {
	var b wire.Builder
	b.ResetFramed(nil, 0)
	c.build(&b)
	frame, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestGoReadsGo(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkFrame(t, c, buildFrame(t, c)) })
	}
}

// vectorsBinary is tests/conformance/wire's wire_vectors.
func vectorsBinary(t *testing.T) string {
	binary := os.Getenv("HEARTH_WIRE_VECTORS")
	if binary == "" {
		t.Skip("HEARTH_WIRE_VECTORS does not name the wire_vectors binary")
	}
	return binary
}

// The C++ library reads what Go built.
func TestCppReadsGo(t *testing.T) {
	binary := vectorsBinary(t)
	dir := t.TempDir()
	for _, c := range cases {
		if err := os.WriteFile(filepath.Join(dir, c.name+".bin"), buildFrame(t, c), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(binary, "verify", dir).CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// Go reads what the C++ library builds now, and the checked-in vectors are the same bytes.
func TestGoReadsCpp(t *testing.T) {
	binary := vectorsBinary(t)
	dir := t.TempDir()
	if out, err := exec.Command(binary, "write", dir).CombinedOutput(); err != nil {
		t.Fatalf("write: %v\n%s", err, out)
	}
	checkVectors(t, dir)
	fresh, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range fresh {
		name := filepath.Base(path)
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil || string(got) != string(want) {
			t.Errorf("testdata/%s is missing or not what wire_vectors writes", name)
		}
	}
}
