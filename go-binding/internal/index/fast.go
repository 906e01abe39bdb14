package index

import (
	"math/bits"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Results of lookupAssembly and lookupShortKey that are not the length of a value.
const (
	// notStraight: lookupStraight would not find it either.
	notStraight = -1
	// notInAssembly: lookupStraight may find it.
	notInAssembly = -2
	// certainMiss: the whole chain has no slot with the tag.
	certainMiss = -3
)

// lookupStraight is Lookup for the case that nearly every hit is: a live namespace that is not
// strict, one candidate in the home bucket, an entry without expiry inside one segment, and no
// writer at work on it. Anything else, misses included, it leaves to the thorough path by returning
// false with dst unchanged, so it may be quick to give up but must never be wrong: it makes the
// same checks, in the same order, with the same re-checks.
//
// It exists because the number of instructions decides how many cache misses of consecutive reads
// the CPU overlaps; for the same reason it is one function, and reads through the views of the
// parts instead of offsets of the region.
func (s *Store) lookupStraight(dst []byte, ns *Namespace, key string, hash uint64, meta *Meta) ([]byte, bool) {
	const stateAndStrict = layout.NamespaceStrict<<32 | 0xffffffff
	// SYNC acquire namespace-state: the record's other fields.
	if ns.line[0].Load()&stateAndStrict != ns.live {
		return dst, false
	}
	flushed := ns.line[layout.NamespaceRecordFlushedVersion/8].Load()
	directoryWord := &s.directory[hash>>s.directoryShift]
	// SYNC acquire directory-word: the page, filled before the word named it.
	directory := directoryWord.Load()
	runHook(hookAfterDirectory)
	page := directory & 0xffffffff
	if directory&layout.DirectoryValid == 0 || page >= uint64(len(s.pages)) {
		return dst, false
	}
	bucket := layout.FirstHomeBucket + (hash&0xffffffff)*layout.HomeBuckets>>32
	line := &s.pages[page][bucket%layout.BucketsPerPage]
	slotWord := &line[bits.TrailingZeros64(line.MatchTag(hash&0xffff))>>2%8]
	// SYNC acquire slot-publish: the entry, complete before a slot pointed at it. Without a match
	// this is some other word of the line, and what follows finds nothing in it.
	slot := slotWord.Load()
	segment := slot >> layout.SlotSegmentShift & layout.SlotSegmentMask
	if slot&layout.SlotUsed == 0 || segment >= uint64(len(s.segments)) {
		return dst, false
	}
	segmentWord := &s.segments[segment][layout.SegmentHeaderStateGeneration/8]
	// SYNC acquire segment-generation: the segment's bytes belong to this generation.
	before := segmentWord.Load()
	runHook(hookBeforeCopy)
	if (before^slot>>layout.SlotGenerationShift)&layout.SlotGenerationMask != 0 || !readable(before) {
		return dst, false
	}
	offset := slot & layout.SlotOffsetMask << 3
	at := segment<<s.segmentShift + offset
	words := s.words[min(at>>3, uint64(len(s.words))):]
	if len(words) < layout.EntryHeaderSize/8 {
		return dst, false
	}
	head := words[0].Load()
	valueLength := words[layout.EntryHeaderValueLength/8].Load() & 0xffffffff
	version := words[layout.EntryHeaderVersionOrigin/8].Load() & layout.EntryVersionMask
	keyLength := uint64(len(key))
	at += layout.EntryHeaderSize
	// Namespace, key length and "no flags" in one comparison. A sum of 32-bit lengths cannot wrap.
	if head>>32 != uint64(ns.ID)|keyLength<<16 || version <= flushed ||
		offset+layout.EntryHeaderSize+keyLength+valueLength > 1<<s.segmentShift ||
		at+keyLength+valueLength > uint64(len(s.data)) || string(s.data[at:at+keyLength]) != key {
		return dst, false
	}
	length := len(dst)
	at += keyLength
	dst = append(dst, s.data[at:at+valueLength]...)
	runHook(hookAfterCopy)
	// SYNC acquire segment-generation: as in read; if any byte was new, the generation is too.
	shm.AcquireFence()
	after := segmentWord.Load()
	if (slotWord.Load()^slot)&^layout.SlotFrequencyBits != 0 || !readable(after) ||
		(after^before)&layout.SegmentGenerationMask != 0 || directoryWord.Load() != directory {
		return dst[:length], false
	}
	*meta = Meta{version, layout.Never, layout.Never, false, hash, slot}
	return dst, true
}

func runHook(hook func()) {
	if hook != nil {
		hook()
	}
}
