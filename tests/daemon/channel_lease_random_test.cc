// Leases under random requests of several sessions, against a model that only knows which token is
// the right one.
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/daemon/lease_rig.h"
#include "tests/support/seed.h"

namespace hearth::testing {
namespace {

constexpr std::size_t kSessions = 5;
constexpr std::array<const char*, 3> kKeys = {"a", "b", "c"};
constexpr std::uint64_t kHour = 3'600'000'000'000;

struct Lease {
  std::size_t session = 0;
  std::uint32_t call_id = 0;
  std::uint64_t token = 0;  // 0: nobody may load
  std::uint64_t deadline_ns = 0;
};
struct Open {
  ipc::RequestHeader header{};
  std::string key;
};

class Run {
 public:
  explicit Run(Random* random) : random_(*random) { alive_.fill(true); }

  void Step() {
    const std::size_t i = random_.Below(kSessions);
    if (!alive_[i]) return;
    const std::string key = kKeys[random_.Below(kKeys.size())];
    switch (random_.Below(40)) {
      case 0: return EndSession(i);
      case 1:
      case 2: return PassTime();
      case 3:
      case 4:
      case 5: return Cancel(i);
      case 6:
      case 7: return Change(i, key, ipc::kOpSet, SetPayload(key, "set", 0, 0));
      case 8:
      case 9:
      case 10: return Change(i, key, ipc::kOpDelete, KeyPayload(key));
      default: break;
    }
    switch (random_.Below(4)) {
      case 0: return Fill(i, key);
      case 1: return Release(i, key);
      default: return Ask(i, key);
    }
  }

  // Whoever waits does so because somebody may load.
  void CheckWaits() {
    for (std::size_t i = 0; i < kSessions; ++i)
      for (const auto& [call, open] : open_[i])
        CHECK(rig_.leases().Held({.namespace_id = LeaseRig::kNs, .key = open.key}, 0));
  }

  void Finish() {
    for (std::size_t i = 0; i < kSessions; ++i)
      if (alive_[i]) EndSession(i);
    CHECK(rig_.leases().empty());
  }
  int granted() const { return granted_; }
  int filled() const { return filled_; }

 private:
  std::uint64_t Deadline() {
    return random_.OneIn(3) ? now_ + 1 + random_.Below(10) : std::uint64_t{0};
  }

  // Sends, and lets the acting session's answers be the first to be looked at: what it did may be
  // what the others are answered for.
  ipc::RequestHeader Act(std::size_t i, ipc::Opcode opcode, const std::string& payload,
                         const std::string& key, std::uint64_t deadline_ns = 0) {
    ipc::RequestHeader header = rig_.client(i).Header(opcode, LeaseRig::kNs);
    header.deadline_ns = deadline_ns;
    open_[i][header.call_id] = {header, key};
    rig_.client(i).Send(header, payload);
    rig_.Serve(now_);
    return header;
  }
  void Collect(std::size_t first) {
    for (std::size_t n = 0; n < kSessions; ++n) {
      const std::size_t i = (first + n) % kSessions;
      if (!alive_[i]) continue;
      for (const Answer& answer : rig_.client(i).Take()) Note(i, answer);
    }
  }
  void Note(std::size_t i, const Answer& answer) {
    const auto open = open_[i].find(answer.header.call_id);
    REQUIRE(open != open_[i].end());  // else it was answered twice
    const Open request = open->second;
    open_[i].erase(open);
    CHECK(answer.header.sequence == request.header.sequence);
    Lease& lease = leases_[request.key];
    const bool ok = answer.code() == Code::kOk;
    switch (answer.header.opcode) {
      case ipc::kOpLease:
        if (!ok || answer.header.number == 0) return;
        CHECK(tokens_.insert(answer.header.number).second);
        CHECK(lease.token == 0);  // nobody else may load
        lease = {i, request.header.call_id, answer.header.number, request.header.deadline_ns};
        ++granted_;
        return;
      case ipc::kOpFill: filled_ += ok ? 1 : 0; [[fallthrough]];
      case ipc::kOpRelease:
        CHECK(ok == expected_);
        if (ok) lease = {};
        return;
      default: lease = {}; return;
    }
  }

  void Ask(std::size_t i, const std::string& key) {
    const bool wait = random_.OneIn(2);
    Act(i, ipc::kOpLease, LeasePayload(key, wait ? 0 : ipc::kLeaseNoWait), key, Deadline());
    Collect(i);
  }
  std::uint64_t SomeToken(std::size_t i, const std::string& key) {
    const Lease& lease = leases_[key];
    const std::uint64_t token = random_.OneIn(4) ? tokens_.size() - random_.Below(3) : lease.token;
    expected_ = token != 0 && token == lease.token && lease.session == i;
    return token;
  }
  void Fill(std::size_t i, const std::string& key) {
    const std::uint64_t token = SomeToken(i, key);
    const bool absent = random_.OneIn(3);
    Act(i, ipc::kOpFill,
        FillPayload(key, token, absent ? "" : "filled", absent && random_.OneIn(2) ? 1000 : 0, 0,
                    absent ? ipc::kFillAbsent : 0),
        key);
    Collect(i);
  }
  void Release(std::size_t i, const std::string& key) {
    Act(i, ipc::kOpRelease, ReleasePayload(key, SomeToken(i, key)), key);
    Collect(i);
  }
  void Change(std::size_t i, const std::string& key, ipc::Opcode opcode,
              const std::string& payload) {
    Act(i, opcode, payload, key);
    Collect(i);
  }
  void Cancel(std::size_t i) {
    std::uint32_t call_id = static_cast<std::uint32_t>(1 + random_.Below(200));
    if (!open_[i].empty() && random_.OneIn(2)) call_id = open_[i].begin()->first;
    for (const auto& [key, lease] : leases_)
      if (lease.token != 0 && lease.session == i && random_.OneIn(3)) call_id = lease.call_id;
    for (auto& [key, lease] : leases_)
      if (lease.token != 0 && lease.session == i && lease.call_id == call_id) lease = {};
    rig_.client(i).Send(rig_.client(i).Note(ipc::kOpCancel, call_id));
    rig_.Serve(now_);
    Collect(i);
    CHECK_FALSE(open_[i].contains(call_id));
  }
  void PassTime() {
    now_ += 1 + random_.Below(10);
    for (auto& [key, lease] : leases_)
      if (lease.deadline_ns != 0 && lease.deadline_ns <= now_) lease = {};
    rig_.Serve(now_);
    Collect(0);
    for (const auto& session : open_)
      for (const auto& [call, open] : session)
        CHECK((open.header.deadline_ns == 0 || open.header.deadline_ns > now_));
  }
  void EndSession(std::size_t i) {
    alive_[i] = false;
    open_[i].clear();
    for (auto& [key, lease] : leases_)
      if (lease.session == i) lease = {};
    rig_.EndSession(i);
    rig_.Serve(now_);
    Collect(i);
  }

  Random& random_;
  LeaseRig rig_{kSessions};
  std::uint64_t now_ = MonotonicNanosNow() + kHour;  // no deadline passes by itself
  std::array<bool, kSessions> alive_{};
  std::array<std::map<std::uint32_t, Open>, kSessions> open_;
  std::map<std::string, Lease> leases_;
  std::set<std::uint64_t> tokens_;
  bool expected_ = false;  // whether the token of the fill or release under way is the right one
  int granted_ = 0;
  int filled_ = 0;
};

TEST_CASE("lease: random requests keep to the rules, and every one is answered once") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  int granted = 0;
  int filled = 0;
  const int runs = FullRun() ? 2000 : 100;
  for (int n = 0; n < runs; ++n) {
    Run run(&random);
    for (int step = 0; step < 150; ++step) {
      run.Step();
      run.CheckWaits();
    }
    granted += run.granted();
    filled += run.filled();
    run.Finish();
  }
  CHECK(granted > runs);
  CHECK(filled > runs);
}

}  // namespace
}  // namespace hearth::testing
