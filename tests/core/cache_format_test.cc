// The packed words and helpers of format.h, geometry, and what attaching to a store refuses.
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "core/cache/format.h"
#include "core/cache/store.h"
#include "core/cache/view.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::Random;
using testing::RunSeed;
using testing::SealFrozen;
using testing::TestStore;

TEST_CASE("format: a slot word gives back what it was made of") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t tag = random.Below(1U << 16U);
    const std::uint64_t generation = random.Next();
    const auto segment = static_cast<std::uint32_t>(random.Below(kMaxSegments));
    const auto offset = static_cast<std::uint32_t>(random.Below(1U << 18U) * 8);
    const std::uint64_t slot = MakeSlot(tag, generation, segment, offset);
    REQUIRE((slot >> kSlotTagShift) == tag);
    REQUIRE(SlotGeneration(slot) == (generation & 63U));
    REQUIRE(SlotSegment(slot) == segment);
    REQUIRE(SlotOffset(slot) == offset);
    REQUIRE((slot & kSlotUsed) != 0);
    REQUIRE((slot & kSlotFrequencyBits) == 0);
  }
  CHECK(MakeSlot(0, 0, 0, 0) != 0);  // never mistaken for an empty slot
}

TEST_CASE("format: the fields of a slot word cover its 64 bits without overlap") {
  const std::uint64_t all[] = {
      std::uint64_t{0xffff} << kSlotTagShift, kSlotFrequencyBits,
      std::uint64_t{3} << kSlotFlagsShift,    kSlotGenerationMask << kSlotGenerationShift,
      kSlotSegmentMask << kSlotSegmentShift,  kSlotOffsetMask};
  std::uint64_t seen = 0;
  for (const std::uint64_t field : all) {
    CHECK((seen & field) == 0);
    seen |= field;
  }
  CHECK(seen == ~std::uint64_t{0});
}

TEST_CASE("format: directory and segment words give back what they were made of") {
  const std::uint64_t word = MakeDirectoryWord(0xdeadbeef, 0x7f, 0xffffff);
  CHECK(DirectoryPage(word) == 0xdeadbeef);
  CHECK(DirectoryDepth(word) == 0x7f);
  CHECK(DirectorySequence(word) == 0xffffff);
  CHECK((MakeDirectoryWord(0, 0, 0) & kDirectoryValid) != 0);
  CHECK(DirectorySequence(MakeDirectoryWord(1, 2, 0x1000000)) == 0);

  const std::uint64_t segment = MakeSegmentWord(SegmentState::kSealed, kSegmentGenerationMask);
  CHECK(SegmentStateOf(segment) == SegmentState::kSealed);
  CHECK(SegmentGenerationOf(segment) == kSegmentGenerationMask);
  CHECK(MakeSegmentWord(SegmentState::kFree, kSegmentGenerationMask + 1) == 0);
}

TEST_CASE("format: home buckets are the page's first 896 behind its header") {
  CHECK(HomeBucket(0) == kFirstHomeBucket);
  CHECK(HomeBucket(0xffffffffU) == kFirstOverflowBucket - 1);
  CHECK(HomeBucket(0xffffffff00000000U) == kFirstHomeBucket);
  CHECK(kFirstOverflowBucket == 897);
}

TEST_CASE("format: lengths of the largest entries do not overflow") {
  CHECK(EntryBytes(1, 0) == 25);
  CHECK(PadEntry(EntryBytes(1, 0)) == 32);
  CHECK(PadEntry(32) == 32);
  CHECK(EntryBytes(3 | kEntryHasHardExpiry, 4) == 24 + 8 + 3 + 4);
  CHECK(EntryBytes(3 | kEntryHasHardExpiry | kEntryHasSoftExpiry | kEntryNegative, 4) ==
        24 + 16 + 3 + 4);
  CHECK(EntryBytes(0xffff, 0xffffffffU) == 24 + 16 + 2047 + 0xffffffffULL);
}

// ---------------------------------------------------------------------------------------- create
TEST_CASE("create: sizes that cannot work are refused with the limits") {
  const struct {
    StoreOptions options;
    const char* message;
  } cases[] = {
      {{.bytes = 16 * kMiB, .segment_bytes = 32 * kKiB}, "between 64.0 KiB and 2.00 MiB"},
      {{.bytes = 64 * kMiB, .segment_bytes = 4 * kMiB}, "not a power of two between"},
      {{.bytes = 16 * kMiB, .segment_bytes = 100'000}, "not a power of two between"},
      {{.bytes = 7 * 64 * kKiB, .segment_bytes = 64 * kKiB}, "8 to 1048576 segments"},
      {{.bytes = (kMaxSegments + 1ULL) << 16U, .segment_bytes = 64 * kKiB},
       "8 to 1048576 segments"},
      {{.bytes = 16 * kMiB, .namespace_capacity = 1}, "cannot hold 1 namespaces"},
      {{.bytes = 16 * kMiB, .namespace_capacity = 65537}, "cannot hold 65537 namespaces"},
  };
  for (const auto& c : cases) {
    const auto store = Store::Create(c.options);
    REQUIRE(!store.ok());
    CHECK(store.status().code() == Code::kInvalidArgument);
    CHECK_MESSAGE(store.status().message().find(c.message) != std::string::npos,
                  store.status().message());
  }
}

TEST_CASE("create: every permitted segment size gives a store that can be attached and used") {
  for (std::uint64_t segment_bytes = 64 * kKiB; segment_bytes <= 2 * kMiB; segment_bytes *= 2) {
    TestStore store({.segments = 8, .segment_bytes = segment_bytes});
    CHECK(store.view().segment_bytes() == segment_bytes);
    CHECK(store.view().max_value_bytes() == segment_bytes / 4);
    CHECK(store.view().header().data_offset % (2 * kMiB) == 0);
    const std::uint16_t ns = store.Namespace("n");
    store.Set(ns, "key", std::string(segment_bytes / 4, 'v'));
    std::string value;
    CHECK(store.AttachedReader().Get(ns, "key", &value).outcome == ReadOutcome::kHit);
    CHECK(value.size() == segment_bytes / 4);
    CHECK(testing::FindBrokenInvariants(store.view()).empty());
  }
}

TEST_CASE("create: two stores share neither secret nor uuid") {
  const StoreOptions options{.bytes = 512 * kKiB, .segment_bytes = 64 * kKiB};
  const auto a = Store::Create(options);
  const auto b = Store::Create(options);
  REQUIRE(a.ok());
  REQUIRE(b.ok());
  CHECK(a->view().secret() != b->view().secret());
  CHECK(std::memcmp(a->view().prefix().uuid, b->view().prefix().uuid, 16) != 0);
}

TEST_CASE("create: a store is not live before its writer has published it") {
  const auto store = Store::Create({.bytes = 512 * kKiB, .segment_bytes = 64 * kKiB});
  REQUIRE(store.ok());
  const auto before = StoreReader::Attach(store->read_only_fd().get());
  REQUIRE(!before.ok());
  CHECK(before.status().code() == Code::kUnavailable);
  REQUIRE(StoreWriter::Create(store->view()).ok());
  CHECK(StoreReader::Attach(store->read_only_fd().get()).ok());
}

// ---------------------------------------------------------------------------------------- attach
TEST_CASE("attach: geometry that does not fit the region is refused, each field by itself") {
  TestStore store;
  const std::uint64_t bytes = store.store().bytes();
  auto* const base = reinterpret_cast<std::byte*>(&store.view().prefix());
  const struct {
    const char* what;
    std::function<void(StoreHeader&)> damage;
  } cases[] = {
      {"segments too small", [](StoreHeader& h) { h.segment_shift = 15; }},
      {"segments too large", [](StoreHeader& h) { h.segment_shift = 22; }},
      {"a shift beyond the word", [](StoreHeader& h) { h.segment_shift = 255; }},
      {"no segments", [](StoreHeader& h) { h.segment_count = 0; }},
      {"one segment too many", [](StoreHeader& h) { h.segment_count = 9; }},
      {"too many segments", [](StoreHeader& h) { h.segment_count = kMaxSegments + 1; }},
      {"no directory", [](StoreHeader& h) { h.directory_bits = 0; }},
      {"a directory beyond the word", [](StoreHeader& h) { h.directory_bits = 33; }},
      {"a directory beyond the region", [](StoreHeader& h) { h.directory_bits = 32; }},
      {"no namespaces", [](StoreHeader& h) { h.namespace_capacity = 0; }},
      {"too many namespaces", [](StoreHeader& h) { h.namespace_capacity = 65537; }},
      {"namespaces beyond the region", [](StoreHeader& h) { h.namespace_capacity = 65536; }},
      {"a directory over the header", [](StoreHeader& h) { h.directory_offset = 0; }},
      {"a crooked directory", [](StoreHeader& h) { h.directory_offset += 8; }},
      {"namespaces at the end", [bytes](StoreHeader& h) { h.namespace_offset = bytes; }},
      {"namespaces far out", [](StoreHeader& h) { h.namespace_offset = ~std::uint64_t{63}; }},
      {"headers behind the end", [bytes](StoreHeader& h) { h.segment_header_offset = bytes + 64; }},
      {"data one line too late", [](StoreHeader& h) { h.data_offset += 64; }},
      {"data far out", [](StoreHeader& h) { h.data_offset = ~std::uint64_t{0} << 21U; }},
  };
  StoreHeader& header = store.view().header();
  for (const auto& c : cases) {
    CAPTURE(c.what);
    char before[sizeof(StoreHeader)];
    std::memcpy(before, static_cast<const void*>(&header), sizeof(before));
    c.damage(header);
    SealFrozen(base);
    const auto view = StoreView::Of(base, bytes);
    CHECK(!view.ok());
    if (!view.ok()) {
      CHECK(view.status().code() == Code::kDataLoss);
      CHECK(view.status().message().find("geometry does not fit its 2621440 bytes") !=
            std::string::npos);
    }
    std::memcpy(static_cast<void*>(&header), before, sizeof(before));
  }
  CHECK(StoreView::Of(base, bytes).ok());
}

TEST_CASE("attach: a flipped bit in what never changes is refused") {
  TestStore store;
  const std::uint64_t bytes = store.store().bytes();
  auto* const base = reinterpret_cast<std::byte*>(&store.view().prefix());
  for (const ByteRange& range : kFrozenRanges) {
    for (std::uint64_t at = range.begin; at < range.end; ++at) {
      CAPTURE(at);
      base[at] ^= std::byte{0x10};
      CHECK(!StoreView::Of(base, bytes).ok());
      base[at] ^= std::byte{0x10};
    }
  }
  store.view().prefix().hash_secret[0] ^= 1;
  const auto view = StoreView::Of(base, bytes);
  REQUIRE(!view.ok());
  CHECK(view.status().message().find("the store's header is damaged") == 0);
}

TEST_CASE("attach: a store of another layout is refused with both numbers") {
  TestStore store;
  store.view().prefix().layout_version = kStoreLayoutVersion + 1;
  const auto reader = StoreReader::Attach(store.store().read_only_fd().get());
  REQUIRE(!reader.ok());
  CHECK(reader.status().code() == Code::kFailedPrecondition);
  CHECK(reader.status().message() == "the region has layout version 2, this build reads version 1");
}

TEST_CASE("attach: the namespaces of a store are found by name") {
  TestStore store({.namespace_capacity = 4});
  CHECK(store.Namespace("alpha") == 1);
  CHECK(store.Namespace("beta") == 2);
  const StoreReader reader = store.AttachedReader();
  CHECK(*reader.FindNamespace("alpha") == 1);
  CHECK(*reader.FindNamespace("beta") == 2);
  CHECK(reader.FindNamespace("alph").status().code() == Code::kNotFound);
  CHECK(reader.FindNamespace("").status().code() == Code::kNotFound);
  store.view().namespace_record(2).name_length = 200;  // as no writer would
  CHECK(!reader.FindNamespace(std::string(200, 'b')).ok());
}

TEST_CASE("store time: begins with the store and moves with the monotonic clock only") {
  TestStore store;
  const StoreReader reader = store.Reader();
  CHECK(reader.NowMs() == 0);
  store.clock().AdvanceMs(1500);
  CHECK(reader.NowMs() == 1500);
  store.clock().SetRealtimeNanos(1);
  CHECK(reader.NowMs() == 1500);
  store.clock().SetMonotonicNanos(5);  // before the store began
  CHECK(reader.NowMs() == 0);
}

}  // namespace
}  // namespace hearth::cache
