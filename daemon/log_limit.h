// LogLimit: lets a few lines through at once and then one per interval, so that nobody who can make
// hearthd log a line can make it fill the disk.
//
// Thread safety: one thread.
#ifndef HEARTH_DAEMON_LOG_LIMIT_H_
#define HEARTH_DAEMON_LOG_LIMIT_H_

#include <algorithm>
#include <cstdint>
#include <utility>

namespace hearth::daemon {

class LogLimit {
 public:
  LogLimit(std::uint32_t burst, std::uint64_t interval_ns)
      : burst_(burst), interval_ns_(interval_ns), allowed_(burst) {}

  // Whether a line may be written at `now_ns`, which is then counted as written.
  bool TakeTurn(std::uint64_t now_ns) {
    Refill(now_ns);
    if (allowed_ == 0) return false;
    --allowed_;
    return true;
  }
  // The same; a line that may not is counted as suppressed.
  bool Admit(std::uint64_t now_ns) {
    if (TakeTurn(now_ns)) return true;
    ++suppressed_;
    return false;
  }
  // Lines that were suppressed since this was last asked.
  std::uint64_t TakeSuppressed() { return std::exchange(suppressed_, 0); }
  std::uint64_t suppressed() const { return suppressed_; }
  // Nothing to remember: a new LogLimit would behave the same.
  bool IsFresh(std::uint64_t now_ns) {
    Refill(now_ns);
    return allowed_ == burst_ && suppressed_ == 0;
  }

 private:
  void Refill(std::uint64_t now_ns) {
    // An interval begins when something is used up.
    if (allowed_ == burst_ || now_ns < since_ns_) since_ns_ = now_ns;
    const std::uint64_t more = (now_ns - since_ns_) / interval_ns_;
    allowed_ += std::min(more, burst_ - allowed_);
    since_ns_ += more * interval_ns_;
  }

  std::uint64_t burst_;
  std::uint64_t interval_ns_;
  std::uint64_t allowed_;
  std::uint64_t since_ns_ = 0;
  std::uint64_t suppressed_ = 0;
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_LOG_LIMIT_H_
