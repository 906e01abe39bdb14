// Room: quotas, eviction, stores and namespaces that are full, segments that become free.
#include <cstdint>
#include <optional>
#include <string>

#include <doctest/doctest.h>

#include "core/cache/writer.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::TestStore;

constexpr std::uint64_t kSegment = 64 * kKiB;

void CheckSound(const TestStore& store) {
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
}

std::uint64_t FreeSegments(const TestStore& store) {
  return store.view().header().free_segments.LoadRelaxed();
}
std::uint64_t Evicted(const TestStore& store) {
  return store.view().header().evicted_entries.LoadRelaxed();
}
std::uint64_t UsedBytes(const TestStore& store, std::uint16_t ns) {
  return store.view().namespace_record(ns).used_bytes.LoadRelaxed();
}

// Four entries of this size fill a segment.
std::string Quarter(std::uint32_t number) {
  return fmt::format("{:08}", number) + std::string(16'000, 'q');
}
std::string Key(std::uint32_t number) { return fmt::format("k{:07}", number); }
bool Holds(const TestStore& store, std::uint16_t ns, std::uint32_t number) {
  return store.Get(ns, Key(number)) == Quarter(number);
}

TEST_CASE("quota: the namespace's own oldest segment goes, and nobody else's") {
  TestStore store({.segments = 16});
  const std::uint16_t bounded = store.Namespace("bounded", {.quota_max_bytes = 3 * kSegment + 5});
  const std::uint16_t other = store.Namespace("other");
  store.Set(other, "key", "older than anything");
  for (std::uint32_t i = 0; i < 100; ++i) {
    store.Set(bounded, Key(i), Quarter(i));
    CHECK(UsedBytes(store, bounded) <= 3 * kSegment);
  }
  CHECK(UsedBytes(store, bounded) == 3 * kSegment);
  CHECK(store.Get(other, "key") == "older than anything");
  for (std::uint32_t i = 0; i < 100; ++i) {
    CHECK(Holds(store, bounded, i) == (i >= 88));
  }
  CHECK(Evicted(store) == 88);
  CheckSound(store);
}

TEST_CASE(
    "quota: a namespace that does not evict refuses, keeps all, and goes on once there is room") {
  TestStore store({.segments = 16});
  const std::uint16_t ns =
      store.Namespace("keep", {.quota_max_bytes = 2 * kSegment, .evict = false});
  for (std::uint32_t i = 0; i < 8; ++i) store.Set(ns, Key(i), Quarter(i));
  const auto refused = store.writer().Set(ns, Key(8), Quarter(8), {}, {});
  REQUIRE(!refused.ok());
  CHECK(refused.status().code() == Code::kResourceExhausted);
  CHECK(refused.status().message() ==
        "namespace 'keep' is full (128 KiB of its quota of 128 KiB) and does not evict");
  CHECK(store.writer().Touch(ns, Key(3), {}, {}).status().code() == Code::kResourceExhausted);
  for (std::uint32_t i = 0; i < 8; ++i) CHECK(Holds(store, ns, i));
  CHECK(Evicted(store) == 0);
  CheckSound(store);

  SUBCASE("room in the sealed segment") {
    for (std::uint32_t i = 0; i < 4; ++i) REQUIRE(store.writer().Delete(ns, Key(i), {}).ok());
  }
  SUBCASE("room in the open segment") {
    for (std::uint32_t i = 4; i < 8; ++i) REQUIRE(store.writer().Delete(ns, Key(i), {}).ok());
  }
  CHECK(store.writer().Set(ns, Key(8), Quarter(8), {}, {}).ok());
  CHECK(Holds(store, ns, 8));
  CheckSound(store);
}

TEST_CASE("full: the namespace furthest above what it is promised gives first") {
  // Six segments for entries, beside the index and the reserve.
  std::uint64_t promised = 0;
  SUBCASE("nothing is promised: the largest gives, until both are equal") {}
  SUBCASE("what is promised stays") { promised = 4 * kSegment; }
  TestStore store;
  const std::uint16_t large = store.Namespace("large", {.quota_min_bytes = promised});
  const std::uint16_t late = store.Namespace("late");
  for (std::uint32_t i = 0; i < 24; ++i) store.Set(large, Key(i), Quarter(i));
  CHECK(UsedBytes(store, large) == 6 * kSegment);
  for (std::uint32_t i = 0; i < 40; ++i) store.Set(late, Key(i), Quarter(i));
  CHECK(UsedBytes(store, large) == std::max(3 * kSegment, promised));
  CHECK(UsedBytes(store, late) == 6 * kSegment - UsedBytes(store, large));
  const std::uint64_t kept = UsedBytes(store, late) / kSegment * 4;
  for (std::uint32_t i = 0; i < 40; ++i) CHECK(Holds(store, late, i) == (i >= 40 - kept));
  CheckSound(store);
}

TEST_CASE("full: one key after the other through a store many times its size") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  for (std::uint32_t i = 0; i < 2000; ++i) {
    store.Set(ns, Key(i), Quarter(i));
    REQUIRE(Holds(store, ns, i));
    REQUIRE(UsedBytes(store, ns) <= 6 * kSegment);
    REQUIRE(FreeSegments(store) >= 1);
  }
  CHECK(Evicted(store) >= 2000 - 24);
  CheckSound(store);
}

TEST_CASE("full: when nobody may evict, a set is refused and nothing is lost") {
  TestStore store;
  const std::uint16_t a = store.Namespace("a", {.evict = false});
  const std::uint16_t b = store.Namespace("b", {.evict = false});
  std::uint32_t stored = 0;
  const auto owner = [&] { return stored % 2 == 0 ? a : b; };
  while (store.writer().Set(owner(), Key(stored), Quarter(stored), {}, {}).ok()) ++stored;
  CHECK(stored >= 20);
  const auto refused = store.writer().Set(owner(), "key", Quarter(0), {}, {});
  REQUIRE(!refused.ok());
  CHECK(refused.status().code() == Code::kResourceExhausted);
  CHECK(refused.status().message().find("the store is full: all 8 segments belong to") == 0);
  for (std::uint32_t i = 0; i < stored; ++i) CHECK(Holds(store, i % 2 == 0 ? a : b, i));
  CHECK(Evicted(store) == 0);
  CheckSound(store);
}

TEST_CASE("full: a namespace left with one segment evicts within it") {
  TestStore store;
  const std::uint16_t keep = store.Namespace("keep", {.evict = false});
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, Key(0), Quarter(0));
  std::uint32_t kept = 0;
  for (; FreeSegments(store) > 1 || kept % 4 != 0; ++kept)
    store.Set(keep, Key(kept), Quarter(kept));
  for (std::uint32_t i = 1; i < 40; ++i) {
    store.Set(ns, Key(i), Quarter(i));
    CHECK(Holds(store, ns, i));
    CHECK(UsedBytes(store, ns) == kSegment);
  }
  for (std::uint32_t i = 0; i < kept; ++i) CHECK(Holds(store, keep, i));
  CheckSound(store);
  // The other way round: who does not evict itself takes what others may lose.
  store.Set(keep, Key(kept), Quarter(kept));
  CHECK(Holds(store, keep, kept));
  CHECK(store.Get(ns, Key(39)) == std::nullopt);
  CHECK(store.writer().Set(ns, Key(0), Quarter(0), {}, {}).status().code() ==
        Code::kResourceExhausted);
  CheckSound(store);
}

TEST_CASE("dead: one key overwritten for ever needs two segments and evicts nothing") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "bystander", "stays");
  for (std::uint32_t i = 0; i < 3000; ++i) {
    store.Set(ns, "key", Quarter(i));
    CHECK(FreeSegments(store) >= 3);
  }
  CHECK((store.Get(ns, "key") == Quarter(2999)));
  CHECK(store.Get(ns, "bystander") == "stays");
  CHECK(Evicted(store) == 0);
  CheckSound(store);
}

TEST_CASE("dead: a segment is free as soon as its last entry is deleted, with a new generation") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  for (std::uint32_t i = 0; i < 8; ++i) store.Set(ns, Key(i), Quarter(i));
  const auto place = testing::FindSlot(store.view(), ns, Key(0));
  REQUIRE(place);
  const std::uint32_t segment = SlotSegment(place->word);
  const auto word = [&] { return store.view().segment(segment).state_generation.LoadRelaxed(); };
  const std::uint64_t before = word();
  CHECK(SegmentStateOf(before) == SegmentState::kSealed);
  const std::uint64_t free = FreeSegments(store);
  for (std::uint32_t i = 0; i < 4; ++i) {
    CHECK(word() == before);
    REQUIRE(store.writer().Delete(ns, Key(i), {}).ok());
  }
  CHECK(SegmentStateOf(word()) == SegmentState::kFree);
  CHECK(SegmentGenerationOf(word()) == SegmentGenerationOf(before) + 1);
  CHECK(FreeSegments(store) == free + 1);
  CheckSound(store);
}

TEST_CASE("retire: a segment that cannot be walked loses its slots all the same") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n", {.quota_max_bytes = 3 * kSegment});
  for (std::uint32_t i = 0; i < 12; ++i) store.Set(ns, Key(i), Quarter(i));
  const auto place = testing::FindSlot(store.view(), ns, Key(0));
  REQUIRE(place);
  // A key length of zero: no entry begins here.
  auto* const header = reinterpret_cast<EntryHeader*>(
      store.view().segment_data(SlotSegment(place->word)) + SlotOffset(place->word));
  header->key_bits = 0;
  store.Set(ns, Key(12), Quarter(12));  // makes way by retiring that segment
  for (const testing::SlotPlace& slot : testing::AllSlots(store.view())) {
    const std::uint64_t word =
        store.view().segment(SlotSegment(slot.word)).state_generation.LoadRelaxed();
    CHECK(SlotGeneration(slot.word) == (SegmentGenerationOf(word) & kSlotGenerationMask));
  }
  CHECK(Evicted(store) == 4);
  for (std::uint32_t i = 0; i < 13; ++i) CHECK(store.Get(ns, Key(i)).has_value() == (i >= 4));
}

}  // namespace
}  // namespace hearth::cache
