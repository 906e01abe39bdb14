// StoreWriter's namespaces.
#include <algorithm>
#include <cstring>

#include "core/base/units.h"
#include "core/cache/writer.h"

namespace hearth::cache {
bool ValidNamespaceName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNamespaceNameBytes &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

Status StoreWriter::CheckQuotas(std::string_view name, const NamespaceOptions& options) const {
  if (options.quota_max_bytes != 0 && options.quota_max_bytes < 2 * view_.segment_bytes())
    return Error(Code::kInvalidArgument,
                 "the quota of namespace '{}' is {}, but must be 0 or at least two segments ({})",
                 name, FormatBytes(options.quota_max_bytes),
                 FormatBytes(2 * std::uint64_t{view_.segment_bytes()}));
  if (options.quota_max_bytes != 0 && options.quota_min_bytes > options.quota_max_bytes)
    return Error(Code::kInvalidArgument,
                 "namespace '{}' is promised {}, more than the {} it may have", name,
                 FormatBytes(options.quota_min_bytes), FormatBytes(options.quota_max_bytes));
  // Two segments are for the index and for moving entries.
  std::uint64_t promised = options.quota_min_bytes / view_.segment_bytes() + 2;
  for (std::uint32_t id = 1; id < view_.namespace_capacity(); ++id) {
    const NamespaceRecord& record = view_.namespace_record(id);
    if (record.state.LoadRelaxed() == static_cast<std::uint32_t>(NamespaceState::kLive))
      promised += record.quota_min_bytes.LoadRelaxed() / view_.segment_bytes();
  }
  if (options.quota_min_bytes != 0 && promised > view_.segment_count())
    return Error(Code::kResourceExhausted,
                 "namespace '{}' asks for at least {}: with what others are promised that is more "
                 "than the store of {} segments of {} has, of which two are kept back",
                 name, FormatBytes(options.quota_min_bytes), view_.segment_count(),
                 FormatBytes(view_.segment_bytes()));
  return Status::Ok();
}

Result<std::uint16_t> StoreWriter::CreateNamespace(std::string_view name,
                                                   const NamespaceOptions& options) {
  if (!ValidNamespaceName(name))
    return Error(Code::kInvalidArgument,
                 "'{}' is not a namespace name: 1 to {} characters of A-Z a-z 0-9 . _ -", name,
                 kMaxNamespaceNameBytes);
  HEARTH_TRY(CheckQuotas(name, options));
  if (options.hard_ttl_ms > kMaxTtlMs || options.soft_ttl_ms > kMaxTtlMs ||
      (options.hard_ttl_ms != 0 && options.soft_ttl_ms > options.hard_ttl_ms))
    return Error(Code::kInvalidArgument,
                 "the TTLs of namespace '{}' do not fit: soft {} ms, hard {} ms (soft must not "
                 "exceed hard, neither a century)",
                 name, options.soft_ttl_ms, options.hard_ttl_ms);
  if (reader_.FindNamespace(name).ok())
    return Error(Code::kAlreadyExists, "namespace '{}' exists already", name);
  for (std::uint32_t id = 1; id < view_.namespace_capacity(); ++id) {
    NamespaceRecord& record = view_.namespace_record(id);
    if (record.state.LoadRelaxed() != static_cast<std::uint32_t>(NamespaceState::kFree)) continue;
    record.flags =
        (options.evict ? 0 : kNamespaceNoEvict) | (options.strict ? kNamespaceStrict : 0);
    record.flushed_version.StoreRelaxed(view_.header().last_version.LoadRelaxed());
    record.default_hard_ttl_ms.StoreRelaxed(options.hard_ttl_ms);
    record.default_soft_ttl_ms.StoreRelaxed(options.soft_ttl_ms);
    record.quota_min_bytes.StoreRelaxed(options.quota_min_bytes);
    record.quota_max_bytes.StoreRelaxed(options.quota_max_bytes);
    record.name_length = static_cast<std::uint8_t>(name.size());
    std::memcpy(record.name, name.data(), name.size());
    // SYNC release namespace-state: name, flags and limits are complete.
    record.state.StoreRelease(static_cast<std::uint32_t>(NamespaceState::kLive));
    return static_cast<std::uint16_t>(id);
  }
  return Error(Code::kResourceExhausted, "the store has no room for another namespace ({} at most)",
               view_.namespace_capacity() - 1);
}

}  // namespace hearth::cache
