// FakeClock: time that moves only when a test says so.
#ifndef HEARTH_TESTS_SUPPORT_FAKE_CLOCK_H_
#define HEARTH_TESTS_SUPPORT_FAKE_CLOCK_H_

#include <cstdint>

#include "core/base/atomic.h"
#include "core/base/clock.h"

namespace hearth::testing {

// Thread-safe.
class FakeClock : public Clock {
 public:
  explicit FakeClock(std::uint64_t monotonic_ns = 1'000'000'000'000U,
                     std::uint64_t realtime_ns = 1'700'000'000'000'000'000U)
      : monotonic_ns_(monotonic_ns), realtime_ns_(realtime_ns) {}

  std::uint64_t MonotonicNanos() const override { return monotonic_ns_.LoadRelaxed(); }
  std::uint64_t RealtimeNanos() const override { return realtime_ns_.LoadRelaxed(); }

  void SetMonotonicNanos(std::uint64_t value) { monotonic_ns_.StoreRelaxed(value); }
  void SetRealtimeNanos(std::uint64_t value) { realtime_ns_.StoreRelaxed(value); }
  // Both clocks go on, as they do between two clock steps.
  void AdvanceMs(std::uint64_t ms) {
    monotonic_ns_.AddRelaxed(ms * 1'000'000U);
    realtime_ns_.AddRelaxed(ms * 1'000'000U);
  }

 private:
  Atomic<std::uint64_t> monotonic_ns_;
  Atomic<std::uint64_t> realtime_ns_;
};

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_SUPPORT_FAKE_CLOCK_H_
