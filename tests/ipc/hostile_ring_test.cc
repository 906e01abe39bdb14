// The ring against a peer that breaks every rule: the answer is always kDataLoss, never a crash, an
// endless loop or an access outside the ring (which has inaccessible pages on both sides).
#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "ipc/ring.h"
#include "tests/ipc/ring_fixture.h"
#include "tests/support/child_process.h"
#include "tests/support/seed.h"

namespace hearth::ipc {
namespace {

using hearth::testing::Random;
using hearth::testing::RunSeed;

constexpr std::uint32_t kBytes = kMinRingBytes;

Status NextStatus(RingConsumer& consumer) {
  Record record;
  Result<bool> next = consumer.Next(&record);
  return next.ok() ? Status::Ok() : next.status();
}

TEST_CASE("hostile producer: positions") {
  TestRing ring;
  const std::uint64_t start = 4 * std::uint64_t{kBytes};
  ring.StartAt(start);
  auto consumer = ring.Consumer();
  std::uint64_t tail = 0;
  SUBCASE("more than the ring") { tail = start + kBytes + kRecordAlign; }
  SUBCASE("much more") { tail = ~std::uint64_t{63}; }
  SUBCASE("behind head") { tail = start - kRecordAlign; }
  SUBCASE("zero") { tail = 0; }
  SUBCASE("not on a record") { tail = start + 1; }
  ring.words().tail.StoreRelaxed(tail);
  CHECK(NextStatus(consumer).code() == Code::kDataLoss);
  CHECK(NextStatus(consumer).code() == Code::kDataLoss);
  CHECK_FALSE(RingConsumer::Attach(ring.memory()).ok());
}

TEST_CASE("hostile producer: tail falls back over published records") {
  TestRing ring;
  auto producer = ring.Producer();
  auto consumer = ring.Consumer();
  for (std::uint32_t i = 1; i < 4; ++i) REQUIRE(Put(producer, Request(i), "x"));
  producer.Publish();
  Record record;
  while (consumer.Next(&record).value()) {
  }
  // Where the consumer would go on, there is something that looks like a record.
  ring.Plant(record.end, Request(4), record.end - kRecordAlign);
  const Status status = NextStatus(consumer);
  CHECK(status.code() == Code::kDataLoss);
  CHECK(status.message().find("fell") != std::string::npos);
}

TEST_CASE("hostile producer: record lengths") {
  TestRing ring;
  auto consumer = ring.Consumer();
  RequestHeader header = Request(1);
  std::uint64_t tail = kBytes / 2;
  SUBCASE("a quarter ring and one byte") { header.length = MaxRecordPayload(kBytes) + 1; }
  SUBCASE("all ones") { header.length = ~0U; }
  SUBCASE("wraps to zero with the header added") { header.length = 0U - 64; }
  SUBCASE("one byte beyond what is published") {
    header.length = 65;
    tail = 128;
  }
  SUBCASE("beyond what is published by far") {
    header.length = MaxRecordPayload(kBytes);
    tail = 64;
  }
  ring.Plant(0, header, tail);
  CHECK(NextStatus(consumer).code() == Code::kDataLoss);
}

TEST_CASE("hostile producer: a record that wraps") {
  TestRing ring;
  ring.StartAt(kBytes - 64);
  auto consumer = ring.Consumer();
  RequestHeader header = Request(1);
  header.length = 1;
  ring.Plant(kBytes - 64, header, kBytes + 64);
  CHECK(NextStatus(consumer).code() == Code::kDataLoss);
}

TEST_CASE("hostile producer: pads") {
  TestRing ring;
  std::uint64_t start = kBytes - 512;
  RequestHeader pad{};
  pad.opcode = kOpPad;
  pad.length = 512 - 64;
  std::uint64_t tail = kBytes + 64;
  SUBCASE("too short") { pad.length -= 64; }
  SUBCASE("one byte short") { pad.length -= 1; }
  SUBCASE("beyond the end") { pad.length += 64; }
  SUBCASE("all ones") { pad.length = ~0U; }
  SUBCASE("not all published") { tail = start + 448; }
  SUBCASE("a whole ring, which would be an endless loop of pads") {
    start = kBytes;
    pad.length = kBytes - 64;
    tail = start + kBytes;
  }
  SUBCASE("a quarter ring, which no record needs") {
    start = kBytes - kBytes / 4;
    pad.length = kBytes / 4 - 64;
  }
  ring.StartAt(start);
  auto consumer = ring.Consumer();
  // Behind the pad, a record that nothing is wrong with.
  ring.Plant(kBytes, Request(1), tail);
  ring.Plant(start, pad, tail);
  const Status status = NextStatus(consumer);
  CHECK(status.code() == Code::kDataLoss);
  CHECK(status.message().find("a pad") != std::string::npos);
}

TEST_CASE("hostile consumer: head") {
  TestRing ring;
  const std::uint64_t start = 4 * std::uint64_t{kBytes};
  ring.StartAt(start);
  auto producer = ring.Producer();
  const std::string payload(MaxRecordPayload(kBytes), 'x');
  for (int i = 0; i < 4; ++i) REQUIRE(Put(producer, Request(1), payload));
  producer.Publish();
  std::uint64_t head = 0;
  SUBCASE("beyond tail") { head = start + kBytes + 64; }
  SUBCASE("falls back") { head = start - 64; }
  SUBCASE("zero") { head = 0; }
  SUBCASE("all ones") { head = ~std::uint64_t{0}; }
  SUBCASE("not on a record") { head = start + 100; }
  ring.words().head.StoreRelaxed(head);
  const std::string_view pieces[] = {payload};
  const Result<bool> appended = producer.Append(Request(1), pieces);
  REQUIRE_FALSE(appended.ok());
  CHECK(appended.status().code() == Code::kDataLoss);
}

TEST_CASE("hostile peer: attaching to scribbled positions") {
  TestRing ring;
  ring.words().head.StoreRelaxed(64);
  CHECK_FALSE(RingProducer::Attach(ring.memory()).ok());
  CHECK_FALSE(RingConsumer::Attach(ring.memory()).ok());
  ring.words().head.StoreRelaxed(1);
  ring.words().tail.StoreRelaxed(1);
  CHECK_FALSE(RingProducer::Attach(ring.memory()).ok());
  CHECK_FALSE(RingConsumer::Attach(ring.memory()).ok());
}

TEST_CASE("hostile peer: our own words scribbled over change nothing for us") {
  TestRing ring;
  auto producer = ring.Producer();
  auto consumer = ring.Consumer();
  REQUIRE(Put(producer, Request(1), "one"));
  producer.Publish();
  Record record;
  REQUIRE(consumer.Next(&record).value());
  consumer.Release();
  ring.words().head.StoreRelaxed(0);  // the consumer's word
  REQUIRE(Put(producer, Request(2), "two"));
  producer.Publish();
  REQUIRE(consumer.Next(&record).value());
  CHECK(PayloadOf(consumer, record) == "two");
  consumer.Release();
  CHECK(ring.words().head.LoadRelaxed() == 256);
}

// Takes everything until the ring is empty or broken. Empty when every record that came out was
// legal and the end came in time, otherwise what was wrong.
std::string ConsumeAnything(RingConsumer& consumer) {
  Record record;
  std::string payload;
  for (std::uint32_t i = 0; i <= kBytes / kRecordAlign; ++i) {
    Result<bool> next = consumer.Next(&record);
    if (!next.ok()) return next.status().code() == Code::kDataLoss ? "" : "another code";
    if (!*next) return "";
    if (record.length > MaxRecordPayload(kBytes)) return "a record too long";
    if ((record.position & (kBytes - 1)) + RecordBytes(record.length) > kBytes)
      return "a record that wraps";
    payload.clear();
    consumer.AppendTo(record, 0, &payload);
    consumer.Release();
  }
  return "more records than a ring can hold";
}

TEST_CASE("hostile producer: every header byte with random values") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  const int rounds = hearth::testing::FullRun() ? 200'000 : 20'000;
  TestRing ring;
  for (int round = 0; round < rounds; ++round) {
    ring.StartAt(random.Below(kBytes / 64) * 64);
    auto producer = ring.Producer();
    auto consumer = ring.Consumer();
    std::uint64_t positions[8];
    for (std::uint64_t& position : positions) {
      position = producer.position();
      REQUIRE(Put(producer, Request(1), Pattern(1, random.Below(1500))));
    }
    producer.Publish();
    for (std::uint64_t mutation = random.Below(4) + 1; mutation > 0; --mutation) {
      // Length and opcode, which rings look at, more often than the rest.
      const std::uint64_t field = random.OneIn(3) ? random.Below(64) : random.Below(8);
      const std::uint64_t at = positions[random.Below(8)] + field;
      ring.data()[at & (kBytes - 1)] = static_cast<std::byte>(random.OneIn(3) ? 0 : random.Next());
    }
    if (random.OneIn(4)) ring.words().tail.StoreRelaxed(random.Next() >> random.Below(64));
    const std::string wrong = ConsumeAnything(consumer);
    if (!wrong.empty()) FAIL(wrong);
  }
}

#if defined(HEARTH_FAILPOINTS)
TEST_CASE("hostile producer: a header that changes right after it was read") {
  TestRing ring;
  auto producer = ring.Producer();
  auto consumer = ring.Consumer();
  REQUIRE(Put(producer, Request(1, kOpSet), "value"));
  REQUIRE(Put(producer, Request(2, kOpSet), "next"));
  producer.Publish();
  RequestHeader changed = Request(9, kOpCall);
  SUBCASE("to a longer one") { changed.length = MaxRecordPayload(kBytes); }
  SUBCASE("to one beyond all bounds") { changed.length = ~0U; }
  SUBCASE("to a pad") { changed.opcode = kOpPad; }
  SetFailpoint("ring.header_copied", [&] { std::memcpy(ring.data(), &changed, sizeof(changed)); });
  Record record;
  const bool taken = consumer.Next(&record).value();
  ClearFailpoint("ring.header_copied");
  REQUIRE(taken);
  const auto header = record.HeaderAs<RequestHeader>();
  CHECK(header.opcode == kOpSet);
  CHECK(header.call_id == 1);
  CHECK(record.length == 5);
  CHECK(PayloadOf(consumer, record) == "value");
  REQUIRE(consumer.Next(&record).value());
  CHECK(PayloadOf(consumer, record) == "next");
}
#endif

// The child changes lengths and opcodes of published records all the time. What has been checked is
// a private copy, so the consumer never acts on a second value.
TEST_CASE("hostile producer: headers that change after publication") {
  HEARTH_SHOW_SEED();
  TestRing ring;
  Atomic<std::uint64_t>& stop = ring.words().producer_asleep;
  auto child = hearth::testing::ChildProcess::Fork([&](hearth::testing::Channel& channel) {
    Random random(RunSeed());
    channel.Send('r');
    while (stop.LoadRelaxed() == 0) {
      for (int i = 0; i < 64; ++i) {
        const std::uint64_t offset = random.Below(kBytes / 64) * 64;
        RecordHead head{};
        head.length =
            static_cast<std::uint32_t>(random.OneIn(2) ? random.Next() : random.Below(kBytes));
        head.opcode = static_cast<std::uint16_t>(random.OneIn(4) ? kOpPad : kOpSet);
        std::memcpy(ring.data() + offset, &head, sizeof(head));
      }
    }
    return 0;
  });
  REQUIRE(child.ok());
  char ready = 0;
  REQUIRE(child->channel().Receive(&ready));
  const int rounds = hearth::testing::FullRun() ? 2'000'000 : 100'000;
  std::uint64_t position = 0;
  for (int round = 0; round < rounds; ++round) {
    ring.words().head.StoreRelaxed(position);
    ring.words().tail.StoreRelaxed(position + kBytes);
    auto consumer = ring.Consumer();
    const std::string wrong = ConsumeAnything(consumer);
    if (!wrong.empty()) FAIL(wrong);
    position += kRecordAlign;
  }
  stop.StoreRelaxed(1);
  CHECK(child->Wait() == 0);
}

}  // namespace
}  // namespace hearth::ipc
