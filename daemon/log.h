// The daemon's log, on spdlog. Lines go to stderr: with journald's priority prefix when stderr is
// the journal, else with a time stamp. Never a key, a value or a payload.
//
//   Log::Info("session {} connected: uid {}", id, uid);
//
// Thread-safe.
#ifndef HEARTH_DAEMON_LOG_H_
#define HEARTH_DAEMON_LOG_H_

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace hearth::daemon {

class Log {
 public:
  enum class Level { kTrace, kDebug, kInfo, kWarn, kError };

  // `level` is one of trace, debug, info, warn, error.
  static void Configure(std::string_view level);

  static void Line(Level level, std::string_view message) {
    if (Enabled(level)) Emit(level, message);
  }
  template <class... Args>
  static void Debug(fmt::format_string<Args...> format, Args&&... args) {
    Write(Level::kDebug, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  static void Info(fmt::format_string<Args...> format, Args&&... args) {
    Write(Level::kInfo, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  static void Warn(fmt::format_string<Args...> format, Args&&... args) {
    Write(Level::kWarn, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  static void Error(fmt::format_string<Args...> format, Args&&... args) {
    Write(Level::kError, format, std::forward<Args>(args)...);
  }

 private:
  template <class... Args>
  static void Write(Level level, fmt::format_string<Args...> format, Args&&... args) {
    if (Enabled(level)) Emit(level, fmt::format(format, std::forward<Args>(args)...));
  }
  static bool Enabled(Level level);
  static void Emit(Level level, std::string_view message);
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_LOG_H_
