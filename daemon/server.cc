#include "daemon/server.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/clock.h"
#include "core/base/units.h"
#include "daemon/builtin_methods.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/version.h"

namespace hearth::daemon {
namespace {

void BlockSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A peer that goes away is an error code, not a signal.
  ::signal(SIGPIPE, SIG_IGN);
}

// Each session takes four descriptors or more; the soft limit is often 1024.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// The socket's directory, made for this user alone where it is missing.
Status MakeDirectory(const std::string& socket) {
  // Refused in a moment: nothing is made for it.
  if (socket.size() > ipc::kMaxSocketPathBytes) return Status::Ok();
  const std::filesystem::path directory = std::filesystem::path(socket).parent_path();
  std::error_code error;
  if (directory.empty() || std::filesystem::is_directory(directory, error)) return Status::Ok();
  const mode_t old_mask = ::umask(0077);
  std::filesystem::create_directories(directory, error);
  ::umask(old_mask);
  if (error)
    return ErrnoStatus(error.value(), fmt::format("cannot create the socket's directory '{}'",
                                                  directory.string()));
  return Status::Ok();
}

gid_t GroupOf(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_gid : 0;
}

}  // namespace

Server::Server(Config config) : config_(std::move(config)) {}

Server::~Server() {
  // Writer threads report to control_, so they end before it does.
  for (auto& store : stores_) store->Stop();
}

Result<std::unique_ptr<Server>> Server::Create(Config config) {
  std::unique_ptr<Server> server(new Server(std::move(config)));
  HEARTH_TRY(server->Init());
  return server;
}

Status Server::Init() {
  BlockSignals();
  RaiseDescriptorLimit();
  sd_event* loop = nullptr;
  if (const int rc = ::sd_event_new(&loop); rc < 0)
    return ErrnoStatus(-rc, "cannot create an event loop");
  loop_.reset(loop);

  HEARTH_TRY(RegisterBuiltinMethods(&methods_));
  // The socket first: whoever has it is the one daemon of this path, before memory is taken.
  HEARTH_TRY(MakeDirectory(config_.socket));
  HEARTH_ASSIGN(ipc::ControlListener listener,
                ipc::ControlListener::Bind(config_.socket, config_.socket_mode));
  policy_ = std::make_unique<Policy>(config_.policy, ::geteuid(), GroupOf(config_.socket));
  for (const StoreConfig& store : config_.stores) {
    auto service = StoreService::Create(
        store, config_.limits, &methods_,
        [this](std::uint64_t session, const Status& why) { control_->ReportGone(session, why); });
    if (!service.ok()) {
      listener.Unlink();
      return std::move(service).status().WithContext(fmt::format("store '{}'", store.name));
    }
    Log::Info("store '{}': {}, {} namespaces", store.name, FormatBytes((*service)->store().bytes()),
              store.namespaces.size());
    stores_.push_back(std::move(*service));
  }
  HEARTH_ASSIGN(control_, Control::Create({.config = &config_,
                                           .policy = policy_.get(),
                                           .methods = &methods_,
                                           .stores = &stores_,
                                           .started_at_ns = MonotonicNanosNow()},
                                          loop_.get(), std::move(listener)));
  for (const auto& [signal, name] : {std::pair{SIGTERM, "SIGTERM"}, std::pair{SIGINT, "SIGINT"}}) {
    HEARTH_ASSIGN(EventSource source,
                  EventSource::Signal(loop_.get(), signal, [this, text = name] { Stop(text); }));
    signals_.push_back(std::move(source));
  }
  HEARTH_ASSIGN(EventSource hangup, EventSource::Signal(loop_.get(), SIGHUP, [] {
                  Log::Info("SIGHUP: this version applies configuration changes at restart only");
                }));
  signals_.push_back(std::move(hangup));
  return Status::Ok();
}

Status Server::Run() {
  for (auto& store : stores_) store->Start();
  Log::Info("hearthd {} serves {} (pid {})", kVersion, config_.socket, ::getpid());
  NotifyReady(fmt::format("Serving {} stores on {}", stores_.size(), config_.socket));
  const int rc = ::sd_event_loop(loop_.get());
  if (rc < 0) return ErrnoStatus(-rc, "the event loop failed");
  return Status::Ok();
}

void Server::Stop(const char* signal_name) {
  Log::Info("{}: stopping", signal_name);
  NotifyStopping("Stopping");
  control_->StopListening();
  for (auto& store : stores_) store->Stop();
  control_->EndAll(Error(Code::kUnavailable, "hearthd is stopping"));
  ::sd_event_exit(loop_.get(), 0);
}

}  // namespace hearth::daemon
