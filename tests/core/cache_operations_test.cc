// StoreWriter's operations that look at the entry before they write: add, replace,
// compare-and-swap, increment, append. One rule each.
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/cache/writer.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::TestStore;

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

struct Rig {
  TestStore store;
  std::uint16_t ns = store.Namespace("n");

  Rig() = default;
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;
  ~Rig() {
    for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
  }
  Outcome Add(std::string_view key, std::string_view value, const Ttl& ttl = {}) {
    return store.writer().Add(ns, key, value, ttl, {});
  }
  Outcome Replace(std::string_view key, std::string_view value, const Ttl& ttl = {}) {
    return store.writer().Replace(ns, key, value, ttl, {});
  }
  Outcome Swap(std::string_view key, std::uint64_t expected, std::string_view value,
               const Ttl& ttl = {}) {
    return store.writer().CompareAndSwap(ns, key, expected, value, ttl, {});
  }
  Outcome Increment(std::string_view key, const CounterChange& change = {}) {
    return store.writer().Increment(ns, key, change, {});
  }
  Outcome AppendValue(std::string_view key, std::string_view more) {
    return store.writer().AppendValue(ns, key, more, {});
  }
  std::optional<std::string> Get(std::string_view key) const { return store.Get(ns, key); }
  ReadResult Read(std::string_view key) const {
    std::string value;
    return store.Reader().Get(ns, key, &value);
  }
  std::uint64_t last_version() const { return store.view().header().last_version.LoadRelaxed(); }
};

void CheckVerdict(const Outcome& outcome, Code code, std::uint64_t version) {
  CHECK_MESSAGE(outcome.status.code() == code, outcome.status.ToString());
  CHECK(outcome.version == version);
}

TEST_CASE("add: stores under a key that is not there, and tells the version of one that is") {
  Rig rig;
  const Outcome first = rig.Add("key", "one", {.hard_ms = 100, .soft_ms = 50});
  REQUIRE(first.ok());
  CHECK(first.version == rig.last_version());
  CHECK(rig.Get("key") == "one");
  CHECK(rig.Read("key").hard_expiry_ms == 100);
  CHECK(rig.Read("key").soft_expiry_ms == 50);
  CheckVerdict(rig.Add("key", "two"), Code::kAlreadyExists, first.version);
  CHECK(rig.Get("key") == "one");
  CHECK(rig.last_version() == first.version);
  REQUIRE(rig.store.writer().Delete(rig.ns, "key", {}).ok());
  CHECK(rig.Add("key", "three").version > first.version);
  CHECK(rig.Get("key") == "three");
}

TEST_CASE("replace: stores only over an entry that is there") {
  Rig rig;
  CheckVerdict(rig.Replace("key", "one"), Code::kNotFound, 0);
  CHECK(rig.Get("key") == std::nullopt);
  const std::uint64_t version = rig.store.Set(rig.ns, "key", "one", {.hard_ms = 100});
  const Outcome replaced = rig.Replace("key", "two", {.hard_ms = 500});
  REQUIRE(replaced.ok());
  CHECK(replaced.version > version);
  CHECK(rig.Get("key") == "two");
  CHECK(rig.Read("key").hard_expiry_ms == 500);
}

TEST_CASE("compare-and-swap: stores only over the version it expects, and tells another one") {
  Rig rig;
  CheckVerdict(rig.Swap("key", 0, "one"), Code::kNotFound, 0);
  const std::uint64_t version = rig.store.Set(rig.ns, "key", "one");
  for (const std::uint64_t wrong : {std::uint64_t{0}, version - 1, version + 1,
                                    version | std::uint64_t{1} << 48U, ~std::uint64_t{0}})
    CheckVerdict(rig.Swap("key", wrong, "two"), Code::kAborted, version);
  CHECK(rig.Get("key") == "one");
  const Outcome swapped = rig.Swap("key", version, "two", {.hard_ms = 500});
  REQUIRE(swapped.ok());
  CHECK(swapped.version > version);
  CHECK(rig.Get("key") == "two");
  CHECK(rig.Read("key").hard_expiry_ms == 500);
  CheckVerdict(rig.Swap("key", version, "three"), Code::kAborted, swapped.version);
  CHECK(rig.Get("key") == "two");
}

TEST_CASE("increment: adds to a decimal number of 64 bits and stores one") {
  Rig rig;
  const std::vector<std::tuple<std::string, std::int64_t, std::string>> sums = {
      {"5", 1, "6"},
      {"5", 0, "5"},
      {"5", -7, "-2"},
      {"-1", 1, "0"},
      {"-0", -3, "-3"},
      {"007", 1, "8"},
      {"99", 1, "100"},
      {"9223372036854775806", 1, "9223372036854775807"},
      {"-9223372036854775807", -1, "-9223372036854775808"},
      {"9223372036854775807", kLeast, "-1"},
      {"-9223372036854775808", kMost, "-1"},
  };
  for (const auto& [before, delta, after] : sums) {
    const std::string& was = before;  // a structured binding cannot be captured
    CAPTURE(was);
    const std::uint64_t version = rig.store.Set(rig.ns, "n", before);
    const Outcome outcome = rig.Increment("n", {.delta = delta});
    REQUIRE_MESSAGE(outcome.ok(), outcome.status.ToString());
    CHECK(outcome.number == std::stoll(after));
    CHECK(outcome.version > version);
    CHECK(outcome.version == rig.Read("n").version);
    CHECK(rig.Get("n") == after);
  }
}

TEST_CASE("increment: what is not a number is refused and stays") {
  Rig rig;
  for (const std::string& value :
       {std::string(), std::string("x"), std::string("1 "), std::string(" 1"), std::string("1\n"),
        std::string("+1"), std::string("-"), std::string("--1"), std::string("1.0"),
        std::string("1e3"), std::string("0x10"), std::string("1\0", 2),
        std::string("9223372036854775808"), std::string("-9223372036854775809"),
        std::string("000000000000000000001"), std::string(1000, '1')}) {
    CAPTURE(value);
    const std::uint64_t version = rig.store.Set(rig.ns, "n", value);
    CheckVerdict(rig.Increment("n", {.delta = 1, .initial = 7}), Code::kFailedPrecondition,
                 version);
    CHECK(rig.Get("n") == value);
  }
}

TEST_CASE("increment: a sum beyond 64 bits is refused, and the counter stays") {
  Rig rig;
  using Case = std::pair<std::int64_t, std::int64_t>;
  for (const auto& [before, delta] : {Case{kMost, 1}, Case{kMost, kMost}, Case{kLeast, -1},
                                      Case{-1, kLeast}, Case{kLeast, kLeast}}) {
    const std::uint64_t version = rig.store.Set(rig.ns, "n", std::to_string(before));
    CheckVerdict(rig.Increment("n", {.delta = delta}), Code::kOutOfRange, version);
    CHECK(rig.Get("n") == std::to_string(before));
  }
  CheckVerdict(rig.Increment("new", {.delta = 1, .initial = kMost}), Code::kOutOfRange, 0);
  CHECK(rig.Get("new") == std::nullopt);
}

TEST_CASE("increment: a key that is not there is an error, or counts as the initial value") {
  Rig rig;
  CheckVerdict(rig.Increment("n", {.delta = 1}), Code::kNotFound, 0);
  CHECK(rig.Get("n") == std::nullopt);
  const CounterChange change{.delta = 3, .initial = 10, .ttl = {.hard_ms = 100, .soft_ms = 50}};
  CHECK(rig.Increment("n", change).number == 13);
  CHECK(rig.Get("n") == "13");
  CHECK(rig.Read("n").hard_expiry_ms == 100);
  CHECK(rig.Read("n").soft_expiry_ms == 50);
  // The second time it is there: neither the initial value nor the TTL counts.
  rig.store.clock().AdvanceMs(60);
  CHECK(rig.Increment("n", change).number == 16);
  CHECK(rig.Read("n").hard_expiry_ms == 100);
  CHECK(rig.Read("n").soft_expiry_ms == 50);
  rig.store.clock().AdvanceMs(40);
  CHECK(rig.Increment("n", change).number == 13);
}

TEST_CASE("append: puts bytes behind the value and keeps the expiries") {
  Rig rig;
  CheckVerdict(rig.AppendValue("key", "x"), Code::kNotFound, 0);
  CHECK(rig.Get("key") == std::nullopt);
  const std::uint64_t version = rig.store.Set(rig.ns, "key", "", {.hard_ms = 100, .soft_ms = 50});
  rig.store.clock().AdvanceMs(60);
  std::string expected;
  for (const std::string& more :
       {std::string("a"), std::string("\0b", 2), std::string(), std::string(5000, 'c')}) {
    const Outcome outcome = rig.AppendValue("key", more);
    REQUIRE(outcome.ok());
    CHECK(outcome.version > version);
    expected += more;
    CHECK(rig.Get("key") == expected);
  }
  CHECK(rig.Read("key").hard_expiry_ms == 100);
  CHECK(rig.Read("key").soft_expiry_ms == 50);
}

TEST_CASE("append: a value that would exceed the limit is refused and stays") {
  Rig rig;
  const std::size_t most = rig.store.view().max_value_bytes();
  const std::string half(most / 2, 'h');
  rig.store.Set(rig.ns, "key", half);
  const Outcome full = rig.AppendValue("key", std::string(most - half.size(), 'x'));
  REQUIRE(full.ok());
  CheckVerdict(rig.AppendValue("key", "y"), Code::kInvalidArgument, full.version);
  CHECK(rig.AppendValue("key", "").ok());
  CHECK(rig.Get("key")->size() == most);
  CHECK(rig.Get("key")->back() == 'x');
}

using Operation = std::function<Outcome(Rig&, std::string_view key)>;
const std::vector<std::pair<const char*, Operation>>& NeedAnEntry() {
  static const std::vector<std::pair<const char*, Operation>> operations = {
      {"replace", [](Rig& rig, std::string_view key) { return rig.Replace(key, "1"); }},
      {"swap",
       [](Rig& rig, std::string_view key) { return rig.Swap(key, rig.last_version(), "1"); }},
      {"increment", [](Rig& rig, std::string_view key) { return rig.Increment(key); }},
      {"append", [](Rig& rig, std::string_view key) { return rig.AppendValue(key, "1"); }},
  };
  return operations;
}

TEST_CASE("an entry that has expired, or was flushed, is not there for any of them") {
  for (const bool flushed : {false, true}) {
    for (const auto& named : NeedAnEntry()) {
      CAPTURE(named.first);
      Rig rig;
      const std::uint64_t version = rig.store.Set(rig.ns, "key", "1", {.hard_ms = 100});
      if (flushed) {
        rig.store.view().namespace_record(rig.ns).flushed_version.StoreRelaxed(version);
      } else {
        rig.store.clock().AdvanceMs(99);
        CHECK_FALSE(rig.Add("key", "2").ok());
        rig.store.clock().AdvanceMs(1);
      }
      CheckVerdict(named.second(rig, "key"), Code::kNotFound, 0);
      CHECK(rig.last_version() == version);
      CHECK(rig.Add("key", "2").ok());
      CHECK(named.second(rig, "key").ok());
    }
  }
}

TEST_CASE("an entry is there for all of them while the heartbeat of a strict namespace is stale") {
  for (const auto& named : NeedAnEntry()) {
    CAPTURE(named.first);
    Rig rig;
    rig.ns = *rig.store.writer().CreateNamespace("strict", {.strict = true});
    rig.store.Set(rig.ns, "key", "1");
    rig.store.clock().AdvanceMs(3000);
    CHECK(rig.Get("key") == std::nullopt);
    CHECK(rig.Add("key", "2").status.code() == Code::kAlreadyExists);
    CHECK(named.second(rig, "key").ok());
  }
}

TEST_CASE("what cannot be right is refused before the entry is looked at") {
  Rig rig;
  const std::uint64_t version = rig.store.Set(rig.ns, "key", "1");
  const std::string long_key(1025, 'k');
  const std::string long_value(rig.store.view().max_value_bytes() + 1, 'v');
  const Ttl bad{.hard_ms = 10, .soft_ms = 11};
  const Outcome refused[] = {
      rig.Add("", "v"),
      rig.Add(long_key, "v"),
      rig.Add("key", long_value),
      rig.Add("key", "v", bad),
      rig.Replace("", "v"),
      rig.Replace("absent", long_value),
      rig.Replace("absent", "v", bad),
      rig.Swap("", version, "v"),
      rig.Swap("key", version, long_value),
      rig.Swap("key", version, "v", bad),
      rig.Increment(""),
      rig.Increment(long_key),
      rig.Increment("key", {.delta = 1, .ttl = bad}),
      rig.AppendValue("", "v"),
      rig.AppendValue(long_key, "v"),
  };
  for (const Outcome& outcome : refused) CheckVerdict(outcome, Code::kInvalidArgument, 0);
  CHECK(rig.last_version() == version);
  rig.ns = 7;
  CheckVerdict(rig.Add("key", "v"), Code::kNotFound, 0);
  for (const auto& named : NeedAnEntry())
    CheckVerdict(named.second(rig, "key"), Code::kNotFound, 0);
}

TEST_CASE("all of them keep who asked in the entry they write") {
  const Origin origin{.channel = 513, .sequence = 0x9876'5432'1fedU};
  using Write = std::function<Outcome(StoreWriter&, std::uint16_t, std::uint64_t)>;
  const Write writes[] = {
      [&](StoreWriter& w, std::uint16_t ns, auto) { return w.Add(ns, "new", "v", {}, origin); },
      [&](StoreWriter& w, std::uint16_t ns, auto) { return w.Replace(ns, "1", "v", {}, origin); },
      [&](StoreWriter& w, std::uint16_t ns, std::uint64_t version) {
        return w.CompareAndSwap(ns, "1", version, "v", {}, origin);
      },
      [&](StoreWriter& w, std::uint16_t ns, auto) { return w.Increment(ns, "1", {}, origin); },
      [&](StoreWriter& w, std::uint16_t ns, auto) {
        return w.Increment(ns, "new", {.delta = 1, .initial = 0}, origin);
      },
      [&](StoreWriter& w, std::uint16_t ns, auto) { return w.AppendValue(ns, "1", "v", origin); },
  };
  for (const Write& write : writes) {
    Rig rig;
    const std::uint64_t before = rig.store.Set(rig.ns, "1", "1");
    const Outcome outcome = write(rig.store.writer(), rig.ns, before);
    REQUIRE(outcome.ok());
    const char* key = testing::FindSlot(rig.store.view(), rig.ns, "new") ? "new" : "1";
    const auto place = testing::FindSlot(rig.store.view(), rig.ns, key);
    EntryView entry;
    REQUIRE(
        ParseEntry(rig.store.view(), SlotSegment(place->word), SlotOffset(place->word), &entry));
    CHECK(entry.version() == outcome.version);
    CHECK((entry.header.version_origin >> 48U) == origin.channel);
    CHECK(entry.header.origin_sequence == 0x5432'1fedU);
    CHECK(rig.store.view().header().in_flight.LoadRelaxed() ==
          (std::uint64_t{origin.channel} << 48U | origin.sequence));
  }
}

TEST_CASE("a full namespace that does not evict refuses them all and keeps what it has") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("full", {.quota_max_bytes = 128 * kKiB, .evict = false});
  StoreWriter& writer = store.writer();
  const std::uint64_t version = store.Set(ns, "key", std::string(5000, 'x'));
  store.Set(ns, "n", "9");
  int next = 0;
  for (const std::size_t size : {1500U, 1U}) {
    Outcome last = std::uint64_t{0};
    while (last.ok()) last = writer.Add(ns, std::to_string(next++), std::string(size, 'v'), {}, {});
    CheckVerdict(last, Code::kResourceExhausted, 0);
  }
  CheckVerdict(writer.Replace(ns, "key", "small", {}, {}), Code::kResourceExhausted, 0);
  CheckVerdict(writer.CompareAndSwap(ns, "key", version, "small", {}, {}), Code::kResourceExhausted,
               0);
  CheckVerdict(writer.Increment(ns, "n", {}, {}), Code::kResourceExhausted, 0);
  CheckVerdict(writer.AppendValue(ns, "key", "y", {}), Code::kResourceExhausted, 0);
  CHECK((store.Get(ns, "key") == std::string(5000, 'x')));
  CHECK(store.Get(ns, "n") == "9");
}

TEST_CASE(
    "making room may evict the very entry that is changed: the change is whole all the same") {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n", {.quota_max_bytes = 128 * kKiB});
  const std::string text(8000, 'a');
  store.Set(ns, "text", text, {.hard_ms = 100});
  // Eight such entries fill a segment; the ninth of the second has no room, nor has one more byte.
  for (int i = 0; i < 15; ++i) store.Set(ns, std::to_string(i), text);
  REQUIRE((store.Get(ns, "text") == text));
  REQUIRE(store.view().header().evicted_entries.LoadRelaxed() == 0);
  REQUIRE(store.writer().AppendValue(ns, "text", "b", {}).ok());
  CHECK(store.view().header().evicted_entries.LoadRelaxed() > 0);
  CHECK((store.Get(ns, "text") == text + "b"));
  std::string value;
  CHECK(store.Reader().Get(ns, "text", &value).hard_expiry_ms == 100);
  for (const std::string& problem : FindBrokenInvariants(store.view())) FAIL_CHECK(problem);
}

}  // namespace
}  // namespace hearth::cache
