// Attacks on the control socket: packets that are no messages, messages in the wrong order, clients
// that say nothing, do not listen, or ask for everything.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <variant>
#include <vector>

#include "core/base/fd.h"
#include "tests/daemon/hostile.h"

namespace hearth::testing {
namespace {

ipc::ControlSocket Connect(const Attacker& attacker) {
  return OrGiveUp(ipc::ControlSocket::Connect(attacker.socket, std::chrono::minutes(2)), "connect");
}

std::string Packet(decltype(ipc::ClientMessage::body) body, std::uint32_t request_id = 1) {
  return OrGiveUp(ipc::EncodeClientMessage({.request_id = request_id, .body = std::move(body)}),
                  "encode");
}

// Sends whatever it is, as one packet, with descriptors if wanted. False when the peer has gone.
bool SendRaw(int socket, std::string_view bytes, std::size_t descriptors = 0) {
  iovec data{const_cast<char*>(bytes.data()), bytes.size()};
  std::vector<int> passed(descriptors, 0);
  std::vector<char> control(CMSG_SPACE(sizeof(int) * descriptors));
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (descriptors > 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * descriptors);
    std::memcpy(CMSG_DATA(part), passed.data(), sizeof(int) * descriptors);
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EAGAIN) return false;
    pollfd writable{socket, POLLOUT, 0};
    ::poll(&writable, 1, -1);
  }
  return true;
}

// What the daemon says until it closes; nothing, if it does not close and does not answer a status
// request either.
std::string Told(ipc::ControlSocket& socket, bool wait_for_close = true) {
  std::string told = "closed";
  while (true) {
    ipc::Packet packet;
    const auto received = socket.Receive(&packet, ipc::kMaxDescriptors);
    if (!received.ok()) return told;
    if (*received == ipc::Received::kClosed) return told;
    if (*received == ipc::Received::kNothingYet) {
      pollfd readable{socket.fd(), POLLIN, 0};
      ::poll(&readable, 1, -1);
      continue;
    }
    const auto message = ipc::DecodeServerMessage(packet.bytes);
    if (!message.ok()) GiveUp("hearthd said something unreadable");
    if (const auto* ended = std::get_if<ipc::Ended>(&message->body)) {
      told = "ended: " + ended->reason.ToStatus().ToString();
    } else if (const auto* error = std::get_if<ipc::ErrorReply>(&message->body)) {
      told = "error: " + error->ToStatus().ToString();
    } else {
      told = "answered";
    }
    if (!wait_for_close) return told;
  }
}

// One packet on a fresh connection, and the daemon's last word.
void SayTold(const Attacker& attacker, std::string_view packet, std::size_t descriptors = 0) {
  ipc::ControlSocket socket = Connect(attacker);
  SendRaw(socket.fd(), packet, descriptors);
  Say(Told(socket));
}

void NoHello(const Attacker& attacker) {
  SayTold(attacker, Packet(ipc::OpenNamespace{"default"}));
  SayTold(attacker, Packet(ipc::StatusRequest{}));
}

void HelloTwice(const Attacker& attacker) {
  ipc::ControlSocket socket = Connect(attacker);
  SendRaw(socket.fd(), Packet(FriendlyHello()));
  if (Told(socket, false) != "answered") GiveUp("no welcome");
  SendRaw(socket.fd(), Packet(FriendlyHello()));
  Say(Told(socket));
}

void GarbagePackets(const Attacker& attacker) {
  Random random(attacker.seed);
  for (int run = 0; run < attacker.runs; ++run) {
    ipc::ControlSocket socket = Connect(attacker);
    SendRaw(socket.fd(), random.Bytes(1 + random.Below(std::uint64_t{1} << random.Below(17))));
    if (!Told(socket).starts_with("ended: INVALID_ARGUMENT")) GiveUp("garbage was not refused");
  }
}

// Good packets with a few bits turned: most are refused, some are requests, none may do harm.
void TurnedBits(const Attacker& attacker) {
  Random random(attacker.seed);
  int refused = 0;
  for (int run = 0; run < attacker.runs; ++run) {
    ipc::ControlSocket socket = Connect(attacker);
    std::string packet = Packet(FriendlyHello());
    for (std::uint64_t n = 1 + random.Below(4); n > 0; --n)
      packet[random.Below(packet.size())] ^= static_cast<char>(1U << random.Below(8));
    SendRaw(socket.fd(), packet);
    if (Told(socket, false) != "answered") ++refused;
  }
  Say(fmt::format("{} of {} refused", refused, attacker.runs));
}

void TruncatedHello(const Attacker& attacker) {
  const std::string packet = Packet(FriendlyHello());
  for (std::size_t size = 1; size < packet.size(); ++size) {
    ipc::ControlSocket socket = Connect(attacker);
    SendRaw(socket.fd(), std::string_view(packet).substr(0, size));
    if (!Told(socket).starts_with("ended: INVALID_ARGUMENT"))
      GiveUp(fmt::format("{} bytes of a hello were not refused", size));
  }
}

void OversizedPacket(const Attacker& attacker) {
  SayTold(attacker, std::string(ipc::kMaxPacketBytes + 1, 'x'));
  std::string hello = Packet(FriendlyHello());
  hello.resize(100'000);
  SayTold(attacker, hello);
}

void EmptyPacket(const Attacker& attacker) { SayTold(attacker, ""); }

void PacketWithDescriptors(const Attacker& attacker) {
  const std::string hello = Packet(FriendlyHello());
  for (const std::size_t count : {1U, 19U, 20U, 250U}) SayTold(attacker, hello, count);
}

// Asks as fast as it can and never reads an answer.
void FloodWithoutReading(const Attacker& attacker) {
  ipc::ControlSocket socket = Connect(attacker);
  SendRaw(socket.fd(), Packet(FriendlyHello(0)));
  const std::string request = Packet(ipc::OpenNamespace{"default"});
  int sent = 0;
  while (SendRaw(socket.fd(), request)) ++sent;
  Say(fmt::format("closed after {} requests", sent > 64 ? "many" : "few"));
}

void HalfClosed(const Attacker& attacker) {
  for (const int how : {SHUT_RD, SHUT_WR, SHUT_RDWR}) {
    ipc::ControlSocket socket = Connect(attacker);
    ::shutdown(socket.fd(), how);
    SendRaw(socket.fd(), Packet(FriendlyHello()));
    Joined joined = Join(attacker);
    ::shutdown(joined.session->control_fd(), how);
    joined.ring->Send(ipc::kOpPing, 0);
  }
}

// The daemon reads the first of many packets and ends the connection: the others, unread, reset it,
// and still its last word must arrive.
void ManyPacketsBeforeHello(const Attacker& attacker) {
  for (int run = 0; run < attacker.runs; ++run) {
    ipc::ControlSocket socket = Connect(attacker);
    const std::string request = Packet(ipc::OpenNamespace{"default"});
    for (int i = 0; i < 50 && SendRaw(socket.fd(), request); ++i) {
    }
    const std::string told = Told(socket);
    if (!told.starts_with("ended: INVALID_ARGUMENT: the first message")) GiveUp("told: " + told);
  }
}

// Thousands of connections that never say hello, all at once.
void SilentConnections(const Attacker& attacker) {
  std::vector<ipc::ControlSocket> sockets;
  int refused = 0;
  for (int i = 0; i < attacker.argument; ++i) {
    sockets.push_back(Connect(attacker));
    if (i % 100 == 99) {
      // Whoever is refused is told so.
      ipc::Packet packet;
      for (ipc::ControlSocket& socket : sockets) {
        const auto received = socket.Receive(&packet, 0);
        if (received.ok() && *received != ipc::Received::kNothingYet) ++refused;
      }
    }
  }
  Say(refused > 0 ? "some were refused" : "all were let in");
  AwaitEndOfInput();
}

void WrongVersions(const Attacker& attacker) {
  std::vector<ipc::Hello> wrong(5, FriendlyHello());
  wrong[0].protocol_min = wrong[0].protocol_max = 77;
  wrong[1].store_layout.version = 77;
  wrong[2].store_layout.fingerprint ^= 1;
  wrong[3].session_layout.version = 77;
  wrong[4].session_layout.fingerprint ^= 1;
  for (const ipc::Hello& hello : wrong) {
    ipc::ControlSocket socket = Connect(attacker);
    SendRaw(socket.fd(), Packet(hello));
    pollfd readable{socket.fd(), POLLIN, 0};
    ::poll(&readable, 1, -1);
    ipc::Packet packet;
    const auto received = socket.Receive(&packet, 0);
    if (!received.ok() || *received != ipc::Received::kPacket) GiveUp("no answer to a wrong hello");
    const auto message = ipc::DecodeServerMessage(packet.bytes);
    const auto* error = message.ok() ? std::get_if<ipc::ErrorReply>(&message->body) : nullptr;
    if (error == nullptr || !error->mismatch) GiveUp("no typed answer to a wrong hello");
    Say(fmt::format("{} {}: client '{}' server '{}', then {}", CodeName(error->code),
                    static_cast<int>(error->mismatch->subject), error->mismatch->client,
                    error->mismatch->server, Told(socket)));
  }
}

// Sessions until there are no more to be had.
void TakeAllSessions(const Attacker& attacker) {
  std::vector<Joined> joined;
  while (true) {
    auto session =
        ipc::ClientSession::Open(attacker.socket, FriendlyHello(), std::chrono::minutes(2));
    if (!session.ok()) {
      Say(fmt::format("refused after {}: {}", joined.size(), session.status().ToString()));
      break;
    }
    joined.push_back({.session = std::move(*session), .ring = nullptr});
  }
}

// The largest sessions there are, until no more are to be had; then a long message in one of them.
// Holds all of it until it is told to go.
void HoardMemory(const Attacker& attacker) {
  std::vector<Joined> joined;
  while (true) {
    auto session = ipc::ClientSession::Open(attacker.socket, FriendlyHello(1, ipc::kMaxRingBytes),
                                            std::chrono::minutes(2));
    if (!session.ok()) {
      Say(fmt::format("refused after {}: {}", joined.size(), session.status().ToString()));
      break;
    }
    Joined one{.session = std::move(*session), .ring = nullptr};
    one.ring = std::make_unique<RingClient>(one.session->region().channel(0), one.bell(),
                                            one.session->client_bell(0));
    joined.push_back(std::move(one));
  }
  ipc::RequestHeader header = joined.back().ring->Header(ipc::kOpCall, 1);
  header.flags = ipc::kRecordMore;
  joined.back().ring->Send(header, Announcement(ipc::kMaxMessageBytes));
  const auto answer = joined.back().ring->Await(-1);
  Say(fmt::format("announcement: {} {}", CodeName(answer->code()), answer->payload));
  AwaitEndOfInput();
}

// Says nothing at all, and waits for the daemon's last word.
void Silent(const Attacker& attacker) {
  ipc::ControlSocket socket = Connect(attacker);
  Say(Told(socket));
}

}  // namespace

std::map<std::string, Attack> ControlAttacks() {
  return {{"no-hello", NoHello},
          {"hello-twice", HelloTwice},
          {"garbage-packets", GarbagePackets},
          {"turned-bits", TurnedBits},
          {"truncated-hello", TruncatedHello},
          {"oversized-packet", OversizedPacket},
          {"empty-packet", EmptyPacket},
          {"packet-with-descriptors", PacketWithDescriptors},
          {"flood-without-reading", FloodWithoutReading},
          {"half-closed", HalfClosed},
          {"many-packets-before-hello", ManyPacketsBeforeHello},
          {"silent-connections", SilentConnections},
          {"wrong-versions", WrongVersions},
          {"take-all-sessions", TakeAllSessions},
          {"hoard-memory", HoardMemory},
          {"silent", Silent}};
}

}  // namespace hearth::testing
