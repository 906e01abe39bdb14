#include "daemon/log.h"

#include <cstdlib>
#include <memory>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace hearth::daemon {
namespace {

spdlog::level::level_enum ToSpdlog(Log::Level level) {
  switch (level) {
    case Log::Level::kTrace: return spdlog::level::trace;
    case Log::Level::kDebug: return spdlog::level::debug;
    case Log::Level::kInfo: return spdlog::level::info;
    case Log::Level::kWarn: return spdlog::level::warn;
    case Log::Level::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

// sd-daemon(3) priorities, which journald takes off the line again.
int Priority(Log::Level level) {
  switch (level) {
    case Log::Level::kTrace:
    case Log::Level::kDebug: return 7;
    case Log::Level::kInfo: return 6;
    case Log::Level::kWarn: return 4;
    case Log::Level::kError: return 3;
  }
  return 6;
}

bool ToJournal() { return std::getenv("JOURNAL_STREAM") != nullptr; }

spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("hearthd",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern(ToJournal() ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %-5l %v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

}  // namespace

void Log::Configure(std::string_view level) {
  Logger().set_level(spdlog::level::from_str(std::string(level)));
}

bool Log::Enabled(Level level) { return Logger().should_log(ToSpdlog(level)); }

void Log::Emit(Level level, std::string_view message) {
  if (ToJournal()) {
    Logger().log(ToSpdlog(level), "<{}>{}", Priority(level), message);
  } else {
    Logger().log(ToSpdlog(level), "{}", message);
  }
}

}  // namespace hearth::daemon
