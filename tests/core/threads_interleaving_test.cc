// Readers held at the worst moment while the writer goes on: halfway through a copy (PageTrap), or
// between two steps (StopPoint). Each case says which check of the reader it is about; breaking
// that check makes it fail.
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "core/cache/writer.h"
#include "tests/support/page_trap.h"
#include "tests/support/self_checking_value.h"
#include "tests/support/stop_point.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindSlot;
using testing::MakeSelfCheckingValue;
using testing::PageTrap;
using testing::StopPoint;
using testing::TestStore;

// One read in a thread of its own, through a mapping of its own.
class ReadThread {
 public:
  ReadThread(const StoreReader& reader, std::uint16_t ns, std::string key)
      : thread_([this, &reader, ns, key = std::move(key)] {
          result_ = reader.Get(ns, key, &value_);
        }) {}
  void Join() { thread_.join(); }
  // After Join().
  const ReadResult& result() const { return result_; }
  const std::string& value() const { return value_; }

 private:
  ReadResult result_;
  std::string value_;
  std::thread thread_;  // last: uses the others
};

// Counts how often readers reached a point, without stopping them.
class Counted {
 public:
  explicit Counted(const char* name) : name_(name) { SetFailpoint(name, nullptr); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { ClearFailpoint(name_); }
  std::uint64_t hits() const { return FailpointHits(name_); }

 private:
  const char* name_;
};

constexpr std::uint32_t kValueBytes = 12'000;
std::string Value(std::uint64_t number) {
  std::string value = MakeSelfCheckingValue(0, number, 0);
  return value + std::string(kValueBytes - value.size(), static_cast<char>('a' + number % 26));
}

std::uint64_t Generation(const TestStore& store, std::uint64_t slot) {
  return SegmentGenerationOf(
      store.view().segment(SlotSegment(slot)).state_generation.LoadRelaxed());
}

// Takes steps until `done`; false when that does not come, so that a broken store fails the test
// instead of hanging it.
bool Until(const std::function<bool()>& done, const std::function<void()>& step) {
  for (int i = 0; i < 20'000; ++i) {
    if (done()) return true;
    step();
  }
  return false;
}

// Where the middle of a value lies in the reader's mapping.
const std::byte* MiddleOf(const StoreReader& reader, std::uint64_t slot) {
  return reader.view().segment_data(SlotSegment(slot)) + SlotOffset(slot) + kValueBytes / 2;
}

TEST_CASE("copy: bytes of the segment's next life never complete a value begun in this one") {
  TestStore store;
  // So small that the oldest segment is evicted, in turn.
  const std::uint16_t ns = store.Namespace("n", {.quota_max_bytes = 3 * 64 * kKiB});
  const StoreReader reader = store.AttachedReader();
  store.Set(ns, "key", Value(1));
  const std::uint64_t slot = FindSlot(store.view(), ns, "key")->word;
  const std::uint64_t generation = Generation(store, slot);

  PageTrap trap(MiddleOf(reader, slot));
  ReadThread read(reader, ns, "key");
  trap.AwaitTouch();  // the first half of the value has been copied
  const auto overwritten = [&] {
    return Generation(store, slot) != generation &&
           store.view().segment(SlotSegment(slot)).write_watermark.LoadRelaxed() >= 2 * kValueBytes;
  };
  std::uint64_t other = 1;
  CHECK(Until(overwritten, [&] {
    ++other;
    store.Set(ns, fmt::format("other {}", other), Value(other));
  }));
  SUBCASE("the key was evicted") {
    trap.Release();
    read.Join();
    CHECK(read.result().outcome == ReadOutcome::kMiss);
  }
  SUBCASE("the key has a new value") {
    store.Set(ns, "key", Value(1000));
    trap.Release();
    read.Join();
    CHECK(read.result().outcome == ReadOutcome::kHit);
    CHECK((read.value() == Value(1000)));
  }
}

// Runs `cycle`, which overwrites "key", until its slot word is what it was, but for the frequency,
// 64 generations later.
bool ComeRound(TestStore& store, std::uint64_t slot, const std::function<void()>& cycle) {
  const std::uint64_t generation = Generation(store, slot);
  const auto round = [&] {
    if (Generation(store, slot) == generation) return false;
    const auto place = FindSlot(store.view(), 1, "key");
    return place && ((place->word ^ slot) & ~kSlotFrequencyBits) == 0;
  };
  return Until(round, cycle) && Generation(store, slot) == generation + 64;
}

TEST_CASE("copy: the full generation tells, when the slot's six bits have come round") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const StoreReader reader = store.AttachedReader();
  store.Set(ns, "key", Value(1));
  const std::uint64_t slot = FindSlot(store.view(), ns, "key")->word;

  const Counted copies("reader.after_copy");
  PageTrap trap(MiddleOf(reader, slot));
  ReadThread read(reader, ns, "key");
  trap.AwaitTouch();
  std::uint64_t number = 1;
  CHECK(ComeRound(store, slot, [&] { store.Set(ns, "key", Value(++number)); }));
  // Slot, directory word and the low six bits of the generation are as the reader found them.
  trap.Release();
  read.Join();
  CHECK(read.result().outcome == ReadOutcome::kHit);
  CHECK((read.value() == Value(number)));
  CHECK(copies.hits() == 2);
}

TEST_CASE("compare: a key compared across two lives of a segment is not taken for another key") {
  TestStore store;
  REQUIRE(store.Namespace("n") == 1);
  const StoreReader reader = store.AttachedReader();
  // Fills a segment so that the key of "key" is the first thing on its second page, and the next
  // cycle begins a new segment.
  const auto fill = [&](std::uint64_t number, const Ttl& ttl) {
    store.Set(1, "first", std::string(4096 - 24 - 24 - 5 - 3, 'f'));
    store.Set(1, "key", Value(number), ttl);
    for (const char* key : {"a", "b", "c"}) store.Set(1, key, std::string(16'000, 'z'));
  };
  fill(1, {});
  const std::uint64_t slot = FindSlot(store.view(), 1, "key")->word;
  REQUIRE(SlotOffset(slot) == 4096 - 24);

  PageTrap trap(reader.view().segment_data(SlotSegment(slot)) + 4096);
  ReadThread read(reader, 1, "key");
  trap.AwaitTouch();  // the header is copied, the key not yet compared
  std::uint64_t number = 1;
  // From now on with an expiry, so that the key stands 8 bytes further on than the header said. The
  // key was there all the time.
  CHECK(ComeRound(store, slot, [&] { fill(++number, {.hard_ms = 1'000'000}); }));
  trap.Release();
  read.Join();
  CHECK(read.result().outcome == ReadOutcome::kHit);
  CHECK((read.value() == Value(number)));
}

TEST_CASE("copy: a reader that has its copy but not checked it gives it up for the new value") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const StoreReader reader = store.AttachedReader();
  store.Set(ns, "key", Value(1));
  StopPoint stop("reader.after_copy");
  ReadThread read(reader, ns, "key");
  stop.AwaitStop();
  for (std::uint64_t i = 2; i < 100; ++i) store.Set(ns, "key", Value(i));
  stop.Release();
  read.Join();
  CHECK((read.value() == Value(99)));
  CHECK(stop.hits() == 2);
}

TEST_CASE("slot: an entry that was renewed while it was looked at has not expired") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const StoreReader reader = store.AttachedReader();
  store.Set(ns, "key", "first", {.hard_ms = 100});
  StopPoint stop("reader.before_entry");
  ReadThread read(reader, ns, "key");
  stop.AwaitStop();  // holds the slot of the entry that will expire
  store.clock().AdvanceMs(60);
  store.Set(ns, "key", "second", {.hard_ms = 1000});
  store.clock().AdvanceMs(60);
  stop.Release();
  read.Join();
  CHECK(read.result().outcome == ReadOutcome::kHit);
  CHECK(read.value() == "second");
}

TEST_CASE("slot: a key that moved on before its segment was looked at is not missed") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const StoreReader reader = store.AttachedReader();
  store.Set(ns, "key", Value(1));
  const std::uint64_t slot = FindSlot(store.view(), ns, "key")->word;
  const std::uint64_t generation = Generation(store, slot);

  PageTrap trap(reinterpret_cast<const std::byte*>(&reader.view().segment(0)));
  ReadThread read(reader, ns, "key");
  trap.AwaitTouch();  // the slot is loaded, its segment's generation is not
  std::uint64_t number = 1;
  CHECK(Until([&] { return Generation(store, slot) != generation; },
              [&] { store.Set(ns, "key", Value(++number)); }));
  trap.Release();
  read.Join();
  CHECK(read.result().outcome == ReadOutcome::kHit);
  CHECK((read.value() == Value(number)));
}

TEST_CASE("slot: a deleted key that was looked at under its old slot is gone") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const StoreReader reader = store.AttachedReader();
  store.Set(ns, "key", "value");
  StopPoint stop("reader.before_entry");
  ReadThread read(reader, ns, "key");
  stop.AwaitStop();
  REQUIRE(store.writer().Delete(ns, "key", {}).ok());
  stop.Release();
  read.Join();
  CHECK(read.result().outcome == ReadOutcome::kMiss);
}

// Adds small keys until `done`; their values do not matter.
bool AddKeysUntil(TestStore& store, std::uint16_t ns, const std::function<bool()>& done) {
  std::uint32_t i = 0;
  return Until(done, [&] { store.Set(ns, fmt::format("filler {}", i++), ""); });
}

std::uint32_t PageOf(const TestStore& store, std::uint16_t ns, const std::string& key) {
  const std::uint64_t hash = testing::KeyHash(store.view(), ns, key);
  return DirectoryPage(store.view().directory(store.view().DirectoryIndex(hash)).LoadRelaxed());
}

TEST_CASE("directory: a page that was split and reused under a reader does not make a miss") {
  TestStore store({.segments = 64});
  const std::uint16_t ns = store.Namespace("n");
  const StoreReader reader = store.AttachedReader();
  // The page gets its second life as a low half of a later split; this key goes elsewhere.
  const std::string key = testing::CollidingKeys(
      store.view(), ns, {.like_hash = ~std::uint64_t{0}, .directory_bits = 6, .same_bucket = false},
      1)[0];
  store.Set(ns, key, "value");
  const std::uint32_t page = PageOf(store, ns, key);
  const std::uint32_t bucket = HomeBucket(testing::KeyHash(store.view(), ns, key));

  PageTrap trap(reinterpret_cast<const std::byte*>(reader.view().page(page) + bucket));
  ReadThread read(reader, ns, key);
  trap.AwaitTouch();  // the directory word is loaded, the bucket is not
  const auto in_use = [&] {
    for (const std::uint32_t used : testing::IndexPages(store.view()))
      if (used == page) return true;
    return false;
  };
  CHECK(AddKeysUntil(store, ns, [&] { return !in_use(); }));
  CHECK(AddKeysUntil(store, ns, in_use));
  CHECK(PageOf(store, ns, key) != page);
  trap.Release();
  read.Join();
  CHECK(read.result().outcome == ReadOutcome::kHit);
  CHECK(read.value() == "value");
}

TEST_CASE("directory: a slot left behind in a split page does not make its entry expire") {
  TestStore store({.segments = 64});
  const std::uint16_t ns = store.Namespace("n");
  const StoreReader reader = store.AttachedReader();
  store.Set(ns, "key", "first", {.hard_ms = 100});
  const std::uint32_t page = PageOf(store, ns, "key");
  StopPoint stop("reader.before_entry");
  ReadThread read(reader, ns, "key");
  stop.AwaitStop();
  // One split: the old page keeps its slots, but nobody else looks at it any more.
  CHECK(AddKeysUntil(store, ns, [&] { return PageOf(store, ns, "key") != page; }));
  store.Set(ns, "key", "second", {.hard_ms = 1000});
  store.clock().AdvanceMs(150);
  stop.Release();
  read.Join();
  CHECK(read.result().outcome == ReadOutcome::kHit);
  CHECK(read.value() == "second");
}

TEST_CASE("chain: a reader led from its chain into another by a reused bucket finds no wrong key") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const StoreReader reader = store.AttachedReader();
  const std::uint64_t hash = testing::KeyHash(store.view(), ns, "like me");
  const auto keys = testing::CollidingKeys(store.view(), ns, {.like_hash = hash}, 8);
  const auto others = testing::CollidingKeys(store.view(), ns, {.like_hash = ~hash}, 15);
  for (const std::string& key : keys) store.Set(ns, key, key);
  const auto last = FindSlot(store.view(), ns, keys[7]);
  REQUIRE(last->bucket == kFirstOverflowBucket);

  PageTrap trap(reinterpret_cast<const std::byte*>(reader.view().page(last->page) + last->bucket));
  ReadThread read(reader, ns, keys[7]);
  trap.AwaitTouch();  // has followed the link, has not seen the bucket
  bool present = false;
  SUBCASE("its key is gone") { REQUIRE(store.writer().Delete(ns, keys[7], {}).ok()); }
  SUBCASE("its key went and came back, to the home bucket") {
    REQUIRE(store.writer().Delete(ns, keys[7], {}).ok());
    REQUIRE(store.writer().Delete(ns, keys[0], {}).ok());
    store.Set(ns, keys[7], keys[7]);
  }
  SUBCASE("its key stayed") { present = true; }
  for (const std::string& key : others) store.Set(ns, key, key);
  trap.Release();
  read.Join();
  // In the second case it was absent for a moment of the read, so a miss is right as well.
  if (present) CHECK(read.result().outcome == ReadOutcome::kHit);
  if (read.result().outcome == ReadOutcome::kHit) CHECK(read.value() == keys[7]);
  for (const std::string& problem : testing::FindBrokenInvariants(store.view()))
    FAIL_CHECK(problem);
}

TEST_CASE("mid split: a reader of another thread finds keys of both halves at every step") {
  TestStore store({.segments = 64});
  const std::uint16_t ns = store.Namespace("n");
  const StoreReader reader = store.AttachedReader();
  std::uint32_t added = 0;
  const auto key = [](std::uint32_t i) { return fmt::format("key {}", i); };
  std::uint64_t steps = 0;
  SetFailpoint("index.mid_directory", [&] {
    if (++steps > 8) return;
    for (std::uint32_t i = 0; i < added; i += 97) {
      ReadThread read(reader, ns, key(i));
      read.Join();
      REQUIRE(read.value() == key(i));
    }
  });
  while (steps < 8) {
    store.Set(ns, key(added), key(added));
    ++added;
  }
  ClearFailpoint("index.mid_directory");
  CHECK(steps >= 8);
}

}  // namespace
}  // namespace hearth::cache
