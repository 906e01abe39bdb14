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

ReadResult StoreReader::Get(std::uint32_t handle, std::string_view key, std::string* value) const {
  return Read(handle, key, {.copy = value});
}

ReadResult StoreReader::View(std::uint32_t handle, std::string_view key, const PinWords& pin,
                             ValueView* view) const {
  view->Release();
  return Read(handle, key, {.pin = &pin, .view = view});
}

ReadResult StoreReader::Read(std::uint32_t handle, std::string_view key, const Taker& taker) const {
  const std::uint16_t namespace_id = NamespaceIdOf(handle);
  if (key.size() < kMinKeyBytes || key.size() > kMaxKeyBytes ||
      namespace_id >= view_.namespace_capacity())
    return {};
  const std::uint64_t hash =
      HashKey(view_.secret(), NamespaceSeed(view_.secret(), namespace_id), key);
  for (int attempt = 0; attempt < kMaxReadAttempts; ++attempt) {
    if (auto result = TryRead(handle, key, hash, taker)) {
      result->hash = hash;
      return *result;
    }
  }
  return {.outcome = ReadOutcome::kContended};
}

// One pass; nothing when something moved underneath and the pass proves neither hit nor miss.
std::optional<ReadResult> StoreReader::TryRead(std::uint32_t handle, std::string_view key,
                                               std::uint64_t hash, const Taker& taker) const {
  const std::uint16_t namespace_id = NamespaceIdOf(handle);
  const NamespaceRecord& record = view_.namespace_record(namespace_id);
  // SYNC acquire namespace-state: flags of the namespace that the handle names.
  if (record.state.LoadAcquire() != LiveWordOf(handle)) return ReadResult{};
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
      if (TrySlot(slot, namespace_id, key, &attempt)) return Finish(attempt, record, taker);
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

// Whether an entry may be served; fills in what it says about itself.
bool StoreReader::Visible(const EntryView& entry, const NamespaceRecord& record,
                          ReadResult* result) const {
  result->version = entry.version();
  result->hard_expiry_ms = entry.hard_expiry_ms;
  result->soft_expiry_ms = entry.soft_expiry_ms;
  if (entry.hard_expiry_ms != kNever || entry.soft_expiry_ms != kNever) {
    const std::uint64_t now = NowMs();
    result->stale = now >= entry.soft_expiry_ms;
    if (now >= entry.hard_expiry_ms) return false;
  }
  // Relaxed: a read that begins after a flush was acknowledged has seen the acknowledgement, and
  // the flush with it.
  if (entry.version() <= record.flushed_version.LoadRelaxed()) return false;
  if ((record.flags.LoadRelaxed() & kNamespaceStrict) != 0) {
    // A heartbeat later than this reading of the clock is as fresh as can be.
    const std::uint64_t heartbeat = view_.header().heartbeat_ns.LoadRelaxed();
    const std::uint64_t now = clock_->MonotonicNanos();
    if (now > heartbeat && now - heartbeat > kHeartbeatTimeoutNs) return false;
  }
  if ((entry.header.key_bits & kEntryNegative) != 0) {
    result->negative = true;
    return false;
  }
  return true;
}

std::optional<ReadResult> StoreReader::Finish(const Attempt& attempt, const NamespaceRecord& record,
                                              const Taker& taker) const {
  const EntryView& entry = attempt.entry;
  ReadResult result{.frequency = SlotFrequency(attempt.slot)};
  const bool hit = Visible(entry, record, &result);
  result.outcome = hit ? ReadOutcome::kHit : ReadOutcome::kMiss;
  const std::uint64_t generation = SegmentGenerationOf(attempt.segment_word);
  if (hit && taker.copy != nullptr) {
    taker.copy->resize(entry.header.value_length);
    CopyShared(taker.copy->data(), entry.value, entry.header.value_length);
  } else if (hit) {
    HEARTH_FAILPOINT("reader.before_pin");
    taker.pin->generation->StoreRelaxed(generation);
    // SYNC release segment-unpin: nothing crosses; whoever sees the segment sees its generation.
    taker.pin->segment_plus_one->StoreRelease(std::uint64_t{SlotSegment(attempt.slot)} + 1);
    HEARTH_FAILPOINT("reader.after_pin");
    // SYNC both segment-pin: the pin can be seen before the slot is looked at once more. Whoever
    // clears the slot later looks at the pins later still.
    OrderedFence();
  }
  HEARTH_FAILPOINT("reader.after_copy");
  if (!Unchanged(attempt)) {
    // SYNC release segment-unpin: nothing was read under this pin.
    if (hit && taker.copy == nullptr) taker.pin->segment_plus_one->StoreRelease(kPinFree);
    return std::nullopt;
  }
  if (hit && taker.copy == nullptr) {
    ValueView& view = *taker.view;
    view.bytes_ = {reinterpret_cast<const char*>(entry.value), entry.header.value_length};
    view.segment_word_ = &view_.segment(SlotSegment(attempt.slot)).state_generation;
    view.generation_ = generation;
    view.pin_ = *taker.pin;
  }
  return result;
}

// Whether all that led to the entry is still what it was.
bool StoreReader::Unchanged(const Attempt& attempt) const {
  // SYNC acquire segment-reuse: nothing was copied from bytes written after the generation moved.
  AcquireFence();
  const bool slot_same = SameEntry(attempt.slot_at->LoadRelaxed(), attempt.slot);
  const std::uint64_t segment_word =
      view_.segment(SlotSegment(attempt.slot)).state_generation.LoadRelaxed();
  const bool segment_same = Readable(segment_word) && SegmentGenerationOf(segment_word) ==
                                                          SegmentGenerationOf(attempt.segment_word);
  const bool page_same =
      view_.directory(attempt.directory_index).LoadRelaxed() == attempt.directory_word;
  return slot_same && segment_same && page_same;
}

Result<std::uint32_t> StoreReader::FindNamespace(std::string_view name) const {
  for (std::uint32_t id = 0; id < view_.namespace_capacity(); ++id) {
    const NamespaceRecord& record = view_.namespace_record(id);
    // SYNC acquire namespace-state: the name is completely written.
    const std::uint32_t word = record.state.LoadAcquire();
    if (NamespaceStateOf(word) != NamespaceState::kLive) continue;
    // A copy: the record may be dropped meanwhile, and then get another name.
    std::uint8_t length = 0;
    char copy[sizeof(record.name)];
    CopyShared(&length, &record.name_length, sizeof(length));
    CopyShared(copy, record.name, sizeof(copy));
    if (length != name.size() || length > sizeof(copy) ||
        std::memcmp(copy, name.data(), length) != 0)
      continue;
    // SYNC acquire namespace-reuse: the name was copied before the record got another one.
    AcquireFence();
    if (record.state.LoadRelaxed() == word)
      return MakeNamespaceHandle(static_cast<std::uint16_t>(id), NamespaceIncarnationOf(word));
  }
  return Error(Code::kNotFound, "no namespace '{}'", name);
}

}  // namespace hearth::cache
