#include "core/cache/quarantine.h"

#include <algorithm>

#include "core/base/failpoint.h"

namespace hearth::cache {

void Quarantine::Watch(const PinSource* source, std::uint64_t max_ns, const Clock& clock) {
  source_ = source;
  clock_ = &clock;
  max_ns_ = max_ns;
  marks_.assign(view_.segment_count(), Mark::kNone);
}

std::uint32_t Quarantine::Limit() const {
  return std::max(1U, view_.segment_count() / kQuarantineShare);
}

std::uint32_t Quarantine::size() const {
  std::uint32_t segments = 0;
  for (const Waiting& item : waiting_)
    segments += std::max<std::uint32_t>(1, view_.segment(item.segment).run_length);
  return segments;
}

// Marks those of the segments that are asked about which somebody pins.
void Quarantine::LookAtPins() {
  HEARTH_FAILPOINT("writer.before_pins");
  // SYNC both segment-pin: the slots into these segments are gone, whoever publishes a pin after
  // this look finds that; the pins of those who still found their slot are seen here.
  OrderedFence();
  source_->VisitPins([this](std::uint64_t segment_plus_one, std::uint64_t generation) {
    // 0 becomes the largest number, and is as wrong as all others that are too large.
    const std::uint64_t segment = segment_plus_one - 1;
    if (segment >= marks_.size() || marks_[segment] != Mark::kAsked) return;
    const std::uint64_t word =
        view_.segment(static_cast<std::uint32_t>(segment)).state_generation.LoadRelaxed();
    if (SegmentGenerationOf(word) == generation) marks_[segment] = Mark::kPinned;
  });
  HEARTH_FAILPOINT("writer.after_pins");
}

bool Quarantine::Hold(std::uint32_t segment) {
  if (source_ == nullptr) return false;
  marks_[segment] = Mark::kAsked;
  LookAtPins();
  const bool pinned = marks_[segment] == Mark::kPinned;
  marks_[segment] = Mark::kNone;
  if (pinned) waiting_.push_back({segment, clock_->MonotonicNanos()});
  return pinned;
}

std::vector<std::uint32_t> Quarantine::Review() {
  std::vector<std::uint32_t> done;
  if (waiting_.empty()) return done;
  for (const Waiting& item : waiting_) marks_[item.segment] = Mark::kAsked;
  LookAtPins();
  const std::uint64_t now = clock_->MonotonicNanos();
  std::deque<Waiting> left;
  for (const Waiting& item : waiting_) {
    const bool pinned = marks_[item.segment] == Mark::kPinned;
    marks_[item.segment] = Mark::kNone;
    if (pinned && now - item.since_ns < max_ns_) {
      left.push_back(item);
      continue;
    }
    if (pinned) ++revoked_;
    done.push_back(item.segment);
  }
  waiting_.swap(left);
  while (Overfull()) done.push_back(*TakeOldest());
  return done;
}

std::optional<std::uint32_t> Quarantine::TakeOldest() {
  if (waiting_.empty()) return std::nullopt;
  const std::uint32_t segment = waiting_.front().segment;
  waiting_.pop_front();
  ++revoked_;
  return segment;
}

}  // namespace hearth::cache
