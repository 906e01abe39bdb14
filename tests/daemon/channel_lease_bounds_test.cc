// Leases and clients that break the rules: what is refused, what is bounded, and that nobody else
// is hurt.
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/daemon/lease_rig.h"

namespace hearth::testing {
namespace {

void CheckRefused(const Answer& answer, Code code) {
  CHECK_MESSAGE(answer.code() == code, answer.payload);
  CHECK(answer.execution() == Execution::kNotStarted);
  CHECK_FALSE(answer.payload.empty());
}

TEST_CASE("lease bounds: a token is of one key, one session and one use") {
  LeaseRig rig;
  const std::uint64_t token = rig.TakeLease(0, "key");
  rig.TakeLease(0, "other");
  const std::vector<std::pair<std::size_t, std::string>> wrong = {
      {1, FillPayload("key", token, "x")},     {0, FillPayload("other", token, "x")},
      {0, FillPayload("unknown", token, "x")}, {0, FillPayload("key", 0, "x")},
      {0, FillPayload("key", token + 1, "x")},
  };
  for (const auto& [session, payload] : wrong)
    CHECK(rig.Ask(session, ipc::kOpFill, payload).code() == Code::kAborted);
  CHECK(rig.Ask(1, ipc::kOpRelease, ReleasePayload("key", token)).code() == Code::kAborted);
  CHECK(rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "x")).code() == Code::kOk);
  CHECK(rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "y")).code() == Code::kAborted);
  CHECK(rig.store().Get(1, "key") == "x");
}

TEST_CASE("lease bounds: a fill that cannot be stored ends the lease") {
  for (const std::string& payload :
       {std::string("soft above hard"), std::string("too large"), std::string("absent for ever")}) {
    CAPTURE(payload);
    LeaseRig rig(2, 256 * kKiB);
    const std::uint64_t token = rig.TakeLease(0, "key");
    rig.Wait(1, "key");
    std::string fill = FillPayload("key", token, "x", 5, 9);
    if (payload == "too large") fill = FillPayload("key", token, std::string(20 * kKiB, 'x'));
    if (payload == "absent for ever")
      fill = FillPayload("key", token, "", ipc::kTtlNever, 0, ipc::kFillAbsent);
    CheckRefused(rig.Ask(0, ipc::kOpFill, fill), Code::kInvalidArgument);
    LeaseRig::Token(rig.Only(1));
  }
}

TEST_CASE("lease bounds: malformed requests change nothing") {
  LeaseRig rig;
  const std::uint64_t token = rig.TakeLease(0, "key");
  const std::string fill = FillPayload("key", token, "x");
  const std::vector<std::pair<ipc::Opcode, std::string>> wrong = {
      {ipc::kOpLease, ""},
      {ipc::kOpLease, LeasePayload("key").substr(0, 10)},
      {ipc::kOpLease, LeasePayload("key", 2)},
      {ipc::kOpLease, LeasePayload("")},
      {ipc::kOpLease, LeasePayload(std::string(1025, 'k'))},
      {ipc::kOpFill, ""},
      {ipc::kOpFill, fill.substr(0, fill.size() - 1)},
      {ipc::kOpFill, fill + "y"},
      {ipc::kOpFill, FillPayload("key", token, "x", 0, 0, 2)},
      {ipc::kOpFill, FillPayload("key", token, "x", 5, 0, ipc::kFillAbsent)},
      {ipc::kOpFill, FillPayload("key", token, "", 5, 5, ipc::kFillAbsent)},
      {ipc::kOpRelease, ""},
      {ipc::kOpRelease, ReleasePayload("key", token) + "y"},
  };
  for (const auto& [opcode, payload] : wrong) {
    CheckRefused(rig.Ask(0, opcode, payload), Code::kInvalidArgument);
  }
  CHECK(rig.Ask(0, ipc::kOpFill, fill).code() == Code::kOk);
}

TEST_CASE("lease bounds: a namespace that is dropped leaves nobody waiting, nor its id a lease") {
  LeaseRig rig;
  cache::StoreWriter& writer = rig.store().writer();
  const std::uint64_t token = rig.TakeLease(0, "key");
  rig.Wait(1, "key");
  rig.Wait(2, "key");
  REQUIRE(writer.DropNamespace(LeaseRig::kNs).ok());
  // The id goes to another namespace, with a value under the same key.
  while (writer.Reclaim(kMiB)) continue;
  std::uint16_t id = 0;
  for (int i = 0; id != LeaseRig::kNs; ++i) {
    const auto created = writer.CreateNamespace(fmt::format("another{}", i), {});
    REQUIRE(created.ok());
    id = *created;
  }
  rig.store().Set(id, "key", "not yours");
  CheckRefused(rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "value")), Code::kNotFound);
  for (const std::size_t waiter : {1U, 2U}) CheckRefused(rig.Only(waiter), Code::kNotFound);
  CHECK(rig.leases().empty());
}

TEST_CASE("lease bounds: leases in a namespace whose id was another's before") {
  LeaseRig rig;
  cache::StoreWriter& writer = rig.store().writer();
  REQUIRE(writer.DropNamespace(LeaseRig::kNs).ok());
  while (writer.Reclaim(kMiB)) continue;
  std::uint16_t id = 0;
  for (int i = 0; id != LeaseRig::kNs; ++i) {
    const auto created = writer.CreateNamespace(fmt::format("another{}", i), {});
    REQUIRE(created.ok());
    id = *created;
  }
  const std::uint32_t handle = writer.HandleOf(id);
  REQUIRE(handle > 65535);
  rig.AllowWrites(0, handle);
  rig.client(0).Send(ipc::kOpLease, handle, LeasePayload("key"));
  rig.Serve();
  const std::uint64_t token = LeaseRig::Token(rig.Only(0));
  rig.client(0).Send(ipc::kOpFill, handle, FillPayload("key", token, "value"));
  rig.Serve();
  CHECK(rig.Only(0).code() == Code::kOk);
  std::string value;
  CHECK(writer.Get(id, "key", &value).outcome == cache::ReadOutcome::kHit);
}

TEST_CASE("lease bounds: who may not write gets no lease, and none of an unknown namespace") {
  LeaseRig rig;
  for (const auto& [ns, code] :
       {std::pair(2U, Code::kPermissionDenied), std::pair(7U, Code::kNotFound),
        std::pair(65537U, Code::kNotFound)}) {
    const std::vector<std::pair<ipc::Opcode, std::string>> requests = {
        {ipc::kOpLease, LeasePayload("key")}, {ipc::kOpFill, FillPayload("key", 1, "x")}};
    for (const auto& [opcode, payload] : requests) {
      rig.client(0).Send(opcode, ns, payload);
      rig.Serve();
      CheckRefused(rig.Only(0), code);
    }
  }
  rig.client(0).Send(ipc::kOpRelease, 65537, ReleasePayload("key", 1));
  rig.Serve();
  CheckRefused(rig.Only(0), Code::kNotFound);
}

TEST_CASE("lease bounds: a session has so many claims, and others are not affected") {
  LeaseRig rig(2, 256 * kKiB);
  for (std::uint32_t i = 0; i < daemon::kMaxClaimsPerSession; ++i)
    rig.TakeLease(0, "key" + std::to_string(i));
  CheckRefused(rig.Ask(0, ipc::kOpLease, LeasePayload("one more")), Code::kResourceExhausted);
  rig.TakeLease(1, "one more");
  CHECK(rig.Ask(0, ipc::kOpSet, SetPayload("key7", "x")).code() == Code::kOk);
  rig.TakeLease(0, "instead of key7");
}

TEST_CASE("lease bounds: claims are paid for with the session's budget, and paid back") {
  LeaseRig rig(2, ipc::kMinRingBytes, 4 * kKiB);
  std::vector<std::uint64_t> tokens;
  Answer answer;
  while (true) {
    answer = rig.Ask(0, ipc::kOpLease, LeasePayload("key" + std::to_string(tokens.size())));
    if (answer.code() != Code::kOk) break;
    tokens.push_back(LeaseRig::Token(answer));
    REQUIRE(tokens.size() < 100);
  }
  CheckRefused(answer, Code::kResourceExhausted);
  REQUIRE(tokens.size() >= 3);
  // A wait costs as much as a lease.
  CheckRefused(rig.Ask(0, ipc::kOpLease, LeasePayload("key0")), Code::kResourceExhausted);
  CHECK(rig.Ask(0, ipc::kOpRelease, ReleasePayload("key0", tokens[0])).code() == Code::kOk);
  rig.Wait(0, "key1");
}

TEST_CASE("lease bounds: a call id that is used again belongs to the later request") {
  LeaseRig rig;
  ipc::RequestHeader first = rig.client(0).Header(ipc::kOpLease, 1);
  first.call_id = 77;
  rig.client(0).Send(first, LeasePayload("a"));
  ipc::RequestHeader second = rig.client(0).Header(ipc::kOpLease, 1);
  second.call_id = 77;
  rig.client(0).Send(second, LeasePayload("b"));
  rig.Serve();
  const std::vector<Answer> answers = rig.client(0).Take();
  REQUIRE(answers.size() == 2);
  rig.client(0).Send(rig.client(0).Note(ipc::kOpCancel, 77));
  rig.Serve();
  const std::uint64_t a = answers[0].header.number;
  const std::uint64_t b = answers[1].header.number;
  CHECK(rig.Ask(0, ipc::kOpFill, FillPayload("b", b, "x")).code() == Code::kAborted);
  CHECK(rig.Ask(0, ipc::kOpFill, FillPayload("a", a, "x")).code() == Code::kOk);
}

TEST_CASE("lease bounds: a waiting client that has lied about its room ends alone") {
  LeaseRig rig;
  const std::uint64_t token = rig.TakeLease(0, "key");
  // Four thirds of what its response ring has room for.
  const std::uint32_t fits = ipc::kMinRingBytes / ipc::kMinResponseSpace;
  for (std::uint32_t i = 0; i < fits * 4 / 3; ++i) rig.Wait(1, "key");
  rig.Wait(2, "key");
  rig.client(0).Send(ipc::kOpFill, 1, FillPayload("key", token, std::string(400, 'v')));
  rig.ServeRings();
  std::uint32_t answered = 0;
  Status broken;
  while (const auto ready = rig.leases().TakeReady(MonotonicNanosNow())) {
    const Status status = ready->channel->AnswerParked(*ready);
    if (status.ok()) {
      ++answered;
      continue;
    }
    CHECK(broken.ok());
    broken = status;
    rig.EndSession(1);  // what StoreService does
  }
  CHECK(broken.code() == Code::kResourceExhausted);
  CHECK(answered == fits + 1);
  rig.CheckValue(rig.Only(2), std::string(400, 'v'));
}

}  // namespace
}  // namespace hearth::testing
