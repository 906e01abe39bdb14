package index

import (
	"math/bits"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// KeyOf views a byte slice as a key, for the duration of a lookup in which it must not change.
func KeyOf(key []byte) string { return shm.BytesAsString(key) }

// PrefetchBucket starts to load the home bucket of a hash. It changes nothing and may be wrong.
func (s *Store) PrefetchBucket(hash uint64) { s.homeBucket(hash).Prefetch() }

// PrefetchEntry starts to load the entry that a lookup of the hash will probably look at first. The
// home bucket should have been prefetched some time before.
func (s *Store) PrefetchEntry(hash uint64) {
	line := s.homeBucket(hash)
	slot := line[bits.TrailingZeros64(line.MatchTag(hash&0xffff))>>2%8].Load()
	segment := slot >> layout.SlotSegmentShift & layout.SlotSegmentMask
	at := segment<<s.segmentShift + slot&layout.SlotOffsetMask<<3
	s.region.Prefetch(s.dataOffset + at)
	s.region.Prefetch(s.dataOffset + at + 64)
}

// homeBucket returns the home bucket of a hash, or some other line of the index.
func (s *Store) homeBucket(hash uint64) *shm.Line {
	page := s.directory[hash>>s.directoryShift].Load() & 0xffffffff
	if page >= uint64(len(s.pages)) {
		page = 0
	}
	bucket := layout.FirstHomeBucket + (hash&0xffffffff)*layout.HomeBuckets>>32
	return &s.pages[page][bucket%layout.BucketsPerPage]
}
