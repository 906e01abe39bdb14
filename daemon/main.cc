// hearthd: parses the command line and runs the Server.
#include <cstdio>
#include <cstdlib>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "core/base/failpoint.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/version.h"

namespace {

using hearth::Status;
using hearth::daemon::Config;

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

int Fail(const Status& status, int exit_code) {
  fmt::print(stderr, "hearthd: {}\n", status.message());
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "hearthd: a warm cache in shared memory for all processes of this host.\n"
      "Without --config it serves its own user with one store of 256 MiB."};
  std::string config_path;
  std::string socket;
  bool check_only = false;
  app.add_option("-c,--config", config_path, "Configuration file (TOML)");
  app.add_option("-s,--socket", socket,
                 "Path of the control socket; overrides the configuration (default " +
                     hearth::daemon::DefaultSocketPath() + ")");
  app.add_flag("--check-config", check_only, "Check the configuration and exit");
  app.set_version_flag("--version", std::string("hearthd ") + hearth::daemon::kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? EXIT_SUCCESS : kExitUsage;
  }

  Config config = hearth::daemon::UserModeConfig();
  if (!config_path.empty()) {
    auto loaded = hearth::daemon::LoadConfig(config_path);
    if (!loaded.ok()) return Fail(loaded.status(), kExitUsage);
    config = std::move(*loaded);
  }
  if (!socket.empty()) config.socket = socket;
  if (check_only) {
    fmt::print("{}: OK\n", config_path.empty() ? "built-in configuration" : config_path);
    return EXIT_SUCCESS;
  }
  hearth::daemon::Log::Configure(config.log_level);
  if (const char* points = std::getenv("HEARTH_FAILPOINTS"); points != nullptr) {
    const Status armed = hearth::ArmFailpoints(points);
    if (!armed.ok()) return Fail(armed, kExitUsage);
  }
  auto server = hearth::daemon::Server::Create(std::move(config));
  if (!server.ok()) return Fail(server.status(), kExitFailure);
  const Status status = (*server)->Run();
  return status.ok() ? EXIT_SUCCESS : Fail(status, kExitFailure);
}
