// `hearth status`: what hearthd says about itself, its stores and its clients.
#ifndef HEARTH_TOOLS_HEARTH_STATUS_H_
#define HEARTH_TOOLS_HEARTH_STATUS_H_

#include <cstdint>
#include <span>
#include <string>

#include "ipc/control_message.h"
#include "tools/hearth/exit_code.h"
#include "tools/hearth/session.h"

namespace hearth::cli {

// Prints tables, or with --json one object whose fields docs/cli.md lists; fields are only ever
// added.
ExitCode RunStatus(const GlobalOptions& global);

// Namespaces as `hearth status --json` has them; without `list` the first one alone.
std::string NamespacesToJson(std::span<const ipc::NamespaceStatus> namespaces, bool list);
// A default TTL, for people.
std::string TtlText(std::uint64_t ms);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_STATUS_H_
