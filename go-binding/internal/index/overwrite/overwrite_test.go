// Package overwrite proves package index against the real writer: Go processes read a store, through
// read-only mappings of their own, that a C++ process overwrites and evicts at full speed. No value may
// be torn, foreign, outdated or missing.
package overwrite

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// TestMain lets this executable be the readers as well: tests/core/process_test.cc, which is the writer
// and the judge, starts it again and says what to read.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "overwrite-reader" {
		if err := reader(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "overwrite-reader:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestReadersInOtherProcesses makes 7 million reads, and 100 million with HEARTH_FULL=1.
func TestReadersInOtherProcesses(t *testing.T) {
	build := os.Getenv("HEARTH_BUILD_DIR")
	if build == "" {
		t.Skip("HEARTH_BUILD_DIR is not set")
	}
	if raceDetector {
		t.Skip("the race detector does not see other processes, and slows their readers down")
	}
	writer := filepath.Join(build, "tests", "core", "core_process_test")
	if _, err := os.Stat(writer); err != nil {
		t.Skip("the writer is not built: ", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), writer)
	command.Env = append(os.Environ(), "HEARTH_GO_READER="+self)
	// It must not outlive this process, nor do its readers outlive it. The kernel takes the end of the
	// thread for that of the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.WaitDelay = 10 * time.Second
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
	if n := strings.Count(string(output), " reads in 2 Go processes "); n != 4 {
		t.Errorf("%d loads were read by Go processes, want 4:\n%s", n, output)
	}
}

// load is what the writer says about its keys and values.
type load struct{ keys, spread, seed, reads uint64 }

// report is sent back, 8 little-endian bytes each.
type report struct{ hits, misses, contended, torn, outdated uint64 }

// reader attaches, says so, waits for the start, reads, and reports.
func reader(arguments []string) error {
	var numbers [6]uint64
	if len(arguments) != len(numbers) {
		return fmt.Errorf("%d arguments, want %d", len(arguments), len(numbers))
	}
	for i, text := range arguments {
		var err error
		if numbers[i], err = strconv.ParseUint(text, 10, 64); err != nil {
			return err
		}
	}
	region, err := shm.Map(int(numbers[0]), false)
	if err != nil {
		return err
	}
	store, err := index.Attach(region)
	if err != nil {
		return err
	}
	acknowledged, err := shm.Map(int(numbers[1]), false)
	if err != nil {
		return err
	}
	if _, err := os.Stdout.Write([]byte("r")); err != nil {
		return err
	}
	if _, err := io.ReadFull(os.Stdin, make([]byte, 1)); err != nil {
		return err
	}
	r, err := read(store, acknowledged, load{numbers[2], numbers[3], numbers[4], numbers[5]})
	if err != nil {
		return err
	}
	var raw []byte
	for _, n := range []uint64{r.hits, r.misses, r.contended, r.torn, r.outdated} {
		raw = binary.LittleEndian.AppendUint64(raw, n)
	}
	_, err = os.Stdout.Write(raw)
	return err
}

func read(store *index.Store, acknowledged *shm.Region, l load) (r report, err error) {
	ns, err := store.Namespace(1)
	if err != nil {
		return r, err
	}
	var meta index.Meta
	var value, expected []byte
	seen := make([]uint64, l.keys)
	keys := make([]string, l.keys)
	for i := range keys {
		keys[i] = fmt.Sprint("key ", i)
	}
	choose := random(l.seed)
	for range l.reads {
		key := choose.next() % l.keys
		// SYNC acquire test-acknowledged: a set that returned before this read begins.
		floor := acknowledged.Word(8 * key).Load()
		var result index.Result
		value, result = store.Read(value[:0], &ns, keys[key], &meta)
		if result != index.Hit {
			if result == index.Miss {
				r.misses++
			} else {
				r.contended++
			}
			continue
		}
		r.hits++
		if !check(value, &expected, uint32(key), l.spread) {
			r.torn++
		}
		if meta.Version < floor || meta.Version < seen[key] {
			r.outdated++
		}
		seen[key] = meta.Version
	}
	return r, nil
}

// random is SplitMix64, as in tests/support/seed.h.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// check says whether a value is, byte for byte, one of those that tests/support/self_checking_value.h
// makes for the key: key 4, number 8, bytes that follow from both, CRC-32C 4.
func check(value []byte, expected *[]byte, key uint32, spread uint64) bool {
	const overhead = 16
	little := binary.LittleEndian
	if len(value) < overhead {
		return false
	}
	end := len(value) - 4
	if crc32.Checksum(value[:end], castagnoli) != little.Uint32(value[end:]) {
		return false
	}
	number := little.Uint64(value[4:])
	content := random(number<<20 ^ uint64(key))
	if uint64(len(value)) != overhead+content.next()%(spread+1) {
		return false
	}
	want := little.AppendUint32((*expected)[:0], key)
	want = little.AppendUint64(want, number)
	for len(want) < end {
		want = little.AppendUint64(want, content.next())
	}
	*expected = want
	return number != 0 && slices.Equal(value[:end], want[:end])
}
