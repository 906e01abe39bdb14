// Verify: walks a whole store, read-only, and says what is wrong with it.
#ifndef HEARTH_CORE_CACHE_VERIFY_H_
#define HEARTH_CORE_CACHE_VERIFY_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/cache/view.h"

namespace hearth::cache {

enum class VerifyMode {
  // Nobody writes, and nothing is under way: every invariant and counter of FORMAT.md holds.
  kStill,
  // A writer may be at work, or may have been killed in the middle of a step: only what no writer
  // leaves, at any instant, is wrong. What looks wrong is looked at again before it is reported.
  kLive,
};

struct VerifyReport {
  // What was looked at.
  std::uint64_t pages = 0;
  std::uint64_t entries = 0;  // behind slots
  std::uint64_t live_bytes = 0;
  std::array<std::uint32_t, 6> segments{};  // by SegmentState; those of no known state are missing

  std::uint32_t held_segments = 0;  // of the free ones, those that wait for the next scrub

  // One line for each thing that is wrong, at most kMaxProblems; then how many there were.
  static constexpr std::size_t kMaxProblems = 64;
  std::vector<std::string> problems;
  std::uint64_t problem_count = 0;

  bool sound() const { return problem_count == 0; }
};

// Time: about that of reading every entry once. Memory: a few words for each segment. Safe for any
// bytes, also while they change.
VerifyReport Verify(const StoreView& view, VerifyMode mode);

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_VERIFY_H_
