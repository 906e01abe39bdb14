// A writer that dies at each of its failpoints, again and again, and what its successor finds: no
// acknowledged write is lost, no deleted value comes back, increments are exact.
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "core/base/units.h"
#include "core/cache/store.h"
#include "core/cache/verify.h"
#include "core/cache/writer.h"
#include "core/shm/memory.h"
#include "tests/core/crash_workload.h"
#include "tests/support/child_process.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::Channel;
using testing::ChildProcess;
using testing::CrashWorkload;
using testing::FindBrokenInvariants;
using testing::FullRun;
using testing::Random;
using testing::RunSeed;
using testing::TestStore;

struct Death {};

constexpr const char* kPoints[] = {
    "writer.after_in_flight", "writer.after_body",   "writer.after_watermark",
    "writer.after_slot",      "writer.mid_retire",   "writer.after_generation",
    "segment.after_seal",     "segment.after_start", "evict.after_copy",
    "evict.after_watermark",  "evict.after_slot",    "evict.after_clear",
    "evict.mid_segment",
};
constexpr const char* kSplitPoints[] = {
    "index.after_format",  "index.before_split_noted", "index.before_directory",
    "index.mid_directory", "index.after_split",        "index.before_link",
};
constexpr const char* kRunPoints[] = {
    "run.mid_take",      "run.after_first",        "run.mid_free",      "run.mid_relink",
    "writer.after_body", "writer.after_watermark", "writer.after_slot", "writer.after_generation",
};
constexpr const char* kRecoveryPoints[] = {"recover.before_index", "recover.before_recount"};

// Dies, by an exception, when a point is reached for the `hit`th time: memory is then as a SIGKILL
// would have left it.
class DieAt {
 public:
  DieAt(const char* point, std::uint64_t hit) : point_(point) {
    SetFailpoint(point, [this, hit] {
      if (FailpointHits(point_) == hit) throw Death{};
    });
  }
  DieAt(const DieAt&) = delete;
  DieAt& operator=(const DieAt&) = delete;
  ~DieAt() { ClearFailpoint(point_); }

 private:
  const char* point_;
};

// One store, many lives.
class Lives {
 public:
  Lives(std::uint64_t seed, std::uint32_t segments, const testing::CrashShape& shape = {})
      : random_(seed),
        workload_(seed, shape),
        store_({.segments = segments,
                .namespace_capacity = 4,
                .max_value_bytes = shape.large_one_in == 0 ? 0 : 512 * kKiB}) {
    CrashWorkload::CreateNamespaces(store_.writer());
  }

  // Works until it dies at `point`, at the `hit`th time, or for so many operations. Whether it
  // died.
  bool LiveUntil(const char* point, std::uint64_t hit, std::uint64_t operations = 2000) {
    const DieAt die(point, hit);
    const std::uint64_t end = next_ + operations;
    for (; next_ < end; ++next_) {
      const auto operation = workload_.At(next_);
      Status status;
      try {
        status = CrashWorkload::Execute(store_.writer(), operation, next_);
        if (random_.OneIn(20)) store_.writer().Scrub(100);
      } catch (const Death&) {
        return true;
      }
      REQUIRE_MESSAGE(status.ok(), status.ToString());
      workload_.Acknowledge(operation);
    }
    return false;
  }

  void TakeOver() {
    RecoveryReport report;
    while (true) {
      try {
        const DieAt die(kRecoveryPoints[random_.Below(2)], random_.OneIn(4) ? 1 : 2);
        report = store_.TakeOver();
        break;
      } catch (const Death&) {
        ++deaths_in_recovery_;
      }
    }
    for (const std::string& damage : report.damage) FAIL(damage);
    for (const std::string& problem : FindBrokenInvariants(store_.view())) FAIL(problem);
    const auto operation = workload_.At(next_);
    if (CrashWorkload::WasExecuted(store_.writer(), report, operation, next_)) {
      workload_.Acknowledge(operation);
      ++next_;
    }
  }

  void CheckAll() { workload_.CheckAll(store_.Reader()); }
  std::uint64_t deaths_in_recovery() const { return deaths_in_recovery_; }

 private:
  Random random_;
  CrashWorkload workload_;
  TestStore store_;
  std::uint64_t next_ = 1;
  std::uint64_t deaths_in_recovery_ = 0;
};

TEST_CASE("recovery: a writer that dies at any failpoint leaves all that it acknowledged") {
  HEARTH_SHOW_SEED();
  const int stores = FullRun() ? 60 : 4;
  const int lives = 100;
  std::map<std::string, int> deaths;
  std::uint64_t in_recovery = 0;
  Random random(RunSeed());
  for (int i = 0; i < stores; ++i) {
    Lives writer(RunSeed() + static_cast<std::uint64_t>(i), i % 2 == 0 ? 20 : 40);
    for (int life = 0; life < lives; ++life) {
      const char* const point = kPoints[random.Below(std::size(kPoints))];
      CAPTURE(point);
      if (writer.LiveUntil(point, 1 + random.Below(random.OneIn(2) ? 3 : 60))) {
        ++deaths[point];
        writer.TakeOver();
      }
      writer.CheckAll();
    }
    in_recovery += writer.deaths_in_recovery();
  }
  std::string counts;
  for (const char* point : kPoints) {
    CAPTURE(point);
    CHECK(deaths[point] > 0);
    counts += fmt::format(" {} {}", deaths[point], point);
  }
  CHECK(in_recovery > 0);
  MESSAGE("died:" << counts << ", " << in_recovery << " while taking over");
}

TEST_CASE("recovery: a writer that dies in the middle of a split of the index") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  for (int i = 0; i < (FullRun() ? 50 : 3); ++i) {
    for (const char* const point : kSplitPoints) {
      CAPTURE(point);
      Lives writer(RunSeed() + static_cast<std::uint64_t>(i), 128,
                   {.evicted_keys = 60'000, .spread = 8});
      // The first splits come when there are some 6,000 entries; later ones are of deeper pages.
      for (int life = 0; life < 3; ++life) {
        REQUIRE(writer.LiveUntil(point, 1 + random.Below(2), 200'000));
        writer.TakeOver();
        writer.CheckAll();
      }
    }
  }
}

TEST_CASE("recovery: a writer that dies while it writes, moves or frees a large value") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  std::map<std::string, int> deaths;
  for (int i = 0; i < (FullRun() ? 40 : 3); ++i) {
    Lives writer(RunSeed() + static_cast<std::uint64_t>(i), 64,
                 {.evicted_keys = 200, .large_one_in = 4});
    for (int life = 0; life < 60; ++life) {
      const char* const point = kRunPoints[random.Below(std::size(kRunPoints))];
      CAPTURE(point);
      if (writer.LiveUntil(point, 1 + random.Below(10))) {
        ++deaths[point];
        writer.TakeOver();
      }
      writer.CheckAll();
    }
  }
  for (const char* point : kRunPoints) {
    CAPTURE(point);
    CHECK(deaths[point] > 0);
  }
}

// -------------------------------------------------------------------------------------- SIGKILL
// The last operation that was acknowledged, in memory of its own.
struct Progress {
  Atomic<std::uint64_t> acknowledged;
};

// A writer process: works on from `next` until it is killed.
int WriterProcess(const Store& store, const CrashWorkload& workload, Progress* progress,
                  std::uint64_t next, const char* point, std::uint64_t hit) {
  RecoveryReport report;
  auto writer = StoreWriter::Recover(store.view(), &report);
  if (!writer.ok()) return 3;
  if (point != nullptr)
    SetFailpoint(point, [point, hit] {
      if (FailpointHits(point) == hit) ::kill(::getpid(), SIGKILL);
    });
  for (std::uint64_t n = next;; ++n) {
    const auto operation = workload.At(n);
    if (!CrashWorkload::Execute(**writer, operation, n).ok()) return 4;
    progress->acknowledged.StoreInProgramOrder(n);
    if (n % 8 == 0) (*writer)->Scrub(500);
  }
}

// A reader process that attaches once, and reads through all lives of the writer.
int ReaderProcess(Channel& channel, int fd) {
  const auto reader = StoreReader::Attach(fd);
  if (!reader.ok()) return 1;
  Random random(RunSeed());
  std::string value;
  std::uint64_t counts[2] = {0, 0};  // hits, wrong values
  while (!channel.Readable()) {
    for (int i = 0; i < 1000; ++i) {
      const auto key = static_cast<std::uint32_t>(random.Below(testing::CrashShape{}.evicted_keys));
      const auto read = reader->Get(CrashWorkload::kEvicted, fmt::format("key {}", key), &value);
      if (read.outcome != ReadOutcome::kHit) continue;
      ++counts[0];
      if (testing::CheckSelfCheckingValue(key, value, testing::CrashShape{}.spread) == 0)
        ++counts[1];
    }
  }
  return channel.Send(counts) ? 0 : 2;
}

TEST_CASE("recovery: SIGKILL at failpoints and at any other instruction") {
  HEARTH_SHOW_SEED();
  auto store = Store::Create({.bytes = 24 * 64 * kKiB, .segment_bytes = 64 * kKiB});
  REQUIRE(store.ok());
  {
    const auto writer = StoreWriter::Create(store->view());
    REQUIRE(writer.ok());
    CrashWorkload::CreateNamespaces(**writer);
  }
  auto memory = shm::CreateMemory("test-progress", 4096);
  REQUIRE(memory.ok());
  auto mapping = shm::Mapping::Map(memory->get(), shm::Access::kReadWrite);
  REQUIRE(mapping.ok());
  auto* const progress = reinterpret_cast<Progress*>(mapping->data());
  auto reader = ChildProcess::Fork(
      [&](Channel& channel) { return ReaderProcess(channel, store->read_only_fd().get()); });
  REQUIRE(reader.ok());

  Random random(RunSeed());
  CrashWorkload workload(RunSeed());
  std::uint64_t owed = 0;  // operations that the workload has acknowledged
  const int lives = FullRun() ? 5000 : 150;
  for (int life = 0; life < lives; ++life) {
    const bool anywhere = random.OneIn(2);
    const char* const point = anywhere ? nullptr : kPoints[random.Below(std::size(kPoints))];
    const std::uint64_t hit = 1 + random.Below(30);
    auto writer = ChildProcess::Fork(
        [&](Channel&) { return WriterProcess(*store, workload, progress, owed + 1, point, hit); });
    REQUIRE(writer.ok());
    // At any instruction: after some number of operations, and the time it takes to notice them.
    const std::uint64_t enough = owed + 1 + random.Below(anywhere ? 300 : 3000);
    while (progress->acknowledged.LoadRelaxed() < enough && !writer->HasEnded()) ::sched_yield();
    writer->Kill(SIGKILL);
    REQUIRE(writer->Wait() == -SIGKILL);

    RecoveryReport report;
    const auto successor = StoreWriter::Recover(store->view(), &report);
    REQUIRE(successor.ok());
    for (const std::string& damage : report.damage) FAIL(damage);
    for (const std::string& problem : FindBrokenInvariants(store->view())) FAIL(problem);
    for (; owed < progress->acknowledged.LoadRelaxed(); ++owed)
      workload.Acknowledge(workload.At(owed + 1));
    const auto under_way = workload.At(owed + 1);
    if (CrashWorkload::WasExecuted(**successor, report, under_way, owed + 1)) {
      workload.Acknowledge(under_way);
      progress->acknowledged.StoreRelaxed(++owed);
    }
    if (life % 10 == 0 || life == lives - 1)
      workload.CheckAll(StoreReader(store->view(), Clock::System()));
  }
  std::uint64_t counts[2] = {0, 0};
  REQUIRE(reader->channel().Send('e'));
  REQUIRE(reader->channel().Receive(&counts));
  CHECK(counts[0] > 0);
  CHECK(counts[1] == 0);
  MESSAGE(lives << " kills, " << owed << " operations acknowledged; a reader saw " << counts[0]
                << " values, all whole");
}

}  // namespace
}  // namespace hearth::cache
