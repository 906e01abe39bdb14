//go:build !race

package index

import "github.com/hearthd/hearth/go-binding/internal/layout"

// straightInAssembly: Go's code for lookupStraight takes three times as many instructions, most of
// them for moving arguments and checking bounds that the geometry implies. Fewer instructions make a
// hot read quicker, and let the CPU begin the next read while this one waits for memory.
const straightInAssembly = true

// What the assembly needs of the layout, by the names it can see.
const (
	namespaceStateAndStrict = layout.NamespaceStrict<<32 | 0xffffffff
	namespaceFlushedVersion = layout.NamespaceRecordFlushedVersion
	pageShift               = layout.PageShift
	homeBuckets             = layout.HomeBuckets
	firstHomeBucket         = layout.FirstHomeBucket
	bucketShift             = 6
	slotUsedBit             = 44
	slotSegmentShift        = layout.SlotSegmentShift
	slotSegmentMask         = layout.SlotSegmentMask
	slotGenerationShift     = layout.SlotGenerationShift
	slotGenerationMask      = layout.SlotGenerationMask
	slotOffsetMask          = layout.SlotOffsetMask
	segmentHeaderShift      = 6
	segmentStateGeneration  = layout.SegmentHeaderStateGeneration
	segmentStateShift       = layout.SegmentStateShift
	segmentOpen             = layout.SegmentOpen
	segmentReadableStates   = layout.SegmentRetiring - layout.SegmentOpen
	entryHeaderSize         = layout.EntryHeaderSize
	entryVersion            = layout.EntryHeaderVersionOrigin
	entryValueLength        = layout.EntryHeaderValueLength
	unversionBits           = 16
	hardExpiryBit           = 16 + 11
	softExpiryBit           = 16 + 12
	notExpiryBits           = ^(1<<hardExpiryBit | 1<<softExpiryBit)
	// longestStraightCopy keeps the time short in which the scheduler cannot stop the goroutine.
	longestStraightCopy = 4096
)

// Compile only while the numbers written out here and in the assembly are those of the layout.
const (
	_ uint = -(layout.BucketSize ^ 1<<bucketShift)
	_ uint = -(layout.SegmentHeaderSize ^ 1<<segmentHeaderShift)
	_ uint = -(layout.SlotUsed ^ 1<<slotUsedBit)
	_ uint = -(layout.EntryVersionMask ^ (1<<(64-unversionBits) - 1))
	_ uint = -(layout.DirectoryValid ^ 1<<63)
	_ uint = -(layout.BucketsPerPage*layout.BucketSize ^ 1<<pageShift)
	_ uint = -(layout.EntryHasHardExpiry<<16 ^ 1<<hardExpiryBit)
	_ uint = -(layout.EntryHasSoftExpiry<<16 ^ 1<<softExpiryBit)
	_ uint = -(layout.Never ^ (1<<64 - 1))
	_ uint = layout.BucketsPerPage - firstHomeBucket - homeBuckets
	_ uint = -(layout.EntryHeaderNamespaceId ^ 4) - (layout.EntryHeaderKeyBits ^ 6)
)

//go:noescape
func lookupShortKey(s *Store, ns *Namespace, key string, hash uint64, dst []byte, meta *Meta) int

//go:noescape
func lookupAssembly(s *Store, ns *Namespace, key string, hash uint64, dst []byte, meta *Meta) int
