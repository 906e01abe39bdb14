// The bytes of a store. FORMAT.md is the prose; this header is the only definition, and the Go
// constants are generated from it. All integers are little-endian.
//
//   | RegionPrefix | StoreHeader | directory | namespaces | segment headers | data: segments ... |
//   0              128           4096        page aligned, offsets in StoreHeader
//
// One process writes (hearthd); any number map the store read-only. Everything a reader takes from
// here is copied to a local and checked before use (reader.h).
#ifndef HEARTH_CORE_CACHE_FORMAT_H_
#define HEARTH_CORE_CACHE_FORMAT_H_

#include <cstddef>
#include <cstdint>

#include "core/base/atomic.h"
#include "core/cache/namespace_format.h"
#include "core/shm/layout.h"
#include "core/shm/region.h"

namespace hearth::cache {

inline constexpr std::uint32_t kStoreLayoutVersion = 1;
inline constexpr std::uint32_t kStoreHeaderBytes = 4096;  // prefix and StoreHeader, padded

// ---------------------------------------------------------------------------------------- limits
inline constexpr std::uint32_t kMinKeyBytes = 1;
inline constexpr std::uint32_t kMaxKeyBytes = 1024;
inline constexpr std::uint32_t kMinSegmentShift = 16;      // 64 KiB
inline constexpr std::uint32_t kDefaultSegmentShift = 21;  // 2 MiB
inline constexpr std::uint32_t kMaxSegmentShift = 21;      // 18 bits of offset/8 in a slot
inline constexpr std::uint32_t kMaxSegments = 1U << 20U;   // 20 bits in a slot
inline constexpr std::uint64_t kMaxValueBytes = std::uint64_t{64} << 20U;
inline constexpr std::uint32_t kMaxNamespaces = 65536;  // 16 bits in an entry
inline constexpr std::uint32_t kMaxNamespaceNameBytes = 63;
inline constexpr std::uint64_t kMaxVersion = (std::uint64_t{1} << 48U) - 1;

// ---------------------------------------------------------------------------------- store header
// Immutable after creation up to clock_realtime_base_ns; the rest is written by the writer only.
struct StoreHeader {
  std::uint32_t segment_shift;  // segment size = 1 << segment_shift
  std::uint32_t segment_count;
  std::uint32_t directory_bits;      // the directory has 1 << directory_bits words
  std::uint32_t namespace_capacity;  // NamespaceRecords
  std::uint64_t directory_offset;    // all offsets in bytes from the start of the region
  std::uint64_t namespace_offset;
  std::uint64_t segment_header_offset;
  std::uint64_t data_offset;  // segment i begins at data_offset + (i << segment_shift)
  std::uint64_t max_value_bytes;
  std::uint8_t boot_id[16];               // of the boot the two clock bases were read in
  std::uint64_t clock_monotonic_base_ns;  // store time 0, see StoreView::StoreTimeMs
  std::uint64_t clock_realtime_base_ns;   // the same instant on the wall clock
  std::uint32_t frozen_crc32c;            // of all that never changes, see FrozenCrc
  std::uint8_t reserved0[36];
  // One cache line that the writer touches at every mutation and readers rarely look at.
  Atomic<std::uint64_t> last_version;  // the highest version given to an entry
  Atomic<std::uint64_t> in_flight;     // (I5) origin 16 bits (high) | sequence 48; 0 = none
  Atomic<std::uint64_t> entry_count;
  Atomic<std::uint64_t> live_bytes;  // of entries a slot points at, padding included
  Atomic<std::uint64_t> free_segments;
  Atomic<std::uint64_t> evicted_entries;  // since creation
  Atomic<std::uint64_t> index_pages;
  Atomic<std::uint64_t> allocated_sequence;  // last SegmentHeader::sequence given out
  // A line the writer touches a few times a second.
  Atomic<std::uint64_t> heartbeat_ns;    // CLOCK_MONOTONIC; stale when the daemon is down
  Atomic<std::uint64_t> split_old_page;  // the index split in progress, see FORMAT.md; 0 = none
  Atomic<std::uint64_t> split_low_page;
  Atomic<std::uint64_t> split_high_page;
  // The slot word that the last operation replaced or emptied: recovery counts its segment anew.
  Atomic<std::uint64_t> replaced_slot;
  std::uint8_t reserved1[24];
};
#define HEARTH_STORE_HEADER_FIELDS(F) \
  F(segment_shift, 0)                 \
  F(segment_count, 4)                 \
  F(directory_bits, 8)                \
  F(namespace_capacity, 12)           \
  F(directory_offset, 16)             \
  F(namespace_offset, 24)             \
  F(segment_header_offset, 32)        \
  F(data_offset, 40)                  \
  F(max_value_bytes, 48)              \
  F(boot_id, 56)                      \
  F(clock_monotonic_base_ns, 72)      \
  F(clock_realtime_base_ns, 80)       \
  F(frozen_crc32c, 88)                \
  F(reserved0, 92)                    \
  F(last_version, 128)                \
  F(in_flight, 136)                   \
  F(entry_count, 144)                 \
  F(live_bytes, 152)                  \
  F(free_segments, 160)               \
  F(evicted_entries, 168)             \
  F(index_pages, 176)                 \
  F(allocated_sequence, 184)          \
  F(heartbeat_ns, 192)                \
  F(split_old_page, 200)              \
  F(split_low_page, 208)              \
  F(split_high_page, 216)             \
  F(replaced_slot, 224)               \
  F(reserved1, 232)
HEARTH_LAYOUT(StoreHeader, 256, HEARTH_STORE_HEADER_FIELDS)
// frozen_crc32c is over these bytes of the region, one range after the other: the prefix without
// magic, state and epoch, and the header up to frozen_crc32c.
struct ByteRange {
  std::uint64_t begin;
  std::uint64_t end;
};
inline constexpr ByteRange kFrozenRanges[] = {
    {offsetof(shm::RegionPrefix, header_bytes), offsetof(shm::RegionPrefix, state)},
    {offsetof(shm::RegionPrefix, kind), offsetof(shm::RegionPrefix, epoch)},
    {offsetof(shm::RegionPrefix, hash_secret),
     sizeof(shm::RegionPrefix) + offsetof(StoreHeader, frozen_crc32c)}};

inline constexpr std::uint64_t kStoreHeaderOffset = sizeof(shm::RegionPrefix);

// ----------------------------------------------------------------------------------------- index
// Directory word, 0 = no page:  valid 1 | local depth 7 | sequence 24 | page 32   (high to low)
// `page` counts 64 KiB pages from data_offset. The word for hash h is directory[h >> (64 - bits)].
// `sequence` counts the changes of the word, so that a reader can tell that a page moved.
inline constexpr std::uint32_t kPageShift = 16;
inline constexpr std::uint64_t kDirectoryValid = std::uint64_t{1} << 63U;

constexpr std::uint64_t MakeDirectoryWord(std::uint32_t page, std::uint32_t depth,
                                          std::uint32_t sequence) {
  return kDirectoryValid | std::uint64_t{depth & 0x7fU} << 56U |
         std::uint64_t{sequence & 0xffffffU} << 32U | page;
}
constexpr std::uint32_t DirectoryPage(std::uint64_t word) {
  return static_cast<std::uint32_t>(word);
}
constexpr std::uint32_t DirectoryDepth(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 56U) & 0x7fU;
}
constexpr std::uint32_t DirectorySequence(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 32U) & 0xffffffU;
}

// A page: 1024 buckets of one cache line. Bucket 0 is the page header; buckets 1..896 are home
// buckets; the rest is the page's pool of overflow buckets.
inline constexpr std::uint32_t kBucketsPerPage = 1024;
inline constexpr std::uint32_t kHomeBuckets = 896;
inline constexpr std::uint32_t kFirstHomeBucket = 1;
inline constexpr std::uint32_t kFirstOverflowBucket = kFirstHomeBucket + kHomeBuckets;
inline constexpr std::uint32_t kSlotsPerBucket = 7;
// A lookup reads at most this many buckets; a longer chain makes the writer split the page.
inline constexpr std::uint32_t kMaxChainBuckets = 4;

// Home bucket of a hash within its page; independent of the directory bits.
constexpr std::uint32_t HomeBucket(std::uint64_t hash) {
  return kFirstHomeBucket +
         static_cast<std::uint32_t>(((hash & 0xffffffffU) * kHomeBuckets) >> 32U);
}

struct Bucket {
  // Low 16 bits: the next bucket of the chain within the page, 0 = none. Other bits are zero.
  Atomic<std::uint64_t> link;
  Atomic<std::uint64_t> slots[kSlotsPerBucket];
};
#define HEARTH_BUCKET_FIELDS(F) \
  F(link, 0)                    \
  F(slots, 8)
HEARTH_LAYOUT(Bucket, 64, HEARTH_BUCKET_FIELDS)

inline constexpr std::uint64_t kPageMagic = 0x4547'4150'5844'4948U;  // "HIDXPAGE"

struct PageHeader {
  std::uint64_t magic;
  std::uint32_t depth;  // local depth: hash bits that all keys of the page share
  std::uint32_t reserved0;
  std::uint64_t prefix;  // those bits, left-aligned in 64
  std::uint8_t reserved1[40];
};
#define HEARTH_PAGE_HEADER_FIELDS(F) \
  F(magic, 0)                        \
  F(depth, 8)                        \
  F(reserved0, 12)                   \
  F(prefix, 16)                      \
  F(reserved1, 24)
HEARTH_LAYOUT(PageHeader, 64, HEARTH_PAGE_HEADER_FIELDS)

// Slot word, 0 = empty. High to low:
//   tag 16 | frequency 2 | flags 2 | generation 6 | segment 20 | offset/8 18
// Every change of the index is one aligned store of such a word.
inline constexpr std::uint32_t kSlotTagShift = 48;
inline constexpr std::uint32_t kSlotFrequencyShift = 46;
inline constexpr std::uint32_t kSlotFlagsShift = 44;
inline constexpr std::uint32_t kSlotGenerationShift = 38;
inline constexpr std::uint32_t kSlotSegmentShift = 18;
inline constexpr std::uint64_t kSlotGenerationMask = 0x3f;
inline constexpr std::uint64_t kSlotSegmentMask = 0xfffff;
inline constexpr std::uint64_t kSlotOffsetMask = 0x3ffff;
inline constexpr std::uint64_t kSlotFrequencyBits = std::uint64_t{3} << kSlotFrequencyShift;
inline constexpr std::uint64_t kSlotUsed = std::uint64_t{1} << kSlotFlagsShift;  // set in all

constexpr std::uint64_t SlotTag(std::uint64_t hash) { return hash & 0xffffU; }
constexpr std::uint64_t MakeSlot(std::uint64_t tag, std::uint64_t generation, std::uint32_t segment,
                                 std::uint64_t offset) {
  return tag << kSlotTagShift | kSlotUsed |
         (generation & kSlotGenerationMask) << kSlotGenerationShift |
         std::uint64_t{segment} << kSlotSegmentShift | offset >> 3U;
}
constexpr std::uint32_t SlotSegment(std::uint64_t slot) {
  return static_cast<std::uint32_t>((slot >> kSlotSegmentShift) & kSlotSegmentMask);
}
constexpr std::uint32_t SlotOffset(std::uint64_t slot) {
  return static_cast<std::uint32_t>((slot & kSlotOffsetMask) << 3U);
}
constexpr std::uint64_t SlotGeneration(std::uint64_t slot) {
  return (slot >> kSlotGenerationShift) & kSlotGenerationMask;
}
// How often the entry was read lately, as far as anybody counted: 0 to kMaxFrequency.
inline constexpr std::uint32_t kMaxFrequency = 3;
constexpr std::uint32_t SlotFrequency(std::uint64_t slot) {
  return static_cast<std::uint32_t>((slot & kSlotFrequencyBits) >> kSlotFrequencyShift);
}
// `slot` with `frequency` + 1, but at most kMaxFrequency.
constexpr std::uint64_t WithFrequencyAfter(std::uint64_t slot, std::uint32_t frequency) {
  const std::uint64_t raised = frequency < kMaxFrequency ? frequency + 1 : kMaxFrequency;
  return (slot & ~kSlotFrequencyBits) | raised << kSlotFrequencyShift;
}

// -------------------------------------------------------------------------------------- segments
enum class SegmentState : std::uint8_t {
  kFree = 0,
  kOpen = 1,      // being appended to
  kSealed = 2,    // full; never changes again within its generation
  kRetiring = 3,  // its slots are being cleared
  kIndex = 4,     // holds index pages
  kRunBody = 5,   // continues the large value that begins in an earlier segment
};

// state_generation: state 8 (high) | generation 56. The generation grows by one each time the
// segment's bytes are about to be reused; slots carry its low six bits.
inline constexpr std::uint32_t kSegmentStateShift = 56;
inline constexpr std::uint64_t kSegmentGenerationMask = (std::uint64_t{1} << 56U) - 1;

constexpr std::uint64_t MakeSegmentWord(SegmentState state, std::uint64_t generation) {
  return std::uint64_t{static_cast<std::uint8_t>(state)} << kSegmentStateShift |
         (generation & kSegmentGenerationMask);
}
constexpr SegmentState SegmentStateOf(std::uint64_t word) {
  return static_cast<SegmentState>(word >> kSegmentStateShift);
}
constexpr std::uint64_t SegmentGenerationOf(std::uint64_t word) {
  return word & kSegmentGenerationMask;
}

// Whether entries may be read in a segment with this word.
constexpr bool Readable(std::uint64_t word) {
  const SegmentState state = SegmentStateOf(word);
  return state == SegmentState::kOpen || state == SegmentState::kSealed ||
         state == SegmentState::kRetiring;
}

enum class LogKind : std::uint8_t { kMain = 0, kSmall = 1 };
inline constexpr std::uint32_t kSharedNamespace = 0xffffffffU;  // several namespaces' entries

struct SegmentHeader {
  Atomic<std::uint64_t> state_generation;
  Atomic<std::uint32_t> write_watermark;    // bytes of complete entries, from 0
  Atomic<std::uint32_t> indexed_watermark;  // bytes whose entries have been published
  Atomic<std::uint64_t> latest_expiry_ms;   // of all entries; ~0 when one never expires
  std::uint32_t namespace_id;               // or kSharedNamespace
  std::uint8_t log;                         // LogKind
  std::uint8_t reserved0;
  // Segments of a run, which one large value has to itself; 1 otherwise. In a segment of state
  // kRunBody: how many segments before it its run begins.
  std::uint16_t run_length;
  Atomic<std::uint32_t> dead_bytes;    // of entries no slot points at any more
  Atomic<std::uint32_t> entry_count;   // entries ever appended in this generation
  std::uint64_t sequence;              // order of allocation: the age of the segment
  std::uint64_t seal_hash;             // of the sealed bytes; 0 = not computed
  Atomic<std::uint32_t> dead_entries;  // of entry_count, those no slot points at any more
  std::uint32_t mark;                  // kSegmentMark, from creation on: zeroed headers lack it
};
inline constexpr std::uint32_t kSegmentMark = 0x4753'4548U;  // "HESG"
#define HEARTH_SEGMENT_HEADER_FIELDS(F) \
  F(state_generation, 0)                \
  F(write_watermark, 8)                 \
  F(indexed_watermark, 12)              \
  F(latest_expiry_ms, 16)               \
  F(namespace_id, 24)                   \
  F(log, 28)                            \
  F(reserved0, 29)                      \
  F(run_length, 30)                     \
  F(dead_bytes, 32)                     \
  F(entry_count, 36)                    \
  F(sequence, 40)                       \
  F(seal_hash, 48)                      \
  F(dead_entries, 56)                   \
  F(mark, 60)
HEARTH_LAYOUT(SegmentHeader, 64, HEARTH_SEGMENT_HEADER_FIELDS)

// --------------------------------------------------------------------------------------- entries
//   | EntryHeader 24 | hard expiry 8, if flagged | soft expiry 8, if flagged | key | value | pad |
// at an offset that is a multiple of 8. Never changed after publication.
struct EntryHeader {
  std::uint32_t crc32c;  // over all that follows, to the end of the value
  std::uint16_t namespace_id;
  std::uint16_t key_bits;  // flags 5 (high) | key length 11
  std::uint32_t value_length;
  std::uint32_t origin_sequence;  // low bits of the operation sequence that wrote the entry
  std::uint64_t version_origin;   // origin 16 (high) | version 48
};
#define HEARTH_ENTRY_HEADER_FIELDS(F) \
  F(crc32c, 0)                        \
  F(namespace_id, 4)                  \
  F(key_bits, 6)                      \
  F(value_length, 8)                  \
  F(origin_sequence, 12)              \
  F(version_origin, 16)
HEARTH_LAYOUT(EntryHeader, 24, HEARTH_ENTRY_HEADER_FIELDS)

inline constexpr std::uint32_t kEntryKeyLengthMask = 0x7ff;
inline constexpr std::uint32_t kEntryHasHardExpiry = 1U << 11U;  // in key_bits
inline constexpr std::uint32_t kEntryHasSoftExpiry = 1U << 12U;
inline constexpr std::uint32_t kEntryNegative = 1U << 13U;  // "known to be absent"
inline constexpr std::uint64_t kEntryVersionMask = kMaxVersion;
inline constexpr std::uint64_t kNever = ~std::uint64_t{0};  // an expiry that never comes

// Bytes between the header and the key.
constexpr std::uint32_t EntryExpiryBytes(std::uint32_t key_bits) {
  return ((key_bits & kEntryHasHardExpiry) != 0 ? 8U : 0U) +
         ((key_bits & kEntryHasSoftExpiry) != 0 ? 8U : 0U);
}
// Bytes of a whole entry without padding; value_length up to 2^32 - 1 does not overflow.
constexpr std::uint64_t EntryBytes(std::uint32_t key_bits, std::uint32_t value_length) {
  return sizeof(EntryHeader) + EntryExpiryBytes(key_bits) + (key_bits & kEntryKeyLengthMask) +
         std::uint64_t{value_length};
}
constexpr std::uint64_t PadEntry(std::uint64_t bytes) { return (bytes + 7U) & ~std::uint64_t{7}; }

// ----------------------------------------------------------------------------------- fingerprint
inline constexpr shm::StructLayout kStoreStructs[] = {
    shm::RegionPrefixLayout::kStruct, StoreHeaderLayout::kStruct,   BucketLayout::kStruct,
    PageHeaderLayout::kStruct,        SegmentHeaderLayout::kStruct, EntryHeaderLayout::kStruct,
    NamespaceRecordLayout::kStruct};
inline constexpr std::uint64_t kStoreFingerprint = shm::Fingerprint(kStoreStructs);
inline constexpr shm::RegionExpectation kStoreExpectation{shm::RegionKind::kStore,
                                                          kStoreLayoutVersion, kStoreFingerprint};

static_assert(kMaxKeyBytes <= kEntryKeyLengthMask);
static_assert((kMaxValueBytes >> kMinSegmentShift) + 1 <= 0xffff);  // a run_length
static_assert((std::uint64_t{1} << kMaxSegmentShift) == (kSlotOffsetMask + 1) << 3U);
static_assert(kStoreHeaderOffset + sizeof(StoreHeader) <= kStoreHeaderBytes);

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_FORMAT_H_
