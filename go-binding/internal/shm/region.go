package shm

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Linux constants that package syscall does not have.
const (
	fGetSeals   = 1034
	fAddSeals   = 1033
	sealShrink  = 2
	sealGrow    = 4
	maxMapBytes = 1 << 46
)

// ErrNotSealed is returned by Map for a descriptor whose file could shrink under the mapping.
var ErrNotSealed = errors.New("the descriptor is not a memory file sealed against shrinking")

// regionAlign is what the size of every region is a multiple of. It makes a bounds check of the
// index of a word, or of a cache line, all that an access needs.
const regionAlign = 64

// Region is a mapping of shared memory. Its methods are safe for concurrent use in the way the
// memory itself is; Unmap is not. The slices are views of the same bytes: Go's own bounds checks
// are the ones that hold, and an offset that is not aligned reaches the word that contains it.
type Region struct {
	mem    []byte
	words  []atomic.Uint64
	lines  []Line
	mapped bool
}

// Line is eight consecutive words: one cache line.
type Line [8]atomic.Uint64

// Prefetch asks the CPU to bring the line into its cache, without waiting.
func (l *Line) Prefetch() { prefetch(unsafe.Pointer(l)) }

// MatchTag says which of the words 1 to 7 have tag in their top 16 bits: bit 4*i+3 for word i. It
// has no branch, because the position is random and would be mispredicted. It is a filter: words
// may change while it looks, so load and check the word again, atomically.
func (l *Line) MatchTag(tag uint64) uint64 { return matchTag(l, tag) }

// Page is 1024 cache lines: a page of the index.
type Page [1024]Line

func view(base unsafe.Pointer, size int) *Region {
	return &Region{
		mem:   unsafe.Slice((*byte)(base), size),
		words: unsafe.Slice((*atomic.Uint64)(base), size/8),
		lines: unsafe.Slice((*Line)(base), size/regionAlign),
	}
}

// Map maps the whole memory file behind fd, which stays open and belongs to the caller. It fails
// with ErrNotSealed unless the file is a memfd sealed with F_SEAL_SHRINK.
func Map(fd int, writable bool) (*Region, error) {
	seals, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), fGetSeals, 0)
	if errno != 0 {
		return nil, fmt.Errorf("%w (fcntl: %w)", ErrNotSealed, errno)
	}
	if seals&sealShrink == 0 {
		return nil, fmt.Errorf("%w (seals %#x)", ErrNotSealed, seals)
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("fstat of a shared region: %w", err)
	}
	if stat.Size <= 0 || stat.Size > maxMapBytes || stat.Size%regionAlign != 0 {
		return nil, fmt.Errorf("a shared region of %d bytes cannot be mapped", stat.Size)
	}
	prot := syscall.PROT_READ
	if writable {
		prot |= syscall.PROT_WRITE
	}
	mem, err := syscall.Mmap(fd, 0, int(stat.Size), prot, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap of %d shared bytes: %w", stat.Size, err)
	}
	r := view(unsafe.Pointer(unsafe.SliceData(mem)), len(mem))
	r.mapped = true
	return r, nil
}

// FromWords returns a region over ordinary memory, for tests and fuzzing. It is never unmapped.
// The number of words is rounded down to whole cache lines.
func FromWords(words []uint64) *Region {
	if len(words) < regionAlign/8 {
		return &Region{}
	}
	return view(unsafe.Pointer(unsafe.SliceData(words)), len(words)*8&^(regionAlign-1))
}

// Unmap removes the mapping. Nobody may use the region any more, then or later.
func (r *Region) Unmap() error {
	mem := r.mem
	r.mem, r.words, r.lines = nil, nil, nil
	if !r.mapped {
		return nil
	}
	r.mapped = false
	return syscall.Munmap(mem)
}

// Populate gives this process the pages that hold n bytes from offset, so that their first read is no
// page fault. It takes about as long as the faults would.
func (r *Region) Populate(offset, n uint64) {
	const (
		page         = 4096
		populateRead = 22 // MADV_POPULATE_READ, since Linux 5.14
	)
	if !r.mapped || offset >= r.Size() {
		return
	}
	from := offset &^ (page - 1)
	part := r.mem[from : offset+min(n, r.Size()-offset)]
	if len(part) == 0 || syscall.Madvise(part, populateRead) == nil {
		return
	}
	for i := uint64(0); i < uint64(len(part)); i += page {
		_ = r.Word(from + i).Load()
	}
}

// Size is the length of the mapping in bytes, a multiple of 64.
func (r *Region) Size() uint64 { return uint64(len(r.mem)) }

// Contains reports whether [offset, offset+n) lies within the region. It does not overflow.
func (r *Region) Contains(offset, n uint64) bool {
	return offset <= r.Size() && n <= r.Size()-offset
}

// Word returns the 64-bit word at an offset that is a multiple of 8. Memory order is that of
// [sync/atomic]: loads acquire, stores release, and all of them are sequentially consistent.
func (r *Region) Word(offset uint64) *atomic.Uint64 { return &r.words[offset>>3] }

// Line returns the cache line at an offset that is a multiple of 64.
func (r *Region) Line(offset uint64) *Line { return &r.lines[offset>>6] }

// Word32 returns the 32-bit word at an offset that is a multiple of 4.
func (r *Region) Word32(offset uint64) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(r.Word(offset)), offset&4))
}

// Words returns the n words from an offset that is a multiple of 8.
func (r *Region) Words(offset, n uint64) []atomic.Uint64 { return r.words[offset>>3:][:n:n] }

// Hints returns the n words from an offset that is a multiple of 8, for hints to another process that
// may be lost: stored without order, without a barrier, and by any number of goroutines at once. A
// barrier would make a read that leaves a hint wait for its memory before the next one may begin.
// These are single instructions on the 64-bit machines Hearth runs on, so no word is ever half new.
func (r *Region) Hints(offset, n uint64) []uint64 {
	words := r.Words(offset, n)
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(words))), n)
}

// Lines returns the n cache lines from an offset that is a multiple of 64.
func (r *Region) Lines(offset, n uint64) []Line { return r.lines[offset>>6:][:n:n] }

// Pages returns the n pages of 64 KiB from an offset that is a multiple of 64.
func (r *Region) Pages(offset, n uint64) []Page {
	lines := r.Lines(offset, n*uint64(len(Page{})))
	return unsafe.Slice((*Page)(unsafe.Pointer(unsafe.SliceData(lines))), n)
}

// Bytes returns the n bytes from offset in place. They change under the reader: compare or copy
// them, and hand them to nobody.
func (r *Region) Bytes(offset, n uint64) []byte { return r.mem[offset:][:n:n] }

// View returns the n bytes from offset in place, for a caller who may use them as long as a pin keeps
// them from changing, and who learns afterwards whether it did. The memory of a store is mapped
// read-only: writing to it ends the process.
func (r *Region) View(offset, n uint64) []byte { return r.mem[offset:][:n:n] }

// U64 loads the 64-bit word at an offset that is a multiple of 8.
func (r *Region) U64(offset uint64) uint64 { return r.words[offset>>3].Load() }

// U32 loads the 32-bit word at an offset that is a multiple of 4.
func (r *Region) U32(offset uint64) uint32 { return uint32(r.U64(offset) >> (offset & 4 * 8)) }

// U16 loads the 16-bit word at an even offset.
func (r *Region) U16(offset uint64) uint16 { return uint16(r.U64(offset) >> (offset & 6 * 8)) }

// U8 loads one byte.
func (r *Region) U8(offset uint64) byte { return r.mem[offset] }

// Append appends n bytes from offset to dst.
func (r *Region) Append(dst []byte, offset, n uint64) []byte {
	return append(dst, r.mem[offset:offset+n]...)
}

// CopyOut fills dst from offset.
func (r *Region) CopyOut(dst []byte, offset uint64) { copy(dst, r.mem[offset:offset+uint64(len(dst))]) }

// CopyIn copies src to offset.
func (r *Region) CopyIn(offset uint64, src []byte) { copy(r.mem[offset:offset+uint64(len(src))], src) }

// CopyInString copies src to offset.
func (r *Region) CopyInString(offset uint64, src string) {
	copy(r.mem[offset:offset+uint64(len(src))], src)
}

// EqualString reports whether the bytes from offset equal s. The bytes may change meanwhile; the
// result is then arbitrary, and the caller's re-check discards it.
func (r *Region) EqualString(offset uint64, s string) bool {
	return string(r.mem[offset:offset+uint64(len(s))]) == s
}

// Prefetch asks the CPU to bring the line at offset into its cache, without waiting.
func (r *Region) Prefetch(offset uint64) {
	if offset < uint64(len(r.mem)) {
		prefetch(unsafe.Pointer(&r.mem[offset]))
	}
}

// BytesAsString views b as a string without copying. The caller must neither keep the string nor
// let b change while it is in use.
func BytesAsString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// AddressOf is where something of the caller lies. On a stack it tells goroutines apart, more or less.
func AddressOf[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// Load64, Load32 and Load16 read little-endian words of a string at any alignment. Their callers
// have checked the bounds; they exist because the hash of a key is a third of a cached read.
func Load64(s string, i int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), i))
}

// Load32 is Load64 for four bytes.
func Load32(s string, i int) uint64 {
	return uint64(*(*uint32)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), i)))
}
