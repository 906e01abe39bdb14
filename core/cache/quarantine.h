// Quarantine: segments without slots that wait for readers' pins before they are reused.
#ifndef HEARTH_CORE_CACHE_QUARANTINE_H_
#define HEARTH_CORE_CACHE_QUARANTINE_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/cache/pins.h"
#include "core/cache/view.h"

namespace hearth::cache {

// Private memory of the writer; not thread-safe. It only says what waits and what need not wait any
// longer: moving generations is the SegmentLog's part. Without a source nothing ever waits.
//
// What it holds back is bounded, whatever the pin records contain: a segment waits for `max_ns` at
// most, and no more than a twentieth of the store waits at once, or a single segment or run.
class Quarantine {
 public:
  explicit Quarantine(const StoreView& view) : view_(view) {}

  // `source` and `clock` must outlive this.
  void Watch(const PinSource* source, std::uint64_t max_ns, const Clock& clock);

  // Asks for the pins of a segment that no slot points into any more. True when there is one: the
  // segment waits from now on, and its generation must stay.
  bool Hold(std::uint32_t segment);
  // Whether a write that wants room could get some from here.
  bool empty() const { return waiting_.empty(); }
  // In segments; what begins a run of them counts for all.
  std::uint32_t size() const;
  // More than may wait. One segment, or run, may always.
  bool Overfull() const { return waiting_.size() > 1 && size() > Limit(); }
  // Takes out what nobody pins any more and what has waited long enough, or is too much.
  std::vector<std::uint32_t> Review();
  // Takes out the segment that has waited longest, pinned or not.
  std::optional<std::uint32_t> TakeOldest();

  // Segments that were taken out although they may have been pinned.
  std::uint64_t revoked() const { return revoked_; }

 private:
  struct Waiting {
    std::uint32_t segment;
    std::uint64_t since_ns;
  };
  // What is known of a segment, as long as it is asked about.
  enum class Mark : std::uint8_t { kNone, kAsked, kPinned };
  void LookAtPins();
  std::uint32_t Limit() const;

  StoreView view_;
  const PinSource* source_ = nullptr;
  const Clock* clock_ = nullptr;
  std::uint64_t max_ns_ = kDefaultPinMaxNs;
  std::deque<Waiting> waiting_;  // oldest first
  std::vector<Mark> marks_;      // by segment
  std::uint64_t revoked_ = 0;
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_QUARANTINE_H_
