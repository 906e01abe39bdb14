// StoreWriter, one operation at a time: results, limits, expiry, namespaces.
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "core/cache/writer.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::TestStore;

void CheckSound(const TestStore& store) {
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
}

// ------------------------------------------------------------------------------------ operations
TEST_CASE("set: a value is there until the next set, with growing versions") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::uint64_t first = store.Set(ns, "key", "one");
  CHECK(store.Get(ns, "key") == "one");
  const std::uint64_t second = store.Set(ns, "key", "two, which is longer");
  CHECK(second > first);
  std::string value;
  const ReadResult result = store.writer().Get(ns, "key", &value);
  CHECK(result.outcome == ReadOutcome::kHit);
  CHECK(value == "two, which is longer");
  CHECK(result.version == second);
  CHECK(result.hard_expiry_ms == kNever);
  CHECK(result.soft_expiry_ms == kNever);
  CHECK(!result.stale);
  CHECK(store.view().header().last_version.LoadRelaxed() == second);
  CheckSound(store);
}

TEST_CASE("set: what it stores says who asked for it, under a CRC") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::uint64_t sequence = 0x9876'5432'1fedU;
  REQUIRE(store.writer().Set(ns, "key", "value", {}, {.channel = 513, .sequence = sequence}).ok());
  const auto place = testing::FindSlot(store.view(), ns, "key");
  REQUIRE(place);
  EntryView entry;
  REQUIRE(ParseEntry(store.view(), SlotSegment(place->word), SlotOffset(place->word), &entry));
  CHECK((entry.header.version_origin >> 48U) == 513);
  CHECK(entry.header.origin_sequence == 0x5432'1fedU);
  CHECK(entry.header.crc32c == EntryCrc(entry));
  CHECK(store.view().header().in_flight.LoadRelaxed() == (std::uint64_t{513} << 48U | sequence));
}

TEST_CASE("set: keys from 1 to 1024 bytes, of any bytes") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  testing::Random random(1);
  for (const std::size_t size : {1U, 2U, 3U, 8U, 255U, 256U, 1023U, 1024U}) {
    const std::string key = random.Bytes(size);
    store.Set(ns, key, std::to_string(size));
    CHECK(store.Get(ns, key) == std::to_string(size));
    CHECK(store.Get(ns, key + '\0') == std::nullopt);
  }
  store.Set(ns, std::string(1, '\0'), "nul");
  CHECK(store.Get(ns, std::string(1, '\0')) == "nul");
  CHECK(store.Get(ns, std::string(2, '\0')) == std::nullopt);
  for (const std::size_t size : {0U, 1025U, 5000U}) {
    const std::string key(size, 'k');
    const auto set = store.writer().Set(ns, key, "v", {}, {});
    REQUIRE(!set.ok());
    CHECK(set.status().code() == Code::kInvalidArgument);
    CHECK(set.status().message() == fmt::format("a key has 1 to 1024 bytes, this one {}", size));
    CHECK(store.writer().Delete(ns, key, {}).status().code() == Code::kInvalidArgument);
    CHECK(store.writer().Touch(ns, key, {}, {}).status().code() == Code::kInvalidArgument);
    CHECK(store.Get(ns, key) == std::nullopt);
  }
  CheckSound(store);
}

TEST_CASE("set: values from nothing to a quarter segment; an empty value is not a missing one") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  const std::size_t most = store.view().max_value_bytes();
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, most}) {
    const std::string value(size, 'v');
    store.Set(ns, "key", value);
    CHECK(store.Get(ns, "key") == value);
  }
  const auto over = store.writer().Set(ns, "key", std::string(most + 1, 'v'), {}, {});
  REQUIRE(!over.ok());
  CHECK(over.status().code() == Code::kInvalidArgument);
  CHECK(over.status().message() == "a value has at most 16384 bytes, this one 16385");
  CHECK(store.Get(ns, "key")->size() == most);
  store.Set(ns, std::string(1024, 'k'), std::string(most, 'v'));
  CHECK(store.Get(ns, std::string(1024, 'k'))->size() == most);
  CheckSound(store);
}

TEST_CASE("delete: removes once, tells the version, and the key can come back") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  CHECK(store.writer().Delete(ns, "key", {}).status().code() == Code::kNotFound);
  const std::uint64_t version = store.Set(ns, "key", "value");
  store.Set(ns, "other", "stays");
  const auto deleted = store.writer().Delete(ns, "key", {});
  REQUIRE(deleted.ok());
  CHECK(*deleted == version);
  CHECK(store.Get(ns, "key") == std::nullopt);
  CHECK(store.Get(ns, "other") == "stays");
  CHECK(store.writer().Delete(ns, "key", {}).status().code() == Code::kNotFound);
  CheckSound(store);
  CHECK(store.Set(ns, "key", "again") > version);
  CHECK(store.Get(ns, "key") == "again");
}

TEST_CASE("touch: new expiries and a new version for the same value") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  CHECK(store.writer().Touch(ns, "key", {}, {}).status().code() == Code::kNotFound);
  const std::uint64_t version = store.Set(ns, "key", "value", {.hard_ms = 100});
  store.clock().AdvanceMs(99);
  const auto touched = store.writer().Touch(ns, "key", {.hard_ms = 100, .soft_ms = 50}, {});
  REQUIRE(touched.ok());
  CHECK(*touched > version);
  store.clock().AdvanceMs(99);
  CHECK(store.Get(ns, "key") == "value");
  store.clock().AdvanceMs(1);
  CHECK(store.Get(ns, "key") == std::nullopt);
  CHECK(store.writer().Touch(ns, "key", {}, {}).status().code() == Code::kNotFound);
  CheckSound(store);
}

// ---------------------------------------------------------------------------------------- expiry
TEST_CASE("expiry: the hard TTL makes a miss, the soft one a stale hit, at their millisecond") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.clock().AdvanceMs(1000);
  store.Set(ns, "key", "value", {.hard_ms = 200, .soft_ms = 100});
  std::string value;
  const auto at = [&](std::uint64_t ms) {
    store.clock().SetMonotonicNanos(1'000'000'000'000U + (1000 + ms) * 1'000'000U);
    return store.Reader().Get(ns, "key", &value);
  };
  CHECK(at(0).outcome == ReadOutcome::kHit);
  CHECK(!at(99).stale);
  CHECK(at(100).outcome == ReadOutcome::kHit);
  CHECK(at(100).stale);
  CHECK(at(199).outcome == ReadOutcome::kHit);
  CHECK(at(199).hard_expiry_ms == 1200);
  CHECK(at(199).soft_expiry_ms == 1100);
  CHECK(at(200).outcome == ReadOutcome::kMiss);
  CHECK(at(1'000'000'000).outcome == ReadOutcome::kMiss);
  // Deleting what has expired removes it, but there was nothing to delete.
  CHECK(store.writer().Delete(ns, "key", {}).status().code() == Code::kNotFound);
  CHECK(!testing::FindSlot(store.view(), ns, "key"));
  CheckSound(store);
}

TEST_CASE("expiry: the default of the namespace, none, or the entry's own") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n", {.hard_ttl_ms = 100, .soft_ttl_ms = 40});
  const std::uint16_t plain = store.Namespace("plain");
  const auto expiries = [&](std::uint16_t id, const Ttl& ttl) {
    store.Set(id, "key", "value", ttl);
    std::string value;
    const ReadResult result = store.Reader().Get(id, "key", &value);
    return std::pair(result.hard_expiry_ms, result.soft_expiry_ms);
  };
  using Pair = std::pair<std::uint64_t, std::uint64_t>;
  CHECK(expiries(plain, {}) == Pair{kNever, kNever});
  CHECK(expiries(plain, {.soft_ms = 5}) == Pair{kNever, 5});
  CHECK(expiries(ns, {}) == Pair{100, 40});
  CHECK(expiries(ns, {.hard_ms = kTtlNone}) == Pair{kNever, 40});
  CHECK(expiries(ns, {.hard_ms = kTtlNone, .soft_ms = kTtlNone}) == Pair{kNever, kNever});
  CHECK(expiries(ns, {.hard_ms = 7, .soft_ms = 6}) == Pair{7, 6});
  CHECK(expiries(ns, {.soft_ms = 100}) == Pair{100, 100});
  // The default soft TTL gives way to a shorter hard one of the request.
  CHECK(expiries(ns, {.hard_ms = 20}) == Pair{20, kNever});
  CheckSound(store);
}

TEST_CASE("expiry: TTLs that contradict each other, or exceed a century, are refused") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n", {.hard_ttl_ms = 100});
  store.Set(ns, "key", "old");
  const std::uint64_t century = std::uint64_t{100} * 365 * 86400 * 1000;
  for (const Ttl& ttl : {Ttl{.hard_ms = 10, .soft_ms = 11}, Ttl{.soft_ms = 101},
                         Ttl{.hard_ms = century + 1}, Ttl{.soft_ms = century + 1}}) {
    CHECK(store.writer().Set(ns, "key", "new", ttl, {}).status().code() == Code::kInvalidArgument);
    CHECK(store.writer().Touch(ns, "key", ttl, {}).status().code() == Code::kInvalidArgument);
  }
  CHECK(store.Get(ns, "key") == "old");
  CHECK(store.writer().Set(ns, "key", "new", {.hard_ms = century}, {}).ok());
  for (const NamespaceOptions& options :
       {NamespaceOptions{.hard_ttl_ms = 10, .soft_ttl_ms = 11},
        NamespaceOptions{.hard_ttl_ms = century + 1}, NamespaceOptions{.soft_ttl_ms = century + 1}})
    CHECK(store.writer().CreateNamespace("bad", options).status().code() == Code::kInvalidArgument);
}

TEST_CASE("strict: reads miss while the daemon's heartbeat is stale, and only then") {
  TestStore store;
  const std::uint16_t ns = *store.writer().CreateNamespace("strict", {.strict = true});
  const std::uint16_t lax = store.Namespace("lax");
  store.Set(ns, "key", "value");
  store.Set(lax, "key", "value");
  store.clock().AdvanceMs(2000);
  CHECK(store.Get(ns, "key") == "value");
  store.clock().AdvanceMs(1);
  CHECK(store.Get(ns, "key") == std::nullopt);
  CHECK(store.writer().Touch(ns, "key", {}, {}).ok());  // the writer itself is not so strict
  CHECK(store.Get(lax, "key") == "value");
  store.writer().Heartbeat();
  CHECK(store.Get(ns, "key") == "value");
  // A reader whose clock was read just before the heartbeat was written.
  store.view().header().heartbeat_ns.StoreRelaxed(store.clock().MonotonicNanos() + 1);
  CHECK(store.Get(ns, "key") == "value");
}

// ------------------------------------------------------------------------------------ namespaces
TEST_CASE("namespace: names, capacity and quotas are checked") {
  TestStore store({.namespace_capacity = 4});
  StoreWriter& writer = store.writer();
  for (const std::string& name : {std::string(), std::string(64, 'n'), std::string("a b"),
                                  std::string("a/b"), std::string("\xc3\xa9")})
    CHECK(writer.CreateNamespace(name, {}).status().code() == Code::kInvalidArgument);
  CHECK(*writer.CreateNamespace(std::string(63, 'n'), {}) == 1);
  CHECK(*writer.CreateNamespace("A-z_0.9", {}) == 2);
  CHECK(writer.CreateNamespace("A-z_0.9", {}).status().code() == Code::kAlreadyExists);
  const auto small = writer.CreateNamespace("small", {.quota_max_bytes = 2 * 64 * kKiB - 1});
  CHECK(small.status().code() == Code::kInvalidArgument);
  CHECK(small.status().message().find("at least two segments (128 KiB)") != std::string::npos);
  CHECK(*writer.CreateNamespace("last", {.quota_max_bytes = 2 * 64 * kKiB}) == 3);
  const auto full = writer.CreateNamespace("more", {});
  CHECK(full.status().code() == Code::kResourceExhausted);
  CHECK(full.status().message().find("3 at most") != std::string::npos);
}

TEST_CASE("namespace: the same key in two namespaces is two keys") {
  TestStore store;
  const std::uint16_t a = store.Namespace("a");
  const std::uint16_t b = store.Namespace("b");
  store.Set(a, "key", "in a");
  CHECK(store.Get(b, "key") == std::nullopt);
  store.Set(b, "key", "in b");
  CHECK(store.Get(a, "key") == "in a");
  CHECK(store.writer().Delete(a, "key", {}).ok());
  CHECK(store.Get(b, "key") == "in b");
  CheckSound(store);
}

TEST_CASE("namespace: ids that do not exist are misses to read and errors to write") {
  TestStore store({.namespace_capacity = 8});
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "key", "value");
  for (const std::uint16_t id : std::initializer_list<std::uint16_t>{0, 2, 7, 8, 9, 65535}) {
    CAPTURE(id);
    CHECK(store.Get(id, "key") == std::nullopt);
    CHECK(store.writer().Set(id, "key", "v", {}, {}).status().code() == Code::kNotFound);
    CHECK(store.writer().Delete(id, "key", {}).status().code() == Code::kNotFound);
    CHECK(store.writer().Touch(id, "key", {}, {}).status().code() == Code::kNotFound);
  }
}

TEST_CASE("namespace: entries up to the flushed version are invisible, later ones are not") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  store.Set(ns, "old", "value");
  const std::uint64_t version = store.Set(ns, "edge", "value");
  store.Set(ns, "new", "value");
  store.view().namespace_record(ns).flushed_version.StoreRelaxed(version);
  CHECK(store.Get(ns, "old") == std::nullopt);
  CHECK(store.Get(ns, "edge") == std::nullopt);
  CHECK(store.Get(ns, "new") == "value");
  CHECK(store.writer().Delete(ns, "old", {}).status().code() == Code::kNotFound);
  CHECK(store.writer().Touch(ns, "edge", {}, {}).status().code() == Code::kNotFound);
  store.Set(ns, "old", "again");
  CHECK(store.Get(ns, "old") == "again");
  CheckSound(store);
}

}  // namespace
}  // namespace hearth::cache
