// A writer at full speed against readers in other threads: every value proves itself, versions of
// a key never go back, and what was acknowledged before a read began is what it finds, or later.
#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/atomic.h"
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

#if defined(HEARTH_TSAN)
constexpr std::uint64_t kReads = 30'000;
#else
constexpr std::uint64_t kReads = 400'000;
#endif

struct Race {
  std::uint32_t segments = 12;
  std::uint32_t keys = 1;
  std::uint64_t spread = 0;         // of value lengths
  std::uint32_t delete_one_in = 0;  // 0 = never
  bool may_miss = false;            // by deletion or eviction
};

class Arena {
 public:
  explicit Arena(const Race& race)
      : race_(race), store_({.segments = race.segments}), ns_(store_.Namespace("n")) {
    for (std::uint32_t key = 0; key < race_.keys; ++key) Write(key);
  }

  void Run() {
    const std::uint64_t reads = FullRun() ? kReads * 20 : kReads;
    std::vector<std::thread> readers;
    for (std::uint64_t i = 0; i < 2; ++i)
      readers.emplace_back([this, i, reads] { Read(RunSeed() + i, reads); });
    Random random(RunSeed());
    while (readers_done_.LoadRelaxed() < readers.size()) {
      const auto key = static_cast<std::uint32_t>(random.Below(race_.keys));
      if (race_.delete_one_in != 0 && random.OneIn(race_.delete_one_in)) {
        static_cast<void>(store_.writer().Delete(ns_, Key(key), {}).ok());
      } else {
        Write(key);
      }
      // Reads are noted all the time, also of keys that readers stand in.
      const auto read = static_cast<std::uint32_t>(random.Below(race_.keys));
      store_.writer().NoteRead(testing::KeyHash(store_.view(), ns_, Key(read)));
    }
    for (std::thread& reader : readers) reader.join();
    for (const std::string& problem : problems_) FAIL_CHECK(problem);
    for (const std::string& problem : testing::FindBrokenInvariants(store_.view()))
      FAIL_CHECK(problem);
    MESSAGE(next_ << " writes against " << 2 * reads << " reads: " << hits_.LoadRelaxed()
                  << " hits, " << misses_.LoadRelaxed() << " misses, " << contended_.LoadRelaxed()
                  << " contended");
    CHECK(hits_.LoadRelaxed() > 0);
    if (!race_.may_miss) CHECK(misses_.LoadRelaxed() == 0);
  }

 private:
  static std::string Key(std::uint32_t key) { return fmt::format("key {}", key); }

  void Write(std::uint32_t key) {
    const std::uint64_t version =
        store_.Set(ns_, Key(key), MakeSelfCheckingValue(key, ++next_, race_.spread));
    // SYNC release test-acknowledged: the set has returned.
    acknowledged_[key].StoreRelease(version);
  }

  void Problem(std::string text) {
    std::lock_guard lock(mutex_);
    if (problems_.size() < 10) problems_.push_back(std::move(text));
  }

  void Read(std::uint64_t seed, std::uint64_t reads) {
    Random random(seed);
    const StoreReader reader = store_.Reader();
    std::vector<std::uint64_t> seen(race_.keys);
    std::string value;
    for (std::uint64_t i = 0; i < reads; ++i) {
      const auto key = static_cast<std::uint32_t>(random.Below(race_.keys));
      // SYNC acquire test-acknowledged: a set that returned before this read begins.
      const std::uint64_t floor = acknowledged_[key].LoadAcquire();
      const ReadResult result = reader.Get(ns_, Key(key), &value);
      if (result.outcome != ReadOutcome::kHit) {
        (result.outcome == ReadOutcome::kMiss ? misses_ : contended_).AddRelaxed(1);
        continue;
      }
      hits_.AddRelaxed(1);
      if (CheckSelfCheckingValue(key, value, race_.spread) == 0)
        Problem(fmt::format("torn or foreign value of key {}, {} bytes", key, value.size()));
      if (result.version < floor)
        Problem(
            fmt::format("key {}: version {}, but {} was acknowledged", key, result.version, floor));
      if (result.version < seen[key])
        Problem(fmt::format("key {}: version {} after {}", key, result.version, seen[key]));
      seen[key] = result.version;
    }
    readers_done_.AddRelaxed(1);
  }

  const Race race_;
  TestStore store_;
  const std::uint16_t ns_;
  std::uint64_t next_ = 0;  // number of the next value
  std::array<Atomic<std::uint64_t>, 4096> acknowledged_{};
  Atomic<std::uint64_t> readers_done_{0};
  Atomic<std::uint64_t> hits_{0};
  Atomic<std::uint64_t> misses_{0};
  Atomic<std::uint64_t> contended_{0};
  std::mutex mutex_;
  std::vector<std::string> problems_;
};

TEST_CASE(
    "race: a few hot keys, segments die and are reused all the time, nothing is ever missing") {
  HEARTH_SHOW_SEED();
  Arena({.keys = 8, .spread = 600}).Run();
}

TEST_CASE("race: one key") {
  HEARTH_SHOW_SEED();
  Arena({.keys = 1, .spread = 3000}).Run();
}

TEST_CASE("race: far more than fits, with evictions and deletions") {
  HEARTH_SHOW_SEED();
  Arena({.segments = 8, .keys = 2000, .spread = 1000, .delete_one_in = 20, .may_miss = true}).Run();
}

TEST_CASE("race: small entries, so that overflow buckets come and go") {
  HEARTH_SHOW_SEED();
  Arena({.segments = 32, .keys = 4096, .delete_one_in = 3, .may_miss = true}).Run();
}

TEST_CASE("race: pages split while keys are read, none is missed") {
  HEARTH_SHOW_SEED();
  TestStore store({.segments = 256});
  const std::uint16_t ns = store.Namespace("n");
  Atomic<std::uint64_t> written{0};
  Atomic<std::uint64_t> wrong{0};
#if defined(HEARTH_TSAN)
  constexpr std::uint64_t kKeys = 15'000;
#else
  constexpr std::uint64_t kKeys = 80'000;
#endif
  const auto key = [](std::uint64_t i) { return fmt::format("key{}", i); };
  std::thread reader([&] {
    const StoreReader in_place = store.Reader();
    Random random(RunSeed());
    std::string value;
    while (true) {
      // SYNC acquire test-written: the keys below are set.
      const std::uint64_t end = written.LoadAcquire();
      if (end == kKeys) return;
      if (end == 0) continue;
      const std::uint64_t i = random.Below(end);
      const ReadResult result = in_place.Get(ns, key(i), &value);
      if (result.outcome != ReadOutcome::kHit || value != key(i)) wrong.AddRelaxed(1);
    }
  });
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    store.Set(ns, key(i), key(i));
    // SYNC release test-written: the key is set.
    written.StoreRelease(i + 1);
  }
  reader.join();
  CHECK(wrong.LoadRelaxed() == 0);
  CHECK(testing::IndexPages(store.view()).size() > 2);
}

}  // namespace
}  // namespace hearth::cache
