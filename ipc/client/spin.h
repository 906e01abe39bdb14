// How long to spin before sleeping. Sleeping and being woken costs tens of microseconds, spinning
// costs a CPU: it pays only while answers come faster than a wake-up takes.
//
// Thread safety: one thread.
#ifndef HEARTH_IPC_CLIENT_SPIN_H_
#define HEARTH_IPC_CLIENT_SPIN_H_

#include <algorithm>
#include <cstdint>

namespace hearth::ipc {

class AdaptiveSpin {
 public:
  // Spinning longer than a wake-up takes can never pay.
  static constexpr std::uint64_t kWakeNanos = 50'000;
  // Even when it has not paid lately it is tried now and then, since an answer that was slept for
  // looks slow because it was slept for.
  static constexpr std::uint32_t kTryEvery = 32;

  // `enabled` is false where the other side cannot run while we spin: on a single CPU.
  explicit AdaptiveSpin(bool enabled) : enabled_(enabled) {}

  // The bound of the next spin, in ns.
  std::uint64_t Bound() {
    if (!enabled_) return 0;
    if (typical_ < kWakeNanos || ++since_try_ >= kTryEvery) {
      since_try_ = 0;
      return kWakeNanos;
    }
    return 0;
  }
  // How long the wait was, the sleep included.
  void Observe(std::uint64_t nanos) {
    // Faster to learn that it pays than that it does not.
    const std::uint64_t seen = std::min(nanos, 8 * kWakeNanos);
    typical_ = seen < typical_ ? (typical_ + 3 * seen) / 4 : (7 * typical_ + seen) / 8;
  }

 private:
  bool enabled_;
  std::uint64_t typical_ = 0;
  std::uint32_t since_try_ = 0;
};

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_CLIENT_SPIN_H_
