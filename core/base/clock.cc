#include "core/base/clock.h"

#include <ctime>

namespace hearth {
namespace {

std::uint64_t Read(clockid_t id) {
  timespec now{};
  ::clock_gettime(id, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

class SystemClock final : public Clock {
 public:
  std::uint64_t MonotonicNanos() const override { return Read(CLOCK_MONOTONIC); }
  std::uint64_t RealtimeNanos() const override { return Read(CLOCK_REALTIME); }
};

}  // namespace

const Clock& Clock::System() {
  static const SystemClock clock;
  return clock;
}

std::uint64_t MonotonicNanosNow() { return Read(CLOCK_MONOTONIC); }

}  // namespace hearth
