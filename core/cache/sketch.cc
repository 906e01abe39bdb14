#include "core/cache/sketch.h"

#include <algorithm>
#include <utility>

namespace hearth::cache {
namespace {

// Odd numbers without a pattern; each row has its own, and the doorkeeper the last.
constexpr std::uint64_t kFactors[] = {0x9e3779b97f4a7c15U, 0xc2b2ae3d27d4eb4fU, 0x165667b19e3779f9U,
                                      0xd6e8feb86659fd93U, 0xa0761d6478bd642fU};
constexpr std::uint32_t kDoorFactor = 4;

std::uint64_t Mix(std::uint64_t hash, std::uint32_t factor) {
  const std::uint64_t product = hash * kFactors[factor];
  return product ^ product >> 32U;
}

}  // namespace

std::uint64_t FrequencySketch::Place(std::uint64_t hash, std::uint32_t row) const {
  return row * width_ + (Mix(hash, row) & (width_ - 1));
}

void FrequencySketch::Fit(std::uint64_t keys) {
  if (width_ == 0) {
    width_ = kMinWidth;
    counters_.assign(kRows * width_ / 2, 0);
    door_.assign(width_ / 64, 0);
  }
  while (width_ < keys && width_ < kMaxWidth) Double();
}

// Low bits choose the place, so that both halves of a doubled row begin as the whole was.
void FrequencySketch::Double() {
  std::vector<std::uint8_t> wider;
  wider.reserve(counters_.size() * 2);
  const auto row_bytes = static_cast<std::ptrdiff_t>(width_ / 2);
  for (std::uint32_t row = 0; row < kRows; ++row) {
    const auto from = counters_.begin() + row * row_bytes;
    for (int half = 0; half < 2; ++half) wider.insert(wider.end(), from, from + row_bytes);
  }
  counters_ = std::move(wider);
  const std::size_t words = door_.size();
  door_.resize(words * 2);
  std::copy_n(door_.begin(), words, door_.begin() + static_cast<std::ptrdiff_t>(words));
  width_ *= 2;
}

bool FrequencySketch::AtTheDoor(std::uint64_t hash) const {
  const std::uint64_t bit = Mix(hash, kDoorFactor) & (width_ - 1);
  return (door_[bit / 64] >> (bit % 64) & 1U) != 0;
}

std::uint32_t FrequencySketch::Least(std::uint64_t hash) const {
  std::uint32_t least = kMaxCount;
  for (std::uint32_t row = 0; row < kRows; ++row) least = std::min(least, Count(Place(hash, row)));
  return least;
}

std::uint32_t FrequencySketch::Estimate(std::uint64_t hash) const {
  if (width_ == 0) return 0;
  return Least(hash) + (AtTheDoor(hash) ? 1 : 0);
}

void FrequencySketch::Add(std::uint64_t hash) {
  if (width_ == 0) Fit(kMinWidth);
  if (!AtTheDoor(hash)) {
    const std::uint64_t bit = Mix(hash, kDoorFactor) & (width_ - 1);
    door_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  } else if (const std::uint32_t least = Least(hash); least < kMaxCount) {
    for (std::uint32_t row = 0; row < kRows; ++row) {
      const std::uint64_t place = Place(hash, row);
      if (Count(place) != least) continue;
      std::uint8_t& pair = counters_[place >> 1U];
      pair = static_cast<std::uint8_t>(pair + (1U << ((place & 1U) * 4U)));
    }
  }
  if (++uses_ >= kUsesPerKey * width_) Age();
}

void FrequencySketch::Age() {
  for (std::uint8_t& pair : counters_) pair = static_cast<std::uint8_t>((pair >> 1U) & 0x77U);
  std::fill(door_.begin(), door_.end(), 0);
  uses_ /= 2;
}

}  // namespace hearth::cache
