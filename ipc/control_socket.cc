#include "ipc/control_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/check.h"

namespace hearth::ipc {
namespace {

constexpr int kBacklog = 128;

Result<sockaddr_un> Address(const std::string& path) {
  if (path.empty()) return Error(Code::kInvalidArgument, "the socket path is empty");
  if (path.size() > kMaxSocketPathBytes)
    return Error(Code::kInvalidArgument,
                 "the socket path has {} bytes, at most {} are possible: '{}'", path.size(),
                 kMaxSocketPathBytes, path);
  if (path.find('\0') != std::string::npos)
    return Error(Code::kInvalidArgument, "the socket path contains a zero byte");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int ConnectTo(int fd, const sockaddr_un& address) {
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

Result<int> SocketOption(int fd, int option, std::string_view what) {
  int value = 0;
  socklen_t size = sizeof(value);
  if (::getsockopt(fd, SOL_SOCKET, option, &value, &size) != 0) return ErrnoStatus(errno, what);
  return value;
}

Status SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
    return ErrnoStatus(errno, "cannot make the control socket non-blocking");
  return Status::Ok();
}

Status CheckType(int fd) {
  HEARTH_ASSIGN(const int domain, SocketOption(fd, SO_DOMAIN, "not a socket"));
  HEARTH_ASSIGN(const int type, SocketOption(fd, SO_TYPE, "not a socket"));
  if (domain != AF_UNIX || type != SOCK_SEQPACKET)
    return Error(Code::kFailedPrecondition,
                 "the descriptor is not a Unix socket of type SOCK_SEQPACKET");
  return Status::Ok();
}

// What a failed connect() to `path` means for a person.
Status ConnectStatus(int error_number, const std::string& path) {
  struct stat info {};
  const bool found = ::stat(path.c_str(), &info) == 0;
  switch (error_number) {
    case ENOENT:
      return Error(Code::kUnavailable, "hearthd is not running: there is no socket '{}'", path);
    case ENOTDIR:
      return Error(Code::kFailedPrecondition, "'{}' lies below something that is no directory",
                   path);
    case ECONNREFUSED:
      if (found && !S_ISSOCK(info.st_mode))
        return Error(Code::kFailedPrecondition, "'{}' is not a socket", path);
      return Error(Code::kUnavailable, "hearthd is not running: nobody listens on '{}'", path);
    case EPROTOTYPE:
      return Error(Code::kFailedPrecondition,
                   "'{}' is a socket of another type: some other program listens there", path);
    case EACCES:
    case EPERM:
      if (!found)
        return Error(Code::kPermissionDenied,
                     "this user (uid {}) may not enter the directory of '{}'; see the directory's "
                     "owner, group and mode",
                     ::geteuid(), path);
      return Error(Code::kPermissionDenied,
                   "this user (uid {}) may not connect to '{}'; see the socket's owner, group and "
                   "mode",
                   ::geteuid(), path);
    case EAGAIN:
    case EINPROGRESS:
      return Error(Code::kDeadlineExceeded, "hearthd did not accept a connection to '{}' in time",
                   path);
    default: return ErrnoStatus(error_number, fmt::format("cannot connect to '{}'", path));
  }
}

// Room for the ancillary data of kMaxDescriptors descriptors.
struct alignas(cmsghdr) AncillaryBuffer {
  char bytes[CMSG_SPACE(sizeof(int) * kMaxDescriptors)] = {};
};

std::vector<UniqueFd> TakeDescriptors(const msghdr& message) {
  std::vector<UniqueFd> taken;
  auto* mutable_message = const_cast<msghdr*>(&message);
  for (cmsghdr* part = CMSG_FIRSTHDR(mutable_message); part != nullptr;
       part = CMSG_NXTHDR(mutable_message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      taken.emplace_back(fd);
    }
  }
  return taken;
}

bool PeerGone(int error_number) {
  return error_number == EPIPE || error_number == ECONNRESET || error_number == ENOTCONN ||
         error_number == ECONNREFUSED;
}

}  // namespace

// ---------------------------------------------------------------------------------- ControlSocket
Result<ControlSocket> ControlSocket::Connect(const std::string& path,
                                             std::chrono::milliseconds timeout) {
  HEARTH_ASSIGN(const sockaddr_un address, Address(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot create a socket");
  // connect() on a Unix socket waits for the backlog as long as SO_SNDTIMEO says; 0 would mean
  // without limit.
  if (timeout.count() <= 0) timeout = std::chrono::milliseconds(1);
  timeval limit{};
  limit.tv_sec = timeout.count() / 1000;
  limit.tv_usec = (timeout.count() % 1000) * 1000;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
    return ErrnoStatus(errno, "cannot limit the time of a connect");
  int rc = 0;
  do {
    rc = ConnectTo(fd.get(), address);
  } while (rc != 0 && errno == EINTR);
  if (rc != 0) return ConnectStatus(errno, path);
  return Adopt(std::move(fd));
}

Result<ControlSocket> ControlSocket::Adopt(UniqueFd fd) {
  HEARTH_TRY(CheckType(fd.get()));
  HEARTH_TRY(SetNonBlocking(fd.get()));
  return ControlSocket(std::move(fd));
}

Result<bool> ControlSocket::Send(std::string_view bytes, std::span<const int> descriptors) {
  HEARTH_CHECK(!bytes.empty() && bytes.size() <= kMaxPacketBytes);
  HEARTH_CHECK(descriptors.size() <= kMaxDescriptors);
  iovec data{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  AncillaryBuffer ancillary;
  if (!descriptors.empty()) {
    message.msg_control = ancillary.bytes;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return true;
  if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
  if (PeerGone(errno)) return Error(Code::kUnavailable, "the control connection was closed");
  return ErrnoStatus(errno, "cannot send on the control connection");
}

Result<Received> ControlSocket::Receive(Packet* packet, std::size_t max_descriptors) {
  HEARTH_CHECK(max_descriptors <= kMaxDescriptors);
  // 64 KiB on the stack, so that the string gets only what came.
  std::array<char, kMaxPacketBytes> buffer;
  iovec data{buffer.data(), buffer.size()};
  AncillaryBuffer ancillary;
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = ancillary.bytes;
  message.msg_controllen = sizeof(ancillary.bytes);
  ssize_t got = 0;
  // A peer that closes with unread packets resets the connection. That is reported once, and before
  // the packets it has sent, such as the reason for closing.
  do {
    got = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Received::kNothingYet;
    if (PeerGone(errno)) return Received::kClosed;
    return ErrnoStatus(errno, "cannot receive on the control connection");
  }
  // Taken in any case, so that what is refused is closed.
  packet->descriptors = TakeDescriptors(message);
  packet->bytes.clear();
  if (got == 0) {
    packet->descriptors.clear();
    return Received::kClosed;
  }
  const bool too_many =
      (message.msg_flags & MSG_CTRUNC) != 0 || packet->descriptors.size() > max_descriptors;
  const bool too_long = (message.msg_flags & MSG_TRUNC) != 0;
  if (too_many || too_long) packet->descriptors.clear();
  if (too_long)
    return Error(Code::kInvalidArgument, "a control packet has more than {} bytes",
                 kMaxPacketBytes);
  if (too_many)
    return Error(Code::kInvalidArgument, "a control packet carries more than {} descriptors",
                 max_descriptors);
  packet->bytes.assign(buffer.data(), static_cast<std::size_t>(got));
  return Received::kPacket;
}

Result<PeerCredentials> ControlSocket::Peer() const {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return ErrnoStatus(errno, "cannot read the peer's credentials");
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

// -------------------------------------------------------------------------------- ControlListener
Result<UniqueFd> LockSocketPath(const std::string& path) {
  const std::string lock_path = path + ".lock";
  // Not truncated when opened: the pid in it belongs to the holder until the lock is ours.
  UniqueFd fd(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid())
    return ErrnoStatus(errno, fmt::format("cannot open the lock file '{}'", lock_path));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, fmt::format("cannot lock '{}'", lock_path));
    char text[24] = {};
    const ssize_t got = ::pread(fd.get(), text, sizeof(text) - 1, 0);
    const std::string holder(text, got > 0 ? static_cast<std::size_t>(got) : 0);
    return Error(Code::kAlreadyExists, "another hearthd (pid {}) already serves '{}'",
                 holder.empty() ? "unknown" : holder.substr(0, holder.find('\n')), path);
  }
  // For the message above only, so a failure to write changes nothing.
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd.get(), 0) == 0 && ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0)
    static_cast<void>(::ftruncate(fd.get(), 0) == 0);
  return fd;
}

namespace {

// Makes sure that nothing lies at the path. The caller holds the lock.
Status ClearPath(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return Status::Ok();
    return ErrnoStatus(errno, fmt::format("cannot look at '{}'", path));
  }
  if (!S_ISSOCK(info.st_mode))
    return Error(Code::kFailedPrecondition,
                 "'{}' exists and is not a socket; it is left alone, remove it or choose another "
                 "path",
                 path);
  // The lock keeps other daemons away, but not other programs, nor a socket that a service manager
  // listens on.
  UniqueFd probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return ErrnoStatus(errno, "cannot create a socket");
  if (ConnectTo(probe.get(), address) == 0 || errno != ECONNREFUSED)
    return Error(Code::kAlreadyExists, "somebody already listens on '{}'", path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return ErrnoStatus(errno, fmt::format("cannot remove the stale socket '{}'", path));
  return Status::Ok();
}

}  // namespace

Result<ControlListener> ControlListener::Bind(const std::string& path, mode_t mode) {
  HEARTH_ASSIGN(const sockaddr_un address, Address(path));
  ControlListener listener;
  HEARTH_ASSIGN(listener.lock_, LockSocketPath(path));
  HEARTH_TRY(ClearPath(path, address));
  listener.fd_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.fd_.valid()) return ErrnoStatus(errno, "cannot create a socket");
  if (::bind(listener.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return ErrnoStatus(errno, fmt::format("cannot bind '{}'", path));
  listener.path_ = path;
  // Nobody can connect before listen(), so there is no moment with a wider mode.
  if (::chmod(path.c_str(), mode) != 0)
    return ErrnoStatus(errno, fmt::format("cannot set the mode of '{}'", path));
  if (::listen(listener.fd_.get(), kBacklog) != 0)
    return ErrnoStatus(errno, fmt::format("cannot listen on '{}'", path));
  return listener;
}

Result<ControlListener> ControlListener::Adopt(UniqueFd fd) {
  HEARTH_TRY(CheckType(fd.get()));
  HEARTH_ASSIGN(const int listening, SocketOption(fd.get(), SO_ACCEPTCONN, "not a socket"));
  if (listening == 0)
    return Error(Code::kFailedPrecondition, "the socket that was passed does not listen");
  HEARTH_TRY(SetNonBlocking(fd.get()));
  ControlListener listener;
  listener.fd_ = std::move(fd);
  return listener;
}

Result<std::optional<ControlSocket>> ControlListener::Accept() {
  UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd.valid()) {
    HEARTH_ASSIGN(ControlSocket socket, ControlSocket::Adopt(std::move(fd)));
    return std::optional<ControlSocket>(std::move(socket));
  }
  switch (errno) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED: return std::optional<ControlSocket>();
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
      return Error(Code::kResourceExhausted, "cannot accept a connection: {}",
                   std::strerror(errno));
    default: return ErrnoStatus(errno, "cannot accept a connection");
  }
}

void ControlListener::Unlink() {
  if (!path_.empty()) ::unlink(path_.c_str());
  path_.clear();
}

}  // namespace hearth::ipc
