#include "core/cache/segment_log.h"

#include "core/base/check.h"
#include "core/base/failpoint.h"

namespace hearth::cache {

SegmentLog::SegmentLog(const StoreView& view) : view_(view), owners_(view.namespace_capacity()) {
  free_.reserve(view.segment_count());
  for (std::uint32_t segment = view.segment_count(); segment > 0; --segment)
    free_.push_back(segment - 1);
}

bool SegmentLog::Evictable(std::uint32_t namespace_id) const {
  return (view_.namespace_record(namespace_id).flags & kNamespaceNoEvict) == 0;
}

void SegmentLog::UpdateUsedBytes(std::uint32_t namespace_id) {
  view_.namespace_record(namespace_id)
      .used_bytes.StoreRelaxed(std::uint64_t{owned(static_cast<std::uint16_t>(namespace_id))} *
                               view_.segment_bytes());
}

std::optional<std::uint32_t> SegmentLog::Take(SegmentState state, std::uint32_t namespace_id) {
  if (free_.empty()) return std::nullopt;
  const std::uint32_t segment = free_.back();
  free_.pop_back();
  StoreHeader& store = view_.header();
  SegmentHeader& header = view_.segment(segment);
  const std::uint64_t sequence = store.allocated_sequence.LoadRelaxed() + 1;
  store.allocated_sequence.StoreRelaxed(sequence);
  store.free_segments.StoreRelaxed(free_.size());
  header.write_watermark.StoreRelaxed(0);
  header.indexed_watermark.StoreRelaxed(0);
  header.latest_expiry_ms.StoreRelaxed(0);
  header.namespace_id = namespace_id;
  header.log = static_cast<std::uint8_t>(LogKind::kMain);
  header.run_length = 1;
  header.dead_bytes.StoreRelaxed(0);
  header.entry_count.StoreRelaxed(0);
  header.sequence = sequence;
  header.seal_hash = 0;
  const std::uint64_t generation = SegmentGenerationOf(header.state_generation.LoadRelaxed());
  // SYNC release segment-generation: the header belongs to this generation.
  header.state_generation.StoreRelease(MakeSegmentWord(state, generation));
  if (state == SegmentState::kOpen) {
    HEARTH_CHECK(!owner(namespace_id).open);
    owner(namespace_id).open = segment;
    UpdateUsedBytes(namespace_id);
  }
  return segment;
}

std::optional<std::uint32_t> SegmentLog::open(std::uint16_t namespace_id) const {
  return owners_[namespace_id].open;
}

std::uint32_t SegmentLog::Room(std::uint32_t segment) const {
  return view_.segment_bytes() - view_.segment(segment).write_watermark.LoadRelaxed();
}

void SegmentLog::Seal(std::uint16_t namespace_id) {
  Owner& owner = this->owner(namespace_id);
  if (!owner.open) return;
  const std::uint32_t segment = *owner.open;
  SegmentHeader& header = view_.segment(segment);
  const std::uint64_t generation = SegmentGenerationOf(header.state_generation.LoadRelaxed());
  // SYNC release segment-generation: the generation stays; all entries are below the watermark.
  header.state_generation.StoreRelease(MakeSegmentWord(SegmentState::kSealed, generation));
  owner.open.reset();
  owner.sealed.emplace(header.sequence, segment);
  if (Evictable(namespace_id)) evictable_.emplace(header.sequence, segment);
}

std::uint32_t SegmentLog::owned(std::uint16_t namespace_id) const {
  const Owner& owner = owners_[namespace_id];
  return static_cast<std::uint32_t>(owner.sealed.size()) + (owner.open ? 1U : 0U);
}

std::optional<std::uint32_t> SegmentLog::OldestOf(std::uint16_t namespace_id) const {
  const Owner& owner = owners_[namespace_id];
  if (owner.sealed.empty()) return std::nullopt;
  return owner.sealed.begin()->second;
}

std::optional<std::uint32_t> SegmentLog::OldestEvictable(std::uint16_t keep_open) const {
  if (!evictable_.empty()) return evictable_.begin()->second;
  std::optional<std::uint32_t> oldest;
  for (std::uint32_t id = 0; id < owners_.size(); ++id) {
    const Owner& owner = owners_[id];
    if (!owner.open || id == keep_open || !Evictable(id)) continue;
    if (!oldest || view_.segment(*owner.open).sequence < view_.segment(*oldest).sequence)
      oldest = owner.open;
  }
  return oldest;
}

void SegmentLog::Free(std::uint32_t segment) {
  SegmentHeader& header = view_.segment(segment);
  const std::uint64_t word = header.state_generation.LoadRelaxed();
  if (header.namespace_id < owners_.size()) {
    Owner& owner = this->owner(header.namespace_id);
    if (owner.open == segment) owner.open.reset();
    owner.sealed.erase({header.sequence, segment});
    evictable_.erase({header.sequence, segment});
    UpdateUsedBytes(header.namespace_id);
  }
  // SYNC release segment-generation: the slots that pointed here were changed before. A reader that
  // finds the new generation also finds its slot changed, and does not take it for a miss.
  header.state_generation.StoreRelease(
      MakeSegmentWord(SegmentState::kFree, SegmentGenerationOf(word) + 1));
  // SYNC release segment-reuse: the new generation is visible before any byte written below it. The
  // release store does not see to that: it holds back what came before it, not what comes after.
  ReleaseFence();
  HEARTH_FAILPOINT("writer.after_generation");
  free_.push_back(segment);
  view_.header().free_segments.StoreRelaxed(free_.size());
}

}  // namespace hearth::cache
