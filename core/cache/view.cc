#include "core/cache/view.h"

#include <algorithm>
#include <cstring>

#include "core/base/crc32c.h"

namespace hearth::cache {
namespace {

// True when `count` items of `size` bytes at `offset` lie within the region, aligned to 64.
bool Fits(std::uint64_t offset, std::uint64_t count, std::uint64_t size, std::uint64_t region) {
  return offset % 64 == 0 && offset >= kStoreHeaderBytes && offset <= region &&
         count <= (region - offset) / size;
}

Status CheckFrozen(const std::byte* base, const StoreHeader& header) {
  if (const std::uint32_t crc = FrozenCrc(base); crc != header.frozen_crc32c)
    return Error(Code::kDataLoss,
                 "the store's header is damaged: its checksum is {:#010x}, not {:#010x}", crc,
                 header.frozen_crc32c);
  return Status::Ok();
}

Status CheckGeometry(const StoreHeader& header, std::uint64_t bytes) {
  const bool shapes = header.segment_shift >= kMinSegmentShift &&
                      header.segment_shift <= kMaxSegmentShift && header.segment_count >= 1 &&
                      header.segment_count <= kMaxSegments && header.directory_bits >= 1 &&
                      header.directory_bits <= 32 && header.namespace_capacity >= 1 &&
                      header.namespace_capacity <= kMaxNamespaces;
  const bool places =
      shapes &&
      Fits(header.directory_offset, std::uint64_t{1} << header.directory_bits, 8, bytes) &&
      Fits(header.namespace_offset, header.namespace_capacity, sizeof(NamespaceRecord), bytes) &&
      Fits(header.segment_header_offset, header.segment_count, sizeof(SegmentHeader), bytes) &&
      Fits(header.data_offset, header.segment_count, std::uint64_t{1} << header.segment_shift,
           bytes);
  if (!places)
    return Error(Code::kDataLoss,
                 "the store's geometry does not fit its {} bytes (segments {} x 2^{}, directory "
                 "2^{}, namespaces {})",
                 bytes, header.segment_count, header.segment_shift, header.directory_bits,
                 header.namespace_capacity);
  return Status::Ok();
}

}  // namespace

StoreView::StoreView(std::byte* base, const StoreHeader& header) : base_(base) {
  directory_ = reinterpret_cast<Atomic<std::uint64_t>*>(base + header.directory_offset);
  namespaces_ = reinterpret_cast<NamespaceRecord*>(base + header.namespace_offset);
  segments_ = reinterpret_cast<SegmentHeader*>(base + header.segment_header_offset);
  data_ = base + header.data_offset;
  std::copy(std::begin(prefix().hash_secret), std::end(prefix().hash_secret), secret_.begin());
  segment_shift_ = header.segment_shift;
  segment_count_ = header.segment_count;
  directory_bits_ = header.directory_bits;
  namespace_capacity_ = header.namespace_capacity;
  max_value_bytes_ = header.max_value_bytes;
  clock_base_ns_ = header.clock_monotonic_base_ns;
}

Result<StoreView> StoreView::Of(std::byte* base, std::uint64_t bytes) {
  const auto& prefix = *reinterpret_cast<const shm::RegionPrefix*>(base);
  HEARTH_TRY(shm::CheckRegion(prefix, bytes, kStoreExpectation));
  if (bytes < kStoreHeaderBytes)
    return Error(Code::kDataLoss, "the store has {} bytes, fewer than its header", bytes);
  // One copy is checked and used: whoever can write to the store cannot change it in between.
  StoreHeader header;
  CopyShared(&header, base + kStoreHeaderOffset, sizeof(header));
  HEARTH_TRY(CheckFrozen(base, header));
  HEARTH_TRY(CheckGeometry(header, bytes));
  return StoreView(base, header);
}

StoreView StoreView::OfUnpublished(std::byte* base) {
  return StoreView(base, *reinterpret_cast<const StoreHeader*>(base + kStoreHeaderOffset));
}

std::uint32_t FrozenCrc(const std::byte* base) {
  std::uint32_t crc = 0;
  for (const ByteRange& range : kFrozenRanges)
    crc = Crc32c(crc, base + range.begin, range.end - range.begin);
  return crc;
}

std::uint32_t EntryCrc(const EntryView& entry) {
  constexpr std::size_t kSkip = sizeof(entry.header.crc32c);
  std::uint32_t crc =
      Crc32c(0, reinterpret_cast<const char*>(&entry.header) + kSkip, sizeof(entry.header) - kSkip);
  const std::byte* expiries = entry.key - EntryExpiryBytes(entry.header.key_bits);
  return Crc32c(crc, expiries,
                static_cast<std::size_t>(entry.value - expiries) + entry.header.value_length);
}

bool ParseEntry(const StoreView& view, std::uint32_t segment, std::uint32_t offset,
                EntryView* entry) {
  std::uint64_t limit = view.segment_bytes();
  if (offset + sizeof(EntryHeader) > limit) return false;
  const std::byte* at = view.segment_data(segment) + offset;
  CopyShared(&entry->header, at, sizeof(EntryHeader));
  const std::uint32_t key_bits = entry->header.key_bits;
  const std::uint64_t bytes = EntryBytes(key_bits, entry->header.value_length);
  if (entry->key_length() < kMinKeyBytes || entry->key_length() > kMaxKeyBytes) return false;
  if (offset + bytes > limit) {
    // Only the single entry of a run may be longer than its segment.
    std::uint16_t run = 0;
    CopyShared(&run, &view.segment(segment).run_length, sizeof(run));
    if (offset != 0 || run < 2 || run > view.segment_count() - segment) return false;
    limit *= run;
    if (bytes > limit) return false;
  }
  at += sizeof(EntryHeader);
  entry->hard_expiry_ms = kNever;
  entry->soft_expiry_ms = kNever;
  if ((key_bits & kEntryHasHardExpiry) != 0) {
    CopyShared(&entry->hard_expiry_ms, at, sizeof(std::uint64_t));
    at += sizeof(std::uint64_t);
  }
  if ((key_bits & kEntryHasSoftExpiry) != 0) {
    CopyShared(&entry->soft_expiry_ms, at, sizeof(std::uint64_t));
    at += sizeof(std::uint64_t);
  }
  entry->key = at;
  entry->value = at + entry->key_length();
  entry->bytes = PadEntry(bytes);
  return true;
}

}  // namespace hearth::cache
