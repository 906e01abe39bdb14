// StoreService: falling asleep and being woken, with real client threads.

#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "tests/daemon/service_rig.h"
#include "tests/support/seed.h"

namespace hearth::testing {
namespace {

TEST_CASE("a request that was published before the session is served is not forgotten") {
  Service service;
  service->Start();
  for (int i = 0; i < 50; ++i) {
    const auto session = service.NewSession();
    SessionPeer peer(*session);
    peer.channel().Send(ipc::kOpPing, 0);
    service->Add(session);
    REQUIRE(peer.channel().Await(kPatienceMs).has_value());
    service->Remove(session->id);
  }
}

TEST_CASE("sessions added before the thread starts are served by it") {
  Service service;
  const auto session = service.NewSession();
  SessionPeer peer(*session);
  service->Add(session);
  service->Start();
  CHECK(AskOk(peer.channel(), ipc::kOpPing, 0, ""));
}

TEST_CASE("a daemon that has announced its sleep is woken by the doorbell, each time") {
  Service service;
  service->Start();
  const auto session = service.NewSession();
  SessionPeer peer(*session);
  service->Add(session);
  REQUIRE(AskOk(peer.channel(), ipc::kOpPing, 0, ""));
  for (int i = 0; i < 300; ++i) {
    WaitUntil([&] { return peer.channel().control().server_asleep.LoadRelaxed() != 0; });
    REQUIRE(AskOk(peer.channel(), ipc::kOpPing, 0, ""));
  }
}

TEST_CASE("no gap between two requests loses one") {
  HEARTH_SHOW_SEED();
  Service service;
  service->Start();
  const auto session = service.NewSession();
  SessionPeer peer(*session);
  service->Add(session);
  Random random(RunSeed());
  const int requests = FullRun() ? 200'000 : 10'000;
  for (int i = 0; i < requests; ++i) {
    // From nothing to far beyond what the daemon polls.
    const std::uint64_t pauses = random.Below(std::uint64_t{1} << random.Below(14));
    for (std::uint64_t n = 0; n < pauses; ++n) CpuRelax();
    REQUIRE(AskOk(peer.channel(), ipc::kOpPing, 0, ""));
  }
}

// Publishes a request while the writer thread, on its way to sleep, stands at the failpoint.
void CheckPublishedAt(const char* point) {
  CAPTURE(point);
  enum : std::uint32_t { kArmed, kReached, kPublished };
  Atomic<std::uint32_t> step{kPublished};
  const std::thread::id client = std::this_thread::get_id();
  SetFailpoint(point, [&] {
    if (std::this_thread::get_id() == client || step.LoadOrdered() != kArmed) return;
    step.StoreOrdered(kReached);
    WaitUntil([&] { return step.LoadOrdered() == kPublished; });
  });
  {
    Service service;
    service->Start();
    const auto session = service.NewSession();
    SessionPeer peer(*session);
    service->Add(session);
    for (int i = 0; i < 20; ++i) {
      step.StoreOrdered(kArmed);
      // Wakes the daemon, which then falls asleep again.
      peer.channel().Send(ipc::kOpPing, 0);
      WaitUntil([&] { return step.LoadOrdered() == kReached; });
      peer.channel().Send(ipc::kOpPing, 0);
      step.StoreOrdered(kPublished);
      REQUIRE(peer.channel().Await(kPatienceMs).has_value());
      REQUIRE(peer.channel().Await(kPatienceMs).has_value());
    }
  }
  ClearFailpoint(point);
}

TEST_CASE("a request published at any moment of falling asleep is served") {
  CheckPublishedAt("doorbell.after_announce");
  CheckPublishedAt("doorbell.before_look_again");
  CheckPublishedAt("writer.before_sleep");
}

TEST_CASE(
    "a command that comes while the bells are looked at is carried out before the next sleep") {
  Service service;
  service->Start();
  const auto quiet = service.NewSession();
  const auto busy = service.NewSession();
  SessionPeer busy_peer(*busy);
  service->Add(quiet);
  service->Add(busy);
  Atomic<std::uint64_t> sent{0};
  Atomic<std::uint64_t> sleeps{0};
  Atomic<std::uint64_t> slept_on{0};
  SetFailpoint("writer.before_listen", [&] {
    // Removes nobody, and is reported as gone all the same.
    service->Remove(1000 + sent.LoadRelaxed());
    sent.StoreRelaxed(sent.LoadRelaxed() + 1);
  });
  SetFailpoint("writer.before_sleep", [&] {
    if (service.gone_sessions() < sent.LoadRelaxed()) slept_on.StoreRelaxed(1);
    sleeps.StoreOrdered(sleeps.LoadOrdered() + 1);
  });
  for (int i = 0; i < 400; ++i) {
    const std::uint64_t before = sleeps.LoadOrdered();
    busy_peer.channel().Send(ipc::kOpPing, 0);
    REQUIRE(busy_peer.channel().Await(kPatienceMs).has_value());
    WaitUntil([&] { return sleeps.LoadOrdered() > before; });
  }
  service->Stop();
  ClearFailpoint("writer.before_listen");
  ClearFailpoint("writer.before_sleep");
  CHECK(sent.LoadRelaxed() > 0);
  CHECK(slept_on.LoadRelaxed() == 0);
}

TEST_CASE("a client that sleeps is heard while another keeps the daemon busy") {
  Service service;
  const auto busy = service.NewSession();
  const auto quiet = service.NewSession();
  SessionPeer busy_peer(*busy);
  SessionPeer quiet_peer(*quiet);
  service->Add(busy);
  service->Add(quiet);
  // The busy client is as fast as can be: whenever the daemon has served something, there is more.
  Atomic<std::uint32_t> done{0};
  SetFailpoint("daemon.before_head", [&] {
    if (done.LoadOrdered() != 0) return;
    busy_peer.channel().Take();
    busy_peer.channel().Send(ipc::kOpPing, 0);
  });
  busy_peer.channel().Send(ipc::kOpPing, 0);
  service->Start();
  for (int i = 0; i < 20; ++i) {
    WaitUntil([&] { return quiet_peer.channel().control().server_asleep.LoadRelaxed() != 0; });
    const std::uint64_t before = busy->operations.LoadRelaxed();
    quiet_peer.channel().Send(ipc::kOpPing, 0);
    const bool answered = quiet_peer.channel().Await(kPatienceMs).has_value();
    CHECK(answered);
    if (!answered) break;
    WaitUntil([&] { return busy->operations.LoadRelaxed() > before; });
  }
  done.StoreOrdered(1);
  service->Stop();
  ClearFailpoint("daemon.before_head");
}

TEST_CASE("an idle daemon sleeps and its heart beats") {
  Service service;
  service->Start();
  const auto session = service.NewSession();
  SessionPeer peer(*session);
  service->Add(session);
  REQUIRE(WorkWell(peer.channel(), "k", 50));
  WaitUntil([&] { return peer.channel().control().server_asleep.LoadRelaxed() != 0; });
  const Atomic<std::uint64_t>& heartbeat = service->store().view().header().heartbeat_ns;
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t seen = heartbeat.LoadRelaxed();
    WaitUntil([&] { return heartbeat.LoadRelaxed() > seen; });
  }
  CHECK(peer.channel().control().server_asleep.LoadRelaxed() != 0);
}

}  // namespace
}  // namespace hearth::testing
