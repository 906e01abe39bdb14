// Control's handshake: from a Hello to a session, or to a refusal that says why.
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/clock.h"
#include "daemon/control.h"
#include "daemon/log.h"
#include "daemon/version.h"

namespace hearth::daemon {
namespace {

constexpr std::uint32_t kPinsPerSession = 64;
constexpr std::uint32_t kTouchesPerChannel = 512;

}  // namespace

bool Control::Greet(Connection& connection, std::uint32_t request_id, const ipc::Hello& hello) {
  const std::uint64_t id = connection.id;
  auto refuse = [&](const Status& why) {
    LogRefusal(*connection.user,
               fmt::format("refused uid {} pid {} ('{}'): {}", connection.peer.uid,
                           connection.peer.pid, hello.client_name, why.message()));
    if (AnswerError(connection, request_id, why)) End(id, Status::Ok(), /*tell=*/false);
    return false;
  };
  const auto mismatch =
      ipc::CheckHello(hello, {cache::kStoreLayoutVersion, cache::kStoreFingerprint},
                      {ipc::kSessionLayoutVersion, ipc::kSessionFingerprint});
  if (mismatch) {
    LogRefusal(
        *connection.user,
        fmt::format("refused uid {} pid {} ('{}' {}): {}", connection.peer.uid, connection.peer.pid,
                    hello.client_name, hello.client_version, mismatch->ToStatus().message()));
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
    ++connection.user->sessions;
  }
  connection.greeted = true;
  ungreeted_.erase(id);
  connection.store = *store;
  connection.client_name = hello.client_name;
  const shm::RegionPrefix& prefix = (*store)->store().view().prefix();
  ipc::Welcome welcome{.protocol = ipc::kProtocolVersion,
                       .session_id = id,
                       .epoch = prefix.epoch.LoadRelaxed(),
                       .server_version = kVersion,
                       .store = name,
                       .channels = 0,
                       .max_value_bytes = (*store)->MaxValueBytes(),
                       .max_message_bytes = environment_.config->limits.message_bytes,
                       .server_pid = static_cast<std::uint32_t>(::getpid()),
                       .shared_uid = connection.peer.uid == ::geteuid()};
  std::copy(std::begin(prefix.uuid), std::end(prefix.uuid), welcome.store_uuid.begin());
  if (connection.session) {
    welcome.channels = static_cast<std::uint16_t>(connection.session->region.geometry().channels);
    LogComing(*connection.user,
              fmt::format("session {} began: uid {} pid {} '{}' on store '{}', {} channels", id,
                          connection.peer.uid, connection.peer.pid, hello.client_name, name,
                          welcome.channels));
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
  const std::uint32_t of_uid = connection.user->sessions;
  if (of_uid >= limits.sessions_per_uid)
    return Error(Code::kResourceExhausted,
                 "uid {} has {} sessions already (limits.sessions_per_uid)", connection.peer.uid,
                 of_uid);
  return Status::Ok();
}

Result<StoreService*> Control::FindStore(std::string_view name) const {
  for (const auto& store : *environment_.stores)
    if (name.empty() || store->config().name == name) return store.get();
  return Error(Code::kNotFound, "no store '{}'", name);
}

std::optional<std::uint16_t> Control::TakeOrigin() {
  const auto count = static_cast<std::uint32_t>(origins_.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t origin = next_origin_;
    next_origin_ = (next_origin_ + 1) % count;
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
  // Memory that other users can still have (aliasing: the whole user lives as long).
  std::shared_ptr<ipc::SharedBudget> memory(connection.user, &connection.user->memory);
  HEARTH_ASSIGN(ipc::SharedCharge charge,
                ipc::SharedCharge::Take(memory, ipc::SessionRegion::BytesOf(geometry)));
  HEARTH_ASSIGN(ipc::SessionRegion region, ipc::SessionRegion::Create(geometry));
  auto session = std::make_shared<Session>(std::move(region));
  session->user_memory = std::move(memory);
  session->region_charge = std::move(charge);
  session->id = connection.id;
  session->peer = connection.peer;
  session->client_name = hello.client_name;
  session->store = store.config().name;
  session->rights = connection.rights;
  session->connected_at_ns = MonotonicNanosNow();
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
      FreeOrigins(*session);
      return Error(Code::kResourceExhausted, "all {} channels are taken", origins_.size() - 1);
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

}  // namespace hearth::daemon
