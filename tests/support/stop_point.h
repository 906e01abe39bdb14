// StopPoint: stops the first thread that reaches a failpoint until the test lets it go on; later
// arrivals pass. HEARTH_FAILPOINTS must be compiled in.
#ifndef HEARTH_TESTS_SUPPORT_STOP_POINT_H_
#define HEARTH_TESTS_SUPPORT_STOP_POINT_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "core/base/failpoint.h"

namespace hearth::testing {

class StopPoint {
 public:
  explicit StopPoint(std::string name) : name_(std::move(name)) {
    SetFailpoint(name_, [this] { Arrive(); });
  }
  StopPoint(const StopPoint&) = delete;
  StopPoint& operator=(const StopPoint&) = delete;
  ~StopPoint() {
    Release();
    ClearFailpoint(name_);
  }

  // Waits until a thread stands at the point.
  void AwaitStop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return arrived_; });
  }
  void Release() {
    std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }
  // How often the point was reached, by all threads.
  std::uint64_t hits() const { return FailpointHits(name_); }

 private:
  void Arrive() {
    std::unique_lock lock(mutex_);
    if (std::exchange(arrived_, true)) return;
    changed_.notify_all();
    changed_.wait(lock, [this] { return released_; });
  }

  const std::string name_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool arrived_ = false;
  bool released_ = false;
};

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_SUPPORT_STOP_POINT_H_
