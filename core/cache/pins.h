// Pins: how a reader keeps the bytes of an entry it uses in place, without a copy.
//
// A pin is a record of two words in memory that the reader writes and the writer reads: a segment
// and its generation. FORMAT.md section 9 has the handshake; in short, the reader publishes its pin
// and then looks at the slot once more, the writer clears the slots and then looks at the pins,
// with a full fence between the two steps on each side, so that at least one of them sees the
// other.
//
// This header knows neither sessions nor processes: where the records lie is up to the caller.
#ifndef HEARTH_CORE_CACHE_PINS_H_
#define HEARTH_CORE_CACHE_PINS_H_

#include <cstdint>
#include <functional>

#include "core/base/atomic.h"

namespace hearth::cache {

// One pin record. The words must outlive every ValueView that was made with them.
struct PinWords {
  Atomic<std::uint64_t>* segment_plus_one = nullptr;  // 0 = never used, kPinFree = free again
  Atomic<std::uint64_t>* generation = nullptr;
};

// Not 0, so that a table whose first record is 0 has never held a pin and need not be looked at.
inline constexpr std::uint64_t kPinFree = ~std::uint64_t{0};

// Where the writer finds all pins of its store.
class PinSource {
 public:
  // The two words of a record, as they were found: whoever writes them may lie.
  using See = std::function<void(std::uint64_t segment_plus_one, std::uint64_t generation)>;

  PinSource() = default;
  PinSource(const PinSource&) = delete;
  PinSource& operator=(const PinSource&) = delete;
  virtual ~PinSource() = default;
  // Calls `see` for each record in use, in any order. On the writer's thread, each time a segment
  // is freed and while some are quarantined, so it should be quick.
  virtual void VisitPins(const See& see) const = 0;
};

// Reads one record for a PinSource.
inline void SeePin(const PinWords& pin, const PinSource::See& see) {
  // SYNC acquire segment-unpin: whoever let go of the segment has read its last byte of it.
  const std::uint64_t segment_plus_one = pin.segment_plus_one->LoadAcquire();
  if (segment_plus_one != 0 && segment_plus_one != kPinFree)
    see(segment_plus_one, pin.generation->LoadRelaxed());
}

// How long a segment that is needed is left to those who have pinned it. After that it is reused in
// spite of them, and their views say so.
inline constexpr std::uint64_t kDefaultPinMaxNs = 1'000'000'000;
// How much of the store may wait for pins at once: one segment in this many, but at least one.
inline constexpr std::uint32_t kQuarantineShare = 20;

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_PINS_H_
