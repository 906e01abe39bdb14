// The part of SegmentLog that knows runs: adjacent segments that one large value has to itself.
//
// Order of the stores, for a writer that is killed between any two: the body is marked before the
// first segment is, and freed after it. So a body segment of which the run's first segment says
// nothing belongs to nobody.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/cache/segment_log.h"

namespace hearth::cache {

std::optional<std::uint32_t> SegmentLog::FindFree(std::uint32_t length) const {
  std::uint32_t together = 0;
  // From the end, since single segments are taken from the beginning of a fresh store.
  for (std::uint32_t i = view_.segment_count(); i-- > 0;) {
    together = is_free_[i] ? together + 1 : 0;
    if (together == length) return i;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> SegmentLog::TakeRun(std::uint16_t namespace_id, LogKind log,
                                                 std::uint32_t length) {
  const auto first = FindFree(length);
  if (!first) return std::nullopt;
  std::erase_if(free_, [&](std::uint32_t i) { return i - *first < length; });
  std::fill_n(is_free_.begin() + *first, length, false);
  view_.header().free_segments.StoreRelaxed(free_.size() + held_.size());
  for (std::uint32_t i = 1; i < length; ++i) {
    Start(*first + i, SegmentState::kRunBody, namespace_id, log, static_cast<std::uint16_t>(i));
    HEARTH_FAILPOINT("run.mid_take");
  }
  Start(*first, SegmentState::kOpen, namespace_id, log, static_cast<std::uint16_t>(length));
  HEARTH_FAILPOINT("run.after_first");
  AddOwned(namespace_id, static_cast<std::int32_t>(length));
  return first;
}

std::uint32_t SegmentLog::FirstOf(std::uint32_t segment) const {
  const SegmentHeader& header = view_.segment(segment);
  const bool body = SegmentStateOf(header.state_generation.LoadRelaxed()) == SegmentState::kRunBody;
  return body ? segment - header.run_length : segment;
}

void SegmentLog::Relink(std::uint32_t first, LogKind log) {
  Unseal(first);
  SegmentHeader& header = view_.segment(first);
  StoreHeader& store = view_.header();
  const std::uint64_t sequence = store.allocated_sequence.LoadRelaxed() + 1;
  store.allocated_sequence.StoreRelaxed(sequence);
  // Each store by itself leaves a place in one of the two logs.
  header.sequence = sequence;
  HEARTH_FAILPOINT("run.mid_relink");
  header.log = static_cast<std::uint8_t>(log);
  SealSegment(first);
}

void SegmentLog::Hold(std::uint32_t first, std::uint32_t length) {
  HEARTH_CHECK(hold_length_ == 0);
  hold_first_ = first;
  hold_length_ = length;
  std::erase_if(free_, [&](std::uint32_t i) {
    if (i - first >= length) return false;
    is_free_[i] = false;
    held_.push_back(i);
    return true;
  });
}

void SegmentLog::Release() {
  hold_length_ = 0;
  std::vector<std::uint32_t> held;
  held.swap(held_);
  for (const std::uint32_t segment : held) AddFree(segment);
}

void SegmentLog::FreeBody(std::uint32_t segment) {
  SegmentHeader& header = view_.segment(segment);
  const std::uint64_t word = header.state_generation.LoadRelaxed();
  // SYNC release segment-generation: no reader looks at a body but through its run's first segment,
  // which was freed before.
  header.state_generation.StoreRelease(
      MakeSegmentWord(SegmentState::kFree, SegmentGenerationOf(word) + 1));
}

void SegmentLog::GiveBack(std::uint32_t segment) {
  if (segment - hold_first_ < hold_length_) {
    held_.push_back(segment);
    return;
  }
  AddFree(segment);
}

}  // namespace hearth::cache
