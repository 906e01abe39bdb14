// Views and the quarantine: what a pin holds, for how long, and what it cannot do. threads_pin_test
// has the interleavings.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/cache/writer.h"
#include "tests/support/pin_table.h"
#include "tests/support/self_checking_value.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::FindSlot;
using testing::KeyHash;
using testing::PinTable;
using testing::TestStore;
using testing::TestStoreOptions;

constexpr std::uint64_t kSecond = 1'000'000'000;

// A store whose writer knows a table of pins.
class PinStore : public TestStore {
 public:
  // The namespace gets so little that its segments are evicted in turn, unless `quota` says more.
  explicit PinStore(const TestStoreOptions& options = {}, std::uint64_t quota = 3 * 64 * kKiB)
      : TestStore(options) {
    writer().WatchPins(&pins_, kSecond);
    namespace_ = Namespace("n", {.quota_max_bytes = quota});
  }
  PinTable& pins() { return pins_; }
  std::uint16_t ns() const { return namespace_; }
  ReadResult View(std::string_view key, ValueView* view, std::size_t pin = 0) {
    return Reader().View(namespace_, key, pins_[pin], view);
  }
  std::uint32_t SegmentOf(std::string_view key) {
    return SlotSegment(FindSlot(view(), namespace_, key)->word);
  }
  std::uint64_t Generation(std::uint32_t segment) {
    return SegmentGenerationOf(view().segment(segment).state_generation.LoadRelaxed());
  }
  SegmentState State(std::uint32_t segment) {
    return SegmentStateOf(view().segment(segment).state_generation.LoadRelaxed());
  }
  // New keys, enough to evict all others a few times over.
  void Churn(std::uint32_t rounds = 500) {
    for (std::uint32_t i = 0; i < rounds; ++i)
      Set(namespace_, fmt::format("churn {}", ++number_), std::string(1000, 'x'));
  }
  void CheckSound() {
    for (const std::string& problem : FindBrokenInvariants(view())) FAIL_CHECK(problem);
  }

 private:
  PinTable pins_;
  std::uint16_t namespace_ = 0;
  std::uint64_t number_ = 0;
};

TEST_CASE("view: the value in place, with its metadata, under a pin that goes with it") {
  PinStore store;
  store.Set(store.ns(), "key", "value", {.hard_ms = 5000, .soft_ms = 1000});
  ValueView view;
  const ReadResult result = store.View("key", &view);
  CHECK(result.outcome == ReadOutcome::kHit);
  CHECK(result.version == 1);
  CHECK(result.soft_expiry_ms == 1000);
  CHECK(result.hash == KeyHash(store.view(), store.ns(), "key"));
  CHECK(view.bytes() == "value");
  CHECK(view.bytes().data() >= reinterpret_cast<const char*>(store.view().segment_data(0)));
  CHECK(view.Valid());
  CHECK(store.pins()[0].segment_plus_one->LoadRelaxed() == store.SegmentOf("key") + 1);
  CHECK(store.pins()[0].generation->LoadRelaxed() == store.Generation(store.SegmentOf("key")));
  CHECK(view.Release());
  CHECK(store.pins().empty());
  CHECK_FALSE(view.held());
  CHECK_FALSE(view.Valid());
  CHECK_FALSE(view.Release());
}

TEST_CASE("view: misses hold nothing") {
  PinStore store;
  store.Set(store.ns(), "short", "value", {.hard_ms = 10});
  store.clock().AdvanceMs(10);
  ValueView view;
  for (const char* key : {"missing", "short", ""}) {
    CHECK(store.View(key, &view).outcome == ReadOutcome::kMiss);
    CHECK_FALSE(view.held());
    CHECK(store.pins().empty());
  }
}

TEST_CASE("view: moving one moves its pin, and a new lookup lets go of what was held") {
  PinStore store;
  store.Set(store.ns(), "a", "1");
  store.Set(store.ns(), "b", "2");
  ValueView first;
  store.View("a", &first);
  ValueView second = std::move(first);
  CHECK_FALSE(first.held());
  CHECK(second.bytes() == "1");
  CHECK(store.View("b", &second).outcome == ReadOutcome::kHit);
  CHECK(second.bytes() == "2");
  CHECK(second.Release());
  {
    ValueView scoped;
    store.View("a", &scoped);
  }
  CHECK(store.pins().empty());
}

TEST_CASE("a pinned segment is evicted and not reused, until the pin is gone") {
  PinStore store({.segments = 40});
  store.Set(store.ns(), "key", "the value");
  const std::uint32_t segment = store.SegmentOf("key");
  const std::uint64_t generation = store.Generation(segment);
  ValueView view;
  store.View("key", &view);
  store.Churn();
  CHECK_FALSE(store.Get(store.ns(), "key"));
  CHECK(store.State(segment) == SegmentState::kRetiring);
  CHECK(store.Generation(segment) == generation);
  CHECK(store.writer().quarantined_segments() == 1);
  CHECK(view.bytes() == "the value");
  CHECK(view.Valid());
  store.CheckSound();
  SUBCASE("a review frees it") {
    CHECK(view.Release());
    store.writer().ReviewPins();
    CHECK(store.State(segment) == SegmentState::kFree);
  }
  SUBCASE("writes take it up again by themselves") {
    CHECK(view.Release());
    store.Churn();
    CHECK(store.Generation(segment) > generation);
  }
  store.writer().ReviewPins();
  CHECK(store.writer().quarantined_segments() == 0);
  CHECK(store.writer().revoked_segments() == 0);
  CHECK(store.Generation(segment) > generation);
  store.Churn();
  store.CheckSound();
}

TEST_CASE("a segment whose last entry was overwritten waits for its pin as well") {
  PinStore store;
  const std::string value(15'000, 'v');
  for (int i = 0; i < 4; ++i) store.Set(store.ns(), fmt::format("{}", i), value);
  const std::uint32_t segment = store.SegmentOf("0");
  store.Set(store.ns(), "next", value);  // seals it
  REQUIRE(store.SegmentOf("next") != segment);
  ValueView view;
  store.View("3", &view);
  for (int i = 0; i < 4; ++i)
    static_cast<void>(store.writer().Delete(store.ns(), fmt::format("{}", i), {}));
  CHECK(store.State(segment) == SegmentState::kRetiring);
  CHECK(store.writer().quarantined_segments() == 1);
  store.CheckSound();
  CHECK(view.bytes() == value);
  CHECK(view.Release());
  store.writer().ReviewPins();
  CHECK(store.State(segment) == SegmentState::kFree);
  store.CheckSound();
}

TEST_CASE(
    "a pin is revoked pin_max after its segment was needed, however long it was held before") {
  PinStore store({.segments = 40});
  store.Set(store.ns(), "key", "the value");
  const std::uint32_t segment = store.SegmentOf("key");
  ValueView view;
  store.View("key", &view);
  store.clock().AdvanceMs(60'000);
  store.writer().ReviewPins();
  CHECK(view.Valid());
  store.Churn();
  store.clock().AdvanceMs(999);
  store.writer().ReviewPins();
  CHECK(view.Valid());
  CHECK(store.writer().revoked_segments() == 0);
  store.clock().AdvanceMs(1);
  store.writer().ReviewPins();
  CHECK(store.State(segment) == SegmentState::kFree);
  CHECK(store.writer().revoked_segments() == 1);
  CHECK_FALSE(view.Valid());
  CHECK_FALSE(view.Release());
  CHECK(store.pins().empty());
  store.CheckSound();
}

TEST_CASE("a revoked view says so after its memory was taken, used and pinned by another") {
  PinStore store({.segments = 8});
  store.Set(store.ns(), "key", "the value");
  const std::uint32_t segment = store.SegmentOf("key");
  ValueView view;
  store.View("key", &view);
  const std::uint64_t generation = store.Generation(segment);
  for (int i = 0; store.Generation(segment) < generation + 64 && i < 100'000; ++i) {
    store.clock().AdvanceMs(2000);
    store.writer().ReviewPins();
    store.Churn(1);
  }
  CHECK(store.Generation(segment) >= generation + 64);
  // As often as the slot's six bits can tell apart.
  CHECK_FALSE(view.Valid());
  CHECK_FALSE(view.Release());
}

// Pins whatever holds entries now, as somebody would who wants to stop the writer.
void PinEverything(PinStore& store) {
  std::size_t pin = 0;
  for (std::uint32_t segment = 0; segment < store.view().segment_count() && pin < 64; ++segment) {
    store.pins()[pin].generation->StoreRelaxed(store.Generation(segment));
    store.pins()[pin++].segment_plus_one->StoreRelaxed(segment + 1);
  }
}

TEST_CASE("pins hold back a twentieth of a store at most, and one segment of a small one") {
  std::uint32_t segments = 0;
  SUBCASE("small") { segments = 8; }
  SUBCASE("larger") { segments = 60; }
  PinStore store({.segments = segments}, 0);
  std::uint32_t most = 0;
  for (int i = 0; i < 3000; ++i) {
    PinEverything(store);
    store.Churn(3);
    most = std::max(most, store.writer().quarantined_segments());
  }
  CHECK(most == std::max(1U, segments / kQuarantineShare));
  CHECK(store.writer().revoked_segments() > 50);
  store.CheckSound();
}

TEST_CASE("a pin refuses no write, and loses no entry, where nothing may be evicted") {
  PinStore store({.segments = 10});
  const std::uint16_t ns = store.Namespace("kept", {.evict = false});
  const std::string value(2000, 'v');
  const auto set = [&](std::uint32_t key) {
    return store.writer().Set(ns, fmt::format("{}", key), value, {}, {}).ok();
  };
  std::uint32_t keys = 0;
  while (set(keys)) ++keys;
  // Room enough to squeeze the dead out, as overwrites go on.
  const std::uint32_t first = 70;
  for (std::uint32_t key = 0; key < first; ++key)
    REQUIRE(store.writer().Delete(ns, fmt::format("{}", key), {}).ok());
  std::uint32_t refused = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    PinEverything(store);
    if (!set(first + i * 7 % (keys - first))) ++refused;
  }
  CHECK(refused == 0);
  CHECK(store.writer().revoked_segments() > 0);
  for (std::uint32_t key = first; key < keys; ++key)
    CHECK(store.Get(ns, fmt::format("{}", key)) == value);
  store.CheckSound();
}

TEST_CASE("nothing in a pin record is trusted") {
  PinStore store({.segments = 40});
  std::uint64_t segment = 0;
  std::uint64_t generation = 0;
  SUBCASE("the segment behind the last") { segment = 41; }
  SUBCASE("a segment far outside") { segment = ~std::uint64_t{0}; }
  SUBCASE("a segment whose low 32 bits are one") { segment = (std::uint64_t{1} << 32U) + 5; }
  bool all = false;
  SUBCASE("generations that are long gone, or to come") { all = true; }
  SUBCASE("generations with a state") {
    all = true;
    generation = std::uint64_t{2} << kSegmentStateShift;
  }
  for (std::size_t i = 0; i < 64; ++i) {
    store.pins()[i].segment_plus_one->StoreRelaxed(all ? i + 1 : segment);
    store.pins()[i].generation->StoreRelaxed(all && generation == 0 ? i * 1000 + 500 : generation);
  }
  store.Churn();
  CHECK(store.writer().quarantined_segments() == 0);
  CHECK(store.writer().revoked_segments() == 0);
  store.CheckSound();
}

}  // namespace
}  // namespace hearth::cache
