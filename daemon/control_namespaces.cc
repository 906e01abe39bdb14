// Control's part in changing namespaces: who may, and the answers.
#include <unistd.h>

#include <utility>

#include "daemon/control.h"
#include "daemon/log.h"

namespace hearth::daemon {
namespace {

// What a request wants, for the log and for refusals.
struct Wish {
  const char* verb;
  const char* past;
  const std::string& name;
};

Wish WishOf(const StoreService::NamespaceRequest& request) {
  if (const auto* create = std::get_if<ipc::CreateNamespace>(&request))
    return {"create", "created", create->settings.name};
  if (const auto* alter = std::get_if<ipc::AlterNamespace>(&request))
    return {"alter", "altered", alter->settings.name};
  if (const auto* drop = std::get_if<ipc::DropNamespace>(&request))
    return {"drop", "dropped", drop->name};
  return {"flush", "flushed", std::get<ipc::FlushNamespace>(request).name};
}

}  // namespace

std::optional<Control::NamespaceRequest> Control::NamespaceChangeIn(
    const ipc::ClientMessage& message) {
  if (const auto* create = std::get_if<ipc::CreateNamespace>(&message.body)) return *create;
  if (const auto* alter = std::get_if<ipc::AlterNamespace>(&message.body)) return *alter;
  if (const auto* drop = std::get_if<ipc::DropNamespace>(&message.body)) return *drop;
  if (const auto* flush = std::get_if<ipc::FlushNamespace>(&message.body)) return *flush;
  return std::nullopt;
}

Result<ipc::NamespaceList> Control::ListNamespaces(const Connection& connection,
                                                   std::uint16_t from_id) {
  if (!connection.rights.MayAdminister())
    return Denied(connection, fmt::format("uid {} may not administer", connection.peer.uid));
  return connection.store->ListNamespaces(from_id);
}

Status Control::BeginChange(const Connection& connection, std::uint32_t request_id,
                            const NamespaceRequest& request) {
  const Wish wish = WishOf(request);
  // Whoever may remove each key may remove all of them.
  const bool flush = std::holds_alternative<ipc::FlushNamespace>(request);
  if (!connection.rights.MayAdminister() && !(flush && connection.rights.MayWrite(wish.name)))
    return Denied(connection, fmt::format("uid {} may not {} namespace '{}'", connection.peer.uid,
                                          wish.verb, wish.name));
  // A flush is a write like others, and may come as often.
  std::string line =
      flush ? ""
            : fmt::format("namespace '{}' of store '{}' {} by uid {}", wish.name,
                          connection.store->config().name, wish.past, connection.peer.uid);
  connection.store->Administer(
      request, [this, id = connection.id, request_id,
                line = std::move(line)](const Result<ipc::NamespaceStatus>& result) {
        {
          std::lock_guard lock(mutex_);
          changed_.push_back({id, request_id, line, result});
        }
        RingEventFd(changed_event_.get());
      });
  return Status::Ok();
}

void Control::OnChanged() {
  std::uint64_t count = 0;
  // Level-triggered, so the counter is taken back; nobody else holds this eventfd.
  static_cast<void>(::read(changed_event_.get(), &count, sizeof(count)) < 0);
  std::vector<Changed> changed;
  {
    std::lock_guard lock(mutex_);
    changed.swap(changed_);
  }
  for (Changed& change : changed) {
    if (change.result.ok() && !change.log_line.empty()) Log::Info("{}", change.log_line);
    const auto it = connections_.find(change.connection_id);
    if (it == connections_.end() || it->second.ending) continue;
    if (!change.result.ok()) {
      AnswerError(it->second, change.request_id, change.result.status());
    } else {
      Answer(it->second, Message(change.request_id, std::move(*change.result)));
    }
  }
}

}  // namespace hearth::daemon
