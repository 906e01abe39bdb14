#include "tests/hitratio/engine.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

namespace hearth::hitratio {

std::string_view EnginePolicyName() {
  return HearsReads<cache::StoreWriter> ? "hears reads" : "FIFO of segments, deaf to reads";
}

Engine::Engine(const Trace& trace, const EngineOptions& options)
    : options_(options),
      store_({.segments = options.segments,
              .segment_bytes = options.segment_bytes,
              .monotonic_ns = 1'000'000'000'000U}),
      namespace_(store_.Namespace("trace", {.tiny_lfu = options.tiny_lfu})),
      key_(std::max<std::size_t>(trace.key_bytes, sizeof(std::uint64_t)), 'k'),
      content_(store_.view().max_value_bytes(), 'v'),
      sizes_(trace.objects),
      random_(options.seed) {}

std::string_view Engine::KeyOf(std::uint32_t object) {
  const std::uint64_t number = object;
  std::memcpy(key_.data(), &number, sizeof(number));
  return key_;
}

void Engine::Touch(std::string_view key) {
  if (random_.Below(100) < options_.lost_touches) return;
  touches_.push_back(testing::KeyHash(store_.view(), namespace_, key));
  if (touches_.size() < options_.touch_batch) return;
  for (const std::uint64_t hash : touches_) NoteRead(store_.writer(), hash);
  touches_.clear();
}

void Engine::Set(const Request& request, std::string_view key) {
  const std::string_view value(content_.data(), request.value_bytes);
  const std::uint64_t ttl_ms =
      request.ttl_s == 0 ? cache::kTtlNone : std::uint64_t{request.ttl_s} * 1000;
  store_.Set(namespace_, key, value, {.hard_ms = ttl_ms});
  sizes_[request.object] = request.value_bytes;
}

bool Engine::Serve(const Request& request, std::uint64_t now_ms) {
  if (now_ms > now_ms_) {
    store_.clock().AdvanceMs(now_ms - now_ms_);
    now_ms_ = now_ms;
  }
  const std::string_view key = KeyOf(request.object);
  if (request.op == Op::kDelete) {
    const auto removed = store_.writer().Delete(namespace_, key, {});
    HEARTH_CHECK(removed.ok() || removed.status().code() == Code::kNotFound);
    return false;
  }
  if (request.op == Op::kSet) {
    // Clients report reads only. The policies count a write as a use; the writer may do so itself.
    Set(request, key);
    return false;
  }
  const cache::ReadResult result = store_.writer().Get(namespace_, key, &value_);
  if (result.outcome == cache::ReadOutcome::kHit) {
    HEARTH_CHECK(value_.size() == sizes_[request.object]);
    Touch(key);
    return true;
  }
  HEARTH_CHECK(result.outcome == cache::ReadOutcome::kMiss);
  Set(request, key);
  return false;
}

std::uint64_t Engine::entry_budget() const {
  const cache::StoreView& view = store_.view();
  const std::uint64_t index_bytes = view.header().index_pages.LoadRelaxed() << cache::kPageShift;
  return std::uint64_t{view.segment_count()} * view.segment_bytes() - index_bytes;
}

}  // namespace hearth::hitratio
