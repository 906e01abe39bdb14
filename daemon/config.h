// What hearthd is told to do: a TOML file, or nothing at all, in which case it serves its own user
// with one store. docs/configuration.md lists every key.
#ifndef HEARTH_DAEMON_CONFIG_H_
#define HEARTH_DAEMON_CONFIG_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/base/units.h"

namespace hearth::daemon {

struct NamespaceConfig {
  std::string name;
  std::uint64_t hard_ttl_ms = 0;
  std::uint64_t soft_ttl_ms = 0;
  std::uint64_t quota_min_bytes = 0;
  std::uint64_t quota_max_bytes = 0;
  bool evict = true;
  bool strict = false;
  bool tiny_lfu = false;
};

struct StoreConfig {
  std::string name = "default";
  std::uint64_t bytes = 256 * kMiB;
  std::uint64_t segment_bytes = 2 * kMiB;
  std::uint32_t max_namespaces = 4096;
  std::uint64_t max_value_bytes = 0;  // 0: the default for this size
  bool huge_pages = false;
  std::vector<NamespaceConfig> namespaces;  // always holds "default"
};

// Who may do what. A peer gets the union of all rules that match it.
struct PolicyRule {
  std::optional<uid_t> uid;  // matches when both given ones match
  std::optional<gid_t> gid;
  std::vector<std::string> stores;  // names, or "*"; reading goes with attaching
  std::vector<std::string> write;   // namespaces, or "*"
  std::vector<std::string> call;    // methods, or "*"
  bool admin = false;
};

struct LimitsConfig {
  std::uint32_t sessions = 4096;
  std::uint32_t sessions_per_uid = 2048;
  std::uint32_t channels = 8;                             // of one session
  std::uint32_t ring_bytes = 4 * 1024 * 1024;             // of one ring
  std::uint64_t message_bytes = 64 * kMiB;                // one message
  std::uint64_t buffered_bytes_per_session = 128 * kMiB;  // unfinished messages of one session
  std::uint64_t memory_bytes_per_uid = kGiB;              // session regions and what is buffered
  std::uint64_t hello_timeout_ms = 5000;                  // from connecting to the handshake
  std::uint64_t pin_max_ms = 1000;  // how long a needed segment waits for readers in place
};

struct Config {
  std::string socket;  // path
  mode_t socket_mode = 0600;
  std::string log_level = "info";
  std::vector<StoreConfig> stores;
  std::vector<PolicyRule> policy;  // empty: DefaultPolicy() of policy.h
  LimitsConfig limits;
  bool user_mode = false;  // no file was given
};

// $XDG_RUNTIME_DIR/hearth/hearthd.sock, or /run/hearth/hearthd.sock for root and where there is no
// runtime directory.
std::string DefaultSocketPath();

// One store "default" with one namespace "default", on DefaultSocketPath().
Config UserModeConfig();

// Reads a file. Everything wrong with it is kInvalidArgument with file, line and column: syntax,
// unknown keys (with the nearest known one), types, units, ranges, duplicate names. kNotFound or
// kPermissionDenied when it cannot be read.
Result<Config> LoadConfig(const std::string& path);
// The same for text; `name` stands for the file in messages.
Result<Config> ParseConfig(const std::string& text, const std::string& name);

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_CONFIG_H_
