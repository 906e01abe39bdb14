// Histogram: latencies in log-linear buckets, in plain words that may lie in shared memory.
//
// Each power of two is divided into 16 equal buckets, so a value is known to within 6.25 % over the
// whole range of 64 bits (the bucket scheme of HdrHistogram, Gil Tene). 976 words, 8 KiB.
#ifndef HEARTH_CORE_STATS_HISTOGRAM_H_
#define HEARTH_CORE_STATS_HISTOGRAM_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/base/atomic.h"

namespace hearth::stats {

// One thread of one process records; any thread or process may read at any time and sees counts
// that lag by a moment. Zeroed memory is an empty histogram.
class Histogram {
 public:
  static constexpr unsigned kSubBits = 4;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) << kSubBits;

  Histogram() = default;

  void Record(std::uint64_t value) {
    Atomic<std::uint64_t>& bucket = counts_[BucketOf(value)];
    bucket.StoreRelaxed(bucket.LoadRelaxed() + 1);
  }

  // Adds another histogram's counts to this one. Only for a histogram nobody else records to.
  void Merge(const Histogram& other);

  std::uint64_t Count() const;
  // The value below or at which a fraction of all recorded ones lie, at the upper edge of its
  // bucket; 0 when empty. REQUIRES: 0 <= fraction <= 1.
  std::uint64_t Quantile(double fraction) const;

  static constexpr std::size_t BucketOf(std::uint64_t value) {
    if (value < (std::uint64_t{1} << kSubBits)) return static_cast<std::size_t>(value);
    const unsigned exponent = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    return (std::size_t{exponent} << kSubBits) + static_cast<std::size_t>(value >> exponent);
  }
  // The largest value of a bucket. REQUIRES: bucket < kBuckets.
  static constexpr std::uint64_t UpperEdge(std::size_t bucket) {
    if (bucket < (std::size_t{1} << kSubBits)) return bucket;
    const unsigned exponent = static_cast<unsigned>(bucket >> kSubBits) - 1;
    const std::uint64_t mantissa =
        (bucket & ((std::size_t{1} << kSubBits) - 1)) + (std::uint64_t{1} << kSubBits);
    return ((mantissa + 1) << exponent) - 1;
  }

 private:
  Atomic<std::uint64_t> counts_[kBuckets] = {};
};
static_assert(sizeof(Histogram) == Histogram::kBuckets * 8);

}  // namespace hearth::stats

#endif  // HEARTH_CORE_STATS_HISTOGRAM_H_
