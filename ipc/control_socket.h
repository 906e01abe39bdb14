// The control socket as a carrier of packets: a SOCK_SEQPACKET Unix socket with a path, descriptors
// in both directions, and never a blocking call after connect. What the packets say is in
// control_message.h.
//
// Thread safety: one thread at a time per object.
#ifndef HEARTH_IPC_CONTROL_SOCKET_H_
#define HEARTH_IPC_CONTROL_SOCKET_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "core/base/status.h"
#include "ipc/session_layout.h"

namespace hearth::ipc {

inline constexpr std::size_t kMaxPacketBytes = 65536;
// sockaddr_un holds 108 bytes, the last of which is 0.
inline constexpr std::size_t kMaxSocketPathBytes = 107;
// What Welcome carries at most: region, server doorbell, store, one doorbell for each channel.
inline constexpr std::size_t kMaxDescriptors = 3 + kMaxChannels;

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct Packet {
  std::string bytes;
  std::vector<UniqueFd> descriptors;
};

// What one call of ControlSocket::Receive found.
enum class Received { kPacket, kNothingYet, kClosed };

class ControlSocket {
 public:
  // Connects, waiting at most `timeout` for a place in the daemon's backlog. The codes tell apart
  // what a person can do about it:
  //   kInvalidArgument     the path has more than 107 bytes (or none)
  //   kUnavailable         hearthd is not running: no socket, or nobody listens on it
  //   kPermissionDenied    this user may not connect
  //   kFailedPrecondition  what lies there is no socket, or one of another type
  //   kDeadlineExceeded    it did not accept in time
  static Result<ControlSocket> Connect(const std::string& path, std::chrono::milliseconds timeout);
  // Takes a connected socket (of socketpair, in tests). It is made non-blocking.
  static Result<ControlSocket> Adopt(UniqueFd fd);

  // Sends one packet with copies of `descriptors`. False when the peer's queue is full: keep the
  // packet and wait until the socket is writable. kUnavailable when the peer has gone.
  // REQUIRES: 1..kMaxPacketBytes bytes, at most kMaxDescriptors descriptors.
  Result<bool> Send(std::string_view bytes, std::span<const int> descriptors = {});

  // Receives one packet. Descriptors arrive close-on-exec. kInvalidArgument when the packet was
  // longer than kMaxPacketBytes or carried more than `max_descriptors` (all of them are closed
  // then); the connection is of no further use. An empty packet, which no message is, counts as
  // closed.
  Result<Received> Receive(Packet* packet, std::size_t max_descriptors);

  // As of connect(), from the kernel.
  Result<PeerCredentials> Peer() const;

  int fd() const { return fd_.get(); }
  UniqueFd Release() { return std::move(fd_); }

 private:
  explicit ControlSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

class ControlListener {
 public:
  // Binds and listens. Holds a lock on `path`.lock as long as it lives, so that there is one daemon
  // for each path:
  //   kAlreadyExists       another process holds the lock or listens on the socket
  //   kFailedPrecondition  something that is not a socket lies at the path; it is left alone
  //   kInvalidArgument     the path is too long
  // A socket that nobody listens on is replaced. `mode` is the socket's file mode: connecting needs
  // write permission.
  static Result<ControlListener> Bind(const std::string& path, mode_t mode);

  // Takes a listening socket from a service manager or an earlier life, after checking that it is
  // one of the right type (kFailedPrecondition otherwise). No lock: whoever passed it owns the
  // path.
  static Result<ControlListener> Adopt(UniqueFd fd);

  // The next connection; nothing when none is waiting, or when it was gone before it was taken.
  // kResourceExhausted when this process is out of descriptors or memory: the connection stays in
  // the backlog, and the socket stays readable.
  Result<std::optional<ControlSocket>> Accept();

  // Removes the socket file, if it was bound here. Left to the owner, since a socket that is handed
  // to the next life must stay. The lock file always stays: removing it would race with a locker.
  void Unlink();

  int fd() const { return fd_.get(); }

 private:
  ControlListener() = default;
  UniqueFd fd_;
  UniqueFd lock_;
  std::string path_;  // empty when adopted
};

// Locks `path`.lock for this process. kAlreadyExists when another process has it; the message names
// its pid where known. The lock ends with the descriptor.
Result<UniqueFd> LockSocketPath(const std::string& path);

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_CONTROL_SOCKET_H_
