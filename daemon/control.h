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
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <systemd/sd-event.h>

#include "core/base/status.h"
#include "core/module/method_registry.h"
#include "daemon/config.h"
#include "daemon/event_source.h"
#include "daemon/policy.h"
#include "daemon/session.h"
#include "daemon/store_service.h"
#include "ipc/control_message.h"
#include "ipc/control_socket.h"

namespace hearth::daemon {

// Runs on one thread, the one that runs the event loop; ReportBroken alone is thread-safe.
// No peer can make it wait: sockets are non-blocking, answers queue up to a limit.
class Control {
 public:
  struct Environment {
    const Config* config;
    const Policy* policy;
    const module::MethodRegistry* methods;
    const std::vector<std::unique_ptr<StoreService>>* stores;
    std::uint64_t started_at_ns;
  };

  // `listener` is served from now on by `loop`, which must outlive the result.
  static Result<std::unique_ptr<Control>> Create(const Environment& environment, sd_event* loop,
                                                 ipc::ControlListener listener);
  ~Control();

  // From a writer thread: the session broke its rings and is served no more.
  void ReportBroken(std::uint64_t session_id, const Status& why);

  // Accepts nobody any more.
  void StopListening();
  // Tells every client why, as far as its socket takes it, and closes.
  void EndAll(const Status& why);

 private:
  // A connected socket; with a session after a handshake that asked for channels.
  struct Connection {
    explicit Connection(ipc::ControlSocket connected) : socket(std::move(connected)) {}
    std::uint64_t id = 0;  // the session's id as well
    ipc::ControlSocket socket;
    EventSource source;
    Peer peer;
    bool greeted = false;
    Rights rights;
    std::string client_name;
    StoreService* store = nullptr;     // where a handshake has attached it
    std::shared_ptr<Session> session;  // null without channels
    struct Outgoing {
      std::string bytes;
      std::vector<int> descriptors;  // owned by session and store
    };
    std::deque<Outgoing> outgoing;  // what the socket has not taken yet
  };

  Control(const Environment& environment, sd_event* loop, ipc::ControlListener listener);
  Status Init();

  void OnAccept();
  void AddConnection(ipc::ControlSocket socket);
  void OnConnection(std::uint64_t id, std::uint32_t events);
  void OnBroken();

  static ipc::ServerMessage Message(std::uint32_t request_id,
                                    decltype(ipc::ServerMessage::body) body);
  // False when the connection is over and gone.
  bool Receive(Connection& connection);
  bool Dispatch(Connection& connection, const ipc::ClientMessage& message);
  bool Greet(Connection& connection, std::uint32_t request_id, const ipc::Hello& hello);
  bool Answer(Connection& connection, ipc::ServerMessage message,
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
  Result<ipc::StatusReport> Report(const Connection& connection) const;
  std::optional<std::uint16_t> TakeOrigin();

  // Ends a connection: `ended` if there is a reason to tell, log line, session removed, closed.
  void End(std::uint64_t id, const Status& why, bool tell);

  Environment environment_;
  sd_event* loop_;
  std::optional<ipc::ControlListener> listener_;
  EventSource accept_source_;
  EventSource retry_source_;
  UniqueFd broken_event_;
  EventSource broken_source_;
  std::map<std::uint64_t, Connection> connections_;
  std::map<uid_t, std::uint32_t> sessions_of_uid_;
  std::uint32_t session_count_ = 0;
  std::uint64_t next_id_ = 1;
  static constexpr std::size_t kOrigins = 65536;
  std::vector<bool> origins_;  // taken ones; 0 is the daemon's own
  std::uint32_t next_origin_ = 1;
  bool told_shared_uid_ = false;
  bool out_of_descriptors_ = false;

  std::mutex mutex_;
  std::vector<std::pair<std::uint64_t, Status>> broken_;  // guarded by mutex_
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_CONTROL_H_
