// A writer that dies while namespaces are made, flushed and dropped, and what its successor finds.
#include <cstdint>
#include <functional>
#include <string>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "core/base/units.h"
#include "core/cache/writer.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::TestStore;

struct Death {};

// Runs `operation` until it reaches the point, where the writer dies; then a successor takes over.
void DieIn(TestStore& store, const char* point, const std::function<void()>& operation) {
  SetFailpoint(point, [] { throw Death{}; });
  bool died = false;
  try {
    operation();
  } catch (const Death&) {
    died = true;
  }
  ClearFailpoint(point);
  REQUIRE(died);
  const RecoveryReport report = store.TakeOver();
  for (const std::string& damage : report.damage) FAIL(damage);
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL(problem);
}

std::string Key(int i) { return fmt::format("key {}", i); }

void Fill(TestStore& store, std::uint16_t ns) {
  for (int i = 0; i < 500; ++i) store.Set(ns, Key(i), "value");
}

int Count(const TestStore& store, std::uint16_t ns) {
  int there = 0;
  for (int i = 0; i < 500; ++i) there += store.Get(ns, Key(i)).has_value() ? 1 : 0;
  return there;
}

TEST_CASE("recovery: a flush that was begun has happened") {
  TestStore store({.segments = 16});
  const std::uint16_t ns = store.Namespace("n");
  const std::uint16_t other = store.Namespace("other");
  Fill(store, ns);
  Fill(store, other);
  DieIn(store, "namespace.after_flushed_version",
        [&] { static_cast<void>(store.writer().FlushNamespace(ns)); });
  CHECK(Count(store, ns) == 0);
  CHECK(Count(store, other) == 500);
  Fill(store, ns);
  CHECK(Count(store, ns) == 500);
  // One that was completed stays so, and its segments are the first to go.
  REQUIRE(store.writer().FlushNamespace(ns).ok());
  store.TakeOver();
  CHECK(Count(store, ns) == 0);
  while (store.writer().Reclaim(64 * kKiB)) continue;
  CHECK(store.view().namespace_record(ns).used_bytes.LoadRelaxed() == 0);
  CHECK(FindBrokenInvariants(store.view()).empty());
}

TEST_CASE("recovery: a drop that was begun has happened, and the id is free in the end") {
  TestStore store({.segments = 16, .namespace_capacity = 2});
  const std::uint16_t ns = store.Namespace("n");
  Fill(store, ns);
  DieIn(store, "namespace.after_dropped",
        [&] { static_cast<void>(store.writer().DropNamespace(ns)); });
  CHECK(!store.writer().FindNamespace("n").ok());
  CHECK(Count(store, ns) == 0);
  while (store.writer().Reclaim(64 * kKiB)) continue;
  // The only id there is: it can be had because nothing is left of its former owner.
  const auto again = store.writer().CreateNamespace("again", {});
  REQUIRE(again.ok());
  CHECK(*again == ns);
  Fill(store, *again);
  CHECK(FindBrokenInvariants(store.view()).empty());
}

TEST_CASE("recovery: a namespace that was not finished does not exist") {
  TestStore store;
  DieIn(store, "namespace.before_live",
        [&] { static_cast<void>(store.writer().CreateNamespace("n", {.hard_ttl_ms = 5})); });
  CHECK(!store.writer().FindNamespace("n").ok());
  const std::uint16_t ns = store.Namespace("n");
  Fill(store, ns);
  store.TakeOver();
  CHECK(store.writer().FindNamespace("n").value() == ns);
  CHECK(Count(store, ns) == 500);
  CHECK(store.writer().OptionsOf(ns).hard_ttl_ms == 0);
}

TEST_CASE("recovery: namespaces that share segments keep what they have, and go on sharing") {
  TestStore store({.segments = 32, .namespace_capacity = 400});
  for (int i = 0; i < 300; ++i) store.Namespace(fmt::format("tiny{}", i));
  const auto check = [&](int until) {
    for (int i = 0; i < 300; ++i)
      for (int j = 0; j < until; ++j)
        REQUIRE(store.Get(static_cast<std::uint16_t>(i + 1), Key(j)) == fmt::format("{}.{}", i, j));
  };
  for (int j = 0; j < 6; ++j) {
    for (int i = 0; i < 300; ++i)
      store.Set(static_cast<std::uint16_t>(i + 1), Key(j), fmt::format("{}.{}", i, j));
    const RecoveryReport report = store.TakeOver();
    REQUIRE(report.damage_count == 0);
    check(j + 1);
    for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL(problem);
  }
  CHECK(store.view().namespace_record(0).used_bytes.LoadRelaxed() > 0);
  while (!store.writer().Scrub(1000)) continue;
  const ScrubCounters& scrubbed = store.writer().scrubbed();
  CHECK(scrubbed.dropped_entries + scrubbed.stale_slots + scrubbed.miscounted_segments == 0);
  check(6);
}

}  // namespace
}  // namespace hearth::cache
