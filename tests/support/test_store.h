// TestStore: a small store with a fake clock, a known hash secret and a writer; and the checks
// every test of the store can make on one: that each invariant and counter of FORMAT.md holds,
// found by walking the whole store.
#ifndef HEARTH_TESTS_SUPPORT_TEST_STORE_H_
#define HEARTH_TESTS_SUPPORT_TEST_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/units.h"
#include "core/cache/reader.h"
#include "core/cache/store.h"
#include "core/cache/writer.h"
#include "tests/support/fake_clock.h"

namespace hearth::testing {

// The secret, uuid and boot id of every TestStore.
HashSecret TestSecret();

struct TestStoreOptions {
  std::uint32_t segments = 8;
  std::uint64_t segment_bytes = 64 * kKiB;
  std::uint32_t namespace_capacity = 8;
  std::uint64_t max_value_bytes = 0;  // 0: a quarter of a segment, so that no value needs a run
  std::uint64_t monotonic_ns = 1'000'000'000'000U;  // of the clock, at store time 0
};

// Makes the checksum of what never changes right again, after a test has changed it.
void SealFrozen(std::byte* region);

class TestStore {
 public:
  explicit TestStore(const TestStoreOptions& options = {});

  FakeClock& clock() { return clock_; }
  const cache::Store& store() const { return store_; }
  const cache::StoreView& view() const { return view_; }
  cache::StoreWriter& writer() { return *writer_; }
  // Through the writer's own mapping.
  cache::StoreReader Reader() const { return cache::StoreReader(view_, clock_); }
  // Through a read-only mapping of its own, as another process would.
  cache::StoreReader AttachedReader() const;

  // A new writer in the place of the old one, as after its death.
  cache::RecoveryReport TakeOver();

  // Creates a namespace; aborts on an error.
  std::uint16_t Namespace(std::string_view name, const cache::NamespaceOptions& options = {});
  // Sets; aborts on an error. Returns the version.
  std::uint64_t Set(std::uint16_t namespace_id, std::string_view key, std::string_view value,
                    const cache::Ttl& ttl = {});
  std::optional<std::string> Get(std::uint16_t namespace_id, std::string_view key) const;

 private:
  FakeClock clock_;
  cache::Store store_;
  cache::StoreView view_;
  std::unique_ptr<cache::StoreWriter> writer_;
};

std::uint64_t KeyHash(const cache::StoreView& view, std::uint16_t namespace_id,
                      std::string_view key);

// One used slot of the index.
struct SlotPlace {
  std::uint32_t page = 0;
  std::uint32_t bucket = 0;
  std::uint32_t slot = 0;
  std::uint64_t word = 0;
};

// The pages the directory names, each once.
std::vector<std::uint32_t> IndexPages(const cache::StoreView& view);
// All used slots of those pages.
std::vector<SlotPlace> AllSlots(const cache::StoreView& view);
// The slot of a key; nothing when it has none.
std::optional<SlotPlace> FindSlot(const cache::StoreView& view, std::uint16_t namespace_id,
                                  std::string_view key);

// Every broken invariant, in words; empty for a sound store. REQUIRES: no change under way.
std::vector<std::string> FindBrokenInvariants(const cache::StoreView& view);

// Keys (of one namespace) that share page, home bucket and, if wanted, tag: searched with the known
// secret. `directory_bits` is how many high bits of the hash they share.
struct CollisionWish {
  std::uint64_t like_hash;
  std::uint32_t directory_bits = 0;
  bool same_bucket = true;
  bool same_tag = false;
};
std::vector<std::string> CollidingKeys(const cache::StoreView& view, std::uint16_t namespace_id,
                                       const CollisionWish& wish, std::size_t count);

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_SUPPORT_TEST_STORE_H_
