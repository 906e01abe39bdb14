// Answers: the response ring's credit, long answers, and cancelling them.
#include <algorithm>
#include <map>
#include <vector>

#include <doctest/doctest.h>

#include "ipc/message.h"
#include "tests/ipc/ring_fixture.h"
#include "tests/support/seed.h"

namespace hearth::ipc {
namespace {

using hearth::testing::Random;
using hearth::testing::RunSeed;

constexpr std::uint32_t kBytes = kMinRingBytes;
constexpr std::uint32_t kMost = MaxRecordPayload(kBytes);

// Both ends of a response ring, and a client that keeps to its credit.
struct Responses {
  explicit Responses(std::uint64_t budget_bytes = 8U << 20U)
      : budget(budget_bytes),
        client_budget(64U << 20U),
        sender(ring.Producer(), &budget),
        consumer(ring.Consumer()),
        assembler({16U << 20U, &client_budget}) {}

  Status Send(std::uint32_t call_id, std::string_view answer,
              std::uint32_t space = kMinResponseSpace, Code status = Code::kOk) {
    ResponseHeader header{};
    header.opcode = kOpCall;
    header.call_id = call_id;
    header.sequence = call_id;
    header.version = 77;
    header.status = static_cast<std::uint16_t>(status);
    header.execution = static_cast<std::uint8_t>(Execution::kDone);
    const std::string_view pieces[] = {answer};
    return sender.Send(header, pieces, space);
  }
  // Takes one record, and grants what an unfinished answer has consumed. False when there is none.
  bool TakeOne(bool grant = true) {
    static_cast<void>(sender.PublishMustRing(ring.words().consumer_asleep));
    Record record;
    if (!consumer.Next(&record).value()) return false;
    last = record.HeaderAs<ResponseHeader>();
    const Assembled assembled = assembler.Add(record, consumer, &payload).value();
    consumer.Release();
    records += 1;
    if (assembled == Assembled::kComplete) {
      done[last.call_id] = payload;
    } else {
      REQUIRE(assembled == Assembled::kPartial);
      if (grant) {
        const auto bytes = static_cast<std::uint32_t>(RecordBytes(record.length));
        REQUIRE(sender.AddCredit(last.call_id, bytes).ok());
      }
    }
    return true;
  }
  void TakeAll() {
    while (TakeOne()) {
    }
  }

  TestRing ring;
  ByteBudget budget;
  ByteBudget client_budget;
  ResponseSender sender;
  RingConsumer consumer;
  MessageAssembler<ResponseHeader> assembler;
  std::string payload;
  ResponseHeader last{};
  std::map<std::uint32_t, std::string> done;
  int records = 0;
};

TEST_CASE("sender: a short answer is one record") {
  Responses responses;
  REQUIRE(responses.Send(1, "pong").ok());
  responses.TakeAll();
  CHECK(responses.done.at(1) == "pong");
  CHECK(responses.records == 1);
  CHECK(responses.last.version == 77);
  CHECK(responses.sender.pending() == 0);
}

TEST_CASE("sender: answers of every length arrive within any credit") {
  for (const std::uint32_t space : {0U, 512U, 513U, 575U, 1024U, kBytes / 4, kBytes * 3 / 4}) {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{440}, std::size_t{448}, std::size_t{449}, std::size_t{512},
          std::size_t{kMost}, std::size_t{kMost} + 1, std::size_t{300'000}}) {
      CAPTURE(space);
      CAPTURE(size);
      Responses responses;
      REQUIRE(responses.Send(1, Pattern(size, size), space).ok());
      responses.TakeAll();
      REQUIRE(responses.done.contains(1));
      CHECK(responses.done.at(1) == Pattern(size, size));
      CHECK(responses.last.version == 77);
      CHECK(responses.last.execution == static_cast<std::uint8_t>(Execution::kDone));
      CHECK(responses.sender.pending() == 0);
      CHECK(responses.budget.used() == 0);
      const bool one_record = size <= kMost && RecordBytes(size) <= std::max(space, 512U);
      CHECK((responses.records == 1) == one_record);
    }
  }
}

TEST_CASE("sender: without credit it stops and does not wait") {
  Responses responses;
  REQUIRE(responses.Send(1, Pattern(1, 50'000), 1024).ok());
  while (responses.TakeOne(/*grant=*/false)) {
  }
  CHECK(responses.done.empty());
  CHECK(responses.sender.pending() == 1);
  CHECK(responses.consumer.released() <= 1024);
  // Others are answered meanwhile.
  REQUIRE(responses.Send(2, "quick").ok());
  CHECK(responses.TakeOne(false));
  CHECK(responses.done.at(2) == "quick");
  // Crumbs are collected until a record is worth it.
  REQUIRE(responses.sender.AddCredit(1, 64).ok());
  REQUIRE(responses.sender.AddCredit(3, 1024).ok());  // of nobody: ignored
  CHECK_FALSE(responses.TakeOne(false));
  REQUIRE(responses.sender.AddCredit(1, 960).ok());
  responses.TakeAll();
  CHECK(responses.done.at(1) == Pattern(1, 50'000));
}

TEST_CASE("sender: a cancelled long answer ends with one last record, credit or not") {
  Responses responses;
  REQUIRE(responses.Send(1, Pattern(1, 50'000)).ok());
  while (responses.TakeOne(/*grant=*/false)) {
  }
  CHECK(responses.sender.Cancel(1).ok());
  CHECK(responses.sender.pending() == 0);
  CHECK(responses.sender.Cancel(1).ok());
  responses.TakeAll();
  CHECK(responses.done.contains(1));
  CHECK(responses.last.status == static_cast<std::uint16_t>(Code::kCancelled));
  CHECK(responses.consumer.released() <= kMinResponseSpace);
  CHECK(responses.budget.used() == 0);
  CHECK(responses.client_budget.used() == 0);
}

TEST_CASE("sender: at most sixteen long answers are under way, the others queue") {
  Responses responses;
  constexpr std::uint32_t kCalls = 20;
  for (std::uint32_t i = 1; i <= kCalls; ++i) REQUIRE(responses.Send(i, Pattern(i, 5000)).ok());
  while (responses.TakeOne(/*grant=*/false)) {
  }
  CHECK(responses.assembler.open() == kMaxOpenMessages);
  // One that never began is cancelled with a single record.
  CHECK(responses.sender.Cancel(kCalls).ok());
  for (std::uint32_t i = 1; i <= kCalls; ++i) REQUIRE(responses.sender.AddCredit(i, 448).ok());
  responses.TakeAll();
  for (std::uint32_t i = 1; i < kCalls; ++i) CHECK(responses.done.at(i) == Pattern(i, 5000));
  CHECK(responses.done.at(kCalls).empty());
  CHECK(responses.budget.used() == 0);
}

TEST_CASE("sender: errors are cut so that they fit the least space") {
  Responses responses;
  REQUIRE(responses.Send(1, std::string(5000, 'e'), kMinResponseSpace, Code::kInternal).ok());
  responses.TakeAll();
  CHECK(responses.done.at(1) == std::string(kMaxErrorMessageBytes, 'e'));
  CHECK(responses.consumer.released() == kMinResponseSpace);
}

TEST_CASE("sender: errors are cut between two characters") {
  Responses responses;
  const std::string front(kMaxErrorMessageBytes - 2, 'e');
  REQUIRE(responses.Send(1, front + "\xe2\x82\xac", kMinResponseSpace, Code::kInternal).ok());
  responses.TakeAll();
  CHECK(responses.done.at(1) == front);
}

TEST_CASE("sender: an answer beyond the budget becomes an error") {
  Responses responses(/*budget_bytes=*/10'000);
  REQUIRE(responses.Send(1, Pattern(1, 6000)).ok());
  REQUIRE(responses.Send(2, Pattern(2, 6000)).ok());
  responses.TakeAll();
  CHECK(responses.done.at(1) == Pattern(1, 6000));
  CHECK(responses.done.at(2) != Pattern(2, 6000));
  REQUIRE(responses.Send(3, Pattern(3, 6000)).ok());
  responses.TakeAll();
  CHECK(responses.done.at(3) == Pattern(3, 6000));
}

TEST_CASE("sender: a client that claims more credit than the ring has ends its session") {
  Responses responses;
  REQUIRE(responses.Send(1, Pattern(1, 1U << 20U), 512).ok());
  const Status status = responses.sender.AddCredit(1, ~0U);
  CHECK(status.code() == Code::kResourceExhausted);
}

// The promise behind "the daemon never waits": whatever is reserved within three quarters of the
// ring always finds room, wherever the pads fall.
TEST_CASE("credit: three quarters of the ring always suffice") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  struct Call {
    std::uint32_t id;
    std::uint32_t space;
  };
  const int rounds = hearth::testing::FullRun() ? 300'000 : 30'000;
  Responses responses;
  std::vector<Call> open;
  std::map<std::uint32_t, std::uint32_t> space_of;
  std::uint64_t reserved = 0;
  std::uint32_t next_id = 1;
  for (int round = 0; round < rounds; ++round) {
    // Reserve as much as the rules allow.
    const auto space = static_cast<std::uint32_t>(
        random.OneIn(3) ? kBytes / 4 : kMinResponseSpace + random.Below(kBytes / 4 - 512));
    if (reserved + space <= ReservableResponseBytes(kBytes)) {
      open.push_back({next_id, space});
      space_of[next_id++] = space;
      reserved += space;
    } else if (!open.empty()) {
      // Answer any of them, often with exactly what it may use.
      const std::size_t at = random.Below(open.size());
      const Call call = open[at];
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
      const std::size_t whole = call.space / 64 * 64 - 64;
      const std::size_t size =
          random.OneIn(3) ? random.Below(3 * kBytes) : whole - random.Below(64);
      REQUIRE(responses.Send(call.id, Pattern(call.id, size), call.space).ok());
    }
    if (open.empty() || random.OneIn(3)) {
      const std::size_t before = responses.done.size();
      responses.TakeOne();
      if (responses.done.size() == before) continue;
      const std::uint32_t id = responses.done.begin()->first;
      reserved -= space_of.at(id);
      responses.done.clear();
    }
  }
}

}  // namespace
}  // namespace hearth::ipc
