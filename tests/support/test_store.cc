#include "tests/support/test_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/cache/verify.h"

namespace hearth::testing {

using cache::EntryView;
using cache::StoreView;

HashSecret TestSecret() {
  return MakeHashSecret({0x0123456789abcdefU, 0x1032547698badcfeU, 0x2143658709cbedafU,
                         0x3254769810dcfeb0U, 0x43658798a1ed0fc1U, 0x54768798b2fe10d2U,
                         0x658798a9c30f21e3U, 0x768798bad41032f4U});
}

namespace {

cache::Store MakeStore(const TestStoreOptions& options, const Clock& clock) {
  auto store = cache::Store::Create(
      {.name = "test",
       .bytes = options.segments * options.segment_bytes,
       .segment_bytes = options.segment_bytes,
       .namespace_capacity = options.namespace_capacity,
       .max_value_bytes =
           options.max_value_bytes != 0 ? options.max_value_bytes : options.segment_bytes / 4},
      clock);
  if (!store.ok()) fmt::print(stderr, "{}\n", store.status().ToString());
  HEARTH_CHECK(store.ok());
  return std::move(store).value();
}

// Replaces what Store::Create drew at random by constants.
StoreView MakeReproducible(const cache::Store& store) {
  shm::RegionPrefix& prefix = store.view().prefix();
  const HashSecret secret = TestSecret();
  std::copy(secret.begin(), secret.end(), std::begin(prefix.hash_secret));
  for (std::size_t i = 0; i < sizeof(prefix.uuid); ++i) {
    prefix.uuid[i] = static_cast<std::uint8_t>(0xa0 + i);
    store.view().header().boot_id[i] = static_cast<std::uint8_t>(0xb0 + i);
  }
  SealFrozen(reinterpret_cast<std::byte*>(&prefix));
  return StoreView::OfUnpublished(reinterpret_cast<std::byte*>(&prefix));
}

}  // namespace

void SealFrozen(std::byte* region) {
  reinterpret_cast<cache::StoreHeader*>(region + cache::kStoreHeaderOffset)->frozen_crc32c =
      cache::FrozenCrc(region);
}

TestStore::TestStore(const TestStoreOptions& options)
    : clock_(options.monotonic_ns),
      store_(MakeStore(options, clock_)),
      view_(MakeReproducible(store_)) {
  auto writer = cache::StoreWriter::Create(view_, clock_);
  HEARTH_CHECK(writer.ok());
  writer_ = std::move(writer).value();
}

cache::RecoveryReport TestStore::TakeOver() {
  writer_.reset();
  cache::RecoveryReport report;
  auto writer = cache::StoreWriter::Recover(view_, &report, clock_);
  HEARTH_CHECK(writer.ok());
  writer_ = std::move(writer).value();
  return report;
}

cache::StoreReader TestStore::AttachedReader() const {
  auto reader = cache::StoreReader::Attach(store_.read_only_fd().get(), clock_);
  HEARTH_CHECK(reader.ok());
  return std::move(reader).value();
}

std::uint16_t TestStore::Namespace(std::string_view name, const cache::NamespaceOptions& options) {
  const auto id = writer_->CreateNamespace(name, options);
  if (!id.ok()) fmt::print(stderr, "{}\n", id.status().ToString());
  HEARTH_CHECK(id.ok());
  return *id;
}

std::uint64_t TestStore::Set(std::uint16_t namespace_id, std::string_view key,
                             std::string_view value, const cache::Ttl& ttl) {
  const auto version = writer_->Set(namespace_id, key, value, ttl, {});
  if (!version.ok()) fmt::print(stderr, "{}\n", version.status().ToString());
  HEARTH_CHECK(version.ok());
  return *version;
}

std::optional<std::string> TestStore::Get(std::uint16_t namespace_id, std::string_view key) const {
  std::string value;
  const cache::ReadResult result = Reader().Get(namespace_id, key, &value);
  if (result.outcome != cache::ReadOutcome::kHit) return std::nullopt;
  return value;
}

std::uint64_t KeyHash(const StoreView& view, std::uint16_t namespace_id, std::string_view key) {
  return HashKey(view.secret(), NamespaceSeed(view.secret(), namespace_id), key);
}

std::vector<std::uint32_t> IndexPages(const StoreView& view) {
  std::vector<std::uint32_t> pages;
  for (std::uint64_t i = 0; i < std::uint64_t{1} << view.directory_bits(); ++i) {
    const std::uint32_t page = cache::DirectoryPage(view.directory(i).LoadRelaxed());
    if (std::find(pages.begin(), pages.end(), page) == pages.end()) pages.push_back(page);
  }
  return pages;
}

std::vector<SlotPlace> AllSlots(const StoreView& view) {
  std::vector<SlotPlace> slots;
  for (const std::uint32_t page : IndexPages(view)) {
    for (std::uint32_t bucket = cache::kFirstHomeBucket; bucket < cache::kBucketsPerPage;
         ++bucket) {
      for (std::uint32_t i = 0; i < cache::kSlotsPerBucket; ++i) {
        const std::uint64_t word = view.page(page)[bucket].slots[i].LoadRelaxed();
        if (word != 0) slots.push_back({page, bucket, i, word});
      }
    }
  }
  return slots;
}

std::optional<SlotPlace> FindSlot(const StoreView& view, std::uint16_t namespace_id,
                                  std::string_view key) {
  for (const SlotPlace& place : AllSlots(view)) {
    EntryView entry;
    if (cache::ParseEntry(view, cache::SlotSegment(place.word), cache::SlotOffset(place.word),
                          &entry) &&
        entry.header.namespace_id == namespace_id && entry.key_length() == key.size() &&
        std::memcmp(entry.key, key.data(), key.size()) == 0)
      return place;
  }
  return std::nullopt;
}

std::vector<std::string> FindBrokenInvariants(const StoreView& view) {
  return cache::Verify(view, cache::VerifyMode::kStill).problems;
}

std::vector<std::string> CollidingKeys(const StoreView& view, std::uint16_t namespace_id,
                                       const CollisionWish& wish, std::size_t count) {
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; keys.size() < count; ++i) {
    std::string key = fmt::format("c{:x}", i);
    const std::uint64_t hash = KeyHash(view, namespace_id, key);
    const std::uint64_t difference = hash ^ wish.like_hash;
    if (wish.directory_bits > 0 && difference >> (64U - wish.directory_bits) != 0) continue;
    if (wish.same_bucket && cache::HomeBucket(hash) != cache::HomeBucket(wish.like_hash)) continue;
    if (wish.same_tag && cache::SlotTag(hash) != cache::SlotTag(wish.like_hash)) continue;
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace hearth::testing
