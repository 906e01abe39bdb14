// The part of StoreWriter that looks after what it keeps. A pass goes through the index, page by
// page, and looks at the entry behind each slot; after that no slot points into a segment that was
// held back, so those are free. Then it counts the dead bytes of every sealed segment anew. All of
// it in small steps: other changes may come between any two.
#include <algorithm>
#include <string>

#include "core/cache/writer.h"

namespace hearth::cache {

bool StoreWriter::Scrub(std::uint32_t entries) {
  std::int64_t budget = entries;
  if (!ScrubIndex(&budget)) return false;
  if (scrub_.segment == 0 && !recount_) log_.ReleaseHeldBack();
  while (budget > 0) {
    if (recount_) {
      // An entry of the usual size is about this long.
      StepRecount(static_cast<std::uint64_t>(budget) * 256);
      if (recount_) return false;
    }
    for (; scrub_.segment < view_.segment_count() && !recount_ && budget > 0; --budget)
      StartRecount(scrub_.segment++);
    if (scrub_.segment == view_.segment_count() && !recount_) {
      scrub_.segment = 0;
      scrub_.directory_index = 0;
      ++scrub_.counters.passes;
      return true;
    }
  }
  return false;
}

// True when the whole index has been looked at.
bool StoreWriter::ScrubIndex(std::int64_t* budget) {
  const std::uint32_t bits = view_.directory_bits();
  while (scrub_.directory_index < std::uint64_t{1} << bits) {
    if (*budget <= 0) return false;
    const std::uint32_t page = index_.PageOf(scrub_.directory_index << (64U - bits));
    // A page that was split since is looked at again, half by half.
    if (scrub_.bucket == 0 || scrub_.page != page) scrub_.bucket = kFirstHomeBucket;
    scrub_.page = page;
    for (; scrub_.bucket<kBucketsPerPage&& * budget> 0; ++scrub_.bucket) {
      --*budget;
      for (std::uint32_t slot = 0; slot < kSlotsPerBucket; ++slot) {
        const auto ref = index_.SlotAt(page, scrub_.bucket, slot);
        if (!ref) continue;
        --*budget;
        ScrubSlot(*ref);
      }
    }
    if (scrub_.bucket < kBucketsPerPage) return false;
    scrub_.bucket = 0;
    const std::uint64_t word = view_.directory(scrub_.directory_index).LoadRelaxed();
    scrub_.directory_index += std::uint64_t{1} << (bits - std::min(bits, DirectoryDepth(word)));
  }
  return true;
}

void StoreWriter::ScrubSlot(const SlotRef& ref) {
  ++scrub_.counters.slots;
  EntryView entry;
  if (SoundEntry(ref, &entry)) {
    StoreHeader& store = view_.header();
    store.last_version.StoreRelaxed(std::max(store.last_version.LoadRelaxed(), entry.version()));
    return;
  }
  const std::uint32_t segment = ref.segment();
  const std::uint64_t word =
      segment < view_.segment_count() ? view_.segment(segment).state_generation.LoadRelaxed() : 0;
  const SegmentState state = SegmentStateOf(word);
  const bool current =
      (state == SegmentState::kOpen || state == SegmentState::kSealed ||
       state == SegmentState::kRetiring) &&
      (SegmentGenerationOf(word) & kSlotGenerationMask) == SlotGeneration(ref.word);
  ++(current ? scrub_.counters.dropped_entries : scrub_.counters.stale_slots);
  // What the segment has lost is found when it is counted, later in this pass.
  index_.Drop(ref);
}

// Whether a slot leads to the entry it should lead to.
bool StoreWriter::SoundEntry(const SlotRef& ref, EntryView* entry) {
  const std::uint32_t segment = ref.segment();
  if ((ref.word & kSlotUsed) == 0 || segment >= view_.segment_count()) return false;
  const SegmentHeader& header = view_.segment(segment);
  const std::uint64_t word = header.state_generation.LoadRelaxed();
  const SegmentState state = SegmentStateOf(word);
  if ((state != SegmentState::kOpen && state != SegmentState::kSealed &&
       state != SegmentState::kRetiring) ||
      (SegmentGenerationOf(word) & kSlotGenerationMask) != SlotGeneration(ref.word) ||
      !ParseEntry(view_, segment, ref.offset(), entry) ||
      ref.offset() + entry->bytes > header.indexed_watermark.LoadRelaxed() ||
      !MayHold(header, *entry) || EntryCrc(*entry) != entry->header.crc32c)
    return false;
  const std::uint64_t hash = HashEntry(view_, *entry);
  const std::string_view key(reinterpret_cast<const char*>(entry->key), entry->key_length());
  const auto same = [&ref](const std::optional<SlotRef>& other) {
    return other && other->page == ref.page && other->bucket == ref.bucket &&
           other->slot == ref.slot;
  };
  if (SlotTag(hash) != ref.word >> kSlotTagShift ||
      !same(index_.FindEntry(hash, segment, ref.offset())))
    return false;
  const auto first = index_.Find(hash, entry->header.namespace_id, key);
  if (same(first)) return true;
  // A key has one slot. Of two the newer one is right.
  EntryView other;
  if (!first || !ParseEntry(view_, first->segment(), first->offset(), &other) ||
      other.version() >= entry->version())
    return false;
  ++scrub_.counters.dropped_entries;
  index_.Drop(*first);
  return true;
}

// For a sealed or open segment; nothing begins for any other.
void StoreWriter::StartRecount(std::uint32_t segment) {
  const SegmentState state = SegmentStateOf(view_.segment(segment).state_generation.LoadRelaxed());
  if (state == SegmentState::kSealed || state == SegmentState::kOpen)
    recount_ = Recount{.segment = segment};
}

void StoreWriter::StepRecount(std::uint64_t bytes) {
  Recount& recount = *recount_;
  const std::uint32_t end = view_.segment(recount.segment).write_watermark.LoadRelaxed();
  const std::uint64_t stop = std::min<std::uint64_t>(end, recount.offset + bytes);
  while (recount.offset < stop) {
    EntryView entry;
    if (!ParseEntry(view_, recount.segment, recount.offset, &entry) ||
        recount.offset + entry.bytes > end) {
      DropRestOf(recount.segment);
      return;
    }
    ++recount.entries;
    if (index_.FindEntry(HashEntry(view_, entry), recount.segment, recount.offset)) {
      ++recount.live;
      recount.live_bytes += static_cast<std::uint32_t>(entry.bytes);
    }
    recount.offset += static_cast<std::uint32_t>(entry.bytes);
  }
  if (recount.offset == end) FinishRecount();
}

void StoreWriter::FinishRecount() {
  const Recount recount = *recount_;
  recount_.reset();
  SegmentHeader& header = view_.segment(recount.segment);
  const std::uint32_t dead_bytes = recount.offset - recount.live_bytes;
  const std::uint32_t dead_entries = recount.entries - recount.live;
  const std::uint32_t old_live =
      header.entry_count.LoadRelaxed() - header.dead_entries.LoadRelaxed();
  const std::uint32_t old_dead_bytes = header.dead_bytes.LoadRelaxed();
  if (old_live != recount.live || old_dead_bytes != dead_bytes ||
      header.entry_count.LoadRelaxed() != recount.entries) {
    ++scrub_.counters.miscounted_segments;
    AddCounters(std::int64_t{recount.live} - old_live, std::int64_t{old_dead_bytes} - dead_bytes);
    header.entry_count.StoreRelaxed(recount.entries);
    log_.SetDead(recount.segment, dead_bytes, dead_entries);
  }
  FreeIfDead(recount.segment);
}

// A segment that cannot be walked to its end: what lives before the damage moves, the rest is lost.
void StoreWriter::DropRestOf(std::uint32_t segment) {
  recount_.reset();
  const SegmentHeader& header = view_.segment(segment);
  if (SegmentStateOf(header.state_generation.LoadRelaxed()) == SegmentState::kOpen)
    log_.Seal(OwnerOf(header), static_cast<LogKind>(header.log));
  FinishVictim();
  // The eviction that was under way may have been its own.
  if (SegmentStateOf(header.state_generation.LoadRelaxed()) != SegmentState::kSealed) return;
  ++scrub_.counters.unwalkable_segments;
  BeginVictim({.segment = segment, .compact = true});
  FinishVictim();
}

}  // namespace hearth::cache
