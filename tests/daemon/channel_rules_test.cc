// ChannelServer: what ends a session, and what does not.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/daemon/session_rig.h"

namespace hearth::testing {
namespace {

using ipc::RequestHeader;

constexpr std::uint32_t kEcho = 1;

void CheckBroken(const Status& status, std::string_view what) {
  CHECK_FALSE(status.ok());
  CHECK(status.code() == Code::kDataLoss);
  CHECK_MESSAGE(status.message().find(what) != std::string::npos, status.message());
}

TEST_CASE("sequences must grow, and cancel and credit have none") {
  ChannelRig rig;
  RequestHeader header = rig.client().Header(ipc::kOpPing);
  header.sequence = 100;
  rig.client().Send(header);
  SUBCASE("the same") {
    rig.client().Send(header);
    CheckBroken(rig.Serve(), "sequence 100 follows 100");
  }
  SUBCASE("smaller") {
    header.sequence = 99;
    rig.client().Send(header);
    CheckBroken(rig.Serve(), "sequence 99 follows 100");
  }
  SUBCASE("zero") {
    header.sequence = 0;
    rig.client().Send(header);
    CheckBroken(rig.Serve(), "sequence 0 follows 100");
  }
  SUBCASE("a gap is none of the daemon's business") {
    header.sequence = 1000;
    rig.client().Send(header);
    CHECK(rig.Serve().ok());
  }
  for (const ipc::Opcode opcode : {ipc::kOpCancel, ipc::kOpCredit}) {
    SUBCASE("a note with a sequence") {
      RequestHeader note = rig.client().Note(opcode, 1);
      note.sequence = 101;
      rig.client().Send(note);
      CheckBroken(rig.Serve(), "cancel or credit");
    }
  }
}

TEST_CASE("positions that make no sense end the session") {
  ChannelRig rig;
  rig.client().Send(ipc::kOpPing, 0);
  REQUIRE(rig.Serve().ok());
  Atomic<std::uint64_t>& tail = rig.client().control().request_tail;
  SUBCASE("beyond the ring") { tail.StoreRelaxed(64 + ipc::kMinRingBytes + 64); }
  SUBCASE("far beyond") { tail.StoreRelaxed(~std::uint64_t{63}); }
  SUBCASE("backwards") { tail.StoreRelaxed(0); }
  SUBCASE("in the middle of a record") { tail.StoreRelaxed(65); }
  CheckBroken(rig.Serve(), "broken ring");
  // Broken for good.
  tail.StoreRelaxed(64);
}

TEST_CASE("what the client writes over the daemon's own words misleads nobody") {
  ChannelRig rig;
  for (int round = 0; round < 50; ++round) {
    rig.client().control().request_head.StoreRelaxed(~std::uint64_t{0} -
                                                     static_cast<unsigned>(round));
    rig.client().control().response_tail.StoreRelaxed(12345);
    rig.client().control().server_asleep.StoreRelaxed(77);
    const RequestHeader header = rig.client().Header(ipc::kOpPing);
    REQUIRE(rig.client().Append(header));
    rig.client().Publish();
    REQUIRE(rig.Serve().ok());
    CHECK(rig.client().Take().size() == 1);
  }
}

// Writes a header straight into the ring and publishes up to `tail`.
void Publish(ChannelRig& rig, std::uint64_t at, const RequestHeader& header, std::uint64_t tail) {
  const ipc::RingMemory& ring = rig.client().view().requests;
  std::memcpy(ring.data + at % ring.bytes, &header, sizeof(header));
  ring.tail->StoreRelease(tail);
}

TEST_CASE("records that do not fit the ring end the session") {
  ChannelRig rig;
  RequestHeader header = rig.client().Header(ipc::kOpPing);
  const std::uint32_t quarter = ipc::kMinRingBytes / 4;
  SUBCASE("longer than a quarter ring") {
    header.length = quarter - 63;
    Publish(rig, 0, header, ipc::kMinRingBytes);
    CheckBroken(rig.Serve(), "longer than a quarter ring");
  }
  SUBCASE("length overflows") {
    header.length = ~0U;
    Publish(rig, 0, header, ipc::kMinRingBytes);
    CheckBroken(rig.Serve(), "longer than a quarter ring");
  }
  SUBCASE("longer than what is published") {
    header.length = 1;
    Publish(rig, 0, header, 64);
    CheckBroken(rig.Serve(), "longer than what is published");
  }
  SUBCASE("a pad in the middle") {
    header.opcode = ipc::kOpPad;
    header.length = 0;
    Publish(rig, 0, header, 64);
    CheckBroken(rig.Serve(), "a pad");
  }
  SUBCASE("a pad as long as the ring") {
    header.opcode = ipc::kOpPad;
    header.length = ipc::kMinRingBytes - 64;
    Publish(rig, 0, header, ipc::kMinRingBytes);
    CheckBroken(rig.Serve(), "a pad");
  }
  SUBCASE("one that wraps") {
    // Four records of a quarter ring less 64 bytes leave 256 bytes at the end.
    for (int i = 0; i < 4; ++i) {
      rig.client().Send(ipc::kOpCall, 9, std::string(quarter - 128, 'x'));
      REQUIRE(rig.Serve().ok());
    }
    header = rig.client().Header(ipc::kOpCall);
    header.length = 256;
    Publish(rig, rig.client().published(), header, rig.client().published() + 320);
    CheckBroken(rig.Serve(), "wraps");
  }
}

TEST_CASE("a client that never takes its answers ends its session, when the ring is full") {
  ChannelRig rig;
  Status status;
  std::uint32_t sent = 0;
  for (; status.ok() && sent < 1000; ++sent) {
    rig.client().Send(ipc::kOpPing, 0);
    status = rig.Serve();
  }
  CHECK(status.code() == Code::kResourceExhausted);
  CHECK(sent == ipc::kMinRingBytes / 64 + 1);
}

TEST_CASE("a response head that makes no sense ends the session, when it is needed") {
  ChannelRig rig;
  for (std::uint32_t i = 0; i < ipc::kMinRingBytes / 64; ++i) {
    rig.client().Send(ipc::kOpPing, 0);
    REQUIRE(rig.Serve().ok());
  }
  rig.client().control().response_head.StoreRelaxed(ipc::kMinRingBytes + 64);
  rig.client().Send(ipc::kOpPing, 0);
  CheckBroken(rig.Serve(), "broken ring");
}

TEST_CASE("what was executed before the session broke is answered and behind the head") {
  ChannelRig rig;
  rig.client().Append(rig.client().Header(ipc::kOpSet, 1), SetPayload("k", "v"));
  const std::uint64_t executed = ipc::RecordBytes(SetPayload("k", "v").size());
  RequestHeader bad = rig.client().Header(ipc::kOpPing);
  bad.sequence = 0;
  rig.client().Send(bad);
  CheckBroken(rig.Serve(), "sequence");
  // Otherwise the client would believe that the set has certainly not happened.
  CHECK(rig.store().Get(1, "k") == "v");
  CHECK(rig.client().control().request_head.LoadRelaxed() >= executed);
  const std::vector<Answer> answers = rig.client().Take();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].code() == Code::kOk);
}

TEST_CASE("more long answers than the response ring has room for requests end the session") {
  ChannelRig rig({.budget_bytes = 1 << 30});
  const std::string request(600, 'r');
  // Every open request holds 512 bytes, so an honest client has no more than this.
  const std::uint32_t most = ipc::ReservableResponseBytes(ipc::kMinRingBytes) / 512;
  Status status;
  std::uint32_t asked = 0;
  for (; status.ok() && asked < 10 * most; ++asked) {
    rig.client().Send(ipc::kOpCall, kEcho, request);
    status = rig.Serve();
    rig.client().Take();
  }
  CHECK(status.code() == Code::kResourceExhausted);
  CHECK(asked == most + 1);
}

}  // namespace
}  // namespace hearth::testing
