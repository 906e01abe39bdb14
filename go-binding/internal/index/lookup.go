package index

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Result of a lookup.
type Result uint8

const (
	// Miss: the store certainly has no such key that may be served.
	Miss Result = iota
	// Hit: the value was appended.
	Hit
	// Contended: the writer changed the entry during each of the attempts. Ask the daemon.
	Contended
	// Absent is a Miss of a key that is known to be absent: an entry says so, and meta is about it.
	Absent
)

// Meta is what an entry says about itself. Times are store time in ms, layout.Never for none.
type Meta struct {
	Version      uint64
	HardExpiryMs uint64
	SoftExpiryMs uint64
	Stale        bool // the soft expiry has passed
	// Hash is the key's, and slot the word that led to the entry.
	Hash, slot uint64
}

// Wanting says that hearthd does not know yet how wanted the entry is, and should hear of this read.
func (m *Meta) Wanting() bool { return m.slot&layout.SlotFrequencyBits != layout.SlotFrequencyBits }

// Frequency is how many reads of the entry hearthd has counted, at most 3.
func (m *Meta) Frequency() uint64 { return m.slot & layout.SlotFrequencyBits / frequencyOne }

// frequencyOne is the lowest of the frequency's bits.
const frequencyOne = layout.SlotFrequencyBits &^ (layout.SlotFrequencyBits << 1)

const (
	// maxAttempts bounds the work of a read whose key is rewritten faster than it can be copied.
	maxAttempts = 8
	// strictHeartbeat is the age from which on the reads of strict namespaces miss.
	strictHeartbeat = 2 * time.Second
)

// verdict is what became of one slot that might hold the key.
type verdict uint8

const (
	notThisOne verdict = iota // another key, expired, flushed or nonsense
	found
	absent    // the key, and that it is known to be absent
	disturbed // it changed while it was read
)

// reader is the state of one lookup. It lives on the caller's stack.
type reader struct {
	store         *Store
	directoryWord *atomic.Uint64
	directory     uint64 // value that led to the page
	namespace     uint64
	flushed       uint64
	key           string
	nowMs         uint64 // 0: the clock has not been read
	meta          *Meta
	held          *Held // instead of a copy, if not nil
}

// Read appends the value of key to dst and fills meta. Without a Hit dst comes back as it was, and
// unless the key is Absent meta is undefined.
func (s *Store) Read(dst []byte, ns *Namespace, key string, meta *Meta) ([]byte, Result) {
	if !straightInAssembly || len(key)-4 > 12 || len(key) < 4 || hooked {
		return s.Lookup(dst, ns, key, s.Hash(ns, key), meta)
	}
	n := lookupShortKey(s, ns, key, 0, dst, meta)
	if n >= 0 && meta.HardExpiryMs&meta.SoftExpiryMs == layout.Never {
		// The mapping goes away when the store becomes unreachable, and that must not be earlier.
		runtime.KeepAlive(s)
		return dst[:len(dst)+n], Hit
	}
	if n >= 0 || n == certainMiss {
		return s.judge(dst, meta, n)
	}
	return s.lookupInGo(dst, ns, key, s.Hash(ns, key), meta, n)
}

// Lookup is Read for a key whose Hash is known.
func (s *Store) Lookup(dst []byte, ns *Namespace, key string, hash uint64, meta *Meta) ([]byte, Result) {
	n := notInAssembly
	if straightInAssembly && !hooked {
		n = lookupAssembly(s, ns, key, hash, dst, meta)
	}
	if n >= 0 || n == certainMiss {
		return s.judge(dst, meta, n)
	}
	return s.lookupInGo(dst, ns, key, hash, meta, n)
}

// judge makes a result of what the assembly found.
func (s *Store) judge(dst []byte, meta *Meta, n int) ([]byte, Result) {
	if n < 0 {
		return dst, Miss
	}
	if meta.HardExpiryMs&meta.SoftExpiryMs != layout.Never {
		now := s.clock.nowMs()
		if meta.HardExpiryMs <= now {
			return dst, Miss
		}
		meta.Stale = meta.SoftExpiryMs <= now
	}
	runtime.KeepAlive(s)
	return dst[:len(dst)+n], Hit
}

// lookupInGo finds what the assembly did not, and why says why not.
func (s *Store) lookupInGo(dst []byte, ns *Namespace, key string, hash uint64, meta *Meta, why int) ([]byte, Result) {
	result, hit := Hit, false
	if why == notInAssembly {
		dst, hit = s.lookupStraight(dst, ns, key, hash, meta)
	}
	if !hit {
		dst, result = s.lookup(dst, ns, key, hash, meta)
	}
	runtime.KeepAlive(s)
	return dst, result
}

func (s *Store) lookup(dst []byte, ns *Namespace, key string, hash uint64, meta *Meta) ([]byte, Result) {
	return s.find(dst, ns, key, hash, meta, nil, maxAttempts-1) // the straight path was the first
}

// find looks a key up, and copies its value or, if held is not nil, pins it.
func (s *Store) find(dst []byte, ns *Namespace, key string, hash uint64, meta *Meta, held *Held, attempts int) ([]byte, Result) {
	region := s.region
	// SYNC acquire namespace-state: the record's other fields.
	if uint64(region.Word32(ns.record+layout.NamespaceRecordState).Load()) != ns.live {
		return dst, Miss
	}
	if region.Word32(ns.record+layout.NamespaceRecordFlags).Load()&layout.NamespaceStrict != 0 &&
		s.HeartbeatAge() > strictHeartbeat {
		return dst, Miss
	}
	r := reader{
		store:         s,
		directoryWord: region.Word(s.directoryOffset + hash>>s.directoryShift<<3),
		namespace:     uint64(ns.ID),
		flushed:       region.Word(ns.record + layout.NamespaceRecordFlushedVersion).Load(),
		key:           key,
		meta:          meta,
		held:          held,
	}
	length := len(dst)
	for range attempts {
		// SYNC acquire directory-word: the page, filled before the word named it.
		r.directory = r.directoryWord.Load()
		runHook(hookAfterDirectory)
		page := r.directory & 0xffffffff
		if r.directory&layout.DirectoryValid == 0 || page >= s.pageCount {
			return dst, Miss
		}
		var v verdict
		dst, v = r.search(dst, s.dataOffset+page<<layout.PageShift, hash)
		meta.Hash = hash
		// A split publishes new pages and then reuses the old one, so what was found, or not
		// found, counts only if the page was still the right one at the end.
		if v != disturbed && r.directoryWord.Load() == r.directory {
			switch v {
			case found:
				return dst, Hit
			case absent:
				return dst, Absent
			}
			return dst, Miss
		}
		if v == found && held != nil {
			held.unpin()
		}
		dst = dst[:length]
	}
	return dst, Contended
}

// search walks the chain of the key's home bucket.
func (r *reader) search(dst []byte, page, hash uint64) ([]byte, verdict) {
	region := r.store.region
	tag := hash & 0xffff
	bucket := layout.FirstHomeBucket + (hash&0xffffffff)*layout.HomeBuckets>>32
	for range layout.MaxChainBuckets {
		line := region.Line(page + bucket*layout.BucketSize)
		for matches := line.MatchTag(tag); matches != 0; matches &= matches - 1 {
			slotWord := &line[bits.TrailingZeros64(matches)>>2%8]
			// SYNC acquire slot-publish: the entry, complete before a slot pointed at it.
			slot := slotWord.Load()
			if slot>>layout.SlotTagShift != tag || slot&layout.SlotUsed == 0 {
				continue
			}
			var v verdict
			if dst, v = r.read(dst, slotWord, slot); v != notThisOne {
				return dst, v
			}
		}
		bucket = line[0].Load() & 0xffff
		if bucket == 0 || bucket >= layout.BucketsPerPage {
			break
		}
	}
	return dst, notThisOne
}

// read judges the entry behind one slot and makes sure that the judgement was about an entry that
// stood still. Every verdict needs that: bytes that were being reused can look like another key as
// well as like the right one.
func (r *reader) read(dst []byte, slotWord *atomic.Uint64, slot uint64) ([]byte, verdict) {
	s := r.store
	segment := slot >> layout.SlotSegmentShift & layout.SlotSegmentMask
	if segment >= s.segmentCount {
		return dst, notThisOne
	}
	segmentHeader := s.segmentOffset + segment*layout.SegmentHeaderSize
	segmentWord := s.region.Word(segmentHeader + layout.SegmentHeaderStateGeneration)
	// SYNC acquire segment-generation: the segment's bytes belong to this generation.
	before := segmentWord.Load()
	runHook(hookBeforeCopy)
	v := notThisOne
	generationFits := (before^slot>>layout.SlotGenerationShift)&layout.SlotGenerationMask == 0
	if generationFits && readable(before) {
		dst, v = r.readEntry(dst, segment, segmentHeader, slot&layout.SlotOffsetMask<<3)
	}
	pinned := v == found && r.held != nil
	if pinned {
		r.held.pin(segmentWord, segment, before)
	}
	runHook(hookAfterCopy)
	// SYNC acquire segment-generation: pairs with the writer's release fence between raising the
	// generation and writing new bytes. If any byte of the copy was new, the word is new as well.
	shm.AcquireFence()
	after := segmentWord.Load()
	changed := (slotWord.Load()^slot)&^uint64(layout.SlotFrequencyBits) != 0 ||
		(after^before)&layout.SegmentGenerationMask != 0 || readable(before) && !readable(after)
	if changed {
		if pinned {
			r.held.unpin()
		}
		return dst, disturbed
	}
	r.meta.slot = slot
	return dst, v
}

// readable says whether a segment in this state holds entries.
func readable(segmentWord uint64) bool {
	return segmentWord>>layout.SegmentStateShift-layout.SegmentOpen <=
		layout.SegmentRetiring-layout.SegmentOpen
}

// readEntry compares and copies the entry at an offset of a segment. Its result counts only if the
// segment did not change meanwhile.
func (r *reader) readEntry(dst []byte, segment, segmentHeader, offset uint64) ([]byte, verdict) {
	s, region := r.store, r.store.region
	limit := uint64(1) << s.segmentShift
	if offset > limit-layout.EntryHeaderSize {
		return dst, notThisOne
	}
	entry := s.dataOffset + segment<<s.segmentShift + offset
	// Atomic loads, so that each word is read exactly once: what is checked is what is used.
	head := region.Word(entry).Load() // crc32c 32 | namespace 16 | key bits 16, from the low end
	keyBits := head >> 48
	valueLength := region.Word(entry+layout.EntryHeaderValueLength).Load() & 0xffffffff
	version := region.Word(entry+layout.EntryHeaderVersionOrigin).Load() & layout.EntryVersionMask

	at := entry + layout.EntryHeaderSize
	hard, soft := uint64(layout.Never), uint64(layout.Never)
	keyLength := uint64(len(r.key))
	if head>>32&0xffff != r.namespace || keyBits&layout.EntryKeyLengthMask != keyLength ||
		version <= r.flushed {
		return dst, notThisOne
	}
	expiryBytes := keyBits&layout.EntryHasHardExpiry>>8 + keyBits&layout.EntryHasSoftExpiry>>9
	total := layout.EntryHeaderSize + expiryBytes + keyLength + valueLength
	if total > limit-offset {
		// A large value goes on in the segments that follow.
		run := uint64(region.U16(segmentHeader + layout.SegmentHeaderRunLength))
		limit = min(run, s.segmentCount-segment) << s.segmentShift
		if limit < offset || total > limit-offset || valueLength > s.maxValueBytes {
			return dst, notThisOne
		}
	}
	if expiryBytes != 0 {
		if keyBits&layout.EntryHasHardExpiry != 0 {
			hard = region.Word(at).Load()
			at += 8
		}
		if keyBits&layout.EntryHasSoftExpiry != 0 {
			soft = region.Word(at).Load()
			at += 8
		}
		if r.nowMs == 0 {
			r.nowMs = s.clock.nowMs()
		}
		if hard <= r.nowMs {
			return dst, notThisOne
		}
	}
	if !region.EqualString(at, r.key) {
		return dst, notThisOne
	}
	*r.meta = Meta{Version: version, HardExpiryMs: hard, SoftExpiryMs: soft, Stale: soft <= r.nowMs}
	if keyBits&layout.EntryNegative != 0 {
		return dst, absent
	}
	if r.held != nil {
		r.held.bytes = region.View(at+keyLength, valueLength)
		return dst, found
	}
	return region.Append(dst, at+keyLength, valueLength), found
}
