// Readers of damaged stores: whatever the bytes are, a read ends, stays inside the mapping and does
// not crash. The image lies in memory of exactly its size, so that AddressSanitizer sees each step
// outside.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/cache/reader.h"
#include "core/cache/scanner.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FullRun;
using testing::Random;
using testing::RunSeed;
using testing::TestStore;

class Image {
 public:
  Image() {
    ns_ = store_.Namespace("n");
    const auto colliding = testing::CollidingKeys(
        store_.view(), ns_, {.like_hash = testing::KeyHash(store_.view(), ns_, "like me")}, 20);
    for (const std::string& key : colliding) Add(key, "value of " + key, {});
    Add("expires", "soon", {.hard_ms = 1'000'000, .soft_ms = 5});
    Add("empty", "", {});
    Add("large", std::string(16'000, 'l'), {});
    bytes_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, size())));
    std::memcpy(bytes_.get(), static_cast<const void*>(&store_.view().prefix()), size());
  }

  std::byte* data() { return bytes_.get(); }
  std::uint64_t size() const { return store_.store().bytes(); }
  const StoreView& sound() const { return store_.view(); }
  std::uint16_t ns() const { return ns_; }
  const std::vector<std::pair<std::string, std::string>>& entries() const { return entries_; }
  // The same place in the image as `in_store` in the sound store.
  std::uint64_t OffsetOf(const void* in_store) const {
    return static_cast<std::uint64_t>(static_cast<const std::byte*>(in_store) -
                                      reinterpret_cast<const std::byte*>(&store_.view().prefix()));
  }

  // Reads everything. Returns the hits with right bytes; `wrong` counts other hits, `refused`
  // images that were not attached to.
  struct Outcome {
    int right = 0;
    int wrong = 0;
    bool refused = false;
  };
  Outcome ReadAll() {
    const auto view = StoreView::Of(data(), size());
    if (!view.ok()) {
      REQUIRE(!view.status().message().empty());
      return {.refused = true};
    }
    const StoreReader reader(*view, store_.clock());
    static_cast<void>(reader.FindNamespace("n").ok());
    Outcome outcome;
    std::string value;
    for (const auto& [key, expected] : entries_) {
      if (reader.Get(ns_, key, &value).outcome != ReadOutcome::kHit) continue;
      ++(value == expected ? outcome.right : outcome.wrong);
    }
    for (const std::uint16_t id : std::initializer_list<std::uint16_t>{0, 1, 7, 65535})
      reader.Get(id, "absent", &value);
    ScanAll(reader);
    return outcome;
  }

 private:
  // A scan ends as well, and returns no more than there are slots.
  void ScanAll(const StoreReader& reader) const {
    auto scanner = Scanner::Begin(reader, ns_, {});
    if (!scanner.ok()) return;
    ScannedEntry entry;
    std::uint64_t left = std::uint64_t{reader.view().page_count()} * kBucketsPerPage * 8;
    for (auto more = scanner->Next(&entry); more.ok() && *more; more = scanner->Next(&entry)) {
      REQUIRE(left-- > 0);
      REQUIRE(entry.key.size() <= kMaxKeyBytes);
    }
  }
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  void Add(const std::string& key, const std::string& value, const Ttl& ttl) {
    store_.Set(ns_, key, value, ttl);
    entries_.emplace_back(key, value);
  }

  TestStore store_;
  std::uint16_t ns_ = 0;
  std::vector<std::pair<std::string, std::string>> entries_;
  std::unique_ptr<std::byte, Free> bytes_;
};

// Damages each byte of a range in several ways, one at a time.
void FlipEveryByte(Image& image, std::uint64_t offset, std::uint64_t size, Random& random) {
  for (std::uint64_t at = offset; at < offset + size; ++at) {
    const std::byte before = image.data()[at];
    for (const unsigned mask :
         {0xffU, 0x80U, 0x01U, 1U + static_cast<unsigned>(random.Below(255))}) {
      image.data()[at] = before ^ std::byte(mask);
      image.ReadAll();
      if (at >= kStoreHeaderBytes) continue;
      // As somebody would who knows the format.
      testing::SealFrozen(image.data());
      image.ReadAll();
    }
    image.data()[at] = before;
    testing::SealFrozen(image.data());
  }
  const Image::Outcome outcome = image.ReadAll();
  REQUIRE(outcome.right == static_cast<int>(image.entries().size()));
}

TEST_CASE("hostile: any byte of prefix and store header") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  Image image;
  FlipEveryByte(image, 0, kStoreHeaderOffset + sizeof(StoreHeader), random);
}

TEST_CASE("hostile: any byte of the directory") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  Image image;
  FlipEveryByte(image, image.OffsetOf(&image.sound().directory(0)), 8 * 8, random);
}

TEST_CASE("hostile: any byte of the namespace records") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  Image image;
  FlipEveryByte(image, image.OffsetOf(&image.sound().namespace_record(0)),
                2 * sizeof(NamespaceRecord), random);
}

TEST_CASE("hostile: any byte of the segment headers") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  Image image;
  FlipEveryByte(image, image.OffsetOf(&image.sound().segment(0)), 8 * sizeof(SegmentHeader),
                random);
}

TEST_CASE("hostile: any byte of the buckets in use") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  Image image;
  for (const auto& [key, value] : image.entries()) {
    const auto place = testing::FindSlot(image.sound(), image.ns(), key);
    REQUIRE(place);
    FlipEveryByte(image, image.OffsetOf(&image.sound().page(place->page)[place->bucket]),
                  sizeof(Bucket), random);
  }
}

TEST_CASE("hostile: any byte of the entries") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  Image image;
  for (const auto& [key, value] : image.entries()) {
    const auto place = testing::FindSlot(image.sound(), image.ns(), key);
    REQUIRE(place);
    const std::byte* const entry =
        image.sound().segment_data(SlotSegment(place->word)) + SlotOffset(place->word);
    FlipEveryByte(image, image.OffsetOf(entry), 24 + 16 + key.size(), random);
  }
}

// Words an attacker would try, rather than random ones.
std::uint64_t EvilWord(Random& random) {
  switch (random.Below(6)) {
    case 0: return 0;
    case 1: return ~std::uint64_t{0};
    case 2: return random.Next();
    case 3: return std::uint64_t{1} << random.Below(64);
    case 4: return ~(std::uint64_t{1} << random.Below(64));
    default: return random.Below(2048);
  }
}

TEST_CASE("hostile: random words everywhere at once") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  Image image;
  const std::vector<std::byte> sound(image.data(), image.data() + image.size());
  const std::uint64_t data = image.sound().header().data_offset;
  const struct {
    std::uint64_t offset;
    std::uint64_t bytes;
  } areas[] = {{0, 384},
               {image.OffsetOf(&image.sound().directory(0)), 64},
               {image.OffsetOf(&image.sound().namespace_record(0)), 256},
               {image.OffsetOf(&image.sound().segment(0)), 512},
               {data, image.size() - data}};
  int refused = 0;
  const int rounds = FullRun() ? 400'000 : 20'000;
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::uint64_t> damaged;
    for (std::uint64_t i = 0; i <= random.Below(12); ++i) {
      // Prefix and header rarely, since they make the image be refused.
      const auto& area = areas[random.OneIn(20) ? 0 : 1 + random.Below(4)];
      const std::uint64_t at = area.offset + random.Below(area.bytes / 8) * 8;
      const std::uint64_t word = EvilWord(random);
      std::memcpy(image.data() + at, &word, sizeof(word));
      damaged.push_back(at);
    }
    refused += image.ReadAll().refused ? 1 : 0;
    for (const std::uint64_t at : damaged) std::memcpy(image.data() + at, sound.data() + at, 8);
  }
  CHECK(refused > 0);
  CHECK(refused < rounds);
  CHECK(image.ReadAll().right == static_cast<int>(image.entries().size()));
}

TEST_CASE(
    "hostile: chains that bite their tail and slots that all match end after a bounded walk") {
  Image image;
  const auto& [key, value] = image.entries().front();
  const auto place = testing::FindSlot(image.sound(), image.ns(), key);
  REQUIRE(place);
  const std::uint64_t hash = testing::KeyHash(image.sound(), image.ns(), key);
  auto* const page =
      reinterpret_cast<Bucket*>(image.data() + image.OffsetOf(image.sound().page(place->page)));
  for (std::uint32_t bucket = kFirstHomeBucket; bucket < kBucketsPerPage; ++bucket) {
    page[bucket].link.StoreRelaxed(kFirstOverflowBucket);
    // The right tag, the place of another key's entry: each is looked at and found foreign.
    for (auto& slot : page[bucket].slots)
      slot.StoreRelaxed((place->word & ~(std::uint64_t{0xffff} << kSlotTagShift)) |
                        SlotTag(hash) << kSlotTagShift);
  }
  CHECK(image.ReadAll().wrong == 0);
  page[kFirstOverflowBucket].link.StoreRelaxed(kBucketsPerPage);
  image.ReadAll();
  page[HomeBucket(hash)].link.StoreRelaxed(0xffff);
  image.ReadAll();
}

TEST_CASE("hostile: a value longer than its segment needs a run that lies within the store") {
  Image image;
  const StoreView view = *StoreView::Of(image.data(), image.size());
  const auto place = testing::FindSlot(view, image.ns(), "large");
  REQUIRE(place);
  const std::uint32_t segment = SlotSegment(place->word);
  auto* const header = reinterpret_cast<EntryHeader*>(view.segment_data(segment));
  EntryView entry;
  header->key_bits = 5;
  for (const std::uint32_t run : {0U, 1U, 2U, 8U, 9U, 65535U}) {
    view.segment(segment).run_length = static_cast<std::uint16_t>(run);
    for (const std::uint64_t segments : {1U, 2U, 7U, 8U, 9U, 65535U}) {
      header->value_length = static_cast<std::uint32_t>(segments * view.segment_bytes() - 29);
      const bool inside =
          segments <= 1 || (run >= 2 && segments <= run && run <= view.segment_count() - segment);
      CHECK(ParseEntry(view, segment, 0, &entry) == inside);
      CHECK(!ParseEntry(view, segment, view.segment_bytes() - 16, &entry));
    }
  }
  view.segment(segment).run_length = 1;
  header->value_length = view.segment_bytes() - 28;
  CHECK(!ParseEntry(view, segment, 0, &entry));
}

}  // namespace
}  // namespace hearth::cache
