// ChannelServer: add, replace, compare-and-swap, increment and append, against requests written by
// hand: what is answered, what is refused, and that a refusal changes nothing.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/daemon/session_rig.h"
#include "tests/support/seed.h"

namespace hearth::testing {
namespace {

constexpr std::uint32_t kWritable = 1;
constexpr std::uint32_t kForbidden = 2;

// The refusal a client may rely on: nothing has happened.
void CheckRefused(const Answer& answer, Code code) {
  CHECK_MESSAGE(answer.code() == code, answer.payload);
  CHECK(answer.execution() == Execution::kNotStarted);
  CHECK_FALSE(answer.payload.empty());
  CHECK(answer.header.version == 0);
  CHECK(answer.header.number == 0);
}

// What was executed and found a reason not to change anything.
void CheckVerdict(const Answer& answer, Code code, std::uint64_t version) {
  CHECK_MESSAGE(answer.code() == code, answer.payload);
  CHECK(answer.execution() == Execution::kDone);
  CHECK_FALSE(answer.payload.empty());
  CHECK(answer.header.version == version);
  CHECK(answer.header.number == 0);
}

void CheckDone(const Answer& answer, std::uint64_t after) {
  CHECK_MESSAGE(answer.code() == Code::kOk, answer.payload);
  CHECK(answer.execution() == Execution::kDone);
  CHECK(answer.payload.empty());
  CHECK(answer.header.version > after);
}

std::string AddPayload(std::string_view key, std::string_view value, std::uint64_t hard_ttl_ms = 0,
                       std::uint64_t soft_ttl_ms = 0) {
  return SetPayload(key, value, hard_ttl_ms, soft_ttl_ms, ipc::kSetIfAbsent);
}
std::string ReplacePayload(std::string_view key, std::string_view value,
                           std::uint64_t hard_ttl_ms = 0, std::uint64_t soft_ttl_ms = 0) {
  return SetPayload(key, value, hard_ttl_ms, soft_ttl_ms, ipc::kSetIfPresent);
}

template <class Field>
std::string With(std::string payload, std::size_t at, Field value) {
  std::memcpy(payload.data() + at, &value, sizeof(value));
  return payload;
}

TEST_CASE("an add is refused where the key is there, with the version that is there") {
  ChannelRig rig;
  const Answer added = rig.Ask(ipc::kOpSet, kWritable, AddPayload("key", "one", 1000));
  CheckDone(added, 0);
  CHECK(rig.store().Get(1, "key") == "one");
  CheckVerdict(rig.Ask(ipc::kOpSet, kWritable, AddPayload("key", "two")), Code::kAlreadyExists,
               added.header.version);
  CHECK(rig.store().Get(1, "key") == "one");
  rig.store().clock().AdvanceMs(1000);
  CheckDone(rig.Ask(ipc::kOpSet, kWritable, AddPayload("key", "three")), added.header.version);
  CHECK(rig.store().Get(1, "key") == "three");
}

TEST_CASE("a replace needs the key") {
  ChannelRig rig;
  CheckVerdict(rig.Ask(ipc::kOpSet, kWritable, ReplacePayload("key", "one")), Code::kNotFound, 0);
  CHECK_FALSE(rig.store().Get(1, "key").has_value());
  const std::uint64_t version = rig.store().Set(1, "key", "one");
  CheckDone(rig.Ask(ipc::kOpSet, kWritable, ReplacePayload("key", "two", 1000)), version);
  CHECK(rig.store().Get(1, "key") == "two");
  rig.store().clock().AdvanceMs(1000);
  CHECK_FALSE(rig.store().Get(1, "key").has_value());
}

TEST_CASE("a compare-and-swap needs the version, and tells the one that is there") {
  ChannelRig rig;
  CheckVerdict(rig.Ask(ipc::kOpCompareAndSwap, kWritable, CasPayload("key", 1, "x")),
               Code::kNotFound, 0);
  const std::uint64_t version = rig.store().Set(1, "key", "one");
  for (const std::uint64_t wrong : {std::uint64_t{0}, version + 1, ~std::uint64_t{0}})
    CheckVerdict(rig.Ask(ipc::kOpCompareAndSwap, kWritable, CasPayload("key", wrong, "two")),
                 Code::kAborted, version);
  CHECK(rig.store().Get(1, "key") == "one");
  CheckDone(rig.Ask(ipc::kOpCompareAndSwap, kWritable, CasPayload("key", version, "two", 1000)),
            version);
  CHECK(rig.store().Get(1, "key") == "two");
  rig.store().clock().AdvanceMs(1000);
  CHECK_FALSE(rig.store().Get(1, "key").has_value());
}

TEST_CASE("an increment answers the new value, below zero too") {
  ChannelRig rig;
  CheckVerdict(rig.Ask(ipc::kOpIncrement, kWritable, IncrementPayload("n", 1)), Code::kNotFound, 0);
  auto number = [&](const std::string& payload) {
    const Answer answer = rig.Ask(ipc::kOpIncrement, kWritable, payload);
    CheckDone(answer, 0);
    return static_cast<std::int64_t>(answer.header.number);
  };
  CHECK(number(IncrementPayload("n", 5, -7, 1000)) == -2);
  CHECK(rig.store().Get(1, "n") == "-2");
  CHECK(number(IncrementPayload("n", 5, -7)) == 3);
  CHECK(number(IncrementPayload("n", -4)) == -1);
  CHECK(number(IncrementPayload("zero", 0, 0)) == 0);
  rig.store().clock().AdvanceMs(1000);
  CHECK_FALSE(rig.store().Get(1, "n").has_value());
  CHECK(number(IncrementPayload("n", 1, 0)) == 1);
}

TEST_CASE("an increment of no number, or beyond 64 bits, is executed and changes nothing") {
  ChannelRig rig;
  std::uint64_t version = rig.store().Set(1, "n", "text");
  CheckVerdict(rig.Ask(ipc::kOpIncrement, kWritable, IncrementPayload("n", 1, 0)),
               Code::kFailedPrecondition, version);
  CHECK(rig.store().Get(1, "n") == "text");
  const std::string most = std::to_string(std::numeric_limits<std::int64_t>::max());
  version = rig.store().Set(1, "n", most);
  CheckVerdict(rig.Ask(ipc::kOpIncrement, kWritable, IncrementPayload("n", 1)), Code::kOutOfRange,
               version);
  CHECK(rig.store().Get(1, "n") == most);
}

TEST_CASE("an append puts bytes behind the value, up to the limit") {
  ChannelRig rig;
  CheckVerdict(rig.Ask(ipc::kOpAppend, kWritable, AppendPayload("key", "x")), Code::kNotFound, 0);
  const std::uint64_t version = rig.store().Set(1, "key", "one", {.hard_ms = 1000});
  CheckDone(rig.Ask(ipc::kOpAppend, kWritable, AppendPayload("key", ", two")), version);
  CHECK(rig.store().Get(1, "key") == "one, two");
  const std::string most(rig.store().view().max_value_bytes() - 1, 'x');
  const std::uint64_t large = rig.store().Set(1, "large", most);
  const Answer over = rig.Ask(ipc::kOpAppend, kWritable, AppendPayload("large", "yz"));
  CHECK(over.code() == Code::kInvalidArgument);
  CHECK(over.execution() == Execution::kNotStarted);
  CHECK(over.header.version == large);
  CHECK(rig.store().Get(1, "large") == most);
  rig.store().clock().AdvanceMs(1000);
  CHECK_FALSE(rig.store().Get(1, "key").has_value());
}

// One legal request of each kind, on the key "key".
std::vector<std::pair<ipc::Opcode, std::string>> Requests(std::uint64_t version) {
  return {{ipc::kOpSet, AddPayload("key", "1")},
          {ipc::kOpSet, ReplacePayload("key", "1")},
          {ipc::kOpCompareAndSwap, CasPayload("key", version, "1")},
          {ipc::kOpIncrement, IncrementPayload("key", 1, 0)},
          {ipc::kOpAppend, AppendPayload("key", "1")}};
}

TEST_CASE("each of these requests is legal as it is") {
  for (std::size_t i = 0; i < Requests(0).size(); ++i) {
    ChannelRig rig;
    std::uint64_t version = 0;
    if (i > 0) version = rig.store().Set(1, "key", "7");
    const auto request = Requests(version)[i];
    CheckDone(rig.Ask(request.first, kWritable, request.second), version);
  }
}

TEST_CASE("bodies that are cut off anywhere, or too long, are refused and change nothing") {
  ChannelRig rig;
  const std::uint64_t version = rig.store().Set(1, "key", "7");
  for (const auto& request : Requests(version)) {
    const std::string& payload = request.second;
    for (std::size_t size = 0; size < payload.size(); ++size) {
      CAPTURE(request.first);
      CAPTURE(size);
      CheckRefused(rig.Ask(request.first, kWritable, payload.substr(0, size)),
                   Code::kInvalidArgument);
    }
    CheckRefused(rig.Ask(request.first, kWritable, payload + "x"), Code::kInvalidArgument);
  }
  CHECK(rig.store().view().header().last_version.LoadRelaxed() == version);
}

TEST_CASE("lengths that lie, unknown modes and unknown flags are refused and change nothing") {
  ChannelRig rig;
  const std::uint64_t version = rig.store().Set(1, "key", "7");
  const std::string cas = CasPayload("key", version, "1");
  const std::string append = AppendPayload("key", "1");
  const std::string increment = IncrementPayload("key", 1);
  constexpr std::size_t kCasKey = offsetof(ipc::CasBody, key_length);
  constexpr std::size_t kCasValue = offsetof(ipc::CasBody, value_length);
  auto refused = [&](ipc::Opcode opcode, const std::string& payload) {
    CheckRefused(rig.Ask(opcode, kWritable, payload), Code::kInvalidArgument);
  };
  for (const std::uint32_t length : {0U, 2U, 4U, 5U, 0x7fffffffU, 0xffffffffU}) {
    CAPTURE(length);
    refused(ipc::kOpCompareAndSwap, With(cas, kCasKey, length));
    refused(ipc::kOpCompareAndSwap, With(cas, kCasValue, length));
    refused(ipc::kOpAppend, With(append, offsetof(ipc::AppendBody, key_length), length));
    refused(ipc::kOpAppend, With(append, offsetof(ipc::AppendBody, value_length), length));
    refused(ipc::kOpIncrement, With(increment, offsetof(ipc::IncrementBody, key_length), length));
    // The two wrap around to the right sum in 32 bits.
    const std::uint32_t rest = 4U - length + (length <= 4 ? 1U : 0U);
    refused(ipc::kOpCompareAndSwap, With(With(cas, kCasKey, length), kCasValue, rest));
    refused(ipc::kOpAppend, With(With(append, 0, length), 4, rest));
  }
  // A key of no bytes, and one of too many.
  for (const std::string& key : {std::string(), std::string(1025, 'k')}) {
    refused(ipc::kOpSet, AddPayload(key, "1"));
    refused(ipc::kOpSet, ReplacePayload(key, "1"));
    refused(ipc::kOpCompareAndSwap, CasPayload(key, version, "1"));
    refused(ipc::kOpIncrement, IncrementPayload(key, 1, 0));
    refused(ipc::kOpAppend, AppendPayload(key, "1"));
  }
  for (const std::uint32_t mode : {3U, 4U, 255U, 256U, 0x10001U, 0x80000000U, 0xffffffffU})
    refused(ipc::kOpSet, With(AddPayload("new", "1"), offsetof(ipc::SetBody, mode), mode));
  constexpr std::size_t kFlags = offsetof(ipc::IncrementBody, flags);
  for (const std::uint32_t flags : {2U, 3U, 0x100U, 0x80000001U, 0xffffffffU})
    refused(ipc::kOpIncrement, With(increment, kFlags, flags));
  // An initial value that no flag announces: a client that forgot it, or a newer one.
  refused(ipc::kOpIncrement, With(IncrementPayload("key", 1, 9), kFlags, std::uint32_t{0}));
  // TTLs that contradict each other, or exceed a century.
  for (const auto& [hard, soft] : {std::pair<std::uint64_t, std::uint64_t>{10, 20},
                                   std::pair<std::uint64_t, std::uint64_t>{1ULL << 62U, 0}}) {
    refused(ipc::kOpSet, AddPayload("new", "1", hard, soft));
    refused(ipc::kOpSet, ReplacePayload("key", "1", hard, soft));
    refused(ipc::kOpCompareAndSwap, CasPayload("key", version, "1", hard, soft));
    refused(ipc::kOpIncrement, IncrementPayload("new", 1, 0, hard, soft));
  }
  CHECK(rig.store().view().header().last_version.LoadRelaxed() == version);
}

TEST_CASE("rights and namespaces are checked before the entry is looked at") {
  ChannelRig rig;
  const std::uint64_t version = rig.store().Set(2, "key", "7");
  for (const auto& request : Requests(version)) {
    CAPTURE(request.first);
    const Answer denied = rig.Ask(request.first, kForbidden, request.second);
    CheckRefused(denied, Code::kPermissionDenied);
    CHECK(denied.payload == "uid 1234 may not write to namespace 'forbidden'");
    for (const std::uint32_t id : {0U, 3U, 8U, 0xffffU, 0x10001U, 0xffffffffU})
      CheckRefused(rig.Ask(request.first, id, request.second), Code::kNotFound);
  }
  CHECK(rig.store().view().header().last_version.LoadRelaxed() == version);
}

TEST_CASE("each of them carries the channel and the sequence that asked for it") {
  ChannelRig rig({.session = {.id = 5}});
  for (std::size_t i = 0; i < Requests(0).size(); ++i) {
    // All but the add need the key.
    const std::string key = i == 0 ? "other" : "key";
    const std::uint64_t current = rig.store().Set(1, key, "7");
    const auto request = Requests(current)[i];
    const ipc::RequestHeader header = rig.client().Header(request.first, kWritable);
    CheckDone(rig.Ask(header, request.second), current);
    const std::uint64_t in_flight = rig.store().view().header().in_flight.LoadRelaxed();
    CHECK((in_flight >> 48U) == rig.session().origins[0]);
    CHECK((in_flight & 0xffffffffffffU) == header.sequence);
  }
}

TEST_CASE("no body does more than be refused, whatever its bytes are") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  ChannelRig rig;
  int done = 0;
  for (int i = 0; i < (FullRun() ? 400'000 : 20'000); ++i) {
    auto requests = Requests(random.Below(40));
    auto& [opcode, payload] = requests[random.Below(requests.size())];
    if (random.OneIn(3)) payload.resize(random.Below(60));
    for (std::uint64_t n = random.Below(3); n > 0 && !payload.empty(); --n)
      payload[random.Below(payload.size())] = static_cast<char>(random.Next());
    const Answer answer = rig.Ask(opcode, kWritable, payload);
    if (answer.code() == Code::kOk) ++done;
    // Back to a number now and then.
    if (random.OneIn(20)) rig.store().Set(1, "key", "7");
  }
  CHECK(done > 1000);
  for (const std::string& problem : FindBrokenInvariants(rig.store().view())) FAIL_CHECK(problem);
}

}  // namespace
}  // namespace hearth::testing
