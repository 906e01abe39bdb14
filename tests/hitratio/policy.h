// Policy: what a cache keeps, decided per object over an exact number of bytes. The reference
// policies that the engine is compared with; no values, no time, no threads.
#ifndef HEARTH_TESTS_HITRATIO_POLICY_H_
#define HEARTH_TESTS_HITRATIO_POLICY_H_

#include <cstdint>
#include <memory>

namespace hearth::hitratio {

class Policy {
 public:
  virtual ~Policy() = default;
  // Whether the object is there; counts as a use of it either way.
  virtual bool Use(std::uint32_t object) = 0;
  // The object now has a value of so many bytes; whether the policy keeps it is its own choice.
  virtual void Put(std::uint32_t object, std::uint32_t bytes) = 0;
  virtual void Remove(std::uint32_t object) = 0;
  // Bytes of what it keeps; never above its budget.
  virtual std::uint64_t used() const = 0;
};

struct Budget {
  std::uint64_t bytes = 0;
  std::uint32_t objects = 0;           // objects are numbered below this
  std::uint64_t expected_entries = 0;  // that fit; sizes W-TinyLFU's sketch
};

std::unique_ptr<Policy> MakeFifo(const Budget& budget);
std::unique_ptr<Policy> MakeLru(const Budget& budget);

// S3-FIFO per object (Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache
// eviction", SOSP 2023).
struct S3FifoOptions {
  std::uint32_t small_percent = 10;
  std::uint32_t ghost_percent = 90;  // bytes of the objects it remembers, of the budget
  std::uint32_t promote_at = 2;      // uses while in the small queue
};
std::unique_ptr<Policy> MakeS3Fifo(const Budget& budget, const S3FifoOptions& options = {});

// W-TinyLFU with a static window of 1 % (Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient
// Cache Admission Policy", ACM ToS 2017): LRU window, segmented LRU behind it (80 % protected),
// admission by a count-min sketch of 4-bit counters that are halved every 10 x entries.
std::unique_ptr<Policy> MakeTinyLfu(const Budget& budget);

}  // namespace hearth::hitratio

#endif  // HEARTH_TESTS_HITRATIO_POLICY_H_
