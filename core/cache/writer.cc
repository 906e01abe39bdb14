#include "core/cache/writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/base/failpoint.h"
#include "core/base/units.h"

namespace hearth::cache {
namespace {

constexpr std::uint64_t kOriginSequenceMask = (std::uint64_t{1} << 48U) - 1;

Result<std::uint64_t> ExpiryOf(std::uint64_t ttl_ms, std::uint64_t default_ms, std::uint64_t now) {
  if (ttl_ms == kTtlOfNamespace) ttl_ms = default_ms == 0 ? kTtlNone : default_ms;
  if (ttl_ms == kTtlNone) return kNever;
  if (ttl_ms > kMaxTtlMs)
    return Error(Code::kInvalidArgument, "a TTL of {} ms is more than a century", ttl_ms);
  return now + ttl_ms;
}

}  // namespace

StoreWriter::StoreWriter(const StoreView& view, const Clock& clock)
    : view_(view),
      clock_(&clock),
      reader_(view, clock),
      log_(view),
      names_(view),
      index_(view, [this] { return TakeIndexSegment(); }) {}

Result<std::unique_ptr<StoreWriter>> StoreWriter::Create(const StoreView& view,
                                                         const Clock& clock) {
  std::unique_ptr<StoreWriter> writer(new StoreWriter(view, clock));
  writer->log_.Init();
  HEARTH_TRY(writer->index_.Init());
  shm::PublishRegion(view.prefix());
  return writer;
}

Status StoreWriter::CheckKey(std::uint16_t namespace_id, std::string_view key) const {
  if (key.size() < kMinKeyBytes || key.size() > kMaxKeyBytes)
    return Error(Code::kInvalidArgument, "a key has {} to {} bytes, this one {}", kMinKeyBytes,
                 kMaxKeyBytes, key.size());
  return CheckNamespace(namespace_id);
}

Result<StoreWriter::NewEntry> StoreWriter::Prepare(std::uint16_t namespace_id, std::string_view key,
                                                   std::string_view value, const Ttl& ttl,
                                                   const Origin& origin) const {
  HEARTH_TRY(CheckKey(namespace_id, key));
  if (value.size() > view_.max_value_bytes())
    return Error(Code::kInvalidArgument, "a value has at most {} bytes, this one {}",
                 view_.max_value_bytes(), value.size());
  const NamespaceRecord& record = view_.namespace_record(namespace_id);
  const std::uint64_t now = reader_.NowMs();
  HEARTH_ASSIGN(const std::uint64_t hard,
                ExpiryOf(ttl.hard_ms, record.default_hard_ttl_ms.LoadRelaxed(), now));
  HEARTH_ASSIGN(std::uint64_t soft,
                ExpiryOf(ttl.soft_ms, record.default_soft_ttl_ms.LoadRelaxed(), now));
  if (soft != kNever && soft > hard) {
    // A default gives way to an explicit hard TTL; a contradiction in the request does not.
    if (ttl.soft_ms != kTtlOfNamespace)
      return Error(Code::kInvalidArgument, "the soft TTL ({} ms) exceeds the hard TTL",
                   ttl.soft_ms);
    soft = kNever;
  }
  return NewEntry{namespace_id, key, value, hard, soft, origin};
}

bool StoreWriter::Visible(const EntryView& entry) const {
  const NamespaceRecord& record = view_.namespace_record(entry.header.namespace_id);
  return (entry.header.key_bits & kEntryNegative) == 0 &&
         entry.version() > record.flushed_version.LoadRelaxed() &&
         (entry.hard_expiry_ms == kNever || reader_.NowMs() < entry.hard_expiry_ms);
}

Result<std::uint64_t> StoreWriter::Set(std::uint16_t namespace_id, std::string_view key,
                                       std::string_view value, const Ttl& ttl,
                                       const Origin& origin) {
  HEARTH_ASSIGN(const NewEntry entry, Prepare(namespace_id, key, value, ttl, origin));
  return Write(entry);
}

Result<std::uint64_t> StoreWriter::SetAbsent(std::uint16_t namespace_id, std::string_view key,
                                             std::uint64_t ttl_ms, const Origin& origin) {
  if (ttl_ms == kTtlOfNamespace || ttl_ms == kTtlNone)
    return Error(Code::kInvalidArgument, "a negative entry needs a TTL of its own");
  HEARTH_ASSIGN(NewEntry entry,
                Prepare(namespace_id, key, "", {.hard_ms = ttl_ms, .soft_ms = kTtlNone}, origin));
  if (!MayEvict(namespace_id)) {
    const auto removed = Delete(namespace_id, key, origin);
    if (!removed.ok() && removed.status().code() != Code::kNotFound) return removed.status();
    return 0;
  }
  entry.negative = true;
  return Write(entry);
}

Result<std::uint64_t> StoreWriter::Delete(std::uint16_t namespace_id, std::string_view key,
                                          const Origin& origin) {
  HEARTH_TRY(CheckKey(namespace_id, key));
  const std::uint64_t hash =
      HashKey(view_.secret(), NamespaceSeed(view_.secret(), namespace_id), key);
  const auto ref = index_.Find(hash, namespace_id, key);
  EntryView entry;
  if (!ref || !ParseEntry(view_, ref->segment(), ref->offset(), &entry))
    return Error(Code::kNotFound, "no such key");
  const bool visible = Visible(entry);
  NoteInFlight(origin);
  NoteReplaced(ref->word);
  index_.Clear(hash, *ref);
  HEARTH_FAILPOINT("writer.after_slot");
  MarkDead(ref->segment(), ref->offset());
  if (!visible) return Error(Code::kNotFound, "no such key");
  return entry.version();
}

ReadResult StoreWriter::Get(std::uint16_t namespace_id, std::string_view key,
                            std::string* value) const {
  if (!CheckNamespace(namespace_id).ok()) return {};
  return reader_.Get(HandleOf(namespace_id), key, value);
}

void StoreWriter::Heartbeat() {
  view_.header().heartbeat_ns.StoreRelaxed(clock_->MonotonicNanos());
}

Result<std::uint64_t> StoreWriter::Write(const NewEntry& entry) {
  const std::uint64_t bytes =
      PadEntry(EntryBytes(entry.KeyBits(), static_cast<std::uint32_t>(entry.value.size())));
  const std::uint64_t hash =
      HashKey(view_.secret(), NamespaceSeed(view_.secret(), entry.namespace_id), entry.key);
  const bool run = NeedsRun(entry.value.size());
  const std::uint16_t owner = run ? entry.namespace_id : OwnerFor(entry.namespace_id, bytes);
  writing_namespace_ = owner;
  const auto existing = index_.Find(hash, entry.namespace_id, entry.key);
  // First, since it may have to evict and move entries, also to the place that would be reserved.
  if (!existing) HEARTH_TRY(MakeSlotRoom(hash));
  CountUse(owner, hash);
  const LogKind log = LogFor(owner, entry.negative, hash, existing);
  HEARTH_ASSIGN(const Place place,
                run ? ReserveRun(owner, log, bytes) : Reserve(owner, log, bytes));
  const std::uint64_t version = Append(entry, place);
  Publish(hash, entry, place);
  if (run) log_.SealRun(place.segment);
  Pace(owner, bytes);
  return version;
}

std::optional<StoreWriter::Place> StoreWriter::OpenPlace(std::uint16_t namespace_id, LogKind log,
                                                         std::uint64_t bytes) const {
  const auto open = log_.open(namespace_id, log);
  if (!open || log_.Room(*open) < bytes) return std::nullopt;
  return Place{*open, view_.segment(*open).write_watermark.LoadRelaxed()};
}

Result<StoreWriter::Place> StoreWriter::Reserve(std::uint16_t namespace_id, LogKind log,
                                                std::uint64_t bytes) {
  if (const auto place = OpenPlace(namespace_id, log, bytes)) return *place;
  // Where nothing in the full segment lives any more, it is itself the room that is needed.
  const auto full = log_.open(namespace_id, log);
  if (full && view_.segment(*full).dead_bytes.LoadRelaxed() ==
                  view_.segment(*full).write_watermark.LoadRelaxed()) {
    log_.Seal(namespace_id, log);
    FreeIfDead(*full);
  }
  HEARTH_TRY(MakeRoom(namespace_id, log, bytes));
  if (const auto place = OpenPlace(namespace_id, log, bytes)) return *place;
  log_.Seal(namespace_id, log);
  HEARTH_CHECK(log_.TakeOpen(namespace_id, log).has_value());
  return *OpenPlace(namespace_id, log, bytes);
}

Status StoreWriter::MakeSlotRoom(std::uint64_t hash) {
  auto may_drop = [this](std::uint32_t segment) {
    return MayEvict(OwnerOf(view_.segment(segment)));
  };
  while (!index_.HasRoom(hash)) {
    if (index_.Split(hash)) continue;
    // Neither room nor a way to make some: the chain's oldest entry makes way.
    const auto oldest = index_.OldestInChain(hash, may_drop);
    if (!oldest)
      return Error(Code::kResourceExhausted,
                   "the index has no room for another key of this hash, and none of its neighbours "
                   "may be evicted");
    NoteReplaced(oldest->word);
    index_.Clear(hash, *oldest);
    MarkDead(oldest->segment(), oldest->offset());
    CountEvicted(1);
  }
  return Status::Ok();
}

std::uint64_t StoreWriter::Append(const NewEntry& entry, const Place& place) {
  StoreHeader& header = view_.header();
  SegmentHeader& segment = view_.segment(place.segment);
  const std::uint64_t version = header.last_version.LoadRelaxed() + 1;
  HEARTH_CHECK(version <= kMaxVersion);
  header.last_version.StoreRelaxed(version);
  NoteInFlight(entry.origin);

  EntryHeader head{};
  head.namespace_id = entry.namespace_id;
  const std::uint32_t key_bits = entry.KeyBits();
  std::uint64_t expiries[2];
  std::size_t expiry_count = 0;
  if (entry.hard_expiry_ms != kNever) expiries[expiry_count++] = entry.hard_expiry_ms;
  if (entry.soft_expiry_ms != kNever) expiries[expiry_count++] = entry.soft_expiry_ms;
  head.key_bits = static_cast<std::uint16_t>(key_bits);
  head.value_length = static_cast<std::uint32_t>(entry.value.size());
  head.origin_sequence = static_cast<std::uint32_t>(entry.origin.sequence);
  head.version_origin = std::uint64_t{entry.origin.channel} << 48U | version;
  constexpr std::size_t kCrcBytes = sizeof(head.crc32c);
  std::uint32_t crc =
      Crc32c(0, reinterpret_cast<const char*>(&head) + kCrcBytes, sizeof(head) - kCrcBytes);
  crc = Crc32c(crc, expiries, expiry_count * sizeof(expiries[0]));
  crc = Crc32c(crc, entry.key.data(), entry.key.size());
  head.crc32c = Crc32c(crc, entry.value.data(), entry.value.size());

  std::byte* at = view_.segment_data(place.segment) + place.offset;
  auto put = [&at](const void* from, std::size_t size) {
    CopyShared(at, from, size);
    at += size;
  };
  put(&head, sizeof(head));
  put(expiries, expiry_count * sizeof(expiries[0]));
  put(entry.key.data(), entry.key.size());
  put(entry.value.data(), entry.value.size());
  HEARTH_FAILPOINT("writer.after_body");

  const std::uint64_t bytes = PadEntry(EntryBytes(key_bits, head.value_length));
  segment.latest_expiry_ms.StoreRelaxed(
      std::max(segment.latest_expiry_ms.LoadRelaxed(), entry.hard_expiry_ms));
  // Recovery relies on it: the entries below the watermark are complete.
  segment.write_watermark.StoreInProgramOrder(place.offset + static_cast<std::uint32_t>(bytes));
  // From here on it counts the segment's entries, until the indexed watermark has come up.
  segment.entry_count.StoreInProgramOrder(segment.entry_count.LoadRelaxed() + 1);
  HEARTH_FAILPOINT("writer.after_watermark");
  log_.NoteWritten(place.segment, bytes, entry.namespace_id);
  AddCounters(1, static_cast<std::int64_t>(bytes));
  return version;
}

void StoreWriter::Publish(std::uint64_t hash, const NewEntry& entry, const Place& place) {
  SegmentHeader& segment = view_.segment(place.segment);
  const std::uint64_t word =
      MakeSlot(SlotTag(hash), SegmentGenerationOf(segment.state_generation.LoadRelaxed()),
               place.segment, place.offset);
  if (const auto old = index_.Find(hash, entry.namespace_id, entry.key)) {
    // Whoever writes a key again wants it: an overwrite counts as a read.
    NoteReplaced(old->word);
    index_.Replace(*old, WithFrequencyAfter(word, SlotFrequency(old->word)));
    HEARTH_FAILPOINT("writer.after_slot");
    MarkDead(old->segment(), old->offset());
  } else {
    HEARTH_CHECK(index_.Insert(hash, word));  // MakeSlotRoom has seen to it
    HEARTH_FAILPOINT("writer.after_slot");
  }
  segment.indexed_watermark.StoreInProgramOrder(segment.write_watermark.LoadRelaxed());
}

// (I5) Before an operation has any effect.
void StoreWriter::NoteInFlight(const Origin& origin) {
  view_.header().in_flight.StoreInProgramOrder(std::uint64_t{origin.channel} << 48U |
                                               (origin.sequence & kOriginSequenceMask));
  HEARTH_FAILPOINT("writer.after_in_flight");
}

// Before a slot is changed: what dies with it may not be counted any more.
void StoreWriter::NoteReplaced(std::uint64_t word) {
  view_.header().replaced_slot.StoreInProgramOrder(word);
}

void StoreWriter::AddCounters(std::int64_t entries, std::int64_t bytes) {
  StoreHeader& header = view_.header();
  header.entry_count.StoreRelaxed(header.entry_count.LoadRelaxed() +
                                  static_cast<std::uint64_t>(entries));
  header.live_bytes.StoreRelaxed(header.live_bytes.LoadRelaxed() +
                                 static_cast<std::uint64_t>(bytes));
}

// Accounts for an entry that no slot points at any more; a sealed segment without live entries is
// free at once.
void StoreWriter::MarkDead(std::uint32_t segment, std::uint32_t offset) {
  EntryView entry;
  if (!ParseEntry(view_, segment, offset, &entry)) return;
  log_.NoteDead(segment, static_cast<std::uint32_t>(entry.bytes), entry.header.namespace_id);
  AddCounters(-1, -static_cast<std::int64_t>(entry.bytes));
  if (recount_ && recount_->segment == segment && offset < recount_->offset) {
    --recount_->live;
    recount_->live_bytes -= static_cast<std::uint32_t>(entry.bytes);
  }
  FreeIfDead(segment);
}

void StoreWriter::FreeIfDead(std::uint32_t segment) {
  const SegmentHeader& header = view_.segment(segment);
  if (header.dead_bytes.LoadRelaxed() == header.write_watermark.LoadRelaxed() &&
      SegmentStateOf(header.state_generation.LoadRelaxed()) == SegmentState::kSealed) {
    if (recount_ && recount_->segment == segment) recount_.reset();
    log_.Free(segment);
  }
}

}  // namespace hearth::cache
