// Long requests: cut into records, put together again, and refused.
#include "ipc/message.h"

#include <map>
#include <optional>
#include <vector>

#include <doctest/doctest.h>

#include "tests/ipc/ring_fixture.h"
#include "tests/support/seed.h"

namespace hearth::ipc {
namespace {

using hearth::testing::Random;
using hearth::testing::RunSeed;

constexpr std::uint32_t kMost = MaxRecordPayload(kMinRingBytes);

// The receiving end of requests: everything a record can lead to.
struct Receiver {
  explicit Receiver(const TestRing& ring, std::uint64_t max_message = 1U << 20U,
                    std::uint64_t budget_bytes = 4U << 20U)
      : budget(budget_bytes), consumer(ring.Consumer()), assembler({max_message, &budget}) {}

  // Takes one record; nothing when there is none.
  std::optional<Result<Assembled>> Take() {
    Record record;
    if (!consumer.Next(&record).value()) return std::nullopt;
    last = record.HeaderAs<RequestHeader>();
    Result<Assembled> assembled = assembler.Add(record, consumer, &payload);
    consumer.Release();
    return assembled;
  }
  // Takes all records; the messages that were completed.
  std::map<std::uint32_t, std::string> TakeAll() {
    std::map<std::uint32_t, std::string> messages;
    while (auto assembled = Take())
      if (assembled->value() == Assembled::kComplete) messages[last.call_id] = payload;
    return messages;
  }

  ByteBudget budget;
  RingConsumer consumer;
  MessageAssembler<RequestHeader> assembler;
  std::string payload;
  RequestHeader last{};
};

// One record of a long message, by hand.
bool PutPart(RingProducer& ring, RequestHeader header, std::uint16_t flags,
             std::string_view payload, std::optional<std::uint64_t> announced = std::nullopt) {
  header.flags = flags;
  std::string_view pieces[2] = {"", payload};
  if (announced) pieces[0] = {reinterpret_cast<const char*>(&*announced), sizeof(*announced)};
  const bool put = ring.Append(header, pieces).value();
  ring.Publish();
  return put;
}

Code CodeOf(const std::optional<Result<Assembled>>& assembled) {
  REQUIRE(assembled.has_value());
  return assembled->ok() ? Code::kOk : assembled->status().code();
}

// ------------------------------------------------------------------------- splitter and assembler
TEST_CASE("long messages: every length around the limit of one record") {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{kMost} - 1, std::size_t{kMost}, std::size_t{kMost} + 1,
        2 * std::size_t{kMost} - 8, 2 * std::size_t{kMost} - 7, std::size_t{100'000}}) {
    CAPTURE(size);
    TestRing ring;
    auto producer = ring.Producer();
    Receiver receiver(ring);
    const std::string message = Pattern(size, size);
    // Cut in odd places.
    const std::string_view view = message;
    MessageSplitter splitter(Request(9), {view.substr(0, size / 3), "", view.substr(size / 3, 1),
                                          view.substr(size / 3 + (size > 0 ? 1 : 0))});
    std::map<std::uint32_t, std::string> got;
    while (got.empty()) {
      REQUIRE(splitter.Advance(producer).ok());
      producer.Publish();
      got.merge(receiver.TakeAll());
    }
    CHECK(splitter.done());
    CHECK(got.at(9) == message);
    CHECK(receiver.last.sequence == 9);
    CHECK(receiver.assembler.open() == 0);
    CHECK(receiver.budget.used() == 0);
  }
}

TEST_CASE("long messages: many interleaved, record by record") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  for (int round = 0; round < 30; ++round) {
    TestRing ring;
    auto producer = ring.Producer();
    Receiver receiver(ring);
    std::vector<std::string> messages;
    for (std::uint64_t i = 0; i < kMaxOpenMessages; ++i)
      messages.push_back(Pattern(RunSeed() + i, random.Below(60'000)));
    // One header at a time has room, so every Advance sends little.
    std::vector<MessageSplitter> splitters;
    for (std::uint32_t i = 0; i < messages.size(); ++i)
      splitters.emplace_back(Request(i + 1), std::vector<std::string_view>{messages[i]});
    std::map<std::uint32_t, std::string> got;
    while (got.size() < messages.size()) {
      REQUIRE(splitters[random.Below(splitters.size())].Advance(producer).ok());
      producer.Publish();
      if (random.OneIn(2)) {
        const auto assembled = receiver.Take();
        if (assembled && assembled->value() == Assembled::kComplete)
          got[receiver.last.call_id] = receiver.payload;
      }
    }
    for (std::uint32_t i = 0; i < messages.size(); ++i) CHECK(got.at(i + 1) == messages[i]);
    CHECK(receiver.budget.used() == 0);
  }
}

TEST_CASE("assembler: a message over the limit is refused once and its rest is dropped") {
  TestRing ring;
  auto producer = ring.Producer();
  Receiver receiver(ring, /*max_message=*/1000);
  REQUIRE(PutPart(producer, Request(1), kRecordMore, "x", 1001));
  CHECK(receiver.Take()->value() == Assembled::kTooLong);
  CHECK(receiver.budget.used() == 0);
  REQUIRE(PutPart(producer, Request(2), 0, "another"));
  CHECK(receiver.Take()->value() == Assembled::kComplete);
  REQUIRE(PutPart(producer, Request(1), kRecordMore | kRecordContinuation, Pattern(1, 900)));
  CHECK(receiver.Take()->value() == Assembled::kPartial);
  REQUIRE(PutPart(producer, Request(1), kRecordContinuation, Pattern(1, 100)));
  CHECK(receiver.Take()->value() == Assembled::kPartial);
  CHECK(receiver.assembler.open() == 0);
}

TEST_CASE("assembler: the budget is taken with the announced length and comes back") {
  TestRing ring;
  auto producer = ring.Producer();
  Receiver receiver(ring, 1U << 20U, /*budget_bytes=*/10'000);
  REQUIRE(PutPart(producer, Request(1), kRecordMore, "", 6000));
  CHECK(receiver.Take()->value() == Assembled::kPartial);
  CHECK(receiver.budget.used() == 6000);
  REQUIRE(PutPart(producer, Request(2), kRecordMore, "", 4001));
  CHECK(receiver.Take()->value() == Assembled::kNoBudget);
  REQUIRE(PutPart(producer, Request(3), kRecordMore, "", 4000));
  CHECK(receiver.Take()->value() == Assembled::kPartial);
  SUBCASE("when it is dropped") {
    const std::optional<RequestHeader> dropped = receiver.assembler.Drop(1);
    REQUIRE(dropped.has_value());
    CHECK(dropped->sequence == 1);
    CHECK(dropped->opcode == kOpCall);
    CHECK_FALSE(receiver.assembler.Drop(1).has_value());
    CHECK(receiver.budget.used() == 4000);
  }
  SUBCASE("when it is complete") {
    REQUIRE(PutPart(producer, Request(3), kRecordContinuation, Pattern(1, kMost)));
    CHECK(CodeOf(receiver.Take()) == Code::kDataLoss);  // more than 4000 bytes
  }
}

TEST_CASE("assembler: an assembler that goes gives its budget back") {
  TestRing ring;
  auto producer = ring.Producer();
  auto consumer = ring.Consumer();
  ByteBudget budget(10'000);
  {
    MessageAssembler<RequestHeader> assembler({1U << 20U, &budget});
    REQUIRE(PutPart(producer, Request(1), kRecordMore, "", 6000));
    Record record;
    REQUIRE(consumer.Next(&record).value());
    std::string payload;
    REQUIRE(assembler.Add(record, consumer, &payload).ok());
    CHECK(budget.used() == 6000);
  }
  CHECK(budget.used() == 0);
}

TEST_CASE("assembler: what breaks the rules") {
  TestRing ring;
  auto producer = ring.Producer();
  Receiver receiver(ring);
  const RequestHeader one = Request(1);
  SUBCASE("a continuation of nothing") {
    REQUIRE(PutPart(producer, one, kRecordContinuation, "x"));
  }
  SUBCASE("a first record too short for a length") {
    REQUIRE(PutPart(producer, one, kRecordMore, "1234567"));
  }
  SUBCASE("a first record longer than announced") {
    REQUIRE(PutPart(producer, one, kRecordMore, "1234", 3));
  }
  SUBCASE("a message that begins twice") {
    REQUIRE(PutPart(producer, one, kRecordMore, "", 3000));
    REQUIRE(receiver.Take()->ok());
    SUBCASE("as long") { REQUIRE(PutPart(producer, one, kRecordMore, "", 3000)); }
    SUBCASE("as short") { REQUIRE(PutPart(producer, one, 0, "x")); }
  }
  SUBCASE("a record that differs from the first") {
    REQUIRE(PutPart(producer, one, kRecordMore, "", 3000));
    REQUIRE(receiver.Take()->ok());
    RequestHeader other = one;
    SUBCASE("opcode") { other.opcode = kOpSet; }
    SUBCASE("target") { other.target = 1; }
    SUBCASE("sequence") { other.sequence = 2; }
    REQUIRE(PutPart(producer, other, kRecordContinuation | kRecordMore, "x"));
  }
  SUBCASE("fewer bytes than announced") {
    REQUIRE(PutPart(producer, one, kRecordMore, "", 3000));
    REQUIRE(receiver.Take()->ok());
    REQUIRE(PutPart(producer, one, kRecordContinuation, Pattern(1, 2999)));
  }
  SUBCASE("more bytes than announced") {
    REQUIRE(PutPart(producer, one, kRecordMore, "", 3000));
    REQUIRE(receiver.Take()->ok());
    REQUIRE(PutPart(producer, one, kRecordContinuation | kRecordMore, Pattern(1, 3001)));
  }
  SUBCASE("a record in the middle with nothing in it") {
    REQUIRE(PutPart(producer, one, kRecordMore, "", 3000));
    REQUIRE(receiver.Take()->ok());
    REQUIRE(PutPart(producer, one, kRecordContinuation | kRecordMore, ""));
  }
  SUBCASE("too many open messages") {
    for (std::uint32_t i = 1; i <= kMaxOpenMessages; ++i) {
      REQUIRE(PutPart(producer, Request(i + 100), kRecordMore, "", 3000));
      REQUIRE(receiver.Take()->ok());
    }
    REQUIRE(PutPart(producer, one, kRecordMore, "", 3000));
  }
  CHECK(CodeOf(receiver.Take()) == Code::kDataLoss);
}

TEST_CASE("assembler: random flags, ids and lengths never do worse than an error") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  const int rounds = hearth::testing::FullRun() ? 20'000 : 2'000;
  for (int round = 0; round < rounds; ++round) {
    TestRing ring;
    auto producer = ring.Producer();
    Receiver receiver(ring, 5000, 12'000);
    for (int i = 0; i < 100; ++i) {
      RequestHeader header = Request(static_cast<std::uint32_t>(random.Below(4)), kOpCall, 1);
      std::optional<std::uint64_t> announced;
      const auto flags = static_cast<std::uint16_t>(random.Below(4));
      if (flags == kRecordMore) announced = random.OneIn(8) ? random.Next() : random.Below(6000);
      REQUIRE(PutPart(producer, header, flags, Pattern(1, random.Below(700)), announced));
      if (!receiver.Take()->ok()) break;
      REQUIRE(receiver.budget.used() <= 12'000);
      REQUIRE(receiver.assembler.open() <= 4);
    }
  }
}

TEST_CASE("sequence check") {
  SequenceCheck check;
  CHECK(check.Accept(Request(1, kOpSet, 17)).ok());  // after a takeover: any number
  CHECK(check.Accept(Request(1, kOpSet, 18)).ok());
  RequestHeader continuation = Request(1, kOpSet, 17);
  continuation.flags = kRecordContinuation;
  CHECK(check.Accept(continuation).ok());
  RequestHeader cancel = Request(1, kOpCancel);
  CHECK_FALSE(check.Accept(cancel).ok());
  cancel.sequence = 0;
  CHECK(check.Accept(cancel).ok());
  CHECK_FALSE(check.Accept(Request(1, kOpSet, 18)).ok());
  RequestHeader zero = Request(1, kOpSet);
  zero.sequence = 0;
  CHECK_FALSE(SequenceCheck().Accept(zero).ok());
}

}  // namespace
}  // namespace hearth::ipc
