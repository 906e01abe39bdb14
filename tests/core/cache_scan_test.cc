// Scans: equal to a map while nothing changes, with cursors that go on anywhere, and bounded
// whatever the bytes are. cache_scan_changes_test has those under which something changes,
// threads_scan_test the concurrent ones.
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "core/cache/scanner.h"
#include "core/cache/writer.h"
#include "tests/support/scans.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::Found;
using testing::IndexPages;
using testing::Key;
using testing::Must;
using testing::Random;
using testing::Rest;
using testing::RunSeed;
using testing::TestStore;

Found ScanAll(const StoreReader& reader, std::uint16_t ns, const std::string& prefix = "") {
  Scanner scanner = Must(Scanner::Begin(reader, ns, {.prefix = prefix}));
  return Rest(scanner);
}

// More than one page holds.
constexpr std::uint32_t kManyKeys = 20'000;

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

}  // namespace
}  // namespace hearth::cache
