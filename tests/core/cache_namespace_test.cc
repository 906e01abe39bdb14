// Namespaces at run time: flushed, altered, dropped, and ids that get another namespace.
#include <cstdint>
#include <string>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "core/cache/writer.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::TestStore;

constexpr std::uint64_t kSegment = 64 * kKiB;

void CheckSound(const TestStore& store) {
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
}

std::uint64_t UsedBytes(const TestStore& store, std::uint16_t ns) {
  return store.view().namespace_record(ns).used_bytes.LoadRelaxed();
}

std::string Key(std::uint32_t number) { return fmt::format("k{:07}", number); }
// Four entries of this size fill a segment.
std::string Quarter() { return std::string(16'000, 'q'); }

std::optional<std::string> Read(const TestStore& store, std::uint32_t handle,
                                std::string_view key) {
  std::string value;
  if (store.AttachedReader().Get(handle, key, &value).outcome != ReadOutcome::kHit)
    return std::nullopt;
  return value;
}

void Fill(TestStore& store, std::uint16_t ns, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) store.Set(ns, Key(i), Quarter());
}

void ReclaimAll(TestStore& store) {
  while (store.writer().Reclaim(kSegment)) continue;
}

TEST_CASE("flush: what was written before is gone at once, for readers and for the writer") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("ns");
  const std::uint16_t other = store.Namespace("other");
  store.Set(ns, "key", "old");
  store.Set(other, "key", "stays");
  REQUIRE(store.writer().FlushNamespace(ns).ok());
  CHECK(!Read(store, ns, "key"));
  CHECK(Read(store, other, "key") == "stays");
  CHECK(store.writer().Replace(ns, "key", "x", {}, {}).status.code() == Code::kNotFound);
  CHECK(store.writer().Touch(ns, "key", {}, {}).status().code() == Code::kNotFound);
  CHECK(store.writer().Delete(ns, "key", {}).status().code() == Code::kNotFound);
  store.Set(ns, "key", "new");
  CHECK(Read(store, ns, "key") == "new");
  CheckSound(store);
}

TEST_CASE("flush: the room is free after Reclaim(), without a write and without losing others") {
  TestStore store({.segments = 32});
  const std::uint16_t ns = store.Namespace("ns");
  const std::uint16_t other = store.Namespace("other");
  store.Set(other, "key", "stays");
  Fill(store, ns, 40);
  CHECK(UsedBytes(store, ns) >= 10 * kSegment);
  CHECK(!store.writer().Reclaim(kSegment));
  REQUIRE(store.writer().FlushNamespace(ns).ok());
  store.Set(ns, "after", "new");
  ReclaimAll(store);
  CHECK(UsedBytes(store, ns) == kSegment);
  CHECK(Read(store, ns, "after") == "new");
  CHECK(Read(store, other, "key") == "stays");
  CHECK(store.view().header().entry_count.LoadRelaxed() == 2);
  CHECK(store.view().header().evicted_entries.LoadRelaxed() == 0);
  CheckSound(store);
}

TEST_CASE("flush: a walk that has begun frees its segment too") {
  TestStore store({.segments = 32});
  const std::uint16_t ns = store.Namespace("ns");
  Fill(store, ns, 12);
  REQUIRE(store.writer().FlushNamespace(ns).ok());
  for (int i = 0; i < 40; ++i) store.writer().Reclaim(1);
  CHECK(UsedBytes(store, ns) == 0);
  CheckSound(store);
}

TEST_CASE("flush: a full namespace that does not evict takes writes again") {
  TestStore store({.segments = 16});
  const std::uint16_t ns = store.Namespace("ns", {.quota_max_bytes = 3 * kSegment, .evict = false});
  Fill(store, ns, 12);
  CHECK(store.writer().Set(ns, "more", Quarter(), {}, {}).status().code() ==
        Code::kResourceExhausted);
  REQUIRE(store.writer().FlushNamespace(ns).ok());
  Fill(store, ns, 12);
  CHECK(store.view().header().evicted_entries.LoadRelaxed() == 0);
  CheckSound(store);
}

TEST_CASE("flush: flushed segments go before anything that lives") {
  TestStore store({.segments = 16});
  const std::uint16_t ns = store.Namespace("ns", {.evict = false});
  const std::uint16_t other = store.Namespace("other");
  Fill(store, other, 16);
  Fill(store, ns, 24);
  REQUIRE(store.writer().FlushNamespace(ns).ok());
  for (std::uint32_t i = 100; i < 116; ++i) store.Set(other, Key(i), Quarter());
  for (std::uint32_t i = 0; i < 16; ++i) CHECK(Read(store, other, Key(i)).has_value());
  CHECK(store.view().header().evicted_entries.LoadRelaxed() == 0);
  CheckSound(store);
}

TEST_CASE("drop: reads miss, writes are refused, and the name is free at once") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("ns", {.quota_min_bytes = 4 * kSegment});
  const std::uint32_t old = store.writer().HandleOf(ns);
  store.Set(ns, "key", "old");
  REQUIRE(store.writer().DropNamespace(ns).ok());
  CHECK(!Read(store, old, "key"));
  CHECK(store.writer().Set(ns, "key", "x", {}, {}).status().code() == Code::kNotFound);
  CHECK(store.writer().Get(ns, "key", nullptr).outcome == ReadOutcome::kMiss);
  CHECK(store.writer().FlushNamespace(ns).code() == Code::kNotFound);
  CHECK(store.writer().AlterNamespace(ns, {}).code() == Code::kNotFound);
  CHECK(store.writer().DropNamespace(ns).code() == Code::kNotFound);
  CHECK(store.AttachedReader().FindNamespace("ns").status().code() == Code::kNotFound);
  // What it was promised is free for others.
  const std::uint16_t again = store.Namespace("ns", {.quota_min_bytes = 4 * kSegment});
  CHECK(again != ns);
  CHECK(!Read(store, again, "key"));
  CheckSound(store);
}

TEST_CASE("drop: an id comes back when nothing of it is left, and is another namespace then") {
  TestStore store({.segments = 32, .namespace_capacity = 3});
  store.Namespace("stays");
  const std::uint16_t first = store.Namespace("first");
  const std::uint32_t old = store.writer().HandleOf(first);
  Fill(store, first, 40);
  CHECK(store.writer().CreateNamespace("third", {}).status().code() == Code::kResourceExhausted);
  REQUIRE(store.writer().DropNamespace(first).ok());
  const std::uint16_t second = store.Namespace("second");  // walks what is left first
  CHECK(second == first);
  CHECK(store.writer().HandleOf(second) == MakeNamespaceHandle(first, 1));
  store.Set(second, Key(1), "of the second");
  CHECK(!Read(store, old, Key(1)));
  CHECK(Read(store, store.writer().HandleOf(second), Key(1)) == "of the second");
  CHECK(*store.AttachedReader().FindNamespace("second") == store.writer().HandleOf(second));
  for (std::uint32_t i = 2; i < 40; ++i)
    CHECK(!Read(store, store.writer().HandleOf(second), Key(i)));
  CheckSound(store);
}

TEST_CASE("drop: thousands of short-lived namespaces in a store with room for three") {
  TestStore store({.segments = 16, .namespace_capacity = 4});
  for (std::uint32_t i = 0; i < 3000; ++i) {
    const std::uint16_t ns = store.Namespace(fmt::format("n{}", i));
    store.Set(ns, "key", fmt::format("{}", i));
    CHECK(Read(store, store.writer().HandleOf(ns), "key") == fmt::format("{}", i));
    REQUIRE(store.writer().DropNamespace(ns).ok());
  }
  CheckSound(store);
}

TEST_CASE("alter: defaults, quotas and flags change, entries stay") {
  TestStore store({.segments = 32});
  const std::uint16_t ns = store.Namespace("ns", {.hard_ttl_ms = 1000});
  store.Set(ns, "key", "value");
  const NamespaceOptions options{.hard_ttl_ms = 9000,
                                 .soft_ttl_ms = 500,
                                 .quota_min_bytes = 2 * kSegment,
                                 .quota_max_bytes = 4 * kSegment,
                                 .evict = false,
                                 .strict = true};
  REQUIRE(store.writer().AlterNamespace(ns, options).ok());
  CHECK(store.writer().OptionsOf(ns) == options);
  store.Set(ns, "later", "value");
  store.clock().AdvanceMs(1000);
  store.writer().Heartbeat();
  CHECK(!Read(store, ns, "key"));
  CHECK(Read(store, ns, "later") == "value");
  store.clock().AdvanceMs(2001);
  CHECK(!Read(store, ns, "later"));  // strict, and the heartbeat is old
  store.writer().Heartbeat();
  CHECK(Read(store, ns, "later") == "value");
  Fill(store, ns, 16);
  CHECK(store.writer().Set(ns, "more", Quarter(), {}, {}).status().code() ==
        Code::kResourceExhausted);
  REQUIRE(store.writer().AlterNamespace(ns, {.quota_max_bytes = 2 * kSegment}).ok());
  Fill(store, ns, 8);
  CHECK(UsedBytes(store, ns) <= 2 * kSegment);
  CheckSound(store);
}

TEST_CASE("alter: impossible options change nothing") {
  TestStore store({.segments = 16});
  const std::uint16_t ns = store.Namespace("ns", {.quota_min_bytes = 4 * kSegment});
  store.Namespace("other", {.quota_min_bytes = 8 * kSegment});
  const NamespaceOptions before = store.writer().OptionsOf(ns);
  auto refused = [&](const NamespaceOptions& options, Code code) {
    const Status status = store.writer().AlterNamespace(ns, options);
    CHECK(status.code() == code);
    CHECK(status.message().find("'ns'") != std::string::npos);
    CHECK(store.writer().OptionsOf(ns) == before);
  };
  refused({.quota_min_bytes = 7 * kSegment}, Code::kResourceExhausted);
  refused({.quota_max_bytes = kSegment}, Code::kInvalidArgument);
  refused({.quota_min_bytes = 3 * kSegment, .quota_max_bytes = 2 * kSegment},
          Code::kInvalidArgument);
  refused({.hard_ttl_ms = 5, .soft_ttl_ms = 6}, Code::kInvalidArgument);
  refused({.hard_ttl_ms = kMaxTtlMs + 1}, Code::kInvalidArgument);
  // Its own promise does not count twice.
  CHECK(store.writer().AlterNamespace(ns, {.quota_min_bytes = 6 * kSegment}).ok());
}

// What a killed writer leaves: the first store decides, for readers of the memory as it stands.
TEST_CASE("drop: killed after the first store, it is dropped") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("ns");
  store.Set(ns, "key", "value");
  bool seen = false;
  SetFailpoint("namespace.after_dropped", [&] {
    seen = true;
    CHECK(!Read(store, ns, "key"));
    const std::uint32_t word = store.view().namespace_record(ns).state.LoadRelaxed();
    CHECK(NamespaceStateOf(word) == NamespaceState::kDropped);
  });
  REQUIRE(store.writer().DropNamespace(ns).ok());
  ClearFailpoint("namespace.after_dropped");
  CHECK(seen);
}

TEST_CASE("flush: killed after the first store, it is flushed") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("ns");
  store.Set(ns, "key", "value");
  bool seen = false;
  SetFailpoint("namespace.after_flushed_version", [&] {
    seen = true;
    CHECK(!Read(store, ns, "key"));
  });
  REQUIRE(store.writer().FlushNamespace(ns).ok());
  ClearFailpoint("namespace.after_flushed_version");
  CHECK(seen);
}

TEST_CASE("create: killed before the state word, there is no such namespace") {
  TestStore store;
  bool seen = false;
  SetFailpoint("namespace.before_live", [&] {
    seen = true;
    CHECK(!store.AttachedReader().FindNamespace("ns").ok());
    CHECK(!NamespaceTable(store.view()).Find("ns"));
  });
  const std::uint16_t ns = store.Namespace("ns");
  ClearFailpoint("namespace.before_live");
  CHECK(seen);
  CHECK(NamespaceTable(store.view()).Find("ns") == ns);
}

TEST_CASE("the table of namespaces is what the records say") {
  TestStore store({.segments = 64, .namespace_capacity = 5});
  store.Namespace("a", {.quota_min_bytes = 3 * kSegment});
  const std::uint16_t dropped = store.Namespace("b", {.quota_min_bytes = 5 * kSegment});
  REQUIRE(store.writer().DropNamespace(dropped).ok());
  NamespaceTable table(store.view());
  CHECK(table.live() == 1);
  CHECK(table.Find("a") == 1);
  CHECK(!table.Find("b"));
  CHECK(table.promised() == 3);
  CHECK(table.TakeId() == 3);
  CHECK(table.TakeId() == 4);
  CHECK(!table.TakeId());
  table.ReleaseDropped([](std::uint16_t) { return false; });
  CHECK(!table.TakeId());
  table.ReleaseDropped([](std::uint16_t) { return true; });
  CHECK(table.TakeId() == dropped);
}

}  // namespace
}  // namespace hearth::cache
