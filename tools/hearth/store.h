// `hearth store`: looks into the memory of a store, of a running hearthd or in a file. Read-only.
#ifndef HEARTH_TOOLS_HEARTH_STORE_H_
#define HEARTH_TOOLS_HEARTH_STORE_H_

#include <string>

#include "tools/hearth/exit_code.h"
#include "tools/hearth/session.h"

namespace hearth::cli {

struct StoreCommand {
  std::string store;  // of hearthd; empty: its first
  std::string image;  // a file instead: the bytes of a store's memory
};

// What is in it: geometry, segments by state, namespaces, index. Asks hearthd for nothing but the
// memory, so it works as well when hearthd is busy.
ExitCode RunStoreInspect(const GlobalOptions& global, const StoreCommand& command);

// What is wrong with it, a line each, and kExitFailure if anything is.
ExitCode RunStoreVerify(const GlobalOptions& global, const StoreCommand& command);

// Writes the memory to `file` as it is, for the other two to look at later. What changes meanwhile
// is there half changed: stop or kill hearthd first where that matters.
ExitCode RunStoreSave(const GlobalOptions& global, const StoreCommand& command,
                      const std::string& file);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_STORE_H_
