// Leases over rings: who loads, who waits, and what ends a lease.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/daemon/lease_rig.h"

namespace hearth::testing {
namespace {

constexpr std::uint64_t kSoon = 60'000'000'000;  // later than any test takes

std::uint64_t Ahead() { return MonotonicNanosNow() + kSoon; }

void CheckOver(const Answer& answer) {
  CHECK(answer.code() == Code::kAborted);
  CHECK(answer.execution() == Execution::kDone);
  CHECK_FALSE(answer.payload.empty());
}

TEST_CASE("lease: one client loads, the others wait and get what it has filled in") {
  LeaseRig rig;
  const std::uint64_t token = rig.TakeLease(0, "key");
  rig.Wait(1, "key");
  rig.Wait(2, "key");
  const Answer filled = rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "value", 5000));
  CHECK(filled.code() == Code::kOk);
  CHECK(filled.header.version > 0);
  for (const std::size_t waiter : {1U, 2U}) {
    const Answer answer = rig.Only(waiter);
    rig.CheckValue(answer, "value");
    CHECK(answer.header.version == filled.header.version);
    CHECK(answer.header.hard_expiry_ms == rig.store().Reader().NowMs() + 5000);
  }
  CHECK(rig.leases().empty());
}

TEST_CASE("lease: a fresh value is the answer, and nobody loads") {
  LeaseRig rig;
  rig.store().Set(1, "key", "value", {.hard_ms = 2000, .soft_ms = 1000});
  rig.CheckValue(rig.Ask(0, ipc::kOpLease, LeasePayload("key")), "value");
  rig.store().Set(1, "empty", "");
  rig.CheckValue(rig.Ask(0, ipc::kOpLease, LeasePayload("empty")), "");
  CHECK(rig.leases().empty());
}

TEST_CASE("lease: a stale value is refreshed by one, and who does not want to wait is told") {
  LeaseRig rig;
  const std::uint64_t version = rig.store().Set(1, "key", "old", {.hard_ms = 2000, .soft_ms = 1});
  rig.store().clock().AdvanceMs(1);
  const Answer granted = rig.Ask(0, ipc::kOpLease, LeasePayload("key", ipc::kLeaseNoWait));
  const std::uint64_t token = LeaseRig::Token(granted);
  CHECK(granted.header.version == version);
  const Answer told = rig.Ask(1, ipc::kOpLease, LeasePayload("key", ipc::kLeaseNoWait));
  CHECK(told.code() == Code::kAlreadyExists);
  CHECK(told.execution() == Execution::kDone);
  CHECK(told.header.version == version);
  rig.Wait(2, "key");
  CHECK(rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "new")).code() == Code::kOk);
  rig.CheckValue(rig.Only(2), "new");
  CHECK(rig.Silent(1));
}

TEST_CASE("lease: keys and namespaces do not disturb each other") {
  LeaseRig rig;
  const std::uint64_t a = rig.TakeLease(0, "a");
  const std::uint64_t b = rig.TakeLease(1, "b");
  CHECK(a != b);
  CHECK(rig.Ask(2, ipc::kOpSet, SetPayload("b", "x")).code() == Code::kOk);
  CHECK(rig.Ask(0, ipc::kOpFill, FillPayload("a", a, "x")).code() == Code::kOk);
}

TEST_CASE("lease: a release passes it to whoever has waited longest, and to nobody else") {
  LeaseRig rig;
  const std::uint64_t first = rig.TakeLease(0, "key");
  rig.Wait(2, "key");
  rig.Wait(1, "key");
  CHECK(rig.Ask(0, ipc::kOpRelease, ReleasePayload("key", first)).code() == Code::kOk);
  const std::uint64_t second = LeaseRig::Token(rig.Only(2));
  CHECK(second != first);
  CHECK(rig.Silent(1));
  CheckOver(rig.Ask(0, ipc::kOpFill, FillPayload("key", first, "late")));
  CHECK(rig.Ask(2, ipc::kOpFill, FillPayload("key", second, "value")).code() == Code::kOk);
  rig.CheckValue(rig.Only(1), "value");
}

TEST_CASE("lease: every change of the key voids it, and the value that was loaded is refused") {
  struct Change {
    const char* name;
    ipc::Opcode opcode;
    std::string payload;
    const char* after;  // null: absent or stale, so that the waiter loads
  };
  for (const bool stale : {false, true}) {
    std::vector<Change> changes = {
        {"set", ipc::kOpSet, SetPayload("key", "set"), "set"},
        {"delete", ipc::kOpDelete, KeyPayload("key"), nullptr},
        {"increment", ipc::kOpIncrement, IncrementPayload("key", 1, 0), stale ? nullptr : "1"},
    };
    if (!stale) changes.push_back({"add", ipc::kOpSet, SetPayload("key", "add", 0, 0, 1), "add"});
    if (stale) {
      changes.push_back({"replace", ipc::kOpSet, SetPayload("key", "re", 0, 0, 2), "re"});
      changes.push_back({"swap", ipc::kOpCompareAndSwap, CasPayload("key", 1, "swap"), "swap"});
      changes.push_back({"append", ipc::kOpAppend, AppendPayload("key", "1"), nullptr});
      changes.push_back({"touch", ipc::kOpTouch, TouchPayload("key", 9000), "7"});
    }
    for (const Change& change : changes) {
      CAPTURE(change.name);
      CAPTURE(stale);
      LeaseRig rig;
      if (stale) {
        REQUIRE(rig.store().Set(1, "key", "7", {.hard_ms = 9000, .soft_ms = 1}) == 1);
        rig.store().clock().AdvanceMs(1);
      }
      const std::uint64_t token = rig.TakeLease(0, "key");
      rig.Wait(1, "key");
      const Answer changed = rig.Ask(2, change.opcode, change.payload);
      CHECK(changed.execution() == Execution::kDone);
      const Answer woken = rig.Only(1);
      if (change.after != nullptr) {
        rig.CheckValue(woken, change.after);
      } else {
        LeaseRig::Token(woken);
      }
      const auto before = rig.store().Get(1, "key");
      CheckOver(rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "loaded before")));
      CHECK(rig.store().Get(1, "key") == before);
    }
  }
}

TEST_CASE("lease: what changes nothing leaves it") {
  LeaseRig rig;
  rig.store().Set(1, "key", "x", {.hard_ms = 9000, .soft_ms = 1});
  rig.store().clock().AdvanceMs(1);
  const std::uint64_t token = rig.TakeLease(0, "key");
  CHECK(rig.Ask(1, ipc::kOpSet, SetPayload("key", "y", 0, 0, ipc::kSetIfAbsent)).code() ==
        Code::kAlreadyExists);
  CHECK(rig.Ask(1, ipc::kOpCompareAndSwap, CasPayload("key", 99, "y")).code() == Code::kAborted);
  CHECK(rig.Ask(1, ipc::kOpIncrement, IncrementPayload("key", 1)).code() ==
        Code::kFailedPrecondition);
  CHECK(rig.Ask(1, ipc::kOpGet, KeyPayload("key")).code() == Code::kOk);
  CHECK(rig.Ask(1, ipc::kOpSet, SetPayload("key", "y", 5, 9)).code() == Code::kInvalidArgument);
  CHECK(rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "new")).code() == Code::kOk);
}

TEST_CASE("lease: a flush of the namespace voids it") {
  LeaseRig rig;
  auto flush = [&] {
    const std::uint64_t version = rig.store().Set(1, "other", "x");
    rig.store().view().namespace_record(1).flushed_version.StoreRelaxed(version);
  };
  const std::uint64_t first = rig.TakeLease(0, "key");
  rig.Wait(1, "key");
  flush();
  CheckOver(rig.Ask(0, ipc::kOpFill, FillPayload("key", first, "value")));
  CHECK_FALSE(rig.store().Get(1, "key").has_value());
  LeaseRig::Token(rig.Only(1));  // the holder has ended, so it is the next one's turn
  flush();
  const std::uint64_t third = rig.TakeLease(2, "key");  // nobody waits for one who loads old things
  CHECK(rig.Ask(2, ipc::kOpFill, FillPayload("key", third, "value")).code() == Code::kOk);
}

TEST_CASE("lease: dies with the session of its holder, and so does a wait") {
  LeaseRig rig(4);
  rig.TakeLease(0, "key");
  rig.Wait(1, "key");
  rig.Wait(2, "key");
  rig.Wait(3, "key");
  rig.EndSession(1);
  rig.Serve();
  CHECK(rig.Silent(2));
  rig.EndSession(0);
  rig.Serve();
  LeaseRig::Token(rig.Only(2));
  CHECK(rig.Silent(3));
}

TEST_CASE("lease: a cancelled wait is answered, and the next one takes its place") {
  LeaseRig rig;
  const std::uint64_t token = rig.TakeLease(0, "key");
  const ipc::RequestHeader waiting = rig.Wait(1, "key");
  rig.Wait(2, "key");
  rig.client(1).Send(rig.client(1).Note(ipc::kOpCancel, waiting.call_id));
  rig.Serve();
  const Answer cancelled = rig.Only(1);
  CHECK(cancelled.code() == Code::kCancelled);
  CHECK(cancelled.execution() == Execution::kNotStarted);
  CHECK(cancelled.header.sequence == waiting.sequence);
  CHECK(rig.Ask(0, ipc::kOpRelease, ReleasePayload("key", token)).code() == Code::kOk);
  LeaseRig::Token(rig.Only(2));
  CHECK(rig.Silent(1));
}

TEST_CASE("lease: cancelling the request that has been granted it gives it back") {
  LeaseRig rig;
  const ipc::RequestHeader asked = rig.Send(0, ipc::kOpLease, LeasePayload("key"));
  const std::uint64_t token = LeaseRig::Token(rig.Only(0));
  rig.Wait(1, "key");
  rig.client(0).Send(rig.client(0).Note(ipc::kOpCancel, asked.call_id + 1));
  rig.Serve();
  CHECK(rig.Silent(1));
  rig.client(0).Send(rig.client(0).Note(ipc::kOpCancel, asked.call_id));
  rig.Serve();
  LeaseRig::Token(rig.Only(1));
  CHECK(rig.Silent(0));
  CheckOver(rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "x")));
}

TEST_CASE("lease: a wait ends at its deadline, and the others go on waiting") {
  LeaseRig rig;
  const std::uint64_t token = rig.TakeLease(0, "key");
  const std::uint64_t deadline = Ahead();
  rig.Wait(1, "key", deadline);
  rig.Wait(2, "key");
  CHECK(rig.leases().NextDeadlineNs() == deadline);
  rig.Serve(deadline - 1);
  CHECK(rig.Silent(1));
  rig.Serve(deadline);
  const Answer expired = rig.Only(1);
  CHECK(expired.code() == Code::kDeadlineExceeded);
  CHECK(expired.execution() == Execution::kNotStarted);
  CHECK(rig.leases().NextDeadlineNs() == ~std::uint64_t{0});
  CHECK(rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "value")).code() == Code::kOk);
  rig.CheckValue(rig.Only(2), "value");
}

TEST_CASE("lease: ends at the deadline of the request that got it") {
  LeaseRig rig;
  const std::uint64_t deadline = Ahead();
  rig.Send(0, ipc::kOpLease, LeasePayload("key"), deadline);
  const std::uint64_t token = LeaseRig::Token(rig.Only(0));
  rig.Wait(1, "key");
  rig.Serve(deadline);
  const std::uint64_t next = LeaseRig::Token(rig.Only(1));
  CheckOver(rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "late")));
  CHECK(rig.Ask(1, ipc::kOpFill, FillPayload("key", next, "value")).code() == Code::kOk);
}

TEST_CASE("lease: an absent key is told to whoever waits, and remembered if the fill says so") {
  for (const std::uint64_t ttl_ms : {std::uint64_t{0}, std::uint64_t{3000}}) {
    CAPTURE(ttl_ms);
    LeaseRig rig;
    rig.store().Set(1, "key", "old", {.hard_ms = 9000, .soft_ms = 1});
    rig.store().clock().AdvanceMs(1);
    const std::uint64_t token = rig.TakeLease(0, "key");
    rig.Wait(1, "key");
    rig.Wait(2, "key");
    const Answer filled =
        rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "", ttl_ms, 0, ipc::kFillAbsent));
    CHECK(filled.code() == Code::kOk);
    CHECK(filled.header.version != 0);
    for (const std::size_t waiter : {1U, 2U}) {
      const Answer answer = rig.Only(waiter);
      CHECK(answer.code() == Code::kNotFound);
      CHECK(answer.execution() == Execution::kDone);
    }
    CHECK_FALSE(rig.store().Get(1, "key").has_value());
    for (const ipc::Opcode opcode : {ipc::kOpLease, ipc::kOpGet}) {
      const Answer next = rig.Ask(1, opcode, KeyPayload("key"));
      if (ttl_ms == 0 && opcode == ipc::kOpLease) {
        LeaseRig::Token(next);
        continue;
      }
      CHECK(next.code() == Code::kNotFound);
      CHECK(next.execution() == Execution::kDone);
      CHECK(next.header.version == (ttl_ms == 0 ? 0 : filled.header.version));
    }
  }
}

TEST_CASE("lease: an absent key that was not there either is no error") {
  LeaseRig rig;
  const std::uint64_t token = rig.TakeLease(0, "key");
  const Answer filled =
      rig.Ask(0, ipc::kOpFill, FillPayload("key", token, "", 0, 0, ipc::kFillAbsent));
  CHECK(filled.code() == Code::kOk);
  CHECK(filled.header.version == 0);
}

}  // namespace
}  // namespace hearth::testing
