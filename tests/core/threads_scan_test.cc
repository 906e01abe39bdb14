// Scans in threads, against a writer that overwrites, moves, evicts and splits at full speed.
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/atomic.h"
#include "core/cache/scanner.h"
#include "core/cache/writer.h"
#include "tests/support/seed.h"
#include "tests/support/self_checking_value.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::CheckSelfCheckingValue;
using testing::FullRun;
using testing::MakeSelfCheckingValue;
using testing::Random;
using testing::RunSeed;
using testing::TestStore;

constexpr std::uint32_t kStable = 1500;
constexpr std::uint64_t kSpread = 100;

// Scans until `scans` are done; each must return every stable key, with one of its values.
struct ScanThread {
  void Run(const TestStore& store, std::uint16_t ns, std::uint32_t scans) {
    const StoreReader reader = store.AttachedReader();
    for (std::uint32_t i = 0; i < scans; ++i) {
      auto scanner = Scanner::Begin(reader, ns, {.prefix = "s"});
      std::vector<bool> seen(kStable);
      ScannedEntry entry;
      while (scanner.ok()) {
        const auto more = scanner->Next(&entry);
        if (!more.ok()) {
          ++unavailable;
          continue;
        }
        if (!*more) break;
        const auto key = static_cast<std::uint32_t>(std::stoul(entry.key.substr(1)));
        if (key >= kStable || CheckSelfCheckingValue(key, entry.value, kSpread) == 0) {
          ++wrong;
          continue;
        }
        if (seen[key]) ++twice;
        seen[key] = true;
      }
      for (const bool found : seen) missing += found ? 0 : 1;
    }
  }
  std::uint64_t wrong = 0, missing = 0, twice = 0, unavailable = 0;
};

TEST_CASE(
    "scan: against a writer at full speed every key that stays is returned, and none is wrong") {
  HEARTH_SHOW_SEED();
  TestStore store({.segments = 200});
  const std::uint16_t ns = store.Namespace("n", {.evict = false});
  const std::uint16_t other = store.Namespace("other", {.quota_max_bytes = 20 * 64 * kKiB});
  std::uint64_t number = 0;
  Random random(RunSeed());
  const auto overwrite = [&](std::uint32_t key) {
    store.Set(ns, fmt::format("s{}", key), MakeSelfCheckingValue(key, ++number, kSpread));
  };
  for (std::uint32_t key = 0; key < kStable; ++key) overwrite(key);
  Atomic<std::uint32_t> left{2};
  ScanThread scans[2];
  std::vector<std::thread> threads;
  for (ScanThread& scan : scans) {
    threads.emplace_back([&] {
      scan.Run(store, ns, FullRun() ? 300 : 30);
      left.AddRelaxed(~std::uint32_t{0});
    });
  }
  std::uint32_t growing = 0;
  while (left.LoadRelaxed() != 0) {
    for (int i = 0; i < 20; ++i) {
      overwrite(static_cast<std::uint32_t>(random.Below(kStable)));
      // Comes and goes in the same pages, makes them split, and evicts others.
      const std::string passing = fmt::format("passing {}", random.Below(3000));
      if (random.OneIn(2)) {
        store.Set(ns, passing, "p");
      } else {
        static_cast<void>(store.writer().Delete(ns, passing, {}).ok());
      }
      if (growing < 20'000) store.Set(other, fmt::format("{}", ++growing), std::string(40, 'x'));
    }
  }
  for (std::thread& thread : threads) thread.join();
  for (const ScanThread& scan : scans) {
    CHECK(scan.missing == 0);
    CHECK(scan.wrong == 0);
    MESSAGE(scan.twice << " returned twice, " << scan.unavailable << " times unavailable");
  }
  for (const std::string& problem : testing::FindBrokenInvariants(store.view()))
    FAIL_CHECK(problem);
}

}  // namespace
}  // namespace hearth::cache
