// `hearth namespace`: lists, creates, alters, flushes and drops namespaces while hearthd runs.
#ifndef HEARTH_TOOLS_HEARTH_NAMESPACE_H_
#define HEARTH_TOOLS_HEARTH_NAMESPACE_H_

#include <cstdint>
#include <string>

#include "ipc/control_message.h"
#include "tools/hearth/exit_code.h"
#include "tools/hearth/session.h"

namespace hearth::cli {

struct NamespaceCommand {
  std::string store;  // empty: the default store
  ipc::NamespaceSettings settings;
  std::uint32_t fields = 0;  // which settings were named: bits of ipc::NamespaceField
};

// Prints a table, or with --json an array whose objects are those of `hearth status --json`.
ExitCode RunNamespaceList(const GlobalOptions& global, const NamespaceCommand& command);
// The others print nothing, or with --json the namespace as it is afterwards.
ExitCode RunNamespaceCreate(const GlobalOptions& global, const NamespaceCommand& command);
ExitCode RunNamespaceAlter(const GlobalOptions& global, const NamespaceCommand& command);
ExitCode RunNamespaceDrop(const GlobalOptions& global, const NamespaceCommand& command);
ExitCode RunNamespaceFlush(const GlobalOptions& global, const NamespaceCommand& command);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_NAMESPACE_H_
