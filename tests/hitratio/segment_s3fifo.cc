#include "tests/hitratio/segment_s3fifo.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace hearth::hitratio {

void SegmentS3Fifo::Ghost::Remember(std::uint32_t object, std::uint32_t bytes) {
  list_.Remove(object);
  list_.Push(object, bytes);
  while (list_.bytes() > limit_) list_.Remove(list_.Oldest());
}

SegmentS3Fifo::SegmentS3Fifo(const Budget& budget, const SegmentS3FifoOptions& options)
    : options_(options),
      segment_bytes_(budget.bytes / options.segments),
      segments_(options.segments),
      places_(budget.objects),
      uses_(budget.objects),
      ghost_(budget.objects, budget.bytes * options.ghost_percent / 100),
      small_ghost_(budget.objects, budget.bytes * options.adapt_ghost_percent / 100),
      main_ghost_(budget.objects, budget.bytes * options.adapt_ghost_percent / 100),
      small_share_(options.small_percent / 100.0),
      share_step_(1.0 / static_cast<double>(std::max<std::uint64_t>(budget.expected_entries, 1))) {
  for (std::uint32_t i = options.segments; i > 0; --i) free_.push_back(i - 1);
}

bool SegmentS3Fifo::Use(std::uint32_t object) {
  if (places_[object].segment == kNowhere) return false;
  if (random_.Below(100) >= options_.lost_touches)
    uses_[object] = std::min<std::uint8_t>(3, uses_[object] + 1U);
  return true;
}

void SegmentS3Fifo::Put(std::uint32_t object, std::uint32_t bytes) {
  HEARTH_CHECK(bytes <= segment_bytes_);
  put_bytes_ += bytes;
  const Place old = places_[object];
  Log log = kSmall;
  if (old.segment != kNowhere) {
    log = segments_[old.segment].log;
  } else {
    uses_[object] = 0;
    if (options_.adapt_ghost_percent != 0) Adapt(object);
    // Before room is made: that may push the object out of the ghost.
    if (ghost_.Forget(object)) log = kMain;
  }
  Append(log, object, bytes);
  ghost_.Forget(object);  // making room may just have evicted the old value
}

// As ARC does: a miss that a larger log would have been a hit for makes it larger.
void SegmentS3Fifo::Adapt(std::uint32_t object) {
  const double ratio =
      static_cast<double>(main_ghost_.size() + 1) / static_cast<double>(small_ghost_.size() + 1);
  if (small_ghost_.Forget(object)) {
    small_share_ += share_step_ * std::max(1.0, ratio);
  } else if (main_ghost_.Forget(object)) {
    small_share_ -= share_step_ * std::max(1.0, 1 / ratio);
  }
  small_share_ = std::clamp(small_share_, options_.small_percent / 100.0, 0.9);
}

void SegmentS3Fifo::Remove(std::uint32_t object) {
  Place& place = places_[object];
  if (place.segment == kNowhere) return;
  Segment& segment = segments_[place.segment];
  segment.dead += segment.entries[place.index].bytes;
  dead_bytes_ += segment.entries[place.index].bytes;
  place.segment = kNowhere;
}

std::uint64_t SegmentS3Fifo::used() const {
  std::uint64_t bytes = 0;
  for (const Segment& segment : segments_) bytes += segment.bytes - segment.dead;
  return bytes;
}

void SegmentS3Fifo::Append(Log log, std::uint32_t object, std::uint32_t bytes) {
  while (open_[log] == kNowhere || segments_[open_[log]].bytes + bytes > segment_bytes_) {
    if (!free_.empty()) {
      Open(log);
    } else {
      MakeFree();  // which may also open a segment with room
    }
  }
  Remove(object);
  Segment& segment = segments_[open_[log]];
  places_[object] = {open_[log], static_cast<std::uint32_t>(segment.entries.size())};
  segment.entries.push_back({object, bytes});
  segment.bytes += bytes;
}

void SegmentS3Fifo::Open(Log log) {
  if (open_[log] != kNowhere) sealed_[log].push_back(open_[log]);
  open_[log] = free_.back();
  free_.pop_back();
  segments_[open_[log]].log = log;
}

void SegmentS3Fifo::MakeFree() {
  while (free_.empty()) {
    if (EmptyDeadest()) continue;
    const std::size_t small = sealed_[kSmall].size() + (open_[kSmall] != kNowhere ? 1U : 0U);
    const bool from_small =
        !sealed_[kSmall].empty() &&
        (sealed_[kMain].empty() ||
         static_cast<double>(small) >= small_share_ * static_cast<double>(options_.segments));
    const Log log = from_small ? kSmall : kMain;
    HEARTH_CHECK(!sealed_[log].empty());
    const std::uint32_t victim = sealed_[log].front();
    sealed_[log].pop_front();
    Empty(victim, false);
  }
}

bool SegmentS3Fifo::EmptyDeadest() {
  if (options_.dead_percent == 0 ||
      dead_bytes_ * 100 < segment_bytes_ * options_.segments * options_.dead_percent)
    return false;
  std::uint32_t deadest = kNowhere;
  for (const auto& sealed : sealed_) {
    for (const std::uint32_t segment : sealed) {
      if (deadest == kNowhere || segments_[segment].dead > segments_[deadest].dead)
        deadest = segment;
    }
  }
  if (deadest == kNowhere || segments_[deadest].dead == 0) return false;
  std::erase(sealed_[segments_[deadest].log], deadest);
  Empty(deadest, true);
  return true;
}

bool SegmentS3Fifo::Keep(Log log, std::uint32_t object) {
  std::uint8_t& uses = uses_[object];
  if (log == kSmall) {
    if (uses < options_.promote_at) return false;
    if (!options_.keep_uses) uses = 0;
    return true;
  }
  if (uses == 0) return false;
  --uses;
  return true;
}

void SegmentS3Fifo::Evicted(Log log, const Entry& entry) {
  if (log == kSmall) ghost_.Remember(entry.object, entry.bytes);
  if (options_.adapt_ghost_percent != 0)
    (log == kSmall ? small_ghost_ : main_ghost_).Remember(entry.object, entry.bytes);
}

// What is kept of one segment fits into it, so the freed segment is room enough for all of it.
void SegmentS3Fifo::Empty(std::uint32_t segment, bool keep_all) {
  const Segment emptied = std::exchange(segments_[segment], Segment{});
  dead_bytes_ -= emptied.dead;
  std::vector<Entry> kept;
  for (std::uint32_t i = 0; i < emptied.entries.size(); ++i) {
    const Entry& entry = emptied.entries[i];
    Place& place = places_[entry.object];
    if (place.segment != segment || place.index != i) continue;
    place.segment = kNowhere;
    if (keep_all || Keep(emptied.log, entry.object)) {
      kept.push_back(entry);
    } else {
      Evicted(emptied.log, entry);
    }
  }
  free_.push_back(segment);
  for (const Entry& entry : kept) {
    copied_bytes_ += entry.bytes;
    Append(keep_all ? emptied.log : kMain, entry.object, entry.bytes);
  }
}

}  // namespace hearth::hitratio
