// TinyLFU admission: the sketch, and what it lets into the main log.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/cache/sketch.h"
#include "core/cache/writer.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::Random;
using testing::TestStore;

constexpr std::uint64_t kSegment = 64 * kKiB;

TEST_CASE("sketch: counts up to sixteen, the first use at the door") {
  FrequencySketch sketch;
  CHECK(sketch.Estimate(77) == 0);
  for (std::uint32_t uses = 1; uses <= 30; ++uses) {
    sketch.Add(77);
    CHECK(sketch.Estimate(77) == std::min(uses, 16U));
  }
  CHECK(sketch.Estimate(78) == 0);
}

TEST_CASE("sketch: what it knows stays when it grows") {
  FrequencySketch sketch;
  Random random(1);
  std::vector<std::uint64_t> hashes(500);
  for (std::uint64_t& hash : hashes) hash = random.Next();
  for (std::size_t i = 0; i < hashes.size(); ++i)
    for (std::size_t uses = 0; uses < i % 7; ++uses) sketch.Add(hashes[i]);
  std::vector<std::uint32_t> before;
  for (const std::uint64_t hash : hashes) before.push_back(sketch.Estimate(hash));
  const std::size_t small = sketch.memory_bytes();
  sketch.Fit(100'000);
  CHECK(sketch.memory_bytes() > 64 * small);
  CHECK(sketch.memory_bytes() < 4 * 131'072);
  for (std::size_t i = 0; i < hashes.size(); ++i) CHECK(sketch.Estimate(hashes[i]) == before[i]);
}

TEST_CASE("sketch: few of many keys are taken for more used than they are") {
  FrequencySketch sketch;
  constexpr std::uint32_t kKeys = 20'000;
  sketch.Fit(kKeys);
  Random random(2);
  std::vector<std::uint64_t> hashes(kKeys);
  for (std::uint64_t& hash : hashes) hash = random.Next();
  for (int round = 0; round < 3; ++round)
    for (const std::uint64_t hash : hashes) sketch.Add(hash);
  std::uint32_t wrong = 0;
  for (const std::uint64_t hash : hashes) {
    CHECK(sketch.Estimate(hash) >= 2);  // the door may have been open for the first
    wrong += sketch.Estimate(hash) > 4 ? 1U : 0U;
  }
  CHECK(wrong < kKeys / 20);
}

TEST_CASE("sketch: the past fades") {
  FrequencySketch sketch;
  for (int i = 0; i < 12; ++i) sketch.Add(5);
  REQUIRE(sketch.Estimate(5) == 12);
  Random random(3);
  for (int i = 0; i < 10 * 1024; ++i) sketch.Add(random.Next());
  CHECK(sketch.Estimate(5) <= 8);
}

std::string Key(std::uint32_t number) { return fmt::format("k{:07}", number); }

// Reads of a loop over twice as many keys as fit, each set again when it is missed.
std::uint32_t HitsOfALoop(bool tiny_lfu) {
  TestStore store({.segments = 64});
  const std::uint16_t ns =
      store.Namespace("ns", {.quota_max_bytes = 40 * kSegment, .tiny_lfu = tiny_lfu});
  const std::string value(1000, 'v');
  constexpr std::uint32_t kKeys = 5000;
  std::uint32_t hits = 0;
  for (std::uint32_t i = 0; i < 20 * kKeys; ++i) {
    const std::string key = Key(i % kKeys);
    if (store.Get(ns, key)) {
      ++hits;
      store.writer().NoteRead(testing::KeyHash(store.view(), ns, key));
    } else {
      store.Set(ns, key, value);
    }
  }
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
  return hits;
}

TEST_CASE("admission: of a loop that does not fit, a part stays") {
  const std::uint32_t with = HitsOfALoop(true);
  const std::uint32_t without = HitsOfALoop(false);
  MESSAGE(with << " hits of 100000 with TinyLFU, " << without << " without");
  CHECK(with > 20'000);
  CHECK(with > 2 * without);
}

TEST_CASE("admission: is for namespaces that evict, and may come and go") {
  TestStore store({.segments = 64});
  CHECK(store.writer().CreateNamespace("x", {.evict = false, .tiny_lfu = true}).status().code() ==
        Code::kInvalidArgument);
  const std::uint16_t ns = store.Namespace("ns", {.tiny_lfu = true});
  CHECK(store.writer().OptionsOf(ns).tiny_lfu);
  for (std::uint32_t i = 0; i < 6000; ++i) {
    if (i % 1000 == 999)
      REQUIRE(store.writer().AlterNamespace(ns, {.tiny_lfu = i % 2000 == 999}).ok());
    store.Set(ns, Key(i), std::string(1000, 'v'));
    CHECK(store.Get(ns, Key(i)).has_value());
  }
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
}

}  // namespace
}  // namespace hearth::cache
