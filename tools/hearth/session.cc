#include "tools/hearth/session.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "core/cache/format.h"
#include "core/cache/reader.h"
#include "ipc/client/session.h"
#include "ipc/control_socket.h"

namespace hearth::cli {
namespace {

constexpr const char* kSystemSocket = "/run/hearth/hearthd.sock";

std::string UserSocket() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (::geteuid() == 0 || runtime == nullptr || *runtime != '/') return "";
  return fmt::format("{}/hearth/hearthd.sock", runtime);
}

std::string SocketOf(const GlobalOptions& global) {
  return global.socket.empty() ? DefaultSocket() : global.socket;
}

std::chrono::milliseconds ConnectTimeout(const GlobalOptions& global) {
  return std::max(std::chrono::milliseconds(1),
                  std::chrono::duration_cast<std::chrono::milliseconds>(global.timeout));
}

constexpr const char* kNameSocket = "name hearthd's socket with --socket or HEARTH_SOCKET";

std::string HowToStart(const GlobalOptions& global) {
  if (!global.socket.empty())
    return fmt::format(
        "start it with 'hearthd --socket {}', or name another socket with --socket or "
        "HEARTH_SOCKET",
        global.socket);
  const std::string user = UserSocket();
  if (!user.empty() && user != DefaultSocket())
    return fmt::format("nor is there one at '{}'; start it with 'hearthd', or {}", user,
                       kNameSocket);
  return fmt::format("start it with 'hearthd', or {}", kNameSocket);
}

// What a person can do about a connection that failed; nothing where the message says enough.
// `reachable`: somebody does listen on the socket.
std::string AdviceOn(const Status& status, const GlobalOptions& global, bool reachable) {
  switch (status.code()) {
    case Code::kUnavailable:
      if (!reachable) return HowToStart(global);
      return fmt::format(
          "somebody listens on '{}': hearthd that is about to stop, see its log; or another "
          "program, then {}",
          SocketOf(global), kNameSocket);
    case Code::kFailedPrecondition:
      if (!reachable) return kNameSocket;
      return "compare 'hearth --version' with 'hearthd --version'";
    case Code::kPermissionDenied:
      if (!reachable) return "";
      return "[[policy]] rules of hearthd's configuration decide that";
    case Code::kDeadlineExceeded:
      return fmt::format(
          "it is overloaded or stands still, see its log and --timeout; or it is not hearthd that "
          "listens on '{}', then {}",
          SocketOf(global), kNameSocket);
    default: return "";
  }
}

Status Advise(const Status& status, const GlobalOptions& global) {
  // What answers does not speak the protocol.
  if (status.code() == Code::kInvalidArgument || status.code() == Code::kDataLoss)
    return Error(Code::kFailedPrecondition, "what listens on '{}' is not hearthd: {}; {}",
                 SocketOf(global), status.message(), kNameSocket);
  // Codes alone do not tell whether the path is to blame or who listens there; a second look does.
  const bool reachable = status.code() != Code::kDeadlineExceeded &&
                         ipc::ControlSocket::Connect(SocketOf(global), ConnectTimeout(global)).ok();
  const std::string advice = AdviceOn(status, global, reachable);
  if (advice.empty()) return status;
  return {status.code(), fmt::format("{}; {}", status.message(), advice)};
}

Result<std::unique_ptr<ipc::Client>> Connect(const GlobalOptions& global,
                                             ipc::ClientOptions options) {
  options.socket_path = SocketOf(global);
  options.version = HEARTH_VERSION;
  options.timeout = global.timeout;
  options.connect_timeout = ConnectTimeout(global);
  // Told apart from the same code for a peer that answers nonsense.
  if (options.socket_path.size() > ipc::kMaxSocketPathBytes)
    return Error(Code::kInvalidArgument,
                 "the socket path has {} bytes, at most {} are possible: '{}'; bind hearthd to a "
                 "shorter one",
                 options.socket_path.size(), ipc::kMaxSocketPathBytes, options.socket_path);
  auto client = ipc::Client::Connect(options);
  if (!client.ok()) return Advise(client.status(), global);
  return client;
}

Result<std::unique_ptr<ipc::Client>> ConnectForData(const GlobalOptions& global,
                                                    ipc::ClientOptions options) {
  auto client = Connect(global, std::move(options));
  if (client.ok() || client.status().code() != Code::kNotFound) return client;
  return Status(client.status().code(),
                client.status().message() + "; 'hearth status' lists the stores");
}

}  // namespace

std::string DefaultSocket() {
  const std::string user = UserSocket();
  return !user.empty() && ::access(user.c_str(), F_OK) == 0 ? user : kSystemSocket;
}

Result<std::unique_ptr<ipc::Client>> ConnectForStatus(const GlobalOptions& global,
                                                      const std::string& store) {
  ipc::ClientOptions options;
  options.name = "hearth status";
  options.store = store;
  options.data = false;
  return Connect(global, std::move(options));
}

Result<std::unique_ptr<ipc::Client>> ConnectToStore(const GlobalOptions& global,
                                                    const std::string& store,
                                                    const std::string& client_name) {
  ipc::ClientOptions options;
  options.name = client_name;
  options.store = store;
  return ConnectForData(global, std::move(options));
}

Result<Connection> ConnectTo(const GlobalOptions& global, const Place& place,
                             const std::string& client_name, std::uint32_t ring_bytes) {
  ipc::ClientOptions options;
  options.name = client_name;
  options.store = place.store;
  options.request_ring_bytes = ring_bytes;
  options.response_ring_bytes = ring_bytes;
  Connection connection;
  HEARTH_ASSIGN(connection.client, ConnectForData(global, std::move(options)));
  auto target = connection.client->OpenNamespace(place.namespace_name);
  if (!target.ok()) {
    const Status& status = target.status();
    if (status.code() != Code::kNotFound) return status;
    return Status(status.code(), status.message() +
                                     "; 'hearth namespace list' lists them, and "
                                     "'hearth namespace create' makes one");
  }
  connection.target = std::move(*target);
  return connection;
}

Result<std::uint64_t> StoreNowMs(const GlobalOptions& global, const Place& place) {
  ipc::Hello hello;
  hello.store_layout = {cache::kStoreLayoutVersion, cache::kStoreFingerprint};
  hello.client_name = "hearth cache";
  hello.store = place.store;
  HEARTH_ASSIGN(const auto session, ipc::ClientSession::Open(SocketOf(global), std::move(hello),
                                                             ConnectTimeout(global)));
  HEARTH_ASSIGN(const auto reader, cache::StoreReader::Attach(session->store_fd()));
  return reader.NowMs();
}

}  // namespace hearth::cli
