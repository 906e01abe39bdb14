// SegmentLog: which segments are free, and which belong to which namespace in what order. Private
// memory of the writer; what recovery needs of it is in the segment headers.
#ifndef HEARTH_CORE_CACHE_SEGMENT_LOG_H_
#define HEARTH_CORE_CACHE_SEGMENT_LOG_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/cache/view.h"

namespace hearth::cache {

// Not thread-safe: owned by the writer.
class SegmentLog {
 public:
  explicit SegmentLog(const StoreView& view);

  std::uint32_t free_count() const { return static_cast<std::uint32_t>(free_.size()); }

  // Takes a free segment for `state` (kOpen for a namespace, kIndex), with a new sequence number.
  // Nothing when none is free.
  std::optional<std::uint32_t> Take(SegmentState state, std::uint32_t namespace_id);

  // The open segment of a namespace, if any.
  std::optional<std::uint32_t> open(std::uint16_t namespace_id) const;
  // Bytes left in a segment behind its write watermark.
  std::uint32_t Room(std::uint32_t segment) const;
  // Closes the open segment of a namespace, if there is one.
  void Seal(std::uint16_t namespace_id);

  // Segments the namespace owns, the open one included.
  std::uint32_t owned(std::uint16_t namespace_id) const;

  // The oldest sealed segment of one namespace, or of all that may be evicted; else, for all, the
  // oldest open one of a namespace other than `keep_open`.
  std::optional<std::uint32_t> OldestOf(std::uint16_t namespace_id) const;
  std::optional<std::uint32_t> OldestEvictable(std::uint16_t keep_open) const;

  // Gives a segment back. No slot may point into it any more. After this its bytes may change, and
  // readers that still copy from it find out by its generation.
  void Free(std::uint32_t segment);

 private:
  struct Owner {
    std::optional<std::uint32_t> open;
    std::set<std::pair<std::uint64_t, std::uint32_t>> sealed;  // by age
  };
  Owner& owner(std::uint32_t namespace_id) { return owners_[namespace_id]; }
  bool Evictable(std::uint32_t namespace_id) const;
  void UpdateUsedBytes(std::uint32_t namespace_id);

  StoreView view_;
  std::vector<Owner> owners_;        // by namespace id
  std::vector<std::uint32_t> free_;  // the last is taken first: its lines may still be cached
  std::set<std::pair<std::uint64_t, std::uint32_t>> evictable_;  // sealed, by age
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_SEGMENT_LOG_H_
