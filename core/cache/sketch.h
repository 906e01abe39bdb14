// FrequencySketch: how often keys were used lately, for TinyLFU admission.
#ifndef HEARTH_CORE_CACHE_SKETCH_H_
#define HEARTH_CORE_CACHE_SKETCH_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hearth::cache {

// The frequency sketch of Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission
// Policy" (ACM Transactions on Storage 13(4), 2017): four rows of 4-bit counters, of which the
// least is the answer and only the least are raised, behind a doorkeeper that takes each key's
// first use. After ten uses for each key it is made for, all counters are halved and the doorkeeper
// is emptied, so that the past fades. Private memory of the writer, about three bytes for each key;
// lost with the process.
//
// Not thread-safe.
class FrequencySketch {
 public:
  // Makes it large enough for so many keys; it never shrinks. What it knows stays.
  void Fit(std::uint64_t keys);
  // Counts a use of the key with this hash.
  void Add(std::uint64_t hash);
  // 0 to 16; more likely too much than too little.
  std::uint32_t Estimate(std::uint64_t hash) const;

  std::size_t memory_bytes() const { return counters_.size() + door_.size() * sizeof(door_[0]); }

 private:
  static constexpr std::uint32_t kRows = 4;
  static constexpr std::uint32_t kMaxCount = 15;
  static constexpr std::uint64_t kUsesPerKey = 10;
  static constexpr std::uint64_t kMinWidth = 1024;
  static constexpr std::uint64_t kMaxWidth = std::uint64_t{1} << 28U;

  // A counter's number: of a row in a table of `width_`, a power of two.
  std::uint64_t Place(std::uint64_t hash, std::uint32_t row) const;
  std::uint32_t Count(std::uint64_t place) const {
    return (counters_[place >> 1U] >> ((place & 1U) * 4U)) & kMaxCount;
  }
  std::uint32_t Least(std::uint64_t hash) const;
  bool AtTheDoor(std::uint64_t hash) const;
  void Age();
  void Double();

  std::uint64_t width_ = 0;             // counters of a row
  std::uint64_t uses_ = 0;              // since the last ageing
  std::vector<std::uint8_t> counters_;  // two in each byte, row after row
  std::vector<std::uint64_t> door_;     // one bit for each counter of a row
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_SKETCH_H_
