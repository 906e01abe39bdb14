// What a reader may see between any two steps of the writer. The failpoint's action runs on the
// writer's thread at exactly that step, and reads as any reader would.
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "core/cache/writer.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::AllSlots;
using testing::FindSlot;
using testing::TestStore;

// Runs `action` at each hit of a failpoint, as long as the object lives.
class At {
 public:
  At(const char* name, std::function<void()> action) : name_(name) {
    SetFailpoint(name, std::move(action));
  }
  At(const At&) = delete;
  At& operator=(const At&) = delete;
  ~At() { ClearFailpoint(name_); }

 private:
  const char* name_;
};

bool PointsInto(const TestStore& store, std::uint32_t segment) {
  for (const auto& place : AllSlots(store.view()))
    if (SlotSegment(place.word) == segment) return true;
  return false;
}

TEST_CASE("order: an overwrite is visible with its slot, not with its body or its watermark") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "key", "old");
  std::map<std::string, std::optional<std::string>> seen;
  const At body("writer.after_body", [&] { seen["body"] = store.Get(ns, "key"); });
  const At watermark("writer.after_watermark", [&] { seen["watermark"] = store.Get(ns, "key"); });
  const At slot("writer.after_slot", [&] { seen["slot"] = store.Get(ns, "key"); });
  store.Set(ns, "key", "new");
  REQUIRE(seen.size() == 3);
  CHECK(seen["body"] == "old");
  CHECK(seen["watermark"] == "old");
  CHECK(seen["slot"] == "new");
}

TEST_CASE("order: (I1) whenever a slot appears, its entry is complete and below the watermark") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  std::uint64_t checked = 0;
  const auto check = [&] {
    for (const auto& place : AllSlots(store.view())) {
      EntryView entry;
      const std::uint32_t segment = SlotSegment(place.word);
      REQUIRE(ParseEntry(store.view(), segment, SlotOffset(place.word), &entry));
      REQUIRE(EntryCrc(entry) == entry.header.crc32c);
      REQUIRE(SlotOffset(place.word) + entry.bytes <=
              store.view().segment(segment).write_watermark.LoadRelaxed());
      ++checked;
    }
  };
  const At body("writer.after_body", check);
  const At watermark("writer.after_watermark", check);
  const At slot("writer.after_slot", check);
  for (int i = 0; i < 200; ++i)
    store.Set(ns, fmt::format("{}", i % 30), std::string(static_cast<std::size_t>(i) * 80, 'v'));
  CHECK(checked > 1000);
}

TEST_CASE("order: below a write watermark there are only complete entries") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  std::uint64_t checked = 0;
  const auto check = [&] {
    for (std::uint32_t i = 0; i < store.view().segment_count(); ++i) {
      const SegmentHeader& header = store.view().segment(i);
      const std::uint64_t word = header.state_generation.LoadRelaxed();
      if (SegmentStateOf(word) != SegmentState::kOpen) continue;
      std::uint32_t offset = 0;
      for (EntryView entry; offset < header.write_watermark.LoadRelaxed(); ++checked) {
        REQUIRE(ParseEntry(store.view(), i, offset, &entry));
        REQUIRE(EntryCrc(entry) == entry.header.crc32c);
        offset += static_cast<std::uint32_t>(entry.bytes);
      }
      REQUIRE(offset == header.write_watermark.LoadRelaxed());
    }
  };
  const At body("writer.after_body", check);
  const At watermark("writer.after_watermark", check);
  const At slot("writer.after_slot", check);
  for (int i = 0; i < 300; ++i)
    store.Set(ns, fmt::format("{}", i % 30), std::string(static_cast<std::size_t>(i) * 40, 'v'));
  CHECK(checked > 1000);
}

TEST_CASE("order: a new key is invisible before its slot, a deleted one at once") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  std::vector<bool> seen;
  const At watermark("writer.after_watermark",
                     [&] { seen.push_back(store.Get(ns, "key").has_value()); });
  const At slot("writer.after_slot", [&] { seen.push_back(store.Get(ns, "key").has_value()); });
  store.Set(ns, "key", "value");
  REQUIRE(store.writer().Delete(ns, "key", {}).ok());
  CHECK(seen == std::vector<bool>{false, true, false});
}

TEST_CASE("order: (I3) within a generation watermarks only grow, and the indexed one lags") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  struct Marks {
    std::uint64_t generation = 0;
    std::uint32_t write = 0;
    std::uint32_t indexed = 0;
  };
  std::vector<Marks> before(store.view().segment_count());
  std::uint64_t reuses = 0;
  const auto check = [&] {
    for (std::uint32_t i = 0; i < store.view().segment_count(); ++i) {
      const SegmentHeader& header = store.view().segment(i);
      const std::uint64_t word = header.state_generation.LoadRelaxed();
      if (SegmentStateOf(word) == SegmentState::kFree) continue;
      const Marks now{SegmentGenerationOf(word), header.write_watermark.LoadRelaxed(),
                      header.indexed_watermark.LoadRelaxed()};
      REQUIRE(now.indexed <= now.write);
      REQUIRE(now.generation >= before[i].generation);
      if (now.generation == before[i].generation) {
        REQUIRE(now.write >= before[i].write);
        REQUIRE(now.indexed >= before[i].indexed);
      } else {
        ++reuses;
      }
      before[i] = now;
    }
  };
  const At body("writer.after_body", check);
  const At watermark("writer.after_watermark", check);
  const At slot("writer.after_slot", check);
  for (std::uint32_t i = 0; i < 500; ++i)
    store.Set(ns, fmt::format("{}", i), std::string(10'000, 'v'));
  CHECK(reuses > 50);
}

TEST_CASE("order: a segment being retired is read until its slots are cleared") {
  TestStore store;
  // So small that the oldest segment is evicted, in turn.
  const std::uint16_t ns = store.Namespace("n", {.quota_max_bytes = 3 * 64 * kKiB});
  const std::string value(16'000, 'q');
  int retired = 0;
  const At mid("writer.mid_retire", [&] {
    ++retired;
    // The oldest four keys of all, still in place.
    for (int i = (retired - 1) * 4; i < retired * 4; ++i) {
      REQUIRE(store.Get(ns, fmt::format("{}", i)).has_value());
      const auto place = FindSlot(store.view(), ns, fmt::format("{}", i));
      REQUIRE(place);
      REQUIRE(SegmentStateOf(
                  store.view().segment(SlotSegment(place->word)).state_generation.LoadRelaxed()) ==
              SegmentState::kRetiring);
    }
  });
  for (int i = 0; i < 60; ++i) store.Set(ns, fmt::format("{}", i), value);
  CHECK(retired == 12);
}

TEST_CASE(
    "order: (I2) the generation moves after the last slot has gone and before any byte changes") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::string value(16'000, 'q');
  // The generation and the bytes each segment had when it was last looked at.
  std::map<std::uint32_t, std::uint64_t> generations;
  std::map<std::uint32_t, std::string> bytes;
  const auto bytes_of = [&](std::uint32_t segment) {
    return std::string(reinterpret_cast<const char*>(store.view().segment_data(segment)),
                       store.view().segment_bytes());
  };
  const auto note = [&] {
    for (std::uint32_t i = 0; i < store.view().segment_count(); ++i) {
      generations[i] = SegmentGenerationOf(store.view().segment(i).state_generation.LoadRelaxed());
      bytes[i] = bytes_of(i);
    }
  };
  int freed = 0;
  const At generation("writer.after_generation", [&] {
    for (std::uint32_t i = 0; i < store.view().segment_count(); ++i) {
      const std::uint64_t word = store.view().segment(i).state_generation.LoadRelaxed();
      if (SegmentGenerationOf(word) == generations[i]) continue;
      ++freed;
      REQUIRE(SegmentGenerationOf(word) == generations[i]++ + 1);  // seen, it may be used anew
      REQUIRE(SegmentStateOf(word) == SegmentState::kFree);
      REQUIRE(!PointsInto(store, i));
      const bool unchanged = bytes_of(i) == bytes[i];
      REQUIRE(unchanged);
    }
  });
  for (int i = 0; i < 60; ++i) {
    note();
    store.Set(ns, fmt::format("{}", i % 50), value);  // evictions, and segments that die
    note();
    if (i % 7 == 3) static_cast<void>(store.writer().Delete(ns, fmt::format("{}", i), {}).ok());
  }
  CHECK(freed >= 8);
}

TEST_CASE("order: a read whose entry changes under each of its tries says so") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "key", "value");
  std::string value;
  {
    const At copy("reader.after_copy", [&] { store.Set(ns, "key", "another"); });
    CHECK(store.Reader().Get(ns, "key", &value).outcome == ReadOutcome::kContended);
    CHECK(FailpointHits("reader.after_copy") == kMaxReadAttempts);
  }
  {
    // One try fewer, and it succeeds.
    int left = kMaxReadAttempts - 1;
    const At copy("reader.after_copy", [&] {
      if (left-- > 0) store.Set(ns, "key", fmt::format("{}", left));
    });
    CHECK(store.Reader().Get(ns, "key", &value).outcome == ReadOutcome::kHit);
    CHECK(value == "0");
  }
}

TEST_CASE("order: a change of the frequency bits alone does not disturb a read") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "key", "value");
  const auto place = FindSlot(store.view(), ns, "key");
  REQUIRE(place);
  const At copy("reader.after_copy", [&] {
    auto& slot = store.view().page(place->page)[place->bucket].slots[place->slot];
    slot.StoreRelaxed(slot.LoadRelaxed() ^ kSlotFrequencyBits);
  });
  std::string value;
  CHECK(store.Reader().Get(ns, "key", &value).outcome == ReadOutcome::kHit);
  CHECK(FailpointHits("reader.after_copy") == 1);
}

TEST_CASE("order: a read that is noted while keys are compared is no reason to begin again") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::uint64_t hash = testing::KeyHash(store.view(), ns, "key");
  const std::string twin = testing::CollidingKeys(
      store.view(), ns, {.like_hash = hash, .same_tag = true}, 1)[0];  // found before "key"
  store.Set(ns, twin, "twin");
  store.Set(ns, "key", "value");
  // One step for each of the two, and their frequencies change during both.
  const At compare("reader.before_entry", [&] { store.writer().NoteRead(hash); });
  std::string value;
  CHECK(store.Reader().Get(ns, "key", &value).outcome == ReadOutcome::kHit);
  CHECK(value == "value");
  CHECK(FailpointHits("reader.before_entry") == 2);
}

}  // namespace
}  // namespace hearth::cache
