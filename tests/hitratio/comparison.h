// Comparison: one trace at one cache size, the engine and the reference policies beside it.
#ifndef HEARTH_TESTS_HITRATIO_COMPARISON_H_
#define HEARTH_TESTS_HITRATIO_COMPARISON_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/hitratio/engine.h"
#include "tests/hitratio/policy.h"
#include "tests/hitratio/trace.h"

namespace hearth::hitratio {

struct Score {
  std::uint64_t reads = 0;
  std::uint64_t hits = 0;
  double percent() const {
    return reads == 0 ? 0 : 100.0 * static_cast<double>(hits) / static_cast<double>(reads);
  }
};

// Runs a whole trace; hits are counted from the first request on. An entry that has expired is a
// miss and keeps its room until it is evicted or set again.
Score Replay(const Trace& trace, Policy& policy);
// The same with every object one unit: for figures from the literature.
Score ReplayUnits(const Trace& trace, Policy& policy);

struct CaseOptions {
  double percent = 10;           // of the bytes of the distinct entries
  std::uint32_t segments = 128;  // wished; fewer where entries would not fit
  std::uint32_t lost_touches = 0;
  std::uint32_t touch_batch = 1;
  bool model = false;     // also the model of S3-FIFO on segments
  bool tiny_lfu = false;  // the engine with TinyLFU admission
};

struct Row {
  std::string trace;
  double percent = 0;         // wished
  double actual_percent = 0;  // what the engine had for entries, and the policies got
  std::uint32_t segments = 0;
  std::uint32_t lost_touches = 0;
  Score engine{};
  Score s3fifo{};
  Score lru{};
  Score tinylfu{};
  Score model{};                      // S3-FIFO on segments with a fixed small log
  Score adaptive{};                   // with one that follows its ghosts
  double model_copied = 0;            // bytes copied per byte set, in the first of them
  std::vector<std::string> broken{};  // invariants of the store after the run

  double behind_s3fifo() const { return s3fifo.percent() - engine.percent(); }
  double behind_lru() const { return lru.percent() - engine.percent(); }
};

// The rules that the engine shall keep on every trace.
inline constexpr double kMaxBehindS3Fifo = 0.5;  // points
inline constexpr double kMaxBehindLru = 0.0;
// What is enforced today, on the short streams: dead entries of write-heavy ones cost a little
// more.
inline constexpr double kEnforcedBehindS3Fifo = 0.75;
inline bool KeepsRules(const Row& row) {
  return row.behind_s3fifo() <= kMaxBehindS3Fifo && row.behind_lru() <= kMaxBehindLru;
}

Row Compare(const Trace& trace, const CaseOptions& options);

}  // namespace hearth::hitratio

#endif  // HEARTH_TESTS_HITRATIO_COMPARISON_H_
