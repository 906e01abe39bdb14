// StoreService: one store and the thread that alone writes to it.
#ifndef HEARTH_DAEMON_STORE_SERVICE_H_
#define HEARTH_DAEMON_STORE_SERVICE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "core/base/atomic.h"
#include "core/base/fd.h"
#include "core/base/status.h"
#include "core/cache/pins.h"
#include "core/cache/store.h"
#include "core/cache/writer.h"
#include "core/module/method_registry.h"
#include "daemon/channel_server.h"
#include "daemon/config.h"
#include "daemon/lease_table.h"
#include "daemon/log_limit.h"
#include "daemon/namespace_names.h"
#include "daemon/session.h"
#include "daemon/spin_policy.h"
#include "ipc/control_message.h"

namespace hearth::daemon {

// The writer thread polls the channels that have had traffic a moment ago; all others have
// announced that they sleep and ring the session's doorbell. When nothing is worth polling any
// more, the thread sleeps in epoll_wait.
class StoreService : private cache::PinSource {
 public:
  // Called on the writer thread when it has let go of a session: nothing of it is executed any more
  // and no reference to it is held. `why` is OK when Remove() asked for it, else what the session
  // did. Remove() is always answered; after a session broke its rings that is a second call.
  using OnGone = std::function<void(std::uint64_t session_id, const Status& why)>;

  // Creates the store and its namespaces. Starts no thread yet.
  static Result<std::unique_ptr<StoreService>> Create(const StoreConfig& config,
                                                      const LimitsConfig& limits,
                                                      const module::MethodRegistry* methods,
                                                      OnGone on_gone);
  // Stops and joins.
  ~StoreService() override;

  void Start();
  // Serves what clients have published so far, then ends the thread. Idempotent.
  void Stop();

  // Begins and ends serving a session. Asynchronous; thread-safe. The writer thread lets go in its
  // next round and says so; after Stop() it has let go of all and says nothing.
  void Add(std::shared_ptr<Session> session);
  void Remove(std::uint64_t session_id);

  // Changes a namespace, or makes one. Asynchronous; thread-safe. `done` is called on the writer
  // thread when it has happened, or could not, with the namespace as it is then; never after
  // Stop().
  using NamespaceRequest = std::variant<ipc::CreateNamespace, ipc::AlterNamespace,
                                        ipc::DropNamespace, ipc::FlushNamespace>;
  using OnAdministered = std::function<void(const Result<ipc::NamespaceStatus>&)>;
  void Administer(NamespaceRequest request, OnAdministered done);

  // The handle of a live namespace. Thread-safe.
  std::optional<std::uint32_t> FindNamespace(std::string_view name) const {
    return names_.Find(name);
  }
  // Some of them, by id, from that id on. Thread-safe.
  ipc::NamespaceList ListNamespaces(std::uint16_t from_id) const;

  // What `hearth status` shows. Thread-safe.
  ipc::StoreStatus Report() const;

  // The longest value a client can set: the store's limit, or what fits into a message with the
  // longest key.
  std::uint64_t MaxValueBytes() const;

  const StoreConfig& config() const { return config_; }
  const cache::Store& store() const { return store_; }

 private:
  struct Served {
    std::shared_ptr<Session> session;
    std::unique_ptr<ipc::ByteBudget> budget;
    std::vector<std::unique_ptr<ChannelServer>> channels;
    bool polled = false;
    std::uint64_t last_request_ns = 0;  // or when it began to be polled
  };
  struct Command {
    std::shared_ptr<Session> add;
    std::uint64_t remove = 0;
    std::function<void()> work;
  };

  StoreService(StoreConfig config, const LimitsConfig& limits,
               const module::MethodRegistry* methods, OnGone on_gone, cache::Store store);
  Status Init();
  void Post(Command command);

  // store_namespaces.cc
  Status DeclareNamespaces();
  Result<ipc::NamespaceStatus> Execute(const NamespaceRequest& request);
  ipc::NamespaceStatus Describe(std::uint16_t id, std::string name) const;
  void ReportNamespaces(ipc::StoreStatus* report) const;

  void Run();
  void RunCommands();
  Status AddServed(std::shared_ptr<Session> session);
  // A glance at the polled rings, without the work of a round.
  bool HasRequests() const;
  // One round over the polled sessions; how many records it served.
  std::uint32_t ServePolled(std::uint64_t now);
  // Answers requests that have waited for somebody else's load; how many.
  std::uint32_t AnswerParked(std::uint64_t now);
  // How long the thread may sleep before a heartbeat or a deadline of the lease table is due.
  int SleepMs(std::uint64_t now) const;
  // An error means that the session has broken its rings.
  Result<std::uint32_t> ServeSession(Served& served);
  // Forgets a session and tells.
  void LetGo(std::uint64_t session_id, const Status& why);
  void Forget(std::uint64_t session_id);
  void Poll(Served& served);
  // Makes the session ring for its next request; the caller takes it out of polled_. False, and
  // nothing has changed, when it has published something. One session at a time, since what
  // PrepareToSleep() costs grows with the square of its watches.
  bool AnnounceSleep(Served& served);
  // Polls the sessions whose bells have rung, after waiting for one.
  void Listen(int timeout_ms);
  // Takes a step through the touch buffers of all sessions, about as long as a few requests. True
  // when that completes a drain.
  bool DrainTouches();
  // All pins of all sessions (PinSource). Those of a session that has gone count no more.
  void VisitPins(const See& see) const override;
  // Lets segments go that waited for pins, and says when some were taken from theirs.
  void ReviewPins(std::uint64_t now);

  StoreConfig config_;
  LimitsConfig limits_;
  const module::MethodRegistry* methods_;
  OnGone on_gone_;
  cache::Store store_;
  std::unique_ptr<cache::StoreWriter> writer_;
  NamespaceNames names_;

  UniqueFd epoll_;
  UniqueFd wake_;  // eventfd: commands are waiting
  std::thread thread_;
  std::mutex mutex_;
  std::vector<Command> commands_;  // guarded by mutex_
  Atomic<std::uint32_t> has_commands_{0};
  Atomic<std::uint32_t> stopping_{0};
  Atomic<std::uint64_t> operations_{0};

  // Of the writer thread alone.
  ChannelServer::Scratch scratch_;
  LeaseTable leases_;  // outlives the channels
  std::map<std::uint64_t, Served> sessions_;
  std::vector<Served*> polled_;
  std::vector<ipc::Watch> watches_;
  SpinPolicy spin_;
  // Where the drain of the touch buffers stands: the session to go on with, its channel, and how
  // many channels this drain has left.
  std::uint64_t drain_session_ = 0;
  std::uint32_t drain_channel_ = 0;
  std::uint32_t drain_left_ = 0;
  std::uint64_t revoked_ = 0;  // segments, as far as it has been logged
  LogLimit revoked_log_{10, 10'000'000'000};
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_STORE_SERVICE_H_
