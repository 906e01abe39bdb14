// StoreService: touches of sessions reach the index, whoever else is served or lies.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/cache/format.h"
#include "daemon/store_service.h"
#include "tests/daemon/service_rig.h"

namespace hearth::testing {
namespace {

using daemon::Session;

std::uint64_t Hash(Service& service, const std::string& key) {
  return KeyHash(service->store().view(), kDefault, key);
}

// By the index alone, since the writer thread may be at work on the entries.
std::uint32_t Frequency(Service& service, const std::string& key) {
  const std::uint64_t hash = Hash(service, key);
  for (const SlotPlace& place : AllSlots(service->store().view()))
    if (place.word >> cache::kSlotTagShift == cache::SlotTag(hash) &&
        place.bucket == cache::HomeBucket(hash))
      return cache::SlotFrequency(place.word);
  FAIL("no slot for " << key);
  return 0;
}

TEST_CASE("touches reach the index while the daemon sleeps, and without a ring") {
  Service service;
  service->Start();
  const auto session = service.NewSession(2);
  SessionPeer peer(*session);
  service->Add(session);
  REQUIRE(AskOk(peer.channel(), ipc::kOpSet, kDefault, SetPayload("a", "v")));
  REQUIRE(AskOk(peer.channel(), ipc::kOpSet, kDefault, SetPayload("b", "v")));
  WaitUntil([&] { return peer.channel(0).control().server_asleep.LoadRelaxed() != 0; });
  WaitUntil([&] { return peer.channel(1).control().server_asleep.LoadRelaxed() != 0; });
  for (std::uint32_t i = 1; i <= 3; ++i) {
    peer.channel(0).RecordTouch(Hash(service, "a"));
    peer.channel(1).RecordTouch(Hash(service, "b"));
    WaitUntil([&] { return Frequency(service, "a") == i && Frequency(service, "b") == i; });
  }
}

TEST_CASE("touches of a quiet session reach the index while others keep the daemon busy") {
  Service service;
  service->Start();
  const auto quiet = service.NewSession();
  const auto busy = service.NewSession();
  SessionPeer reader(*quiet);
  SessionPeer worker(*busy);
  service->Add(quiet);
  service->Add(busy);
  REQUIRE(AskOk(worker.channel(), ipc::kOpSet, kDefault, SetPayload("read", "v")));
  reader.channel().RecordTouch(Hash(service, "read"));
  while (Frequency(service, "read") == 0) REQUIRE(AskOk(worker.channel(), ipc::kOpPing, 0, ""));
}

TEST_CASE("a session that lies about its touches delays neither requests nor others' touches") {
  Service service;
  service->Start();
  const auto bad = service.NewSession(ipc::kMaxChannels);
  const auto good = service.NewSession();
  SessionPeer liar(*bad);
  SessionPeer honest(*good);
  service->Add(bad);  // the first to be drained
  service->Add(good);
  REQUIRE(AskOk(honest.channel(), ipc::kOpSet, kDefault, SetPayload("key", "v")));
  honest.channel().RecordTouch(Hash(service, "key"));
  std::uint64_t lie = 1;
  while (Frequency(service, "key") == 0) {
    for (std::uint32_t i = 0; i < ipc::kMaxChannels; ++i)
      liar.channel(i).control().touch_tail.StoreRelaxed(lie *= 0x9e3779b97f4a7c15U);
    REQUIRE(AskOk(honest.channel(), ipc::kOpPing, 0, ""));
  }
  CHECK(service.broken_sessions() == 0);
  REQUIRE(WorkWell(honest.channel(), "other", 10));
}

TEST_CASE("every session's touches are drained, however many come and go") {
  Service service;
  service->Start();
  std::vector<std::shared_ptr<Session>> sessions;
  std::vector<std::unique_ptr<SessionPeer>> peers;
  for (int i = 0; i < 60; ++i) {
    sessions.push_back(service.NewSession(ipc::kMaxChannels));  // more than one drain takes
    service->Add(sessions.back());
    peers.push_back(std::make_unique<SessionPeer>(*sessions.back()));
  }
  const auto session = service.NewSession();
  SessionPeer peer(*session);
  service->Add(session);
  const std::uint32_t last = ipc::kMaxChannels - 1;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const std::string key = "key" + std::to_string(i);
    REQUIRE(AskOk(peer.channel(), ipc::kOpSet, kDefault, SetPayload(key, "v")));
    if (i % 3 == 0) {
      service->Remove(sessions[i]->id);
      continue;
    }
    peers[i]->channel(last).RecordTouch(Hash(service, key));
  }
  for (std::size_t i = 0; i < peers.size(); ++i) {
    if (i % 3 == 0) continue;
    while (Frequency(service, "key" + std::to_string(i)) == 0)
      REQUIRE(AskOk(peer.channel(), ipc::kOpPing, 0, ""));
  }
}

}  // namespace
}  // namespace hearth::testing
