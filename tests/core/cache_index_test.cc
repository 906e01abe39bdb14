// The index under pressure: chains, overflow buckets, splits, keys made to collide.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "core/cache/writer.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::CollidingKeys;
using testing::FindBrokenInvariants;
using testing::FindSlot;
using testing::KeyHash;
using testing::TestStore;

void CheckSound(const TestStore& store) {
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
}

// Buckets of the chain that begins at the home bucket of a hash.
std::vector<std::uint32_t> Chain(const StoreView& view, std::uint64_t hash) {
  const std::uint32_t page = DirectoryPage(view.directory(view.DirectoryIndex(hash)).LoadRelaxed());
  std::vector<std::uint32_t> chain;
  for (std::uint64_t bucket = HomeBucket(hash); bucket != 0;
       bucket = view.page(page)[bucket].link.LoadRelaxed())
    chain.push_back(static_cast<std::uint32_t>(bucket));
  return chain;
}

TEST_CASE("chain: grows by overflow buckets, all keys stay readable, the page does not split") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::uint64_t hash = KeyHash(store.view(), ns, "like me");
  const auto keys = CollidingKeys(store.view(), ns, {.like_hash = hash}, 28);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    store.Set(ns, keys[i], keys[i]);
    CHECK(Chain(store.view(), hash).size() == i / 7 + 1);
    for (std::size_t k = 0; k <= i; ++k) REQUIRE(store.Get(ns, keys[k]) == keys[k]);
  }
  CHECK(testing::IndexPages(store.view()).size() == 1);
  CheckSound(store);
}

TEST_CASE("chain: one key more than it can hold splits the page") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::uint64_t hash = KeyHash(store.view(), ns, "like me");
  const auto keys = CollidingKeys(store.view(), ns, {.like_hash = hash}, 29);
  for (const std::string& key : keys) store.Set(ns, key, key);
  CHECK(testing::IndexPages(store.view()).size() >= 2);
  for (const std::string& key : keys) REQUIRE(store.Get(ns, key) == key);
  CheckSound(store);
}

TEST_CASE("chain: emptied buckets at its end go back to the pool, those in the middle stay") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::uint64_t hash = KeyHash(store.view(), ns, "like me");
  const auto keys = CollidingKeys(store.view(), ns, {.like_hash = hash}, 28);
  for (const std::string& key : keys) store.Set(ns, key, key);
  const auto drop = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) REQUIRE(store.writer().Delete(ns, keys[i], {}).ok());
    CheckSound(store);
    for (const std::string& key : keys)
      REQUIRE(store.Get(ns, key).has_value() == FindSlot(store.view(), ns, key).has_value());
  };
  drop(7, 14);  // the second of four buckets
  CHECK(Chain(store.view(), hash).size() == 4);
  drop(21, 27);  // all but one of the last
  CHECK(Chain(store.view(), hash).size() == 4);
  drop(27, 28);
  CHECK(Chain(store.view(), hash).size() == 3);
  drop(14, 21);  // the third, and with it the second, which has long been empty
  CHECK(Chain(store.view(), hash).size() == 1);
  drop(0, 7);
  CHECK(store.view().header().entry_count.LoadRelaxed() == 0);

  // The pool is complete again: another chain gets the same first overflow bucket.
  const auto others = CollidingKeys(store.view(), ns, {.like_hash = ~hash}, 8);
  for (const std::string& key : others) store.Set(ns, key, key);
  CHECK(Chain(store.view(), ~hash)[1] == kFirstOverflowBucket);
}

TEST_CASE("chain: keys with the same tag in one bucket are told apart by their bytes") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::uint64_t hash = KeyHash(store.view(), ns, "like me");
  // Same tag implies the same low 16 bits; the bucket is checked by the bits above them.
  const auto keys = CollidingKeys(store.view(), ns,
                                  {.like_hash = hash, .same_bucket = false, .same_tag = true}, 12);
  for (const std::string& key : keys) store.Set(ns, key, "value of " + key);
  for (const std::string& key : keys) CHECK(store.Get(ns, key) == "value of " + key);
  CHECK(store.Get(ns, "like me") == std::nullopt);
  CheckSound(store);
}

TEST_CASE("collision: when neither chain nor split helps, the chain's oldest entry makes way") {
  TestStore store({.segments = 16});
  REQUIRE(store.view().directory_bits() == 4);
  const std::uint16_t ns = store.Namespace("n");
  const std::uint64_t hash = KeyHash(store.view(), ns, "like me");
  const auto keys = CollidingKeys(store.view(), ns, {.like_hash = hash, .directory_bits = 4}, 60);
  const std::string bystander = CollidingKeys(store.view(), ns, {.like_hash = ~hash}, 1)[0];
  store.Set(ns, bystander, "stays");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    // Large enough that the keys lie in several segments, so that they differ in age.
    store.Set(ns, keys[i], keys[i] + std::string(6000, 'v'));
    CHECK(store.Get(ns, keys[i]) == keys[i] + std::string(6000, 'v'));
    for (std::size_t k = 0; k < i; ++k) {
      const auto value = store.Get(ns, keys[k]);
      if (value) REQUIRE(*value == keys[k] + std::string(6000, 'v'));
    }
  }
  std::vector<bool> present;
  for (const std::string& key : keys) present.push_back(store.Get(ns, key).has_value());
  CHECK(std::count(present.begin(), present.end(), true) == 28);
  // Those of the older half are gone first (within one segment all are of the same age).
  CHECK(std::count(present.begin(), present.begin() + 20, true) == 0);
  CHECK(store.view().header().evicted_entries.LoadRelaxed() == 32);
  CHECK(store.Get(ns, bystander) == "stays");
  CheckSound(store);
}

TEST_CASE("collision: entries of a namespace that does not evict never make way") {
  TestStore store({.segments = 16});
  const std::uint16_t ns = store.Namespace("kept", {.evict = false});
  const std::uint64_t hash = KeyHash(store.view(), ns, "like me");
  const auto keys = CollidingKeys(store.view(), ns, {.like_hash = hash, .directory_bits = 4}, 32);
  std::size_t stored = 0;
  for (const std::string& key : keys) {
    const auto version = store.writer().Set(ns, key, key, {}, {});
    if (version.ok()) {
      ++stored;
      continue;
    }
    CHECK(version.status().code() == Code::kResourceExhausted);
  }
  CHECK(stored == 28);
  for (std::size_t i = 0; i < stored; ++i) REQUIRE(store.Get(ns, keys[i]) == keys[i]);
  // An overwrite needs no slot.
  CHECK(store.writer().Set(ns, keys[0], "new", {}, {}).ok());
  CHECK(store.Get(ns, keys[0]) == "new");
  CheckSound(store);
}

TEST_CASE("split: many small keys, none is lost, and the directory follows the pages") {
  TestStore store({.segments = 256});
  const std::uint16_t ns = store.Namespace("n");
  constexpr std::uint32_t kKeys = 60'000;
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    store.Set(ns, fmt::format("key{}", i), fmt::format("{}", i));
    if (i % 10'000 == 0) CheckSound(store);
  }
  CheckSound(store);
  for (std::uint32_t i = 0; i < kKeys; ++i)
    REQUIRE(store.Get(ns, fmt::format("key{}", i)) == fmt::format("{}", i));
  CHECK(store.view().header().evicted_entries.LoadRelaxed() == 0);
  const std::size_t pages = testing::IndexPages(store.view()).size();
  // A directory word changes whenever its page is split, and counts that.
  for (std::uint64_t i = 0; i < std::uint64_t{1} << store.view().directory_bits(); ++i) {
    const std::uint64_t word = store.view().directory(i).LoadRelaxed();
    REQUIRE(DirectorySequence(word) == 1 + DirectoryDepth(word));
  }
  CHECK(pages >= 9);
  CHECK(pages <= 32);
}

TEST_CASE("split: pages that were split are used again") {
  TestStore store({.segments = 64});
  const std::uint16_t ns = store.Namespace("n");
  for (std::uint32_t i = 0; i < 20'000; ++i) store.Set(ns, fmt::format("{}", i), "");
  // With one page to a segment: the live pages, and at most the one last split.
  const std::uint64_t index = store.view().header().index_pages.LoadRelaxed();
  CHECK(index <= testing::IndexPages(store.view()).size() + 1);
  CheckSound(store);
}

TEST_CASE("split: a full store gives up entries for index pages, and never the wrong value") {
  TestStore store({.segments = 16});
  const std::uint16_t ns = store.Namespace("n");
  constexpr std::uint32_t kKeys = 60'000;
  for (std::uint32_t i = 0; i < kKeys; ++i)
    store.Set(ns, fmt::format("{}", i), fmt::format("{}", i));
  CheckSound(store);
  std::uint32_t present = 0;
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    const auto value = store.Get(ns, fmt::format("{}", i));
    if (!value) continue;
    REQUIRE(*value == fmt::format("{}", i));
    ++present;
  }
  CHECK(present == store.view().header().entry_count.LoadRelaxed());
  CHECK(present + store.view().header().evicted_entries.LoadRelaxed() == kKeys);
  CHECK(present > 5000);
}

TEST_CASE("split: old and new words of the directory lead to every key while it is under way") {
  TestStore store({.segments = 64});
  const std::uint16_t ns = store.Namespace("n");
  std::vector<std::string> keys;
  std::uint64_t looks = 0;
  SetFailpoint("index.mid_directory", [&] {
    ++looks;
    for (const std::string& key : keys) REQUIRE(store.Get(ns, key) == key);
  });
  for (std::uint32_t i = 0; i < 12'000; ++i) {
    const std::string key = fmt::format("{}", i);
    store.Set(ns, key, key);
    keys.push_back(key);
  }
  ClearFailpoint("index.mid_directory");
  // The first split alone changes every word of the directory, one after the other.
  CHECK(looks >= std::uint64_t{1} << store.view().directory_bits());
  CheckSound(store);
}

}  // namespace
}  // namespace hearth::cache
