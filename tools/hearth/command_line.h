// The command line of `hearth`: its commands, options and help. This file and usage.h are the only
// ones that know CLI11.
#ifndef HEARTH_TOOLS_HEARTH_COMMAND_LINE_H_
#define HEARTH_TOOLS_HEARTH_COMMAND_LINE_H_

#include "tools/hearth/exit_code.h"

namespace hearth::cli {

// Parses and runs. No exception leaves it.
ExitCode RunCommandLine(int argc, char** argv);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_COMMAND_LINE_H_
