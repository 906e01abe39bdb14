// The part of StoreWriter that takes over the store of a dead writer (FORMAT.md section 10). The
// cost is a look at each segment header and directory word; entries are walked only in the few
// segments that an operation was changing. Whatever the memory holds, this ends, and what it cannot
// vouch for is dropped and named.
#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/units.h"
#include "core/cache/writer.h"

namespace hearth::cache {
namespace {

// In SegmentHeader::dead_bytes: to be counted before the takeover ends.
constexpr std::uint32_t kUncounted = ~std::uint32_t{0};
constexpr std::uint64_t kSequenceMask = (std::uint64_t{1} << 48U) - 1;

template <class... Args>
void NoteDamage(RecoveryReport* report, fmt::format_string<Args...> format, Args&&... args) {
  if (report->damage_count++ < RecoveryReport::kMaxDamageLines)
    report->damage.push_back(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace

Result<std::unique_ptr<StoreWriter>> StoreWriter::Recover(const StoreView& view,
                                                          RecoveryReport* report,
                                                          const Clock& clock) {
  std::unique_ptr<StoreWriter> writer(new StoreWriter(view, clock));
  HEARTH_TRY(writer->TakeOver(report));
  return writer;
}

Status StoreWriter::TakeOver(RecoveryReport* report) {
  *report = {};
  shm::RegionPrefix& prefix = view_.prefix();
  report->epoch = prefix.epoch.LoadRelaxed() + 1;
  prefix.epoch.StoreInProgramOrder(report->epoch);
  const std::uint64_t in_flight = view_.header().in_flight.LoadRelaxed();
  report->in_flight_channel = static_cast<std::uint16_t>(in_flight >> 48U);
  report->in_flight_sequence = in_flight & kSequenceMask;

  TakeOverNamespaces(report);
  TakeOverSegments(report);
  FinishDrops();
  HEARTH_FAILPOINT("recover.before_index");
  HEARTH_TRY(index_.Recover(&report->index));
  if (report->index.lost_pages != 0)
    NoteDamage(report, "{} index pages are lost, and their entries with them",
               report->index.lost_pages);
  if (report->index.repaired_words + report->index.repaired_pages != 0)
    NoteDamage(report, "{} directory words and {} page headers were repaired",
               report->index.repaired_words, report->index.repaired_pages);
  for (std::uint32_t segment = 0; segment < view_.segment_count(); ++segment)
    RepublishTail(segment, report);
  HEARTH_FAILPOINT("recover.before_recount");
  for (std::uint32_t segment = 0; segment < view_.segment_count(); ++segment) {
    if (view_.segment(segment).dead_bytes.LoadRelaxed() != kUncounted) continue;
    StartRecount(segment);
    while (recount_) StepRecount(view_.segment_bytes());
  }
  scrub_ = {};
  SumUp();
  report->entries = view_.header().entry_count.LoadRelaxed();
  report->live_bytes = view_.header().live_bytes.LoadRelaxed();
  Heartbeat();
  return Status::Ok();
}

void StoreWriter::TakeOverNamespaces(RecoveryReport* report) {
  std::unordered_set<std::string> names;
  view_.namespace_record(0).used_bytes.StoreRelaxed(0);  // of what is shared
  for (std::uint32_t id = 1; id < view_.namespace_capacity(); ++id) {
    NamespaceRecord& record = view_.namespace_record(id);
    record.used_bytes.StoreRelaxed(0);  // what it owns is added up again
    const std::uint32_t word = record.state.LoadRelaxed();
    const NamespaceState state = NamespaceStateOf(word);
    if (state == NamespaceState::kFree || state == NamespaceState::kDropped) continue;
    const std::string name(reinterpret_cast<const char*>(record.name),
                           std::min<std::size_t>(record.name_length, sizeof(record.name)));
    if (state != NamespaceState::kLive || !ValidNamespaceName(name) || !names.insert(name).second) {
      NoteDamage(report, "the record of namespace {} is damaged: the namespace is dropped", id);
      record.state.StoreRelaxed(
          MakeNamespaceWord(NamespaceState::kDropped, NamespaceIncarnationOf(word)));
      ++report->dropped_namespaces;
      continue;
    }
    const std::uint64_t hard = record.default_hard_ttl_ms.LoadRelaxed();
    const std::uint64_t soft = record.default_soft_ttl_ms.LoadRelaxed();
    const std::uint64_t quota = record.quota_max_bytes.LoadRelaxed();
    if (hard > kMaxTtlMs || soft > kMaxTtlMs || (quota != 0 && quota < 2 * view_.segment_bytes())) {
      NoteDamage(report, "the TTLs or the quota of namespace '{}' are impossible, and now none",
                 name);
      record.default_hard_ttl_ms.StoreRelaxed(0);
      record.default_soft_ttl_ms.StoreRelaxed(0);
      record.quota_max_bytes.StoreRelaxed(0);
    }
    // What was committed after a flush has a higher version, whatever the header says.
    StoreHeader& store = view_.header();
    store.last_version.StoreRelaxed(
        std::min(kMaxVersion,
                 std::max(store.last_version.LoadRelaxed(), record.flushed_version.LoadRelaxed())));
  }
}

// A namespace that was dropped is flushed as well, if its writer did not get that far.
void StoreWriter::FinishDrops() {
  names_ = NamespaceTable(view_);
  for (std::uint32_t i = 1; i < view_.namespace_capacity(); ++i) {
    const auto id = static_cast<std::uint16_t>(i);
    NamespaceRecord& record = view_.namespace_record(id);
    if (NamespaceStateOf(record.state.LoadRelaxed()) != NamespaceState::kDropped) continue;
    HideEntries(id);
    record.quota_min_bytes.StoreRelaxed(0);
    log_.Requota(id);
  }
}

// Whether the header of a segment that holds entries can be what a writer has left.
bool StoreWriter::PlausibleSegment(std::uint32_t segment) const {
  const SegmentHeader& header = view_.segment(segment);
  const std::uint32_t end = header.write_watermark.LoadRelaxed();
  const bool owned =
      header.namespace_id == kSharedNamespace ||
      (header.namespace_id >= 1 && header.namespace_id < view_.namespace_capacity() &&
       NamespaceStateOf(view_.namespace_record(header.namespace_id).state.LoadRelaxed()) !=
           NamespaceState::kFree);
  return owned && header.log <= static_cast<std::uint8_t>(LogKind::kSmall) &&
         end <= std::uint64_t{header.run_length} * view_.segment_bytes() && end % 8 == 0 &&
         header.indexed_watermark.LoadRelaxed() <= end &&
         header.indexed_watermark.LoadRelaxed() % 8 == 0 && WholeRun(segment);
}

// Whether a run's body is as the run says. A segment by itself is a run of one.
bool StoreWriter::WholeRun(std::uint32_t segment) const {
  const std::uint32_t length = view_.segment(segment).run_length;
  if (length == 0 || length > view_.segment_count() - segment) return false;
  for (std::uint32_t i = 1; i < length; ++i) {
    const SegmentHeader& body = view_.segment(segment + i);
    if (SegmentStateOf(body.state_generation.LoadRelaxed()) != SegmentState::kRunBody ||
        body.run_length != i || body.mark != kSegmentMark)
      return false;
  }
  return true;
}

// Whether a segment in state kRunBody continues a run that is there.
bool StoreWriter::IsBody(std::uint32_t segment) const {
  const std::uint32_t back = view_.segment(segment).run_length;
  return back >= 1 && back <= segment && HoldsEntries(segment - back) &&
         back < view_.segment(segment - back).run_length && PlausibleSegment(segment - back);
}

bool StoreWriter::HoldsEntries(std::uint32_t segment) const {
  const SegmentHeader& header = view_.segment(segment);
  const SegmentState state = SegmentStateOf(header.state_generation.LoadRelaxed());
  return header.mark == kSegmentMark &&
         (state == SegmentState::kOpen || state == SegmentState::kSealed ||
          state == SegmentState::kRetiring);
}

// Whether a segment with this header may hold an entry.
bool StoreWriter::MayHold(const SegmentHeader& header, const EntryView& entry) const {
  return header.namespace_id == entry.header.namespace_id ||
         (header.namespace_id == kSharedNamespace && entry.header.namespace_id != 0 &&
          entry.header.namespace_id < view_.namespace_capacity());
}

// Sorts the segments into free ones and logs, and marks those whose dead bytes may be miscounted:
// in the store, so that a takeover which dies itself leaves the mark to the next.
void StoreWriter::TakeOverSegments(RecoveryReport* report) {
  StoreHeader& store = view_.header();
  for (std::uint32_t segment = 0; segment < view_.segment_count(); ++segment) {
    SegmentHeader& header = view_.segment(segment);
    const std::uint64_t word = header.state_generation.LoadRelaxed();
    store.allocated_sequence.StoreRelaxed(
        std::max(store.allocated_sequence.LoadRelaxed(), header.sequence));
    // Nothing was written to it: it is free, and so is the body of its run.
    if (header.mark == kSegmentMark && SegmentStateOf(word) == SegmentState::kOpen &&
        header.write_watermark.LoadRelaxed() == 0)
      header.state_generation.StoreInProgramOrder(
          MakeSegmentWord(SegmentState::kFree, SegmentGenerationOf(word) + 1));
  }
  for (std::uint32_t segment = view_.segment_count(); segment-- > 0;)
    TakeOverSegment(segment, report);
}

void StoreWriter::TakeOverSegment(std::uint32_t segment, RecoveryReport* report) {
  SegmentHeader& header = view_.segment(segment);
  const std::uint64_t word = header.state_generation.LoadRelaxed();
  const SegmentState state = SegmentStateOf(word);
  const std::uint32_t end = header.write_watermark.LoadRelaxed();
  if (header.mark == kSegmentMark && state == SegmentState::kIndex) return;
  if (header.mark == kSegmentMark && state == SegmentState::kRunBody && end == 0) {
    if (IsBody(segment)) return;
    // Of a run that was being taken or freed.
    header.state_generation.StoreInProgramOrder(
        MakeSegmentWord(SegmentState::kFree, SegmentGenerationOf(word) + 1));
    log_.AddFree(segment);
    return;
  }
  if (header.mark == kSegmentMark && state == SegmentState::kFree && end == 0) {
    log_.AddFree(segment);
    return;
  }
  if (!HoldsEntries(segment) || !PlausibleSegment(segment)) {
    if (header.mark != kSegmentMark || state != SegmentState::kFree) {
      NoteDamage(
          report,
          "the header of segment {} is damaged (state {}, owner {}, run {}, watermark {}): the "
          "segment is dropped",
          segment, static_cast<int>(state), header.namespace_id, header.run_length, end);
      ++report->dropped_segments;
    }
    header.mark = kSegmentMark;
    log_.HoldBack(segment);
    return;
  }
  const std::uint64_t replaced = view_.header().replaced_slot.LoadRelaxed();
  const bool large = header.run_length > 1 || HoldsLargeValue(segment);
  if (header.indexed_watermark.LoadRelaxed() != end || header.dead_bytes.LoadRelaxed() > end ||
      header.dead_entries.LoadRelaxed() > header.entry_count.LoadRelaxed() ||
      segment == SlotSegment(replaced) || state == SegmentState::kRetiring ||
      (large && state == SegmentState::kOpen))
    header.dead_bytes.StoreInProgramOrder(kUncounted);
  if (state == SegmentState::kRetiring) ++report->resumed_retiring;
  if (state == SegmentState::kOpen && !large) {
    log_.AddOpen(segment);
    return;
  }
  // Of one whose eviction had begun: what was moved is dead here, what was not lives.
  header.state_generation.StoreInProgramOrder(
      MakeSegmentWord(SegmentState::kSealed, SegmentGenerationOf(word)));
  log_.AddSealed(segment);
}

// Publishes what is complete and has no slot yet: the entry of the operation that was under way.
void StoreWriter::RepublishTail(std::uint32_t segment, RecoveryReport* report) {
  SegmentHeader& header = view_.segment(segment);
  const SegmentState state = SegmentStateOf(header.state_generation.LoadRelaxed());
  if (state != SegmentState::kOpen && state != SegmentState::kSealed) return;
  const std::uint32_t end = header.write_watermark.LoadRelaxed();
  std::uint32_t offset = header.indexed_watermark.LoadRelaxed();
  while (offset < end) {
    EntryView entry;
    if (!ParseEntry(view_, segment, offset, &entry) || offset + entry.bytes > end ||
        !MayHold(header, entry) || EntryCrc(entry) != entry.header.crc32c) {
      NoteDamage(report, "segment {} holds no entry at {}, below its watermark {}", segment, offset,
                 end);
      break;
    }
    StoreHeader& store = view_.header();
    store.last_version.StoreRelaxed(std::max(store.last_version.LoadRelaxed(), entry.version()));
    if (Republish({segment, offset}, entry)) ++report->republished;
    offset += static_cast<std::uint32_t>(entry.bytes);
  }
  // Nobody can see what lies behind: it may be written over.
  if (offset < end) header.write_watermark.StoreInProgramOrder(offset);
  header.indexed_watermark.StoreInProgramOrder(offset);
}

// True when the entry has got a slot that it did not have.
bool StoreWriter::Republish(const Place& place, const EntryView& entry) {
  const std::uint64_t hash = HashEntry(view_, entry);
  const std::uint64_t generation =
      SegmentGenerationOf(view_.segment(place.segment).state_generation.LoadRelaxed());
  const std::uint64_t word = MakeSlot(SlotTag(hash), generation, place.segment, place.offset);
  const std::string key(reinterpret_cast<const char*>(entry.key), entry.key_length());
  if (const auto old = index_.Find(hash, entry.header.namespace_id, key)) {
    EntryView published;
    // A moved entry has the version of the one it is a copy of: either will do.
    if (ParseEntry(view_, old->segment(), old->offset(), &published) &&
        published.version() >= entry.version())
      return false;
    log_.SetDead(old->segment(), kUncounted, 0);
    index_.Replace(*old, word);
    return true;
  }
  // Without room in the index the entry is lost: its operation was never acknowledged.
  return MakeSlotRoom(hash).ok() && index_.Insert(hash, word);
}

// The counters of the store, from those of the segments.
void StoreWriter::SumUp() {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  for (std::uint32_t segment = 0; segment < view_.segment_count(); ++segment) {
    const SegmentHeader& header = view_.segment(segment);
    const SegmentState state = SegmentStateOf(header.state_generation.LoadRelaxed());
    if (state != SegmentState::kOpen && state != SegmentState::kSealed &&
        state != SegmentState::kRetiring)
      continue;
    entries += header.entry_count.LoadRelaxed() - header.dead_entries.LoadRelaxed();
    bytes += header.write_watermark.LoadRelaxed() - header.dead_bytes.LoadRelaxed();
  }
  view_.header().entry_count.StoreRelaxed(entries);
  view_.header().live_bytes.StoreRelaxed(bytes);
}

std::optional<std::uint64_t> StoreWriter::WrittenBy(std::uint16_t namespace_id,
                                                    std::string_view key, const Origin& origin) {
  const std::uint64_t hash =
      HashKey(view_.secret(), NamespaceSeed(view_.secret(), namespace_id), key);
  const auto ref = index_.Find(hash, namespace_id, key);
  EntryView entry;
  if (!ref || !ParseEntry(view_, ref->segment(), ref->offset(), &entry) ||
      entry.header.version_origin >> 48U != origin.channel ||
      entry.header.origin_sequence != static_cast<std::uint32_t>(origin.sequence))
    return std::nullopt;
  return entry.version();
}

}  // namespace hearth::cache
