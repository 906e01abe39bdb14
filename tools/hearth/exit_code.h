// Exit codes of `hearth`, and how errors are shown. The codes are part of the command's interface
// (docs/cli.md): scripts test them, so they never change their meaning.
//
// Thread safety: one thread.
#ifndef HEARTH_TOOLS_HEARTH_EXIT_CODE_H_
#define HEARTH_TOOLS_HEARTH_EXIT_CODE_H_

#include <string_view>

#include "core/base/status.h"

namespace hearth::cli {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailure = 1,       // it did not work: no such key, rejected records, an unreadable file
  kExitUsage = 2,         // the command line is wrong
  kExitNotRunning = 3,    // nobody listens, or hearthd went away
  kExitDenied = 4,        // file permissions or hearthd's policy
  kExitIncompatible = 5,  // hearthd is of another version, or it is not hearthd that listens
  kExitOverloaded = 75,   // a quota or limit is reached (EX_TEMPFAIL)
  kExitTimeout = 124,     // as timeout(1)
  kExitInterrupted = 130  // SIGINT or SIGTERM, as shells count it
};

ExitCode ExitCodeOf(const Status& status);

// Prints "hearth: message" to stderr, with what to do about it where that is known, and returns
// the exit code of the status.
ExitCode Fail(const Status& status);

// "hearth: message" on stderr, control characters escaped, in one write.
void Complain(std::string_view message);

// Writes all of `text` to stdout: kExitOk, or kExitFailure with a complaint where that fails (a
// full disk, a closed pipe).
ExitCode PrintOut(std::string_view text);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_EXIT_CODE_H_
