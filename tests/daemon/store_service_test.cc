// StoreService: sessions that come, go and break, and stopping.
#include "daemon/store_service.h"

#include <dirent.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "tests/daemon/service_rig.h"

namespace hearth::testing {
namespace {

using daemon::Session;
using daemon::StoreService;

std::size_t OpenDescriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  REQUIRE(folder != nullptr);
  std::size_t count = 0;
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

TEST_CASE("all channels of a session are served") {
  Service service;
  service->Start();
  const auto session = service.NewSession(ipc::kMaxChannels);
  SessionPeer peer(*session);
  service->Add(session);
  for (int round = 0; round < 20; ++round)
    for (std::uint32_t i = 0; i < ipc::kMaxChannels; ++i)
      REQUIRE(WorkWell(peer.channel(i), "key" + std::to_string(i), 1));
}

TEST_CASE("what one session has written, all others read") {
  Service service;
  service->Start();
  const auto first = service.NewSession();
  const auto second = service.NewSession();
  SessionPeer writer(*first);
  SessionPeer reader(*second);
  service->Add(first);
  service->Add(second);
  for (int i = 0; i < 200; ++i) {
    std::string got;
    REQUIRE(AskOk(writer.channel(), ipc::kOpSet, kDefault, SetPayload("k", std::to_string(i))));
    REQUIRE(AskOk(reader.channel(), ipc::kOpGet, kDefault, KeyPayload("k"), &got));
    CHECK(got == std::to_string(i));
  }
}

TEST_CASE("sessions come and go while others work, and leave nothing behind") {
  Service service;
  service->Start();
  const std::size_t descriptors = OpenDescriptors();
  {
    Atomic<std::uint32_t> failures{0};
    std::vector<std::thread> workers;
    std::vector<std::shared_ptr<Session>> sessions;
    for (int i = 0; i < 3; ++i) {
      sessions.push_back(service.NewSession());
      service->Add(sessions.back());
      workers.emplace_back([&failures, session = sessions.back(), i] {
        SessionPeer peer(*session);
        if (!WorkWell(peer.channel(), "worker" + std::to_string(i), 500)) failures.AddRelaxed(1);
      });
    }
    std::vector<std::weak_ptr<Session>> gone;
    for (int i = 0; i < 200; ++i) {
      auto session = service.NewSession(2);
      service->Add(session);
      if (i % 2 == 0) {
        SessionPeer peer(*session);
        REQUIRE(AskOk(peer.channel(1), ipc::kOpPing, 0, ""));
      }
      service->Remove(session->id);
      gone.push_back(session);
    }
    for (std::thread& worker : workers) worker.join();
    CHECK(failures.LoadRelaxed() == 0);
    for (const auto& session : gone) WaitUntil([&] { return session.expired(); });
    for (const auto& session : sessions) service->Remove(session->id);
    for (const auto& session : sessions) WaitUntil([&] { return session.use_count() == 1; });
  }
  CHECK(service.broken_sessions() == 0);
  CHECK(OpenDescriptors() == descriptors);
}

TEST_CASE("a session that breaks its rings is reported once and disturbs nobody") {
  Service service;
  service->Start();
  const auto good = service.NewSession();
  SessionPeer good_peer(*good);
  service->Add(good);
  for (int i = 0; i < 20; ++i) {
    auto bad = service.NewSession();
    SessionPeer bad_peer(*bad);
    service->Add(bad);
    REQUIRE(AskOk(bad_peer.channel(), ipc::kOpPing, 0, ""));
    bad_peer.channel().control().request_tail.StoreRelaxed(7);
    RingEventFd(bad->server_doorbell.get());
    WaitUntil([&] { return !service.Broken(bad->id).empty(); });
    REQUIRE(WorkWell(good_peer.channel(), "good", 10));
    const std::vector<Status> reasons = service.Broken(bad->id);
    REQUIRE(reasons.size() == 1);
    CHECK(reasons[0].code() == Code::kDataLoss);
    // Whatever it does now, nobody listens.
    RingEventFd(bad->server_doorbell.get());
    service->Remove(bad->id);
    WaitUntil([&] { return bad.use_count() == 1; });
  }
  CHECK(service.Broken(good->id).empty());
}

TEST_CASE("a session whose positions are wrong from the start is reported and never served") {
  Service service;
  service->Start();
  auto bad = service.NewSession(2);
  SessionPeer peer(*bad);
  peer.channel(1).control().request_tail.StoreRelaxed(ipc::kMinRingBytes + 64);
  service->Add(bad);
  WaitUntil([&] { return service.Broken(bad->id).size() == 1; });
  WaitUntil([&] { return bad.use_count() == 1; });
  CHECK(service.Broken(bad->id)[0].code() == Code::kDataLoss);
}

TEST_CASE("the writer thread has let go of a session when it says so, whatever ended it") {
  Service service;
  service->Start();
  const auto session = service.NewSession();
  SessionPeer peer(*session);
  SUBCASE("it was removed") {
    service->Add(session);
    REQUIRE(AskOk(peer.channel(), ipc::kOpPing, 0, ""));
    service->Remove(session->id);
  }
  SUBCASE("it was removed before it was served") {
    service->Add(session);
    service->Remove(session->id);
  }
  SUBCASE("it broke its rings") {
    service->Add(session);
    REQUIRE(AskOk(peer.channel(), ipc::kOpPing, 0, ""));
    peer.channel().control().request_tail.StoreRelaxed(7);
    RingEventFd(session->server_doorbell.get());
  }
  SUBCASE("its rings were broken from the start") {
    peer.channel().control().request_tail.StoreRelaxed(ipc::kMinRingBytes + 64);
    service->Add(session);
  }
  WaitUntil([&] { return service.Gone(session->id); });
  CHECK(service.References(session->id) == 1);  // this test's own
}

TEST_CASE("a session that is not served is let go of all the same") {
  Service service;
  service->Start();
  service->Remove(4711);
  WaitUntil([&] { return service.Gone(4711); });
}

TEST_CASE("what a session buffers counts for its user, until the writer thread lets go") {
  Service service;
  service->Start();
  const auto memory = std::make_shared<ipc::SharedBudget>(100'000, "uid 1234");
  const auto session = service.NewSession(2);
  session->user_memory = memory;
  SessionPeer peer(*session);
  service->Add(session);
  // The first record of a long call, and whether it was refused.
  const auto begin = [&](std::uint32_t channel, std::uint64_t bytes) {
    RingClient& client = peer.channel(channel);
    ipc::RequestHeader header = client.Header(ipc::kOpCall, 1);
    header.flags = ipc::kRecordMore;
    client.Send(header, Announcement(bytes));
    client.Send(ipc::kOpPing, 0);
    const auto answer = client.Await(kPatienceMs);
    REQUIRE(answer.has_value());
    if (answer->header.opcode == ipc::kOpPing) return std::string();
    REQUIRE(client.Await(kPatienceMs).has_value());
    CHECK(answer->code() == Code::kResourceExhausted);
    CHECK(answer->execution() == Execution::kNotStarted);
    return answer->payload;
  };
  CHECK(begin(0, 60'000).empty());
  CHECK(memory->used() == 60'000);
  CHECK(begin(1, 40'001) == "uid 1234 holds 60000 of 100000 bytes, 40001 more do not fit");
  CHECK(begin(1, 40'000).empty());
  CHECK(memory->used() == 100'000);
  service->Remove(session->id);
  WaitUntil([&] { return service.Gone(session->id); });
  CHECK(memory->used() == 0);
}

TEST_CASE("stopping serves everything that was published before") {
  for (int round = 0; round < 5; ++round) {
    Service service;
    service->Start();
    std::vector<std::shared_ptr<Session>> sessions;
    std::vector<std::unique_ptr<SessionPeer>> peers;
    // More than one epoll_wait returns at once.
    for (int i = 0; i < 150; ++i) {
      sessions.push_back(service.NewSession());
      peers.push_back(std::make_unique<SessionPeer>(*sessions.back()));
      service->Add(sessions.back());
    }
    for (const auto& peer : peers) REQUIRE(AskOk(peer->channel(), ipc::kOpPing, 0, ""));
    if (round % 2 == 0)
      for (const auto& peer : peers)
        WaitUntil([&] { return peer->channel().control().server_asleep.LoadRelaxed() != 0; });
    for (const auto& peer : peers)
      for (int n = 0; n < 100; ++n) peer->channel().Send(ipc::kOpPing, 0);
    service->Stop();
    for (const auto& peer : peers) REQUIRE(peer->channel().Take().size() == 100);
    service->Stop();
  }
}

TEST_CASE("a client that never stops publishing cannot keep the daemon from stopping") {
  Service service;
  const auto session = service.NewSession();
  SessionPeer peer(*session);
  service->Add(session);
  SetFailpoint("daemon.before_head", [&] {
    peer.channel().Take();
    peer.channel().Send(ipc::kOpPing, 0);
  });
  peer.channel().Send(ipc::kOpPing, 0);
  service->Start();
  WaitUntil([&] { return session->operations.LoadRelaxed() > 1000; });
  service->Stop();
  ClearFailpoint("daemon.before_head");
}

TEST_CASE("a service that was never started stops, and one that was destroyed has stopped") {
  {
    Service service;
    service->Stop();
  }
  Service service;
  service->Start();
}

TEST_CASE("the report counts operations, entries and bytes of each namespace") {
  Service service;
  service->Start();
  const auto session = service.NewSession();
  SessionPeer peer(*session);
  service->Add(session);
  REQUIRE(WorkWell(peer.channel(), "k", 10));
  // The daemon counts after it has answered.
  WaitUntil([&] { return service->Report().operations >= 20; });
  const ipc::StoreStatus report = service->Report();
  CHECK(report.name == "test");
  CHECK(report.operations == 20);
  CHECK(report.entries == 1);
  CHECK(report.segments == 16);
  REQUIRE(report.namespaces.size() == 1);
  CHECK(report.namespaces[0].name == "default");
  CHECK(report.namespaces[0].used_bytes >= 64 * kKiB);
  CHECK(session->operations.LoadRelaxed() == 20);
}

TEST_CASE("a store that cannot be is refused with a reason") {
  const module::MethodRegistry methods = TestMethods();
  daemon::StoreConfig config;
  config.segment_bytes = 3000;
  CHECK(StoreService::Create(config, {}, &methods, {}).status().code() == Code::kInvalidArgument);
  config.segment_bytes = 64 * kKiB;
  config.namespaces.push_back({.name = "no spaces, please"});
  CHECK(StoreService::Create(config, {}, &methods, {}).status().code() == Code::kInvalidArgument);
}

}  // namespace
}  // namespace hearth::testing
