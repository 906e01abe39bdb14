// ChannelServer, operation by operation, against requests written by hand.
#include "daemon/channel_server.h"

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/clock.h"
#include "core/cache/format.h"
#include "tests/daemon/session_rig.h"

namespace hearth::testing {
namespace {

using ipc::RequestHeader;

constexpr std::uint32_t kWritable = 1;
constexpr std::uint32_t kForbidden = 2;
constexpr std::uint32_t kEcho = 1;

// The refusal a client may rely on: nothing has happened.
void CheckRefused(const Answer& answer, Code code) {
  CHECK(answer.code() == code);
  CHECK(answer.execution() == Execution::kNotStarted);
  CHECK_FALSE(answer.payload.empty());
  CHECK(answer.payload.size() <= ipc::kMaxErrorMessageBytes);
  CHECK(answer.header.version == 0);
}

// Same bytes, other length fields.
std::string WithKeyLength(std::string payload, std::size_t at, std::uint32_t length) {
  std::memcpy(payload.data() + at, &length, sizeof(length));
  return payload;
}

TEST_CASE("a set is visible to readers before it is answered, and says its version") {
  ChannelRig rig;
  const Answer answer = rig.Ask(ipc::kOpSet, kWritable, SetPayload("key", "value"));
  CHECK(answer.code() == Code::kOk);
  CHECK(answer.execution() == Execution::kDone);
  CHECK(answer.payload.empty());
  CHECK(rig.store().Get(1, "key") == "value");
  const Answer second = rig.Ask(ipc::kOpSet, kWritable, SetPayload("key", "other"));
  CHECK(second.header.version > answer.header.version);
  CHECK(rig.store().Get(1, "key") == "other");
}

TEST_CASE("a set takes its TTLs, and those of the namespace where it states none") {
  ChannelRig rig;
  rig.Ask(ipc::kOpSet, kWritable, SetPayload("short", "v", 1000, 500));
  rig.Ask(ipc::kOpSet, kWritable, SetPayload("none", "v", ipc::kTtlNever, ipc::kTtlNever));
  rig.store().clock().AdvanceMs(600);
  Answer got = rig.Ask(ipc::kOpGet, kWritable, KeyPayload("short"));
  REQUIRE(got.code() == Code::kOk);
  CHECK(got.header.hard_expiry_ms == got.header.soft_expiry_ms + 500);
  CHECK(rig.Ask(ipc::kOpGet, kWritable, KeyPayload("none")).header.hard_expiry_ms == cache::kNever);
  rig.store().clock().AdvanceMs(600);
  CHECK(rig.Ask(ipc::kOpGet, kWritable, KeyPayload("short")).code() == Code::kNotFound);
  CHECK(rig.Ask(ipc::kOpGet, kWritable, KeyPayload("none")).code() == Code::kOk);
  CheckRefused(rig.Ask(ipc::kOpSet, kWritable, SetPayload("k", "v", 10, 20)),
               Code::kInvalidArgument);
}

TEST_CASE("a delete says which version it removed, and that there was nothing the second time") {
  ChannelRig rig;
  const std::uint64_t version =
      rig.Ask(ipc::kOpSet, kWritable, SetPayload("key", "value")).header.version;
  const Answer removed = rig.Ask(ipc::kOpDelete, kWritable, KeyPayload("key"));
  CHECK(removed.code() == Code::kOk);
  CHECK(removed.header.version == version);
  CHECK_FALSE(rig.store().Get(1, "key").has_value());
  const Answer again = rig.Ask(ipc::kOpDelete, kWritable, KeyPayload("key"));
  CHECK(again.code() == Code::kNotFound);
  CHECK(again.execution() == Execution::kDone);
}

TEST_CASE("a touch changes the expiries and keeps the value") {
  ChannelRig rig;
  rig.Ask(ipc::kOpSet, kWritable, SetPayload("key", "value", 1000));
  const Answer touched = rig.Ask(ipc::kOpTouch, kWritable, TouchPayload("key", 5000));
  CHECK(touched.code() == Code::kOk);
  rig.store().clock().AdvanceMs(2000);
  const Answer got = rig.Ask(ipc::kOpGet, kWritable, KeyPayload("key"));
  CHECK(got.payload == "value");
  CHECK(got.header.version == touched.header.version);
  const Answer absent = rig.Ask(ipc::kOpTouch, kWritable, TouchPayload("absent", 1));
  CHECK(absent.code() == Code::kNotFound);
  CHECK(absent.execution() == Execution::kDone);
}

TEST_CASE("a get answers value and version, or that there is no such key") {
  ChannelRig rig;
  const Answer set = rig.Ask(ipc::kOpSet, kWritable, SetPayload("key", "value"));
  const Answer got = rig.Ask(ipc::kOpGet, kWritable, KeyPayload("key"));
  CHECK(got.code() == Code::kOk);
  CHECK(got.payload == "value");
  CHECK(got.header.version == set.header.version);
  const Answer miss = rig.Ask(ipc::kOpGet, kWritable, KeyPayload("other"));
  CHECK(miss.code() == Code::kNotFound);
  CHECK(miss.execution() == Execution::kDone);
}

TEST_CASE("a get needs no right to write") {
  ChannelRig rig;
  rig.store().Set(2, "key", "value");
  CHECK(rig.Ask(ipc::kOpGet, kForbidden, KeyPayload("key")).payload == "value");
}

TEST_CASE("hearth.echo answers its request") {
  ChannelRig rig;
  CHECK(rig.Ask(ipc::kOpCall, kEcho, "hello").payload == "hello");
  CHECK(rig.Ask(ipc::kOpCall, kEcho, "").payload.empty());
}

TEST_CASE("a method that fails answers its code and message, and that it has run") {
  ChannelRig rig;
  const Answer answer = rig.Ask(ipc::kOpCall, 2, "x");
  CHECK(answer.code() == Code::kInternal);
  CHECK(answer.execution() == Execution::kDone);
  CHECK(answer.payload == "this method always fails");
}

TEST_CASE("a method is told who calls, until when, and the trace it belongs to") {
  ChannelRig rig;
  RequestHeader header = rig.client().Header(ipc::kOpCall, 3);
  header.deadline_ns = ~0ULL;
  header.trace_id[0] = 0xab;
  header.trace_id[15] = 0xcd;
  header.span_id[0] = 0xef;
  header.trace_flags = 1;
  CHECK(rig.Ask(header).payload ==
        "uid 1234 deadline 18446744073709551615 trace ab cd span ef flags 1");
}

TEST_CASE("a ping is answered after everything before it, and answers keep the order of requests") {
  ChannelRig rig;
  std::vector<RequestHeader> sent;
  for (int i = 0; i < 8; ++i) {
    sent.push_back(rig.client().Header(i % 2 == 0 ? ipc::kOpCall : ipc::kOpPing, kEcho));
    rig.client().Append(sent.back());
  }
  rig.client().Publish();
  REQUIRE(rig.Serve().ok());
  const std::vector<Answer> answers = rig.client().Take();
  REQUIRE(answers.size() == sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    CHECK(answers[i].header.sequence == sent[i].sequence);
    CHECK(answers[i].header.call_id == sent[i].call_id);
    CHECK(answers[i].header.opcode == sent[i].opcode);
  }
}

TEST_CASE("bodies that are cut off anywhere are refused and change nothing") {
  ChannelRig rig;
  rig.store().Set(1, "key", "before");
  const std::pair<ipc::Opcode, std::string> requests[] = {
      {ipc::kOpSet, SetPayload("key", "after")},
      {ipc::kOpDelete, KeyPayload("key")},
      {ipc::kOpTouch, TouchPayload("key", 1)},
      {ipc::kOpGet, KeyPayload("key")},
  };
  for (const auto& request : requests) {
    const ipc::Opcode opcode = request.first;
    const std::string& payload = request.second;
    for (std::size_t size = 0; size < payload.size(); ++size) {
      CAPTURE(opcode);
      CAPTURE(size);
      CheckRefused(rig.Ask(opcode, kWritable, payload.substr(0, size)), Code::kInvalidArgument);
    }
    CheckRefused(rig.Ask(opcode, kWritable, payload + "x"), Code::kInvalidArgument);
  }
  rig.store().clock().AdvanceMs(60'000);
  CHECK(rig.store().Get(1, "key") == "before");
}

TEST_CASE("lengths that lie about the payload are refused, whatever they add up to") {
  ChannelRig rig;
  constexpr std::size_t kSetKey = offsetof(ipc::SetBody, key_length);
  constexpr std::size_t kSetValue = offsetof(ipc::SetBody, value_length);
  const std::string set = SetPayload("key", "value");
  for (const std::uint32_t length : {0U, 2U, 4U, 8U, 9U, 0x7fffffffU, 0xffffffffU}) {
    CAPTURE(length);
    CheckRefused(rig.Ask(ipc::kOpSet, kWritable, WithKeyLength(set, kSetKey, length)),
                 Code::kInvalidArgument);
    CheckRefused(rig.Ask(ipc::kOpSet, kWritable, WithKeyLength(set, kSetValue, length)),
                 Code::kInvalidArgument);
    // The two wrap around to the right sum in 32 bits.
    CheckRefused(rig.Ask(ipc::kOpSet, kWritable,
                         WithKeyLength(WithKeyLength(set, kSetKey, length), kSetValue,
                                       8U - length + (length <= 8 ? 1U : 0U))),
                 Code::kInvalidArgument);
    CheckRefused(rig.Ask(ipc::kOpDelete, kWritable, WithKeyLength(KeyPayload("key"), 0, length)),
                 Code::kInvalidArgument);
    CheckRefused(rig.Ask(ipc::kOpGet, kWritable, WithKeyLength(KeyPayload("key"), 0, length)),
                 Code::kInvalidArgument);
    CheckRefused(rig.Ask(ipc::kOpTouch, kWritable,
                         WithKeyLength(TouchPayload("key", 1), offsetof(ipc::TouchBody, key_length),
                                       length)),
                 Code::kInvalidArgument);
  }
}

TEST_CASE("keys have 1 to 1024 bytes and values at most what the store says") {
  ChannelRig rig({.session = {.ring_bytes = 256 * 1024}});
  const std::string longest(cache::kMaxKeyBytes, 'k');
  for (const auto& key : {std::string(), longest + "k"}) {
    CAPTURE(key.size());
    CheckRefused(rig.Ask(ipc::kOpSet, kWritable, SetPayload(key, "v")), Code::kInvalidArgument);
    CheckRefused(rig.Ask(ipc::kOpDelete, kWritable, KeyPayload(key)), Code::kInvalidArgument);
    CheckRefused(rig.Ask(ipc::kOpTouch, kWritable, TouchPayload(key, 1)), Code::kInvalidArgument);
    CheckRefused(rig.Ask(ipc::kOpGet, kWritable, KeyPayload(key)), Code::kInvalidArgument);
  }
  CHECK(rig.Ask(ipc::kOpSet, kWritable, SetPayload(longest, "")).code() == Code::kOk);
  const std::uint64_t limit = rig.store().view().max_value_bytes();
  CHECK(rig.Ask(ipc::kOpSet, kWritable, SetPayload("k", std::string(limit, 'v'))).code() ==
        Code::kOk);
  CheckRefused(rig.Ask(ipc::kOpSet, kWritable, SetPayload("k", std::string(limit + 1, 'v'))),
               Code::kInvalidArgument);
}

TEST_CASE("an unknown mode of a set is refused") {
  ChannelRig rig;
  for (const std::uint32_t mode : {3U, 4U, 0x80000000U})
    CheckRefused(rig.Ask(ipc::kOpSet, kWritable, SetPayload("k", "v", 0, 0, mode)),
                 Code::kInvalidArgument);
  CHECK_FALSE(rig.store().Get(1, "k").has_value());
}

TEST_CASE("unknown flags are refused") {
  ChannelRig rig;
  for (unsigned bit = 2; bit < 16; ++bit) {
    CAPTURE(bit);
    RequestHeader header = rig.client().Header(ipc::kOpSet, kWritable);
    header.flags = static_cast<std::uint16_t>(1U << bit);
    CheckRefused(rig.Ask(header, SetPayload("k", "v")), Code::kInvalidArgument);
  }
  CHECK_FALSE(rig.store().Get(1, "k").has_value());
}

TEST_CASE("an unknown operation is answered UNIMPLEMENTED and ends nothing") {
  ChannelRig rig;
  for (const unsigned opcode : {15U, 16U, 255U, 256U, 0x8001U, 0xffffU}) {
    CAPTURE(opcode);
    RequestHeader header = rig.client().Header(ipc::kOpPing);
    header.opcode = static_cast<std::uint16_t>(opcode);
    CheckRefused(rig.Ask(header, "whatever"), Code::kUnimplemented);
  }
  CHECK(rig.Ask(ipc::kOpPing, 0).code() == Code::kOk);
}

TEST_CASE("an unknown namespace is refused, also when its id equals a known one in 16 bits") {
  ChannelRig rig;
  for (const std::uint32_t id : {0U, 3U, 7U, 8U, 0xffffU, 0x10000U, 0x10001U, 0xffffffffU}) {
    CAPTURE(id);
    CheckRefused(rig.Ask(ipc::kOpSet, id, SetPayload("k", "v")), Code::kNotFound);
    CheckRefused(rig.Ask(ipc::kOpDelete, id, KeyPayload("k")), Code::kNotFound);
    CheckRefused(rig.Ask(ipc::kOpTouch, id, TouchPayload("k", 1)), Code::kNotFound);
    CheckRefused(rig.Ask(ipc::kOpGet, id, KeyPayload("k")), Code::kNotFound);
  }
}

TEST_CASE("no id reaches the last namespace of a full store but its own") {
  ChannelRig rig({.store = {.namespace_capacity = 65536}});
  cache::NamespaceRecord& last = rig.store().view().namespace_record(65535);
  last.state.StoreRelaxed(static_cast<std::uint32_t>(cache::NamespaceState::kLive));
  last.name_length = 4;
  std::memcpy(last.name, "last", 4);
  rig.store().Set(65535, "k", "before");
  CheckRefused(rig.Ask(ipc::kOpSet, 65535, SetPayload("k", "v")), Code::kPermissionDenied);
  for (const std::uint32_t id : {65536U, 65537U, 0xffffffffU}) {
    CAPTURE(id);
    CheckRefused(rig.Ask(ipc::kOpSet, id, SetPayload("k", "v")), Code::kNotFound);
    CheckRefused(rig.Ask(ipc::kOpDelete, id, KeyPayload("k")), Code::kNotFound);
    CheckRefused(rig.Ask(ipc::kOpGet, id, KeyPayload("k")), Code::kNotFound);
  }
  CHECK(rig.store().Get(65535, "k") == "before");
}

TEST_CASE("a namespace that the session may not write refuses every change and names itself") {
  ChannelRig rig;
  rig.store().Set(2, "key", "before");
  for (const Answer& answer : {rig.Ask(ipc::kOpSet, kForbidden, SetPayload("key", "after")),
                               rig.Ask(ipc::kOpDelete, kForbidden, KeyPayload("key")),
                               rig.Ask(ipc::kOpTouch, kForbidden, TouchPayload("key", 1))}) {
    CheckRefused(answer, Code::kPermissionDenied);
    CHECK(answer.payload == "uid 1234 may not write to namespace 'forbidden'");
  }
  rig.store().clock().AdvanceMs(60'000);
  CHECK(rig.store().Get(2, "key") == "before");
}

TEST_CASE("a method that the session may not call, and one that does not exist, are refused") {
  ChannelRig rig({.session = {.may_call = std::vector<bool>(5, false)}});
  const Answer denied = rig.Ask(ipc::kOpCall, kEcho, "x");
  CheckRefused(denied, Code::kPermissionDenied);
  CHECK(denied.payload == "uid 1234 may not call 'hearth.echo'");
  for (const std::uint32_t id : {0U, 5U, 0xffffffffU})
    CheckRefused(rig.Ask(ipc::kOpCall, id, "x"), Code::kNotFound);
}

TEST_CASE("a request whose deadline has passed is dropped before it is executed") {
  ChannelRig rig;
  auto with_deadline = [&](std::uint64_t deadline_ns) {
    RequestHeader header = rig.client().Header(ipc::kOpSet, kWritable);
    header.deadline_ns = deadline_ns;
    return header;
  };
  const std::uint64_t now = MonotonicNanosNow();
  for (const std::uint64_t past : {std::uint64_t{1}, now / 2, now})
    CheckRefused(rig.Ask(with_deadline(past), SetPayload("k", "v")), Code::kDeadlineExceeded);
  CHECK_FALSE(rig.store().Get(1, "k").has_value());
  CHECK(rig.Ask(with_deadline(now + 3'600'000'000'000U), SetPayload("k", "v")).code() == Code::kOk);
  CHECK(rig.Ask(with_deadline(~0ULL), SetPayload("k", "v")).code() == Code::kOk);
  CHECK(rig.Ask(with_deadline(0), SetPayload("k", "v")).code() == Code::kOk);
}

TEST_CASE("changes carry the channel and the sequence that asked for them") {
  ChannelRig rig({.session = {.id = 5}});
  const RequestHeader header = rig.client().Header(ipc::kOpSet, kWritable);
  rig.Ask(header, SetPayload("k", "v"));
  const std::uint64_t in_flight = rig.store().view().header().in_flight.LoadRelaxed();
  CHECK((in_flight >> 48U) == rig.session().origins[0]);
  CHECK((in_flight & 0xffffffffffffU) == header.sequence);
}

TEST_CASE("one call of Serve takes no more records than it is told to") {
  ChannelRig rig;
  for (int i = 0; i < 5; ++i) rig.client().Send(ipc::kOpPing, 0);
  const auto first = rig.server().Serve(2);
  REQUIRE(first.ok());
  CHECK(*first == 2);
  CHECK(rig.client().Take().size() == 2);
  CHECK(*rig.server().Serve(64) == 3);
  CHECK(*rig.server().Serve(64) == 0);
  CHECK(rig.session().operations.LoadRelaxed() == 5);
}

TEST_CASE("the client is rung for answers and for space only when it says that it sleeps") {
  ChannelRig rig;
  const int bell = rig.session().client_bells_for_peer[0].get();
  auto rings = [&] {
    char bytes[16];
    const ssize_t got = ::read(bell, bytes, sizeof(bytes));
    return got < 0 ? ssize_t{0} : got;
  };
  rig.Ask(ipc::kOpPing, 0);
  CHECK(rings() == 0);
  rig.client().control().client_asleep.StoreRelaxed(ipc::kClientWaitsForResponse);
  rig.Ask(ipc::kOpPing, 0);
  CHECK(rings() == 1);
  rig.client().control().client_asleep.StoreRelaxed(ipc::kClientWaitsForSpace);
  rig.client().Send(rig.client().Note(ipc::kOpCredit, 99, 64));
  REQUIRE(rig.Serve().ok());
  CHECK(rings() == 1);
}

}  // namespace
}  // namespace hearth::testing
