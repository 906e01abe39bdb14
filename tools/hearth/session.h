// What all commands share: the global options, and connecting with them.
//
// Thread safety: one thread.
#ifndef HEARTH_TOOLS_HEARTH_SESSION_H_
#define HEARTH_TOOLS_HEARTH_SESSION_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/status.h"
#include "ipc/client/client.h"

namespace hearth::cli {

struct GlobalOptions {
  std::string socket;  // empty: DefaultSocket()
  std::chrono::nanoseconds timeout = std::chrono::seconds(5);
  bool json = false;
};

// Where a command that works on keys works.
struct Place {
  std::string store;  // empty: the default store
  std::string namespace_name = "default";
};

// For users other than root $XDG_RUNTIME_DIR/hearth/hearthd.sock if that exists, else
// /run/hearth/hearthd.sock.
std::string DefaultSocket();

struct Connection {
  std::unique_ptr<ipc::Client> client;
  ipc::NamespaceInfo target;
};

// A connection that can ask for status and change namespaces, and holds no entries.
Result<std::unique_ptr<ipc::Client>> ConnectForStatus(const GlobalOptions& global,
                                                      const std::string& store = "");

// A session that can read a store (empty: hearthd's first) and has no namespace opened.
Result<std::unique_ptr<ipc::Client>> ConnectToStore(const GlobalOptions& global,
                                                    const std::string& store,
                                                    const std::string& client_name);

// A session with a namespace opened. `ring_bytes` 0 for the daemon's default. Messages of errors
// say what to do: how to start hearthd, where namespaces are listed.
Result<Connection> ConnectTo(const GlobalOptions& global, const Place& place,
                             const std::string& client_name, std::uint32_t ring_bytes = 0);

// The store's clock now, in which the expiries of its entries are stated.
Result<std::uint64_t> StoreNowMs(const GlobalOptions& global, const Place& place);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_SESSION_H_
