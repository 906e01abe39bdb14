// StoreWriter's namespaces: created, altered, flushed and dropped while others are served.
//
// Each change has one store that decides: the state word of a create or drop, flushed_version of a
// flush. What comes after it is repeated by recovery, or only saves work.
#include <algorithm>

#include "core/base/failpoint.h"
#include "core/base/units.h"
#include "core/cache/writer.h"

namespace hearth::cache {
namespace {

// Two segments are for the index and for moving entries.
constexpr std::uint64_t kKeptBack = 2;

}  // namespace

bool ValidNamespaceName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNamespaceNameBytes &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

Status StoreWriter::CheckOptions(std::string_view name, const NamespaceOptions& options,
                                 std::uint64_t others_promised) const {
  if (options.quota_max_bytes != 0 && options.quota_max_bytes < 2 * view_.segment_bytes())
    return Error(Code::kInvalidArgument,
                 "the quota of namespace '{}' is {}, but must be 0 or at least two segments ({})",
                 name, FormatBytes(options.quota_max_bytes),
                 FormatBytes(2 * std::uint64_t{view_.segment_bytes()}));
  if (options.quota_max_bytes != 0 && options.quota_min_bytes > options.quota_max_bytes)
    return Error(Code::kInvalidArgument,
                 "namespace '{}' is promised {}, more than the {} it may have", name,
                 FormatBytes(options.quota_min_bytes), FormatBytes(options.quota_max_bytes));
  const std::uint64_t promised =
      options.quota_min_bytes / view_.segment_bytes() + others_promised + kKeptBack;
  if (options.quota_min_bytes != 0 && promised > view_.segment_count())
    return Error(Code::kResourceExhausted,
                 "namespace '{}' asks for at least {}: with what others are promised that is more "
                 "than the store of {} segments of {} has, of which two are kept back",
                 name, FormatBytes(options.quota_min_bytes), view_.segment_count(),
                 FormatBytes(view_.segment_bytes()));
  if (options.tiny_lfu && !options.evict)
    return Error(Code::kInvalidArgument,
                 "namespace '{}' asks for TinyLFU admission, but does not evict", name);
  if (options.hard_ttl_ms > kMaxTtlMs || options.soft_ttl_ms > kMaxTtlMs ||
      (options.hard_ttl_ms != 0 && options.soft_ttl_ms > options.hard_ttl_ms))
    return Error(Code::kInvalidArgument,
                 "the TTLs of namespace '{}' do not fit: soft {} ms, hard {} ms (soft must not "
                 "exceed hard, neither a century)",
                 name, options.soft_ttl_ms, options.hard_ttl_ms);
  return Status::Ok();
}

Status StoreWriter::CheckNamespace(std::uint16_t id) const {
  if (id < view_.namespace_capacity() &&
      NamespaceStateOf(view_.namespace_record(id).state.LoadRelaxed()) == NamespaceState::kLive)
    return Status::Ok();
  return Error(Code::kNotFound, "no namespace with id {}", id);
}

std::uint32_t StoreWriter::HandleOf(std::uint16_t id) const {
  return MakeNamespaceHandle(
      id, NamespaceIncarnationOf(view_.namespace_record(id).state.LoadRelaxed()));
}

Result<std::uint16_t> StoreWriter::FindNamespace(std::string_view name) const {
  const auto id = names_.Find(name);
  if (!id) return Error(Code::kNotFound, "no namespace '{}'", name);
  return *id;
}

NamespaceOptions StoreWriter::OptionsOf(std::uint16_t id) const {
  const NamespaceRecord& record = view_.namespace_record(id);
  const std::uint32_t flags = record.flags.LoadRelaxed();
  return {.hard_ttl_ms = record.default_hard_ttl_ms.LoadRelaxed(),
          .soft_ttl_ms = record.default_soft_ttl_ms.LoadRelaxed(),
          .quota_min_bytes = record.quota_min_bytes.LoadRelaxed(),
          .quota_max_bytes = record.quota_max_bytes.LoadRelaxed(),
          .evict = (flags & kNamespaceNoEvict) == 0,
          .strict = (flags & kNamespaceStrict) != 0,
          .tiny_lfu = (flags & kNamespaceTinyLfu) != 0};
}

void StoreWriter::StoreOptions(std::uint16_t id, const NamespaceOptions& options) {
  NamespaceRecord& record = view_.namespace_record(id);
  record.flags.StoreRelaxed((options.evict ? 0 : kNamespaceNoEvict) |
                            (options.strict ? kNamespaceStrict : 0) |
                            (options.tiny_lfu ? kNamespaceTinyLfu : 0));
  if (!options.tiny_lfu) admissions_.erase(id);
  record.default_hard_ttl_ms.StoreRelaxed(options.hard_ttl_ms);
  record.default_soft_ttl_ms.StoreRelaxed(options.soft_ttl_ms);
  record.quota_min_bytes.StoreRelaxed(options.quota_min_bytes);
  record.quota_max_bytes.StoreRelaxed(options.quota_max_bytes);
  names_.Promise(id, options.quota_min_bytes / view_.segment_bytes());
  log_.Requota(id);
}

// An id to create a namespace under. Dropped ones are free again once nothing of theirs is left;
// the last means is to see to that here.
std::optional<std::uint16_t> StoreWriter::TakeNamespaceId() {
  const auto is_gone = [this](std::uint16_t id) { return NothingLeftOf(id); };
  if (const auto id = names_.TakeId()) return id;
  names_.ReleaseDropped(is_gone);
  if (const auto id = names_.TakeId()) return id;
  while (Reclaim(view_.segment_bytes())) continue;
  if (names_.dropped() > 0) RewriteShared(view_.header().allocated_sequence.LoadRelaxed());
  names_.ReleaseDropped(is_gone);
  return names_.TakeId();
}

Result<std::uint16_t> StoreWriter::CreateNamespace(std::string_view name,
                                                   const NamespaceOptions& options) {
  if (!ValidNamespaceName(name))
    return Error(Code::kInvalidArgument,
                 "'{}' is not a namespace name: 1 to {} characters of A-Z a-z 0-9 . _ -", name,
                 kMaxNamespaceNameBytes);
  HEARTH_TRY(CheckOptions(name, options, names_.promised()));
  if (names_.Find(name)) return Error(Code::kAlreadyExists, "namespace '{}' exists already", name);
  const auto id = TakeNamespaceId();
  if (!id)
    return Error(Code::kResourceExhausted,
                 "the store has no room for another namespace ({} at most)",
                 view_.namespace_capacity() - 1);
  NamespaceRecord& record = view_.namespace_record(*id);
  // SYNC release namespace-reuse: the record's former name was given up before it is overwritten.
  ReleaseFence();
  record.flushed_version.StoreRelaxed(view_.header().last_version.LoadRelaxed());
  record.flushed_sequence.StoreRelaxed(view_.header().allocated_sequence.LoadRelaxed());
  StoreOptions(*id, options);
  const auto length = static_cast<std::uint8_t>(name.size());
  CopyShared(&record.name_length, &length, sizeof(length));
  CopyShared(record.name, name.data(), name.size());
  HEARTH_FAILPOINT("namespace.before_live");
  // SYNC release namespace-state: name, flags and limits are complete.
  record.state.StoreRelease(
      MakeNamespaceWord(NamespaceState::kLive, NamespaceIncarnationOf(record.state.LoadRelaxed())));
  names_.NoteLive(name, *id);
  return *id;
}

Status StoreWriter::AlterNamespace(std::uint16_t id, const NamespaceOptions& options) {
  HEARTH_TRY(CheckNamespace(id));
  const std::string_view name = NamespaceName(view_.namespace_record(id));
  HEARTH_TRY(CheckOptions(name, options, names_.promised() - names_.promised(id)));
  if (!options.evict || options.quota_min_bytes != 0) HEARTH_TRY(ClaimShared(id));
  StoreOptions(id, options);
  return Status::Ok();
}

// Everything the namespace has is invisible from the first store on.
void StoreWriter::HideEntries(std::uint16_t id) {
  NamespaceRecord& record = view_.namespace_record(id);
  record.flushed_version.StoreRelaxed(view_.header().last_version.LoadRelaxed());
  HEARTH_FAILPOINT("namespace.after_flushed_version");
  log_.Flush(id);
  if (victim_ && victim_->owner == id) victim_->flushed = true;
  record.flushed_sequence.StoreRelaxed(view_.header().allocated_sequence.LoadRelaxed());
}

Status StoreWriter::FlushNamespace(std::uint16_t id) {
  HEARTH_TRY(CheckNamespace(id));
  HideEntries(id);
  return Status::Ok();
}

Status StoreWriter::DropNamespace(std::uint16_t id) {
  HEARTH_TRY(CheckNamespace(id));
  NamespaceRecord& record = view_.namespace_record(id);
  const std::string name(NamespaceName(record));
  // SYNC release namespace-state: nothing crosses but that reads miss from now on.
  record.state.StoreRelease(MakeNamespaceWord(NamespaceState::kDropped,
                                              NamespaceIncarnationOf(record.state.LoadRelaxed())));
  HEARTH_FAILPOINT("namespace.after_dropped");
  HideEntries(id);
  record.quota_min_bytes.StoreRelaxed(0);
  log_.Requota(id);
  ghosts_.erase(id);
  admissions_.erase(id);
  names_.NoteDropped(name, id);
  return Status::Ok();
}

}  // namespace hearth::cache
