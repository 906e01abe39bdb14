#include "tools/hearth/namespace.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/units.h"
#include "tools/hearth/status.h"
#include "tools/hearth/table.h"
#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

Status Explain(const Status& status) {
  switch (status.code()) {
    case Code::kPermissionDenied:
      return Error(status.code(), "{}; a policy rule with admin = true allows it",
                   status.message());
    case Code::kNotFound:
      return Error(status.code(), "{}; 'hearth namespace list' lists them", status.message());
    default: return status;
  }
}

// Connects, asks, and prints what the namespace has become where that is wanted.
template <class Ask>
ExitCode Change(const GlobalOptions& global, const NamespaceCommand& command, const Ask& ask) {
  auto client = ConnectForStatus(global, command.store);
  if (!client.ok()) return Fail(client.status());
  const Result<ipc::NamespaceStatus> changed = ask(**client);
  if (!changed.ok()) return Fail(Explain(changed.status()));
  if (!global.json) return kExitOk;
  return PrintOut(NamespacesToJson({&*changed, 1}, /*list=*/false));
}

}  // namespace

ExitCode RunNamespaceList(const GlobalOptions& global, const NamespaceCommand& command) {
  auto client = ConnectForStatus(global, command.store);
  if (!client.ok()) return Fail(client.status());
  const auto namespaces = (*client)->ListNamespaces();
  if (!namespaces.ok()) return Fail(Explain(namespaces.status()));
  if (global.json) return PrintOut(NamespacesToJson(*namespaces, /*list=*/true));
  Table table({"NAMESPACE", ">ID", ">USED", ">PROMISED", ">QUOTA", ">TTL", ">SOFT TTL", "WHEN FULL",
               "STRICT"});
  for (const ipc::NamespaceStatus& item : *namespaces)
    table.Add({item.name, fmt::format("{}", item.id), FormatBytes(item.used_bytes),
               item.quota_min_bytes == 0 ? "nothing" : FormatBytes(item.quota_min_bytes),
               item.quota_max_bytes == 0 ? "store" : FormatBytes(item.quota_max_bytes),
               TtlText(item.hard_ttl_ms), TtlText(item.soft_ttl_ms),
               item.evicts ? "evicts oldest" : "refuses writes", item.strict ? "yes" : "no"});
  return PrintOut(table.ToString());
}

ExitCode RunNamespaceCreate(const GlobalOptions& global, const NamespaceCommand& command) {
  return Change(global, command,
                [&](ipc::Client& client) { return client.CreateNamespace(command.settings); });
}

ExitCode RunNamespaceAlter(const GlobalOptions& global, const NamespaceCommand& command) {
  return Change(global, command, [&](ipc::Client& client) {
    return client.AlterNamespace(command.settings, command.fields);
  });
}

ExitCode RunNamespaceDrop(const GlobalOptions& global, const NamespaceCommand& command) {
  return Change(global, command,
                [&](ipc::Client& client) { return client.DropNamespace(command.settings.name); });
}

ExitCode RunNamespaceFlush(const GlobalOptions& global, const NamespaceCommand& command) {
  return Change(global, command,
                [&](ipc::Client& client) { return client.FlushNamespace(command.settings.name); });
}

}  // namespace hearth::cli
