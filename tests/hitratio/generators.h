// Seeded request streams: each stands for one habit of real traffic that some policy is bad at.
#ifndef HEARTH_TESTS_HITRATIO_GENERATORS_H_
#define HEARTH_TESTS_HITRATIO_GENERATORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "tests/hitratio/trace.h"
#include "tests/support/seed.h"

namespace hearth::hitratio {

// Ranks 0 .. count - 1, rank r with a probability proportional to 1 / (r + 1)^alpha.
class Zipf {
 public:
  Zipf(std::uint32_t count, double alpha);
  std::uint32_t Draw(testing::Random& random) const;

 private:
  std::vector<double> cumulative_;
};

// 0 <= result < 1.
double Uniform(testing::Random& random);

struct StreamOptions {
  std::string name;
  std::uint32_t requests = 0;
  std::uint32_t objects = 0;  // popular at any one time
  double alpha = 1.0;
  std::uint64_t seed = 1;
  // Per cent of the requests, in this order; the rest are reads by popularity.
  std::uint32_t loop_percent = 0;     // next of a loop over `loop_objects`
  std::uint32_t one_hit_percent = 0;  // of an object that was never asked for before nor will be
  std::uint32_t set_percent = 0;      // overwrite by popularity
  std::uint32_t delete_percent = 0;
  std::uint32_t loop_objects = 0;
  std::uint32_t churn_every = 0;  // after so many requests a new object takes a random rank
  std::uint32_t scan_every = 0;   // after so many requests, `scan_objects` in a row
  std::uint32_t scan_objects = 0;
  bool sizes = false;  // values of 32 to 4096 bytes, log-uniform, instead of equal ones
};
Trace MakeStream(const StreamOptions& options);

// The streams of a run; `short_run` has about a tenth of the requests.
std::vector<StreamOptions> Streams(bool short_run);

// The measured parameters of one production cache (Yang, Yue, Rashmi, "A large scale analysis of
// hundreds of in-memory cache clusters at Twitter", OSDI 2020).
struct Cluster {
  std::string name;
  std::uint32_t key_bytes = 0;
  std::uint32_t value_bytes = 0;  // mean
  double mean_frequency = 0;      // requests for each object
  double one_hit_percent = 0;     // of the objects
  double alpha = 0;
  double get_share = 0;
  double set_share = 0;
  double delete_share = 0;
  struct TtlShare {
    std::uint32_t seconds;
    double share;
  };
  std::vector<TtlShare> ttls{};
};
// Reads the table that the authors publish, as CSV; leaves out clusters without a Zipf alpha.
Result<std::vector<Cluster>> ReadClusters(const std::string& path);
Trace MakeClusterTrace(const Cluster& cluster, std::uint32_t requests, std::uint64_t seed);

}  // namespace hearth::hitratio

#endif  // HEARTH_TESTS_HITRATIO_GENERATORS_H_
