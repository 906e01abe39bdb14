// The handshake of pins, in each order of its steps: the reader publishes its pin and looks at its
// slot again, the writer clears the slots and looks at the pins.
#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/atomic.h"
#include "core/cache/writer.h"
#include "tests/support/pin_table.h"
#include "tests/support/seed.h"
#include "tests/support/self_checking_value.h"
#include "tests/support/stop_point.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::CheckSelfCheckingValue;
using testing::FindBrokenInvariants;
using testing::FindSlot;
using testing::FullRun;
using testing::MakeSelfCheckingValue;
using testing::PinTable;
using testing::StopPoint;
using testing::TestStore;

constexpr std::uint64_t kSecond = 1'000'000'000;

class PinRace {
 public:
  PinRace()
      : ns_(store_.Namespace("n", {.quota_max_bytes = 3 * 64 * kKiB})),
        reader_(store_.AttachedReader()) {
    store_.writer().WatchPins(&pins_, kSecond);
    store_.Set(ns_, "key", "old");
    segment_ = SlotSegment(FindSlot(store_.view(), ns_, "key")->word);
    generation_ = Generation();
  }
  std::uint64_t Generation() const {
    return SegmentGenerationOf(store_.view().segment(segment_).state_generation.LoadRelaxed());
  }
  SegmentState State() const {
    return SegmentStateOf(store_.view().segment(segment_).state_generation.LoadRelaxed());
  }
  bool moved() const { return Generation() != generation_; }
  // Gives the key a new value elsewhere, and evicts its old segment.
  void EvictSegment() {
    const std::string filler(16'000, 'x');
    for (int i = 0; i < 300 && !moved() && store_.writer().quarantined_segments() == 0; ++i) {
      store_.Set(ns_, "key", "new");
      store_.Set(ns_, fmt::format("other {}", i), filler);
    }
  }
  void LookUp() { result_ = reader_.View(ns_, "key", pins_[0], &view_); }

  TestStore store_;
  PinTable pins_;
  std::uint16_t ns_;
  StoreReader reader_;
  std::uint32_t segment_ = 0;
  std::uint64_t generation_ = 0;
  ReadResult result_;
  ValueView view_;
};

TEST_CASE(
    "pin: one that is published after its segment was freed holds nothing, and is taken back") {
  PinRace race;
  StopPoint before_pin("reader.before_pin");
  std::thread reader([&] { race.LookUp(); });
  before_pin.AwaitStop();
  race.EvictSegment();
  CHECK(race.moved());
  SUBCASE("the key has another value") {
    before_pin.Release();
    reader.join();
    CHECK(race.result_.outcome == ReadOutcome::kHit);
    CHECK(race.view_.bytes() == "new");
    CHECK(before_pin.hits() == 2);
    CHECK(race.view_.Release());
  }
  SUBCASE("the key is gone") {
    CHECK(race.store_.writer().Delete(race.ns_, "key", {}).ok());
    before_pin.Release();
    reader.join();
    CHECK(race.result_.outcome == ReadOutcome::kMiss);
    CHECK_FALSE(race.view_.held());
  }
  CHECK(race.pins_.empty());
}

TEST_CASE("pin: one that is published between the writer's look and its next step finds no slot") {
  PinRace race;
  StopPoint before_pin("reader.before_pin");
  std::thread reader([&] { race.LookUp(); });
  before_pin.AwaitStop();  // it has found the old value
  StopPoint after_pins("writer.after_pins");
  std::thread writer([&] { race.EvictSegment(); });
  after_pins.AwaitStop();  // it has seen no pin
  CHECK_FALSE(race.moved());
  CHECK(race.State() == SegmentState::kRetiring);
  before_pin.Release();
  reader.join();
  // The generation is still the old one, and the bytes are still there: but not for long.
  CHECK_FALSE(race.moved());
  CHECK(race.result_.outcome == ReadOutcome::kHit);
  CHECK(race.view_.bytes() == "new");
  after_pins.Release();
  writer.join();
  CHECK(race.moved());
}

TEST_CASE(
    "pin: one that is published before the writer's look is seen, also before it was verified") {
  PinRace race;
  StopPoint after_pin("reader.after_pin");
  std::thread reader([&] { race.LookUp(); });
  after_pin.AwaitStop();
  race.EvictSegment();
  CHECK_FALSE(race.moved());
  CHECK(race.store_.writer().quarantined_segments() == 1);
  after_pin.Release();
  reader.join();
  // It was too late all the same: the key has another value by now.
  CHECK(race.view_.bytes() == "new");
  race.store_.writer().ReviewPins();
  CHECK(race.moved());
  CHECK(race.store_.writer().revoked_segments() == 0);
}

TEST_CASE("pin: one that was verified is seen by every later look") {
  PinRace race;
  StopPoint before_pins("writer.before_pins");
  std::thread writer([&] { race.EvictSegment(); });
  before_pins.AwaitStop();  // the slots are gone
  CHECK(race.State() == SegmentState::kRetiring);
  SUBCASE("the reader came before the slots were cleared") {
    // As if it had: its pin is there, and names the segment's generation.
    race.pins_[1].generation->StoreRelaxed(race.generation_);
    race.pins_[1].segment_plus_one->StoreRelaxed(race.segment_ + 1);
    before_pins.Release();
    writer.join();
    CHECK_FALSE(race.moved());
    race.pins_[1].segment_plus_one->StoreRelaxed(0);
    race.store_.writer().ReviewPins();
    CHECK(race.moved());
  }
  SUBCASE("the reader comes now") {
    race.LookUp();
    CHECK(race.view_.bytes() == "new");
    before_pins.Release();
    writer.join();
    CHECK(race.moved());
  }
}

// Waits for the other thread to reach the same step; without the kernel, so that both go on at
// once.
void Meet(Atomic<std::uint64_t>& mine, const Atomic<std::uint64_t>& other, std::uint64_t step) {
  // SYNC release test-meet: what was done in the step before.
  mine.StoreRelease(step);
  // SYNC acquire test-meet: the same of the other.
  for (std::uint32_t spins = 0; other.LoadAcquire() < step; ++spins)
    if (spins > 10'000) ::sched_yield();
}

// The store-buffering litmus test on the real steps of both sides. With either fence removed it
// fails on x86 within a fraction of these rounds.
TEST_CASE("pin: of a pin and a look at the same moment, one always sees the other") {
  TestStore store;
  PinTable pins;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "key", "value");
  const auto place = FindSlot(store.view(), ns, "key");
  const std::uint32_t segment = SlotSegment(place->word);
  Atomic<std::uint64_t>& slot = store.view().page(place->page)[place->bucket].slots[place->slot];
  Atomic<std::uint64_t> reader_at{0};
  Atomic<std::uint64_t> writer_at{0};
  Atomic<std::int64_t> lead{0};  // of the writer: how long it waits before its step
  const std::uint64_t rounds = FullRun() ? 2'000'000 : 200'000;
  std::vector<char> hits(rounds);
  std::thread thread([&] {
    const StoreReader reader = store.Reader();
    for (std::uint64_t i = 0; i < rounds; ++i) {
      Meet(reader_at, writer_at, 2 * i + 1);
      ValueView view;
      for (std::int64_t pause = lead.LoadRelaxed(); pause < 0; ++pause) writer_at.LoadRelaxed();
      reader.View(ns, "key", pins[0], &view);
      hits[i] = view.held() ? 1 : 0;
      Meet(reader_at, writer_at, 2 * i + 2);
    }
  });
  std::uint64_t missed = 0;
  std::uint64_t seen = 0;
  std::uint64_t gone = 0;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    Quarantine quarantine(store.view());
    quarantine.Watch(&pins, kSecond, store.clock());
    Meet(writer_at, reader_at, 2 * i + 1);
    for (std::int64_t pause = lead.LoadRelaxed(); pause > 0; --pause) reader_at.LoadRelaxed();
    slot.StoreRelaxed(0);
    const bool held = quarantine.Hold(segment);
    Meet(writer_at, reader_at, 2 * i + 2);
    if (hits[i] != 0 && !held) ++missed;
    ++(held ? seen : gone);
    // Whoever came second comes a little earlier next time.
    lead.StoreRelaxed(std::clamp<std::int64_t>(lead.LoadRelaxed() + (held ? -1 : 1), -2000, 2000));
    slot.StoreRelaxed(place->word);
  }
  thread.join();
  MESSAGE(seen << " pins seen, " << gone << " slots gone in time");
  CHECK(missed == 0);
}

TEST_CASE(
    "pin: views held all the time against a writer that evicts at full speed are never wrong") {
  TestStore store({.segments = 64});
  PinTable pins;
  const std::uint16_t ns = store.Namespace("n", {.quota_max_bytes = 6 * 64 * kKiB});
  store.writer().WatchPins(&pins, 3600 * kSecond);
  constexpr std::uint32_t kKeys = 16;
  constexpr std::uint64_t kSpread = 3000;
  std::uint64_t number = 0;
  const auto write = [&](std::uint32_t key) {
    store.Set(ns, fmt::format("{}", key), MakeSelfCheckingValue(key, ++number, kSpread));
  };
  for (std::uint32_t key = 0; key < kKeys; ++key) write(key);
  Atomic<std::uint32_t> readers_left{2};
  struct Count {
    std::uint64_t hits = 0, denied = 0, wrong = 0;
  } counts[2];
  const std::uint64_t reads = FullRun() ? 2'000'000 : 100'000;
  std::vector<std::thread> readers;
  for (std::uint32_t id = 0; id < 2; ++id) {
    readers.emplace_back([&, id] {
      const StoreReader reader = store.AttachedReader();
      for (std::uint64_t i = 0; i < reads; ++i) {
        ValueView view;
        const auto key = static_cast<std::uint32_t>(i * 7 % kKeys);
        if (reader.View(ns, fmt::format("{}", key), pins[id * 32], &view).outcome !=
            ReadOutcome::kHit)
          continue;
        ++counts[id].hits;
        std::string copy(view.bytes().size(), '\0');
        CopyShared(copy.data(), view.bytes().data(), copy.size());
        if (!view.Release()) {
          ++counts[id].denied;
        } else if (CheckSelfCheckingValue(key, copy, kSpread) == 0) {
          ++counts[id].wrong;
        }
      }
      readers_left.AddRelaxed(~std::uint32_t{0});
    });
  }
  while (readers_left.LoadRelaxed() != 0)
    for (int i = 0; i < 100; ++i) write(static_cast<std::uint32_t>(number * 5 % kKeys));
  for (std::thread& reader : readers) reader.join();
  const std::uint64_t revoked = store.writer().revoked_segments();
  for (const Count& count : counts) {
    CHECK(count.hits > reads / 100);
    CHECK(count.wrong == 0);
    // Whoever is stopped with a pin may lose it to a write; nobody loses one that was not seen.
    CHECK(count.denied <= revoked);
  }
  CHECK(pins.empty());
  store.writer().ReviewPins();
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
}

}  // namespace
}  // namespace hearth::cache
