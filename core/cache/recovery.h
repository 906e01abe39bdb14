// What StoreWriter::Recover() and StoreWriter::Scrub() have found. FORMAT.md section 10 has the
// rules they follow.
#ifndef HEARTH_CORE_CACHE_RECOVERY_H_
#define HEARTH_CORE_CACHE_RECOVERY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/cache/index.h"

namespace hearth::cache {

// Of one takeover. A SIGKILL alone leaves nothing in `damage`.
struct RecoveryReport {
  std::uint64_t epoch = 0;  // of the life that begins
  // The last operation of the life before: it has had its effect or none, see WrittenBy().
  std::uint16_t in_flight_channel = 0;
  std::uint64_t in_flight_sequence = 0;

  std::uint64_t entries = 0;
  std::uint64_t live_bytes = 0;
  std::uint64_t republished = 0;       // complete entries whose slots had not been written
  std::uint32_t resumed_retiring = 0;  // segments whose eviction had begun: it begins anew
  std::uint32_t dropped_segments = 0;  // with all they held
  std::uint32_t dropped_namespaces = 0;
  IndexRecovery index;

  // One line for each thing that was damaged, at most kMaxDamageLines; then how many there were.
  static constexpr std::size_t kMaxDamageLines = 32;
  std::vector<std::string> damage;
  std::uint64_t damage_count = 0;
};

// What scrubbing has done since the store was created or taken over.
struct ScrubCounters {
  std::uint64_t passes = 0;               // completed
  std::uint64_t slots = 0;                // looked at
  std::uint64_t dropped_entries = 0;      // damaged ones: their slots are empty now
  std::uint64_t stale_slots = 0;          // emptied, since they pointed at no entry
  std::uint64_t miscounted_segments = 0;  // whose dead bytes were corrected
  std::uint64_t unwalkable_segments = 0;  // damaged between entries: those behind were dropped
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_RECOVERY_H_
