#include "tools/hearth/status.h"

#include <chrono>
#include <cstdio>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/units.h"
#include "ipc/control_message.h"
#include "tools/hearth/table.h"
#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string Duration(std::uint64_t ms) { return FormatDuration(std::chrono::milliseconds(ms)); }

std::string UuidText(const shm::Uuid& uuid) {
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned>(uuid[i]));
  }
  return text;
}

Json NamespaceJson(const ipc::NamespaceStatus& item) {
  Json json;
  json["id"] = item.id;
  json["name"] = item.name;
  json["used_bytes"] = item.used_bytes;
  json["quota_max_bytes"] = item.quota_max_bytes == 0 ? Json() : Json(item.quota_max_bytes);
  json["ttl_ms"] = item.hard_ttl_ms == 0 ? Json() : Json(item.hard_ttl_ms);
  json["soft_ttl_ms"] = item.soft_ttl_ms == 0 ? Json() : Json(item.soft_ttl_ms);
  json["evicts"] = item.evicts;
  json["strict"] = item.strict;
  json["quota_min_bytes"] = item.quota_min_bytes;
  json["admission"] = item.tiny_lfu ? "tinylfu" : "s3-fifo";
  return json;
}

Json StoreJson(const ipc::StoreStatus& store) {
  Json json;
  json["name"] = store.name;
  json["uuid"] = UuidText(store.uuid);
  json["bytes"] = store.bytes;
  json["segment_bytes"] = store.segment_bytes;
  json["segments"] = store.segments;
  json["free_segments"] = store.free_segments;
  json["entries"] = store.entries;
  json["live_bytes"] = store.live_bytes;
  json["evicted_entries"] = store.evicted_entries;
  json["index_pages"] = store.index_pages;
  json["operations"] = store.operations;
  json["namespaces"] = Json::array();
  for (const auto& item : store.namespaces) json["namespaces"].push_back(NamespaceJson(item));
  json["namespaces_omitted"] = store.namespaces_omitted;
  return json;
}

Json SessionJson(const ipc::SessionStatus& session) {
  Json json;
  json["id"] = session.id;
  json["pid"] = session.pid;
  json["uid"] = session.uid;
  json["client"] = session.client_name;
  json["store"] = session.store;
  json["channels"] = session.channels;
  json["operations"] = session.operations;
  json["connected_ms"] = session.connected_ms;
  return json;
}

std::string ToJson(const ipc::StatusReport& report) {
  Json json;
  json["version"] = report.server_version;
  json["pid"] = report.server_pid;
  json["epoch"] = report.epoch;
  json["uptime_ms"] = report.uptime_ms;
  json["stores"] = Json::array();
  for (const auto& store : report.stores) json["stores"].push_back(StoreJson(store));
  json["sessions"] = Json::array();
  for (const auto& session : report.sessions) json["sessions"].push_back(SessionJson(session));
  json["sessions_omitted"] = report.sessions_omitted;
  // Names come from other programs and need not be UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string StoresText(const ipc::StatusReport& report) {
  Table stores({"STORE", ">SIZE", ">FREE", ">ENTRIES", ">LIVE", ">EVICTED", ">OPERATIONS"});
  Table namespaces({"NAMESPACE", "STORE", ">USED", ">QUOTA", ">TTL", ">SOFT TTL", "WHEN FULL"});
  std::uint64_t omitted = 0;
  for (const auto& store : report.stores) {
    stores.Add({store.name, FormatBytes(store.bytes),
                FormatBytes(std::uint64_t{store.free_segments} * store.segment_bytes),
                FormatCount(store.entries), FormatBytes(store.live_bytes),
                FormatCount(store.evicted_entries), FormatCount(store.operations)});
    for (const auto& item : store.namespaces)
      namespaces.Add({item.name, store.name, FormatBytes(item.used_bytes),
                      item.quota_max_bytes == 0 ? "store" : FormatBytes(item.quota_max_bytes),
                      TtlText(item.hard_ttl_ms), TtlText(item.soft_ttl_ms),
                      item.evicts ? "evicts oldest" : "refuses writes"});
    omitted += store.namespaces_omitted;
  }
  std::string text = stores.ToString() + "\n" + namespaces.ToString();
  if (omitted > 0) text += fmt::format("and {} more namespaces\n", FormatCount(omitted));
  return text;
}

std::string SessionsText(const ipc::StatusReport& report) {
  if (report.sessions.empty()) return "no sessions\n";
  Table sessions(
      {">SESSION", "CLIENT", ">PID", ">UID", "STORE", ">CHANNELS", ">OPERATIONS", ">CONNECTED"});
  for (const auto& session : report.sessions)
    sessions.Add({fmt::format("{}", session.id), session.client_name,
                  fmt::format("{}", session.pid), fmt::format("{}", session.uid), session.store,
                  fmt::format("{}", session.channels), FormatCount(session.operations),
                  Duration(session.connected_ms)});
  std::string text = sessions.ToString();
  if (report.sessions_omitted > 0)
    text += fmt::format("and {} more sessions\n", FormatCount(report.sessions_omitted));
  return text;
}

std::string ToText(const ipc::StatusReport& report) {
  return fmt::format("hearthd {}, pid {}, up {}, epoch {}\n\n{}\n{}", report.server_version,
                     report.server_pid, Duration(report.uptime_ms), report.epoch,
                     StoresText(report), SessionsText(report));
}

}  // namespace

std::string TtlText(std::uint64_t ms) { return ms == 0 ? "none" : Duration(ms); }

std::string NamespacesToJson(std::span<const ipc::NamespaceStatus> namespaces, bool list) {
  Json all = Json::array();
  for (const ipc::NamespaceStatus& item : namespaces) all.push_back(NamespaceJson(item));
  const Json& shown = list ? all : all.at(0);
  return shown.dump(list ? 2 : -1, ' ', false, Json::error_handler_t::replace) + "\n";
}

ExitCode RunStatus(const GlobalOptions& global) {
  auto client = ConnectForStatus(global);
  if (!client.ok()) return Fail(client.status());
  const auto report = (*client)->ReadStatus();
  if (!report.ok()) {
    const Status& status = report.status();
    if (status.code() != Code::kPermissionDenied) return Fail(status);
    return Fail(
        Error(status.code(), "{}; a policy rule with admin = true allows it", status.message()));
  }
  const std::string text = global.json ? ToJson(*report) : ToText(*report);
  return PrintOut(text);
}

}  // namespace hearth::cli
