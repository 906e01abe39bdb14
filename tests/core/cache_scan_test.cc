// Scans: equal to a map while nothing changes, complete for every key that stays while everything
// else does, and bounded whatever the bytes are. threads_scan_test has the concurrent ones.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "core/cache/scanner.h"
#include "core/cache/writer.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindSlot;
using testing::IndexPages;
using testing::Random;
using testing::RunSeed;
using testing::TestStore;

using Found = std::map<std::string, std::string>;

Scanner Must(Result<Scanner> scanner) {
  REQUIRE_MESSAGE(scanner.ok(), scanner.status().ToString());
  return std::move(*scanner);
}

// All that is left of a scan; every key at most `times` times.
Found Rest(Scanner& scanner, std::uint32_t times = 1,
           const std::function<void()>& between = nullptr) {
  Found found;
  std::map<std::string, std::uint32_t> seen;
  ScannedEntry entry;
  while (true) {
    const auto more = scanner.Next(&entry);
    REQUIRE_MESSAGE(more.ok(), more.status().ToString());
    if (!*more) break;
    CHECK(entry.value_bytes >= entry.value.size());
    CHECK(++seen[entry.key] <= times);
    found[entry.key] = entry.value;
    if (between) between();
  }
  const auto again = scanner.Next(&entry);
  CHECK((again.ok() && !*again));
  return found;
}

Found ScanAll(const StoreReader& reader, std::uint16_t ns, const std::string& prefix = "") {
  Scanner scanner = Must(Scanner::Begin(reader, ns, {.prefix = prefix}));
  return Rest(scanner);
}

// More than one page holds.
constexpr std::uint32_t kManyKeys = 20'000;
std::string Key(std::uint32_t i) { return fmt::format("key {}", i); }

struct Filled {
  Filled() {
    ns = store.Namespace("n");
    other = store.Namespace("other");
    for (std::uint32_t i = 0; i < kManyKeys; ++i) store.Set(ns, Key(i), std::to_string(i));
    for (std::uint32_t i = 0; i < 100; ++i) store.Set(other, Key(i), "other");
    REQUIRE(IndexPages(store.view()).size() > 4);
  }
  TestStore store{{.segments = 80}};
  std::uint16_t ns = 0;
  std::uint16_t other = 0;
};

TEST_CASE("scan: as a map, for each prefix, while nothing changes") {
  HEARTH_SHOW_SEED();
  TestStore store({.segments = 80});
  const std::uint16_t ns = store.Namespace("n", {.evict = false});
  const std::uint16_t other = store.Namespace("other");
  Random random(RunSeed());
  Found model;
  for (int i = 0; i < 30'000; ++i) {
    const std::string key = fmt::format("{:x}", random.Below(12'000));
    if (random.OneIn(4)) {
      static_cast<void>(store.writer().Delete(ns, key, {}).ok());
      model.erase(key);
    } else {
      const std::string value(random.Below(50), static_cast<char>('a' + random.Below(26)));
      store.Set(ns, key, value);
      model[key] = value;
    }
    if (i % 50 == 0) store.Set(other, key, "not mine");
  }
  const StoreReader reader = store.AttachedReader();
  CHECK((ScanAll(reader, ns) == model));
  for (const std::string prefix : {"1", "ff", "abc", "0", "zz"}) {
    Found wanted;
    for (const auto& [key, value] : model)
      if (key.starts_with(prefix)) wanted.emplace(key, value);
    CHECK((ScanAll(reader, ns, prefix) == wanted));
  }
}

TEST_CASE("scan: metadata, sizes without values, and nothing that readers would not see") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "stale", "1", {.hard_ms = 5000, .soft_ms = 10});
  store.Set(ns, "gone", "2", {.hard_ms = 10});
  store.Set(ns, "empty", "");
  const std::uint64_t version = store.Set(ns, "large", std::string(16'000, 'l'));
  store.clock().AdvanceMs(10);
  std::map<std::string, ScannedEntry> found;
  const StoreReader reader = store.Reader();
  Scanner scanner = Must(Scanner::Begin(reader, ns, {.prefix = "", .values = false}));
  ScannedEntry entry;
  while (*scanner.Next(&entry)) found[entry.key] = entry;
  CHECK(found.size() == 3);
  CHECK(found.at("stale").stale);
  CHECK(found.at("stale").hard_expiry_ms == 5000);
  CHECK(found.at("empty").value_bytes == 0);
  CHECK(found.at("large").value.empty());
  CHECK(found.at("large").value_bytes == 16'000);
  CHECK(found.at("large").version == version);
}

TEST_CASE("scan: a strict namespace is empty while the heartbeat is stale") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n", {.strict = true});
  store.Set(ns, "key", "value");
  store.writer().Heartbeat();
  CHECK(ScanAll(store.Reader(), ns).size() == 1);
  store.clock().AdvanceMs(3000);
  CHECK(ScanAll(store.Reader(), ns).empty());
}

TEST_CASE("scan: a cursor after each entry, in any process, loses and repeats nothing") {
  Filled filled;
  const StoreReader reader = filled.store.Reader();
  const StoreReader second = filled.store.AttachedReader();
  Found found;
  std::string cursor = Must(Scanner::Begin(reader, filled.ns, {})).Cursor();
  for (std::uint32_t i = 0;; ++i) {
    Scanner scanner = Must(Scanner::Resume(i % 2 == 0 ? reader : second, filled.ns, {}, cursor));
    ScannedEntry entry;
    const auto more = scanner.Next(&entry);
    REQUIRE(more.ok());
    cursor = scanner.Cursor();
    if (!*more) break;
    CHECK(found.emplace(entry.key, entry.value).second);
  }
  CHECK(found.size() == kManyKeys);
  Scanner end = Must(Scanner::Resume(reader, filled.ns, {}, cursor));
  CHECK(Rest(end).empty());
}

TEST_CASE("scan: cursors of other stores and namespaces, of dropped ones, and made-up ones") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::uint16_t other = store.Namespace("other");
  const StoreReader reader = store.Reader();
  const std::string cursor = Must(Scanner::Begin(reader, ns, {})).Cursor();
  CHECK(cursor.size() == 86);
  const auto code = [&](std::uint16_t id, const std::string& text) {
    const auto scanner = Scanner::Resume(reader, id, {}, text);
    return scanner.ok() ? Code::kOk : scanner.status().code();
  };
  CHECK(code(ns, cursor) == Code::kOk);
  CHECK(code(other, cursor) == Code::kFailedPrecondition);
  for (std::size_t i = 0; i < cursor.size(); ++i) {
    std::string wrong = cursor;
    wrong[i] = wrong[i] == '0' ? '1' : '0';
    CHECK(code(ns, wrong) == Code::kInvalidArgument);
  }
  for (const std::string& text :
       {std::string(), std::string(86, 'x'), cursor + "00", cursor.substr(2), std::string(86, '0')})
    CHECK(code(ns, text) == Code::kInvalidArgument);
  ScanCursor foreign = *ScanCursor::Decode(cursor);
  foreign.store[0] ^= 1U;
  CHECK(code(ns, foreign.Encode()) == Code::kFailedPrecondition);

  // Dropped, and its id given to another one.
  Scanner running = Must(Scanner::Begin(reader, ns, {}));
  NamespaceRecord& record = store.view().namespace_record(ns);
  record.state.StoreRelease(MakeNamespaceWord(NamespaceState::kDropped, 0));
  CHECK(code(ns, cursor) == Code::kNotFound);
  CHECK(Scanner::Begin(reader, ns, {}).status().code() == Code::kNotFound);
  ScannedEntry entry;
  CHECK(running.Next(&entry).status().code() == Code::kNotFound);
  record.state.StoreRelease(MakeNamespaceWord(NamespaceState::kLive, 1));
  CHECK(code(ns, cursor) == Code::kNotFound);
  CHECK(Scanner::Begin(reader, 60'000, {}).status().code() == Code::kNotFound);
}

// The same fields give this text in go-binding/internal/index/scan_test.go.
TEST_CASE("scan: a cursor is the same text in Go") {
  ScanCursor cursor{.store = {},
                    .handle = 0x56781234,
                    .hash = 0x1122334455667788,
                    .directory = 0x8000000100000002,
                    .position = 513};
  for (std::size_t i = 0; i < cursor.store.size(); ++i)
    cursor.store[i] = static_cast<std::uint8_t>(i);
  CHECK(cursor.Encode() ==
        "01000102030405060708090a0b0c0d0e0f341278568877665544332211020000000100008001"
        "02b889ff63");
  const auto back = ScanCursor::Decode(cursor.Encode());
  REQUIRE(back.ok());
  CHECK(back->position == 513);
  CHECK(back->directory == cursor.directory);
}

TEST_CASE("scan: a cursor with any position ends, and returns nothing that is not there") {
  HEARTH_SHOW_SEED();
  Filled filled;
  const StoreReader reader = filled.store.Reader();
  ScanCursor cursor = *ScanCursor::Decode(Must(Scanner::Begin(reader, filled.ns, {})).Cursor());
  Random random(RunSeed());
  for (int i = 0; i < 100; ++i) {
    cursor.hash = random.OneIn(4) ? ~std::uint64_t{0} : random.Next();
    cursor.position = static_cast<std::uint16_t>(random.Next());
    cursor.directory = random.OneIn(2)
                           ? random.Next()
                           : filled.store.view()
                                 .directory(filled.store.view().DirectoryIndex(cursor.hash))
                                 .LoadRelaxed();
    Scanner scanner = Must(Scanner::Resume(reader, filled.ns, {}, cursor.Encode()));
    for (const auto& [key, value] : Rest(scanner)) CHECK("key " + value == key);
  }
}

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
  TestStore store({.segments = 40});
  const std::uint16_t ns = store.Namespace("n", {.evict = false});
  constexpr std::uint32_t kKeys = 1000;
  for (std::uint32_t i = 0; i < kKeys; ++i) store.Set(ns, Key(i), std::string(500, 'a'));
  const StoreReader reader = store.AttachedReader();
  Scanner scanner = Must(Scanner::Begin(reader, ns, {}));
  std::uint32_t i = 0;
  const Found found = Rest(scanner, 1, [&] {
    for (int n = 0; n < 3; ++n, ++i)
      store.Set(ns, Key(i * 7 % kKeys), std::string(500, static_cast<char>('a' + i % 26)));
  });
  CHECK(found.size() == kKeys);
  for (const auto& [key, value] : found) CHECK(value == std::string(500, value[0]));
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
