// The ring between well-behaved sides: corners of wrapping and padding by hand, then random streams
// between threads and between processes.
#include "ipc/ring.h"

#include <thread>

#include <doctest/doctest.h>

#include "tests/ipc/ring_fixture.h"
#include "tests/support/child_process.h"
#include "tests/support/seed.h"

namespace hearth::ipc {
namespace {

using hearth::testing::Random;
using hearth::testing::RunSeed;

constexpr std::uint32_t kBytes = kMinRingBytes;
constexpr std::uint32_t kMost = MaxRecordPayload(kBytes);

TEST_CASE("ring: a record arrives with its header and payload") {
  TestRing ring;
  auto producer = ring.Producer();
  auto consumer = ring.Consumer();
  Record record;
  CHECK_FALSE(consumer.Next(&record).value());
  RequestHeader header = Request(7, kOpSet);
  header.target = 3;
  const std::string_view pieces[] = {"key", "", "value"};
  REQUIRE(producer.Append(header, pieces).value());
  CHECK_FALSE(consumer.Next(&record).value());  // only after it is published
  producer.Publish();
  REQUIRE(consumer.Next(&record).value());
  const auto got = record.HeaderAs<RequestHeader>();
  CHECK(got.call_id == 7);
  CHECK(got.target == 3);
  CHECK(got.length == 8);
  CHECK(PayloadOf(consumer, record) == "keyvalue");
  char middle[3];
  consumer.Copy(record, 2, middle, 3);
  CHECK(std::string_view(middle, 3) == "yva");
  CHECK_FALSE(consumer.Next(&record).value());
}

TEST_CASE("ring: empty and largest payloads") {
  TestRing ring;
  auto producer = ring.Producer();
  auto consumer = ring.Consumer();
  for (const std::uint32_t size : {0U, 1U, 63U, 64U, 65U, kMost - 1, kMost}) {
    CAPTURE(size);
    REQUIRE(Put(producer, Request(1), Pattern(size, size)));
    producer.Publish();
    Record record;
    REQUIRE(consumer.Next(&record).value());
    CHECK(record.length == size);
    CHECK(record.end - record.position == RecordBytes(size));
    CHECK(PayloadOf(consumer, record) == Pattern(size, size));
    consumer.Release();
  }
}

// The offsets at which a record just fits before the end, exactly fits, and does not fit.
TEST_CASE("ring: padding at the end of the ring, at every offset near it") {
  for (const std::uint32_t size : {0U, 64U, 200U, kMost}) {
    const std::uint64_t record_bytes = RecordBytes(size);
    for (std::uint64_t rest = kRecordAlign; rest <= record_bytes + 2 * kRecordAlign;
         rest += kRecordAlign) {
      CAPTURE(size);
      CAPTURE(rest);
      TestRing ring;
      const std::uint64_t start = 5 * std::uint64_t{kBytes} - rest;
      ring.StartAt(start);
      auto producer = ring.Producer();
      auto consumer = ring.Consumer();
      REQUIRE(Put(producer, Request(1), Pattern(1, size)));
      REQUIRE(Put(producer, Request(2), Pattern(2, 10)));
      producer.Publish();
      Record record;
      REQUIRE(consumer.Next(&record).value());
      CHECK(record.position == (rest < record_bytes ? start + rest : start));
      CHECK(PayloadOf(consumer, record) == Pattern(1, size));
      REQUIRE(consumer.Next(&record).value());
      CHECK(PayloadOf(consumer, record) == Pattern(2, 10));
      CHECK_FALSE(consumer.Next(&record).value());
      consumer.Release();
      CHECK(ring.words().head.LoadRelaxed() == ring.words().tail.LoadRelaxed());
    }
  }
}

TEST_CASE("ring: full to the last byte, then one byte more") {
  TestRing ring;
  auto producer = ring.Producer();
  auto consumer = ring.Consumer();
  const std::uint64_t count = kBytes / RecordBytes(0);
  for (std::uint64_t i = 0; i < count; ++i) REQUIRE(Put(producer, Request(1), ""));
  CHECK_FALSE(Put(producer, Request(1), ""));
  producer.Publish();
  CHECK_FALSE(Put(producer, Request(1), ""));
  Record record;
  REQUIRE(consumer.Next(&record).value());
  CHECK_FALSE(Put(producer, Request(1), ""));  // taken is not released
  consumer.Release();
  CHECK_FALSE(producer.HasRoom(1).value());
  CHECK(Put(producer, Request(1), ""));
  CHECK_FALSE(Put(producer, Request(1), ""));
}

TEST_CASE("ring: room for a record counts the pad before it") {
  TestRing ring;
  ring.StartAt(kBytes - 64);
  auto producer = ring.Producer();
  auto consumer = ring.Consumer();
  // 64 bytes of pad and three quarter-ring records leave a quarter less 64.
  for (int i = 0; i < 3; ++i) REQUIRE(Put(producer, Request(1), Pattern(1, kMost)));
  CHECK_FALSE(producer.HasRoom(kMost).value());
  CHECK(producer.HasRoom(kMost - 64).value());
  producer.Publish();
  Record record;
  REQUIRE(consumer.Next(&record).value());
  consumer.Release();
  CHECK(producer.HasRoom(kMost).value());
}

TEST_CASE("ring: releasing up to a record keeps the later ones for the next life") {
  TestRing ring;
  auto producer = ring.Producer();
  auto consumer = ring.Consumer();
  for (std::uint32_t i = 1; i <= 3; ++i) REQUIRE(Put(producer, Request(i), "x"));
  producer.Publish();
  Record first;
  Record second;
  REQUIRE(consumer.Next(&first).value());
  REQUIRE(consumer.Next(&second).value());
  consumer.ReleaseUpTo(first.end);
  CHECK(consumer.has_unreleased());
  auto next_life = ring.Consumer();
  Record record;
  REQUIRE(next_life.Next(&record).value());
  CHECK(record.HeaderAs<RequestHeader>().call_id == 2);
}

TEST_CASE("ring: both sides continue where an earlier life stopped") {
  TestRing ring;
  ring.StartAt(7 * std::uint64_t{kBytes} + 192);
  {
    auto producer = ring.Producer();
    REQUIRE(Put(producer, Request(1), "one"));
    producer.Publish();
    REQUIRE(Put(producer, Request(2), "never published"));
  }
  auto producer = ring.Producer();
  REQUIRE(Put(producer, Request(3), "three"));
  producer.Publish();
  auto consumer = ring.Consumer();
  Record record;
  REQUIRE(consumer.Next(&record).value());
  CHECK(PayloadOf(consumer, record) == "one");
  REQUIRE(consumer.Next(&record).value());
  CHECK(PayloadOf(consumer, record) == "three");
  CHECK_FALSE(consumer.Next(&record).value());
}

// --------------------------------------------------------------------------------- random streams
std::uint32_t RandomSize(Random& random) {
  return static_cast<std::uint32_t>(random.OneIn(4) ? random.Below(kMost + 1) : random.Below(300));
}

// Sends `count` records whose size and bytes follow from the seed.
void Produce(const TestRing& ring, std::uint64_t seed, std::uint32_t count) {
  Random sizes(seed);
  Random batches(seed + 1);
  auto producer = ring.Producer();
  for (std::uint32_t i = 1; i <= count; ++i) {
    const std::string payload = Pattern(seed + i, RandomSize(sizes));
    while (!Put(producer, Request(i), payload)) {
      producer.Publish();
      std::this_thread::yield();
    }
    if (batches.OneIn(3)) producer.Publish();
  }
  producer.Publish();
}

// Whether exactly those records arrived.
bool Consume(const TestRing& ring, std::uint64_t seed, std::uint32_t count) {
  Random sizes(seed);
  Random batches(seed + 2);
  auto consumer = ring.Consumer();
  for (std::uint32_t i = 1; i <= count; ++i) {
    Record record;
    while (true) {
      Result<bool> next = consumer.Next(&record);
      if (!next.ok()) return false;
      if (*next) break;
      consumer.Release();
      std::this_thread::yield();
    }
    if (record.HeaderAs<RequestHeader>().call_id != i) return false;
    if (PayloadOf(consumer, record) != Pattern(seed + i, RandomSize(sizes))) return false;
    if (batches.OneIn(2)) consumer.Release();
  }
  consumer.Release();
  return true;
}

TEST_CASE("ring: random records from thread to thread arrive in order and whole") {
  HEARTH_SHOW_SEED();
  const std::uint32_t count = hearth::testing::FullRun() ? 200'000 : 20'000;
  for (std::uint64_t round = 0; round < 3; ++round) {
    TestRing ring;
    ring.StartAt(Random(RunSeed() + round).Below(1000) * kRecordAlign);
    std::thread producer([&] { Produce(ring, RunSeed() + round, count); });
    CHECK(Consume(ring, RunSeed() + round, count));
    producer.join();
  }
}

TEST_CASE("ring: random records from process to process arrive in order and whole") {
  HEARTH_SHOW_SEED();
  const std::uint32_t count = hearth::testing::FullRun() ? 200'000 : 20'000;
  TestRing ring;
  auto child = hearth::testing::ChildProcess::Fork([&](hearth::testing::Channel&) {
    Produce(ring, RunSeed(), count);
    return 0;
  });
  REQUIRE(child.ok());
  CHECK(Consume(ring, RunSeed(), count));
  CHECK(child->Wait() == 0);
}

}  // namespace
}  // namespace hearth::ipc
