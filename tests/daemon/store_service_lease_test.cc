// Leases under a running writer thread: who sleeps is woken, whatever ends the lease.
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "core/base/clock.h"
#include "tests/daemon/service_rig.h"

namespace hearth::testing {
namespace {

struct Client {
  explicit Client(Service& service)
      : session(service.NewSession()), id(session->id), peer(*session) {
    service->Add(std::move(session));
  }
  std::uint64_t Lease(const std::string& key) {
    peer.channel().Send(ipc::kOpLease, kDefault, LeasePayload(key));
    const auto answer = peer.channel().Await(kPatienceMs);
    REQUIRE(answer);
    return answer->header.number;
  }
  // Asks, and returns when the request is being waited with: a ping behind it is answered.
  void Wait(const std::string& key, std::uint64_t deadline_ns = 0) {
    ipc::RequestHeader header = peer.channel().Header(ipc::kOpLease, kDefault);
    header.deadline_ns = deadline_ns;
    peer.channel().Send(header, LeasePayload(key));
    peer.channel().Send(ipc::kOpPing, 0);
    const auto answer = peer.channel().Await(kPatienceMs);
    REQUIRE(answer);
    REQUIRE(answer->header.opcode == ipc::kOpPing);
  }
  Answer Await() {
    const auto answer = peer.channel().Await(kPatienceMs);
    REQUIRE(answer);
    return *answer;
  }
  std::shared_ptr<daemon::Session> session;
  std::uint64_t id;
  SessionPeer peer;
};

TEST_CASE("a fill wakes whoever sleeps over the key") {
  Service service;
  service->Start();
  Client holder(service);
  Client waiter(service);
  const std::uint64_t token = holder.Lease("key");
  REQUIRE(token != 0);
  waiter.Wait("key");
  REQUIRE(AskOk(holder.peer.channel(), ipc::kOpFill, kDefault, FillPayload("key", token, "v")));
  const Answer answer = waiter.Await();
  CHECK(answer.code() == Code::kOk);
  CHECK(answer.payload == "v");
}

TEST_CASE("the end of the holder's session passes the lease on") {
  Service service;
  service->Start();
  Client holder(service);
  Client waiter(service);
  REQUIRE(holder.Lease("key") != 0);
  waiter.Wait("key");
  service->Remove(holder.id);
  const Answer answer = waiter.Await();
  CHECK(answer.code() == Code::kOk);
  CHECK(answer.header.number != 0);
}

TEST_CASE("a deadline wakes who waits, while nothing else happens") {
  Service service;
  service->Start();
  Client holder(service);
  Client waiter(service);
  REQUIRE(holder.Lease("key") != 0);
  const std::uint64_t deadline = MonotonicNanosNow() + 50'000'000;
  waiter.Wait("key", deadline);
  const Answer answer = waiter.Await();
  CHECK(answer.code() == Code::kDeadlineExceeded);
  CHECK(MonotonicNanosNow() >= deadline);
}

TEST_CASE("more waiting clients than a round answers all get the value") {
  Service service;
  service->Start();
  Client holder(service);
  const std::uint64_t token = holder.Lease("key");
  std::vector<std::unique_ptr<Client>> waiters;
  for (int i = 0; i < 20; ++i) {
    waiters.push_back(std::make_unique<Client>(service));
    for (int j = 0; j < 10; ++j) waiters.back()->Wait("key");
  }
  REQUIRE(AskOk(holder.peer.channel(), ipc::kOpFill, kDefault, FillPayload("key", token, "v")));
  for (auto& waiter : waiters)
    for (int j = 0; j < 10; ++j) CHECK(waiter->Await().payload == "v");
}

}  // namespace
}  // namespace hearth::testing
