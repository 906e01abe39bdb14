// Time. Hearth measures every duration and expiry on CLOCK_MONOTONIC, which all processes of a host
// share within one boot and which no clock step moves; wall time is only stored to re-base
// expiries after a reboot.
#ifndef HEARTH_CORE_BASE_CLOCK_H_
#define HEARTH_CORE_BASE_CLOCK_H_

#include <cstdint>

namespace hearth {

// Thread-safe. Tests pass a fake (tests/support/fake_clock.h).
class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds of CLOCK_MONOTONIC.
  virtual std::uint64_t MonotonicNanos() const = 0;
  // Nanoseconds since 1970 of CLOCK_REALTIME.
  virtual std::uint64_t RealtimeNanos() const = 0;

  // The machine's clocks. Lives for ever.
  static const Clock& System();
};

// CLOCK_MONOTONIC without the virtual call, for spinning loops.
std::uint64_t MonotonicNanosNow();

}  // namespace hearth

#endif  // HEARTH_CORE_BASE_CLOCK_H_
