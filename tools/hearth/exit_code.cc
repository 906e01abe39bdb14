#include "tools/hearth/exit_code.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "tools/hearth/text.h"

namespace hearth::cli {

ExitCode ExitCodeOf(const Status& status) {
  switch (status.code()) {
    case Code::kOk: return kExitOk;
    case Code::kInvalidArgument: return kExitUsage;
    case Code::kUnavailable: return kExitNotRunning;
    case Code::kPermissionDenied: return kExitDenied;
    case Code::kFailedPrecondition: return kExitIncompatible;
    case Code::kResourceExhausted: return kExitOverloaded;
    case Code::kDeadlineExceeded: return kExitTimeout;
    case Code::kCancelled: return kExitInterrupted;
    default: return kExitFailure;
  }
}

ExitCode Fail(const Status& status) {
  Complain(status.message());
  return ExitCodeOf(status);
}

void Complain(std::string_view message) {
  const std::string line = fmt::format("hearth: {}\n", EscapeControls(message));
  // Nowhere is left to report that stderr does not work.
  static_cast<void>(std::fwrite(line.data(), 1, line.size(), stderr));
  std::fflush(stderr);
}

ExitCode PrintOut(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return kExitOk;
  Complain(fmt::format("cannot write the output: {}", std::strerror(errno)));
  return kExitFailure;
}

}  // namespace hearth::cli
