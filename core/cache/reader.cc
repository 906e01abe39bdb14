#include "core/cache/reader.h"

#include <cstring>
#include <utility>

#include "core/base/failpoint.h"

namespace hearth::cache {

// What one try has looked at, and must find unchanged at its end.
struct StoreReader::Attempt {
  std::uint64_t directory_index = 0;
  std::uint64_t directory_word = 0;
  const Atomic<std::uint64_t>* slot_at = nullptr;
  std::uint64_t slot = 0;
  std::uint64_t segment_word = 0;
  EntryView entry;
};

namespace {

constexpr std::uint64_t kHeartbeatTimeoutNs = 2'000'000'000;

bool Readable(std::uint64_t segment_word) {
  const SegmentState state = SegmentStateOf(segment_word);
  return state == SegmentState::kOpen || state == SegmentState::kSealed ||
         state == SegmentState::kRetiring;
}

// Whether two words of one slot point at the same entry: reads may change its frequency meanwhile.
bool SameEntry(std::uint64_t now, std::uint64_t before) {
  return ((now ^ before) & ~kSlotFrequencyBits) == 0;
}

bool KeyEquals(const std::byte* at, std::string_view key) {
#if defined(HEARTH_TSAN)
  char copy[kMaxKeyBytes];
  CopyShared(copy, at, key.size());
  return std::memcmp(copy, key.data(), key.size()) == 0;
#else
  return std::memcmp(at, key.data(), key.size()) == 0;
#endif
}

}  // namespace

Result<StoreReader> StoreReader::Attach(int fd, const Clock& clock) {
  HEARTH_ASSIGN(shm::Mapping mapping, shm::Mapping::Map(fd, shm::Access::kReadOnly));
  HEARTH_ASSIGN(StoreView view, StoreView::Of(mapping.data(), mapping.size()));
  StoreReader reader(view, clock);
  reader.mapping_ = std::move(mapping);
  return reader;
}

ReadResult StoreReader::Get(std::uint16_t namespace_id, std::string_view key,
                            std::string* value) const {
  if (key.size() < kMinKeyBytes || key.size() > kMaxKeyBytes ||
      namespace_id >= view_.namespace_capacity())
    return {};
  const std::uint64_t hash =
      HashKey(view_.secret(), NamespaceSeed(view_.secret(), namespace_id), key);
  for (int attempt = 0; attempt < kMaxReadAttempts; ++attempt) {
    if (auto result = TryGet(namespace_id, key, hash, value)) {
      result->hash = hash;
      return *result;
    }
  }
  return {.outcome = ReadOutcome::kContended};
}

// One pass; nothing when something moved underneath and the pass proves neither hit nor miss.
std::optional<ReadResult> StoreReader::TryGet(std::uint16_t namespace_id, std::string_view key,
                                              std::uint64_t hash, std::string* value) const {
  const NamespaceRecord& record = view_.namespace_record(namespace_id);
  // SYNC acquire namespace-state: flags and name of a live namespace.
  if (record.state.LoadAcquire() != static_cast<std::uint32_t>(NamespaceState::kLive))
    return ReadResult{};
  Attempt attempt;
  attempt.directory_index = view_.DirectoryIndex(hash);
  const Atomic<std::uint64_t>& directory_at = view_.directory(attempt.directory_index);
  // SYNC acquire directory-word: the page it names is completely written.
  attempt.directory_word = directory_at.LoadAcquire();
  const std::uint32_t page_number = DirectoryPage(attempt.directory_word);
  if ((attempt.directory_word & kDirectoryValid) == 0 || page_number >= view_.page_count())
    return ReadResult{};

  const Bucket* page = view_.page(page_number);
  std::uint32_t bucket = HomeBucket(hash);
  for (std::uint32_t hop = 0; hop < kMaxChainBuckets; ++hop) {
    for (const Atomic<std::uint64_t>& slot_at : page[bucket].slots) {
      // SYNC acquire slot-publish: the entry the slot points at is completely written.
      const std::uint64_t slot = slot_at.LoadAcquire();
      if (slot >> kSlotTagShift != SlotTag(hash) || (slot & kSlotUsed) == 0) continue;
      attempt.slot_at = &slot_at;
      attempt.slot = slot;
      if (TrySlot(slot, namespace_id, key, &attempt)) return Finish(attempt, record, value);
      // Another key with this tag, unless the bytes were replaced while they were compared.
      // SYNC acquire segment-reuse: the comparison above happened before the segment was reused.
      AcquireFence();
      if (!SameEntry(slot_at.LoadRelaxed(), slot) || !SameGeneration(attempt)) return std::nullopt;
    }
    // SYNC acquire overflow-link: the overflow bucket's slots were emptied before it was linked.
    const std::uint64_t next = page[bucket].link.LoadAcquire() & 0xffffU;
    if (next < kFirstOverflowBucket || next >= kBucketsPerPage) break;
    bucket = static_cast<std::uint32_t>(next);
  }
  // SYNC acquire directory-recheck: all slots above were read before this second look.
  AcquireFence();
  if (directory_at.LoadRelaxed() != attempt.directory_word) return std::nullopt;
  return ReadResult{};
}

// Whether the slot leads to a well-formed entry of this key.
bool StoreReader::TrySlot(std::uint64_t slot, std::uint16_t namespace_id, std::string_view key,
                          Attempt* attempt) const {
  const std::uint32_t segment = SlotSegment(slot);
  if (segment >= view_.segment_count()) return false;
  // SYNC acquire segment-generation: the segment's bytes belong to this generation or a later one.
  attempt->segment_word = view_.segment(segment).state_generation.LoadAcquire();
  if (!Readable(attempt->segment_word) ||
      (SegmentGenerationOf(attempt->segment_word) & kSlotGenerationMask) != SlotGeneration(slot))
    return false;
  EntryView& entry = attempt->entry;
  HEARTH_FAILPOINT("reader.before_entry");
  return ParseEntry(view_, segment, SlotOffset(slot), &entry) &&
         entry.header.namespace_id == namespace_id && entry.key_length() == key.size() &&
         KeyEquals(entry.key, key);
}

// Whether the slot's segment still has the generation TrySlot saw: the slot's own six bits come
// round after 64 reuses. Call after an acquire fence.
bool StoreReader::SameGeneration(const Attempt& attempt) const {
  const std::uint32_t segment = SlotSegment(attempt.slot);
  return segment >= view_.segment_count() ||
         SegmentGenerationOf(view_.segment(segment).state_generation.LoadRelaxed()) ==
             SegmentGenerationOf(attempt.segment_word);
}

std::optional<ReadResult> StoreReader::Finish(const Attempt& attempt, const NamespaceRecord& record,
                                              std::string* value) const {
  const EntryView& entry = attempt.entry;
  ReadResult result{.outcome = ReadOutcome::kHit,
                    .version = entry.version(),
                    .hard_expiry_ms = entry.hard_expiry_ms,
                    .soft_expiry_ms = entry.soft_expiry_ms,
                    .frequency = SlotFrequency(attempt.slot)};
  if (entry.hard_expiry_ms != kNever || entry.soft_expiry_ms != kNever) {
    const std::uint64_t now = NowMs();
    if (now >= entry.hard_expiry_ms) result.outcome = ReadOutcome::kMiss;
    result.stale = now >= entry.soft_expiry_ms;
  }
  // Relaxed: a read that begins after a flush was acknowledged has seen the acknowledgement, and
  // the flush with it.
  if (entry.version() <= record.flushed_version.LoadRelaxed()) result.outcome = ReadOutcome::kMiss;
  if ((record.flags & kNamespaceStrict) != 0) {
    // A heartbeat later than this reading of the clock is as fresh as can be.
    const std::uint64_t heartbeat = view_.header().heartbeat_ns.LoadRelaxed();
    const std::uint64_t now = clock_->MonotonicNanos();
    if (now > heartbeat && now - heartbeat > kHeartbeatTimeoutNs)
      result.outcome = ReadOutcome::kMiss;
  }
  if (result.outcome == ReadOutcome::kHit && (entry.header.key_bits & kEntryNegative) != 0) {
    result.outcome = ReadOutcome::kMiss;
    result.negative = true;
  }
  if (result.outcome == ReadOutcome::kHit) {
    value->resize(entry.header.value_length);
    CopyShared(value->data(), entry.value, entry.header.value_length);
  }
  HEARTH_FAILPOINT("reader.after_copy");
  // SYNC acquire segment-reuse: nothing was copied from bytes written after the generation moved.
  AcquireFence();
  const bool slot_same = SameEntry(attempt.slot_at->LoadRelaxed(), attempt.slot);
  const std::uint64_t segment_word =
      view_.segment(SlotSegment(attempt.slot)).state_generation.LoadRelaxed();
  const bool segment_same = Readable(segment_word) && SegmentGenerationOf(segment_word) ==
                                                          SegmentGenerationOf(attempt.segment_word);
  const bool page_same =
      view_.directory(attempt.directory_index).LoadRelaxed() == attempt.directory_word;
  if (!slot_same || !segment_same || !page_same) return std::nullopt;
  return result;
}

Result<std::uint16_t> StoreReader::FindNamespace(std::string_view name) const {
  for (std::uint32_t id = 0; id < view_.namespace_capacity(); ++id) {
    const NamespaceRecord& record = view_.namespace_record(id);
    // SYNC acquire namespace-state: the name is completely written.
    if (record.state.LoadAcquire() != static_cast<std::uint32_t>(NamespaceState::kLive)) continue;
    const std::size_t length = record.name_length;
    if (length == name.size() && length <= sizeof(record.name) &&
        std::memcmp(record.name, name.data(), length) == 0)
      return static_cast<std::uint16_t>(id);
  }
  return Error(Code::kNotFound, "no namespace '{}'", name);
}

}  // namespace hearth::cache
