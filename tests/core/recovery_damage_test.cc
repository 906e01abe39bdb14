// Taking over a store whose memory was damaged: it ends, names what it found, drops that and serves
// the rest. After the scrub every invariant holds again, and no value was ever wrong that the CRC
// could tell.
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/units.h"
#include "core/cache/verify.h"
#include "core/cache/writer.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::FullRun;
using testing::Random;
using testing::RunSeed;
using testing::TestStore;
using testing::TestStoreOptions;

// A store with two namespaces, a split index, overwritten and deleted entries.
class Damaged {
 public:
  explicit Damaged(std::uint32_t keys = 9000) : store_({.segments = 40}) {
    for (const char* name : {"a", "b"}) store_.Namespace(name, {.evict = false});
    for (std::uint32_t i = 0; i < keys; ++i) Set(i, "first");
    for (std::uint32_t i = 0; i < keys; i += 5) Set(i, "second");
    for (std::uint32_t i = 0; i < keys; i += 7) {
      REQUIRE(store_.writer().Delete(Ns(i), Key(i), {}).ok());
      values_.erase(i);
    }
    keys_ = keys;
  }

  TestStore& store() { return store_; }
  std::byte* bytes() { return reinterpret_cast<std::byte*>(&store_.view().prefix()); }

  // A pass of the scrub over everything.
  void Scrub() {
    while (!store_.writer().Scrub(1000)) continue;
  }
  // How many of the values that should be there are. Others must not be: neither wrong nor back.
  std::uint64_t CountRight() const {
    std::uint64_t right = 0;
    for (std::uint32_t i = 0; i < keys_; ++i) {
      const auto value = store_.Get(Ns(i), Key(i));
      if (!value) continue;
      const auto known = values_.find(i);
      REQUIRE(known != values_.end());
      REQUIRE(*value == known->second);
      ++right;
    }
    return right;
  }
  std::uint64_t expected() const { return values_.size(); }

  // Everything can be written and read again.
  void Use() {
    for (std::uint32_t i = 0; i < 500; ++i) Set(i, "after");
    for (std::uint32_t i = 0; i < 500; ++i) REQUIRE(store_.Get(Ns(i), Key(i)) == values_[i]);
  }

 private:
  static std::uint16_t Ns(std::uint32_t i) { return static_cast<std::uint16_t>(1 + i % 2); }
  static std::string Key(std::uint32_t i) { return fmt::format("key {}", i); }
  void Set(std::uint32_t i, const char* what) {
    values_[i] = fmt::format("{} value of {}", what, i);
    store_.Set(Ns(i), Key(i), values_[i]);
  }

  TestStore store_;
  std::map<std::uint32_t, std::string> values_;
  std::uint32_t keys_ = 0;
};

// Takes over, scrubs, and requires a sound store.
RecoveryReport Mend(Damaged& damaged) {
  RecoveryReport report = damaged.store().TakeOver();
  damaged.CountRight();
  damaged.Scrub();
  for (const std::string& problem : FindBrokenInvariants(damaged.store().view())) FAIL(problem);
  CHECK(damaged.store().view().header().entry_count.LoadRelaxed() == damaged.CountRight());
  return report;
}

SegmentHeader& SegmentOf(Damaged& damaged, SegmentState state) {
  const StoreView& view = damaged.store().view();
  for (std::uint32_t i = 0; i < view.segment_count(); ++i)
    if (SegmentStateOf(view.segment(i).state_generation.LoadRelaxed()) == state)
      return view.segment(i);
  FAIL("no such segment");
  return view.segment(0);
}

TEST_CASE("damage: a sound store is taken over without a word") {
  Damaged damaged;
  const RecoveryReport report = Mend(damaged);
  CHECK(report.damage_count == 0);
  CHECK(report.epoch == 2);
  CHECK(report.entries == damaged.expected());
  CHECK(damaged.CountRight() == damaged.expected());
  const ScrubCounters& scrubbed = damaged.store().writer().scrubbed();
  CHECK(scrubbed.passes == 1);
  CHECK(scrubbed.slots == damaged.expected());
  CHECK(scrubbed.dropped_entries + scrubbed.stale_slots + scrubbed.miscounted_segments == 0);
  damaged.Use();
}

TEST_CASE("damage: a segment header is lost with its segment, and nothing else") {
  struct Case {
    const char* what;
    std::function<void(SegmentHeader&)> damage;
  };
  const Case cases[] = {
      {"zeroed", [](SegmentHeader& h) { std::memset(static_cast<void*>(&h), 0, sizeof(h)); }},
      {"no mark", [](SegmentHeader& h) { h.mark = 0; }},
      {"unknown state",
       [](SegmentHeader& h) { h.state_generation.StoreRelaxed(std::uint64_t{77} << 56U); }},
      {"freed by a flipped bit",
       [](SegmentHeader& h) {
         h.state_generation.StoreRelaxed(h.state_generation.LoadRelaxed() & kSegmentGenerationMask);
       }},
      {"watermark", [](SegmentHeader& h) { h.write_watermark.StoreRelaxed(1U << 30U); }},
      {"odd watermark", [](SegmentHeader& h) { h.write_watermark.StoreRelaxed(1001); }},
      {"owner", [](SegmentHeader& h) { h.namespace_id = 7; }},
      {"owner beyond", [](SegmentHeader& h) { h.namespace_id = 70000; }},
      {"log", [](SegmentHeader& h) { h.log = 9; }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    Damaged damaged;
    SegmentHeader& header = SegmentOf(damaged, SegmentState::kSealed);
    const std::uint64_t lost = header.entry_count.LoadRelaxed() - header.dead_entries.LoadRelaxed();
    c.damage(header);
    const RecoveryReport report = damaged.store().TakeOver();
    CHECK(damaged.CountRight() == damaged.expected() - lost);
    // Whatever is written now does not go where slots still point to.
    damaged.Use();
    damaged.Scrub();
    for (const std::string& problem : FindBrokenInvariants(damaged.store().view())) FAIL(problem);
    CHECK(damaged.store().writer().scrubbed().stale_slots > 0);
    CHECK(Verify(damaged.store().view(), VerifyMode::kStill).held_segments == 0);
    if (std::string(c.what) != "freed by a flipped bit") {
      CHECK(report.dropped_segments == 1);
      REQUIRE(report.damage.size() == 1);
      CHECK(report.damage[0].find("the header of segment ") == 0);
    }
  }
}

TEST_CASE("damage: a held segment stays held when the successor dies before its scrub") {
  Damaged damaged;
  SegmentOf(damaged, SegmentState::kSealed).mark = 0;
  damaged.store().TakeOver();
  const RecoveryReport second = damaged.store().TakeOver();
  CHECK(second.damage_count == 0);
  CHECK(Verify(damaged.store().view(), VerifyMode::kLive).held_segments == 1);
  damaged.Scrub();
  CHECK(Verify(damaged.store().view(), VerifyMode::kStill).held_segments == 0);
  CHECK(FindBrokenInvariants(damaged.store().view()).empty());
}

TEST_CASE("damage: directory words come back from their pages") {
  for (const std::uint64_t word : {std::uint64_t{0}, ~std::uint64_t{0}, kDirectoryValid | 3}) {
    CAPTURE(word);
    Damaged damaged;
    const StoreView& view = damaged.store().view();
    const std::uint64_t words = std::uint64_t{1} << view.directory_bits();
    for (std::uint64_t i = 1; i < words; i += 3) view.directory(i).StoreRelaxed(word);
    const RecoveryReport report = Mend(damaged);
    CHECK(report.index.repaired_words > 0);
    CHECK(report.index.lost_pages == 0);
    CHECK(damaged.CountRight() == damaged.expected());
  }
  Damaged damaged;
  const StoreView& view = damaged.store().view();
  for (std::uint64_t i = 0; i < std::uint64_t{1} << view.directory_bits(); ++i)
    view.directory(i).StoreRelaxed(0);
  CHECK(Mend(damaged).index.lost_pages == 0);
  CHECK(damaged.CountRight() == damaged.expected());
}

TEST_CASE("damage: a page header comes back from the directory, a lost page is replaced") {
  Damaged damaged;
  const StoreView& view = damaged.store().view();
  const std::vector<std::uint32_t> pages = testing::IndexPages(view);
  REQUIRE(pages.size() >= 2);
  std::memset(static_cast<void*>(view.page(pages[0])), 0, sizeof(PageHeader));
  CHECK(Mend(damaged).index.repaired_pages == 1);
  CHECK(damaged.CountRight() == damaged.expected());

  // Nothing vouches for a page that neither has a name nor is named.
  std::memset(static_cast<void*>(view.page(pages[1])), 0, sizeof(PageHeader));
  for (std::uint64_t i = 0; i < std::uint64_t{1} << view.directory_bits(); ++i)
    if (DirectoryPage(view.directory(i).LoadRelaxed()) == pages[1])
      view.directory(i).StoreRelaxed(0);
  const RecoveryReport report = Mend(damaged);
  CHECK(report.index.lost_pages >= 1);
  CHECK(report.damage[0].find("index pages are lost") != std::string::npos);
  CHECK(damaged.CountRight() > 0);
  CHECK(damaged.CountRight() < damaged.expected());
  damaged.Use();
}

TEST_CASE("damage: links that lead nowhere, in circles or into other chains are cut") {
  for (const std::uint64_t link : {std::uint64_t{5}, std::uint64_t{1024}, std::uint64_t{65535},
                                   std::uint64_t{kFirstOverflowBucket}, ~std::uint64_t{0}}) {
    CAPTURE(link);
    Damaged damaged;
    const StoreView& view = damaged.store().view();
    for (const std::uint32_t page : testing::IndexPages(view))
      for (std::uint32_t bucket = 1; bucket < kBucketsPerPage; bucket += 2)
        view.page(page)[bucket].link.StoreRelaxed(link);
    Mend(damaged);
    CHECK(damaged.CountRight() > 0);
    damaged.Use();
  }
}

TEST_CASE("damage: entries that are not what they were are dropped by the scrub") {
  Damaged damaged;
  const StoreView& view = damaged.store().view();
  const auto slots = testing::AllSlots(view);
  const auto entry_at = [&view](const testing::SlotPlace& place) {
    return view.segment_data(SlotSegment(place.word)) + SlotOffset(place.word);
  };
  // A bit of a value, of a checksum, of an expiry flag; the lengths stay.
  entry_at(slots[10])[45] ^= std::byte{1};
  entry_at(slots[20])[0] ^= std::byte{1};
  entry_at(slots[30])[17] ^= std::byte{1};
  damaged.store().TakeOver();
  damaged.Scrub();
  CHECK(damaged.store().writer().scrubbed().dropped_entries == 3);
  CHECK(damaged.store().writer().scrubbed().miscounted_segments >= 1);
  CHECK(damaged.CountRight() == damaged.expected() - 3);
  // The dead bytes still have a wrong checksum; all counters are right again.
  for (const std::string& problem : FindBrokenInvariants(view))
    CHECK_MESSAGE(problem.find("checksum") != std::string::npos, problem);
  damaged.Use();
}

TEST_CASE("damage: a segment that cannot be walked is given up, but for what lies before") {
  Damaged damaged;
  const StoreView& view = damaged.store().view();
  const SegmentHeader& header = SegmentOf(damaged, SegmentState::kSealed);
  const auto segment = static_cast<std::uint32_t>(&header - &view.segment(0));
  const std::uint64_t lives = header.entry_count.LoadRelaxed() - header.dead_entries.LoadRelaxed();
  EntryView entry;
  std::uint32_t offset = 0;
  while (offset < 30'000 && ParseEntry(view, segment, offset, &entry))
    offset += static_cast<std::uint32_t>(entry.bytes);
  std::memset(static_cast<void*>(view.segment_data(segment) + offset), 0xff, 24);
  Mend(damaged);
  CHECK(damaged.store().writer().scrubbed().unwalkable_segments == 1);
  CHECK(damaged.CountRight() > damaged.expected() - lives);
  CHECK(damaged.CountRight() < damaged.expected());
  damaged.Use();
}

TEST_CASE("damage: two slots of one key, and slots in wrong places") {
  Damaged damaged;
  const StoreView& view = damaged.store().view();
  std::uint64_t copies = 0;
  for (const auto& place : testing::AllSlots(view)) {
    if (++copies > 200) break;
    Bucket& bucket = view.page(place.page)[copies % 2 == 0 ? place.bucket : 1 + copies * 4];
    for (auto& slot : bucket.slots) {
      if (slot.LoadRelaxed() != 0) continue;
      slot.StoreRelaxed(place.word);
      break;
    }
  }
  Mend(damaged);
  CHECK(damaged.CountRight() == damaged.expected());
}

TEST_CASE("damage: a namespace record that cannot be right takes its namespace with it") {
  for (const bool same_name : {false, true}) {
    Damaged damaged;
    NamespaceRecord& record = damaged.store().view().namespace_record(2);
    if (same_name)
      record.name[0] = 'a';
    else
      record.state.StoreRelaxed(99);
    const RecoveryReport report = damaged.store().TakeOver();
    CHECK(report.dropped_namespaces == 1);
    CHECK(NamespaceStateOf(record.state.LoadRelaxed()) == NamespaceState::kDropped);
    while (damaged.store().writer().Reclaim(64 * kKiB)) continue;
    CHECK(record.used_bytes.LoadRelaxed() == 0);
    Mend(damaged);
    CHECK(damaged.CountRight() > damaged.expected() / 3);
    CHECK(damaged.CountRight() < damaged.expected());
  }
}

TEST_CASE("damage: versions go on above all that was ever given out") {
  Damaged damaged;
  StoreHeader& header = damaged.store().view().header();
  const std::uint64_t last = header.last_version.LoadRelaxed();
  header.last_version.StoreRelaxed(5);
  header.allocated_sequence.StoreRelaxed(1);
  Mend(damaged);
  CHECK(header.last_version.LoadRelaxed() >= last - 1);  // the last but one, if it was deleted
  damaged.Use();
  CHECK(FindBrokenInvariants(damaged.store().view()).empty());
}

// Anything at all, anywhere behind the frozen header. What is served may be damaged only where the
// CRC is the one thing that could tell, and no longer after the scrub.
TEST_CASE("damage: random words everywhere") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  for (int round = 0; round < (FullRun() ? 3000 : 60); ++round) {
    CAPTURE(round);
    Damaged damaged(3000);
    const StoreView& view = damaged.store().view();
    const std::uint64_t begin = kStoreHeaderOffset + offsetof(StoreHeader, last_version);
    const std::uint64_t data = view.header().data_offset;
    for (std::uint64_t i = 0; i <= random.Below(30); ++i) {
      const std::uint64_t end = random.OneIn(2) ? data : damaged.store().store().bytes();
      const std::uint64_t at = begin + random.Below((end - begin) / 8) * 8;
      const std::uint64_t word = random.OneIn(3) ? 0 : random.Next();
      if (random.OneIn(20))  // a page of zeros
        std::memset(static_cast<void*>(damaged.bytes() + (at & ~std::uint64_t{4095})), 0,
                    at > 4096 ? 4096 : 0);
      else
        std::memcpy(damaged.bytes() + at, &word, sizeof(word));
    }
    RecoveryReport report;
    const auto writer = StoreWriter::Recover(view, &report, damaged.store().clock());
    if (!writer.ok()) {
      REQUIRE(!writer.status().message().empty());
      continue;
    }
    std::string value;
    for (std::uint32_t i = 0; i < 3000; i += 17) {
      // A refusal is allowed: what is damaged may be the room.
      static_cast<void>((*writer)->Set(1, fmt::format("key {}", i * 2), "new", {}, {}));
      static_cast<void>((*writer)->Get(1, fmt::format("key {}", i), &value));
    }
    while (!(*writer)->Scrub(1000)) continue;
    while (!(*writer)->Scrub(1000)) continue;
    for (const auto& place : testing::AllSlots(view)) {
      EntryView entry;
      REQUIRE(ParseEntry(view, SlotSegment(place.word), SlotOffset(place.word), &entry));
      REQUIRE(EntryCrc(entry) == entry.header.crc32c);
    }
  }
}

}  // namespace
}  // namespace hearth::cache
