#include "daemon/store_service.h"

#include <pthread.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <span>
#include <utility>

#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "daemon/log.h"

namespace hearth::daemon {
namespace {

constexpr std::uint32_t kRecordsPerRound = 64;  // of one channel, before the next one's turn
constexpr std::uint32_t kParkedPerRound = 64;   // answers to requests that waited for a lease
constexpr int kPausesPerLook = 16;              // between two looks at the clock while idle
constexpr int kHeartbeatMs = 500;
constexpr std::uint64_t kListenNs = 50'000;          // between two looks at the bells while busy
constexpr std::uint64_t kSessionIdleNs = 1'000'000;  // after this a session is no longer polled
// Touch buffers are drained this often while the thread is awake for other reasons, and with the
// heartbeat while it sleeps: a hint is not worth a wake-up.
constexpr std::uint64_t kDrainNs = 5'000'000;
constexpr std::uint32_t kTouchesPerStep = 64;  // of a drain, between two rounds of requests
constexpr std::uint32_t kChannelsPerStep = 64;
constexpr std::uint32_t kChannelsPerDrain = 512;       // the next one goes on where this one ended
constexpr std::uint64_t kReclaimBytes = 64 * kKiB;     // walked between two rounds while idle
constexpr std::uint64_t kStopGraceNs = 1'000'000'000;  // for clients that never stop publishing
constexpr std::uint64_t kWakeTag = 0;                  // epoll data; sessions use their id, from 1

void WarnAboutHugePages(const StoreConfig& config) {
  if (!config.huge_pages) return;
  const std::string setting = shm::SharedHugePages();
  if (setting != "never" && setting != "deny") return;
  Log::Warn("store '{}' asks for huge pages and gets none: {} says '{}' ('advise' would do)",
            config.name, shm::kSharedHugePagesFile, setting);
}

}  // namespace

StoreService::StoreService(StoreConfig config, const LimitsConfig& limits,
                           const module::MethodRegistry* methods, OnGone on_gone,
                           cache::Store store)
    : config_(std::move(config)),
      limits_(limits),
      methods_(methods),
      on_gone_(std::move(on_gone)),
      store_(std::move(store)) {}

Result<std::unique_ptr<StoreService>> StoreService::Create(const StoreConfig& config,
                                                           const LimitsConfig& limits,
                                                           const module::MethodRegistry* methods,
                                                           OnGone on_gone) {
  HEARTH_ASSIGN(cache::Store store,
                cache::Store::Create({.name = config.name,
                                      .bytes = config.bytes,
                                      .segment_bytes = config.segment_bytes,
                                      .namespace_capacity = config.max_namespaces,
                                      .max_value_bytes = config.max_value_bytes,
                                      .page_size = config.huge_pages ? shm::PageSize::kHuge
                                                                     : shm::PageSize::kNormal}));
  WarnAboutHugePages(config);
  std::unique_ptr<StoreService> service(
      new StoreService(config, limits, methods, std::move(on_gone), std::move(store)));
  HEARTH_TRY(service->Init());
  return service;
}

Status StoreService::Init() {
  HEARTH_ASSIGN(writer_, cache::StoreWriter::Create(store_.view()));
  HEARTH_TRY(DeclareNamespaces());
  writer_->WatchPins(this, limits_.pin_max_ms * 1'000'000U);
  HEARTH_ASSIGN(wake_, MakeEventFd());
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return ErrnoStatus(errno, "cannot create an epoll instance");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kWakeTag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0)
    return ErrnoStatus(errno, "cannot watch an eventfd");
  return Status::Ok();
}

StoreService::~StoreService() { Stop(); }

void StoreService::Start() {
  thread_ = std::thread([this] {
    // At most 15 characters reach the kernel.
    ::pthread_setname_np(::pthread_self(), ("w:" + config_.name).substr(0, 15).c_str());
    Run();
  });
}

void StoreService::Stop() {
  if (!thread_.joinable()) return;
  stopping_.StoreRelaxed(1);
  RingEventFd(wake_.get());
  thread_.join();
}

void StoreService::Post(Command command) {
  {
    std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
    has_commands_.StoreRelaxed(1);
  }
  RingEventFd(wake_.get());
}

void StoreService::Add(std::shared_ptr<Session> session) {
  Post({.add = std::move(session), .remove = 0, .work = nullptr});
}

void StoreService::Remove(std::uint64_t session_id) {
  Post({.add = nullptr, .remove = session_id, .work = nullptr});
}

std::uint64_t StoreService::MaxValueBytes() const {
  constexpr std::uint64_t kBesides = 2 * cache::kMaxKeyBytes;  // body and key
  return std::min(store_.view().max_value_bytes(), limits_.message_bytes - kBesides);
}

ipc::StoreStatus StoreService::Report() const {
  const cache::StoreView& view = store_.view();
  const cache::StoreHeader& header = view.header();
  ipc::StoreStatus report{
      .name = config_.name,
      .bytes = store_.bytes(),
      .segment_bytes = view.segment_bytes(),
      .segments = view.segment_count(),
      .free_segments = static_cast<std::uint32_t>(header.free_segments.LoadRelaxed()),
      .entries = header.entry_count.LoadRelaxed(),
      .live_bytes = header.live_bytes.LoadRelaxed(),
      .evicted_entries = header.evicted_entries.LoadRelaxed(),
      .index_pages = header.index_pages.LoadRelaxed(),
      .namespaces = {},
      .operations = operations_.LoadRelaxed()};
  std::copy(std::begin(view.prefix().uuid), std::end(view.prefix().uuid), report.uuid.begin());
  ReportNamespaces(&report);
  return report;
}

void StoreService::Run() {
  std::uint64_t last_request = MonotonicNanosNow();
  std::uint64_t next_heartbeat = 0;
  std::uint64_t next_listen = 0;
  std::uint64_t next_drain = 0;
  std::uint64_t now = last_request;
  std::uint64_t stop_at = 0;
  while (true) {
    // Read before the last round, so that it serves all that was published before the stop.
    const bool stopping = stopping_.LoadRelaxed() != 0;
    if (stopping && stop_at == 0) stop_at = now + kStopGraceNs;
    if (has_commands_.LoadRelaxed() != 0) RunCommands();
    const std::uint32_t served = ServePolled(now);
    const std::uint32_t answered = leases_.empty() ? 0 : AnswerParked(MonotonicNanosNow());
    now = MonotonicNanosNow();
    if (stopping && now >= stop_at) return;
    if (now >= next_heartbeat) {
      writer_->Heartbeat();
      ReviewPins(now);
      next_heartbeat = now + std::uint64_t{kHeartbeatMs} * 1'000'000U;
    }
    // However busy the polled sessions keep this thread: the others are heard by their bells alone.
    if (now >= next_listen && polled_.size() < sessions_.size()) {
      HEARTH_FAILPOINT("writer.before_listen");
      Listen(0);
      next_listen = now + kListenNs;
    }
    if (now >= next_drain && DrainTouches()) next_drain = now + kDrainNs;
    if (served > 0) {
      operations_.StoreRelaxed(operations_.LoadRelaxed() + served);
      spin_.OnGap(now - last_request);
      last_request = now;
      continue;
    }
    if (answered > 0) continue;
    if (!polled_.empty() && !stopping && now - last_request < spin_.BoundNs()) {
      for (int i = 0; i < kPausesPerLook && !HasRequests(); ++i) CpuRelax();
      continue;
    }
    if (now >= next_drain && !stopping) continue;  // first to the end of the drain
    if (!stopping && writer_->Reclaim(kReclaimBytes)) continue;
    std::erase_if(polled_, [this](Served* quiet) { return AnnounceSleep(*quiet); });
    if (!polled_.empty()) continue;
    // Looking at the bells while busy takes their edges, also the one of a command.
    if (has_commands_.LoadRelaxed() != 0 || stopping != (stopping_.LoadRelaxed() != 0)) continue;
    // All sessions ring from now on, so nobody's request stays unseen.
    HEARTH_FAILPOINT("writer.before_sleep");
    Listen(stopping ? 0 : SleepMs(now));
    if (stopping && polled_.empty()) return;
    now = MonotonicNanosNow();
  }
}

void StoreService::RunCommands() {
  std::vector<Command> commands;
  {
    std::lock_guard lock(mutex_);
    commands.swap(commands_);
    has_commands_.StoreRelaxed(0);
  }
  for (Command& command : commands) {
    if (command.add) {
      const std::uint64_t id = command.add->id;
      if (const Status added = AddServed(std::move(command.add)); !added.ok()) LetGo(id, added);
    }
    if (command.remove != 0) LetGo(command.remove, Status::Ok());
    if (command.work) command.work();
  }
}

Status StoreService::AddServed(std::shared_ptr<Session> session) {
  Served served;
  served.budget = std::make_unique<ipc::ByteBudget>(limits_.buffered_bytes_per_session,
                                                    session->user_memory.get());
  const std::uint64_t id = session->id;
  for (std::uint32_t i = 0; i < session->region.geometry().channels; ++i) {
    auto channel = ChannelServer::Create({.writer = writer_.get(),
                                          .methods = methods_,
                                          .leases = &leases_,
                                          .scratch = &scratch_,
                                          .max_message_bytes = limits_.message_bytes},
                                         session.get(), i, served.budget.get());
    if (!channel.ok()) return channel.status();
    served.channels.push_back(std::move(*channel));
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, session->server_doorbell.get(), &event) != 0)
    return ErrnoStatus(errno, "cannot watch the doorbell");
  served.session = std::move(session);
  // Polled at first: the client may have published before it was served.
  Poll(sessions_.emplace(id, std::move(served)).first->second);
  return Status::Ok();
}

void StoreService::Poll(Served& served) {
  if (served.polled) return;
  served.polled = true;
  served.last_request_ns = MonotonicNanosNow();
  for (auto& channel : served.channels) channel->Wake();
  polled_.push_back(&served);
}

bool StoreService::HasRequests() const {
  for (const Served* served : polled_) {
    for (const auto& channel : served->channels)
      if (channel->HasRequests()) return true;
  }
  return false;
}

std::uint32_t StoreService::ServePolled(std::uint64_t now) {
  std::uint32_t total = 0;
  for (std::size_t i = 0; i < polled_.size();) {
    Served& served = *polled_[i];
    const auto count = ServeSession(served);
    if (!count.ok()) {
      LetGo(served.session->id, count.status());  // takes it out of polled_
      continue;
    }
    total += *count;
    if (*count > 0) served.last_request_ns = now;
    // One busy session must not keep the others polled for ever.
    if (now > served.last_request_ns + kSessionIdleNs && AnnounceSleep(served)) {
      polled_[i] = polled_.back();
      polled_.pop_back();
      continue;
    }
    ++i;
  }
  return total;
}

Result<std::uint32_t> StoreService::ServeSession(Served& served) {
  std::uint32_t total = 0;
  for (auto& channel : served.channels) {
    HEARTH_ASSIGN(const std::uint32_t count, channel->Serve(kRecordsPerRound));
    total += count;
  }
  return total;
}

std::uint32_t StoreService::AnswerParked(std::uint64_t now) {
  std::uint32_t count = 0;
  for (; count < kParkedPerRound; ++count) {
    const auto ready = leases_.TakeReady(now);
    if (!ready) break;
    const std::uint64_t session = ready->channel->session()->id;
    if (const Status status = ready->channel->AnswerParked(*ready); !status.ok())
      LetGo(session, status);
  }
  return count;
}

int StoreService::SleepMs(std::uint64_t now) const {
  const std::uint64_t next = leases_.NextDeadlineNs();
  if (next <= now) return 0;
  return static_cast<int>(std::min<std::uint64_t>((next - now) / 1'000'000U + 1, kHeartbeatMs));
}

void StoreService::LetGo(std::uint64_t session_id, const Status& why) {
  Forget(session_id);
  // Last: whoever hears it gives the session's origins to another one.
  on_gone_(session_id, why);
}

void StoreService::Forget(std::uint64_t session_id) {
  const auto it = sessions_.find(session_id);
  if (it == sessions_.end()) return;
  std::erase(polled_, &it->second);
  // The client may hold the eventfd open, so closing ours would not take it out of the set.
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, it->second.session->server_doorbell.get(), nullptr);
  sessions_.erase(it);
}

bool StoreService::AnnounceSleep(Served& served) {
  watches_.clear();
  for (auto& channel : served.channels) watches_.push_back(channel->RequestWatch());
  if (!ipc::PrepareToSleep(watches_)) return false;
  served.polled = false;
  return true;
}

void StoreService::Listen(int timeout_ms) {
  epoll_event events[64];
  const int count = ::epoll_wait(epoll_.get(), events, 64, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = events[i].data.u64;  // a copy: epoll_event is packed
    if (id == kWakeTag) continue;
    const auto it = sessions_.find(id);
    if (it != sessions_.end()) Poll(it->second);
  }
}

void StoreService::VisitPins(const See& see) const {
  for (const auto& [id, served] : sessions_) {
    const std::span<ipc::PinRecord> pins = served.session->region.pins();
    // Clients use this one, or mark it, before any other: most never use one.
    if (pins.empty() || pins[0].segment_plus_one.LoadRelaxed() == 0) continue;
    for (ipc::PinRecord& pin : pins) cache::SeePin({&pin.segment_plus_one, &pin.generation}, see);
  }
}

void StoreService::ReviewPins(std::uint64_t now) {
  writer_->ReviewPins();
  const std::uint64_t revoked = writer_->revoked_segments();
  if (revoked == revoked_ || !revoked_log_.TakeTurn(now)) return;
  Log::Warn(
      "store '{}': {} segments were reused although readers had pinned them: for longer than "
      "limits.pin_max, or more than a twentieth of the store",
      config_.name, revoked - std::exchange(revoked_, revoked));
}

bool StoreService::DrainTouches() {
  if (drain_left_ == 0) drain_left_ = kChannelsPerDrain;
  std::uint32_t touches = kTouchesPerStep;
  auto it = sessions_.lower_bound(drain_session_);
  for (std::uint32_t i = 0; i < kChannelsPerStep && touches > 0; ++i) {
    if (it != sessions_.end() && it->first == drain_session_ &&
        drain_channel_ == it->second.channels.size())
      ++it;
    if (it == sessions_.end()) {
      drain_session_ = 0;
      drain_left_ = 0;
      return true;
    }
    if (it->first != drain_session_) {
      drain_session_ = it->first;
      drain_channel_ = 0;
    }
    if (!it->second.channels[drain_channel_]->NoteTouches(&touches)) return false;
    ++drain_channel_;
    if (--drain_left_ == 0) return true;
  }
  return false;
}

}  // namespace hearth::daemon
