// The well-behaved clients of hostile_client: they check every answer, count and measure.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "ipc/client/client.h"
#include "tests/daemon/hostile.h"

namespace hearth::testing {
namespace {

using ipc::Client;

std::string ValueOf(std::string_view key, std::uint64_t version, std::size_t size) {
  std::string value = fmt::format("{}#{}:", key, version);
  Random random(version);
  while (value.size() < size) value += static_cast<char>('a' + random.Below(26));
  return value;
}

// Whether a command waits on the standard input.
bool CommandWaits(int timeout_ms) {
  pollfd in{STDIN_FILENO, POLLIN, 0};
  return ::poll(&in, 1, timeout_ms) > 0;
}
// The next command; 'q' at the end of input.
char ReadCommand() {
  char line[2] = {'q', '\n'};
  return ::read(STDIN_FILENO, line, 2) > 0 ? line[0] : 'q';
}

struct GoodState {
  std::uint64_t operations = 0;
  std::uint64_t errors = 0;
  std::uint64_t worst_ns = 0;
  std::uint64_t version = 0;
};

void CheckReply(GoodState& state, std::string_view what, const ipc::Reply& reply, bool right) {
  ++state.operations;
  if (reply.ok() && right) return;
  ++state.errors;
  Say(fmt::format("ERROR {}: {}", what, reply.ok() ? "wrong value" : reply.status.ToString()));
}

// Sets, reads back in place and through the daemon, and calls; every answer is checked.
void GoodRound(Client& client, std::uint16_t id, std::uint32_t echo, Random& random,
               GoodState& state) {
  const std::uint64_t before = MonotonicNanosNow();
  const std::string key = fmt::format("good{}", random.Below(20));
  const std::size_t size = random.OneIn(50) ? 100'000 : random.Below(3000);
  const std::string value = ValueOf(key, ++state.version, size);
  CheckReply(state, "set", client.Set(id, key, value), true);
  const ipc::Reply read = client.Get(id, key);
  CheckReply(state, "get", read, read.payload == value);
  const ipc::Reply written = client.GetFromWriter(id, key);
  CheckReply(state, "get from writer", written, written.payload == value);
  const ipc::Reply called = client.Call(echo, value);
  CheckReply(state, "call", called, called.payload == value);
  state.worst_ns = std::max(state.worst_ns, MonotonicNanosNow() - before);
}

// Commands: r = report and begin a new maximum, p = pause until the next command, q = quit.
void Good(const Attacker& attacker) {
  auto client = OrGiveUp(Client::Connect(OptionsOf(attacker, "good")), "join");
  const auto item = OrGiveUp(client->OpenNamespace("default"), "default");
  const auto echo = OrGiveUp(client->OpenMethod("hearth.echo"), "hearth.echo");
  Random random(attacker.seed);
  GoodState state;
  Say("ready");
  while (true) {
    GoodRound(*client, item.id, echo.id, random, state);
    // Now and then both sides fall asleep.
    if (!CommandWaits(random.OneIn(10) ? 3 : 0)) continue;
    const char command = ReadCommand();
    if (command == 'q') return;
    if (command == 'r') {
      Say(fmt::format("operations {} errors {} worst_us {}", state.operations, state.errors,
                      state.worst_ns / 1000));
      state.worst_ns = 0;
    }
    if (command == 'p') {
      Say("paused");
      CommandWaits(-1);
    }
  }
}

// Many idle sessions. Commands: p = every session pings once, q = quit.
void Crowd(const Attacker& attacker) {
  std::vector<Joined> joined;
  for (int i = 0; i < attacker.argument; ++i) joined.push_back(Join(attacker, 1, 0));
  Say("ready");
  while (ReadCommand() == 'p') {
    std::size_t answered = 0;
    for (Joined& one : joined) one.ring->Send(ipc::kOpPing, 0);
    for (Joined& one : joined) answered += one.ring->Await(-1).has_value() ? 1U : 0U;
    Say(fmt::format("answered {}", answered));
  }
}

// Leaves a negative entry under "absent" in the first namespace.
void Absent(const Attacker& attacker) {
  Joined joined = Join(attacker);
  joined.ring->Send(ipc::kOpLease, 1, LeasePayload("absent"));
  const auto lease = joined.ring->Await(-1);
  joined.ring->Send(
      ipc::kOpFill, 1,
      FillPayload("absent", lease->header.number, "", 3'600'000, 0, ipc::kFillAbsent));
  const auto filled = joined.ring->Await(-1);
  Say(filled->code() == Code::kOk ? "filled" : "ERROR " + filled->payload);
}

// Requests in flight when the daemon is told to stop; prints what became of each.
void InFlight(const Attacker& attacker) {
  ipc::ClientOptions options = OptionsOf(attacker, "in-flight");
  options.request_ring_bytes = options.response_ring_bytes = 1 << 20;
  auto client = OrGiveUp(Client::Connect(options), "join");
  const auto item = OrGiveUp(client->OpenNamespace("default"), "default");
  std::uint64_t done = 0;
  std::uint64_t not_started = 0;
  std::uint64_t maybe = 0;
  client->OnCompletion([&](std::uint64_t, const ipc::Reply& reply) {
    if (reply.ok()) {
      ++done;
    } else if (reply.execution == Execution::kNotStarted) {
      ++not_started;
    } else {
      ++maybe;
    }
  });
  Say("ready");
  std::uint64_t sent = 0;
  Status status;
  while (status.ok()) {
    status = client->SetPipelined(item.id, fmt::format("k{}", sent % 100), ValueOf("k", sent, 200),
                                  {}, sent);
    if (status.ok()) ++sent;
  }
  static_cast<void>(client->Drain(std::chrono::minutes(1)).ok());
  // What the store holds is the newest that was answered, or one that was not.
  Say(fmt::format("sent {} done {} not_started {} maybe {}", sent, done, not_started, maybe));
  Say("ended: " + (client->ended() ? client->ended()->ToString() : std::string("no")));
}

// Who I am to the daemon; for trying a connection.
void Hello(const Attacker& attacker) {
  auto client = Client::Connect(OptionsOf(attacker, "hello"));
  if (!client.ok()) return Say("refused: " + client.status().ToString());
  const auto item = OrGiveUp((*client)->OpenNamespace("default"), "default");
  Say("set: " + (*client)->Set(item.id, "hello", "world").status.ToString());
  const auto report = (*client)->ReadStatus();
  Say(report.ok() ? fmt::format("status: {} sessions", report->sessions.size())
                  : "status: " + report.status().ToString());
}

}  // namespace

std::map<std::string, Attack> GoodClients() {
  return {{"absent", Absent},
          {"good", Good},
          {"crowd", Crowd},
          {"in-flight", InFlight},
          {"hello", Hello}};
}

}  // namespace hearth::testing
