#include "tools/hearth/cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "core/base/fd.h"
#include "core/base/units.h"
#include "tools/hearth/entry_json.h"
#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

constexpr const char* kClientName = "hearth cache";

ExitCode FailKey(const Connection& connection, const std::string& key, const Status& status) {
  if (status.code() != Code::kNotFound) return Fail(status);
  return Fail(Error(status.code(), "no key '{}' in namespace '{}'", key, connection.target.name));
}

// For an operation that looks before it writes: what it has found is kExitFailure, whatever its
// code means elsewhere.
ExitCode FailOutcome(const Connection& connection, const std::string& key,
                     const ipc::Reply& reply) {
  const Code code = reply.status.code();
  const std::string at = fmt::format("key '{}' in namespace '{}'", key, connection.target.name);
  // A version tells that the entry is the reason: an append that would make it too long.
  if (code == Code::kInvalidArgument && reply.version != 0) {
    Complain(fmt::format("{}: {}", at, reply.status.message()));
    return kExitFailure;
  }
  if (reply.execution != Execution::kDone) return Fail(reply.status);
  switch (code) {
    case Code::kAlreadyExists:
      Complain(fmt::format("{} exists, with version {}", at, reply.version));
      break;
    case Code::kAborted: Complain(fmt::format("{} has version {}", at, reply.version)); break;
    case Code::kFailedPrecondition:
    case Code::kOutOfRange: Complain(fmt::format("{}: {}", at, reply.status.message())); break;
    default: return FailKey(connection, key, reply.status);
  }
  return kExitFailure;
}

ipc::Reply Store(const Connection& connection, const SetOptions& options,
                 const std::string& value) {
  ipc::Client& client = *connection.client;
  const std::uint32_t id = connection.target.handle();
  switch (options.how) {
    case StoreHow::kAlways: break;
    case StoreHow::kIfAbsent: return client.Add(id, options.key, value, options.ttl);
    case StoreHow::kIfPresent: return client.Replace(id, options.key, value, options.ttl);
    case StoreHow::kIfVersion:
      return client.CompareAndSwap(id, options.key, options.expected_version, value, options.ttl);
    case StoreHow::kAppend: return client.Append(id, options.key, value);
  }
  return client.Set(id, options.key, value, options.ttl);
}

Json WrittenJson(const Connection& connection, const std::string& key) {
  Json json;
  PutBytes(&json, "key", key);
  json["namespace"] = connection.target.name;
  return json;
}

std::string MsText(const std::optional<std::uint64_t>& ms) {
  return ms ? "in " + FormatDuration(std::chrono::milliseconds(*ms)) : "never";
}

std::string GetJson(const Connection& connection, const GetOptions& options,
                    const ipc::Reply& reply, std::uint64_t now_ms) {
  Json json;
  PutBytes(&json, "key", options.key);
  json["namespace"] = connection.target.name;
  PutBytes(&json, "value", reply.payload);
  json["bytes"] = reply.payload.size();
  json["version"] = reply.version;
  json["ttl_ms"] = MsJson(Remaining(reply.hard_expiry_ms, now_ms));
  json["soft_ttl_ms"] = MsJson(Remaining(reply.soft_expiry_ms, now_ms));
  json["stale"] = reply.stale;
  return Dump(json);
}

// What is not there, and is known not to be.
ExitCode FailAbsent(const GlobalOptions& global, const GetOptions& options,
                    const Connection& connection, const ipc::Reply& reply) {
  const auto now_ms = StoreNowMs(global, options.place);
  if (!now_ms.ok()) return Fail(now_ms.status());
  return Fail(Error(reply.status.code(),
                    "no key '{}' in namespace '{}': a loader has found that it does not exist, "
                    "which is remembered for another {}",
                    options.key, connection.target.name,
                    FormatDuration(std::chrono::milliseconds(
                        Remaining(reply.hard_expiry_ms, *now_ms).value_or(0)))));
}

// The value of `file` ("-": stdin), of which more than `limit` bytes are not read.
Result<std::string> ReadValue(const std::string& file, std::uint64_t limit) {
  UniqueFd opened;
  int fd = STDIN_FILENO;
  if (file != "-") {
    opened = UniqueFd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened.valid())
      return Error(Code::kUnknown, "cannot read '{}': {}", file, std::strerror(errno));
    fd = opened.get();
  }
  std::string value;
  char chunk[65536];
  while (value.size() <= limit) {
    const ssize_t got = ::read(fd, chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error(Code::kUnknown, "cannot read '{}': {}", file, std::strerror(errno));
    if (got == 0) return value;
    value.append(chunk, static_cast<std::size_t>(got));
  }
  return Error(Code::kOutOfRange, "the value in '{}' has more than {} bytes, which is the most {}",
               file, limit, "that hearthd takes");
}

}  // namespace

ExitCode RunGet(const GlobalOptions& global, const GetOptions& options) {
  auto connection = ConnectTo(global, options.place, kClientName);
  if (!connection.ok()) return Fail(connection.status());
  const ipc::Reply reply = connection->client->Get(connection->target.handle(), options.key);
  if (reply.negative) return FailAbsent(global, options, *connection, reply);
  if (!reply.ok()) return FailKey(*connection, options.key, reply.status);
  if (options.meta || global.json) {
    // The clock is looked at after the entry, so that what it says about it is not too much.
    const auto now_ms = StoreNowMs(global, options.place);
    if (!now_ms.ok()) return Fail(now_ms.status());
    if (options.meta)
      Complain(fmt::format(
          "{} bytes, version {}, expires {}, soft expiry {}{}", reply.payload.size(), reply.version,
          MsText(Remaining(reply.hard_expiry_ms, *now_ms)),
          MsText(Remaining(reply.soft_expiry_ms, *now_ms)), reply.stale ? " (stale)" : ""));
    if (global.json) return PrintOut(GetJson(*connection, options, reply, *now_ms));
  }
  if (options.raw || ::isatty(STDOUT_FILENO) != 1) return PrintOut(reply.payload);
  std::string safe = EscapeForTerminal(reply.payload);
  if (safe.empty() || safe.back() != '\n') safe += '\n';
  return PrintOut(safe);
}

ExitCode RunSet(const GlobalOptions& global, const SetOptions& options) {
  auto connection = ConnectTo(global, options.place, kClientName);
  if (!connection.ok()) return Fail(connection.status());
  const std::uint64_t limit = connection->target.max_value_bytes;
  std::string value = options.value;
  if (!options.value_file.empty()) {
    auto read = ReadValue(options.value_file, limit);
    if (!read.ok()) return Fail(read.status());
    value = std::move(*read);
  }
  if (value.size() > limit)
    return Fail(Error(Code::kOutOfRange, "the value has {} bytes, at most {} are possible",
                      value.size(), limit));
  const ipc::Reply reply = Store(*connection, options, value);
  if (!reply.ok()) return FailOutcome(*connection, options.key, reply);
  if (!global.json) return kExitOk;
  Json json = WrittenJson(*connection, options.key);
  json["bytes"] = value.size();
  json["version"] = reply.version;
  return PrintOut(Dump(json));
}

ExitCode RunCount(const GlobalOptions& global, const CountOptions& options) {
  auto connection = ConnectTo(global, options.place, kClientName);
  if (!connection.ok()) return Fail(connection.status());
  const ipc::Reply reply =
      connection->client->Increment(connection->target.handle(), options.key, options.step);
  if (!reply.ok()) return FailOutcome(*connection, options.key, reply);
  if (!global.json) return PrintOut(fmt::format("{}\n", reply.number));
  Json json = WrittenJson(*connection, options.key);
  json["value"] = reply.number;
  json["version"] = reply.version;
  return PrintOut(Dump(json));
}

ExitCode RunDel(const GlobalOptions& global, const DelOptions& options) {
  auto connection = ConnectTo(global, options.place, kClientName);
  if (!connection.ok()) return Fail(connection.status());
  Json deleted = Json::array();
  Json missing = Json::array();
  ExitCode worst = kExitOk;
  for (const std::string& key : options.keys) {
    const ipc::Reply reply = connection->client->Delete(connection->target.handle(), key);
    const bool gone = reply.status.code() == Code::kNotFound;
    if (!reply.ok()) worst = FailKey(*connection, key, reply.status);
    if (!reply.ok() && !gone) return worst;
    (gone ? missing : deleted).push_back(key);
  }
  if (!global.json) return worst;
  Json json;
  json["namespace"] = connection->target.name;
  json["deleted"] = std::move(deleted);
  json["missing"] = std::move(missing);
  const ExitCode printed = PrintOut(Dump(json));
  return printed == kExitOk ? worst : printed;
}

}  // namespace hearth::cli
