// S3-FIFO over segments: what is promoted, remembered, kept and dropped; compaction; expiry.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include <doctest/doctest.h>

#include "core/cache/ghost.h"
#include "core/cache/writer.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::FindSlot;
using testing::TestStore;

constexpr std::uint64_t kSegment = 64 * kKiB;
constexpr std::uint32_t kPerSegment = 4;

void CheckSound(const TestStore& store) {
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
}
std::string Key(std::uint32_t number) { return fmt::format("k{:07}", number); }
// Four entries of this size fill a segment.
std::string Quarter(std::uint32_t number) {
  return fmt::format("{:08}", number) + std::string(16'000, 'q');
}
bool Holds(const TestStore& store, std::uint16_t ns, std::uint32_t number) {
  return store.Get(ns, Key(number)) == Quarter(number);
}
void SetRange(TestStore& store, std::uint16_t ns, std::uint32_t from, std::uint32_t to) {
  for (std::uint32_t i = from; i < to; ++i) store.Set(ns, Key(i), Quarter(i));
}

// Where an entry stands, and how often it was read.
std::uint64_t SlotWord(const TestStore& store, std::uint16_t ns, std::uint32_t number) {
  const auto place = FindSlot(store.view(), ns, Key(number));
  return place ? place->word : 0;
}
LogKind LogOf(const TestStore& store, std::uint16_t ns, std::uint32_t number) {
  return static_cast<LogKind>(store.view().segment(SlotSegment(SlotWord(store, ns, number))).log);
}
// Notes reads, as the touches of clients do.
void Read(const TestStore& store, std::uint16_t ns, std::uint32_t number, std::uint64_t times) {
  const auto place = FindSlot(store.view(), ns, Key(number));
  REQUIRE(place);
  store.view().page(place->page)[place->bucket].slots[place->slot].StoreRelaxed(
      (place->word & ~kSlotFrequencyBits) | times << kSlotFrequencyShift);
}

// A namespace begins with a main log; when it owns a fourth segment, which takes one key, the small
// log begins.
constexpr std::uint32_t kFirstSmall = 3 * kPerSegment + 1;
constexpr std::uint32_t KeysOf(std::uint32_t segments) {
  return kFirstSmall + (segments - 4) * kPerSegment;
}

// A store that is full: 14 segments of entries, one of index pages, the reserve.
struct FullStore {
  TestStore store{{.segments = 16}};
  std::uint16_t ns = store.Namespace("n");
  std::uint32_t next = KeysOf(14);  // not yet written

  FullStore() { SetRange(store, ns, 0, next); }
  // Makes room by one segment of new keys.
  void WriteSegment() {
    SetRange(store, ns, next, next + kPerSegment);
    next += kPerSegment;
  }
};

TEST_CASE("small log: begins with the fourth segment, and what nobody reads leaves in its order") {
  FullStore full;
  for (std::uint32_t i = 0; i < full.next; ++i) {
    CHECK(Holds(full.store, full.ns, i));
    CHECK(LogOf(full.store, full.ns, i) == (i < kFirstSmall ? LogKind::kMain : LogKind::kSmall));
  }
  full.WriteSegment();
  for (std::uint32_t i = 0; i < full.next; ++i)
    CHECK(Holds(full.store, full.ns, i) == (i < kFirstSmall || i >= kFirstSmall + kPerSegment));
  CheckSound(full.store);
}

TEST_CASE("small log: one read promotes to the main log and starts anew") {
  FullStore full;
  constexpr std::uint32_t kOldest = kFirstSmall;
  for (std::uint32_t i = 0; i < kPerSegment; ++i) Read(full.store, full.ns, kOldest + i, i);
  std::string value;
  const std::uint64_t version = full.store.Reader().Get(full.ns, Key(kOldest + 2), &value).version;
  full.WriteSegment();
  CHECK_FALSE(Holds(full.store, full.ns, kOldest));
  for (const std::uint32_t promoted : {kOldest + 1, kOldest + 2, kOldest + 3}) {
    CHECK(Holds(full.store, full.ns, promoted));
    CHECK(LogOf(full.store, full.ns, promoted) == LogKind::kMain);
    CHECK(SlotFrequency(SlotWord(full.store, full.ns, promoted)) == 0);
  }
  // Moved, not written: the version is the same.
  CHECK(full.store.Reader().Get(full.ns, Key(kOldest + 2), &value).version == version);
  CheckSound(full.store);
}

TEST_CASE("ghost: a key that was dropped from the small log returns into the main log") {
  FullStore full;
  full.WriteSegment();
  REQUIRE_FALSE(Holds(full.store, full.ns, kFirstSmall));
  full.store.Set(full.ns, Key(kFirstSmall), Quarter(kFirstSmall));
  full.store.Set(full.ns, Key(9999), Quarter(9999));
  CHECK(LogOf(full.store, full.ns, kFirstSmall) == LogKind::kMain);
  CHECK(LogOf(full.store, full.ns, 9999) == LogKind::kSmall);
  CheckSound(full.store);
}

TEST_CASE("main log: what was read gets another round, once for each read") {
  // Only a main log: a namespace of three segments has no other.
  TestStore store({.segments = 16});
  const std::uint16_t ns = store.Namespace("n", {.quota_max_bytes = 3 * kSegment});
  SetRange(store, ns, 0, 12);
  Read(store, ns, 1, 1);
  Read(store, ns, 2, 3);
  std::uint32_t next = 12;
  std::uint32_t lost[4] = {};
  for (std::uint32_t round = 1; round < 40; ++round, ++next) {
    store.Set(ns, Key(next), Quarter(next));
    for (std::uint32_t i = 0; i < 4; ++i)
      if (lost[i] == 0 && !Holds(store, ns, i)) lost[i] = round;
  }
  CHECK(lost[0] == 1);
  CHECK(lost[3] == 1);
  CHECK(lost[1] > lost[0] + 6);
  CHECK(lost[2] > lost[1] + 12);
  CheckSound(store);
}

TEST_CASE("main log: when everything was read as often as can be, room is made all the same") {
  TestStore store({.segments = 16});
  const std::uint16_t ns = store.Namespace("n", {.quota_max_bytes = 3 * kSegment});
  for (std::uint32_t next = 0; next < 60; ++next) {
    store.Set(ns, Key(next), Quarter(next));
    CHECK(Holds(store, ns, next));
    for (std::uint32_t i = 0; i <= next; ++i)
      if (Holds(store, ns, i)) Read(store, ns, i, kMaxFrequency);
    CHECK(store.view().namespace_record(ns).used_bytes.LoadRelaxed() <= 4 * kSegment);
  }
  CheckSound(store);
}

TEST_CASE("overwrite: counts as a read, and stays in its log") {
  FullStore full;
  const std::uint32_t key = full.next - 1;
  REQUIRE(LogOf(full.store, full.ns, key) == LogKind::kSmall);
  full.store.Set(full.ns, Key(key), "second");
  CHECK(SlotFrequency(SlotWord(full.store, full.ns, key)) == 1);
  CHECK(LogOf(full.store, full.ns, key) == LogKind::kSmall);
  full.store.Set(full.ns, Key(key), "third");
  CHECK(SlotFrequency(SlotWord(full.store, full.ns, key)) == 2);
  CHECK(LogOf(full.store, full.ns, key) == LogKind::kSmall);
  for (int i = 0; i < 5; ++i) full.store.Set(full.ns, Key(key), "more");
  CHECK(SlotFrequency(SlotWord(full.store, full.ns, key)) == kMaxFrequency);
  CheckSound(full.store);
}

TEST_CASE(
    "expired: a segment of nothing else goes first, whoever owns it, and counts as no eviction") {
  TestStore store({.segments = 16});
  const std::uint16_t other = store.Namespace("other", {.evict = false});
  const std::uint16_t ns = store.Namespace("n");
  for (std::uint32_t i = 0; i < 8; ++i)
    store.Set(other, Key(i), Quarter(i), {.hard_ms = 1000, .soft_ms = kTtlNone});
  SetRange(store, ns, 0, KeysOf(12));
  store.clock().AdvanceMs(1000);
  const std::uint64_t evicted = store.view().header().evicted_entries.LoadRelaxed();
  store.Set(ns, Key(KeysOf(12)), Quarter(KeysOf(12)));
  CHECK(store.view().header().evicted_entries.LoadRelaxed() == evicted);
  for (std::uint32_t i = 0; i <= KeysOf(12); ++i) CHECK(Holds(store, ns, i));
  CHECK(store.view().namespace_record(other).used_bytes.LoadRelaxed() == kSegment);
  CheckSound(store);
}

TEST_CASE("compaction: dead entries between living ones make room, and nothing alive is lost") {
  TestStore store({.segments = 16});
  std::uint16_t ns = 0;
  std::uint32_t more = 0;  // entries that fit once the dead ones are gone
  SUBCASE("of a namespace that evicts, down to 5 %") {
    ns = store.Namespace("n");
    more = 16;
  }
  SUBCASE("of one that does not, nearly all") {
    ns = store.Namespace("n", {.evict = false});
    more = 24;
  }
  const std::uint32_t keys = KeysOf(14);
  SetRange(store, ns, 0, keys);
  const auto alive = [](std::uint32_t i) { return i % 2 != 0; };
  for (std::uint32_t i = 0; i < keys; ++i)
    if (!alive(i)) REQUIRE(store.writer().Delete(ns, Key(i), {}).ok());
  for (std::uint32_t i = 1000; i < 1000 + more; ++i) store.Set(ns, Key(i), Quarter(i));
  for (std::uint32_t i = 0; i < keys; ++i) CHECK(Holds(store, ns, i) == alive(i));
  for (std::uint32_t i = 1000; i < 1000 + more; ++i) CHECK(Holds(store, ns, i));
  CHECK(store.view().header().evicted_entries.LoadRelaxed() == 0);
  CheckSound(store);
}

TEST_CASE("pacing: a large store walks its victims little by little, and stays sound meanwhile") {
  TestStore store({.segments = 160});
  const std::uint16_t ns = store.Namespace("n");
  const std::string value(2000, 'v');
  bool seen = false;
  for (std::uint32_t i = 0; i < 160 * 32 * 2; ++i) {
    store.Set(ns, Key(i), value);
    bool retiring = false;
    for (std::uint32_t segment = 0; segment < 160 && !retiring; ++segment)
      retiring = SegmentStateOf(store.view().segment(segment).state_generation.LoadRelaxed()) ==
                 SegmentState::kRetiring;
    if (retiring && !seen) CheckSound(store);
    seen |= retiring;
  }
  CHECK(seen);
  CheckSound(store);
}

TEST_CASE("pacing: what must not be evicted is not left half moved") {
  TestStore store({.segments = 160});
  const std::uint16_t ns =
      store.Namespace("keep", {.quota_max_bytes = 64 * kSegment, .evict = false});
  const auto fill = 64 * kPerSegment - 1;
  SetRange(store, ns, 0, fill);
  for (std::uint32_t i = 0; i < fill; i += 2) REQUIRE(store.writer().Delete(ns, Key(i), {}).ok());
  store.Set(ns, Key(9999), "small");
  for (std::uint32_t segment = 0; segment < 160; ++segment)
    CHECK(SegmentStateOf(store.view().segment(segment).state_generation.LoadRelaxed()) !=
          SegmentState::kRetiring);
  CheckSound(store);
}

TEST_CASE("quota: promises that do not add up are refused") {
  TestStore store({.segments = 16});
  StoreWriter& writer = store.writer();
  CHECK(
      writer
          .CreateNamespace("a", {.quota_min_bytes = 3 * kSegment, .quota_max_bytes = 2 * kSegment})
          .status()
          .code() == Code::kInvalidArgument);
  CHECK(writer.CreateNamespace("a", {.quota_min_bytes = 15 * kSegment}).status().code() ==
        Code::kResourceExhausted);
  CHECK(writer.CreateNamespace("a", {.quota_min_bytes = 10 * kSegment}).ok());
  CHECK(writer.CreateNamespace("b", {.quota_min_bytes = 5 * kSegment}).status().code() ==
        Code::kResourceExhausted);
  CHECK(writer.CreateNamespace("b", {.quota_min_bytes = 4 * kSegment}).ok());
  CHECK(writer.CreateNamespace("c", {}).ok());
}

// ----------------------------------------------------------------------------------------- ghost
// splitmix64
std::uint64_t Hash(std::uint64_t i) {
  std::uint64_t z = (i + 1) * 0x9e37'79b9'7f4a'7c15U;
  z = (z ^ z >> 30U) * 0xbf58'476d'1ce4'e5b9U;
  z = (z ^ z >> 27U) * 0x94d0'49bb'1331'11ebU;
  return z ^ z >> 31U;
}

TEST_CASE("ghost table: the latest keys count, each once") {
  Ghost ghost;
  CHECK_FALSE(ghost.Take(Hash(0)));
  constexpr std::uint64_t kCapacity = 1000;
  for (std::uint64_t i = 0; i < 5000; ++i) ghost.Add(Hash(i), kCapacity);
  std::uint64_t remembered = 0;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    const bool found = ghost.Take(Hash(i));
    remembered += found ? 1U : 0U;
    CHECK((!found || i >= 4000));
    CHECK_FALSE(ghost.Take(Hash(i)));
  }
  CHECK(remembered >= 940);  // of 1000; a full bucket forgets
  CHECK(ghost.memory_bytes() <= 64 * 1024);
}

TEST_CASE("ghost table: grows without forgetting") {
  Ghost ghost;
  for (std::uint64_t i = 0; i < 100; ++i) ghost.Add(Hash(i), 100);
  for (std::uint64_t i = 100; i < 20'000; ++i) ghost.Add(Hash(i), 20'000);
  std::uint64_t remembered = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) remembered += ghost.Take(Hash(i)) ? 1U : 0U;
  CHECK(remembered >= 18'800);
}

}  // namespace
}  // namespace hearth::cache
