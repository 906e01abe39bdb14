// `hearth cache scan` and `hearth cache export`: all entries of a namespace, as they are found.
#ifndef HEARTH_TOOLS_HEARTH_SCAN_H_
#define HEARTH_TOOLS_HEARTH_SCAN_H_

#include <cstdint>
#include <string>

#include "tools/hearth/exit_code.h"
#include "tools/hearth/session.h"

namespace hearth::cli {

struct ScanCommandOptions {
  Place place;
  std::string prefix;
  bool keys_only = false;
  std::uint64_t limit = 0;  // entries; 0 = all
  std::string cursor;       // empty: from the beginning
};
// A line for each entry: the key, or key and value with a tab between them, control characters
// escaped; with --json an object. With a limit, stderr says how to go on if there may be more.
// Needs the store's memory and nothing else: hearthd answers no request but the handshake.
ExitCode RunScan(const GlobalOptions& global, const ScanCommandOptions& options);

// JSON lines that `hearth prewarm` takes, with what is left of each TTL. Keys that are not UTF-8,
// which those lines cannot hold, are left out and counted, and make the exit code kExitFailure.
ExitCode RunExport(const GlobalOptions& global, const ScanCommandOptions& options);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_SCAN_H_
