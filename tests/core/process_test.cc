// Readers in other processes, through their own read-only mappings, against a writer that
// overwrites and evicts at full speed: no value may be torn, foreign, older than one acknowledged
// before the read began, or older than one the same reader has seen.
//
// HEARTH_GO_READER names a program to use as the readers, instead of forked C++ ones:
//   PROGRAM overwrite-reader STORE ACKNOWLEDGED KEYS SPREAD SEED READS
// STORE and ACKNOWLEDGED are inherited descriptors; it talks over its standard input and output as
// ReaderProcess does. go-binding/internal/index/overwrite is one, and runs this test.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
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
constexpr std::size_t kPageBytes = 4096;
constexpr std::uint64_t kCenturyMs = std::uint64_t{100} * 365 * 86400 * 1000;

struct Load {
  std::uint32_t segments;
  std::uint32_t keys;
  std::uint64_t spread;
  std::uint32_t delete_one_in;  // 0 = never
  bool may_miss;                // by deletion or eviction
  std::uint64_t max_value_bytes = 0;
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

const char* GoReader() { return std::getenv("HEARTH_GO_READER"); }

// What a reader is given.
struct Task {
  const TestStore& store;
  const Load& load;
  int acknowledged_fd;
  const Acknowledged* acknowledged;
  std::uint64_t seed;
  std::uint64_t reads;
};

Result<ChildProcess> StartReader(const Task& task) {
  const char* program = GoReader();
  if (program == nullptr)
    return ChildProcess::Fork([&](Channel& channel) {
      return ReaderProcess(channel, task.store, task.load, task.acknowledged, task.seed,
                           task.reads);
    });
  // Copies, which exec does not close.
  const UniqueFd store(::dup(task.store.store().read_only_fd().get()));
  const UniqueFd acknowledged(::dup(task.acknowledged_fd));
  return ChildProcess::Exec({program, "overwrite-reader", std::to_string(store.get()),
                             std::to_string(acknowledged.get()), std::to_string(task.load.keys),
                             std::to_string(task.load.spread), std::to_string(task.seed),
                             std::to_string(task.reads)});
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
  TestStore store({.segments = load.segments, .max_value_bytes = load.max_value_bytes});
  REQUIRE(store.Namespace("n") == 1);
  // Of whole pages, as every region is.
  auto memory =
      shm::CreateMemory("process_test", (load.keys * sizeof(Acknowledged) + kPageBytes - 1) /
                                            kPageBytes * kPageBytes);
  REQUIRE(memory.ok());
  const auto mapped = shm::Mapping::Map(memory->get(), shm::Access::kReadWrite);
  REQUIRE(mapped.ok());
  auto* const acknowledged = reinterpret_cast<Acknowledged*>(mapped->data());

  std::uint64_t number = 0;
  const auto write = [&](std::uint32_t key) {
    // Half of the keys expire some day: readers may take another path for them.
    const Ttl ttl{.hard_ms = key % 2 == 0 ? Ttl{}.hard_ms : kCenturyMs};
    const std::uint64_t version =
        store.Set(1, Key(key), MakeSelfCheckingValue(key, ++number, load.spread), ttl);
    // SYNC release test-acknowledged: the set has returned.
    acknowledged[key].StoreRelease(version);
  };
  for (std::uint32_t key = 0; key < load.keys; ++key) write(key);

  std::vector<ChildProcess> readers;
  for (std::uint32_t i = 0; i < kReaders; ++i) {
    auto child =
        StartReader({store, load, memory->get(), acknowledged, RunSeed() + i, reads / kReaders});
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
      "{}: {} reads in {} {} processes against {} writes, {:.1f} M reads/s: {} hits, {} "
      "misses, {} contended, {} torn, {} outdated; {} evicted\n",
      name, reads, kReaders, GoReader() == nullptr ? "C++" : "Go", number - before,
      static_cast<double>(reads) / 1e6 / seconds, total.hits, total.misses, total.contended,
      total.torn, total.outdated, store.view().header().evicted_entries.LoadRelaxed());
  CHECK(total.hits + total.misses + total.contended == reads);
  CHECK(total.torn == 0);
  CHECK(total.outdated == 0);
  CHECK(total.hits > reads / 100);
  if (!load.may_miss) CHECK(total.misses == 0);
  for (const std::string& problem : testing::FindBrokenInvariants(store.view()))
    FAIL_CHECK(problem);
}

// 100 million in all three loads of a full run, a tenth in a default one.
std::uint64_t Reads(std::uint64_t of_full_run) { return of_full_run / (FullRun() ? 1 : 10); }

constexpr std::uint64_t kMillion = 1'000'000;

// With Go readers, which a default run of all tests has in addition, fewer than elsewhere: the
// other loads show torn copies more often.
TEST_CASE("processes: hot keys overwritten at full speed, none is ever missing, torn or outdated") {
  Run("hot", {.segments = 12, .keys = 8, .spread = 400, .delete_one_in = 0, .may_miss = false},
      (GoReader() == nullptr || FullRun() ? Reads(40 * kMillion) : kMillion));
}

TEST_CASE("processes: large values in a tiny store, so that copies and reuse overlap") {
  Run("large", {.segments = 8, .keys = 2, .spread = 16'000, .delete_one_in = 0, .may_miss = false},
      Reads(10 * kMillion));
}

TEST_CASE("processes: values of several segments, overwritten and freed under their readers") {
  Run("runs",
      {.segments = 32,
       .keys = 3,
       .spread = 220'000,
       .delete_one_in = 0,
       .may_miss = false,
       .max_value_bytes = 256 * kKiB},
      Reads(kMillion * 3 / 10));
}

TEST_CASE("processes: eviction and deletion at full speed never show a wrong value") {
  Run("evicting",
      {.segments = 8, .keys = 1000, .spread = 700, .delete_one_in = 20, .may_miss = true},
      Reads(50 * kMillion));
}

}  // namespace
}  // namespace hearth::cache
