// The part of StoreWriter that finds room for large values: those above a quarter of a segment,
// each of which has a run of adjacent segments to itself.
#include <algorithm>

#include "core/base/units.h"
#include "core/cache/writer.h"

namespace hearth::cache {
namespace {

// Kept free for what is moved, as for single segments.
constexpr std::uint32_t kReserveSegments = 1;
// What must not be touched for a run.
constexpr std::uint64_t kImpossible = ~std::uint64_t{0};
// A run that makes way is lost, while single entries are moved.
constexpr std::uint64_t kRunPenalty = 4;
// So many segments are looked at for the cheapest place, and the next search begins behind them.
constexpr std::uint32_t kSearched = 1U << 16U;

}  // namespace

bool StoreWriter::NeedsRun(std::uint64_t value_bytes) const {
  return value_bytes > view_.segment_bytes() / 4;
}

// Whether a segment holds a single entry, so large that it is never moved.
bool StoreWriter::HoldsLargeValue(std::uint32_t segment) const {
  const SegmentHeader& header = view_.segment(segment);
  return header.entry_count.LoadRelaxed() == 1 && NeedsRun(header.write_watermark.LoadRelaxed());
}

// Sees to it that a namespace may have so many more segments, and that there are as many free ones,
// though perhaps not side by side.
Status StoreWriter::MakeSegments(std::uint16_t namespace_id, std::uint32_t length) {
  std::uint32_t most = 0;
  for (std::uint32_t round = 0;; ++round) {
    if (victim_) FinishVictim();
    const bool over_quota = log_.owned(namespace_id) + length > QuotaSegments(namespace_id);
    if (!over_quota && log_.free_count() >= length + kReserveSegments) return Status::Ok();
    // What a round has gained makes the next one a first one.
    const std::uint32_t gained = log_.free_count();
    if (gained > most) round = 0;
    most = std::max(most, gained);
    const auto from = over_quota ? namespace_id : log_.FurthestAboveMin(namespace_id);
    const bool started = from && StartVictim(*from, round);
    if (!started && !(from != namespace_id && StartVictim(namespace_id, round)) &&
        !log_.ReclaimPinned())
      return FullError(namespace_id, over_quota);
  }
}

// What it costs to have this segment for a run: bytes to be copied.
std::uint64_t StoreWriter::CostOf(std::uint32_t segment) const {
  const std::uint32_t first = log_.FirstOf(segment);
  const SegmentHeader& header = view_.segment(first);
  const std::uint64_t live = header.write_watermark.LoadRelaxed() - header.dead_bytes.LoadRelaxed();
  switch (SegmentStateOf(header.state_generation.LoadRelaxed())) {
    // One that is held back until the scrub has been through is free for nobody.
    case SegmentState::kFree: return header.write_watermark.LoadRelaxed() == 0 ? 0 : kImpossible;
    case SegmentState::kOpen:
    case SegmentState::kSealed: break;
    default: return kImpossible;
  }
  if (!MayEvict(OwnerOf(header))) return kImpossible;
  return HoldsLargeValue(first) ? live * kRunPenalty : live;
}

// Where a run costs least, if it can be had anywhere.
std::optional<std::uint32_t> StoreWriter::CheapestPlace(std::uint32_t length) {
  const std::uint32_t count = view_.segment_count();
  const std::uint32_t from = count <= kSearched ? 0 : run_search_;
  const std::uint32_t until = std::min(count, from + std::max(kSearched, 2 * length));
  run_search_ = until == count ? 0 : until - length;
  std::optional<std::uint32_t> best;
  std::uint64_t best_cost = kImpossible;
  std::uint64_t sum = 0;
  std::uint32_t together = 0;
  for (std::uint32_t i = from; i < until; ++i) {
    const std::uint64_t cost = CostOf(i);
    if (cost == kImpossible) {
      sum = 0;
      together = 0;
      continue;
    }
    sum += cost;
    if (++together > length) sum -= CostOf(i - length);
    if (together < length || sum >= best_cost) continue;
    best = i + 1 - length;
    best_cost = sum;
  }
  return best;
}

// Moves away, or drops, what lies in a range of segments that the log holds.
void StoreWriter::ClearRange(std::uint32_t from, std::uint32_t length) {
  for (std::uint32_t i = from; i < from + length; ++i) {
    const std::uint32_t first = log_.FirstOf(i);
    const SegmentHeader& header = view_.segment(first);
    const auto state = [&] { return SegmentStateOf(header.state_generation.LoadRelaxed()); };
    const std::uint16_t owner = OwnerOf(header);
    if (state() == SegmentState::kOpen) log_.Seal(owner, static_cast<LogKind>(header.log & 1U));
    if (state() != SegmentState::kSealed) continue;
    BeginVictim({.segment = first, .compact = true});
    FinishVictim();
  }
}

Result<StoreWriter::Place> StoreWriter::ReserveRun(std::uint16_t namespace_id, LogKind log,
                                                   std::uint64_t bytes) {
  const std::uint32_t segment_bytes = view_.segment_bytes();
  const auto length = static_cast<std::uint32_t>((bytes + segment_bytes - 1) / segment_bytes);
  if (length > QuotaSegments(namespace_id))
    return Error(
        Code::kResourceExhausted,
        "a value of {} takes {} segments of {}, more than the quota of namespace '{}' ({})",
        FormatBytes(bytes), length, FormatBytes(segment_bytes),
        NamespaceName(view_.namespace_record(namespace_id)),
        FormatBytes(view_.namespace_record(namespace_id).quota_max_bytes.LoadRelaxed()));
  HEARTH_TRY(MakeSegments(namespace_id, length));
  if (const auto first = log_.TakeRun(namespace_id, log, length)) return Place{*first, 0};
  if (const auto from = CheapestPlace(length)) {
    log_.Hold(*from, length);
    ClearRange(*from, length);
    // Some of it may wait for pins.
    while (!log_.AllHeld() && log_.ReclaimPinned()) continue;
    log_.Release();
    if (const auto first = log_.TakeRun(namespace_id, log, length)) return Place{*first, 0};
  }
  return Error(
      Code::kResourceExhausted,
      "a value of {} takes {} segments side by side, and between those of the index and of "
      "namespaces that do not evict there are no such",
      FormatBytes(bytes), length);
}

// A large value whose turn has come, and that is read: it goes on in the main log, where it lies.
bool StoreWriter::KeepRun(std::uint32_t segment, std::uint32_t keep_above) {
  EntryView entry;
  if (!HoldsLargeValue(segment) || !ParseEntry(view_, segment, 0, &entry) || !Visible(entry))
    return false;
  const auto ref = index_.FindEntry(HashEntry(view_, entry), segment, 0);
  if (!ref) return false;
  const std::uint32_t reads = SlotFrequency(ref->word);
  const bool small = static_cast<LogKind>(view_.segment(segment).log & 1U) == LogKind::kSmall;
  if (small && IsTinyLfu(entry.header.namespace_id)) {
    PrepareAdmission(entry.header.namespace_id, 1);
    if (reads == 0 && !Admits(entry.header.namespace_id, HashEntry(view_, entry))) return false;
  } else if (reads <= keep_above) {
    return false;
  }
  const std::uint64_t left = small ? 0 : reads - 1;
  log_.Relink(segment, LogKind::kMain);
  index_.Replace(*ref, (ref->word & ~kSlotFrequencyBits) | left << kSlotFrequencyShift);
  return true;
}

}  // namespace hearth::cache
