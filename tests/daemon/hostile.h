// The attacks of hostile_client: each is a function that misbehaves in one way against a running
// hearthd, as hard as it can. Whether the daemon bore it is judged from outside, by
// hostile_test.py; an attack only prints what it was told.
#ifndef HEARTH_TESTS_DAEMON_HOSTILE_H_
#define HEARTH_TESTS_DAEMON_HOSTILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "ipc/client/client.h"
#include "ipc/client/session.h"
#include "ipc/control_message.h"
#include "ipc/control_socket.h"
#include "tests/daemon/ring_client.h"
#include "tests/support/seed.h"

namespace hearth::testing {

struct Attacker {
  std::string socket;
  std::uint64_t seed = 0;
  int runs = 0;  // of attacks that repeat themselves
  int argument = 0;
};

using Attack = void (*)(const Attacker&);
// By name. `good`, `crowd` and `absent` are well-behaved.
std::map<std::string, Attack> ControlAttacks();
std::map<std::string, Attack> MemoryAttacks();
std::map<std::string, Attack> RecordAttacks();
std::map<std::string, Attack> LeaseAttacks();
std::map<std::string, Attack> RightsFacts();
std::map<std::string, Attack> GoodClients();

// Prints one line at once: the driver reads along.
void Say(std::string_view line);
// Waits until the driver closes the standard input: what is held until then stays held.
void AwaitEndOfInput();
// Ends the process with a message: the attack itself could not be carried out.
[[noreturn]] void GiveUp(std::string_view why);

template <class T>
T OrGiveUp(Result<T> result, std::string_view what) {
  if (!result.ok()) GiveUp(fmt::format("{}: {}", what, result.status().ToString()));
  return std::move(result).value();
}

// What any client sends first.
ipc::Hello FriendlyHello(std::uint16_t channels = 1, std::uint32_t ring_bytes = ipc::kMinRingBytes);

// For the client library.
ipc::ClientOptions OptionsOf(const Attacker& attacker, std::string_view name);

// A session after a handshake by the book.
struct Joined {
  std::unique_ptr<ipc::ClientSession> session;
  std::unique_ptr<RingClient> ring;  // channel 0

  const ipc::ChannelView& view() const { return ring->view(); }
  int bell() const { return session->server_bell(); }
};
Joined Join(const Attacker& attacker, std::uint16_t channels = 1,
            std::uint32_t ring_bytes = ipc::kMinRingBytes);

// Waits until the session is over and says why.
void AwaitEnd(ipc::ClientSession& session);
// Waits until the daemon has consumed everything up to `tail`, or has ended the session (false).
bool AwaitHead(Joined& joined, std::uint64_t tail);
// A ping that must be answered: the session is still served. Says so.
void StillServed(Joined& joined);

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_DAEMON_HOSTILE_H_
