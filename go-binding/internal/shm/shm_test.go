package shm

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

func TestMapOnlySealedMemory(t *testing.T) {
	fd, err := CreateMemfd("test", 8192, false)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if _, err := Map(fd, false); !errors.Is(err, ErrNotSealed) {
		t.Errorf("a memfd that can shrink: %v", err)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := Map(int(file.Fd()), false); !errors.Is(err, ErrNotSealed) {
		t.Errorf("a file: %v", err)
	}
	sealed, err := CreateMemfd("test", 8192, true)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(sealed)
	writer, err := Map(sealed, true)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := Map(sealed, false)
	if err != nil {
		t.Fatal(err)
	}
	writer.Word(4096).Store(42)
	writer.CopyInString(5000, "hello")
	if reader.U64(4096) != 42 || !reader.EqualString(5000, "hello") || string(reader.Append(nil, 5000, 5)) != "hello" {
		t.Error("two mappings of one file differ")
	}
	for _, r := range []*Region{writer, reader} {
		if err := r.Unmap(); err != nil {
			t.Error(err)
		}
		if err := r.Unmap(); err != nil {
			t.Errorf("unmapping twice: %v", err)
		}
	}
	odd, err := CreateMemfd("test", 100, true)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(odd)
	if _, err := Map(odd, false); err == nil {
		t.Error("a region of 100 bytes was mapped")
	}
}

func TestAccessOutsidePanics(t *testing.T) {
	r := FromWords(make([]uint64, 16))
	for name, access := range map[string]func(){
		"Word":        func() { r.Word(128) },
		"Line":        func() { r.Line(128) },
		"U64":         func() { r.U64(1 << 63) },
		"U16":         func() { r.U16(128) },
		"Append":      func() { r.Append(nil, 100, 29) },
		"wrap":        func() { r.Append(nil, ^uint64(0), 2) },
		"CopyIn":      func() { r.CopyIn(127, []byte{1, 2}) },
		"EqualString": func() { r.EqualString(127, "ab") },
		"Words":       func() { r.Words(64, 9) },
		"Pages":       func() { r.Pages(0, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s outside the region did not panic", name)
				}
			}()
			access()
		}()
	}
	r.Prefetch(1 << 40) // is only a hint
	if !r.Contains(128, 0) || r.Contains(128, 1) || r.Contains(1, ^uint64(0)) {
		t.Error("Contains is wrong at the end")
	}
}

func TestSmallWords(t *testing.T) {
	r := FromWords([]uint64{0x1122334455667788, 0, 0, 0, 0, 0, 0, 0})
	if r.U32(0) != 0x55667788 || r.U32(4) != 0x11223344 || r.U16(2) != 0x5566 || r.U16(6) != 0x1122 || r.U8(7) != 0x11 {
		t.Error("a part of a word is wrong")
	}
	r.Word32(4).Store(9)
	if r.U64(0) != 9<<32|0x55667788 {
		t.Errorf("%#x", r.U64(0))
	}
}

func TestMatchTag(t *testing.T) {
	var line Line
	for i := range line {
		line[i].Store(uint64(i%3)<<48 | 0xffffffffffff)
	}
	for tag := range uint64(4) {
		want := uint64(0)
		for i := 1; i < len(line); i++ {
			if uint64(i%3) == tag {
				want |= 1 << (4*i + 3)
			}
		}
		if got := line.MatchTag(tag); got != want {
			t.Errorf("tag %d: %#x, want %#x", tag, got, want)
		}
	}
	line[7].Store(0xffff << 48)
	if got := line.MatchTag(0xffff); got != 1<<31 {
		t.Errorf("tag 0xffff: %#x", got)
	}
}

func TestReceiveTakesDescriptorsCloseOnExec(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer CloseAll(fds[:])
	if err := syscall.Sendmsg(fds[0], []byte("x"), syscall.UnixRights(0, 1, 2), nil, 0); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 10)
	n, got, err := Receive(fds[1], buffer)
	if err != nil || n != 1 || len(got) != 3 {
		t.Fatal(n, got, err)
	}
	for _, fd := range got {
		flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if flags&syscall.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d would be inherited", fd)
		}
	}
	CloseAll(got)
	if err := syscall.Sendmsg(fds[0], []byte(strings.Repeat("x", 20)), syscall.UnixRights(0), nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, got, err := Receive(fds[1], buffer); !errors.Is(err, ErrTruncated) || got != nil {
		t.Errorf("a packet that is too long: %v, %v", got, err)
	}
}

func TestClock(t *testing.T) {
	c, err := NewClock()
	if err != nil {
		t.Fatal(err)
	}
	before, _ := Monotonic()
	now := c.Now()
	after, _ := Monotonic()
	const slack = 1_000_000 // what may pass between the two readings of the sample
	if now+slack < before || now > after+slack {
		t.Errorf("%d is not between %d and %d", now, before, after)
	}
	then := time.Now().Add(time.Hour)
	if got := c.Time(int64(c.At(then))); got.Sub(then).Abs() > time.Microsecond {
		t.Errorf("%v became %v", then, got)
	}
	if c.At(time.Unix(0, 0).Add(-time.Hour)) == 0 {
		t.Error("a time in the past became 'none'")
	}
}

func TestPauseAndFence(t *testing.T) {
	Pause(0)
	Pause(PausesPer(time.Microsecond))
	AcquireFence()
	if runtime.GOARCH == "amd64" && PausesPer(time.Millisecond) < 1000 {
		t.Errorf("%d pauses in a millisecond", PausesPer(time.Millisecond))
	}
}

// present says which of the pages from an address on this process has page table entries for.
func present(t *testing.T, r *Region, pages int) (n int) {
	t.Helper()
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Skip(err)
	}
	defer pagemap.Close()
	entries := make([]byte, 8*pages)
	if _, err := pagemap.ReadAt(entries, int64(uintptr(unsafe.Pointer(unsafe.SliceData(r.mem)))/4096*8)); err != nil {
		t.Skip(err)
	}
	for i := range pages {
		n += int(entries[8*i+7] >> 7)
	}
	return n
}

func TestPopulate(t *testing.T) {
	const pages = 64
	fd, err := CreateMemfd("test", pages*4096, true)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	writer, err := Map(fd, true)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Unmap()
	for i := range uint64(pages) {
		writer.Word(i * 4096).Store(1) // a page that is not there cannot be shared
	}
	reader, err := Map(fd, false)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Unmap()
	if n := present(t, reader, pages); n != 0 {
		t.Fatalf("%d pages are present before anybody has read", n)
	}
	reader.Populate(8192+5, 3*4096)
	// The kernel maps what lies around a fault as well, 64 KiB.
	if n := present(t, reader, pages); n < 4 || n > 32 {
		t.Errorf("%d pages are present, want the 4 that hold the range, and some around", n)
	}
	reader.Populate(pages*4096, 1)
	reader.Populate(1<<60, 1<<60)
	reader.Populate(4096, 1<<60)
	if n := present(t, reader, pages); n < pages-1 {
		t.Errorf("%d pages are present, want all but the first", n)
	}
	FromWords(make([]uint64, 64)).Populate(0, 1<<60)
}
