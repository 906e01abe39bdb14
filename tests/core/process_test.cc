// Readers in other processes, through their own read-only mappings, against a writer that
// overwrites and evicts at full speed: no value may be torn, foreign, older than one acknowledged
// before the read began, or older than one the same reader has seen.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/atomic.h"
#include "core/base/clock.h"
#include "core/cache/writer.h"
#include "core/shm/memory.h"
#include "tests/support/child_process.h"
#include "tests/support/seed.h"
#include "tests/support/self_checking_value.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::Channel;
using testing::CheckSelfCheckingValue;
using testing::ChildProcess;
using testing::FullRun;
using testing::MakeSelfCheckingValue;
using testing::Random;
using testing::RunSeed;
using testing::TestStore;

constexpr std::uint32_t kReaders = 2;

struct Load {
  std::uint32_t segments;
  std::uint32_t keys;
  std::uint64_t spread;
  std::uint32_t delete_one_in;  // 0 = never
  bool may_miss;                // by deletion or eviction
};

struct Report {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t contended = 0;
  std::uint64_t torn = 0;
  std::uint64_t outdated = 0;  // older than what was acknowledged, or than what was seen
};

std::string Key(std::uint32_t key) { return fmt::format("key {}", key); }

// By key: the version of the last set that returned. In shared memory of its own.
using Acknowledged = Atomic<std::uint64_t>;

Report ReadMany(const StoreReader& reader, const Load& load, const Acknowledged* acknowledged,
                std::uint64_t seed, std::uint64_t reads) {
  Report report;
  Random random(seed);
  std::vector<std::uint64_t> seen(load.keys);
  std::string value;
  for (std::uint64_t i = 0; i < reads; ++i) {
    const auto key = static_cast<std::uint32_t>(random.Below(load.keys));
    // SYNC acquire test-acknowledged: a set that returned before this read begins.
    const std::uint64_t floor = acknowledged[key].LoadAcquire();
    const ReadResult result = reader.Get(1, Key(key), &value);
    if (result.outcome != ReadOutcome::kHit) {
      ++(result.outcome == ReadOutcome::kMiss ? report.misses : report.contended);
      continue;
    }
    ++report.hits;
    if (CheckSelfCheckingValue(key, value, load.spread) == 0) ++report.torn;
    if (result.version < floor || result.version < seen[key]) ++report.outdated;
    seen[key] = result.version;
  }
  return report;
}

// A reader: attaches, says so, waits for the start, reads, reports.
int ReaderProcess(Channel& channel, const TestStore& store, const Load& load,
                  const Acknowledged* acknowledged, std::uint64_t seed, std::uint64_t reads) {
  const auto reader = StoreReader::Attach(store.store().read_only_fd().get());
  char go = 0;
  if (!reader.ok() || !channel.Send('r') || !channel.Receive(&go)) return 1;
  return channel.Send(ReadMany(*reader, load, acknowledged, seed, reads)) ? 0 : 2;
}

// The sum of what the readers report, once they have ended.
Report Collect(std::vector<ChildProcess>& readers) {
  Report total;
  for (ChildProcess& reader : readers) {
    Report report;
    REQUIRE(reader.channel().Receive(&report));
    CHECK(reader.Wait() == 0);
    total.hits += report.hits;
    total.misses += report.misses;
    total.contended += report.contended;
    total.torn += report.torn;
    total.outdated += report.outdated;
  }
  return total;
}

void Run(const char* name, const Load& load, std::uint64_t reads) {
  HEARTH_SHOW_SEED();
  TestStore store({.segments = load.segments});
  REQUIRE(store.Namespace("n") == 1);
  auto memory = shm::CreateMemory("process_test", load.keys * sizeof(Acknowledged));
  REQUIRE(memory.ok());
  const auto mapped = shm::Mapping::Map(memory->get(), shm::Access::kReadWrite);
  REQUIRE(mapped.ok());
  auto* const acknowledged = reinterpret_cast<Acknowledged*>(mapped->data());

  std::uint64_t number = 0;
  const auto write = [&](std::uint32_t key) {
    const std::uint64_t version =
        store.Set(1, Key(key), MakeSelfCheckingValue(key, ++number, load.spread));
    // SYNC release test-acknowledged: the set has returned.
    acknowledged[key].StoreRelease(version);
  };
  for (std::uint32_t key = 0; key < load.keys; ++key) write(key);

  std::vector<ChildProcess> readers;
  for (std::uint32_t i = 0; i < kReaders; ++i) {
    auto child = ChildProcess::Fork([&, i](Channel& channel) {
      return ReaderProcess(channel, store, load, acknowledged, RunSeed() + i, reads / kReaders);
    });
    REQUIRE(child.ok());
    readers.push_back(std::move(child).value());
  }
  char ready = 0;
  for (ChildProcess& reader : readers) REQUIRE(reader.channel().Receive(&ready));
  const std::uint64_t begin = MonotonicNanosNow();
  for (ChildProcess& reader : readers) REQUIRE(reader.channel().Send('g'));

  Random random(RunSeed());
  const std::uint64_t before = number;
  for (ChildProcess& reader : readers) {
    while (!reader.channel().Readable()) {
      for (int i = 0; i < 500; ++i) {
        const auto key = static_cast<std::uint32_t>(random.Below(load.keys));
        if (load.delete_one_in != 0 && random.OneIn(load.delete_one_in)) {
          static_cast<void>(store.writer().Delete(1, Key(key), {}).ok());
        } else {
          write(key);
        }
      }
    }
  }
  const double seconds = static_cast<double>(MonotonicNanosNow() - begin) / 1e9;
  const Report total = Collect(readers);
  fmt::print(
      "{}: {} reads in {} processes against {} writes, {:.1f} M reads/s: {} hits, {} "
      "misses, {} contended, {} torn, {} outdated; {} evicted\n",
      name, reads, kReaders, number - before, static_cast<double>(reads) / 1e6 / seconds,
      total.hits, total.misses, total.contended, total.torn, total.outdated,
      store.view().header().evicted_entries.LoadRelaxed());
  CHECK(total.hits + total.misses + total.contended == reads);
  CHECK(total.torn == 0);
  CHECK(total.outdated == 0);
  CHECK(total.hits > reads / 100);
  if (!load.may_miss) CHECK(total.misses == 0);
  for (const std::string& problem : testing::FindBrokenInvariants(store.view()))
    FAIL_CHECK(problem);
}

constexpr std::uint64_t kMillion = 1'000'000;

TEST_CASE("processes: hot keys overwritten at full speed, none is ever missing, torn or outdated") {
  Run("hot", {.segments = 12, .keys = 8, .spread = 400, .delete_one_in = 0, .may_miss = false},
      (FullRun() ? 40 : 4) * kMillion);
}

TEST_CASE("processes: large values in a tiny store, so that copies and reuse overlap") {
  Run("large", {.segments = 8, .keys = 2, .spread = 16'000, .delete_one_in = 0, .may_miss = false},
      (FullRun() ? 10 : 1) * kMillion);
}

TEST_CASE("processes: eviction and deletion at full speed never show a wrong value") {
  Run("evicting",
      {.segments = 8, .keys = 1000, .spread = 700, .delete_one_in = 20, .may_miss = true},
      (FullRun() ? 50 : 5) * kMillion);
}

}  // namespace
}  // namespace hearth::cache
