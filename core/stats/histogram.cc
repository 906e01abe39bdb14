#include "core/stats/histogram.h"

#include <cmath>

namespace hearth::stats {

void Histogram::Merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i)
    counts_[i].StoreRelaxed(counts_[i].LoadRelaxed() + other.counts_[i].LoadRelaxed());
}

std::uint64_t Histogram::Count() const {
  std::uint64_t total = 0;
  for (const auto& count : counts_) total += count.LoadRelaxed();
  return total;
}

std::uint64_t Histogram::Quantile(double fraction) const {
  const std::uint64_t total = Count();
  if (total == 0) return 0;
  // At least the first: the smallest value is the 0-quantile.
  const double rank = std::ceil(fraction * static_cast<double>(total));
  std::uint64_t left = rank < 1 ? 1 : static_cast<std::uint64_t>(rank);
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const std::uint64_t count = counts_[i].LoadRelaxed();
    if (count >= left) return UpperEdge(i);
    left -= count;
  }
  return UpperEdge(kBuckets - 1);
}

}  // namespace hearth::stats
