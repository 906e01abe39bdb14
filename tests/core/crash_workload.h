// CrashWorkload: an endless sequence of operations that follows from a seed, and what a store must
// contain after the first n of them. So a writer may be killed anywhere: whoever knows how many
// operations were acknowledged knows what the store owes.
#ifndef HEARTH_TESTS_CORE_CRASH_WORKLOAD_H_
#define HEARTH_TESTS_CORE_CRASH_WORKLOAD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "core/cache/writer.h"
#include "tests/support/seed.h"
#include "tests/support/self_checking_value.h"

namespace hearth::testing {

struct CrashShape {
  std::uint32_t evicted_keys = 3000;
  std::uint64_t spread = 500;      // of the values' lengths
  std::uint64_t large_one_in = 0;  // sets of the evicted namespace with a large value
  std::uint64_t large_spread = 200'000;
};

class CrashWorkload {
 public:
  static constexpr std::uint16_t kKept = 1;     // loses nothing
  static constexpr std::uint16_t kEvicted = 2;  // may lose entries, but shows no old ones
  static constexpr std::uint16_t kChannel = 7;
  static constexpr std::uint32_t kKeptKeys = 300;

  explicit CrashWorkload(std::uint64_t seed, const CrashShape& shape = {})
      : seed_(seed), shape_(shape) {}

  const CrashShape& shape() const { return shape_; }

  static void CreateNamespaces(cache::StoreWriter& writer) {
    REQUIRE(writer.CreateNamespace("kept", {.evict = false}).ok());
    REQUIRE(writer.CreateNamespace("evicted", {}).ok());
  }

  enum class Kind { kSet, kDelete, kIncrement };
  struct Operation {
    Kind kind = Kind::kSet;
    std::uint16_t ns = kKept;
    std::uint32_t key = 0;
    std::string value;       // of a set
    std::int64_t delta = 0;  // of an increment
  };

  static std::string Key(const Operation& operation) {
    const char* what = operation.kind == Kind::kIncrement ? "counter" : "key";
    return fmt::format("{} {}", what, operation.key);
  }

  // Number `n`, from 1.
  Operation At(std::uint64_t n) const {
    Random random(seed_ * 1'000'003 + n);
    Operation operation;
    const std::uint64_t kind = random.Below(20);
    if (kind < 4) {
      operation.kind = Kind::kIncrement;
      operation.key = static_cast<std::uint32_t>(random.Below(20));
      operation.delta = static_cast<std::int64_t>(random.Below(2001)) - 1000;
      return operation;
    }
    operation.ns = random.OneIn(2) ? kKept : kEvicted;
    const std::uint32_t keys = operation.ns == kKept ? kKeptKeys : shape_.evicted_keys;
    operation.key = static_cast<std::uint32_t>(random.Below(keys));
    if (kind < 7)
      operation.kind = Kind::kDelete;
    else
      operation.value = MakeSelfCheckingValue(operation.key, n, SpreadOf(operation, random));
    return operation;
  }

  std::uint64_t SpreadOf(const Operation& operation, Random& random) const {
    const bool large =
        operation.ns == kEvicted && shape_.large_one_in != 0 && random.OneIn(shape_.large_one_in);
    return large ? shape_.large_spread : shape_.spread;
  }

  // Executes number `n`. Refusals are a broken workload.
  static Status Execute(cache::StoreWriter& writer, const Operation& operation, std::uint64_t n) {
    const cache::Origin origin{.channel = kChannel, .sequence = n};
    const std::string key = Key(operation);
    switch (operation.kind) {
      case Kind::kSet: {
        const auto version = writer.Set(operation.ns, key, operation.value, {}, origin);
        return version.ok() ? Status::Ok() : version.status();
      }
      case Kind::kDelete: {
        const auto version = writer.Delete(operation.ns, key, origin);
        const bool done = version.ok() || version.status().code() == Code::kNotFound;
        return done ? Status::Ok() : version.status();
      }
      case Kind::kIncrement:
        return writer.Increment(operation.ns, key, {.delta = operation.delta, .initial = 0}, origin)
            .status;
    }
    return Status::Ok();
  }

  // What a store owes after operation `n`, all before it included.
  void Acknowledge(const Operation& operation) {
    const std::pair key{operation.ns, Key(operation)};
    if (operation.kind == Kind::kIncrement) {
      counters_[key.second] += operation.delta;
      owed_[key] = std::to_string(counters_[key.second]);
    } else if (operation.kind == Kind::kDelete) {
      owed_.erase(key);
    } else {
      owed_[key] = operation.value;
    }
  }

  // After a crash: whether number `n`, which may have been under way, has had its effect.
  static bool WasExecuted(cache::StoreWriter& writer, const cache::RecoveryReport& report,
                          const Operation& operation, std::uint64_t n) {
    if (report.in_flight_channel != kChannel || report.in_flight_sequence != n) return false;
    if (operation.kind != Kind::kDelete)
      return writer.WrittenBy(operation.ns, Key(operation), {kChannel, n}).has_value();
    std::string value;
    return writer.Get(operation.ns, Key(operation), &value).outcome == cache::ReadOutcome::kMiss;
  }

  // Requires of every key that ever was what the store owes.
  void CheckAll(const cache::StoreReader& reader) const {
    for (std::uint32_t i = 0; i < kKeptKeys; ++i)
      CheckKey(reader, {kKept, fmt::format("key {}", i)});
    for (std::uint32_t i = 0; i < 20; ++i) CheckKey(reader, {kKept, fmt::format("counter {}", i)});
    for (std::uint32_t i = 0; i < shape_.evicted_keys; ++i)
      CheckKey(reader, {kEvicted, fmt::format("key {}", i)});
  }
  void CheckKey(const cache::StoreReader& reader,
                const std::pair<std::uint16_t, std::string>& key) const {
    CAPTURE(key.first);
    CAPTURE(key.second);
    std::string value;
    const auto result = reader.Get(key.first, key.second, &value);
    REQUIRE(result.outcome != cache::ReadOutcome::kContended);
    const auto owed = owed_.find(key);
    if (result.outcome == cache::ReadOutcome::kHit) {
      REQUIRE(owed != owed_.end());  // else a deleted value is back
      REQUIRE(value == owed->second);
    } else if (key.first == kKept) {
      REQUIRE(owed == owed_.end());  // else a write is lost
    }
  }

 private:
  std::uint64_t seed_;
  CrashShape shape_;
  std::map<std::pair<std::uint16_t, std::string>, std::string> owed_;
  std::map<std::string, std::int64_t> counters_;
};

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_CORE_CRASH_WORKLOAD_H_
