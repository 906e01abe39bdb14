// Large values: runs of segments, how room is made for them, and what becomes of it.
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "core/cache/writer.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::FindSlot;
using testing::Random;
using testing::RunSeed;
using testing::TestStore;

constexpr std::uint64_t kSegment = 64 * kKiB;

void CheckSound(const TestStore& store) {
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
}

std::string Value(std::uint64_t bytes, char seed) {
  std::string value(bytes, seed);
  for (std::uint64_t i = 0; i < bytes; i += 997) value[i] = static_cast<char>(i / 997);
  return value;
}

std::optional<std::string> Read(const TestStore& store, std::uint16_t ns, std::string_view key) {
  std::string value;
  if (store.AttachedReader().Get(ns, key, &value).outcome != ReadOutcome::kHit) return std::nullopt;
  return value;
}

std::uint64_t FreeSegments(const TestStore& store) {
  return store.view().header().free_segments.LoadRelaxed();
}
std::uint64_t UsedBytes(const TestStore& store, std::uint16_t ns) {
  return store.view().namespace_record(ns).used_bytes.LoadRelaxed();
}
std::uint64_t Evicted(const TestStore& store) {
  return store.view().header().evicted_entries.LoadRelaxed();
}

TEST_CASE("runs: values of every size around the borders come back as they were") {
  TestStore store({.segments = 64, .max_value_bytes = 16 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  // With the key "k" and no expiries an entry has 25 bytes besides the value.
  constexpr std::uint64_t kBesides = sizeof(EntryHeader) + 1;
  std::vector<std::uint64_t> sizes = {0, 1, kSegment / 4 - 1, kSegment / 4, kSegment / 4 + 1};
  for (const std::uint64_t segments : {1U, 2U, 3U, 15U})
    for (std::uint64_t near = 0; near < 4; ++near)
      sizes.push_back(segments * kSegment - kBesides - 1 + near);
  sizes.push_back(16 * kSegment - 1);
  sizes.push_back(16 * kSegment);
  for (const std::uint64_t size : sizes) {
    CAPTURE(size);
    const std::string value = Value(size, 'a');
    store.Set(ns, "k", value);
    CHECK(Read(store, ns, "k") == value);
    const std::uint64_t segments =
        size <= kSegment / 4 ? 1 : (size + kBesides + kSegment - 1) / kSegment;
    CHECK(UsedBytes(store, ns) <= (segments + 1) * kSegment);
    CHECK(UsedBytes(store, ns) >= segments * kSegment);
    CheckSound(store);
  }
  const auto over = store.writer().Set(ns, "k", Value(16 * kSegment + 1, 'a'), {}, {});
  CHECK(over.status().code() == Code::kInvalidArgument);
  CHECK(Read(store, ns, "k") == Value(16 * kSegment, 'a'));
}

TEST_CASE("runs: with expiries and the longest key") {
  TestStore store({.segments = 64, .max_value_bytes = 8 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  const std::string key(kMaxKeyBytes, 'k');
  store.Set(ns, key, Value(3 * kSegment, 'x'), {.hard_ms = 1000, .soft_ms = 500});
  CHECK(Read(store, ns, key) == Value(3 * kSegment, 'x'));
  REQUIRE(store.writer().Touch(ns, key, {.hard_ms = 3000}, {}).ok());
  store.clock().AdvanceMs(2000);
  CHECK(Read(store, ns, key) == Value(3 * kSegment, 'x'));
  CheckSound(store);
  store.clock().AdvanceMs(1000);
  CHECK(!Read(store, ns, key));
}

TEST_CASE("runs: an overwrite or a delete frees all segments at once") {
  TestStore store({.segments = 64, .max_value_bytes = 16 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  const std::uint64_t free = FreeSegments(store);
  for (int i = 0; i < 200; ++i) {
    store.Set(ns, "k", Value(9 * kSegment + static_cast<std::uint64_t>(i), 'v'));
    CHECK(UsedBytes(store, ns) == 10 * kSegment);
  }
  store.Set(ns, "k", "small");
  CHECK(UsedBytes(store, ns) == kSegment);
  store.Set(ns, "k", Value(9 * kSegment, 'v'));
  REQUIRE(store.writer().Delete(ns, "k", {}).ok());
  CHECK(UsedBytes(store, ns) <= kSegment);
  CHECK(FreeSegments(store) >= free - 1);
  CHECK(Evicted(store) == 0);
  CheckSound(store);
}

TEST_CASE("runs: a counter of bytes grows from small to large by appends") {
  TestStore store({.segments = 64, .max_value_bytes = 8 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  std::string expected = "begin";
  store.Set(ns, "k", expected);
  while (expected.size() + 10'000 <= 8 * kSegment) {
    const std::string more = Value(10'000, 'm');
    REQUIRE(store.writer().AppendValue(ns, "k", more, {}).ok());
    expected += more;
    REQUIRE(Read(store, ns, "k") == expected);
  }
  CHECK(store.writer().AppendValue(ns, "k", Value(10'000, 'm'), {}).status.code() ==
        Code::kInvalidArgument);
  CHECK(Read(store, ns, "k") == expected);
  CheckSound(store);
}

// The generation of every segment of a run moves, and the first one's first.
TEST_CASE("runs: freeing moves all generations, the body's after the first one's") {
  TestStore store({.segments = 64, .max_value_bytes = 8 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  store.Set(ns, "k", Value(4 * kSegment, 'v'));
  const std::uint32_t first = SlotSegment(FindSlot(store.view(), ns, "k")->word);
  const auto state = [&](std::uint32_t i) {
    return SegmentStateOf(store.view().segment(first + i).state_generation.LoadRelaxed());
  };
  REQUIRE(state(0) == SegmentState::kSealed);
  REQUIRE(state(4) == SegmentState::kRunBody);
  std::uint32_t freed = 0;
  SetFailpoint("run.mid_free", [&] {
    CHECK(state(0) == SegmentState::kFree);
    CHECK(state(++freed) == SegmentState::kFree);
    for (std::uint32_t i = freed + 1; i < 5; ++i) CHECK(state(i) == SegmentState::kRunBody);
  });
  REQUIRE(store.writer().Delete(ns, "k", {}).ok());
  ClearFailpoint("run.mid_free");
  CHECK(freed == 4);
  for (std::uint32_t i = 0; i < 5; ++i)
    CHECK(SegmentGenerationOf(store.view().segment(first + i).state_generation.LoadRelaxed()) == 1);
}

TEST_CASE("runs: the body is marked before the first segment says that it is there") {
  TestStore store({.segments = 64, .max_value_bytes = 8 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  std::uint32_t taken = 0;
  SetFailpoint("run.mid_take", [&] { ++taken; });
  bool complete = false;
  SetFailpoint("run.after_first", [&] { complete = taken == 4; });
  bool published_open = false;
  SetFailpoint("writer.after_slot", [&] {
    const std::uint32_t first = SlotSegment(FindSlot(store.view(), ns, "k")->word);
    const SegmentHeader& header = store.view().segment(first);
    published_open = SegmentStateOf(header.state_generation.LoadRelaxed()) == SegmentState::kOpen &&
                     header.run_length == 5 && header.write_watermark.LoadRelaxed() > 4 * kSegment;
  });
  store.Set(ns, "k", Value(4 * kSegment, 'v'));
  for (const char* name : {"run.mid_take", "run.after_first", "writer.after_slot"})
    ClearFailpoint(name);
  CHECK(complete);
  CHECK(published_open);
}

TEST_CASE("runs: a store of large values evicts the oldest, and keeps what is read") {
  TestStore store({.segments = 64, .max_value_bytes = 8 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  const auto key = [](std::uint32_t i) { return fmt::format("k{}", i); };
  store.Set(ns, "wanted", Value(5 * kSegment, 'w'));
  const std::uint64_t hash = testing::KeyHash(store.view(), ns, "wanted");
  for (std::uint32_t i = 0; i < 100; ++i) {
    store.writer().NoteRead(hash);
    store.Set(ns, key(i), Value(3 * kSegment, static_cast<char>('a' + i % 26)));
    REQUIRE(Read(store, ns, "wanted") == Value(5 * kSegment, 'w'));
    CHECK(Read(store, ns, key(i)).has_value());
    CheckSound(store);
  }
  CHECK(!Read(store, ns, key(0)));
  CHECK(Evicted(store) > 70);
}

TEST_CASE("runs: kept without a copy, by another log and a younger sequence") {
  TestStore store({.segments = 64, .max_value_bytes = 8 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  // So that there is a small log.
  for (std::uint32_t i = 0; i < 20; ++i)
    store.Set(ns, fmt::format("s{}", i), Value(kSegment / 4 - 100, 's'));
  store.Set(ns, "wanted", Value(5 * kSegment, 'w'));
  const std::uint32_t first = SlotSegment(FindSlot(store.view(), ns, "wanted")->word);
  REQUIRE(store.view().segment(first).log == static_cast<std::uint8_t>(LogKind::kSmall));
  store.writer().NoteRead(testing::KeyHash(store.view(), ns, "wanted"));
  for (std::uint32_t i = 0; i < 18; ++i)
    store.Set(ns, fmt::format("k{}", i), Value(3 * kSegment, 'x'));
  const auto slot = FindSlot(store.view(), ns, "wanted");
  REQUIRE(slot);
  CHECK(SlotSegment(slot->word) == first);
  CHECK(store.view().segment(first).log == static_cast<std::uint8_t>(LogKind::kMain));
  CheckSound(store);
}

// Every other pair of segments is free, and none three together.
TEST_CASE("runs: room between entries is made by moving them, and nothing is lost") {
  TestStore store({.segments = 64, .max_value_bytes = 8 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  const std::uint16_t other = store.Namespace("other");
  std::uint32_t count = 0;
  // One entry that lives in every segment, and three that die.
  for (; FreeSegments(store) > 4; ++count)
    store.Set(ns, fmt::format("k{}", count), Value(kSegment / 4 - 100, 'x'));
  for (std::uint32_t i = 0; i < count; ++i)
    if (i % 8 != 0) REQUIRE(store.writer().Delete(ns, fmt::format("k{}", i), {}).ok());
  const std::uint64_t evicted = Evicted(store);
  store.Set(other, "large", Value(7 * kSegment, 'L'));
  CHECK(Read(store, other, "large") == Value(7 * kSegment, 'L'));
  CHECK(Evicted(store) == evicted);
  for (std::uint32_t i = 0; i < count; i += 8)
    CHECK(Read(store, ns, fmt::format("k{}", i)) == Value(kSegment / 4 - 100, 'x'));
  CheckSound(store);
}

TEST_CASE("runs: what does not fit is refused, and nothing changes") {
  TestStore store({.segments = 32, .max_value_bytes = 8 * kSegment});
  const std::uint16_t bounded = store.Namespace("bounded", {.quota_max_bytes = 4 * kSegment});
  const auto over = store.writer().Set(bounded, "k", Value(4 * kSegment, 'v'), {}, {});
  CHECK(over.status().code() == Code::kResourceExhausted);
  CHECK(over.status().message().find("quota of namespace 'bounded'") != std::string::npos);
  store.Set(bounded, "k", Value(4 * kSegment - 100, 'v'));
  store.Set(bounded, "l", Value(4 * kSegment - 100, 'l'));
  CHECK(UsedBytes(store, bounded) == 4 * kSegment);
  CHECK(!Read(store, bounded, "k"));
  // A namespace that does not evict, in every second segment.
  const std::uint16_t solid = store.Namespace("solid", {.evict = false});
  std::uint32_t count = 0;
  while (store.writer()
             .Set(solid, fmt::format("k{}", count), Value(kSegment / 4 - 100, 'x'), {}, {})
             .ok())
    ++count;
  const auto none = store.writer().Set(bounded, "m", Value(4 * kSegment - 100, 'm'), {}, {});
  CHECK(none.status().code() == Code::kResourceExhausted);
  for (std::uint32_t i = 0; i < count; ++i) CHECK(Read(store, solid, fmt::format("k{}", i)));
  CheckSound(store);
}

TEST_CASE("runs: expired and flushed ones are free for others") {
  TestStore store({.segments = 32, .max_value_bytes = 8 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  store.Set(ns, "brief", Value(7 * kSegment, 'b'), {.hard_ms = 10});
  store.Set(ns, "lasts", Value(7 * kSegment, 'l'));
  store.clock().AdvanceMs(10);
  store.Set(ns, "a", Value(7 * kSegment, 'a'));
  store.Set(ns, "b", Value(7 * kSegment, 'b'));
  CHECK(Read(store, ns, "lasts").has_value());
  CHECK(Evicted(store) == 0);
  REQUIRE(store.writer().FlushNamespace(ns).ok());
  while (store.writer().Reclaim(kSegment)) continue;
  CHECK(UsedBytes(store, ns) == 0);
  CheckSound(store);
}

TEST_CASE("runs: any mixture of sizes leaves a sound store with the latest values") {
  HEARTH_SHOW_SEED();
  TestStore store({.segments = 64, .max_value_bytes = 12 * kSegment});
  const std::uint16_t ns = store.Namespace("ns");
  const std::uint16_t other = store.Namespace("other", {.quota_max_bytes = 16 * kSegment});
  Random random(RunSeed());
  std::map<std::pair<std::uint16_t, std::string>, std::string> latest;
  for (int i = 0; i < 3000; ++i) {
    const std::uint16_t where = random.OneIn(2) ? ns : other;
    const std::string key = fmt::format("key {}", random.Below(random.OneIn(3) ? 12 : 300));
    const std::uint64_t size = random.OneIn(4) ? random.Below(12 * kSegment) : random.Below(9000);
    if (random.OneIn(10)) {
      static_cast<void>(store.writer().Delete(where, key, {}));
      latest.erase({where, key});
    } else {
      const std::string value = Value(size, static_cast<char>('a' + i % 26));
      store.Set(where, key, value);
      latest[{where, key}] = value;
    }
    if (random.OneIn(3)) store.writer().NoteRead(testing::KeyHash(store.view(), where, key));
    const std::string probe = fmt::format("key {}", random.Below(300));
    if (const auto read = Read(store, where, probe)) {
      const auto it = latest.find({where, probe});
      REQUIRE(it != latest.end());
      CHECK(*read == it->second);
    }
    if (i % 50 == 0) CheckSound(store);
  }
  CheckSound(store);
}

TEST_CASE("runs: the limit is the store's, and impossible ones are refused") {
  const auto create = [](std::uint64_t bytes, std::uint64_t limit) {
    return Store::Create(
        {.name = "t", .bytes = bytes, .segment_bytes = kSegment, .max_value_bytes = limit});
  };
  CHECK(create(8 * kMiB, 0)->view().max_value_bytes() == 2 * kMiB);
  CHECK(create(128 * kMiB, 0)->view().max_value_bytes() == 16 * kMiB);
  CHECK(create(8 * kMiB, 100)->view().max_value_bytes() == 100);
  CHECK(create(8 * kMiB, 2 * kMiB + 1).status().code() == Code::kInvalidArgument);
  CHECK(create(512 * kMiB, 64 * kMiB + 1).status().code() == Code::kInvalidArgument);
}

TEST_CASE("runs: 64 MiB, and one byte less and more") {
  TestStore store({.segments = 160, .segment_bytes = 2 * kMiB, .max_value_bytes = 64 * kMiB});
  const std::uint16_t ns = store.Namespace("ns");
  for (const std::uint64_t size : {64 * kMiB - 1, 64 * kMiB, kMiB, 64 * kMiB - 100 * kKiB}) {
    const std::string value = Value(size, 'v');
    store.Set(ns, "k", value);
    CHECK(Read(store, ns, "k") == value);
  }
  CHECK(store.writer().Set(ns, "k", Value(64 * kMiB + 1, 'v'), {}, {}).status().code() ==
        Code::kInvalidArgument);
}

}  // namespace
}  // namespace hearth::cache
