// Server: hearthd put together. main() only parses the command line.
#ifndef HEARTH_DAEMON_SERVER_H_
#define HEARTH_DAEMON_SERVER_H_

#include <memory>
#include <vector>

#include <systemd/sd-event.h>

#include "core/base/status.h"
#include "core/module/method_registry.h"
#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/event_source.h"
#include "daemon/policy.h"
#include "daemon/store_service.h"

namespace hearth::daemon {

class Server {
 public:
  // Creates socket, stores and threads. Errors say what to do about them; nothing is left behind.
  // Blocks SIGTERM, SIGINT and SIGHUP for the calling thread and all that follow.
  static Result<std::unique_ptr<Server>> Create(Config config);
  ~Server();

  // Serves until SIGTERM or SIGINT, then stops in order: no new connections, requests published so
  // far are answered, clients are told, the socket is removed.
  Status Run();

 private:
  explicit Server(Config config);
  Status Init();
  void Stop(const char* signal_name);

  struct LoopDeleter {
    void operator()(sd_event* loop) const { ::sd_event_unref(loop); }
  };

  Config config_;
  module::MethodRegistry methods_;
  std::unique_ptr<sd_event, LoopDeleter> loop_;
  std::unique_ptr<Policy> policy_;
  std::vector<std::unique_ptr<StoreService>> stores_;
  std::unique_ptr<Control> control_;
  std::vector<EventSource> signals_;
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_SERVER_H_
