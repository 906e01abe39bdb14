// Control: the control thread's half of hearthd. Accepts connections, shakes hands, answers control
// messages, and ends sessions.
#ifndef HEARTH_DAEMON_CONTROL_H_
#define HEARTH_DAEMON_CONTROL_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <systemd/sd-event.h>

#include "core/base/status.h"
#include "core/module/method_registry.h"
#include "daemon/config.h"
#include "daemon/event_source.h"
#include "daemon/log.h"
#include "daemon/log_limit.h"
#include "daemon/policy.h"
#include "daemon/session.h"
#include "daemon/store_service.h"
#include "daemon/users.h"
#include "ipc/control_message.h"
#include "ipc/control_socket.h"

namespace hearth::daemon {

// Runs on one thread, the one that runs the event loop; ReportGone alone is thread-safe.
// No peer can make it wait: sockets are non-blocking, answers queue up to a limit.
//
// A session ends in this order, whatever ends it: the control thread hears no more of its client;
// the writer thread lets go of it and says so; the client is told why, and its socket is closed;
// its origins, its memory and its place among the sessions are free for others.
class Control {
 public:
  struct Environment {
    const Config* config;
    const Policy* policy;
    const module::MethodRegistry* methods;
    const std::vector<std::unique_ptr<StoreService>>* stores;
    std::uint64_t started_at_ns;
    std::size_t origins = 65536;  // how many ids channels get; fewer in tests
  };

  // `listener` is served from now on by `loop`, which must outlive the result.
  static Result<std::unique_ptr<Control>> Create(const Environment& environment, sd_event* loop,
                                                 ipc::ControlListener listener);
  ~Control();

  // From a writer thread, as StoreService::OnGone: it has let go of the session.
  void ReportGone(std::uint64_t session_id, const Status& why);

  // Accepts nobody any more.
  void StopListening();
  // Tells every client why, as far as its socket takes it, and closes. REQUIRES: all stores have
  // stopped.
  void EndAll(const Status& why);

 private:
  // A connected socket; with a session after a handshake that asked for channels.
  struct Connection {
    explicit Connection(ipc::ControlSocket connected) : socket(std::move(connected)) {}
    std::uint64_t id = 0;  // the session's id as well
    ipc::ControlSocket socket;
    EventSource source;
    Peer peer;
    std::shared_ptr<User> user;
    std::uint64_t accepted_at_ns = 0;
    bool greeted = false;
    bool refused = false;  // told so already; closed once its client has read it
    Rights rights;
    std::string client_name;
    StoreService* store = nullptr;     // where a handshake has attached it
    std::shared_ptr<Session> session;  // null without channels
    struct Outgoing {
      std::string bytes;
      std::vector<int> descriptors;  // owned by session and store
    };
    std::deque<Outgoing> outgoing;  // what the socket has not taken yet
    struct Ending {
      Status why;
      bool tell;
    };
    std::optional<Ending> ending;  // waits for the writer thread to let go of the session
  };
  using Connections = std::map<std::uint64_t, Connection>;

  Control(const Environment& environment, sd_event* loop, ipc::ControlListener listener);
  Status Init();

  void OnAccept();
  void AddConnection(ipc::ControlSocket socket);
  // Tells a peer without any right that it has none, before it has said anything.
  void RefuseUnread(Connection& connection);
  std::uint64_t HelloTimeoutUs() const;
  void OnConnection(std::uint64_t id, std::uint32_t events);
  void OnGone();
  void OnHelloTimer();
  void OnLogTimer();

  static ipc::ServerMessage Message(std::uint32_t request_id,
                                    decltype(ipc::ServerMessage::body) body);
  // False when the connection is over and gone.
  bool Receive(Connection& connection);
  bool Dispatch(Connection& connection, const ipc::ClientMessage& message);
  bool Greet(Connection& connection, std::uint32_t request_id, const ipc::Hello& hello);
  bool Answer(Connection& connection, const ipc::ServerMessage& message,
              std::vector<int> descriptors = {});
  bool AnswerError(Connection& connection, std::uint32_t request_id, const Status& status);
  bool Flush(Connection& connection);

  Status CheckLimits(const Connection& connection) const;
  Result<StoreService*> FindStore(std::string_view name) const;
  Result<std::shared_ptr<Session>> MakeSession(const Connection& connection,
                                               const ipc::Hello& hello, const StoreService& store);
  std::vector<int> SessionDescriptors(const Connection& connection) const;
  Result<ipc::NamespaceInfo> OpenNamespace(const Connection& connection, const std::string& name);
  Result<ipc::MethodInfo> OpenMethod(const Connection& connection, const std::string& name);
  Result<ipc::StatusReport> Report(const Connection& connection);

  // control_namespaces.cc. A change is asked for here, made by the writer thread, and answered when
  // that has said so.
  using NamespaceRequest = StoreService::NamespaceRequest;
  static std::optional<NamespaceRequest> NamespaceChangeIn(const ipc::ClientMessage& message);
  Result<ipc::NamespaceList> ListNamespaces(const Connection& connection, std::uint16_t from_id);
  Status BeginChange(const Connection& connection, std::uint32_t request_id,
                     const NamespaceRequest& request);
  void OnChanged();

  // Logs, and is the refusal.
  Status Denied(const Connection& connection, const std::string& what);
  std::optional<std::uint16_t> TakeOrigin();

  // Ends a connection, with `ended` if there is a reason to tell. One with a session is heard no
  // more from now on, and ends when the writer thread has let go of the session.
  void End(std::uint64_t id, const Status& why, bool tell);
  // The end itself: `ended`, log line, closed, everything free. REQUIRES: no session, or one that
  // no writer thread has.
  void Finish(Connections::iterator it, const Status& why, bool tell);
  static void SendEnded(Connection& connection, const Status& why);
  void LogEnd(const Connection& connection, const Status& why);
  void FreeOrigins(const Session& session);

  // Lines that a client can bring about, no more of them than its user's limits let through. The
  // others are lines of level debug.
  void LogRefusal(User& user, std::string_view line);
  void LogComing(User& user, std::string_view line);
  void LogLimited(LogLimit& limit, Log::Level level, std::string_view line);

  Environment environment_;
  sd_event* loop_;
  std::optional<ipc::ControlListener> listener_;
  EventSource accept_source_;
  EventSource retry_source_;
  UniqueFd gone_event_;
  EventSource gone_source_;
  UniqueFd changed_event_;
  EventSource changed_source_;
  EventSource hello_timer_;
  EventSource log_timer_;
  Users users_;
  Connections connections_;
  std::set<std::uint64_t> ungreeted_;  // ids, and so in the order of their deadlines
  std::uint32_t session_count_ = 0;
  std::uint64_t next_id_ = 1;
  std::vector<bool> origins_;  // taken ones; 0 is the daemon's own
  std::uint32_t next_origin_ = 1;
  bool told_shared_uid_ = false;
  bool out_of_descriptors_ = false;
  bool log_timer_armed_ = false;
  bool stopping_ = false;

  std::mutex mutex_;
  std::vector<std::pair<std::uint64_t, Status>> gone_;  // guarded by mutex_
  // A change of a namespace that the writer thread is through with.
  struct Changed {
    std::uint64_t connection_id;
    std::uint32_t request_id;
    std::string log_line;  // empty: not worth one
    Result<ipc::NamespaceStatus> result;
  };
  std::vector<Changed> changed_;  // guarded by mutex_
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_CONTROL_H_
