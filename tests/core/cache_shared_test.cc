// Tiny namespaces: segments that many share, and when one gets its own.
#include <malloc.h>

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/cache/writer.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::FindSlot;
using testing::TestStore;

constexpr std::uint64_t kSegment = 64 * kKiB;

void CheckSound(const TestStore& store) {
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
}

std::uint64_t UsedBytes(const TestStore& store, std::uint16_t ns) {
  return store.view().namespace_record(ns).used_bytes.LoadRelaxed();
}

std::string Key(std::uint32_t number) { return fmt::format("key {}", number); }
std::string Value(std::uint32_t ns, std::uint32_t number, std::size_t bytes = 100) {
  std::string value = fmt::format("{} {} ", ns, number);
  value.resize(bytes, 'v');
  return value;
}

bool Has(const StoreReader& reader, std::uint16_t ns, std::uint32_t number,
         std::size_t bytes = 100) {
  std::string value;
  return reader.Get(ns, Key(number), &value).outcome == ReadOutcome::kHit &&
         value == Value(ns, number, bytes);
}

// A store with more namespaces than half its segments.
struct Crowd {
  explicit Crowd(std::uint32_t count = 40, std::uint32_t segments = 32)
      : store({.segments = segments, .namespace_capacity = count + 8}) {
    for (std::uint32_t i = 0; i < count; ++i) ids.push_back(store.Namespace(fmt::format("n{}", i)));
  }
  std::uint32_t OwnerIn(std::uint16_t ns, std::uint32_t number) const {
    const auto slot = FindSlot(store.view(), ns, Key(number));
    REQUIRE(slot);
    return store.view().segment(SlotSegment(slot->word)).namespace_id;
  }
  TestStore store;
  std::vector<std::uint16_t> ids;
};

void TenThousand(std::uint64_t segment_bytes) {
  constexpr std::uint32_t kCount = 10'000;
  TestStore store({.segments = static_cast<std::uint32_t>(64 * kMiB / segment_bytes),
                   .segment_bytes = segment_bytes,
                   .namespace_capacity = kCount + 1});
  for (std::uint32_t i = 1; i <= kCount; ++i) REQUIRE(store.Namespace(fmt::format("n{}", i)) == i);
  const StoreReader reader = store.AttachedReader();
  const auto write = [&](std::uint32_t number) {
    for (std::uint32_t i = 1; i <= kCount; ++i)
      store.Set(static_cast<std::uint16_t>(i), Key(number), Value(i, number));
  };
  const auto count = [&](std::uint32_t number) {
    std::uint32_t there = 0;
    for (std::uint32_t i = 1; i <= kCount; ++i)
      there += Has(reader, static_cast<std::uint16_t>(i), number) ? 1U : 0U;
    return there;
  };
  for (std::uint32_t number = 0; number < 10; ++number) write(number);
  for (std::uint32_t number = 0; number < 10; ++number) CHECK(count(number) == kCount);
  CHECK(store.view().header().evicted_entries.LoadRelaxed() == 0);
  // Far more than fits: what every namespace wrote last is there.
  for (std::uint32_t number = 10; number < 60; ++number) write(number);
  CHECK(store.view().header().evicted_entries.LoadRelaxed() > 10 * kCount);
  CHECK(count(59) == kCount);
  CHECK(count(58) == kCount);
  CheckSound(store);
}

TEST_CASE("shared: ten thousand namespaces in 64 MiB, in segments of 64 KiB") {
  TenThousand(64 * kKiB);
}

TEST_CASE("shared: ten thousand namespaces in 64 MiB, in segments of 2 MiB") {
  TenThousand(2 * kMiB);
}

TEST_CASE("shared: an empty namespace costs a few hundred bytes of private memory") {
  constexpr std::uint32_t kCount = 10'000;
  const std::size_t before = ::mallinfo2().uordblks;
  TestStore store({.segments = 64, .namespace_capacity = kCount + 1});
  for (std::uint32_t i = 0; i < kCount; ++i)
    store.Namespace(fmt::format("a.namespace.of.usual.length.{}", i));
  const std::size_t each = (::mallinfo2().uordblks - before) / kCount;
  MESSAGE(each << " bytes for each namespace");
  CHECK(each < 512);
}

TEST_CASE("shared: nobody shares where there is room for everybody's own segments") {
  Crowd crowd(16, 32);
  for (const std::uint16_t ns : crowd.ids) crowd.store.Set(ns, Key(0), Value(ns, 0));
  for (const std::uint16_t ns : crowd.ids) CHECK(crowd.OwnerIn(ns, 0) == ns);
  const std::uint16_t more = crowd.store.Namespace("more");
  crowd.store.Set(more, Key(0), Value(more, 0));
  CHECK(crowd.OwnerIn(more, 0) == kSharedNamespace);
  crowd.store.Set(crowd.ids[0], Key(1), Value(1, 1));
  CHECK(crowd.OwnerIn(crowd.ids[0], 1) == crowd.ids[0]);
  CheckSound(crowd.store);
}

TEST_CASE("shared: with half a segment that lives a namespace gets its own") {
  Crowd crowd;
  const std::uint16_t ns = crowd.ids[0];
  // As often as you like, as long as little of it lives.
  for (std::uint32_t i = 0; i < 1000; ++i) crowd.store.Set(ns, Key(0), Value(ns, 0, 1000));
  CHECK(UsedBytes(crowd.store, ns) == 0);
  std::uint32_t number = 0;
  while (UsedBytes(crowd.store, ns) == 0) {
    ++number;
    crowd.store.Set(ns, Key(number), Value(ns, number, 1000));
    REQUIRE(number < 40);
  }
  CHECK(number >= 30);
  CHECK(crowd.OwnerIn(ns, number) == ns);
  CHECK(crowd.OwnerIn(ns, 1) == kSharedNamespace);
  const StoreReader reader = crowd.store.AttachedReader();
  for (std::uint32_t i = 1; i <= number; ++i) CHECK(Has(reader, ns, i, 1000));
  CheckSound(crowd.store);
}

TEST_CASE("shared: who does not evict, or is promised a quota, never shares") {
  Crowd crowd;
  const std::uint16_t solid = crowd.store.Namespace("solid", {.evict = false});
  const std::uint16_t promised =
      crowd.store.Namespace("promised", {.quota_min_bytes = 2 * kSegment});
  for (const std::uint16_t ns : {solid, promised}) {
    crowd.store.Set(ns, Key(0), Value(ns, 0));
    CHECK(crowd.OwnerIn(ns, 0) == ns);
  }
  // What is altered into one of them takes its entries along.
  const std::uint16_t altered = crowd.ids[7];
  for (const std::uint16_t ns : crowd.ids)
    for (std::uint32_t i = 0; i < 20; ++i) crowd.store.Set(ns, Key(i), Value(ns, i));
  REQUIRE(crowd.OwnerIn(altered, 0) == kSharedNamespace);
  REQUIRE(crowd.store.writer().AlterNamespace(altered, {.evict = false}).ok());
  for (std::uint32_t i = 0; i < 20; ++i) CHECK(crowd.OwnerIn(altered, i) == altered);
  CheckSound(crowd.store);
  // Others push everything out that may go.
  for (std::uint32_t i = 100; i < 1000; ++i)
    for (const std::uint16_t ns : {crowd.ids[1], crowd.ids[2]})
      crowd.store.Set(ns, Key(i), Value(ns, i, 2000));
  const StoreReader reader = crowd.store.AttachedReader();
  for (std::uint32_t i = 0; i < 20; ++i) CHECK(Has(reader, altered, i));
  CHECK(Has(reader, solid, 0));
  CheckSound(crowd.store);
}

TEST_CASE("shared: a flush or a drop takes one namespace's entries and no other's") {
  Crowd crowd;
  for (const std::uint16_t ns : crowd.ids) crowd.store.Set(ns, Key(0), Value(ns, 0));
  REQUIRE(crowd.store.writer().FlushNamespace(crowd.ids[3]).ok());
  REQUIRE(crowd.store.writer().DropNamespace(crowd.ids[4]).ok());
  const StoreReader reader = crowd.store.AttachedReader();
  for (const std::uint16_t ns : crowd.ids)
    CHECK(Has(reader, ns, 0) == (ns != crowd.ids[3] && ns != crowd.ids[4]));
  crowd.store.Set(crowd.ids[3], Key(0), Value(crowd.ids[3], 0));
  CHECK(Has(reader, crowd.ids[3], 0));
  CheckSound(crowd.store);
}

TEST_CASE("shared: a dropped id comes back only when no shared segment has its entries") {
  Crowd crowd;
  for (const std::uint16_t ns : crowd.ids) crowd.store.Set(ns, Key(0), Value(ns, 0));
  const std::uint16_t dropped = crowd.ids[5];
  REQUIRE(crowd.store.writer().DropNamespace(dropped).ok());
  std::vector<std::uint16_t> made;
  for (std::uint32_t i = 0; i < 7; ++i)
    made.push_back(crowd.store.Namespace(fmt::format("m{}", i)));
  for (const std::uint16_t ns : made) CHECK(ns != dropped);
  // The last record: now the shared segments are rewritten, and nobody else loses anything.
  CHECK(crowd.store.Namespace("last") == dropped);
  CHECK(!FindSlot(crowd.store.view(), dropped, Key(0)));
  const StoreReader reader = crowd.store.AttachedReader();
  for (const std::uint16_t ns : crowd.ids)
    if (ns != dropped) CHECK(Has(reader, ns, 0));
  CheckSound(crowd.store);
}

TEST_CASE("shared: what is read stays, in the log that all share") {
  Crowd crowd(200, 32);
  const std::uint16_t wanted = crowd.ids[9];
  crowd.store.Set(wanted, Key(0), Value(wanted, 0));
  const StoreReader reader = crowd.store.AttachedReader();
  // Never so much of one namespace that it gets its own segments.
  for (std::uint32_t i = 1; i < 200; ++i) {
    crowd.store.writer().NoteRead(testing::KeyHash(crowd.store.view(), wanted, Key(0)));
    for (const std::uint16_t ns : crowd.ids)
      if (ns != wanted) crowd.store.Set(ns, Key(i % 30), Value(ns, i, 500));
  }
  CHECK(Has(reader, wanted, 0));
  for (const std::uint16_t ns : crowd.ids) CHECK(UsedBytes(crowd.store, ns) == 0);
  CHECK(crowd.store.view().header().evicted_entries.LoadRelaxed() > 1000);
  CheckSound(crowd.store);
}

}  // namespace
}  // namespace hearth::cache
