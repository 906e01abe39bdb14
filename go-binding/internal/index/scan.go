package index

import (
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// The errors of a scan.
var (
	ErrDropped       = errors.New("the namespace was dropped")
	ErrNoCursor      = errors.New("not a cursor of a scan")
	ErrForeignCursor = errors.New("the cursor belongs to another store or namespace")
	ErrUnsteady      = errors.New("an entry changed under every try to read it")
)

// Scanner goes through a namespace in the order of the hashes, page by page and slot by slot, in the
// steps of core/cache/scanner.h. It is not safe for concurrent use.
type Scanner struct {
	Prefix   string
	KeysOnly bool
	// What Next has found. Key and Value are good until the next call.
	Key, Value  []byte
	ValueLength uint64
	Meta        Meta

	store     *Store
	ns        *Namespace
	handle    uint32
	done      bool
	begun     bool   // the page at hand
	hash      uint64 // where it begins
	directory uint64 // its directory word; 0 = none
	position  uint64 // slots done of it
	restarts  int    // of it
}

const (
	scanPositions    = (layout.BucketsPerPage - layout.FirstHomeBucket) * layout.SlotsPerBucket
	maxSlotAttempts  = 1000
	maxPageRestarts  = 64
	directoryDepthAt = 56
)

// Scan begins a scan.
func (s *Store) Scan(ns *Namespace) (*Scanner, error) {
	scan := &Scanner{store: s, ns: ns, handle: ns.Handle}
	return scan, scan.check()
}

// ScanFrom goes on where a cursor was taken.
func (s *Store) ScanFrom(ns *Namespace, text string) (*Scanner, error) {
	c, ok := ParseCursor(text)
	if !ok {
		return nil, ErrNoCursor
	}
	if c.Store != s.uuid || uint16(c.Handle) != ns.ID {
		return nil, ErrForeignCursor
	}
	scan := &Scanner{store: s, ns: ns, handle: c.Handle, hash: c.Hash, directory: c.Directory, position: uint64(c.Position)}
	// A directory word of 0 is that of no page: with a position it means the end.
	scan.done = c.Directory == 0 && c.Position != 0
	return scan, scan.check()
}

// Cursor is where a later scan goes on behind what Next found last.
func (x *Scanner) Cursor() string {
	c := Cursor{Store: x.store.uuid, Handle: x.handle, Hash: x.hash,
		Directory: x.directory, Position: uint16(x.position)}
	if x.done {
		c.Directory, c.Position = 0, 1
	}
	return c.String()
}

func (x *Scanner) check() error {
	s := x.store
	// SYNC acquire namespace-state: the name of a live namespace.
	if s.region.Word32(x.ns.record+layout.NamespaceRecordState).Load() != uint32(x.ns.live) ||
		x.handle != x.ns.Handle {
		return ErrDropped
	}
	return nil
}

func (x *Scanner) directoryWord() *atomic.Uint64 {
	return x.store.region.Word(x.store.directoryOffset + x.hash>>x.store.directoryShift<<3)
}

// samePage says whether the page is still that of its hashes.
func (x *Scanner) samePage() bool {
	// SYNC acquire directory-recheck: all slots were read before this second look.
	shm.AcquireFence()
	return x.directoryWord().Load() == x.directory
}

// begin finds the page of x.hash. It goes on where it was left, if it is still the same one.
func (x *Scanner) begin() error {
	if err := x.check(); err != nil {
		return err
	}
	// SYNC acquire directory-word: the page, filled before the word named it.
	word := x.directoryWord().Load()
	if word != x.directory || x.position > scanPositions {
		x.position = 0
	}
	x.directory, x.begun = word, true
	if word&layout.DirectoryValid == 0 || word&0xffffffff >= x.store.pageCount {
		x.position = scanPositions
	}
	return nil
}

// end goes on to the first hash that does not share the bits of this page's.
func (x *Scanner) end() {
	bits := 64 - x.store.directoryShift
	depth := bits
	if x.directory&layout.DirectoryValid != 0 {
		depth = min(x.directory>>directoryDepthAt&0x7f, bits)
	}
	x.hash = (x.hash | ^uint64(0)>>depth) + 1
	x.done = x.hash == 0
	x.begun, x.directory, x.position, x.restarts = false, 0, 0, 0
}

// scanned is what became of one slot.
type scanned uint8

const (
	scanNothing scanned = iota
	scanEntry
	scanMoved // the page was split
	scanUnsteady
)

// Next finds the next entry; false at the end. After ErrUnsteady the scan can go on.
func (x *Scanner) Next() (bool, error) {
	s := x.store
	defer runtime.KeepAlive(s)
	for !x.done {
		if !x.begun {
			if err := x.begin(); err != nil {
				return false, err
			}
		}
		result := scanNothing
		for result == scanNothing && x.position < scanPositions {
			page := s.dataOffset + x.directory&0xffffffff<<layout.PageShift
			line := s.region.Line(page + (layout.FirstHomeBucket+x.position/layout.SlotsPerBucket)*layout.BucketSize)
			result = x.take(&line[1+x.position%layout.SlotsPerBucket])
			if result == scanUnsteady {
				return false, ErrUnsteady
			}
			if result != scanMoved {
				x.position++
			}
		}
		if result == scanEntry {
			return true, nil
		}
		if result == scanNothing && x.samePage() {
			x.end()
			continue
		}
		// What is left of the page's keys stands in other places now.
		x.begun, x.directory = false, 0
		if x.restarts++; x.restarts > maxPageRestarts {
			x.restarts = 0
			return false, ErrUnsteady
		}
	}
	return false, nil
}

// take looks at a slot as often as it takes for it to stand still.
func (x *Scanner) take(slotWord *atomic.Uint64) scanned {
	s := x.store
	for range maxSlotAttempts {
		// SYNC acquire slot-publish: the entry, complete before a slot pointed at it.
		slot := slotWord.Load()
		segment := slot >> layout.SlotSegmentShift & layout.SlotSegmentMask
		if slot&layout.SlotUsed == 0 || segment >= s.segmentCount {
			return scanNothing
		}
		header := s.segmentOffset + segment*layout.SegmentHeaderSize
		segmentWord := s.region.Word(header + layout.SegmentHeaderStateGeneration)
		// SYNC acquire segment-generation: the segment's bytes belong to this generation.
		before := segmentWord.Load()
		runHook(hookBeforeCopy)
		fits := (before^slot>>layout.SlotGenerationShift)&layout.SlotGenerationMask == 0
		wanted := fits && readable(before) && x.parse(segment, header, slot&layout.SlotOffsetMask<<3)
		runHook(hookAfterCopy)
		// SYNC acquire segment-generation: as in read; if any byte was new, the generation is too.
		shm.AcquireFence()
		after := segmentWord.Load()
		if (slotWord.Load()^slot)&^uint64(layout.SlotFrequencyBits) != 0 ||
			(after^before)&layout.SegmentGenerationMask != 0 || readable(before) && !readable(after) {
			continue
		}
		// A page that was split keeps its slots as they were, whatever happens to the keys.
		switch {
		case !x.samePage():
			return scanMoved
		case wanted:
			return scanEntry
		}
		return scanNothing
	}
	if !x.samePage() {
		return scanMoved
	}
	return scanUnsteady
}

// parse copies an entry, and says whether it is one to return, as far as its bytes say.
func (x *Scanner) parse(segment, segmentHeader, offset uint64) bool {
	s, region := x.store, x.store.region
	limit := uint64(1) << s.segmentShift
	if offset > limit-layout.EntryHeaderSize {
		return false
	}
	entry := s.dataOffset + segment<<s.segmentShift + offset
	head := region.Word(entry).Load() // crc32c 32 | namespace 16 | key bits 16, from the low end
	keyBits := head >> 48
	valueLength := region.Word(entry+layout.EntryHeaderValueLength).Load() & 0xffffffff
	version := region.Word(entry+layout.EntryHeaderVersionOrigin).Load() & layout.EntryVersionMask
	flushed := region.Word(x.ns.record + layout.NamespaceRecordFlushedVersion).Load()
	keyLength := keyBits & layout.EntryKeyLengthMask
	if head>>32&0xffff != uint64(x.ns.ID) || keyLength < max(layout.MinKeyBytes, uint64(len(x.Prefix))) ||
		keyLength > layout.MaxKeyBytes || keyBits&layout.EntryNegative != 0 || version <= flushed || x.beatIsStale() {
		return false
	}
	expiryBytes := keyBits&layout.EntryHasHardExpiry>>8 + keyBits&layout.EntryHasSoftExpiry>>9
	total := layout.EntryHeaderSize + expiryBytes + keyLength + valueLength
	if total > limit-offset {
		run := uint64(region.U16(segmentHeader + layout.SegmentHeaderRunLength))
		limit = min(run, s.segmentCount-segment) << s.segmentShift
		if offset != 0 || total > limit {
			return false
		}
	}
	at := entry + layout.EntryHeaderSize
	hard, soft, now := uint64(layout.Never), uint64(layout.Never), uint64(0)
	if expiryBytes != 0 {
		now = s.clock.nowMs()
		if keyBits&layout.EntryHasHardExpiry != 0 {
			hard = region.Word(at).Load()
			at += 8
		}
		if keyBits&layout.EntryHasSoftExpiry != 0 {
			soft = region.Word(at).Load()
			at += 8
		}
	}
	if hard <= now || !region.EqualString(at, x.Prefix) {
		return false
	}
	x.Key = region.Append(x.Key[:0], at, keyLength)
	x.Value = x.Value[:0]
	if !x.KeysOnly {
		x.Value = region.Append(x.Value, at+keyLength, valueLength)
	}
	x.ValueLength = valueLength
	x.Meta = Meta{Version: version, HardExpiryMs: hard, SoftExpiryMs: soft, Stale: soft <= now && expiryBytes != 0}
	return true
}

// beatIsStale says that the namespace is strict and the daemon is not there.
func (x *Scanner) beatIsStale() bool {
	return x.store.region.U32(x.ns.record+layout.NamespaceRecordFlags)&layout.NamespaceStrict != 0 &&
		x.store.HeartbeatAge() > strictHeartbeat
}
