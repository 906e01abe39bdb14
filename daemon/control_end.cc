// Control's goodbyes: how connections and sessions end, and what is logged about clients.
#include <unistd.h>

#include <utility>

#include "core/base/clock.h"
#include "daemon/control.h"

namespace hearth::daemon {
namespace {

constexpr std::uint64_t kLogTimerUs = 10'000'000;

}  // namespace

void Control::End(std::uint64_t id, const Status& why, bool tell) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  Connection& connection = it->second;
  if (!connection.session) return Finish(it, why, tell);
  if (connection.ending) return;
  connection.ending = {why, tell};
  connection.source = EventSource();
  connection.store->Remove(id);  // OnGone() goes on
}

void Control::ReportGone(std::uint64_t session_id, const Status& why) {
  {
    std::lock_guard lock(mutex_);
    gone_.emplace_back(session_id, why);
  }
  RingEventFd(gone_event_.get());
}

void Control::OnGone() {
  std::uint64_t count = 0;
  // Level-triggered, so the counter is taken back; nobody else holds this eventfd.
  static_cast<void>(::read(gone_event_.get(), &count, sizeof(count)) < 0);
  std::vector<std::pair<std::uint64_t, Status>> gone;
  {
    std::lock_guard lock(mutex_);
    gone.swap(gone_);
  }
  for (const auto& [id, broken] : gone) {
    // Of a session that broke its rings while this thread was ending it, the second answer finds
    // nothing.
    const auto it = connections_.find(id);
    if (it == connections_.end()) continue;
    if (const auto ending = it->second.ending) {
      Finish(it, ending->why, ending->tell);
    } else {
      Finish(it, broken, /*tell=*/true);
    }
  }
}

void Control::SendEnded(Connection& connection, const Status& why) {
  const auto bytes = ipc::EncodeServerMessage(
      Message(0, ipc::Ended{{.code = why.code(), .message = why.message(), .mismatch = {}}}));
  if (bytes.ok()) static_cast<void>(connection.socket.Send(*bytes));
}

void Control::Finish(Connections::iterator it, const Status& why, bool tell) {
  Connection& connection = it->second;
  if (tell) SendEnded(connection, why);
  if (connection.session) {
    FreeOrigins(*connection.session);
    --session_count_;
    --connection.user->sessions;
  }
  --connection.user->connections;
  ungreeted_.erase(it->first);
  LogEnd(connection, why);
  connections_.erase(it);
}

void Control::FreeOrigins(const Session& session) {
  for (const std::uint16_t origin : session.origins) origins_[origin] = false;
}

void Control::LogEnd(const Connection& connection, const Status& why) {
  const Peer& peer = connection.peer;
  if (connection.session && why.ok()) {
    LogComing(*connection.user,
              fmt::format("session {} ended: the client closed it", connection.id));
  } else if (stopping_) {
    Log::Debug("connection {} of uid {} pid {} ended: {}", connection.id, peer.uid, peer.pid,
               why.message());
  } else if (connection.session) {
    LogRefusal(*connection.user,
               fmt::format("session {} ended: uid {} pid {} '{}': {}", connection.id, peer.uid,
                           peer.pid, connection.client_name, why.ToString()));
  } else if (!why.ok()) {
    LogRefusal(*connection.user, fmt::format("connection of uid {} pid {} ended: {}", peer.uid,
                                             peer.pid, why.ToString()));
  }
}

void Control::StopListening() {
  accept_source_ = EventSource();
  if (listener_) listener_->Unlink();
  listener_.reset();
}

void Control::EndAll(const Status& why) {
  stopping_ = true;
  OnGone();  // what the writer threads reported last
  const std::size_t connections = connections_.size();
  const std::uint32_t sessions = session_count_;
  while (!connections_.empty()) {
    const auto it = connections_.begin();
    const auto ending = it->second.ending;
    Finish(it, ending ? ending->why : why, ending ? ending->tell : true);
  }
  users_.ReportSuppressed(MonotonicNanosNow(), /*all=*/true);
  Log::Info("stopped: {} sessions and {} other connections were told and closed", sessions,
            connections - sessions);
}

// ---------------------------------------------------------------------------------------- logging
void Control::LogRefusal(User& user, std::string_view line) {
  LogLimited(user.refusals, Log::Level::kWarn, line);
}

void Control::LogComing(User& user, std::string_view line) {
  LogLimited(user.comings, Log::Level::kInfo, line);
}

void Control::LogLimited(LogLimit& limit, Log::Level level, std::string_view line) {
  if (!limit.Admit(MonotonicNanosNow())) {
    Log::Line(Log::Level::kDebug, line);
    // So that they are counted in the log even if nothing follows them.
    if (!std::exchange(log_timer_armed_, true)) log_timer_.Arm(kLogTimerUs);
    return;
  }
  const std::uint64_t suppressed = limit.TakeSuppressed();
  if (suppressed == 0) return Log::Line(level, line);
  Log::Line(level, fmt::format("{} ({} lines like it were left out before)", line, suppressed));
}

void Control::OnLogTimer() {
  log_timer_armed_ = users_.ReportSuppressed(MonotonicNanosNow(), /*all=*/false);
  if (log_timer_armed_) log_timer_.Arm(kLogTimerUs);
}

}  // namespace hearth::daemon
