// `hearth status`: what hearthd says about itself, its stores and its clients.
#ifndef HEARTH_TOOLS_HEARTH_STATUS_H_
#define HEARTH_TOOLS_HEARTH_STATUS_H_

#include "tools/hearth/exit_code.h"
#include "tools/hearth/session.h"

namespace hearth::cli {

// Prints tables, or with --json one object whose fields docs/cli.md lists; fields are only ever
// added.
ExitCode RunStatus(const GlobalOptions& global);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_STATUS_H_
