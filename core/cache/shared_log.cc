// The part of StoreWriter that lets tiny namespaces share segments.
//
// Where there are more namespaces than half the segments, they cannot all have open segments of
// their own, one for each of their logs. There a namespace appends to segments that belong to all,
// until half a segment of it lives there; then it gets its own, and what it has written stays where
// it is. The shared segments are evicted as if they were one namespace's. One that does not evict,
// or that is promised a quota, never shares: nothing of it may make way for others.
// Nor does one whose admission is its own.
#include "core/cache/writer.h"

namespace hearth::cache {

// Whose segments a new entry goes to.
std::uint16_t StoreWriter::OwnerFor(std::uint16_t namespace_id, std::uint64_t bytes) const {
  const bool crowded = 2 * names_.live() > view_.segment_count();
  const bool shares = crowded && log_.owned(namespace_id) == 0 && MayEvict(namespace_id) &&
                      !IsTinyLfu(namespace_id) &&
                      view_.namespace_record(namespace_id).quota_min_bytes.LoadRelaxed() == 0 &&
                      log_.shared_bytes(namespace_id) + bytes <= view_.segment_bytes() / 2;
  return shares ? kSharedOwner : namespace_id;
}

// Whether no segment is left that may hold an entry of a dropped namespace, so that its id may be
// given out again.
bool StoreWriter::NothingLeftOf(std::uint16_t dropped) {
  if (log_.owned(dropped) != 0) return false;
  const std::uint64_t sequence = view_.namespace_record(dropped).flushed_sequence.LoadRelaxed();
  const bool walking = victim_ && victim_->owner == kSharedOwner &&
                       view_.segment(victim_->segment).sequence <= sequence;
  return !walking && log_.SharedUpTo(sequence, /*seal=*/false).empty();
}

// Moves what is visible in shared segments allocated up to `sequence` to younger ones.
void StoreWriter::RewriteShared(std::uint64_t sequence) {
  if (victim_) FinishVictim();
  for (const std::uint32_t segment : log_.SharedUpTo(sequence, /*seal=*/true)) {
    BeginVictim({.segment = segment, .compact = true});
    FinishVictim();
  }
}

// Moves the entries of a namespace out of the shared segments into its own.
Status StoreWriter::ClaimShared(std::uint16_t namespace_id) {
  if (victim_) FinishVictim();
  constexpr std::uint64_t kAny = ~std::uint64_t{0};
  if (log_.SharedUpTo(kAny, /*seal=*/false).empty()) return Status::Ok();
  // Room for what it can have there. This may evict, so that the list is made afterwards.
  HEARTH_TRY(MakeRoom(namespace_id, LogKind::kMain, view_.segment_bytes() / 2));
  for (const std::uint32_t segment : log_.SharedUpTo(kAny, /*seal=*/false)) {
    const std::uint32_t end = view_.segment(segment).write_watermark.LoadRelaxed();
    EntryView entry;
    for (std::uint32_t offset = 0; offset < end && ParseEntry(view_, segment, offset, &entry);
         offset += static_cast<std::uint32_t>(entry.bytes)) {
      if (entry.header.namespace_id != namespace_id || !Visible(entry)) continue;
      const auto ref = index_.FindEntry(HashEntry(view_, entry), segment, offset);
      if (!ref) continue;
      NoteReplaced(ref->word);
      if (!MoveTo(namespace_id, entry, *ref, LogKind::kMain, SlotFrequency(ref->word)))
        return Error(Code::kResourceExhausted,
                     "no segment is free for the entries that the namespace has in segments "
                     "shared with others");
      log_.NoteDead(segment, static_cast<std::uint32_t>(entry.bytes), namespace_id);
    }
    FreeIfDead(segment);
  }
  return Status::Ok();
}

std::vector<std::uint32_t> SegmentLog::SharedUpTo(std::uint64_t sequence, bool seal) {
  const Owner& shared = owners_[kSharedOwner];
  std::vector<std::uint32_t> segments;
  for (const LogKind log : {LogKind::kMain, LogKind::kSmall}) {
    if (const auto open = shared.open[Index(log)];
        open && view_.segment(*open).sequence <= sequence) {
      if (seal) {
        Seal(kSharedOwner, log);
      } else {
        segments.push_back(*open);
      }
    }
    for (const auto& [age, segment] : shared.sealed[Index(log)]) {
      if (age > sequence) break;
      segments.push_back(segment);
    }
  }
  return segments;
}

}  // namespace hearth::cache
