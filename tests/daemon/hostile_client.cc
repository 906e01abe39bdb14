// hostile_client SOCKET ATTACK [--seed N] [--runs N] [--argument N]
//
// Carries out one attack of hostile.h and prints what the daemon said; ends with the line "done".
// `hostile_client --list` prints the names.
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "core/cache/format.h"
#include "tests/daemon/hostile.h"

namespace hearth::testing {

void Say(std::string_view line) {
  std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
  std::fflush(stdout);
}

void AwaitEndOfInput() {
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

void GiveUp(std::string_view why) {
  Say(fmt::format("cannot attack: {}", why));
  std::_Exit(3);
}

ipc::Hello FriendlyHello(std::uint16_t channels, std::uint32_t ring_bytes) {
  ipc::Hello hello;
  hello.store_layout = {cache::kStoreLayoutVersion, cache::kStoreFingerprint};
  hello.session_layout = {ipc::kSessionLayoutVersion, ipc::kSessionFingerprint};
  hello.client_name = "hostile";
  hello.channels = channels;
  hello.request_ring_bytes = hello.response_ring_bytes = ring_bytes;
  return hello;
}

ipc::ClientOptions OptionsOf(const Attacker& attacker, std::string_view name) {
  ipc::ClientOptions options;
  options.socket_path = attacker.socket;
  options.name = name;
  options.timeout = std::chrono::minutes(2);
  return options;
}

Joined Join(const Attacker& attacker, std::uint16_t channels, std::uint32_t ring_bytes) {
  Joined joined;
  joined.session =
      OrGiveUp(ipc::ClientSession::Open(attacker.socket, FriendlyHello(channels, ring_bytes),
                                        std::chrono::minutes(2)),
               "join");
  joined.ring = std::make_unique<RingClient>(joined.session->region().channel(0), joined.bell(),
                                             joined.session->client_bell(0));
  return joined;
}

void AwaitEnd(ipc::ClientSession& session) {
  while (!session.end()) {
    pollfd control{session.control_fd(), POLLIN, 0};
    ::poll(&control, 1, -1);
    session.ReadControl();
  }
  Say("ended: " + session.end()->reason.ToString());
}

bool AwaitHead(Joined& joined, std::uint64_t tail) {
  while (joined.view().control->request_head.LoadRelaxed() != tail) {
    joined.session->ReadControl();
    if (joined.session->end()) return false;
    // The client's doorbell cannot be relied on here: the attack may have broken it.
    pollfd control{joined.session->control_fd(), POLLIN, 0};
    ::poll(&control, 1, 1);
  }
  return true;
}

void StillServed(Joined& joined) {
  joined.ring->Take();
  const ipc::RequestHeader ping = joined.ring->Send(ipc::kOpPing, 0);
  while (true) {
    for (const Answer& answer : joined.ring->Take())
      if (answer.header.call_id == ping.call_id) return Say("served");
    joined.session->ReadControl();
    if (joined.session->end()) return AwaitEnd(*joined.session);
    pollfd control{joined.session->control_fd(), POLLIN, 0};
    ::poll(&control, 1, 1);
  }
}

namespace {

constexpr unsigned kWatchdogSeconds = 240;

std::map<std::string, Attack> AllAttacks() {
  std::map<std::string, Attack> all;
  for (const auto& part : {ControlAttacks(), MemoryAttacks(), RecordAttacks(), LeaseAttacks(),
                           RightsFacts(), GoodClients()})
    all.insert(part.begin(), part.end());
  return all;
}

int Main(int argc, char** argv) {
  const std::map<std::string, Attack> attacks = AllAttacks();
  if (argc == 2 && std::string(argv[1]) == "--list") {
    for (const auto& [name, attack] : attacks) Say(name);
    return 0;
  }
  if (argc < 3 || argc % 2 == 0 || !attacks.contains(argv[2])) {
    std::fprintf(stderr,
                 "usage: hostile_client SOCKET ATTACK [--seed N] [--runs N] [--argument N]\n"
                 "       hostile_client --list\n");
    return 2;
  }
  Attacker attacker{.socket = argv[1], .seed = RunSeed(), .runs = 50, .argument = 0};
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--seed") attacker.seed = std::strtoull(argv[i + 1], nullptr, 0);
    if (option == "--runs") attacker.runs = static_cast<int>(std::strtol(argv[i + 1], nullptr, 10));
    if (option == "--argument")
      attacker.argument = static_cast<int>(std::strtol(argv[i + 1], nullptr, 10));
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ::signal(SIGPIPE, SIG_IGN);
  // SIGALRM ends an attacker that hangs, and the driver sees it. The others live as long as they
  // are told to.
  if (!GoodClients().contains(argv[2])) ::alarm(kWatchdogSeconds);
  attacks.at(argv[2])(attacker);
  Say("done");
  return 0;
}

}  // namespace
}  // namespace hearth::testing

int main(int argc, char** argv) { return hearth::testing::Main(argc, argv); }
