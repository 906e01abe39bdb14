// Package conformance hands the vectors of tests/conformance, which C++ computes, to the Go tests.
// tests/conformance/README.md describes the files.
package conformance

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Word is a 64-bit word, in a file "0x00000000000000ff".
type Word uint64

// UnmarshalText reads a word.
func (w *Word) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 0, 64)
	*w = Word(n)
	return err
}

// MarshalText writes a word as the files do.
func (w Word) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "0x%016x", uint64(w)), nil }

// Bytes is a byte string, in a file hexadecimal.
type Bytes []byte

// UnmarshalText reads a byte string.
func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// Read decodes a vector file as the C++ build writes it now; its own test compares that with the file
// in the tree. Every field of the file must have its place in the value.
func Read(t testing.TB, command, file string, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(File(t, command, file)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// File runs `conformance_vectors command DIR` and returns one of the files it writes.
func File(t testing.TB, command, file string) []byte {
	t.Helper()
	directory := t.TempDir()
	Run(t, "", command, directory)
	content, err := os.ReadFile(filepath.Join(directory, file))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Run runs the program and returns its standard output.
func Run(t testing.TB, input string, arguments ...string) string {
	t.Helper()
	binary := os.Getenv("HEARTH_CONFORMANCE")
	if binary == "" {
		t.Skip("HEARTH_CONFORMANCE does not name the conformance_vectors binary")
	}
	command := exec.CommandContext(t.Context(), binary, arguments...)
	command.Stdin = strings.NewReader(input)
	var problems strings.Builder
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command.Args, err, &problems)
	}
	return string(output)
}
