// Frequencies of slots: what a noted read changes, and what it must leave alone.
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/cache/writer.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::AllSlots;
using testing::CollidingKeys;
using testing::FindSlot;
using testing::KeyHash;
using testing::Random;
using testing::RunSeed;
using testing::SlotPlace;
using testing::TestStore;

std::uint32_t Frequency(const TestStore& store, std::uint16_t ns, const std::string& key) {
  const auto place = FindSlot(store.view(), ns, key);
  REQUIRE(place);
  return SlotFrequency(place->word);
}

void NoteRead(TestStore& store, std::uint16_t ns, const std::string& key, int times = 1) {
  for (int i = 0; i < times; ++i) store.writer().NoteRead(KeyHash(store.view(), ns, key));
}

TEST_CASE("touch: the frequency counts noted reads up to 3, and nothing else of the slot changes") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "key", "value");
  const std::uint64_t fresh = FindSlot(store.view(), ns, "key")->word;
  for (const std::uint32_t expected : {0U, 1U, 2U, 3U, 3U, 3U}) {
    const std::uint64_t word = FindSlot(store.view(), ns, "key")->word;
    CHECK(SlotFrequency(word) == expected);
    CHECK((word & ~kSlotFrequencyBits) == fresh);
    std::string value;
    const ReadResult read = store.Reader().Get(ns, "key", &value);
    CHECK(read.outcome == ReadOutcome::kHit);
    CHECK(read.frequency == expected);
    CHECK(read.hash == KeyHash(store.view(), ns, "key"));
    NoteRead(store, ns, "key");
  }
}

TEST_CASE(
    "touch: a new key begins at 0, an overwrite counts as a read, a deleted key is forgotten") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  for (const std::uint32_t expected : {0U, 1U, 2U, 3U, 3U}) {
    store.Set(ns, "key", "value");
    CHECK(Frequency(store, ns, "key") == expected);
  }
  REQUIRE(store.writer().Delete(ns, "key", {}).ok());
  store.Set(ns, "key", "value");
  CHECK(Frequency(store, ns, "key") == 0);
  NoteRead(store, ns, "key");
  REQUIRE(store.writer().Touch(ns, "key", {.hard_ms = 1000}, {}).ok());
  CHECK(Frequency(store, ns, "key") == 2);
}

TEST_CASE("touch: of a chain, only slots with the key's tag, in every bucket") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::uint64_t hash = KeyHash(store.view(), ns, "like me");
  // 24 neighbours fill three buckets; the two keys of the tag stand in the first and the fourth.
  const auto neighbours = CollidingKeys(store.view(), ns, {.like_hash = hash}, 24);
  const auto twin = CollidingKeys(store.view(), ns, {.like_hash = hash, .same_tag = true}, 1)[0];
  store.Set(ns, twin, "v");
  for (const std::string& key : neighbours) store.Set(ns, key, "v");
  store.Set(ns, "like me", "v");
  store.Set(ns, "elsewhere", "v");
  REQUIRE(FindSlot(store.view(), ns, "like me")->bucket >= kFirstOverflowBucket);
  NoteRead(store, ns, "like me", 2);
  CHECK(Frequency(store, ns, "like me") == 2);
  CHECK(Frequency(store, ns, twin) == 2);
  for (const std::string& key : neighbours)
    if (key != twin && SlotTag(KeyHash(store.view(), ns, key)) != SlotTag(hash))
      CHECK(Frequency(store, ns, key) == 0);
  CHECK(Frequency(store, ns, "elsewhere") == 0);
}

TEST_CASE("touch: the frequency moves with its slot when a page is split") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const auto keys =
      CollidingKeys(store.view(), ns, {.like_hash = KeyHash(store.view(), ns, "like me")}, 29);
  for (std::size_t i = 0; i < 28; ++i) {
    store.Set(ns, keys[i], "v");
    NoteRead(store, ns, keys[i], static_cast<int>(i % 4));
  }
  std::vector<std::uint32_t> before;
  for (std::size_t i = 0; i < 28; ++i) before.push_back(Frequency(store, ns, keys[i]));
  store.Set(ns, keys[28], "v");
  REQUIRE(testing::IndexPages(store.view()).size() >= 2);
  for (std::size_t i = 0; i < 28; ++i) CHECK(Frequency(store, ns, keys[i]) == before[i]);
}

TEST_CASE("touch: whatever hash a client makes up, only frequencies change, and by one") {
  HEARTH_SHOW_SEED();
  TestStore store({.segments = 32});
  const std::uint16_t ns = store.Namespace("n");
  for (int i = 0; i < 3000; ++i) store.Set(ns, fmt::format("key {}", i), "v");
  Random random(RunSeed());
  std::vector<SlotPlace> before = AllSlots(store.view());
  std::uint64_t raised = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint64_t> hashes = {0, ~std::uint64_t{0}};
    for (int i = 0; i < 1000; ++i) hashes.push_back(random.Next() << random.Below(64));
    // In the right chain with the right tag, whatever else is wrong.
    hashes.push_back(KeyHash(store.view(), ns, fmt::format("key {}", random.Below(3000))));
    for (const std::uint64_t hash : hashes) store.writer().NoteRead(hash);
    const std::vector<SlotPlace> after = AllSlots(store.view());
    REQUIRE(after.size() == before.size());
    for (std::size_t i = 0; i < after.size(); ++i) {
      REQUIRE((after[i].word & ~kSlotFrequencyBits) == (before[i].word & ~kSlotFrequencyBits));
      REQUIRE(SlotFrequency(after[i].word) >= SlotFrequency(before[i].word));
      raised += SlotFrequency(after[i].word) - SlotFrequency(before[i].word);
    }
    before = after;
  }
  CHECK(raised > 0);
  for (const std::string& problem : testing::FindBrokenInvariants(store.view()))
    FAIL_CHECK(problem);
}

TEST_CASE("touch: an index damaged from outside is not followed out of its page") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "key", "value");
  const SlotPlace place = *FindSlot(store.view(), ns, "key");
  const std::uint64_t hash = KeyHash(store.view(), ns, "key");
  Atomic<std::uint64_t>& directory = store.view().directory(store.view().DirectoryIndex(hash));
  const std::uint64_t word = directory.LoadRelaxed();
  for (const std::uint64_t bad : {std::uint64_t{0}, word & ~kDirectoryValid, word | 0xffffffffU,
                                  MakeDirectoryWord(store.view().page_count(), 0, 1)}) {
    directory.StoreRelaxed(bad);
    NoteRead(store, ns, "key");
    directory.StoreRelaxed(word);
    CHECK(Frequency(store, ns, "key") == 0);
  }
  // Links that lead nowhere.
  for (const std::uint64_t link : {std::uint64_t{0xffff}, std::uint64_t{kBucketsPerPage},
                                   std::uint64_t{1}, ~std::uint64_t{0}}) {
    store.view().page(place.page)[place.bucket].link.StoreRelaxed(link);
    NoteRead(store, ns, "key");
  }
  CHECK(Frequency(store, ns, "key") == 3);
  // A home bucket is no link's target: it belongs to another chain.
  Bucket& home = store.view().page(place.page)[kFirstHomeBucket];
  home.slots[0].StoreRelaxed(place.word);
  store.view().page(place.page)[place.bucket].link.StoreRelaxed(kFirstHomeBucket);
  NoteRead(store, ns, "key");
  CHECK(SlotFrequency(home.slots[0].LoadRelaxed()) == 0);
  Bucket& overflow = store.view().page(place.page)[kFirstOverflowBucket];
  overflow.link.StoreRelaxed(kFirstOverflowBucket);
  store.view().page(place.page)[place.bucket].link.StoreRelaxed(kFirstOverflowBucket);
  overflow.slots[0].StoreRelaxed(place.word);
  NoteRead(store, ns, "key");  // ends
  CHECK(SlotFrequency(overflow.slots[0].LoadRelaxed()) == 3);
  // An empty slot of tag 0 stays empty.
  overflow.slots[1].StoreRelaxed(0);
  store.writer().NoteRead(0);
  CHECK(overflow.slots[1].LoadRelaxed() == 0);
}

}  // namespace
}  // namespace hearth::cache
