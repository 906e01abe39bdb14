#include "daemon/control.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <type_traits>
#include <variant>

#include "core/base/clock.h"
#include "core/base/units.h"
#include "daemon/log.h"
#include "daemon/version.h"

namespace hearth::daemon {
namespace {

constexpr std::size_t kMaxOutgoing = 64;
constexpr std::uint64_t kAcceptRetryUs = 100'000;
constexpr int kAcceptsInARow = 16;
// Of one uid, so that whoever may connect cannot take all descriptors without shaking hands.
constexpr std::uint32_t kMaxSessionlessPerUid = 64;

}  // namespace

ipc::ServerMessage Control::Message(std::uint32_t request_id,
                                    decltype(ipc::ServerMessage::body) body) {
  return {.request_id = request_id, .body = std::move(body)};
}

Control::Control(const Environment& environment, sd_event* loop, ipc::ControlListener listener)
    : environment_(environment),
      loop_(loop),
      listener_(std::move(listener)),
      users_(environment.config->limits.memory_bytes_per_uid),
      origins_(environment.origins, false) {
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
  HEARTH_ASSIGN(hello_timer_, EventSource::Timer(loop_, [this] { OnHelloTimer(); }));
  HEARTH_ASSIGN(log_timer_, EventSource::Timer(loop_, [this] { OnLogTimer(); }));
  HEARTH_ASSIGN(gone_event_, MakeEventFd());
  HEARTH_ASSIGN(gone_source_, EventSource::Io(loop_, gone_event_.get(), EPOLLIN,
                                              [this](std::uint32_t) { OnGone(); }));
  HEARTH_ASSIGN(changed_event_, MakeEventFd());
  HEARTH_ASSIGN(changed_source_, EventSource::Io(loop_, changed_event_.get(), EPOLLIN,
                                                 [this](std::uint32_t) { OnChanged(); }));
  return Status::Ok();
}

// ------------------------------------------------------------------------------------ connections
void Control::OnAccept() {
  // A few in a row, then the others' turn; the socket stays readable.
  for (int i = 0; i < kAcceptsInARow && listener_; ++i) {
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
  const std::uint64_t now = MonotonicNanosNow();
  Connection& connection = connections_.emplace(id, Connection(std::move(socket))).first->second;
  connection.id = id;
  connection.accepted_at_ns = now;
  connection.peer = {.pid = credentials->pid, .uid = credentials->uid, .gids = {credentials->gid}};
  connection.user = users_.Of(credentials->uid, now);
  const std::uint32_t sessionless = ++connection.user->connections - connection.user->sessions;
  if (sessionless > kMaxSessionlessPerUid)
    return End(
        id,
        Error(Code::kResourceExhausted, "uid {} has {} connections without a session already",
              connection.peer.uid, kMaxSessionlessPerUid),
        /*tell=*/true);
  const auto groups = PeerGroups(connection.socket.fd());
  connection.peer.gids.insert(connection.peer.gids.end(), groups.begin(), groups.end());
  connection.rights = environment_.policy->RightsOf(connection.peer);
  if (connection.rights.MayNothing()) RefuseUnread(connection);
  auto source = EventSource::Io(loop_, connection.socket.fd(), EPOLLIN,
                                [this, id](std::uint32_t events) { OnConnection(id, events); });
  if (!source.ok()) return End(id, source.status(), /*tell=*/true);
  connection.source = std::move(*source);
  if (ungreeted_.empty()) hello_timer_.Arm(HelloTimeoutUs());
  ungreeted_.insert(id);
  // Its hello is mostly there already. Heard now, a crowd of clients that start at once does not
  // run into the bound on connections without a session.
  Receive(connection);
}

void Control::RefuseUnread(Connection& connection) {
  connection.refused = true;
  const Status why = Error(Code::kPermissionDenied, "hearthd's policy gives uid {} no rights",
                           connection.peer.uid);
  LogRefusal(*connection.user, fmt::format("refused uid {} pid {}: {}", connection.peer.uid,
                                           connection.peer.pid, why.message()));
  SendEnded(connection, why);
}

std::uint64_t Control::HelloTimeoutUs() const {
  return environment_.config->limits.hello_timeout_ms * 1000;
}

void Control::OnHelloTimer() {
  const std::uint64_t now_us = MonotonicNanosNow() / 1000;
  while (!ungreeted_.empty()) {
    const std::uint64_t id = *ungreeted_.begin();
    const Connection& first = connections_.at(id);
    const std::uint64_t deadline_us = first.accepted_at_ns / 1000 + HelloTimeoutUs();
    if (now_us < deadline_us) return hello_timer_.Arm(deadline_us - now_us);
    if (first.refused) {
      End(id, Status::Ok(), /*tell=*/false);
      continue;
    }
    End(id,
        Error(Code::kDeadlineExceeded, "no handshake within {} (limits.hello_timeout)",
              FormatDuration(std::chrono::microseconds(HelloTimeoutUs()))),
        /*tell=*/true);
  }
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
    // What a refused peer says is taken, so that closing does not take back what it was told, and
    // thrown away.
    if (*received == ipc::Received::kClosed || connection.refused) {
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
  if (const auto* body = std::get_if<ipc::ListNamespaces>(&message.body))
    return answer(ListNamespaces(connection, body->from_id));
  if (const auto change = NamespaceChangeIn(message)) {
    const Status begun = BeginChange(connection, request, *change);
    return begun.ok() || AnswerError(connection, request, begun);
  }
  return AnswerError(
      connection, request,
      Error(Code::kUnimplemented, "this hearthd ({}) does not know the request", kVersion));
}

// --------------------------------------------------------------------------------------- requests
Result<ipc::NamespaceInfo> Control::OpenNamespace(const Connection& connection,
                                                  const std::string& name) {
  const auto handle = connection.store->FindNamespace(name);
  if (!handle)
    return Error(Code::kNotFound, "no namespace '{}' in store '{}'", name,
                 connection.store->config().name);
  return ipc::NamespaceInfo{
      .id = cache::NamespaceIdOf(*handle),
      .name = name,
      .writable = connection.rights.MayWrite(name),
      .max_value_bytes = connection.store->MaxValueBytes(),
      .incarnation = static_cast<std::uint16_t>(*handle >> cache::kNamespaceIncarnationShift)};
}

Result<ipc::MethodInfo> Control::OpenMethod(const Connection& connection, const std::string& name) {
  const std::uint32_t id = environment_.methods->FindId(name);
  if (id == 0) return Error(Code::kNotFound, "no method '{}'", name);
  if (!connection.rights.MayCall(name))
    return Denied(connection, fmt::format("uid {} may not call '{}'", connection.peer.uid, name));
  return ipc::MethodInfo{.id = id, .name = name};
}

Status Control::Denied(const Connection& connection, const std::string& what) {
  LogRefusal(*connection.user, "denied: " + what);
  return {Code::kPermissionDenied, what};
}

Result<ipc::StatusReport> Control::Report(const Connection& connection) {
  if (!connection.rights.MayAdminister())
    return Denied(connection, fmt::format("uid {} may not administer", connection.peer.uid));
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

bool Control::Answer(Connection& connection, const ipc::ServerMessage& message,
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

}  // namespace hearth::daemon
