package index

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

var (
	// ErrCorrupt says that bytes cannot be what hearthd wrote.
	ErrCorrupt = errors.New("not a usable region of Hearth")
	// ErrNotReady says that the creator of a region has not finished it.
	ErrNotReady = errors.New("the region is still being created")
)

// MismatchError says that a region has another layout than this client was built for.
type MismatchError struct {
	// Theirs and Ours are for people: "layout 2 (6f6b1e...)".
	Theirs, Ours string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("the region has %s, this client reads %s", e.Theirs, e.Ours)
}

// DescribeLayout is how versions are written in errors.
func DescribeLayout(version uint32, fingerprint uint64) string {
	return fmt.Sprintf("layout %d (%016x)", version, fingerprint)
}

// CheckRegion checks the frozen prefix of a mapped region, as CheckRegion in core/shm/region.h
// does. Nothing else in a region may be used before it returned nil.
func CheckRegion(region *shm.Region, kind, version uint32, fingerprint uint64) error {
	if region.Size() < layout.RegionPrefixSize {
		return fmt.Errorf("%w: %d bytes, fewer than the prefix", ErrCorrupt, region.Size())
	}
	// SYNC acquire region-magic: everything the creator wrote before it published the region.
	magic := region.Word(layout.RegionPrefixMagic).Load()
	if magic == 0 {
		return ErrNotReady
	}
	if magic != layout.RegionMagic {
		return fmt.Errorf("%w: magic %#x", ErrCorrupt, magic)
	}
	if got := region.U32(layout.RegionPrefixKind); got != kind {
		return fmt.Errorf("%w: kind %d, expected %d", ErrCorrupt, got, kind)
	}
	gotVersion := region.U32(layout.RegionPrefixLayoutVersion)
	gotFingerprint := region.U64(layout.RegionPrefixLayoutFingerprint)
	if gotVersion != version || gotFingerprint != fingerprint {
		return &MismatchError{
			Theirs: DescribeLayout(gotVersion, gotFingerprint),
			Ours:   DescribeLayout(version, fingerprint),
		}
	}
	claimed := region.U64(layout.RegionPrefixRegionBytes)
	header := uint64(region.U32(layout.RegionPrefixHeaderBytes))
	if claimed != region.Size() || header > region.Size() {
		return fmt.Errorf("%w: it claims %d bytes (%d of header), %d are mapped", ErrCorrupt, claimed,
			header, region.Size())
	}
	if region.U32(layout.RegionPrefixState) != layout.RegionStateLive {
		return ErrNotReady
	}
	return nil
}

// frozen are the bytes of a store's region that never change: the prefix without magic, state and
// epoch, and the header up to its checksum.
var frozen = [...]struct{ begin, end uint64 }{
	{layout.RegionPrefixHeaderBytes, layout.RegionPrefixState},
	{layout.RegionPrefixKind, layout.RegionPrefixEpoch},
	{layout.RegionPrefixHashSecret, layout.StoreHeaderOffset + layout.StoreHeaderFrozenCrc32c},
}

// FrozenCRC is what the checksum of a store's frozen bytes must be. The region has a whole header.
func FrozenCRC(region *shm.Region) uint32 {
	crc := uint32(0)
	for _, r := range frozen {
		bytes := make([]byte, r.end-r.begin)
		region.CopyOut(bytes, r.begin)
		crc = crc32.Update(crc, castagnoli, bytes)
	}
	return crc
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
