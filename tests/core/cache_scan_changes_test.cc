// Scans under which everything but some keys changes: those are returned all the same.
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "core/cache/scanner.h"
#include "core/cache/writer.h"
#include "tests/support/scans.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindSlot;
using testing::Found;
using testing::IndexPages;
using testing::Key;
using testing::Must;
using testing::Rest;
using testing::TestStore;

TEST_CASE("scan: every key that stays is returned, though pages split after each entry") {
  TestStore store({.segments = 80});
  const std::uint16_t ns = store.Namespace("n", {.evict = false});
  for (std::uint32_t i = 0; i < 3000; ++i) store.Set(ns, Key(i), "stays");
  const StoreReader reader = store.Reader();
  const std::size_t before = IndexPages(store.view()).size();
  Scanner scanner = Must(Scanner::Begin(reader, ns, {.prefix = "key"}));
  std::uint32_t more = 0;
  const Found found = Rest(scanner, 10, [&] {
    for (int i = 0; i < 8; ++i) store.Set(ns, fmt::format("more {}", ++more), "");
  });
  CHECK(found.size() == 3000);
  CHECK(IndexPages(store.view()).size() > before + 4);
}

TEST_CASE("scan: every key that stays is returned, though a cursor waits while pages split") {
  TestStore store({.segments = 80});
  const std::uint16_t ns = store.Namespace("n", {.evict = false});
  for (std::uint32_t i = 0; i < 3000; ++i) store.Set(ns, Key(i), "stays");
  const StoreReader reader = store.Reader();
  std::set<std::string> found;
  std::string cursor = Must(Scanner::Begin(reader, ns, {.prefix = "key"})).Cursor();
  for (std::uint32_t more = 0;;) {
    Scanner scanner = Must(Scanner::Resume(reader, ns, {.prefix = "key"}, cursor));
    ScannedEntry entry;
    bool left = true;
    for (int i = 0; i < 100 && left; ++i) {
      const auto next = scanner.Next(&entry);
      REQUIRE(next.ok());
      left = *next;
      if (left) found.insert(entry.key);
    }
    if (!left) break;
    cursor = scanner.Cursor();
    for (int i = 0; i < 800 && more < 30'000; ++i)
      store.Set(ns, fmt::format("more {}", ++more), "");
  }
  CHECK(found.size() == 3000);
}

// A scan that has returned the first of the namespace's two keys when their page is split.
class SplitUnderScan {
 public:
  SplitUnderScan()
      : ns_(store_.Namespace("n", {.evict = false})),
        filler_(store_.Namespace("filler", {.evict = false})),
        reader_(store_.Reader()) {
    store_.Set(ns_, "a", "old");
    store_.Set(ns_, "b", "old");
    scanner_.emplace(Must(Scanner::Begin(reader_, ns_, {})));
    ScannedEntry entry;
    REQUIRE(*scanner_->Next(&entry));
    other_ = entry.key == "a" ? "b" : "a";
    Atomic<std::uint64_t>& word = store_.view().directory(0);
    const std::uint64_t before = word.LoadRelaxed();
    page_ = DirectoryPage(before);
    REQUIRE(FindSlot(store_.view(), ns_, other_)->page == page_);
    for (int i = 0; word.LoadRelaxed() == before; ++i) store_.Set(filler_, std::to_string(i), "");
  }

  TestStore store_{{.segments = 40}};
  std::uint16_t ns_;
  std::uint16_t filler_;
  StoreReader reader_;
  std::optional<Scanner> scanner_;
  std::string other_;
  std::uint32_t page_ = 0;
};

TEST_CASE("scan: a page that was split is not believed: what it says may be long outdated") {
  SplitUnderScan scan;
  scan.store_.Set(scan.ns_, scan.other_, "new");
  CHECK(Rest(*scan.scanner_).at(scan.other_) == "new");
}

TEST_CASE("scan: a page that was split and emptied for its next life hides no key") {
  SplitUnderScan scan;
  Bucket* page = scan.store_.view().page(scan.page_);
  for (std::uint32_t bucket = kFirstHomeBucket; bucket < kBucketsPerPage; ++bucket)
    for (auto& slot : page[bucket].slots) slot.StoreRelaxed(0);
  CHECK(Rest(*scan.scanner_).contains(scan.other_));
}

TEST_CASE("scan: every key that stays is returned once, though all are overwritten and moved") {
  TestStore store({.segments = 12});
  const std::uint16_t ns = store.Namespace("n", {.evict = false});
  constexpr std::uint32_t kKeys = 1000;
  for (std::uint32_t i = 0; i < kKeys; ++i) store.Set(ns, Key(i), std::string(500, 'a'));
  const StoreReader reader = store.AttachedReader();
  Scanner scanner = Must(Scanner::Begin(reader, ns, {}));
  SetFailpoint("evict.after_slot", [] {});  // counts what compaction moves
  std::uint32_t i = 0;
  const Found found = Rest(scanner, 1, [&] {
    // Not in turn, so that segments are never dead as a whole.
    for (int n = 0; n < 5; ++n, ++i)
      store.Set(ns, Key(i * 2654435761U / 4096 % kKeys),
                std::string(500, static_cast<char>('a' + i % 26)));
  });
  CHECK(FailpointHits("evict.after_slot") > 100);
  ClearFailpoint("evict.after_slot");
  CHECK(found.size() == kKeys);
  for (const auto& [key, value] : found) CHECK(value == std::string(500, value[0]));
}

TEST_CASE("scan: what is evicted meanwhile is left out, what stays is returned") {
  TestStore store({.segments = 20});
  const std::uint16_t ns = store.Namespace("stays", {.evict = false});
  const std::uint16_t other = store.Namespace("goes");
  for (std::uint32_t i = 0; i < 300; ++i) {
    store.Set(ns, Key(i), "stays");
    store.Set(other, Key(i), std::string(500, 'g'));
  }
  const StoreReader reader = store.AttachedReader();
  Scanner scanner = Must(Scanner::Begin(reader, ns, {}));
  Scanner going = Must(Scanner::Begin(reader, other, {}));
  std::uint32_t more = 300;
  ScannedEntry entry;
  const Found found = Rest(scanner, 1, [&] {
    for (int n = 0; n < 20; ++n) store.Set(other, Key(++more), std::string(500, 'g'));
    const auto next = going.Next(&entry);
    REQUIRE(next.ok());
    if (*next) CHECK(entry.value == std::string(500, 'g'));
  });
  CHECK(store.view().header().evicted_entries.LoadRelaxed() > 1000);
  CHECK(found.size() == 300);
}

TEST_CASE(
    "scan: an entry that is replaced while it is copied is read again; one that goes is left") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "key", "old");
  const StoreReader reader = store.AttachedReader();
  int hits = 0;
  std::function<void()> change;
  SUBCASE("replaced") {
    change = [&] { store.Set(ns, "key", "new"); };
  }
  SUBCASE("deleted") {
    change = [&] { static_cast<void>(store.writer().Delete(ns, "key", {}).ok()); };
  }
  SUBCASE("its segment reused") {
    change = [&] {
      SegmentHeader& header =
          store.view().segment(SlotSegment(FindSlot(store.view(), ns, "key")->word));
      const std::uint64_t word = header.state_generation.LoadRelaxed();
      store.Set(ns, "key", "new");
      header.state_generation.StoreRelaxed(word + 64);
    };
  }
  SetFailpoint("scanner.after_copy", [&] {
    if (++hits == 1) change();
  });
  Scanner scanner = Must(Scanner::Begin(reader, ns, {}));
  const Found found = Rest(scanner);
  ClearFailpoint("scanner.after_copy");
  CHECK((found == Found{} || found == Found{{"key", "new"}}));
}

TEST_CASE("scan: an entry that never stands still is an error, after which the scan goes on") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "key", "value");
  const StoreReader reader = store.Reader();
  Scanner scanner = Must(Scanner::Begin(reader, ns, {}));
  SetFailpoint("scanner.after_copy", [&] { store.Set(ns, "key", "value"); });
  ScannedEntry entry;
  CHECK(scanner.Next(&entry).status().code() == Code::kUnavailable);
  ClearFailpoint("scanner.after_copy");
  CHECK((Rest(scanner) == Found{{"key", "value"}}));
}

}  // namespace
}  // namespace hearth::cache
