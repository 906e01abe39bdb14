#include "core/cache/segment_log.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/failpoint.h"

namespace hearth::cache {

SegmentLog::SegmentLog(const StoreView& view)
    : view_(view),
      owners_(view.namespace_capacity()),
      is_free_(view.segment_count()),
      quarantine_(view) {}

void SegmentLog::Init() {
  for (std::uint32_t segment = view_.segment_count(); segment > 0; --segment) AddFree(segment - 1);
}

void SegmentLog::AddFree(std::uint32_t segment) {
  is_free_[segment] = true;
  free_.push_back(segment);
  view_.header().free_segments.StoreRelaxed(free_.size() + held_.size());
}

void SegmentLog::AddOpen(std::uint32_t segment) {
  SegmentHeader& header = view_.segment(segment);
  const auto log = static_cast<LogKind>(header.log);
  std::optional<std::uint32_t>& open = owners_[OwnerOf(header)].open[Index(log)];
  AddOwned(OwnerOf(header), header.run_length);
  if (open) Seal(OwnerOf(header), log);
  open = segment;
}

void SegmentLog::AddSealed(std::uint32_t segment) {
  AddOwned(OwnerOf(view_.segment(segment)), view_.segment(segment).run_length);
  NoteSealed(segment);
}

void SegmentLog::HoldBack(std::uint32_t segment) {
  MoveGeneration(segment);
  // Not 0, so that another takeover before ReleaseHeldBack() holds it as well.
  view_.segment(segment).write_watermark.StoreRelaxed(view_.segment_bytes());
  held_back_.push_back(segment);
}

void SegmentLog::ReleaseHeldBack() {
  for (const std::uint32_t segment : held_back_) {
    view_.segment(segment).write_watermark.StoreInProgramOrder(0);
    AddFree(segment);
  }
  held_back_.clear();
}

bool SegmentLog::Evictable(std::uint32_t namespace_id) const {
  return (view_.namespace_record(namespace_id).flags.LoadRelaxed() & kNamespaceNoEvict) == 0;
}

void SegmentLog::AddOwned(std::uint32_t namespace_id, std::int32_t count) {
  Owner& owner = owners_[namespace_id];
  NamespaceRecord& record = view_.namespace_record(namespace_id);
  const auto id = static_cast<std::uint16_t>(namespace_id);
  by_excess_.erase({owner.rank, id});
  owner.owned += static_cast<std::uint32_t>(count);
  owner.rank =
      std::int64_t{owner.owned} -
      static_cast<std::int64_t>(record.quota_min_bytes.LoadRelaxed() / view_.segment_bytes());
  if (owner.owned != 0 && Evictable(namespace_id)) by_excess_.emplace(owner.rank, id);
  record.used_bytes.StoreRelaxed(std::uint64_t{owner.owned} * view_.segment_bytes());
}

std::uint32_t SegmentLog::TakeFree() {
  const std::uint32_t segment = free_.back();
  free_.pop_back();
  is_free_[segment] = false;
  view_.header().free_segments.StoreRelaxed(free_.size() + held_.size());
  return segment;
}

void SegmentLog::Start(std::uint32_t segment, SegmentState state, std::uint32_t namespace_id,
                       LogKind log, std::uint16_t run_length) {
  StoreHeader& store = view_.header();
  SegmentHeader& header = view_.segment(segment);
  const std::uint64_t sequence = store.allocated_sequence.LoadRelaxed() + 1;
  store.allocated_sequence.StoreRelaxed(sequence);
  header.write_watermark.StoreRelaxed(0);
  header.indexed_watermark.StoreRelaxed(0);
  header.latest_expiry_ms.StoreRelaxed(0);
  header.namespace_id = namespace_id == kSharedOwner ? kSharedNamespace : namespace_id;
  header.log = static_cast<std::uint8_t>(log);
  // A reader that lost its way may still look at the segment's former life.
  CopyShared(&header.run_length, &run_length, sizeof(run_length));
  header.dead_bytes.StoreRelaxed(0);
  header.entry_count.StoreRelaxed(0);
  header.dead_entries.StoreRelaxed(0);
  header.sequence = sequence;
  header.seal_hash = 0;
  const std::uint64_t generation = SegmentGenerationOf(header.state_generation.LoadRelaxed());
  // SYNC release segment-generation: the header belongs to this generation.
  header.state_generation.StoreRelease(MakeSegmentWord(state, generation));
  HEARTH_FAILPOINT("segment.after_start");
}

std::optional<std::uint32_t> SegmentLog::TakeOpen(std::uint16_t namespace_id, LogKind log) {
  if (free_.empty()) return std::nullopt;
  std::optional<std::uint32_t>& open = owners_[namespace_id].open[Index(log)];
  HEARTH_CHECK(!open);
  open = TakeFree();
  Start(*open, SegmentState::kOpen, namespace_id, log);
  AddOwned(namespace_id, 1);
  return open;
}

std::optional<std::uint32_t> SegmentLog::TakeForIndex() {
  if (free_.empty()) return std::nullopt;
  const std::uint32_t segment = TakeFree();
  Start(segment, SegmentState::kIndex, kSharedNamespace, LogKind::kMain);
  return segment;
}

std::optional<std::uint32_t> SegmentLog::open(std::uint16_t namespace_id, LogKind log) const {
  return owners_[namespace_id].open[Index(log)];
}

std::uint32_t SegmentLog::Room(std::uint32_t segment) const {
  return view_.segment_bytes() - view_.segment(segment).write_watermark.LoadRelaxed();
}

void SegmentLog::Seal(std::uint16_t namespace_id, LogKind log) {
  std::optional<std::uint32_t>& open = owners_[namespace_id].open[Index(log)];
  if (!open) return;
  SealSegment(*open);
  open.reset();
}

void SegmentLog::SealSegment(std::uint32_t segment) {
  SegmentHeader& header = view_.segment(segment);
  const std::uint64_t generation = SegmentGenerationOf(header.state_generation.LoadRelaxed());
  // SYNC release segment-generation: the generation stays; all entries are below the watermark.
  header.state_generation.StoreRelease(MakeSegmentWord(SegmentState::kSealed, generation));
  HEARTH_FAILPOINT("segment.after_seal");
  NoteSealed(segment);
}

void SegmentLog::NoteSealed(std::uint32_t segment) {
  const SegmentHeader& header = view_.segment(segment);
  Owner& owner = owners_[OwnerOf(header)];
  const NamespaceRecord& record = view_.namespace_record(OwnerOf(header));
  if (header.sequence <= record.flushed_sequence.LoadRelaxed()) {
    owner.flushed.emplace(header.sequence, segment);
    with_flushed_.insert(OwnerOf(header));
  } else {
    owner.sealed[header.log & 1U].emplace(header.sequence, segment);
    owner.sealed_segments[header.log & 1U] += header.run_length;
  }
  owner.dead_bytes += header.dead_bytes.LoadRelaxed();
  const std::uint64_t expiry = header.latest_expiry_ms.LoadRelaxed();
  if (expiry != kNever) expiring_.emplace(expiry, segment);
}

// Undoes what Seal() has noted, for a segment that leaves its log.
void SegmentLog::Unseal(std::uint32_t segment) {
  const SegmentHeader& header = view_.segment(segment);
  Owner& owner = owners_[OwnerOf(header)];
  if (owner.sealed[header.log & 1U].erase({header.sequence, segment}) != 0) {
    owner.sealed_segments[header.log & 1U] -= header.run_length;
  } else if (owner.flushed.erase({header.sequence, segment}) != 0 && owner.flushed.empty()) {
    with_flushed_.erase(OwnerOf(header));
  }
  owner.dead_bytes -= header.dead_bytes.LoadRelaxed();
  expiring_.erase({header.latest_expiry_ms.LoadRelaxed(), segment});
}

void SegmentLog::NoteDead(std::uint32_t segment, std::uint32_t bytes, std::uint16_t namespace_id) {
  SegmentHeader& header = view_.segment(segment);
  header.dead_bytes.StoreRelaxed(header.dead_bytes.LoadRelaxed() + bytes);
  header.dead_entries.StoreRelaxed(header.dead_entries.LoadRelaxed() + 1);
  if (SegmentStateOf(header.state_generation.LoadRelaxed()) == SegmentState::kSealed)
    owners_[OwnerOf(header)].dead_bytes += bytes;
  if (OwnerOf(header) != kSharedOwner) return;
  // Of an entry that an earlier process wrote nothing is known.
  std::uint64_t& shared = owners_[namespace_id].shared_bytes;
  shared -= std::min<std::uint64_t>(shared, bytes);
}

void SegmentLog::SetDead(std::uint32_t segment, std::uint32_t bytes, std::uint32_t entries) {
  SegmentHeader& header = view_.segment(segment);
  if (SegmentStateOf(header.state_generation.LoadRelaxed()) == SegmentState::kSealed)
    owners_[OwnerOf(header)].dead_bytes += std::uint64_t{bytes} - header.dead_bytes.LoadRelaxed();
  header.dead_bytes.StoreRelaxed(bytes);
  header.dead_entries.StoreRelaxed(entries);
}

void SegmentLog::Flush(std::uint16_t namespace_id) {
  Owner& owner = owners_[namespace_id];
  for (const LogKind log : {LogKind::kMain, LogKind::kSmall}) {
    Seal(namespace_id, log);
    owner.flushed.merge(owner.sealed[Index(log)]);
    owner.sealed_segments[Index(log)] = 0;
  }
  if (!owner.flushed.empty()) with_flushed_.insert(namespace_id);
}

std::optional<std::uint16_t> SegmentLog::FurthestAboveMin(std::uint16_t writing) const {
  if (!with_flushed_.empty()) return *with_flushed_.begin();
  for (auto it = by_excess_.rbegin(); it != by_excess_.rend(); ++it) {
    const Owner& owner = owners_[it->second];
    if (!owner.sealed[0].empty() || !owner.sealed[1].empty()) return it->second;
    if (it->second != writing && (owner.open[0] || owner.open[1])) return it->second;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> SegmentLog::Expired(std::uint64_t now_ms) const {
  if (expiring_.empty() || expiring_.begin()->first > now_ms) return std::nullopt;
  return expiring_.begin()->second;
}

void SegmentLog::Retire(std::uint32_t segment) {
  Unseal(segment);
  SegmentHeader& header = view_.segment(segment);
  const std::uint64_t generation = SegmentGenerationOf(header.state_generation.LoadRelaxed());
  // SYNC release segment-generation: the generation stays, readers go on until the slots are gone.
  header.state_generation.StoreRelease(MakeSegmentWord(SegmentState::kRetiring, generation));
}

void SegmentLog::Free(std::uint32_t segment) {
  SegmentHeader& header = view_.segment(segment);
  const std::uint64_t word = header.state_generation.LoadRelaxed();
  if (SegmentStateOf(word) == SegmentState::kSealed) Unseal(segment);
  if (!quarantine_.empty()) ReviewPins();
  if (!quarantine_.Hold(segment)) {
    MakeFree(segment);
    return;
  }
  // SYNC release segment-generation: the generation stays, and with it the bytes that are pinned.
  header.state_generation.StoreRelease(
      MakeSegmentWord(SegmentState::kRetiring, SegmentGenerationOf(word)));
  if (quarantine_.Overfull()) ReviewPins();
}

void SegmentLog::ReviewPins() {
  for (const std::uint32_t segment : quarantine_.Review()) MakeFree(segment);
}

bool SegmentLog::ReclaimPinned() {
  const std::uint64_t free = free_.size() + held_.size();
  ReviewPins();
  if (free_.size() + held_.size() > free) return true;
  const auto oldest = quarantine_.TakeOldest();
  if (oldest) MakeFree(*oldest);
  return oldest.has_value();
}

void SegmentLog::MakeFree(std::uint32_t segment) {
  SegmentHeader& header = view_.segment(segment);
  const std::uint32_t length = header.run_length;
  AddOwned(OwnerOf(header), -static_cast<std::int32_t>(length));
  MoveGeneration(segment);
  // A takeover takes a free segment for one without slots only with an empty watermark.
  header.write_watermark.StoreInProgramOrder(0);
  // The body of a run after its first segment, whose generation readers look at.
  for (std::uint32_t i = 1; i < length; ++i) {
    FreeBody(segment + i);
    HEARTH_FAILPOINT("run.mid_free");
  }
  for (std::uint32_t i = 0; i < length; ++i) GiveBack(segment + i);
  view_.header().free_segments.StoreRelaxed(free_.size() + held_.size());
}

void SegmentLog::MoveGeneration(std::uint32_t segment) {
  SegmentHeader& header = view_.segment(segment);
  const std::uint64_t generation = SegmentGenerationOf(header.state_generation.LoadRelaxed());
  // SYNC release segment-generation: the slots that pointed here were changed before. A reader that
  // finds the new generation also finds its slot changed, and does not take it for a miss.
  header.state_generation.StoreRelease(MakeSegmentWord(SegmentState::kFree, generation + 1));
  // SYNC release segment-reuse: the new generation is visible before any byte written below it. The
  // release store does not see to that: it holds back what came before it, not what comes after.
  ReleaseFence();
  HEARTH_FAILPOINT("writer.after_generation");
}

}  // namespace hearth::cache
