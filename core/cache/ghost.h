// Ghost: which keys were evicted lately, for S3-FIFO.
#ifndef HEARTH_CORE_CACHE_GHOST_H_
#define HEARTH_CORE_CACHE_GHOST_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace hearth::cache {

// The ghost queue of S3-FIFO (Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP
// 2023, section 4.2) as the paper builds it: a table of fingerprints with the time of their
// eviction, where a fingerprint counts while fewer than `capacity` evictions have followed. Private
// memory of the writer, eight bytes for each key remembered; it is lost with the process, which
// costs a few misses. 32 bits of the hash decide, so it may take one key for another, rarely.
//
// Not thread-safe.
class Ghost {
 public:
  // Remembers a key by its hash; from now on the latest `capacity` count.
  void Add(std::uint64_t hash, std::uint64_t capacity);
  // Whether the key is remembered. It no longer is afterwards.
  bool Take(std::uint64_t hash);

  std::uint64_t capacity() const { return capacity_; }
  std::size_t memory_bytes() const { return buckets_.size() * sizeof(Bucket); }

 private:
  // Fingerprint 0 is an empty cell; a key that has it is not remembered.
  struct Cell {
    std::uint32_t fingerprint = 0;
    std::uint32_t time = 0;
  };
  static constexpr std::size_t kCells = 4;
  using Bucket = std::array<Cell, kCells>;
  static constexpr std::size_t kMaxBuckets = std::size_t{1} << 28U;

  static std::uint32_t Fingerprint(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 32U);
  }
  Bucket& BucketOf(std::uint32_t fingerprint) {
    return buckets_[fingerprint & (buckets_.size() - 1)];
  }
  std::uint32_t Age(std::uint32_t time) const { return clock_ - time; }
  void Put(std::uint32_t fingerprint, std::uint32_t time);
  void Grow();

  std::vector<Bucket> buckets_;  // a power of two
  std::uint64_t capacity_ = 0;
  std::uint32_t clock_ = 0;  // counts evictions, modulo 2^32
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_GHOST_H_
