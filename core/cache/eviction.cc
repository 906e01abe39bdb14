// The part of StoreWriter that makes room: S3-FIFO over segments, compaction, expired segments.
//
// S3-FIFO (Yang et al., SOSP 2023): new keys go into a small log, a tenth of the namespace; what
// was read there moves on to the main log when its segment is evicted, the rest is dropped and
// remembered by a ghost; a remembered key that comes back goes straight into the main log; from the
// end of that, what was read since gets another round. The queues consist of segments here, so an
// eviction walks one from its first entry to its last, copies what stays, and frees it.
#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/base/units.h"
#include "core/cache/writer.h"

namespace hearth::cache {
namespace {

// Kept free for what an eviction copies, which is at most one segment.
constexpr std::uint32_t kReserveSegments = 1;
// The small log begins when a namespace owns this many segments: fewer are not worth two logs.
constexpr std::uint32_t kSmallLogFrom = 4;
// Reads, while it was in the small log, that make a key worth the main log. The paper asks for two;
// whole segments leave a key less time to be read, and one does better (docs/hit-ratio.md).
constexpr std::uint32_t kPromoteReads = 1;
constexpr std::uint32_t kSmallLogShare = 10;  // one in ten segments
// The ghost remembers about as many keys as the main log holds.
constexpr double kGhostShare = 0.9;
// How many segments may be compacted for a free one before others are evicted, and how many of the
// main log may be copied before what was read goes as well: a write waits for all of them.
constexpr std::uint32_t kMaxCompactRounds = 4;
constexpr std::uint32_t kMaxCopyRounds = 4;
// Compaction begins when this much of a namespace's bytes is dead. Less would copy more than three
// bytes for each that is written.
constexpr std::uint64_t kCompactPercent = 3;
// From this size on a store, or a namespace with a quota, gives up a segment or two for evicting
// little by little instead of a segment at a time.
constexpr std::uint32_t kPacedFrom = 64;
constexpr std::uint64_t kPace = 4;  // bytes walked for each byte written
// How many segments one write evicts in vain, because readers pin them, before it takes one from
// them.
constexpr std::uint32_t kMaxPinnedRounds = 2;

}  // namespace

std::uint32_t StoreWriter::QuotaSegments(std::uint16_t namespace_id) const {
  const std::uint64_t quota = view_.namespace_record(namespace_id).quota_max_bytes.LoadRelaxed();
  if (quota == 0) return view_.segment_count();
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(quota / view_.segment_bytes(), view_.segment_count()));
}

bool StoreWriter::MayEvict(std::uint16_t namespace_id) const {
  return (view_.namespace_record(namespace_id).flags.LoadRelaxed() & kNamespaceNoEvict) == 0;
}

LogKind StoreWriter::LogFor(std::uint16_t namespace_id, bool negative, std::uint64_t hash,
                            const std::optional<SlotRef>& existing) {
  if (!MayEvict(namespace_id)) return LogKind::kMain;
  // That something does not exist must not take room from what does.
  if (negative && log_.owned(namespace_id) >= kSmallLogFrom) return LogKind::kSmall;
  if (existing) return static_cast<LogKind>(view_.segment(existing->segment()).log & 1U);
  if (log_.owned(namespace_id) < kSmallLogFrom) return LogKind::kMain;
  if (IsTinyLfu(namespace_id)) return LogKind::kSmall;
  return ghosts_[namespace_id].Take(hash) ? LogKind::kMain : LogKind::kSmall;
}

Status StoreWriter::FullError(std::uint16_t namespace_id, bool over_quota) const {
  const NamespaceRecord& record = view_.namespace_record(namespace_id);
  if (over_quota)
    return Error(Code::kResourceExhausted,
                 "namespace '{}' is full ({} of its quota of {}) and does not evict",
                 std::string_view(reinterpret_cast<const char*>(record.name), record.name_length),
                 FormatBytes(record.used_bytes.LoadRelaxed()),
                 FormatBytes(record.quota_max_bytes.LoadRelaxed()));
  return Error(Code::kResourceExhausted,
               "the store is full: all {} segments belong to the index or to namespaces that do "
               "not evict",
               view_.segment_count());
}

Status StoreWriter::MakeRoom(std::uint16_t namespace_id, LogKind log, std::uint64_t bytes) {
  // Each round walks one segment. Those that mostly stay gain little, so later rounds keep less.
  std::uint32_t in_vain = 0;
  for (std::uint32_t round = 0;; ++round) {
    // What was moved may have opened a segment with room behind it.
    if (OpenPlace(namespace_id, log, bytes)) return Status::Ok();
    const bool over_quota = log_.owned(namespace_id) >= QuotaSegments(namespace_id);
    if (!over_quota && log_.free_count() > kReserveSegments) return Status::Ok();
    if (in_vain >= kMaxPinnedRounds && log_.ReclaimPinned()) continue;
    if (!victim_) {
      const auto from = over_quota ? namespace_id : log_.FurthestAboveMin(namespace_id);
      const bool started = from && StartVictim(*from, round);
      // Whoever does not evict may still have dead entries between the living ones.
      if (!started && !(from != namespace_id && StartVictim(namespace_id, round))) {
        // No write fails because of a pin.
        if (log_.ReclaimPinned()) continue;
        return FullError(namespace_id, over_quota);
      }
    }
    const std::uint32_t waiting = log_.quarantine().size();
    FinishVictim();
    if (log_.quarantine().size() > waiting) ++in_vain;
  }
}

std::optional<std::uint32_t> StoreWriter::TakeIndexSegment() {
  // The reserve is for this as well: eviction then drops what it would have copied.
  if (log_.free_count() == 0 && victim_) FinishVictim();
  std::uint32_t in_vain = 0;
  for (std::uint32_t round = 0; log_.free_count() == 0; ++round) {
    if (in_vain >= kMaxPinnedRounds && log_.ReclaimPinned()) continue;
    const auto from = log_.FurthestAboveMin(writing_namespace_);
    if (!from || !StartVictim(*from, round)) {
      if (log_.ReclaimPinned()) continue;
      return std::nullopt;
    }
    const std::uint32_t waiting = log_.quarantine().size();
    FinishVictim();
    if (log_.quarantine().size() > waiting) ++in_vain;
  }
  return log_.TakeForIndex();
}

std::optional<std::uint32_t> StoreWriter::MostDead(std::uint16_t namespace_id) const {
  std::optional<std::uint32_t> most;
  for (const LogKind log : {LogKind::kMain, LogKind::kSmall}) {
    for (const auto& [sequence, segment] : log_.sealed(namespace_id, log)) {
      const std::uint32_t dead = view_.segment(segment).dead_bytes.LoadRelaxed();
      if (!most || dead > view_.segment(*most).dead_bytes.LoadRelaxed()) most = segment;
    }
  }
  return most;
}

// A segment whose dead bytes make it worth copying the rest, where the namespace has enough of
// them.
std::optional<std::uint32_t> StoreWriter::WorthCompacting(std::uint16_t namespace_id) const {
  const std::uint64_t dead = log_.dead_bytes(namespace_id);
  const std::uint64_t owned = std::uint64_t{log_.owned(namespace_id)} * view_.segment_bytes();
  if (MayEvict(namespace_id)) {
    if (dead * 100 <= owned * kCompactPercent) return std::nullopt;
    return MostDead(namespace_id);
  }
  // What cannot be dropped is moved for less.
  if (dead == 0 || log_.free_count() == 0) return std::nullopt;
  const auto most = MostDead(namespace_id);
  if (most && view_.segment(*most).dead_bytes.LoadRelaxed() * 16 >= view_.segment_bytes())
    return most;
  return std::nullopt;
}

// The next segment of the namespace by S3-FIFO.
std::optional<std::uint32_t> StoreWriter::NextInLine(std::uint16_t namespace_id) {
  const auto* const small = &log_.sealed(namespace_id, LogKind::kSmall);
  const auto* const main = &log_.sealed(namespace_id, LogKind::kMain);
  if (small->empty() && main->empty()) {
    // Down to what is being written; the older of the two goes.
    auto age = [&](LogKind log) {
      const auto open = log_.open(namespace_id, log);
      return open ? view_.segment(*open).sequence : ~std::uint64_t{0};
    };
    log_.Seal(namespace_id,
              age(LogKind::kSmall) < age(LogKind::kMain) ? LogKind::kSmall : LogKind::kMain);
  }
  const std::size_t in_small = log_.sealed_segments(namespace_id, LogKind::kSmall) +
                               (log_.open(namespace_id, LogKind::kSmall) ? 1U : 0U);
  const bool small_is_large = in_small * kSmallLogShare >= log_.owned(namespace_id);
  if (!small->empty() && (small_is_large || main->empty())) return small->begin()->second;
  if (!main->empty()) return main->begin()->second;
  return std::nullopt;
}

bool StoreWriter::StartVictim(std::uint16_t namespace_id, std::uint32_t round) {
  Victim victim;
  if (!log_.flushed(namespace_id).empty()) {
    victim.segment = log_.flushed(namespace_id).begin()->second;
    victim.flushed = true;
  } else if (const auto expired = log_.Expired(reader_.NowMs())) {
    victim.segment = *expired;
  } else if (const auto dead = round < kMaxCompactRounds || !MayEvict(namespace_id)
                                   ? WorthCompacting(namespace_id)
                                   : std::nullopt) {
    victim.segment = *dead;
    victim.compact = true;
  } else {
    if (!MayEvict(namespace_id)) return false;
    const auto next = NextInLine(namespace_id);
    if (!next) return false;
    victim.segment = *next;
    victim.keep_above = round < kMaxCompactRounds + kMaxCopyRounds ? 0 : kMaxFrequency;
    // Without a walk; what is next in line then is found in the next round.
    if (KeepRun(*next, victim.keep_above)) return true;
  }
  BeginVictim(victim);
  return true;
}

void StoreWriter::BeginVictim(Victim victim) {
  const SegmentHeader& header = view_.segment(victim.segment);
  victim.owner = OwnerOf(header);
  victim.log = static_cast<LogKind>(header.log);
  victim.entries = header.entry_count.LoadRelaxed();
  if (recount_ && recount_->segment == victim.segment) recount_.reset();
  victim.admission = victim.log == LogKind::kSmall && !victim.compact && IsTinyLfu(victim.owner);
  if (victim.admission) PrepareAdmission(victim.owner, victim.entries);
  log_.Retire(victim.segment);
  victim_ = victim;
  HEARTH_FAILPOINT("writer.mid_retire");
}

void StoreWriter::FinishVictim() {
  while (victim_) StepVictim(view_.segment_bytes());
}

// Walks on for about so many bytes. The order is what readers rely on: slots changed, generation
// moved, fence (SegmentLog::Free), and only then new bytes.
void StoreWriter::StepVictim(std::uint64_t bytes) {
  Victim& victim = *victim_;
  const SegmentHeader& header = view_.segment(victim.segment);
  const std::uint32_t end = header.write_watermark.LoadRelaxed();
  std::uint64_t walked = 0;
  EntryView entry;
  while (victim.offset < end) {
    if (walked >= bytes) return;
    if (!ParseEntry(view_, victim.segment, victim.offset, &entry)) {
      DropUnwalkable(victim);
      break;
    }
    EvictEntry(victim, entry);
    HEARTH_FAILPOINT("evict.mid_segment");
    victim.offset += static_cast<std::uint32_t>(entry.bytes);
    walked += entry.bytes;
  }
  log_.Free(victim.segment);
  victim_.reset();
}

// Damaged: it cannot be walked further. What lives behind here is the rest of its bytes.
void StoreWriter::DropUnwalkable(const Victim& victim) {
  const SegmentHeader& header = view_.segment(victim.segment);
  const std::uint64_t cleared = index_.ClearSegment(victim.segment);
  AddCounters(std::int64_t{header.dead_entries.LoadRelaxed()} - header.entry_count.LoadRelaxed(),
              -static_cast<std::int64_t>(header.write_watermark.LoadRelaxed() -
                                         header.dead_bytes.LoadRelaxed()));
  CountEvicted(cleared);
}

void StoreWriter::CountEvicted(std::uint64_t entries) {
  StoreHeader& store = view_.header();
  store.evicted_entries.StoreRelaxed(store.evicted_entries.LoadRelaxed() + entries);
}

void StoreWriter::EvictEntry(const Victim& victim, const EntryView& entry) {
  const std::uint64_t hash = HashEntry(view_, entry);
  const auto ref = index_.FindEntry(hash, victim.segment, victim.offset);
  if (!ref) return;
  const bool visible = Visible(entry);
  const std::uint32_t reads = SlotFrequency(ref->word);
  if (visible) {
    bool kept = false;
    if (victim.compact)
      kept = MoveEntry(entry, *ref, victim.log, reads);
    else if (victim.log == LogKind::kSmall)
      kept = (reads >= kPromoteReads || (victim.admission && Admits(victim.owner, hash))) &&
             MoveEntry(entry, *ref, LogKind::kMain, 0);
    else
      kept = reads > victim.keep_above && MoveEntry(entry, *ref, LogKind::kMain, reads - 1);
    if (kept) {
      log_.NoteDead(victim.segment, static_cast<std::uint32_t>(entry.bytes),
                    entry.header.namespace_id);
      return;
    }
    CountEvicted(1);
    // As many entries as the namespace has, if they are all like those of this segment.
    if (victim.log == LogKind::kSmall && !victim.admission) {
      Ghost& ghost = ghosts_[victim.owner];
      const auto alike =
          static_cast<std::uint64_t>(kGhostShare * log_.owned(victim.owner) * victim.entries);
      // A large value says nothing about how many others there are.
      ghost.Add(hash,
                NeedsRun(entry.header.value_length) ? std::max(alike, ghost.capacity()) : alike);
    }
  }
  index_.Clear(hash, *ref);
  HEARTH_FAILPOINT("evict.after_clear");
  log_.NoteDead(victim.segment, static_cast<std::uint32_t>(entry.bytes), entry.header.namespace_id);
  AddCounters(-1, -static_cast<std::int64_t>(entry.bytes));
}

// Copies an entry, unchanged, to the end of a log of whoever owns its segment. False when there is
// no room.
bool StoreWriter::MoveEntry(const EntryView& entry, const SlotRef& ref, LogKind log,
                            std::uint32_t reads) {
  return MoveTo(OwnerOf(view_.segment(ref.segment())), entry, ref, log, reads);
}

bool StoreWriter::MoveTo(std::uint16_t owner, const EntryView& entry, const SlotRef& ref,
                         LogKind log, std::uint32_t reads) {
  if (entry.bytes > view_.segment_bytes()) return false;
  auto open = log_.open(owner, log);
  if (!open || log_.Room(*open) < entry.bytes) {
    // Rather than lose an entry.
    if (log_.free_count() == 0 && !log_.ReclaimPinned()) return false;
    log_.Seal(owner, log);
    open = log_.TakeOpen(owner, log);
  }
  SegmentHeader& segment = view_.segment(*open);
  const std::uint32_t offset = segment.write_watermark.LoadRelaxed();
  CopyShared(view_.segment_data(*open) + offset, view_.segment_data(ref.segment()) + ref.offset(),
             entry.bytes);
  HEARTH_FAILPOINT("evict.after_copy");
  segment.latest_expiry_ms.StoreRelaxed(
      std::max(segment.latest_expiry_ms.LoadRelaxed(), entry.hard_expiry_ms));
  // Recovery relies on it: the entries below the watermark are complete.
  segment.write_watermark.StoreInProgramOrder(offset + static_cast<std::uint32_t>(entry.bytes));
  segment.entry_count.StoreInProgramOrder(segment.entry_count.LoadRelaxed() + 1);
  HEARTH_FAILPOINT("evict.after_watermark");
  const std::uint64_t word =
      MakeSlot(ref.word >> kSlotTagShift,
               SegmentGenerationOf(segment.state_generation.LoadRelaxed()), *open, offset);
  index_.Replace(ref, word | std::uint64_t{reads} << kSlotFrequencyShift);
  HEARTH_FAILPOINT("evict.after_slot");
  log_.NoteWritten(*open, entry.bytes, entry.header.namespace_id);
  segment.indexed_watermark.StoreInProgramOrder(segment.write_watermark.LoadRelaxed());
  return true;
}

// Walks a little of the next victim with each write, so that none has to wait for a whole segment.
void StoreWriter::Pace(std::uint16_t namespace_id, std::uint64_t bytes) {
  if (!victim_) {
    const std::uint32_t quota = QuotaSegments(namespace_id);
    const std::uint32_t ahead = view_.segment_count() >= 2 * kPacedFrom ? 2 : 1;
    if (log_.has_flushed()) {
      if (const auto from = log_.FurthestAboveMin(namespace_id)) StartVictim(*from, 0);
      // What must not be dropped is only moved in one go: meanwhile nobody takes the reserve.
    } else if (MayEvict(namespace_id) && quota >= kPacedFrom && log_.owned(namespace_id) >= quota) {
      StartVictim(namespace_id, 0);
    } else if (view_.segment_count() >= kPacedFrom &&
               log_.free_count() < kReserveSegments + ahead) {
      if (const auto from = log_.FurthestAboveMin(namespace_id)) StartVictim(*from, 0);
    }
  }
  if (victim_) StepVictim(bytes * kPace);
}

bool StoreWriter::Reclaim(std::uint64_t bytes) {
  const auto flushed = [this] { return log_.has_flushed() || (victim_ && victim_->flushed); };
  // Any other walk goes on with the writes that need it.
  if (!flushed()) return false;
  if (!victim_) {
    const auto from = log_.FurthestAboveMin(0);
    if (!from || !StartVictim(*from, 0)) return false;
  }
  StepVictim(bytes);
  return flushed();
}

}  // namespace hearth::cache
