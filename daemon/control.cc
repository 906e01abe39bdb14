#include "daemon/control.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <type_traits>
#include <variant>

#include "core/base/clock.h"
#include "daemon/log.h"
#include "daemon/version.h"

namespace hearth::daemon {
namespace {

constexpr std::size_t kMaxOutgoing = 64;
constexpr std::uint64_t kAcceptRetryUs = 100'000;
constexpr std::uint32_t kPinsPerSession = 64;
constexpr std::uint32_t kTouchesPerChannel = 512;
constexpr std::size_t kOrigins = 65536;

ipc::ServerMessage Message(std::uint32_t request_id, decltype(ipc::ServerMessage::body) body) {
  return {.request_id = request_id, .body = std::move(body)};
}

}  // namespace

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
      Log::Warn("cannot accept a connection: {}", accepted.status().message());
      accept_source_.SetEvents(0);
      auto retry =
          EventSource::Once(loop_, kAcceptRetryUs, [this] { accept_source_.SetEvents(EPOLLIN); });
      if (retry.ok()) retry_source_ = std::move(*retry);
      return;
    }
    if (!accepted->has_value()) return;
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

// -------------------------------------------------------------------------------------- handshake
bool Control::Greet(Connection& connection, std::uint32_t request_id, const ipc::Hello& hello) {
  const std::uint64_t id = connection.id;
  auto refuse = [&](const Status& why) {
    Log::Warn("refused uid {} pid {} ('{}'): {}", connection.peer.uid, connection.peer.pid,
              hello.client_name, why.message());
    if (AnswerError(connection, request_id, why)) End(id, Status::Ok(), /*tell=*/false);
    return false;
  };
  const auto mismatch =
      ipc::CheckHello(hello, {cache::kStoreLayoutVersion, cache::kStoreFingerprint},
                      {ipc::kSessionLayoutVersion, ipc::kSessionFingerprint});
  if (mismatch) {
    Log::Warn("refused uid {} pid {} ('{}' {}): {}", connection.peer.uid, connection.peer.pid,
              hello.client_name, hello.client_version, mismatch->ToStatus().message());
    if (Answer(connection, Message(request_id, *mismatch))) End(id, Status::Ok(), false);
    return false;
  }
  const auto store = FindStore(hello.store);
  if (!store.ok()) return refuse(store.status());
  const std::string& name = (*store)->config().name;
  if (!connection.rights.MayAttach(name))
    return refuse(
        Error(Code::kPermissionDenied, "uid {} may not use store '{}'", connection.peer.uid, name));
  if (hello.channels > 0) {
    if (const Status within = CheckLimits(connection); !within.ok()) return refuse(within);
    auto session = MakeSession(connection, hello, **store);
    if (!session.ok()) return refuse(session.status());
    connection.session = std::move(*session);
    ++session_count_;
    ++sessions_of_uid_[connection.peer.uid];
  }
  connection.greeted = true;
  connection.store = *store;
  connection.client_name = hello.client_name;
  const shm::RegionPrefix& prefix = (*store)->store().view().prefix();
  ipc::Welcome welcome{.protocol = ipc::kProtocolVersion,
                       .session_id = id,
                       .epoch = prefix.epoch.LoadRelaxed(),
                       .server_version = kVersion,
                       .store = name,
                       .channels = 0,
                       .max_value_bytes = (*store)->store().view().max_value_bytes(),
                       .max_message_bytes = environment_.config->limits.message_bytes,
                       .server_pid = static_cast<std::uint32_t>(::getpid()),
                       .shared_uid = connection.peer.uid == ::geteuid()};
  std::copy(std::begin(prefix.uuid), std::end(prefix.uuid), welcome.store_uuid.begin());
  if (connection.session) {
    welcome.channels = static_cast<std::uint16_t>(connection.session->region.geometry().channels);
    Log::Info("session {} began: uid {} pid {} '{}' on store '{}', {} channels", id,
              connection.peer.uid, connection.peer.pid, hello.client_name, name, welcome.channels);
    if (welcome.shared_uid && !environment_.config->user_mode && !told_shared_uid_) {
      told_shared_uid_ = true;
      Log::Warn(
          "session {} has hearthd's own uid {}: the kernel cannot keep such a process from "
          "writing to the store; give hearthd a user of its own",
          id, connection.peer.uid);
    }
    (*store)->Add(connection.session);
  }
  return Answer(connection, Message(request_id, std::move(welcome)),
                SessionDescriptors(connection));
}

Status Control::CheckLimits(const Connection& connection) const {
  const LimitsConfig& limits = environment_.config->limits;
  if (session_count_ >= limits.sessions)
    return Error(Code::kResourceExhausted, "all {} sessions are taken (limits.sessions)",
                 limits.sessions);
  const auto it = sessions_of_uid_.find(connection.peer.uid);
  if (it != sessions_of_uid_.end() && it->second >= limits.sessions_per_uid)
    return Error(Code::kResourceExhausted,
                 "uid {} has {} sessions already (limits.sessions_per_uid)", connection.peer.uid,
                 it->second);
  return Status::Ok();
}

Result<StoreService*> Control::FindStore(std::string_view name) const {
  for (const auto& store : *environment_.stores)
    if (name.empty() || store->config().name == name) return store.get();
  return Error(Code::kNotFound, "no store '{}'", name);
}

std::optional<std::uint16_t> Control::TakeOrigin() {
  for (std::size_t i = 0; i < kOrigins; ++i) {
    const std::uint32_t origin = next_origin_;
    next_origin_ = (next_origin_ + 1) % kOrigins;
    if (origins_[origin]) continue;
    origins_[origin] = true;
    return static_cast<std::uint16_t>(origin);
  }
  return std::nullopt;
}

Result<std::shared_ptr<Session>> Control::MakeSession(const Connection& connection,
                                                      const ipc::Hello& hello,
                                                      const StoreService& store) {
  const LimitsConfig& limits = environment_.config->limits;
  const ipc::SessionGeometry geometry{
      .session_id = connection.id,
      .channels = std::min<std::uint32_t>(hello.channels, limits.channels),
      .request_ring_bytes = ipc::LegalRingBytes(hello.request_ring_bytes, limits.ring_bytes),
      .response_ring_bytes = ipc::LegalRingBytes(hello.response_ring_bytes, limits.ring_bytes),
      .touch_entries = kTouchesPerChannel,
      .pins = kPinsPerSession};
  HEARTH_ASSIGN(ipc::SessionRegion region, ipc::SessionRegion::Create(geometry));
  auto session = std::make_shared<Session>(std::move(region));
  session->id = connection.id;
  session->peer = connection.peer;
  session->client_name = hello.client_name;
  session->store = store.config().name;
  session->rights = connection.rights;
  session->connected_at_ns = MonotonicNanosNow();
  // Ids are given in the order of the configuration, from 1.
  session->may_write.push_back(false);
  for (const NamespaceConfig& item : store.config().namespaces)
    session->may_write.push_back(connection.rights.MayWrite(item.name));
  session->may_call.push_back(false);
  for (std::uint32_t id = 1; id <= environment_.methods->size(); ++id)
    session->may_call.push_back(connection.rights.MayCall(environment_.methods->Find(id)->name));
  HEARTH_ASSIGN(session->server_doorbell, MakeEventFd());
  for (std::uint32_t i = 0; i < geometry.channels; ++i) {
    HEARTH_ASSIGN(Pipe pipe, MakePipe());
    session->client_doorbells.push_back(std::move(pipe.write_end));
    session->client_bells_for_peer.push_back(std::move(pipe.read_end));
  }
  for (std::uint32_t i = 0; i < geometry.channels; ++i) {
    const auto origin = TakeOrigin();
    if (!origin) {
      for (const std::uint16_t taken : session->origins) origins_[taken] = false;
      return Error(Code::kResourceExhausted, "all {} channels are taken", kOrigins - 1);
    }
    session->origins.push_back(*origin);
  }
  return session;
}

std::vector<int> Control::SessionDescriptors(const Connection& connection) const {
  std::vector<int> descriptors;
  if (!connection.session) return descriptors;
  const Session& session = *connection.session;
  descriptors.push_back(session.region.fd().get());
  descriptors.push_back(session.server_doorbell.get());
  for (const UniqueFd& bell : session.client_bells_for_peer) descriptors.push_back(bell.get());
  descriptors.push_back(connection.store->store().read_only_fd().get());
  return descriptors;
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
