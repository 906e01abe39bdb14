package storetest

import "github.com/hearthd/hearth/go-binding/internal/layout"

// Set writes an entry and returns its version.
func (w *Writer) Set(entry Entry) uint64 {
	w.version++
	bytes := entry.encode(w.version)
	segment, offset := w.allocate(uint64(len(bytes)))
	w.Region.CopyIn(w.address(segment, offset), bytes)
	_, generation := w.SegmentWord(segment)
	hash := w.Store.Hash(&w.refs[entry.Namespace], entry.Key)
	slot := hash&0xffff<<layout.SlotTagShift | layout.SlotUsed |
		generation&layout.SlotGenerationMask<<layout.SlotGenerationShift |
		segment<<layout.SlotSegmentShift | offset>>3
	at := w.find(entry.Namespace, entry.Key, hash)
	if at == 0 {
		at = w.freeSlot(hash)
	}
	// SYNC release slot-publish: the entry.
	w.put64(at, slot)
	return w.version
}

// Delete removes a key and says whether it was there.
func (w *Writer) Delete(namespace uint16, key string) bool {
	at := w.find(namespace, key, w.Store.Hash(&w.refs[namespace], key))
	if at == 0 {
		return false
	}
	w.put64(at, 0)
	return true
}

// Flush makes every entry of a namespace invisible.
func (w *Writer) Flush(namespace uint16) {
	w.put64(w.NamespaceRecord(namespace)+layout.NamespaceRecordFlushedVersion, w.version)
}

// SlotOf is the offset of the slot that points at a key's entry, 0 if there is none.
func (w *Writer) SlotOf(namespace uint16, key string) uint64 {
	return w.find(namespace, key, w.Store.Hash(&w.refs[namespace], key))
}

// EntryOf is the segment of a key's entry and the entry's offset in the region.
func (w *Writer) EntryOf(namespace uint16, key string) (segment, offset uint64) {
	return w.target(w.Region.U64(w.SlotOf(namespace, key)))
}

func (w *Writer) target(slot uint64) (segment, offset uint64) {
	segment = slot >> layout.SlotSegmentShift & layout.SlotSegmentMask
	return segment, w.address(segment, slot&layout.SlotOffsetMask<<3)
}

func (w *Writer) address(segment, offset uint64) uint64 {
	return w.plan.data + segment<<w.options.SegmentShift + offset
}

// allocate returns room for an entry, in a run of segments if it is larger than one.
func (w *Writer) allocate(bytes uint64) (segment, offset uint64) {
	size := uint64(1) << w.options.SegmentShift
	padded := (bytes + 7) &^ 7
	if padded > size {
		run := (padded + size - 1) >> w.options.SegmentShift
		segment = w.open + 1
		if segment+run >= w.plan.segments {
			panic("storetest: no room for a run of segments")
		}
		for i := range run {
			state := uint64(layout.SegmentSealed)
			if i > 0 {
				state = 5
			}
			_, generation := w.SegmentWord(segment + i)
			w.Region.CopyIn(w.SegmentHeader(segment+i)+layout.SegmentHeaderRunLength, []byte{byte(run), byte(run >> 8)})
			w.setSegment(segment+i, state, generation+1)
		}
		w.advance(segment + run)
		return segment, 0
	}
	if w.used+padded > size {
		_, generation := w.SegmentWord(w.open)
		w.setSegment(w.open, layout.SegmentSealed, generation)
		next := w.open + 1
		if next >= w.plan.segments {
			next = w.plan.indexSegments
		}
		w.Retire(next)
		w.advance(next)
	}
	offset = w.used
	w.used += padded
	return w.open, offset
}

func (w *Writer) advance(segment uint64) {
	_, generation := w.SegmentWord(segment)
	w.Region.CopyIn(w.SegmentHeader(segment)+layout.SegmentHeaderRunLength, []byte{1, 0})
	w.setSegment(segment, layout.SegmentOpen, generation)
	w.open, w.used = segment, 0
}

// Retire makes a segment ready for reuse in the order that readers rely on: slots cleared, then
// the generation raised, and only then (by whoever writes next) new bytes.
func (w *Writer) Retire(segment uint64) {
	state, generation := w.SegmentWord(segment)
	if state != 0 {
		w.setSegment(segment, layout.SegmentRetiring, generation)
		w.ClearSlots(segment)
	}
	w.setSegment(segment, 0, generation+1)
}

// ClearSlots empties every slot that points into a segment.
func (w *Writer) ClearSlots(segment uint64) {
	for page := range uint64(1) << w.options.DirectoryBits {
		at := w.plan.data + page<<layout.PageShift
		for bucket := uint64(1); bucket < layout.BucketsPerPage; bucket++ {
			for slot := uint64(1); slot <= layout.SlotsPerBucket; slot++ {
				word := at + bucket*layout.BucketSize + slot*8
				if value := w.Region.U64(word); value != 0 && value>>layout.SlotSegmentShift&layout.SlotSegmentMask == segment {
					w.put64(word, 0)
				}
			}
		}
	}
}

func (w *Writer) page(hash uint64) uint64 {
	word := w.Region.U64(w.plan.directory + hash>>(64-w.options.DirectoryBits)*8)
	return w.plan.data + word&0xffffffff<<layout.PageShift
}

// find returns the offset of the slot that points at a key's entry, or 0.
func (w *Writer) find(namespace uint16, key string, hash uint64) uint64 {
	page := w.page(hash)
	for bucket := home(hash); bucket != 0; {
		for slot := uint64(1); slot <= layout.SlotsPerBucket; slot++ {
			at := page + bucket*layout.BucketSize + slot*8
			if value := w.Region.U64(at); value != 0 && value>>layout.SlotTagShift == hash&0xffff {
				if w.holds(value, namespace, key) {
					return at
				}
			}
		}
		bucket = w.Region.U64(page+bucket*layout.BucketSize) & 0xffff
	}
	return 0
}

func (w *Writer) holds(slot uint64, namespace uint16, key string) bool {
	_, entry := w.target(slot)
	bits := uint64(w.Region.U16(entry + layout.EntryHeaderKeyBits))
	at := entry + layout.EntryHeaderSize + bits&layout.EntryHasHardExpiry>>8 + bits&layout.EntryHasSoftExpiry>>9
	return w.Region.U16(entry+layout.EntryHeaderNamespaceId) == namespace &&
		bits&layout.EntryKeyLengthMask == uint64(len(key)) && w.Region.EqualString(at, key)
}

func home(hash uint64) uint64 {
	return layout.FirstHomeBucket + hash&0xffffffff*layout.HomeBuckets>>32
}

// freeSlot returns the offset of an empty slot for a hash, extending the chain if need be.
func (w *Writer) freeSlot(hash uint64) uint64 {
	page := w.page(hash)
	bucket := home(hash)
	for range layout.MaxChainBuckets {
		for slot := uint64(1); slot <= layout.SlotsPerBucket; slot++ {
			if at := page + bucket*layout.BucketSize + slot*8; w.Region.U64(at) == 0 {
				return at
			}
		}
		next := w.Region.U64(page+bucket*layout.BucketSize) & 0xffff
		if next == 0 {
			next = w.freeOverflow(page)
			w.put64(page+bucket*layout.BucketSize, next)
		}
		bucket = next
	}
	panic("storetest: a chain is full; use more directory bits")
}

// freeOverflow takes the next bucket of a page's pool; its header's reserved bytes count them.
func (w *Writer) freeOverflow(page uint64) uint64 {
	counter := page + layout.PageHeaderPrefix + 8
	taken := w.Region.U64(counter)
	bucket := layout.FirstHomeBucket + layout.HomeBuckets + taken
	if bucket >= layout.BucketsPerPage {
		panic("storetest: a page is full; use more directory bits")
	}
	w.put64(counter, taken+1)
	return bucket
}

// MoveKeyToNewPage lets the key's directory word name a copy of its page in the segment `segment`
// (reserved for this), as the end of a split does.
func (w *Writer) MoveKeyToNewPage(namespace uint16, key string, segment uint64) {
	hash := w.Store.Hash(&w.refs[namespace], key)
	from, to := w.page(hash), w.address(segment, 0)
	buffer := make([]byte, 1<<layout.PageShift)
	w.Region.CopyOut(buffer, from)
	w.Region.CopyIn(to, buffer)
	word := hash >> (64 - w.options.DirectoryBits)
	w.PointDirectory(word, (to-w.plan.data)>>layout.PageShift, 2)
	w.Region.CopyIn(from, make([]byte, 1<<layout.PageShift))
}
