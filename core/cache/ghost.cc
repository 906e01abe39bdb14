#include "core/cache/ghost.h"

#include <algorithm>
#include <utility>

namespace hearth::cache {

void Ghost::Add(std::uint64_t hash, std::uint64_t capacity) {
  capacity_ = std::min<std::uint64_t>(capacity, kMaxBuckets * kCells / 2);
  if (buckets_.empty()) buckets_.resize(64);
  // At most half full, so that few buckets of four overflow.
  while (capacity_ * 2 > buckets_.size() * kCells) Grow();
  if (Fingerprint(hash) == 0) return;
  Put(Fingerprint(hash), ++clock_);
}

void Ghost::Put(std::uint32_t fingerprint, std::uint32_t time) {
  Cell* place = nullptr;
  for (Cell& cell : BucketOf(fingerprint)) {
    if (cell.fingerprint == fingerprint || cell.fingerprint == 0) {
      place = &cell;
      break;
    }
    if (place == nullptr || Age(cell.time) > Age(place->time)) place = &cell;
  }
  *place = {fingerprint, time};
}

bool Ghost::Take(std::uint64_t hash) {
  if (buckets_.empty() || Fingerprint(hash) == 0) return false;
  for (Cell& cell : BucketOf(Fingerprint(hash))) {
    if (cell.fingerprint != Fingerprint(hash)) continue;
    const bool counts = Age(cell.time) < capacity_;
    cell = {};
    return counts;
  }
  return false;
}

void Ghost::Grow() {
  const std::vector<Bucket> old = std::exchange(buckets_, std::vector<Bucket>(buckets_.size() * 2));
  for (const Bucket& bucket : old) {
    for (const Cell& cell : bucket)
      if (cell.fingerprint != 0) Put(cell.fingerprint, cell.time);
  }
}

}  // namespace hearth::cache
