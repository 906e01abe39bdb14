// A client's session with hearthd: connect, handshake, control requests, and noticing the end.
// Internal to the client library; programs use client.h.
//
// Thread safety: one thread.
#ifndef HEARTH_IPC_CLIENT_SESSION_H_
#define HEARTH_IPC_CLIENT_SESSION_H_

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/base/status.h"
#include "ipc/control_message.h"
#include "ipc/control_socket.h"
#include "ipc/session_region.h"

namespace hearth::ipc {

// Why a session is over.
struct SessionEnd {
  Status reason;
  // hearthd said so itself (`ended`), after it had stopped executing this session's requests and
  // moved request_head past all it had executed. Without it, request_head proves nothing: a killed
  // daemon may have executed what lies behind it.
  bool orderly = false;
};

// A point on CLOCK_MONOTONIC, in ns.
using Deadline = std::uint64_t;
Deadline DeadlineAfter(std::chrono::nanoseconds timeout);

class ClientSession {
 public:
  // Connects to `path` and shakes hands. `hello.session_layout` is filled in here. Errors: those of
  // ControlSocket::Connect, the daemon's answer, kDeadlineExceeded, and kDataLoss for a Welcome
  // whose descriptors are not what it announces.
  static Result<std::unique_ptr<ClientSession>> Open(const std::string& path, Hello hello,
                                                     std::chrono::milliseconds timeout);

  const Welcome& welcome() const { return welcome_; }
  // Without channels there is neither region nor bells nor store.
  bool has_channels() const { return region_.has_value(); }
  const SessionRegion& region() const { return *region_; }
  int server_bell() const { return server_bell_.get(); }
  int client_bell(std::size_t channel) const { return client_bells_[channel].get(); }
  int store_fd() const { return store_.get(); }
  int control_fd() const { return socket_.fd(); }

  // Sends one control request and waits for its answer; an ErrorReply becomes its Status.
  Result<ServerMessage> Ask(ClientMessage request, Deadline deadline);

  // Takes what is in the socket, without waiting. Sets end() when the session is over.
  void ReadControl();
  // Ends the session from this side, because the daemon broke a rule.
  void Break(Status reason);
  const std::optional<SessionEnd>& end() const { return end_; }

 private:
  explicit ClientSession(ControlSocket socket) : socket_(std::move(socket)) {}
  Status Shake(Hello hello, Deadline deadline);
  Status TakeDescriptors(std::vector<UniqueFd> descriptors);
  Status WaitForPacket(short events, Deadline deadline);

  ControlSocket socket_;
  Welcome welcome_;
  std::optional<SessionRegion> region_;
  UniqueFd server_bell_;
  std::vector<UniqueFd> client_bells_;
  UniqueFd store_;
  std::uint32_t next_request_id_ = 1;
  std::optional<SessionEnd> end_;
  // The answer Ask() waits for, and the descriptors of a Welcome.
  std::uint32_t awaited_id_ = 0;
  std::optional<ServerMessage> answer_;
  std::vector<UniqueFd> descriptors_;
};

// poll() until one of the descriptors is ready or the deadline has passed (kDeadlineExceeded).
Status PollUntil(std::span<pollfd> descriptors, Deadline deadline);

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_CLIENT_SESSION_H_
