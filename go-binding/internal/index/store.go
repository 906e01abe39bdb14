// Package index reads a store of hearthd in place: from a key to a copy of its value, without a
// lock, a system call or an allocation, whether the daemon runs or not. core/cache/FORMAT.md is the
// description of the bytes, and core/cache/reader.h the same steps in C++.
//
// Whatever a store contains, a reader returns: it neither panics nor loops nor reads outside the
// mapping. The geometry is checked once, in Attach; everything that can change is copied to a local
// and checked before it is used.
package index

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Store is an attached store. It is safe for concurrent use.
type Store struct {
	region *shm.Region
	secret Secret

	directoryShift  uint64 // 64 - directory bits
	directoryOffset uint64
	namespaceOffset uint64
	namespaceCount  uint64
	segmentOffset   uint64 // of the segment headers
	segmentCount    uint64
	segmentShift    uint64
	dataOffset      uint64
	pageCount       uint64 // index pages that fit into the data
	maxValueBytes   uint64
	uuid            [16]byte

	// Views of the parts, so that one bounds check of an index covers what is read there.
	directory []atomic.Uint64
	pages     []shm.Page
	segments  []shm.Line
	words     []atomic.Uint64 // of the data
	data      []byte

	clock clock
}

// Attach checks a region and returns the store in it. A region of another layout gives a
// *MismatchError. The store never unmaps the region.
func Attach(region *shm.Region) (*Store, error) {
	err := CheckRegion(region, layout.RegionKindStore, layout.StoreLayoutVersion,
		layout.StoreFingerprint)
	if err != nil {
		return nil, err
	}
	if region.Size() < layout.StoreHeaderBytes {
		return nil, fmt.Errorf("%w: the store has %d bytes, fewer than its header", ErrCorrupt, region.Size())
	}
	at := func(field uint64) uint64 { return layout.StoreHeaderOffset + field }
	if want := region.U32(at(layout.StoreHeaderFrozenCrc32c)); want != FrozenCRC(region) {
		return nil, fmt.Errorf("%w: the checksum of the store's header is wrong", ErrCorrupt)
	}
	bits := uint64(region.U32(at(layout.StoreHeaderDirectoryBits)))
	s := &Store{
		region:          region,
		directoryShift:  64 - bits,
		directoryOffset: region.U64(at(layout.StoreHeaderDirectoryOffset)),
		namespaceOffset: region.U64(at(layout.StoreHeaderNamespaceOffset)),
		namespaceCount:  uint64(region.U32(at(layout.StoreHeaderNamespaceCapacity))),
		segmentOffset:   region.U64(at(layout.StoreHeaderSegmentHeaderOffset)),
		segmentCount:    uint64(region.U32(at(layout.StoreHeaderSegmentCount))),
		segmentShift:    uint64(region.U32(at(layout.StoreHeaderSegmentShift))),
		dataOffset:      region.U64(at(layout.StoreHeaderDataOffset)),
		maxValueBytes:   region.U64(at(layout.StoreHeaderMaxValueBytes)),
	}
	if err := s.checkGeometry(bits); err != nil {
		return nil, err
	}
	s.pageCount = s.segmentCount << s.segmentShift >> layout.PageShift
	s.directory = region.Words(s.directoryOffset, 1<<bits)
	s.pages = region.Pages(s.dataOffset, s.pageCount)
	s.segments = region.Lines(s.segmentOffset, s.segmentCount)
	s.words = region.Words(s.dataOffset, s.segmentCount<<s.segmentShift>>3)
	s.data = region.Bytes(s.dataOffset, s.segmentCount<<s.segmentShift)
	for i := range s.secret {
		s.secret[i] = region.U64(layout.RegionPrefixHashSecret + 8*uint64(i))
	}
	region.CopyOut(s.uuid[:], layout.RegionPrefixUuid)
	s.clock, err = newClock(region.U64(at(layout.StoreHeaderClockMonotonicBaseNs)))
	if err != nil {
		return nil, err
	}
	return s, nil
}

// checkGeometry makes every offset that a reader computes from checked indexes lie in the mapping.
func (s *Store) checkGeometry(directoryBits uint64) error {
	const maxDirectoryBits = 32
	switch {
	case directoryBits > maxDirectoryBits:
		return fmt.Errorf("%w: a directory of 2^%d words", ErrCorrupt, directoryBits)
	case s.segmentShift < layout.MinSegmentShift || s.segmentShift > layout.MaxSegmentShift:
		return fmt.Errorf("%w: segments of 2^%d bytes", ErrCorrupt, s.segmentShift)
	case s.segmentCount == 0 || s.segmentCount > layout.MaxSegments:
		return fmt.Errorf("%w: %d segments", ErrCorrupt, s.segmentCount)
	case s.namespaceCount == 0 || s.namespaceCount > layout.MaxNamespaces:
		return fmt.Errorf("%w: room for %d namespaces", ErrCorrupt, s.namespaceCount)
	}
	parts := []struct {
		name          string
		offset, bytes uint64
	}{
		{"directory", s.directoryOffset, 8 << directoryBits},
		{"namespaces", s.namespaceOffset, s.namespaceCount * layout.NamespaceRecordSize},
		{"segment headers", s.segmentOffset, s.segmentCount * layout.SegmentHeaderSize},
		{"data", s.dataOffset, s.segmentCount << s.segmentShift},
	}
	for _, part := range parts {
		if part.offset < layout.StoreHeaderBytes || part.offset%64 != 0 ||
			!s.region.Contains(part.offset, part.bytes) {
			return fmt.Errorf("%w: %s of %d bytes at %d in a store of %d", ErrCorrupt,
				part.name, part.bytes, part.offset, s.region.Size())
		}
	}
	return nil
}

// UUID identifies the store; a store that the daemon created anew has another one.
func (s *Store) UUID() [16]byte { return s.uuid }

// Epoch counts the daemon lives that have owned the store, from 1.
func (s *Store) Epoch() uint64 { return s.region.Word(layout.RegionPrefixEpoch).Load() }

// MaxValueBytes is the longest value the store takes.
func (s *Store) MaxValueBytes() uint64 { return s.maxValueBytes }

// populateStep is how much Populate does between two questions whether to go on: about a millisecond.
const populateStep = 4 << 20

// Populate makes the first limit bytes of the store present in this process, in the order in which
// they lie there, the index's directory first, while goOn says so.
func (s *Store) Populate(limit uint64, goOn func() bool) {
	limit = min(limit, s.region.Size())
	for offset := uint64(0); offset < limit && goOn(); offset += populateStep {
		s.region.Populate(offset, min(populateStep, limit-offset))
	}
	runtime.KeepAlive(s)
}

// HeartbeatAge says how long ago the daemon last showed that it is alive.
func (s *Store) HeartbeatAge() time.Duration {
	// SYNC acquire heartbeat: nothing but the time itself crosses.
	beat := s.region.Word(layout.StoreHeaderOffset + layout.StoreHeaderHeartbeatNs).Load()
	now := s.clock.Now()
	if beat >= now {
		return 0
	}
	return time.Duration(min(now-beat, 1<<62))
}

// Namespace is a namespace of a store, resolved for reading. It is immutable. Once the namespace is
// dropped everything in it is a miss, also when its id has been given to another one.
type Namespace struct {
	ID uint16
	// Handle is what requests call it: the incarnation of the id above the id.
	Handle uint32
	live   uint64 // the record's state word while the namespace lives
	seed   uint64
	record uint64    // offset of its NamespaceRecord
	line   *shm.Line // the record's first half
}

// Namespace returns the namespace with a handle that the daemon named.
func (s *Store) Namespace(handle uint32) (Namespace, error) {
	id := uint16(handle)
	if uint64(id) >= s.namespaceCount {
		return Namespace{}, fmt.Errorf("%w: namespace id %d, the store has room for %d", ErrCorrupt,
			id, s.namespaceCount)
	}
	record := s.namespaceOffset + uint64(id)*layout.NamespaceRecordSize
	return Namespace{
		ID:     id,
		Handle: handle,
		live:   uint64(handle>>layout.NamespaceIncarnationShift<<layout.NamespaceIncarnationShift | layout.NamespaceLive),
		seed:   NamespaceSeed(&s.secret, id),
		record: record,
		line:   s.region.Line(record),
	}, nil
}

// Live says whether the namespace has not been dropped.
func (s *Store) Live(ns *Namespace) bool {
	// SYNC acquire namespace-state: nothing but the state itself.
	return uint64(s.region.Word32(ns.record+layout.NamespaceRecordState).Load()) == ns.live
}

// Hash is the hash under which the store keeps a key.
func (s *Store) Hash(ns *Namespace, key string) uint64 { return HashKey(&s.secret, ns.seed, key) }
