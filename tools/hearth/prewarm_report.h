// What a run of `hearth prewarm` came to, for people and programs.
#ifndef HEARTH_TOOLS_HEARTH_PREWARM_REPORT_H_
#define HEARTH_TOOLS_HEARTH_PREWARM_REPORT_H_

#include <cstdint>
#include <string>

#include "core/base/status.h"

namespace hearth::cli {

struct PrewarmReport {
  std::string namespace_name;
  std::string rejects_file;
  bool dry_run = false;
  std::uint64_t lines = 0;    // taken from the input, blank ones included
  std::uint64_t records = 0;  // lines that are not blank
  std::uint64_t loaded = 0;   // acknowledged by hearthd (dry run: that would be sent)
  std::uint64_t rejected = 0;
  std::uint64_t unconfirmed = 0;     // published, and never answered: perhaps loaded
  std::uint64_t loaded_to_line = 0;  // every line up to this is loaded, rejected or blank
  std::uint64_t bytes = 0;           // keys and values of `loaded`
  double seconds = 0;
  double share_gone = 0;  // of a sample: loaded, and evicted or expired since
  bool too_many_rejects = false;
  Status stopped;  // why it did not come to the end of the input

  double RecordsPerSecond() const {
    return seconds > 0 ? static_cast<double>(records) / seconds : 0;
  }
};

std::string ToText(const PrewarmReport& report);
// One object on one line; docs/cli.md lists the fields.
std::string ToJson(const PrewarmReport& report);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_PREWARM_REPORT_H_
