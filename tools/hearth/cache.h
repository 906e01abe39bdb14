// `hearth cache get|set|add|replace|cas|append|incr|decr|del`: single entries.
#ifndef HEARTH_TOOLS_HEARTH_CACHE_H_
#define HEARTH_TOOLS_HEARTH_CACHE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/hearth/exit_code.h"
#include "tools/hearth/session.h"

namespace hearth::cli {

struct GetOptions {
  Place place;
  std::string key;
  bool raw = false;   // exact bytes even on a terminal
  bool meta = false;  // version, size and expiry on stderr
};
// Writes the value to stdout, byte for byte; on a terminal, unless raw, with control characters
// escaped and a line break at the end. With --json one object instead, in which a value that is not
// UTF-8 is "value_base64". kExitFailure when there is no such key.
ExitCode RunGet(const GlobalOptions& global, const GetOptions& options);

// How `hearth cache set` and its relatives store a value.
enum class StoreHow { kAlways, kIfAbsent, kIfPresent, kIfVersion, kAppend };

struct SetOptions {
  Place place;
  std::string key;
  std::string value;       // where `value_file` is empty
  std::string value_file;  // "-" for stdin
  ipc::EntryTtl ttl;       // not with kAppend
  StoreHow how = StoreHow::kAlways;
  std::uint64_t expected_version = 0;  // with kIfVersion
};
// Silent when it worked, but for --json. kExitFailure when the entry that is there, or its absence,
// is against it.
ExitCode RunSet(const GlobalOptions& global, const SetOptions& options);

struct CountOptions {
  Place place;
  std::string key;
  ipc::CounterStep step;
};
// Prints the new value. kExitFailure when there is no such key, or no number that can be changed
// so.
ExitCode RunCount(const GlobalOptions& global, const CountOptions& options);

struct DelOptions {
  Place place;
  std::vector<std::string> keys;
};
// Removes all it can. kExitFailure when a key was not there.
ExitCode RunDel(const GlobalOptions& global, const DelOptions& options);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_CACHE_H_
