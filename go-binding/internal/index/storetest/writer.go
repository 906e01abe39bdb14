// Package storetest writes stores as core/cache/format.h describes them, for the tests of the
// reader. It is a plain transcription of the format: one directory page per directory word, no
// eviction policy, no crash safety. The daemon is the real writer.
package storetest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Options describe a store. Zero values take small defaults.
type Options struct {
	DirectoryBits uint64   // default 1
	SegmentShift  uint64   // default 16
	Segments      uint64   // for data; those for index pages come on top. Default 16
	Namespaces    []string // ids 0, 1, ...; default {"default"}
	MaxValueBytes uint64   // default 1 MiB
}

func (o Options) withDefaults() Options {
	if o.DirectoryBits == 0 {
		o.DirectoryBits = 1
	}
	if o.SegmentShift == 0 {
		o.SegmentShift = layout.MinSegmentShift
	}
	if o.Segments == 0 {
		o.Segments = 16
	}
	if o.Namespaces == nil {
		o.Namespaces = []string{"default"}
	}
	if o.MaxValueBytes == 0 {
		o.MaxValueBytes = 1 << 20
	}
	return o
}

// plan is where the parts of the store lie.
type plan struct {
	directory, namespaces, headers, data uint64
	indexSegments, segments, bytes       uint64
}

func (o Options) plan() plan {
	var p plan
	align := func(n uint64) uint64 { return (n + 4095) &^ 4095 }
	p.indexSegments = (1<<o.DirectoryBits<<layout.PageShift + 1<<o.SegmentShift - 1) >> o.SegmentShift
	p.segments = p.indexSegments + o.Segments
	p.directory = layout.StoreHeaderBytes
	p.namespaces = align(p.directory + 8<<o.DirectoryBits)
	p.headers = align(p.namespaces + uint64(len(o.Namespaces)+1)*layout.NamespaceRecordSize)
	p.data = align(p.headers + p.segments*layout.SegmentHeaderSize)
	p.bytes = p.data + p.segments<<o.SegmentShift
	return p
}

// Bytes is the size of the region that New needs.
func (o Options) Bytes() uint64 { return o.withDefaults().plan().bytes }

// Writer is the single writer of a store. It is not safe for concurrent use; readers may read
// meanwhile.
type Writer struct {
	Region  *shm.Region
	options Options
	plan    plan
	secret  index.Secret
	version uint64
	open    uint64 // segment being filled
	used    uint64 // bytes of it
	next    uint64 // oldest segment, the next to be reused
	// Namespaces by id.
	refs []index.Namespace
	// Store is the writer's own attachment, for hashes.
	Store *index.Store
}

// New writes an empty store into a region of at least Options.Bytes zero bytes.
func New(region *shm.Region, options Options) *Writer {
	w := &Writer{Region: region, options: options.withDefaults()}
	w.plan = w.options.plan()
	if region.Size() != w.plan.bytes {
		panic(fmt.Sprintf("storetest: a region of %d bytes, %d needed", region.Size(), w.plan.bytes))
	}
	w.secret = index.Secret{0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3, 0x589965cc75374cc3}
	w.writeHeader()
	w.writeIndex()
	for id, name := range w.options.Namespaces {
		w.writeNamespace(id, name)
	}
	w.open, w.next = w.plan.indexSegments, w.plan.indexSegments
	w.setSegment(w.open, layout.SegmentOpen, 1)
	region.Word32(layout.RegionPrefixState).Store(layout.RegionStateLive)
	// SYNC release region-magic: the finished image.
	region.Word(layout.RegionPrefixMagic).Store(layout.RegionMagic)
	store, err := index.Attach(region)
	if err != nil {
		panic(err)
	}
	w.Store = store
	for id := range w.options.Namespaces {
		ref, err := store.Namespace(uint32(id))
		if err != nil {
			panic(err)
		}
		w.refs = append(w.refs, ref)
	}
	return w
}

// NewInMemory is New over ordinary memory, which it also returns.
func NewInMemory(options Options) (*Writer, []uint64) {
	words := make([]uint64, (options.Bytes()+7)/8)
	return New(shm.FromWords(words), options), words
}

// NewShared is New over a memory file, as hearthd's is, and for good. The race detector does not look
// at it, so readers may run beside the writer in tests with -race.
func NewShared(options Options) *Writer {
	fd, err := shm.CreateMemfd("storetest", int64(options.Bytes()), true)
	if err != nil {
		panic(err)
	}
	defer shm.CloseAll([]int{fd})
	region, err := shm.Map(fd, true)
	if err != nil {
		panic(err)
	}
	return New(region, options)
}

func (w *Writer) put32(offset uint64, v uint32) { w.Region.Word32(offset).Store(v) }
func (w *Writer) put64(offset uint64, v uint64) { w.Region.Word(offset).Store(v) }

func (w *Writer) writeHeader() {
	w.put32(layout.RegionPrefixHeaderBytes, layout.StoreHeaderBytes)
	w.put32(layout.RegionPrefixLayoutVersion, layout.StoreLayoutVersion)
	w.put64(layout.RegionPrefixLayoutFingerprint, layout.StoreFingerprint)
	w.put32(layout.RegionPrefixKind, layout.RegionKindStore)
	w.put64(layout.RegionPrefixEpoch, 1)
	w.put64(layout.RegionPrefixRegionBytes, w.plan.bytes)
	for i, word := range w.secret {
		w.put64(layout.RegionPrefixHashSecret+8*uint64(i), word)
	}
	const at = layout.StoreHeaderOffset
	w.put32(at+layout.StoreHeaderSegmentShift, uint32(w.options.SegmentShift))
	w.put32(at+layout.StoreHeaderSegmentCount, uint32(w.plan.segments))
	w.put32(at+layout.StoreHeaderDirectoryBits, uint32(w.options.DirectoryBits))
	w.put32(at+layout.StoreHeaderNamespaceCapacity, uint32(len(w.options.Namespaces)+1))
	w.put64(at+layout.StoreHeaderDirectoryOffset, w.plan.directory)
	w.put64(at+layout.StoreHeaderNamespaceOffset, w.plan.namespaces)
	w.put64(at+layout.StoreHeaderSegmentHeaderOffset, w.plan.headers)
	w.put64(at+layout.StoreHeaderDataOffset, w.plan.data)
	w.put64(at+layout.StoreHeaderMaxValueBytes, w.options.MaxValueBytes)
	w.put64(at+layout.StoreHeaderClockMonotonicBaseNs, monotonic())
	SealFrozen(w.Region)
	w.Beat()
}

// SealFrozen makes the checksum of what never changes right again, after a test has changed it.
func SealFrozen(region *shm.Region) {
	region.Word32(layout.StoreHeaderOffset + layout.StoreHeaderFrozenCrc32c).Store(index.FrozenCRC(region))
}

func monotonic() uint64 {
	now, err := shm.Monotonic()
	if err != nil {
		panic(err)
	}
	return now
}

// Beat sets the heartbeat to now.
func (w *Writer) Beat() { w.SetHeartbeat(monotonic()) }

// SetHeartbeat sets the heartbeat, in ns of CLOCK_MONOTONIC.
func (w *Writer) SetHeartbeat(ns uint64) {
	// SYNC release heartbeat: the time itself.
	w.put64(layout.StoreHeaderOffset+layout.StoreHeaderHeartbeatNs, ns)
}

// NowMs is the store's time.
func (w *Writer) NowMs() uint64 {
	base := w.Region.U64(layout.StoreHeaderOffset + layout.StoreHeaderClockMonotonicBaseNs)
	return (monotonic() - base) / 1e6
}

func (w *Writer) writeIndex() {
	const pageMagic = 0x4547_4150_5844_4948
	for i := range w.plan.indexSegments {
		w.setSegment(i, 4, 1)
	}
	for word := range uint64(1) << w.options.DirectoryBits {
		page := w.plan.data + word<<layout.PageShift
		w.put64(page+layout.PageHeaderMagic, pageMagic)
		w.put32(page+layout.PageHeaderDepth, uint32(w.options.DirectoryBits))
		w.put64(page+layout.PageHeaderPrefix, word<<(64-w.options.DirectoryBits))
		w.PointDirectory(word, word, 1)
	}
}

// PointDirectory lets a directory word name a page.
func (w *Writer) PointDirectory(word, page, sequence uint64) {
	// SYNC release directory-word: the page it names.
	w.put64(w.plan.directory+word*8, layout.DirectoryValid|w.options.DirectoryBits<<56|sequence<<32|page)
}

func (w *Writer) writeNamespace(id int, name string) {
	at := w.NamespaceRecord(uint16(id))
	w.Region.CopyIn(at+layout.NamespaceRecordNameLength, append([]byte{byte(len(name))}, name...))
	// SYNC release namespace-state: the record.
	w.put32(at+layout.NamespaceRecordState, layout.NamespaceLive)
}

// NamespaceRecord is the offset of a namespace's record.
func (w *Writer) NamespaceRecord(id uint16) uint64 {
	return w.plan.namespaces + uint64(id)*layout.NamespaceRecordSize
}

// SegmentHeader is the offset of a segment's header.
func (w *Writer) SegmentHeader(segment uint64) uint64 {
	return w.plan.headers + segment*layout.SegmentHeaderSize
}

// SegmentWord reads a segment's state and generation.
func (w *Writer) SegmentWord(segment uint64) (state, generation uint64) {
	word := w.Region.Word(w.SegmentHeader(segment)).Load()
	return word >> layout.SegmentStateShift, word & layout.SegmentGenerationMask
}

func (w *Writer) setSegment(segment, state, generation uint64) {
	// SYNC release segment-generation: the segment's bytes belong to this generation.
	w.put64(w.SegmentHeader(segment), state<<layout.SegmentStateShift|generation)
}

// Namespace returns a namespace by id.
func (w *Writer) Namespace(id uint16) *index.Namespace { return &w.refs[id] }

// castagnoli is the polynomial of an entry's checksum.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Entry is what Set writes. Expiries are store time in ms, 0 for none.
type Entry struct {
	Namespace  uint16
	Key        string
	Value      []byte
	HardExpiry uint64
	SoftExpiry uint64
	Negative   bool
}

func (e *Entry) encode(version uint64) []byte {
	bits := uint16(len(e.Key))
	var expiries []byte
	if e.HardExpiry != 0 {
		bits |= layout.EntryHasHardExpiry
		expiries = binary.LittleEndian.AppendUint64(expiries, e.HardExpiry)
	}
	if e.SoftExpiry != 0 {
		bits |= layout.EntryHasSoftExpiry
		expiries = binary.LittleEndian.AppendUint64(expiries, e.SoftExpiry)
	}
	if e.Negative {
		bits |= layout.EntryNegative
	}
	b := make([]byte, layout.EntryHeaderSize, layout.EntryHeaderSize+len(expiries)+len(e.Key)+len(e.Value))
	binary.LittleEndian.PutUint16(b[layout.EntryHeaderNamespaceId:], e.Namespace)
	binary.LittleEndian.PutUint16(b[layout.EntryHeaderKeyBits:], bits)
	binary.LittleEndian.PutUint32(b[layout.EntryHeaderValueLength:], uint32(len(e.Value)))
	binary.LittleEndian.PutUint64(b[layout.EntryHeaderVersionOrigin:], version)
	b = append(append(append(b, expiries...), e.Key...), e.Value...)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}
