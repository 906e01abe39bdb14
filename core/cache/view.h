// StoreView: the parts of one mapped store, with their bounds.
#ifndef HEARTH_CORE_CACHE_VIEW_H_
#define HEARTH_CORE_CACHE_VIEW_H_

#include <cstddef>
#include <cstdint>

#include "core/base/hash.h"
#include "core/base/status.h"
#include "core/cache/format.h"

namespace hearth::cache {

// Pointers into a mapped store and a private copy of its geometry, checked once so that every
// index below is in bounds as long as it passes the predicates here. Does not own the mapping.
// A view of read-only memory must only be read through; the type cannot tell, since one struct
// describes both sides.
class StoreView {
 public:
  // Checks prefix and geometry of `bytes` mapped bytes. Errors as in shm::CheckRegion; kDataLoss
  // when what never changes has changed, or the geometry does not fit the region.
  static Result<StoreView> Of(std::byte* base, std::uint64_t bytes);
  // Without checking the magic, for the creator. REQUIRES: a filled-in StoreHeader.
  static StoreView OfUnpublished(std::byte* base);

  shm::RegionPrefix& prefix() const { return *reinterpret_cast<shm::RegionPrefix*>(base_); }
  StoreHeader& header() const {
    return *reinterpret_cast<StoreHeader*>(base_ + kStoreHeaderOffset);
  }
  const HashSecret& secret() const { return secret_; }

  std::uint32_t segment_count() const { return segment_count_; }
  std::uint32_t segment_bytes() const { return std::uint32_t{1} << segment_shift_; }
  std::uint32_t directory_bits() const { return directory_bits_; }
  std::uint32_t namespace_capacity() const { return namespace_capacity_; }
  std::uint32_t page_count() const { return segment_count_ << (segment_shift_ - kPageShift); }
  std::uint64_t max_value_bytes() const { return max_value_bytes_; }

  // REQUIRES: index < 1 << directory_bits().
  Atomic<std::uint64_t>& directory(std::uint64_t index) const { return directory_[index]; }
  std::uint64_t DirectoryIndex(std::uint64_t hash) const { return hash >> (64U - directory_bits_); }
  // kBucketsPerPage buckets. REQUIRES: page < page_count().
  Bucket* page(std::uint32_t page) const {
    return reinterpret_cast<Bucket*>(data_ + (std::uint64_t{page} << kPageShift));
  }
  // REQUIRES: segment < segment_count().
  SegmentHeader& segment(std::uint32_t segment) const { return segments_[segment]; }
  std::byte* segment_data(std::uint32_t segment) const {
    return data_ + (std::uint64_t{segment} << segment_shift_);
  }
  // REQUIRES: id < namespace_capacity().
  NamespaceRecord& namespace_record(std::uint32_t id) const { return namespaces_[id]; }

  // Milliseconds of store time at a CLOCK_MONOTONIC reading. Store time began with the store and
  // only moves with the monotonic clock, so it is right while the daemon is down and whatever
  // happens to the wall clock; it does not count time the machine was suspended.
  std::uint64_t StoreTimeMs(std::uint64_t monotonic_ns) const {
    return monotonic_ns <= clock_base_ns_ ? 0 : (monotonic_ns - clock_base_ns_) / 1'000'000U;
  }

 private:
  StoreView(std::byte* base, const StoreHeader& header);

  std::byte* base_;
  Atomic<std::uint64_t>* directory_;
  NamespaceRecord* namespaces_;
  SegmentHeader* segments_;
  std::byte* data_;
  HashSecret secret_;
  std::uint32_t segment_shift_;
  std::uint32_t segment_count_;
  std::uint32_t directory_bits_;
  std::uint32_t namespace_capacity_;
  std::uint64_t max_value_bytes_;
  std::uint64_t clock_base_ns_;
};

// What StoreHeader::frozen_crc32c is for a region that begins at `base`. REQUIRES:
// kStoreHeaderBytes bytes there.
std::uint32_t FrozenCrc(const std::byte* base);

// One entry, taken apart: lengths are those of a private copy of its header and have been checked
// against the segment; `key` and `value` point into the store.
struct EntryView {
  EntryHeader header;
  std::uint64_t hard_expiry_ms = kNever;
  std::uint64_t soft_expiry_ms = kNever;
  const std::byte* key = nullptr;
  const std::byte* value = nullptr;
  std::uint64_t bytes = 0;  // padded

  std::uint32_t key_length() const { return header.key_bits & kEntryKeyLengthMask; }
  std::uint64_t version() const { return header.version_origin & kEntryVersionMask; }
};

// Takes the entry at `offset` of `segment` apart. False when the lengths found there do not
// describe an entry inside the segment (or its run), so that no access through the result can
// leave it. The result may still be torn or foreign; only the caller's re-check can tell.
// REQUIRES: segment < view.segment_count(), offset a multiple of 8.
bool ParseEntry(const StoreView& view, std::uint32_t segment, std::uint32_t offset,
                EntryView* entry);

// What the header's crc32c is for an entry with these bytes. REQUIRES: ParseEntry took it apart.
std::uint32_t EntryCrc(const EntryView& entry);

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_VIEW_H_
