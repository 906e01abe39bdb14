// What is said about a command line that is wrong, or that asks for help.
//
// Thread safety: one thread.
#ifndef HEARTH_TOOLS_HEARTH_USAGE_H_
#define HEARTH_TOOLS_HEARTH_USAGE_H_

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/hearth/exit_code.h"

namespace hearth::cli {

// Prints the help or version that was asked for, or what is wrong with `words`, which CLI11
// refused: with the nearest command or option where one was mistyped.
ExitCode ExplainParseError(const CLI::App& app, const CLI::ParseError& error,
                           const std::vector<std::string>& words);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_USAGE_H_
