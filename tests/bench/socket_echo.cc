// socket_echo: the plainest server there is, as a peer in benchmarks. A Unix stream socket, one
// thread for each connection, blocking read and write, whatever comes goes back.
//
// Usage: socket_echo PATH
// Prints "ready" once it listens. Ends with its parent, or when it is signalled.
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/core.h>

#include "core/base/fd.h"

namespace {

using hearth::UniqueFd;

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void Echo(const UniqueFd& connection) {
  char buffer[64 * 1024];
  while (true) {
    const ssize_t n = ::read(connection.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    if (!WriteAll(connection.get(), {buffer, static_cast<std::size_t>(n)})) return;
  }
}

int Fail(const char* what) {
  fmt::print(stderr, "socket_echo: {}: {}\n", what, std::strerror(errno));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (argc != 2 || std::strlen(argv[1]) >= sizeof address.sun_path) {
    fmt::print(stderr, "usage: socket_echo PATH (at most {} bytes)\n", sizeof address.sun_path - 1);
    return 2;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::memcpy(address.sun_path, argv[1], std::strlen(argv[1]));
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return Fail("socket");
  // The sockets interface takes every kind of address through this one type.
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Fail("bind");
  if (::listen(listener.get(), 128) != 0) return Fail("listen");
  fmt::print("ready\n");
  std::fflush(stdout);
  while (true) {
    UniqueFd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return Fail("accept");
    }
    std::thread([own = std::move(connection)] { Echo(own); }).detach();
  }
}
