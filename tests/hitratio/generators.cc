#include "tests/hitratio/generators.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/core.h>

namespace hearth::hitratio {

double Uniform(testing::Random& random) {
  return static_cast<double>(random.Next() >> 11U) * 0x1p-53;
}

Zipf::Zipf(std::uint32_t count, double alpha) : cumulative_(count) {
  double sum = 0;
  for (std::uint32_t rank = 0; rank < count; ++rank)
    cumulative_[rank] = sum += std::pow(rank + 1.0, -alpha);
}

std::uint32_t Zipf::Draw(testing::Random& random) const {
  const double at = Uniform(random) * cumulative_.back();
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), at);
  return static_cast<std::uint32_t>(std::min<std::ptrdiff_t>(
      found - cumulative_.begin(), static_cast<std::ptrdiff_t>(cumulative_.size()) - 1));
}

namespace {

class Stream {
 public:
  explicit Stream(const StreamOptions& options)
      : options_(options), random_(options.seed), zipf_(options.objects, options.alpha) {
    by_rank_.resize(options.objects);
    std::iota(by_rank_.begin(), by_rank_.end(), 0U);
    loop_first_ = options.objects;
    next_ = loop_first_ + options.loop_objects;
  }

  Trace Make() {
    Trace trace;
    trace.name = options_.name;
    trace.requests.reserve(options_.requests);
    for (std::uint32_t i = 0; i < options_.requests; ++i) {
      if (options_.churn_every != 0 && i % options_.churn_every == 0)
        by_rank_[random_.Below(by_rank_.size())] = next_++;
      if (options_.scan_every != 0 && i % options_.scan_every == 0)
        scan_left_ = options_.scan_objects;
      trace.requests.push_back(Next());
    }
    trace.objects = next_;
    trace.note = fmt::format("seed {}, {} requests, Zipf {:.1f} over {} objects", options_.seed,
                             options_.requests, options_.alpha, options_.objects);
    return trace;
  }

 private:
  Request Next() {
    if (scan_left_ > 0) {
      --scan_left_;
      return Of(next_++, Op::kGet);
    }
    std::uint64_t dice = random_.Below(100);
    const auto falls_in = [&dice](std::uint32_t percent) {
      if (dice < percent) return true;
      dice -= percent;
      return false;
    };
    if (falls_in(options_.loop_percent)) {
      const std::uint32_t object = loop_first_ + loop_at_;
      loop_at_ = (loop_at_ + 1) % options_.loop_objects;
      return Of(object, Op::kGet);
    }
    if (falls_in(options_.one_hit_percent)) return Of(next_++, Op::kGet);
    Op op = Op::kGet;
    if (falls_in(options_.set_percent)) {
      op = Op::kSet;
    } else if (falls_in(options_.delete_percent)) {
      op = Op::kDelete;
    }
    return Of(by_rank_[zipf_.Draw(random_)], op);
  }
  Request Of(std::uint32_t object, Op op) const {
    Request request{.object = object, .op = op};
    if (options_.sizes) {
      testing::Random own(options_.seed << 32U | object);
      request.value_bytes = static_cast<std::uint32_t>(32 * std::exp2(7 * Uniform(own)));
    }
    return request;
  }

  StreamOptions options_;
  testing::Random random_;
  Zipf zipf_;
  std::vector<std::uint32_t> by_rank_;
  std::uint32_t loop_first_ = 0;
  std::uint32_t loop_at_ = 0;
  std::uint32_t next_ = 0;
  std::uint32_t scan_left_ = 0;
};

}  // namespace

Trace MakeStream(const StreamOptions& options) { return Stream(options).Make(); }

std::vector<StreamOptions> Streams(bool short_run) {
  const std::uint32_t n = short_run ? 1 : 10;
  const std::uint32_t requests = 100'000 * n;
  const std::uint32_t objects = 10'000 * n;
  std::vector<StreamOptions> streams;
  const auto add = [&](StreamOptions options) {
    // Where values differ in size, a short stream is too few entries for many segments.
    const std::uint32_t more = options.sizes && short_run ? 4 : 1;
    options.requests = requests * more;
    if (options.objects == 0) options.objects = objects * more;
    options.seed = streams.size() + 1;
    streams.push_back(std::move(options));
  };
  for (const double alpha : {0.6, 0.8, 1.0, 1.2})
    add({.name = fmt::format("zipf-{:.1f}", alpha), .alpha = alpha});
  add({.name = "zipf-0.9-churn", .alpha = 0.9, .churn_every = 20});
  add({.name = "zipf-1.0-fast-churn", .alpha = 1.0, .churn_every = 4});
  add({.name = "loop-and-zipf",
       .objects = objects / 2,
       .alpha = 1.0,
       .loop_percent = 40,
       .loop_objects = objects / 4});
  add({.name = "loop",
       .objects = objects / 10,
       .alpha = 1.0,
       .loop_percent = 95,
       .loop_objects = objects / 2});
  add({.name = "zipf-and-scans",
       .alpha = 1.0,
       .scan_every = requests / 10,
       .scan_objects = requests / 40});
  add({.name = "one-hit-wonders", .alpha = 0.9, .one_hit_percent = 40});
  add({.name = "sizes", .alpha = 0.9, .churn_every = 50, .sizes = true});
  add({.name = "writes-30", .alpha = 0.9, .set_percent = 30, .sizes = true});
  add({.name = "writes-50-deletes-5", .alpha = 1.0, .set_percent = 50, .delete_percent = 5});
  return streams;
}

}  // namespace hearth::hitratio
