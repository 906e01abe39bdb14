// What the reference policies reach according to others, on recorded traces with unit-sized entries
// and a cache of 10 % of the distinct keys. It tells whether these implementations are to be
// believed.
#ifndef HEARTH_TESTS_HITRATIO_PUBLISHED_H_
#define HEARTH_TESTS_HITRATIO_PUBLISHED_H_

#include <array>
#include <cmath>
#include <string>

#include <fmt/core.h>

#include "tests/hitratio/comparison.h"

namespace hearth::hitratio {

struct Published {
  const char* trace;
  double lru;
  double tinylfu;
  double s3fifo;
};
inline constexpr std::array kPublished = {Published{"orm-busy", 88.01, 87.28, 88.99},
                                          Published{"web12", 68.48, 70.45, 72.25}};
inline constexpr double kMaxFromPublished = 0.3;  // points

struct Check {
  bool agrees = true;
  std::string text;
};

inline Check CheckPublished(const Published& published, const Trace& trace) {
  const std::uint64_t entries = FootprintOf(trace).objects / 10;
  const Budget budget{.bytes = entries, .objects = trace.objects, .expected_entries = entries};
  Check check;
  const auto compare = [&](const char* name, double expected, Policy& policy) {
    const double found = ReplayUnits(trace, policy).percent();
    const bool agrees = std::abs(found - expected) <= kMaxFromPublished;
    check.agrees = check.agrees && agrees;
    check.text +=
        fmt::format("# {}, {} unit entries: {} {:.2f}, published {:.2f}: {}\n", published.trace,
                    entries, name, found, expected, agrees ? "agrees" : "DIFFERS");
  };
  compare("LRU", published.lru, *MakeLru(budget));
  compare("W-TinyLFU", published.tinylfu, *MakeTinyLfu(budget));
  compare("S3-FIFO", published.s3fifo, *MakeS3Fifo(budget));
  return check;
}

}  // namespace hearth::hitratio

#endif  // HEARTH_TESTS_HITRATIO_PUBLISHED_H_
