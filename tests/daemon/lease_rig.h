// Several sessions of one channel each, with one store and one lease table behind them.
#ifndef HEARTH_TESTS_DAEMON_LEASE_RIG_H_
#define HEARTH_TESTS_DAEMON_LEASE_RIG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "daemon/lease_table.h"
#include "tests/daemon/session_rig.h"

namespace hearth::testing {

// Namespace 1 is writable, namespace 2 exists and is not.
class LeaseRig {
 public:
  static constexpr std::uint32_t kNs = 1;

  explicit LeaseRig(std::size_t sessions = 3, std::uint32_t ring_bytes = ipc::kMinRingBytes,
                    std::uint64_t budget_bytes = 16 * kMiB)
      : methods_(TestMethods()) {
    HEARTH_CHECK(store_.Namespace("writable") == 1);
    HEARTH_CHECK(store_.Namespace("forbidden") == 2);
    for (std::size_t i = 0; i < sessions; ++i)
      peers_.push_back(std::make_unique<Peer>(this, i + 1, ring_bytes, budget_bytes));
  }
  // Whatever a test did, sessions that are gone leave nothing behind.
  ~LeaseRig() {
    for (auto& peer : peers_) {
      peer->server.reset();
      CHECK(peer->budget.used() == 0);
    }
    CHECK(leases_.empty());
  }

  TestStore& store() { return store_; }
  daemon::LeaseTable& leases() { return leases_; }
  RingClient& client(std::size_t i) { return peers_[i]->far.channel(); }
  const ipc::ByteBudget& budget(std::size_t i) const { return peers_[i]->budget; }
  // Lets a session write to a namespace that was made after it began.
  void AllowWrites(std::size_t i, std::uint32_t handle) {
    peers_[i]->session->may_write[cache::NamespaceIdOf(handle)] = {
        .handle = handle, .known = true, .granted = true};
  }
  // As the end of the session does, whether it was closed or its process was killed.
  void EndSession(std::size_t i) { peers_[i]->server.reset(); }

  // Executes what is in the rings, and answers nobody who has waited.
  void ServeRings() {
    for (auto& peer : peers_) {
      while (peer->server != nullptr) {
        const auto served = peer->server->Serve(64);
        REQUIRE_MESSAGE(served.ok(), served.status().ToString());
        if (*served == 0) break;
      }
    }
  }
  // Executes everything, as one who looks at the clock at `now_ns`.
  void Serve(std::uint64_t now_ns = MonotonicNanosNow()) {
    ServeRings();
    while (const auto ready = leases_.TakeReady(now_ns))
      REQUIRE(ready->channel->AnswerParked(*ready).ok());
  }
  ipc::RequestHeader Send(std::size_t i, ipc::Opcode opcode, std::string_view payload,
                          std::uint64_t deadline_ns = 0) {
    ipc::RequestHeader header = client(i).Header(opcode, kNs);
    header.deadline_ns = deadline_ns;
    client(i).Send(header, payload);
    Serve();
    return header;
  }
  // The only answer that has come to a session; fails without one.
  Answer Only(std::size_t i) {
    std::vector<Answer> answers = client(i).Take();
    REQUIRE(answers.size() == 1);
    return std::move(answers[0]);
  }
  bool Silent(std::size_t i) { return client(i).Take().empty(); }
  Answer Ask(std::size_t i, ipc::Opcode opcode, std::string_view payload) {
    const ipc::RequestHeader sent = Send(i, opcode, payload);
    Answer answer = Only(i);
    CHECK(answer.header.call_id == sent.call_id);
    CHECK(answer.header.sequence == sent.sequence);
    CHECK(answer.header.opcode == opcode);
    return answer;
  }
  // The token of an answer that grants the lease.
  static std::uint64_t Token(const Answer& answer) {
    CHECK_MESSAGE(answer.code() == Code::kOk, answer.payload);
    CHECK(answer.payload.empty());
    REQUIRE(answer.header.number != 0);
    return answer.header.number;
  }
  std::uint64_t TakeLease(std::size_t i, std::string_view key) {
    return Token(Ask(i, ipc::kOpLease, LeasePayload(key)));
  }
  // Sends a request that has to wait.
  ipc::RequestHeader Wait(std::size_t i, std::string_view key, std::uint64_t deadline_ns = 0) {
    const ipc::RequestHeader header = Send(i, ipc::kOpLease, LeasePayload(key), deadline_ns);
    REQUIRE(Silent(i));
    return header;
  }
  void CheckValue(const Answer& answer, std::string_view value) {
    CHECK_MESSAGE(answer.code() == Code::kOk, answer.payload);
    CHECK(answer.header.number == 0);
    CHECK(answer.payload == value);
    CHECK(answer.header.version > 0);
  }

 private:
  struct Peer {
    Peer(LeaseRig* rig, std::uint64_t id, std::uint32_t ring_bytes, std::uint64_t budget_bytes)
        : session(MakeSession({.id = id, .ring_bytes = ring_bytes})),
          budget(budget_bytes),
          far(*session) {
      auto created = daemon::ChannelServer::Create({.writer = &rig->store_.writer(),
                                                    .methods = &rig->methods_,
                                                    .leases = &rig->leases_,
                                                    .scratch = &rig->scratch_,
                                                    .max_message_bytes = 64 * kKiB},
                                                   session.get(), 0, &budget);
      HEARTH_CHECK(created.ok());
      server = std::move(*created);
    }
    std::shared_ptr<daemon::Session> session;
    ipc::ByteBudget budget;
    SessionPeer far;
    std::unique_ptr<daemon::ChannelServer> server;
  };

  TestStore store_;
  module::MethodRegistry methods_;
  daemon::LeaseTable leases_;
  daemon::ChannelServer::Scratch scratch_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_DAEMON_LEASE_RIG_H_
