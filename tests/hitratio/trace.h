// Trace: the requests that the caches under comparison are asked, and how many bytes they mean.
#ifndef HEARTH_TESTS_HITRATIO_TRACE_H_
#define HEARTH_TESTS_HITRATIO_TRACE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace hearth::hitratio {

enum class Op : std::uint8_t {
  kGet,  // on a miss the value is loaded and set, as services do
  kSet,
  kDelete,
};

struct Request {
  std::uint32_t object = 0;  // dense: 0 .. Trace::objects - 1
  std::uint32_t value_bytes = 1;
  std::uint32_t ttl_s = 0;  // 0 = never
  Op op = Op::kGet;
};

struct Trace {
  std::string name;
  std::string note{};  // where it comes from: parameters and seed
  std::uint32_t objects = 0;
  std::uint32_t key_bytes = 8;
  double requests_per_second = 0;  // of simulated time; 0 = time stands still
  std::vector<Request> requests{};

  // Simulated time of request `index`, in ms.
  std::uint64_t TimeMs(std::size_t index) const {
    return requests_per_second <= 0 ? 0
                                    : static_cast<std::uint64_t>(static_cast<double>(index) * 1000 /
                                                                 requests_per_second);
  }
  // What the object of a request costs in every cache: its entry in a store, padding included. All
  // policies are charged the same, so that the comparison is about what they keep.
  std::uint32_t Charge(const Request& request) const;
};

struct Footprint {
  std::uint64_t objects = 0;      // that were requested
  std::uint64_t bytes = 0;        // their charges, by the first request of each
  std::uint64_t value_bytes = 0;  // their values alone
  std::uint32_t max_value_bytes = 0;
};
Footprint FootprintOf(const Trace& trace);

// Reads little-endian u32 keys from an .xz file (through the program xz) and numbers them by first
// appearance. kNotFound, kUnavailable (no xz), kDataLoss (not such a file).
Result<Trace> ReadXzTrace(const std::string& path, const std::string& name);

}  // namespace hearth::hitratio

#endif  // HEARTH_TESTS_HITRATIO_TRACE_H_
