#include "tests/hitratio/comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "core/base/check.h"
#include "tests/hitratio/segment_s3fifo.h"

namespace hearth::hitratio {
namespace {

constexpr std::uint32_t kFewestSegments = 16;
constexpr std::uint64_t kMaxSegmentBytes = std::uint64_t{1} << cache::kMaxSegmentShift;

Score ReplayCharged(const Trace& trace, Policy& policy,
                    const std::function<std::uint32_t(const Request&)>& charge) {
  Score score;
  std::vector<std::uint64_t> expiry_ms(trace.objects, cache::kNever);
  for (std::size_t i = 0; i < trace.requests.size(); ++i) {
    const Request& request = trace.requests[i];
    const std::uint64_t now_ms = trace.TimeMs(i);
    if (request.op == Op::kDelete) {
      policy.Remove(request.object);
      continue;
    }
    const bool found = policy.Use(request.object);
    if (request.op == Op::kGet) {
      ++score.reads;
      if (found && now_ms < expiry_ms[request.object]) {
        ++score.hits;
        continue;
      }
    }
    policy.Put(request.object, charge(request));
    expiry_ms[request.object] =
        request.ttl_s == 0 ? cache::kNever : now_ms + std::uint64_t{request.ttl_s} * 1000;
  }
  return score;
}

// A trace whose values are as large as it takes for about `segments` segments to be the wished part
// of it. Only the proportions of sizes matter to a policy, while the smallest segment is 64 KiB: a
// short trace would else fit into a few segments, which no real store consists of.
struct Fitted {
  Trace trace;
  EngineOptions engine;
};

// Entries of one size: as many as fill a segment exactly. In a real segment are thousands, and what
// does not fit at its end is nothing; here it could be a tenth.
double FitEqual(double entries, double overhead, EngineOptions* engine) {
  constexpr double kFewestPerSegment = 5;  // a value is at most a quarter of a segment
  const double per_segment = std::max(kFewestPerSegment, std::ceil(entries / engine->segments));
  engine->segments =
      std::max(kFewestSegments, static_cast<std::uint32_t>(std::lround(entries / per_segment)));
  while (static_cast<double>(engine->segment_bytes) / per_segment < overhead + 8 &&
         engine->segment_bytes < kMaxSegmentBytes)
    engine->segment_bytes *= 2;
  const double entry = std::floor(static_cast<double>(engine->segment_bytes) / per_segment / 8) * 8;
  return entry - overhead;
}

// Values of many sizes: small enough that the ends of segments do not matter. Returns the factor.
double FitMixed(double entries, double overhead, double mean, double largest,
                EngineOptions* engine) {
  constexpr double kLargestOfSegment = 1.0 / 8;
  const auto factor = [&] {
    const double bytes = static_cast<double>(engine->segments * engine->segment_bytes);
    return (bytes / entries - overhead) / mean;
  };
  while (factor() * mean < 8 && engine->segment_bytes < kMaxSegmentBytes)
    engine->segment_bytes *= 2;
  while (factor() * largest > kLargestOfSegment * static_cast<double>(engine->segment_bytes) &&
         engine->segments > kFewestSegments)
    --engine->segments;
  return factor();
}

Fitted Fit(const Trace& trace, const CaseOptions& options) {
  const Footprint footprint = FootprintOf(trace);
  const auto objects = static_cast<double>(footprint.objects);
  const double mean = static_cast<double>(footprint.value_bytes) / objects;
  const double overhead = static_cast<double>(footprint.bytes - footprint.value_bytes) / objects;
  const double entries = objects * options.percent / 100;
  Fitted fitted{trace, {.segments = options.segments}};
  double factor = 1;
  if (footprint.value_bytes == footprint.objects * footprint.max_value_bytes) {
    factor = FitEqual(entries, overhead, &fitted.engine) / mean;
  } else {
    // The few above eight times the mean may be larger, up to a quarter of a segment.
    const double largest = std::min(8 * mean, static_cast<double>(footprint.max_value_bytes));
    factor = FitMixed(entries, overhead, mean, largest, &fitted.engine);
  }
  const double limit = static_cast<double>(fitted.engine.segment_bytes) / 4;
  for (Request& request : fitted.trace.requests) {
    const double bytes = std::clamp(std::round(request.value_bytes * factor), 1.0, limit);
    request.value_bytes = static_cast<std::uint32_t>(bytes);
  }
  return fitted;
}

}  // namespace

Score Replay(const Trace& trace, Policy& policy) {
  return ReplayCharged(trace, policy,
                       [&trace](const Request& request) { return trace.Charge(request); });
}

Score ReplayUnits(const Trace& trace, Policy& policy) {
  return ReplayCharged(trace, policy, [](const Request&) { return 1U; });
}

Row Compare(const Trace& original, const CaseOptions& options) {
  Fitted fitted = Fit(original, options);
  fitted.engine.lost_touches = options.lost_touches;
  fitted.engine.touch_batch = options.touch_batch;
  fitted.engine.tiny_lfu = options.tiny_lfu;
  const Trace& trace = fitted.trace;
  Row row{.trace = trace.name,
          .percent = options.percent,
          .segments = fitted.engine.segments,
          .lost_touches = options.lost_touches};

  Engine engine(trace, fitted.engine);
  for (std::size_t i = 0; i < trace.requests.size(); ++i) {
    const Request& request = trace.requests[i];
    const bool hit = engine.Serve(request, trace.TimeMs(i));
    if (request.op != Op::kGet) continue;
    ++row.engine.reads;
    row.engine.hits += hit ? 1 : 0;
  }
  row.broken = engine.BrokenInvariants();

  const Footprint footprint = FootprintOf(trace);
  Budget budget{.bytes = engine.entry_budget(), .objects = trace.objects};
  budget.expected_entries = budget.bytes * footprint.objects / footprint.bytes;
  row.actual_percent =
      100.0 * static_cast<double>(budget.bytes) / static_cast<double>(footprint.bytes);
  row.s3fifo = Replay(trace, *MakeS3Fifo(budget));
  row.lru = Replay(trace, *MakeLru(budget));
  row.tinylfu = Replay(trace, *MakeTinyLfu(budget));
  if (options.model) {
    const auto segments = static_cast<std::uint32_t>(budget.bytes / fitted.engine.segment_bytes);
    SegmentS3FifoOptions model{.segments = segments, .lost_touches = options.lost_touches};
    SegmentS3Fifo fixed(budget, model);
    row.model = Replay(trace, fixed);
    row.model_copied = fixed.copied_per_byte();
    model.adapt_ghost_percent = 50;
    SegmentS3Fifo adaptive(budget, model);
    row.adaptive = Replay(trace, adaptive);
  }
  return row;
}

}  // namespace hearth::hitratio
