#include "daemon/control.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <variant>

#include "core/base/clock.h"
#include "daemon/log.h"
#include "daemon/version.h"

namespace hearth::daemon {
namespace {

constexpr std::size_t kMaxOutgoing = 64;
constexpr std::uint64_t kAcceptRetryUs = 100'000;
// Of one uid, so that whoever may connect cannot take all descriptors without shaking hands.
constexpr std::ptrdiff_t kMaxSessionlessPerUid = 64;

}  // namespace

ipc::ServerMessage Control::Message(std::uint32_t request_id,
                                    decltype(ipc::ServerMessage::body) body) {
  return {.request_id = request_id, .body = std::move(body)};
}

Control::Control(const Environment& environment, sd_event* loop, ipc::ControlListener listener)
    : environment_(environment),
      loop_(loop),
      listener_(std::move(listener)),
      origins_(kOrigins, false) {
  origins_[0] = true;
}

Control::~Control() {
  if (listener_) listener_->Unlink();
}

Result<std::unique_ptr<Control>> Control::Create(const Environment& environment, sd_event* loop,
                                                 ipc::ControlListener listener) {
  std::unique_ptr<Control> control(new Control(environment, loop, std::move(listener)));
  HEARTH_TRY(control->Init());
  return control;
}

Status Control::Init() {
  HEARTH_ASSIGN(accept_source_, EventSource::Io(loop_, listener_->fd(), EPOLLIN,
                                                [this](std::uint32_t) { OnAccept(); }));
  HEARTH_ASSIGN(retry_source_,
                EventSource::Timer(loop_, [this] { accept_source_.SetEvents(EPOLLIN); }));
  HEARTH_ASSIGN(broken_event_, MakeEventFd());
  HEARTH_ASSIGN(broken_source_, EventSource::Io(loop_, broken_event_.get(), EPOLLIN,
                                                [this](std::uint32_t) { OnBroken(); }));
  return Status::Ok();
}

// ------------------------------------------------------------------------------------ connections
void Control::OnAccept() {
  while (listener_) {
    auto accepted = listener_->Accept();
    if (!accepted.ok()) {
      // The connection stays in the backlog and the socket readable: without a pause this would
      // spin until somebody closes a descriptor.
      if (!std::exchange(out_of_descriptors_, true)) Log::Warn("{}", accepted.status().message());
      accept_source_.SetEvents(0);
      retry_source_.Arm(kAcceptRetryUs);
      return;
    }
    if (!accepted->has_value()) return;
    out_of_descriptors_ = false;
    AddConnection(std::move(**accepted));
  }
}

void Control::AddConnection(ipc::ControlSocket socket) {
  const auto credentials = socket.Peer();
  if (!credentials.ok()) {
    Log::Warn("refused a peer: {}", credentials.status().message());
    return;
  }
  const std::uint64_t id = next_id_++;
  Connection& connection = connections_.emplace(id, Connection(std::move(socket))).first->second;
  connection.id = id;
  connection.peer = {.pid = credentials->pid, .uid = credentials->uid, .gids = {credentials->gid}};
  const auto groups = PeerGroups(connection.socket.fd());
  connection.peer.gids.insert(connection.peer.gids.end(), groups.begin(), groups.end());
  connection.rights = environment_.policy->RightsOf(connection.peer);
  const auto idle = std::count_if(connections_.begin(), connections_.end(), [&](const auto& item) {
    return item.second.peer.uid == connection.peer.uid && !item.second.session;
  });
  if (idle > kMaxSessionlessPerUid)
    return End(
        id,
        Error(Code::kResourceExhausted, "uid {} has {} connections without a session already",
              connection.peer.uid, kMaxSessionlessPerUid),
        /*tell=*/true);
  auto source = EventSource::Io(loop_, connection.socket.fd(), EPOLLIN,
                                [this, id](std::uint32_t events) { OnConnection(id, events); });
  if (!source.ok()) return End(id, source.status(), /*tell=*/true);
  connection.source = std::move(*source);
}

void Control::OnConnection(std::uint64_t id, std::uint32_t events) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  if ((events & EPOLLOUT) != 0 && !Flush(it->second)) return;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) Receive(it->second);
}

bool Control::Receive(Connection& connection) {
  const std::uint64_t id = connection.id;
  // A few packets in a row, then the others' turn; the socket stays readable.
  for (int i = 0; i < 16; ++i) {
    ipc::Packet packet;
    const auto received = connection.socket.Receive(&packet, /*max_descriptors=*/0);
    if (!received.ok()) {
      End(id, received.status(), /*tell=*/true);
      return false;
    }
    if (*received == ipc::Received::kNothingYet) return true;
    if (*received == ipc::Received::kClosed) {
      End(id, Status::Ok(), /*tell=*/false);
      return false;
    }
    const auto message = ipc::DecodeClientMessage(packet.bytes);
    if (!message.ok()) {
      End(id, message.status(), /*tell=*/true);
      return false;
    }
    if (!Dispatch(connection, *message)) return false;
  }
  return true;
}

bool Control::Dispatch(Connection& connection, const ipc::ClientMessage& message) {
  const std::uint32_t request = message.request_id;
  auto answer = [&](auto result) {
    if (!result.ok()) return AnswerError(connection, request, result.status());
    return Answer(connection, Message(request, std::move(*result)));
  };
  if (const auto* hello = std::get_if<ipc::Hello>(&message.body)) {
    if (!connection.greeted) return Greet(connection, request, *hello);
    End(connection.id, Error(Code::kInvalidArgument, "a second hello"), /*tell=*/true);
    return false;
  }
  if (!connection.greeted) {
    End(connection.id, Error(Code::kInvalidArgument, "the first message must be hello"),
        /*tell=*/true);
    return false;
  }
  if (const auto* body = std::get_if<ipc::OpenNamespace>(&message.body))
    return answer(OpenNamespace(connection, body->name));
  if (const auto* body = std::get_if<ipc::OpenMethod>(&message.body))
    return answer(OpenMethod(connection, body->name));
  if (std::holds_alternative<ipc::StatusRequest>(message.body)) return answer(Report(connection));
  return AnswerError(
      connection, request,
      Error(Code::kUnimplemented, "this hearthd ({}) does not know the request", kVersion));
}

// --------------------------------------------------------------------------------------- requests
Result<ipc::NamespaceInfo> Control::OpenNamespace(const Connection& connection,
                                                  const std::string& name) {
  const StoreConfig& config = connection.store->config();
  for (std::size_t i = 0; i < config.namespaces.size(); ++i) {
    if (config.namespaces[i].name != name) continue;
    return ipc::NamespaceInfo{
        .id = static_cast<std::uint16_t>(i + 1),
        .name = name,
        .writable = connection.rights.MayWrite(name),
        .max_value_bytes = connection.store->store().view().max_value_bytes()};
  }
  return Error(Code::kNotFound, "no namespace '{}' in store '{}'", name, config.name);
}

Result<ipc::MethodInfo> Control::OpenMethod(const Connection& connection, const std::string& name) {
  const std::uint32_t id = environment_.methods->FindId(name);
  if (id == 0) return Error(Code::kNotFound, "no method '{}'", name);
  if (!connection.rights.MayCall(name)) {
    Log::Warn("denied: uid {} may not call '{}'", connection.peer.uid, name);
    return Error(Code::kPermissionDenied, "uid {} may not call '{}'", connection.peer.uid, name);
  }
  return ipc::MethodInfo{.id = id, .name = name};
}

Result<ipc::StatusReport> Control::Report(const Connection& connection) const {
  if (!connection.rights.MayAdminister()) {
    Log::Warn("denied: uid {} may not administer", connection.peer.uid);
    return Error(Code::kPermissionDenied, "uid {} may not administer", connection.peer.uid);
  }
  const std::uint64_t now = MonotonicNanosNow();
  ipc::StatusReport report;
  report.server_version = kVersion;
  report.server_pid = static_cast<std::uint32_t>(::getpid());
  report.uptime_ms = (now - environment_.started_at_ns) / 1'000'000;
  for (const auto& store : *environment_.stores) {
    report.stores.push_back(store->Report());
    report.epoch = std::max(report.epoch, store->store().view().prefix().epoch.LoadRelaxed());
  }
  for (const auto& [id, other] : connections_) {
    if (!other.session) continue;
    report.sessions.push_back(
        {.id = id,
         .pid = static_cast<std::uint32_t>(other.peer.pid),
         .uid = other.peer.uid,
         .client_name = other.client_name,
         .store = other.session->store,
         .channels = static_cast<std::uint16_t>(other.session->region.geometry().channels),
         .operations = other.session->operations.LoadRelaxed(),
         .connected_ms = (now - other.session->connected_at_ns) / 1'000'000});
  }
  return report;
}

// ---------------------------------------------------------------------------------------- sending
bool Control::AnswerError(Connection& connection, std::uint32_t request_id, const Status& status) {
  return Answer(connection, Message(request_id, ipc::ErrorReply{.code = status.code(),
                                                                .message = status.message(),
                                                                .mismatch = {}}));
}

bool Control::Answer(Connection& connection, ipc::ServerMessage message,
                     std::vector<int> descriptors) {
  auto bytes = ipc::EncodeServerMessage(message);
  if (!bytes.ok()) {
    End(connection.id, bytes.status(), /*tell=*/false);
    return false;
  }
  if (connection.outgoing.size() >= kMaxOutgoing) {
    End(connection.id, Error(Code::kResourceExhausted, "the client does not take its answers"),
        /*tell=*/false);
    return false;
  }
  connection.outgoing.push_back({std::move(*bytes), std::move(descriptors)});
  return Flush(connection);
}

bool Control::Flush(Connection& connection) {
  while (!connection.outgoing.empty()) {
    const Connection::Outgoing& next = connection.outgoing.front();
    const auto sent = connection.socket.Send(next.bytes, next.descriptors);
    if (!sent.ok()) {
      End(connection.id, sent.status(), /*tell=*/false);
      return false;
    }
    if (!*sent) {
      connection.source.SetEvents(EPOLLIN | EPOLLOUT);
      return true;
    }
    // The client's ends are its own now.
    if (!next.descriptors.empty() && connection.session)
      connection.session->client_bells_for_peer.clear();
    connection.outgoing.pop_front();
  }
  connection.source.SetEvents(EPOLLIN);
  return true;
}

// ----------------------------------------------------------------------------------------- ending
void Control::End(std::uint64_t id, const Status& why, bool tell) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  Connection& connection = it->second;
  if (tell) {
    const auto bytes = ipc::EncodeServerMessage(
        Message(0, ipc::Ended{{.code = why.code(), .message = why.message(), .mismatch = {}}}));
    if (bytes.ok()) static_cast<void>(connection.socket.Send(*bytes));
  }
  if (connection.session) {
    connection.store->Remove(id);
    for (const std::uint16_t origin : connection.session->origins) origins_[origin] = false;
    --session_count_;
    const auto count = sessions_of_uid_.find(connection.peer.uid);
    if (--count->second == 0) sessions_of_uid_.erase(count);
    if (why.ok()) {
      Log::Info("session {} ended: the client closed it", id);
    } else {
      Log::Warn("session {} ended: uid {} pid {} '{}': {}", id, connection.peer.uid,
                connection.peer.pid, connection.client_name, why.ToString());
    }
  } else if (!why.ok()) {
    Log::Warn("connection of uid {} pid {} ended: {}", connection.peer.uid, connection.peer.pid,
              why.ToString());
  }
  connections_.erase(it);
}

void Control::ReportBroken(std::uint64_t session_id, const Status& why) {
  {
    std::lock_guard lock(mutex_);
    broken_.emplace_back(session_id, why);
  }
  RingEventFd(broken_event_.get());
}

void Control::OnBroken() {
  std::uint64_t count = 0;
  // Level-triggered, so the counter is taken back; nobody else holds this eventfd.
  static_cast<void>(::read(broken_event_.get(), &count, sizeof(count)) < 0);
  std::vector<std::pair<std::uint64_t, Status>> broken;
  {
    std::lock_guard lock(mutex_);
    broken.swap(broken_);
  }
  for (const auto& [id, why] : broken) End(id, why, /*tell=*/true);
}

void Control::StopListening() {
  accept_source_ = EventSource();
  if (listener_) listener_->Unlink();
  listener_.reset();
}

void Control::EndAll(const Status& why) {
  while (!connections_.empty()) End(connections_.begin()->first, why, /*tell=*/true);
}

}  // namespace hearth::daemon
