// SpinPolicy: for how long polling pays before sleeping does.
#ifndef HEARTH_DAEMON_SPIN_POLICY_H_
#define HEARTH_DAEMON_SPIN_POLICY_H_

#include <algorithm>
#include <cstdint>

namespace hearth::daemon {

// Polling longer than a wake-up costs is only worth it when the next request is expected sooner
// than that (the ski-rental argument; Karlin et al., "Empirical Studies of Competitive Spinning for
// a Shared-Memory Multiprocessor", SOSP 1991). The expectation is an average of the gaps between
// bursts of requests, weighted 1/8 for the newest; long gaps are capped, so that it takes a few
// short ones to come back from a night's sleep.
class SpinPolicy {
 public:
  // What waking a sleeping thread costs: 50 to 65 us on a virtual CPU that went idle, 5 on metal.
  static constexpr std::uint64_t kWakeCostNs = 50'000;
  // Always polled for this long: covers the hand-over between two requests of one caller.
  static constexpr std::uint64_t kMinSpinNs = 4'000;

  // A request came after `gap_ns` without any.
  void OnGap(std::uint64_t gap_ns) {
    const std::uint64_t capped = std::min(gap_ns, 8 * kWakeCostNs);
    average_gap_ns_ = average_gap_ns_ - average_gap_ns_ / 8 + capped / 8;
  }
  // How long to poll without a request before sleeping.
  std::uint64_t BoundNs() const {
    return average_gap_ns_ < kWakeCostNs ? 2 * kWakeCostNs : kMinSpinNs;
  }

 private:
  std::uint64_t average_gap_ns_ = 8 * kWakeCostNs;
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_SPIN_POLICY_H_
