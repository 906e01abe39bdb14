// SegmentLog: which segments are free, and which belong to which namespace, in which log and in
// what order. Private memory of the writer; what recovery needs of it is in the segment headers.
#ifndef HEARTH_CORE_CACHE_SEGMENT_LOG_H_
#define HEARTH_CORE_CACHE_SEGMENT_LOG_H_

#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/cache/pins.h"
#include "core/cache/quarantine.h"
#include "core/cache/view.h"

namespace hearth::cache {

// Who owns segments: a namespace by its id, or all those together that share segments. No namespace
// has id 0.
inline constexpr std::uint16_t kSharedOwner = 0;
inline std::uint16_t OwnerOf(const SegmentHeader& header) {
  return header.namespace_id == kSharedNamespace ? kSharedOwner
                                                 : static_cast<std::uint16_t>(header.namespace_id);
}

// A namespace appends to one open segment of each of its logs; a full one is sealed, and sealed
// segments are evicted oldest first. Not thread-safe: owned by the writer.
class SegmentLog {
 public:
  // Sealed segments by age.
  using ByAge = std::set<std::pair<std::uint64_t, std::uint32_t>>;

  // Knows of no segment yet.
  explicit SegmentLog(const StoreView& view);

  // Every segment is free: for a new store.
  void Init();
  // Of a store that is taken over, each segment once, in any order. Headers have been checked. A
  // log has one open segment; AddOpen seals a second one.
  void AddFree(std::uint32_t segment);
  void AddOpen(std::uint32_t segment);
  void AddSealed(std::uint32_t segment);
  // A segment of which nothing can be said, but that slots may point into it: from now on none of
  // them is valid. It is not used again before all of them are gone and ReleaseHeldBack() is
  // called.
  void HoldBack(std::uint32_t segment);
  void ReleaseHeldBack();

  std::uint32_t free_count() const { return static_cast<std::uint32_t>(free_.size()); }

  // Takes a free segment for a log of a namespace, which must have no open one there, or for index
  // pages, with a new sequence number. Nothing when none is free.
  std::optional<std::uint32_t> TakeOpen(std::uint16_t namespace_id, LogKind log);
  std::optional<std::uint32_t> TakeForIndex();

  // Takes `length` adjacent free segments for one large value: the first open, the others its body.
  // Nothing when there are no such. SealRun() puts it into its log when the value is there.
  std::optional<std::uint32_t> TakeRun(std::uint16_t namespace_id, LogKind log,
                                       std::uint32_t length);
  void SealRun(std::uint32_t first) { SealSegment(first); }
  // Segments of the run that begins here; 1 for any other segment.
  std::uint32_t RunLength(std::uint32_t segment) const { return view_.segment(segment).run_length; }
  // Where the run begins that a segment belongs to; the segment itself if it is no body of one.
  std::uint32_t FirstOf(std::uint32_t segment) const;
  // Gives a sealed run, or a sealed segment, another log and makes it the youngest there.
  void Relink(std::uint32_t first, LogKind log);

  // While segments are held, they are no longer free, or do not become so: for whoever makes room
  // for a run between them. One range at a time; Release() makes those free that nobody has.
  void Hold(std::uint32_t first, std::uint32_t length);
  bool AllHeld() const { return held_.size() == hold_length_; }
  void Release();

  // The open segment of a log, if any.
  std::optional<std::uint32_t> open(std::uint16_t namespace_id, LogKind log) const;
  // Bytes left in a segment behind its write watermark.
  std::uint32_t Room(std::uint32_t segment) const;
  // Closes the open segment of a log, if there is one.
  void Seal(std::uint16_t namespace_id, LogKind log);

  // Segments in a log that are sealed, those of runs each for itself.
  std::uint32_t sealed_segments(std::uint16_t namespace_id, LogKind log) const {
    return owners_[namespace_id].sealed_segments[Index(log)];
  }
  // Segments the namespace owns: open, sealed and retiring ones of both logs.
  std::uint32_t owned(std::uint16_t namespace_id) const { return owners_[namespace_id].owned; }
  const ByAge& sealed(std::uint16_t namespace_id, LogKind log) const {
    return owners_[namespace_id].sealed[Index(log)];
  }
  // Dead bytes in the sealed segments of the namespace. NoteDead tells of one more dead entry.
  std::uint64_t dead_bytes(std::uint16_t namespace_id) const {
    return owners_[namespace_id].dead_bytes;
  }
  // Another entry is dead; `namespace_id` is the entry's.
  void NoteDead(std::uint32_t segment, std::uint32_t bytes, std::uint16_t namespace_id);

  // Bytes that live in shared segments, by namespace, as far as this process has seen them written
  // and die.
  std::uint64_t shared_bytes(std::uint16_t namespace_id) const {
    return owners_[namespace_id].shared_bytes;
  }
  // An entry was appended to a segment.
  void NoteWritten(std::uint32_t segment, std::uint64_t bytes, std::uint16_t namespace_id) {
    if (OwnerOf(view_.segment(segment)) == kSharedOwner)
      owners_[namespace_id].shared_bytes += bytes;
  }
  // Shared segments allocated up to `sequence` that are not free, oldest first; open ones are
  // sealed if `seal`.
  std::vector<std::uint32_t> SharedUpTo(std::uint64_t sequence, bool seal);
  // Corrects what is dead in a segment, after it was counted anew.
  void SetDead(std::uint32_t segment, std::uint32_t bytes, std::uint32_t entries);

  // Everything the namespace owns has become invisible: its segments are sealed and leave their
  // logs, and are there to be walked, by age, before anything else is evicted.
  void Flush(std::uint16_t namespace_id);
  const ByAge& flushed(std::uint16_t namespace_id) const { return owners_[namespace_id].flushed; }
  bool has_flushed() const { return !with_flushed_.empty(); }

  // Flags or quotas of the namespace have changed.
  void Requota(std::uint16_t namespace_id) { AddOwned(namespace_id, 0); }

  // A namespace with flushed segments if there is one; else the evictable namespace that owns the
  // most segments above its guaranteed share and has one to give: a sealed one, or an open one
  // unless it is `writing`. Nothing when there is none.
  std::optional<std::uint16_t> FurthestAboveMin(std::uint16_t writing) const;
  // A sealed segment of which every entry has expired by `now_ms`.
  std::optional<std::uint32_t> Expired(std::uint64_t now_ms) const;

  // Takes a sealed segment out of its log: it is on its way to Free(). Readers go on reading it.
  void Retire(std::uint32_t segment);
  // Gives a segment back that is sealed or retiring. No slot may point into it any more. After this
  // its bytes may change, and readers that still copy from it find out by its generation; but while
  // a reader pins it, it stays as it is, retiring, and its namespace's.
  void Free(std::uint32_t segment);

  // Pins count from now on. Both arguments must outlive this.
  void WatchPins(const PinSource* source, std::uint64_t max_ns, const Clock& clock) {
    quarantine_.Watch(source, max_ns, clock);
  }
  const Quarantine& quarantine() const { return quarantine_; }
  // Frees the segments whose pins are gone, or have been there for too long.
  void ReviewPins();
  // Frees a segment that waits for pins, one whose pins are gone if there is one. False when none
  // waits.
  bool ReclaimPinned();

 private:
  struct Owner {
    std::optional<std::uint32_t> open[2];
    ByAge sealed[2];  // runs by their first segment
    std::uint32_t sealed_segments[2] = {0, 0};
    ByAge flushed;  // sealed as well, with nothing visible in them
    std::uint32_t owned = 0;
    std::uint64_t dead_bytes = 0;
    std::uint64_t shared_bytes = 0;
    std::int64_t rank = 0;  // as it stands in by_excess_
  };
  static std::size_t Index(LogKind log) { return static_cast<std::size_t>(log); }
  std::uint32_t TakeFree();
  void Start(std::uint32_t segment, SegmentState state, std::uint32_t namespace_id, LogKind log,
             std::uint16_t run_length = 1);
  void SealSegment(std::uint32_t segment);
  void FreeBody(std::uint32_t segment);
  void GiveBack(std::uint32_t segment);
  // Where so many free segments lie side by side, as high as possible.
  std::optional<std::uint32_t> FindFree(std::uint32_t length) const;
  bool Evictable(std::uint32_t namespace_id) const;
  void AddOwned(std::uint32_t namespace_id, std::int32_t count);
  void NoteSealed(std::uint32_t segment);
  void Unseal(std::uint32_t segment);
  void MakeFree(std::uint32_t segment);
  void MoveGeneration(std::uint32_t segment);

  StoreView view_;
  std::vector<Owner> owners_;        // by namespace id
  std::vector<std::uint32_t> free_;  // the last is taken first: its lines may still be cached
  std::vector<bool> is_free_;        // by segment: whether it is in free_
  std::vector<std::uint32_t> held_;
  std::uint32_t hold_first_ = 0;
  std::uint32_t hold_length_ = 0;
  std::vector<std::uint32_t> held_back_;
  // Evictable namespaces that own something: segments above the guaranteed share, namespace.
  std::set<std::pair<std::int64_t, std::uint16_t>> by_excess_;
  std::set<std::uint16_t> with_flushed_;  // namespaces
  // Sealed segments that expire some time: latest expiry, segment.
  std::set<std::pair<std::uint64_t, std::uint32_t>> expiring_;
  Quarantine quarantine_;
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_SEGMENT_LOG_H_
