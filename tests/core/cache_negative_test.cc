// Negative entries: keys that are known to be absent. For every operation but a read that asks for
// more than "miss", the key is not there.
#include <cstdint>
#include <string>

#include <doctest/doctest.h>

#include "core/cache/writer.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::FindSlot;
using testing::TestStore;

struct Rig {
  TestStore store;
  std::uint16_t ns = store.Namespace("n");

  Rig() = default;
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;
  ~Rig() {
    for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
  }
  StoreWriter& writer() { return store.writer(); }
  std::uint64_t SetAbsent(std::string_view key, std::uint64_t ttl_ms = 1000) {
    const auto version = writer().SetAbsent(ns, key, ttl_ms, {});
    REQUIRE(version.ok());
    return *version;
  }
  ReadResult Read(std::string_view key) {
    std::string value = "untouched";
    const ReadResult result = store.Reader().Get(ns, key, &value);
    if (result.outcome != ReadOutcome::kHit) CHECK(value == "untouched");
    return result;
  }
};

TEST_CASE("negative: a miss that says what is known, until its TTL ends") {
  Rig rig;
  CHECK_FALSE(rig.Read("key").negative);
  const std::uint64_t version = rig.SetAbsent("key", 1000);
  ReadResult read = rig.Read("key");
  CHECK(read.outcome == ReadOutcome::kMiss);
  CHECK(read.negative);
  CHECK(read.version == version);
  CHECK(read.hard_expiry_ms == rig.store.Reader().NowMs() + 1000);
  CHECK(read.soft_expiry_ms == kNever);
  rig.store.clock().AdvanceMs(1000);
  read = rig.Read("key");
  CHECK(read.outcome == ReadOutcome::kMiss);
  CHECK_FALSE(read.negative);
}

TEST_CASE("negative: takes the place of a value, and a value takes its place") {
  Rig rig;
  rig.store.Set(rig.ns, "key", "value");
  rig.SetAbsent("key");
  CHECK_FALSE(rig.store.Get(rig.ns, "key").has_value());
  rig.store.Set(rig.ns, "key", "again");
  CHECK(rig.store.Get(rig.ns, "key") == "again");
  CHECK_FALSE(rig.Read("key").negative);
}

TEST_CASE("negative: the key is not there for any operation") {
  Rig rig;
  StoreWriter& writer = rig.writer();
  const std::uint64_t version = rig.SetAbsent("key");
  CHECK(writer.Replace(rig.ns, "key", "x", {}, {}).status.code() == Code::kNotFound);
  const Outcome swap = writer.CompareAndSwap(rig.ns, "key", version, "x", {}, {});
  CHECK(swap.status.code() == Code::kNotFound);
  CHECK(swap.version == 0);
  CHECK(writer.Increment(rig.ns, "key", {}, {}).status.code() == Code::kNotFound);
  CHECK(writer.AppendValue(rig.ns, "key", "x", {}).status.code() == Code::kNotFound);
  CHECK(writer.Touch(rig.ns, "key", {}, {}).status().code() == Code::kNotFound);
  CHECK(rig.Read("key").negative);  // none of them has changed anything
  CHECK(writer.Increment(rig.ns, "key", {.delta = 2, .initial = 40}, {}).number == 42);
  rig.SetAbsent("key");
  CHECK(writer.Add(rig.ns, "key", "added", {}, {}).ok());
  CHECK(rig.store.Get(rig.ns, "key") == "added");
}

TEST_CASE("negative: a delete removes it, and has found no key") {
  Rig rig;
  rig.SetAbsent("key");
  CHECK(rig.writer().Delete(rig.ns, "key", {}).status().code() == Code::kNotFound);
  CHECK_FALSE(rig.Read("key").negative);
  CHECK_FALSE(FindSlot(rig.store.view(), rig.ns, "key").has_value());
}

TEST_CASE("negative: needs a TTL of its own, whatever the namespace's default") {
  Rig rig;
  const std::uint16_t ns = rig.store.Namespace("with-default", {.hard_ttl_ms = 5000});
  for (const std::uint64_t ttl : {kTtlOfNamespace, kTtlNone, kMaxTtlMs + 1})
    CHECK(rig.writer().SetAbsent(ns, "key", ttl, {}).status().code() == Code::kInvalidArgument);
  CHECK(rig.writer().SetAbsent(ns, "", 1, {}).status().code() == Code::kInvalidArgument);
  CHECK(rig.writer().SetAbsent(7, "key", 1, {}).status().code() == Code::kNotFound);
}

TEST_CASE("negative: a namespace that does not evict takes none, and forgets the value") {
  Rig rig;
  const std::uint16_t ns = rig.store.Namespace("keeps", {.evict = false});
  rig.store.Set(ns, "key", "value");
  for (int i = 0; i < 2; ++i) CHECK(*rig.writer().SetAbsent(ns, "key", 1000, {}) == 0);
  CHECK_FALSE(rig.store.Get(ns, "key").has_value());
  CHECK_FALSE(FindSlot(rig.store.view(), ns, "key").has_value());
}

TEST_CASE("negative: a flood of them leaves the values that are read") {
  TestStore store({.segments = 40});
  const std::uint16_t ns = store.Namespace("n");
  const std::string value(1000, 'v');
  auto key = [](const char* kind, int i) { return std::string(kind) + std::to_string(i); };
  // More than the small log: the ones that are read move on to the main log.
  constexpr int kValues = 600;
  for (int i = 0; i < kValues; ++i) {
    store.Set(ns, key("value", i), value);
    store.writer().NoteRead(testing::KeyHash(store.view(), ns, key("value", i)));
  }
  // Several times what the store holds, each of them asked for again and again.
  for (int i = 0; i < 60'000; ++i) {
    REQUIRE(store.writer().SetAbsent(ns, key("absent", i), 1'000'000, {}).ok());
    store.writer().NoteRead(testing::KeyHash(store.view(), ns, key("absent", i)));
  }
  int found = 0;
  for (int i = 0; i < kValues; ++i) found += store.Get(ns, key("value", i)).has_value() ? 1 : 0;
  CHECK(found == kValues);
  CHECK(FindBrokenInvariants(store.view()).empty());
}

}  // namespace
}  // namespace hearth::cache
