// hearth: looks into a running hearthd and fills it. docs/cli.md is the manual.
#include "tools/hearth/command_line.h"

int main(int argc, char** argv) { return hearth::cli::RunCommandLine(argc, argv); }
