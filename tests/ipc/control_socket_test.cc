#include "ipc/control_socket.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <doctest/doctest.h>

#include "tests/support/child_process.h"

namespace hearth::ipc {
namespace {

using hearth::testing::ChildProcess;
using std::chrono_literals::operator""ms;

// A directory of its own that is removed with what the tests put there.
class TestDirectory {
 public:
  TestDirectory() {
    char name[] = "/tmp/hearth-socket-XXXXXX";
    HEARTH_CHECK(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~TestDirectory() {
    for (const char* name : {"/s", "/s.lock"}) ::unlink((path_ + name).c_str());
    ::rmdir(path_.c_str());
  }
  std::string socket() const { return path_ + "/s"; }

 private:
  std::string path_;
};

Code ConnectCode(const std::string& path) {
  return ControlSocket::Connect(path, 1000ms).status().code();
}

struct SocketPair {
  SocketPair() {
    int ends[2];
    HEARTH_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    a.emplace(ControlSocket::Adopt(UniqueFd(ends[0])).value());
    b.emplace(ControlSocket::Adopt(UniqueFd(ends[1])).value());
  }
  std::optional<ControlSocket> a;
  std::optional<ControlSocket> b;
};

int OpenDescriptors() {
  int count = 0;
  for (int fd = 0; fd < 1024; ++fd)
    if (::fcntl(fd, F_GETFD) >= 0) ++count;
  return count;
}

UniqueFd BindPlain(const std::string& path, int type) {
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  HEARTH_CHECK(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  return fd;
}

// --------------------------------------------------------------------------------------- packets
TEST_CASE("control socket: packets keep their borders, and know their peer") {
  TestDirectory directory;
  ControlListener listener = ControlListener::Bind(directory.socket(), 0600).value();
  CHECK_FALSE(listener.Accept().value().has_value());
  ControlSocket client = ControlSocket::Connect(directory.socket(), 1000ms).value();
  std::optional<ControlSocket> server = listener.Accept().value();
  REQUIRE(server.has_value());
  Packet packet;
  CHECK(server->Receive(&packet, 0).value() == Received::kNothingYet);
  REQUIRE(client.Send("one").value());
  REQUIRE(client.Send("two!").value());
  CHECK(server->Receive(&packet, 0).value() == Received::kPacket);
  CHECK(packet.bytes == "one");
  CHECK(server->Receive(&packet, 0).value() == Received::kPacket);
  CHECK(packet.bytes == "two!");
  const PeerCredentials peer = server->Peer().value();
  CHECK(peer.pid == ::getpid());
  CHECK(peer.uid == ::getuid());
  { ControlSocket gone = std::move(client); }
  CHECK(server->Receive(&packet, 0).value() == Received::kClosed);
  const Result<bool> sent = server->Send("late");
  REQUIRE_FALSE(sent.ok());
  CHECK(sent.status().code() == Code::kUnavailable);
}

TEST_CASE("control socket: packets of the greatest length, and longer") {
  SocketPair pair;
  const std::string longest(kMaxPacketBytes, 'x');
  REQUIRE(pair.a->Send(longest).value());
  Packet packet;
  CHECK(pair.b->Receive(&packet, 0).value() == Received::kPacket);
  CHECK(packet.bytes == longest);
  const std::string longer(kMaxPacketBytes + 1, 'x');
  REQUIRE(::send(pair.a->fd(), longer.data(), longer.size(), 0) ==
          static_cast<ssize_t>(longer.size()));
  CHECK(pair.b->Receive(&packet, 0).status().code() == Code::kInvalidArgument);
}

TEST_CASE("control socket: a peer that does not read never blocks the sender") {
  SocketPair pair;
  // A hostile peer cannot make this end blocking: the flag belongs to each end.
  REQUIRE(::fcntl(pair.b->fd(), F_SETFL, 0) == 0);
  int sent = 0;
  while (pair.a->Send(std::string(1000, 'x')).value()) ++sent;
  CHECK(sent > 0);
  Packet packet;
  CHECK(pair.b->Receive(&packet, 0).value() == Received::kPacket);
  CHECK(pair.a->Send("again").value());
}

TEST_CASE("control socket: descriptors arrive close-on-exec and in order") {
  SocketPair pair;
  const int before = OpenDescriptors();
  {
    const UniqueFd event = MakeEventFd().value();
    const Pipe pipe = MakePipe().value();
    const int sent[] = {event.get(), pipe.read_end.get()};
    REQUIRE(pair.a->Send("fds", sent).value());
    Packet packet;
    CHECK(pair.b->Receive(&packet, kMaxDescriptors).value() == Received::kPacket);
    REQUIRE(packet.descriptors.size() == 2);
    for (const UniqueFd& fd : packet.descriptors)
      CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    RingPipe(pipe.write_end.get());
    char byte = 0;
    CHECK(::read(packet.descriptors[1].get(), &byte, 1) == 1);
  }
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("control socket: more descriptors than allowed are refused and closed") {
  SocketPair pair;
  const UniqueFd event = MakeEventFd().value();
  const int before = OpenDescriptors();
  std::vector<int> many(200, event.get());
  // By hand: Send() itself would not send so many.
  char byte = 'x';
  iovec data{&byte, 1};
  std::vector<char> control(CMSG_SPACE(many.size() * sizeof(int)));
  std::size_t allowed = 0;
  SUBCASE("one where none is allowed") { many.resize(1); }
  SUBCASE("one more than allowed") {
    allowed = 3;
    many.resize(4);
  }
  SUBCASE("as many as there is room for, and one") {
    allowed = kMaxDescriptors;
    many.resize(kMaxDescriptors + 1);
  }
  SUBCASE("hundreds") { allowed = kMaxDescriptors; }
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(many.size() * sizeof(int));
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(many.size() * sizeof(int));
  std::memcpy(CMSG_DATA(part), many.data(), many.size() * sizeof(int));
  REQUIRE(::sendmsg(pair.a->fd(), &message, 0) == 1);
  Packet packet;
  CHECK(pair.b->Receive(&packet, allowed).status().code() == Code::kInvalidArgument);
  CHECK(packet.descriptors.empty());
  CHECK(OpenDescriptors() == before);
}

// ---------------------------------------------------------------------------------- reaching it
TEST_CASE("connect: what is wrong is said in different codes") {
  TestDirectory directory;
  const std::string path = directory.socket();
  SUBCASE("nothing there") { CHECK(ConnectCode(path) == Code::kUnavailable); }
  SUBCASE("nobody listens") {
    { const UniqueFd bound = BindPlain(path, SOCK_SEQPACKET); }
    CHECK(ConnectCode(path) == Code::kUnavailable);
  }
  SUBCASE("a socket of another type") {
    const UniqueFd bound = BindPlain(path, SOCK_STREAM);
    REQUIRE(::listen(bound.get(), 1) == 0);
    CHECK(ConnectCode(path) == Code::kFailedPrecondition);
  }
  SUBCASE("not a socket") {
    std::ofstream(path) << "text";
    CHECK(ConnectCode(path) == Code::kFailedPrecondition);
  }
  SUBCASE("a path too long") {
    CHECK(ConnectCode("/tmp/" + std::string(103, 'x')) == Code::kInvalidArgument);
    CHECK(ConnectCode("/tmp/" + std::string(102, 'x')) == Code::kUnavailable);  // 107 bytes
    CHECK(ConnectCode("") == Code::kInvalidArgument);
    CHECK(ControlListener::Bind("/tmp/" + std::string(103, 'x'), 0600).status().code() ==
          Code::kInvalidArgument);
  }
  SUBCASE("a full backlog") {
    const UniqueFd bound = BindPlain(path, SOCK_SEQPACKET);
    REQUIRE(::listen(bound.get(), 0) == 0);
    ControlSocket first = ControlSocket::Connect(path, 1000ms).value();
    CHECK(ControlSocket::Connect(path, 1ms).status().code() == Code::kDeadlineExceeded);
  }
}

TEST_CASE("connect: without permission") {
  if (::geteuid() == 0) {
    // root may connect to everything, so a child becomes somebody else.
    TestDirectory directory;
    ControlListener listener = ControlListener::Bind(directory.socket(), 0600).value();
    const std::string parent = directory.socket().substr(0, directory.socket().size() - 2);
    REQUIRE(::chmod(parent.c_str(), 0755) == 0);
    auto child = ChildProcess::Fork([&](hearth::testing::Channel&) {
      if (::setuid(65534) != 0) return 1;
      return ConnectCode(directory.socket()) == Code::kPermissionDenied ? 0 : 2;
    });
    REQUIRE(child.ok());
    CHECK(child->Wait() == 0);
  } else {
    TestDirectory directory;
    ControlListener listener = ControlListener::Bind(directory.socket(), 0000).value();
    CHECK(ConnectCode(directory.socket()) == Code::kPermissionDenied);
  }
}

// --------------------------------------------------------------------------------------- binding
TEST_CASE("bind: the socket has its mode from the first moment on") {
  TestDirectory directory;
  ControlListener listener = ControlListener::Bind(directory.socket(), 0660).value();
  struct stat info {};
  REQUIRE(::stat(directory.socket().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0660);
  listener.Unlink();
  CHECK(::stat(directory.socket().c_str(), &info) != 0);
}

TEST_CASE("bind: a second daemon on the same path is told who is there") {
  TestDirectory directory;
  auto child = ChildProcess::Fork([&](hearth::testing::Channel& channel) {
    auto listener = ControlListener::Bind(directory.socket(), 0600);
    channel.Send(listener.ok());
    char wait = 0;
    channel.Receive(&wait);
    return 0;
  });
  REQUIRE(child.ok());
  bool bound = false;
  REQUIRE(child->channel().Receive(&bound));
  REQUIRE(bound);
  const auto second = ControlListener::Bind(directory.socket(), 0600);
  REQUIRE_FALSE(second.ok());
  CHECK(second.status().code() == Code::kAlreadyExists);
  CHECK(second.status().message().find(std::to_string(child->pid())) != std::string::npos);
  // Killed, it leaves a socket and a lock file behind that stop nobody.
  child->Kill(SIGKILL);
  CHECK(child->Wait() == -SIGKILL);
  CHECK(ControlListener::Bind(directory.socket(), 0600).ok());
}

TEST_CASE("bind: a stale socket is replaced, a listening one and other files are not") {
  TestDirectory directory;
  const std::string path = directory.socket();
  SUBCASE("stale") {
    { const UniqueFd bound = BindPlain(path, SOCK_SEQPACKET); }
    ControlListener listener = ControlListener::Bind(path, 0600).value();
    CHECK(ControlSocket::Connect(path, 1000ms).ok());
  }
  SUBCASE("listening, without the lock") {
    const UniqueFd bound = BindPlain(path, SOCK_SEQPACKET);
    REQUIRE(::listen(bound.get(), 1) == 0);
    CHECK(ControlListener::Bind(path, 0600).status().code() == Code::kAlreadyExists);
    CHECK(ControlSocket::Connect(path, 1000ms).ok());
  }
  SUBCASE("listening, of another type") {
    const UniqueFd bound = BindPlain(path, SOCK_STREAM);
    REQUIRE(::listen(bound.get(), 1) == 0);
    CHECK(ControlListener::Bind(path, 0600).status().code() == Code::kAlreadyExists);
  }
  SUBCASE("a file") {
    std::ofstream(path) << "precious";
    CHECK(ControlListener::Bind(path, 0600).status().code() == Code::kFailedPrecondition);
    std::string text;
    std::ifstream(path) >> text;
    CHECK(text == "precious");
  }
  SUBCASE("a link to a socket") {
    REQUIRE(::symlink("/nowhere", path.c_str()) == 0);
    CHECK(ControlListener::Bind(path, 0600).status().code() == Code::kFailedPrecondition);
    struct stat info {};
    CHECK(::lstat(path.c_str(), &info) == 0);
  }
}

TEST_CASE("adopt: only a listening socket of the right type") {
  TestDirectory directory;
  SUBCASE("the right one") {
    UniqueFd bound = BindPlain(directory.socket(), SOCK_SEQPACKET);
    REQUIRE(::listen(bound.get(), 1) == 0);
    ControlListener listener = ControlListener::Adopt(std::move(bound)).value();
    ControlSocket client = ControlSocket::Connect(directory.socket(), 1000ms).value();
    CHECK(listener.Accept().value().has_value());
    // Not ours to remove.
    listener.Unlink();
    struct stat info {};
    CHECK(::stat(directory.socket().c_str(), &info) == 0);
  }
  SUBCASE("not listening") {
    CHECK(ControlListener::Adopt(BindPlain(directory.socket(), SOCK_SEQPACKET)).status().code() ==
          Code::kFailedPrecondition);
  }
  SUBCASE("a stream") {
    UniqueFd bound = BindPlain(directory.socket(), SOCK_STREAM);
    REQUIRE(::listen(bound.get(), 1) == 0);
    CHECK(ControlListener::Adopt(std::move(bound)).status().code() == Code::kFailedPrecondition);
  }
  SUBCASE("no socket") { CHECK_FALSE(ControlListener::Adopt(MakeEventFd().value()).ok()); }
}

TEST_CASE("accept: out of descriptors is an error that passes") {
  TestDirectory directory;
  ControlListener listener = ControlListener::Bind(directory.socket(), 0600).value();
  ControlSocket client = ControlSocket::Connect(directory.socket(), 1000ms).value();
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
  rlimit none = old;
  none.rlim_cur = 0;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto refused = listener.Accept();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().code() == Code::kResourceExhausted);
  CHECK(listener.Accept().value().has_value());
}

}  // namespace
}  // namespace hearth::ipc
