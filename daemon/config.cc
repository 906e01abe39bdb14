#include "daemon/config.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <set>
#include <span>
#include <sstream>
#include <string_view>

#include <toml++/toml.h>

#include "core/cache/format.h"
#include "core/cache/store.h"
#include "daemon/config_section.h"
#include "ipc/control_socket.h"
#include "ipc/session_layout.h"

namespace hearth::daemon {
namespace {

Status ReadNamespace(Section section, std::uint64_t segment_bytes, NamespaceConfig* config) {
  std::string eviction = "s3-fifo";
  std::string admission = "s3-fifo";
  HEARTH_TRY(section.Text("name", &config->name));
  HEARTH_TRY(section.Milliseconds("ttl", &config->hard_ttl_ms));
  HEARTH_TRY(section.Milliseconds("soft_ttl", &config->soft_ttl_ms));
  HEARTH_TRY(section.Bytes<std::uint64_t>("quota_min", 0, std::uint64_t{1} << 42U,
                                          &config->quota_min_bytes));
  HEARTH_TRY(section.Bytes<std::uint64_t>("quota_max", 0, std::uint64_t{1} << 42U,
                                          &config->quota_max_bytes));
  HEARTH_TRY(section.Text("eviction", &eviction));
  HEARTH_TRY(section.Text("admission", &admission));
  HEARTH_TRY(section.Flag("strict", &config->strict));
  HEARTH_TRY(section.NothingLeft());
  if (config->name.empty()) return section.Wrong(section.table(), "a namespace needs a 'name'");
  if (eviction != "s3-fifo" && eviction != "none")
    return section.WrongAt("eviction", "'eviction' must be \"s3-fifo\" or \"none\"");
  if (config->hard_ttl_ms != 0 && config->soft_ttl_ms > config->hard_ttl_ms)
    return section.WrongAt("soft_ttl", "'soft_ttl' must not exceed 'ttl'");
  if (config->quota_max_bytes != 0 && config->quota_max_bytes < 2 * segment_bytes)
    return section.WrongAt("quota_max", "'quota_max' must be 0 or at least two segments");
  if (config->quota_max_bytes != 0 && config->quota_min_bytes > config->quota_max_bytes)
    return section.WrongAt("quota_min", "'quota_min' must not exceed 'quota_max'");
  if (admission != "s3-fifo" && admission != "tinylfu")
    return section.WrongAt("admission", "'admission' must be \"s3-fifo\" or \"tinylfu\"");
  if (admission == "tinylfu" && eviction == "none")
    return section.WrongAt("admission", "'admission' is for a namespace that evicts");
  config->tiny_lfu = admission == "tinylfu";
  config->evict = eviction == "s3-fifo";
  return Status::Ok();
}

Status ReadStore(Section section, StoreConfig* config) {
  std::vector<const toml::table*> namespaces;
  HEARTH_TRY(section.Text("name", &config->name));
  HEARTH_TRY(section.Bytes<std::uint64_t>("size", kMiB, std::uint64_t{1} << 41U, &config->bytes));
  HEARTH_TRY(
      section.Bytes<std::uint64_t>("segment_size", 64 * kKiB, 2 * kMiB, &config->segment_bytes));
  HEARTH_TRY(section.Integer<std::uint32_t>("max_namespaces", 2, 65536, &config->max_namespaces));
  HEARTH_TRY(section.Bytes<std::uint64_t>("max_value", 1, cache::kMaxValueBytes,
                                          &config->max_value_bytes));
  HEARTH_TRY(section.Flag("huge_pages", &config->huge_pages));
  HEARTH_TRY(section.Tables("namespace", &namespaces));
  HEARTH_TRY(section.NothingLeft());
  if (config->name.empty()) return section.Wrong(section.table(), "a store needs a 'name'");
  if (!std::has_single_bit(config->segment_bytes))
    return section.WrongAt("segment_size", "'segment_size' must be a power of two");
  const std::uint64_t segments = config->bytes / config->segment_bytes;
  if (segments < cache::kMinSegments || segments > cache::kMaxSegments)
    return section.WrongAt("size", fmt::format("'size' must have room for {} to {} segments of {}",
                                               cache::kMinSegments, cache::kMaxSegments,
                                               FormatBytes(config->segment_bytes)));
  if (config->max_value_bytes > config->bytes / 4)
    return section.WrongAt("max_value",
                           fmt::format("'max_value' must not exceed a quarter of the store ({})",
                                       FormatBytes(config->bytes / 4)));
  std::set<std::string> names;
  for (const toml::table* table : namespaces) {
    NamespaceConfig item;
    HEARTH_TRY(
        ReadNamespace(Section(*table, section.file(), "namespace"), config->segment_bytes, &item));
    if (!names.insert(item.name).second)
      return section.Wrong(*table, fmt::format("namespace '{}' is defined twice", item.name));
    config->namespaces.push_back(std::move(item));
  }
  if (!names.contains("default")) {
    NamespaceConfig item;
    item.name = "default";
    config->namespaces.insert(config->namespaces.begin(), item);
  }
  if (config->namespaces.size() >= config->max_namespaces)
    return section.WrongAt("max_namespaces",
                           fmt::format("'max_namespaces' has room for {} namespaces, not {}",
                                       config->max_namespaces - 1, config->namespaces.size()));
  return Status::Ok();
}

// A number, or a name that the system's user database knows.
template <class Id, class Lookup>
Status ReadId(Section& section, std::string_view key, std::optional<Id>* out, Lookup lookup) {
  const toml::node* node = section.Take(key);
  if (node == nullptr) return Status::Ok();
  if (const auto number = node->value_exact<std::int64_t>();
      number && *number >= 0 && *number < 0xffffffff) {
    *out = static_cast<Id>(*number);
    return Status::Ok();
  }
  const auto name = node->value_exact<std::string>();
  if (name) *out = lookup(*name);
  if (!*out)
    return section.Wrong(*node, fmt::format("'{}' must be a number or a name this system knows{}",
                                            key, name ? fmt::format(", not '{}'", *name) : ""));
  return Status::Ok();
}

Status ReadRule(Section section, PolicyRule* rule) {
  HEARTH_TRY(ReadId(section, "uid", &rule->uid, [](const std::string& name) {
    const passwd* entry = ::getpwnam(name.c_str());
    return entry == nullptr ? std::optional<uid_t>() : entry->pw_uid;
  }));
  HEARTH_TRY(ReadId(section, "gid", &rule->gid, [](const std::string& name) {
    const group* entry = ::getgrnam(name.c_str());
    return entry == nullptr ? std::optional<gid_t>() : entry->gr_gid;
  }));
  HEARTH_TRY(section.Texts("stores", &rule->stores));
  HEARTH_TRY(section.Texts("write", &rule->write));
  HEARTH_TRY(section.Texts("call", &rule->call));
  HEARTH_TRY(section.Flag("admin", &rule->admin));
  HEARTH_TRY(section.NothingLeft());
  if (!rule->uid && !rule->gid)
    return section.Wrong(section.table(), "a policy rule needs a 'uid' or a 'gid'");
  return Status::Ok();
}

Status ReadDaemon(Section section, Config* config) {
  std::string mode;
  HEARTH_TRY(section.Text("socket", &config->socket));
  HEARTH_TRY(section.Text("socket_mode", &mode));
  HEARTH_TRY(section.Text("log_level", &config->log_level));
  HEARTH_TRY(section.NothingLeft());
  if (!mode.empty()) {
    char* end = nullptr;
    const auto bits = std::strtoul(mode.c_str(), &end, 8);
    if (*end != '\0' || bits > 0777)
      return section.WrongAt("socket_mode", "'socket_mode' must be an octal mode like \"0660\"");
    config->socket_mode = static_cast<mode_t>(bits);
  }
  constexpr std::array kLevels = {"trace", "debug", "info", "warn", "error"};
  if (std::find(kLevels.begin(), kLevels.end(), config->log_level) == kLevels.end())
    return section.WrongAt("log_level", "'log_level' must be trace, debug, info, warn or error");
  if (config->socket.empty() || config->socket.size() > ipc::kMaxSocketPathBytes)
    return section.Wrong(section.table(),
                         fmt::format("the socket path has {} bytes, must have 1 to {}",
                                     config->socket.size(), ipc::kMaxSocketPathBytes));
  return Status::Ok();
}

Status ReadLimits(Section section, LimitsConfig* limits) {
  HEARTH_TRY(section.Integer<std::uint32_t>("sessions", 1, 100000, &limits->sessions));
  HEARTH_TRY(
      section.Integer<std::uint32_t>("sessions_per_uid", 1, 100000, &limits->sessions_per_uid));
  HEARTH_TRY(section.Integer<std::uint32_t>("channels", 1, ipc::kMaxChannels, &limits->channels));
  HEARTH_TRY(section.Bytes<std::uint32_t>("ring_size", ipc::kMinRingBytes, ipc::kMaxRingBytes,
                                          &limits->ring_bytes));
  if (!std::has_single_bit(limits->ring_bytes))
    return section.WrongAt("ring_size", "'ring_size' must be a power of two");
  HEARTH_TRY(
      section.Bytes<std::uint64_t>("message_size", 64 * kKiB, 64 * kMiB, &limits->message_bytes));
  HEARTH_TRY(section.Bytes<std::uint64_t>("buffered_per_session", 64 * kKiB, kGiB,
                                          &limits->buffered_bytes_per_session));
  HEARTH_TRY(section.Bytes<std::uint64_t>("memory_per_uid", kMiB, std::uint64_t{1} << 40U,
                                          &limits->memory_bytes_per_uid));
  HEARTH_TRY(section.Milliseconds("hello_timeout", &limits->hello_timeout_ms));
  if (limits->hello_timeout_ms < 1 || limits->hello_timeout_ms > 3'600'000)
    return section.WrongAt("hello_timeout", "'hello_timeout' must be between 1ms and 1h");
  HEARTH_TRY(section.Milliseconds("pin_max", &limits->pin_max_ms));
  if (limits->pin_max_ms < 1 || limits->pin_max_ms > 60'000)
    return section.WrongAt("pin_max", "'pin_max' must be between 1ms and 1m");
  return section.NothingLeft();
}

Status ReadTop(Section section, Config* config) {
  std::vector<const toml::table*> daemons;
  std::vector<const toml::table*> stores;
  std::vector<const toml::table*> policies;
  std::vector<const toml::table*> limits;
  HEARTH_TRY(section.Tables("daemon", &daemons));
  HEARTH_TRY(section.Tables("store", &stores));
  HEARTH_TRY(section.Tables("policy", &policies));
  HEARTH_TRY(section.Tables("limits", &limits));
  HEARTH_TRY(section.NothingLeft());
  for (const auto* table : daemons)
    HEARTH_TRY(ReadDaemon(Section(*table, section.file(), "daemon"), config));
  for (const auto* table : limits)
    HEARTH_TRY(ReadLimits(Section(*table, section.file(), "limits"), &config->limits));
  std::set<std::string> names;
  for (const auto* table : stores) {
    StoreConfig store;
    HEARTH_TRY(ReadStore(Section(*table, section.file(), "store"), &store));
    if (!names.insert(store.name).second)
      return section.Wrong(*table, fmt::format("store '{}' is defined twice", store.name));
    config->stores.push_back(std::move(store));
  }
  for (const auto* table : policies) {
    PolicyRule rule;
    HEARTH_TRY(ReadRule(Section(*table, section.file(), "policy"), &rule));
    config->policy.push_back(std::move(rule));
  }
  return Status::Ok();
}

void AddDefaultStore(Config* config) {
  if (!config->stores.empty()) return;
  StoreConfig store;
  NamespaceConfig item;
  item.name = "default";
  store.namespaces.push_back(item);
  config->stores.push_back(store);
}

}  // namespace

std::string DefaultSocketPath() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (::geteuid() != 0 && runtime != nullptr && *runtime == '/')
    return fmt::format("{}/hearth/hearthd.sock", runtime);
  return "/run/hearth/hearthd.sock";
}

Config UserModeConfig() {
  Config config;
  config.socket = DefaultSocketPath();
  config.user_mode = true;
  AddDefaultStore(&config);
  return config;
}

Result<Config> ParseConfig(const std::string& text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text, std::string_view(name));
  } catch (const toml::parse_error& error) {
    const auto at = error.source().begin;
    return Error(Code::kInvalidArgument, "{}:{}:{}: {}", name, at.line, at.column,
                 error.description());
  }
  Config config;
  config.socket = DefaultSocketPath();
  config.socket_mode = 0660;
  HEARTH_TRY(ReadTop(Section(table, name, ""), &config));
  AddDefaultStore(&config);
  return config;
}

Result<Config> LoadConfig(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoStatus(errno, fmt::format("cannot read the configuration '{}'", path));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad() || text.fail())
    return Error(Code::kUnavailable, "cannot read the configuration '{}'", path);
  return ParseConfig(text.str(), path);
}

}  // namespace hearth::daemon
