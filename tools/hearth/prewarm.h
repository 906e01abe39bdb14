// `hearth prewarm`: fills a namespace from a file or pipe of JSON lines.
//
// Lines are read, parsed and published one after the other on one thread, while hearthd executes on
// another CPU; answers are matched as they come. Memory does not grow with the input. A line that
// cannot be loaded is a reject (rejects.h) and stops nothing. What stops the run: the input or the
// session ends, a namespace is full, permission is missing, or an interrupt. Then what was
// published is waited for, and the summary says how far it came: everything up to
// `loaded_to_line` is in the cache or among the rejects. Running again is always safe.
#ifndef HEARTH_TOOLS_HEARTH_PREWARM_H_
#define HEARTH_TOOLS_HEARTH_PREWARM_H_

#include <cstdint>
#include <string>

#include "tools/hearth/exit_code.h"
#include "tools/hearth/record_parser.h"
#include "tools/hearth/session.h"

namespace hearth::cli {

// How many rejects a run may have and still count as a success.
struct ErrorLimit {
  double value = 0;
  bool percent = false;  // of all records

  bool Exceeded(std::uint64_t rejected, std::uint64_t records) const;
};
// "10" or "0.5%".
Result<ErrorLimit> ParseErrorLimit(const std::string& text);

struct PrewarmOptions {
  Place place;
  std::string file;  // "-" for stdin
  RecordForm form;
  double rate = 0;  // records per second; 0 = as fast as it goes
  ErrorLimit max_errors;
  std::string rejects_file;
  bool dry_run = false;  // everything but storing
};

// Prints a summary, or with --json one object, to stdout, and all else to stderr. kExitOk,
// kExitFailure with too many rejects, kExitInterrupted, or what stopped it.
ExitCode RunPrewarm(const GlobalOptions& global, const PrewarmOptions& options);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_PREWARM_H_
