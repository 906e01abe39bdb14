#include "core/cache/namespace_table.h"

#include <algorithm>

#include "core/base/check.h"

namespace hearth::cache {

std::string_view NamespaceName(const NamespaceRecord& record) {
  return {reinterpret_cast<const char*>(record.name),
          std::min<std::size_t>(record.name_length, sizeof(record.name))};
}

NamespaceTable::NamespaceTable(const StoreView& view) : view_(view) {
  free_.reserve(view.namespace_capacity());
  for (std::uint32_t i = view.namespace_capacity(); i-- > 1;) {
    const auto id = static_cast<std::uint16_t>(i);
    const NamespaceRecord& record = view.namespace_record(id);
    switch (NamespaceStateOf(record.state.LoadRelaxed())) {
      case NamespaceState::kLive:
        NoteLive(NamespaceName(record), id);
        Promise(id, record.quota_min_bytes.LoadRelaxed() / view.segment_bytes());
        break;
      case NamespaceState::kDropped: dropped_.push_back(id); break;
      default: free_.push_back(id); break;
    }
  }
}

std::optional<std::uint16_t> NamespaceTable::Find(std::string_view name) const {
  const auto it = by_name_.find(std::string(name));
  if (it == by_name_.end()) return std::nullopt;
  return it->second;
}

std::optional<std::uint16_t> NamespaceTable::TakeId() {
  if (free_.empty()) return std::nullopt;
  const std::uint16_t id = free_.back();
  free_.pop_back();
  return id;
}

void NamespaceTable::NoteLive(std::string_view name, std::uint16_t id) {
  by_name_[std::string(name)] = id;
}

void NamespaceTable::NoteDropped(std::string_view name, std::uint16_t id) {
  by_name_.erase(std::string(name));
  dropped_.push_back(id);
  Promise(id, 0);
}

void NamespaceTable::ReleaseDropped(const std::function<bool(std::uint16_t)>& is_gone) {
  std::erase_if(dropped_, [&](std::uint16_t id) {
    if (!is_gone(id)) return false;
    NamespaceRecord& record = view_.namespace_record(id);
    const std::uint32_t next = NamespaceIncarnationOf(record.state.LoadRelaxed()) + 1;
    // SYNC release namespace-state: nothing crosses but that the id has no namespace.
    record.state.StoreRelease(MakeNamespaceWord(NamespaceState::kFree, next & 0xffffU));
    // At the front, behind all that were never used.
    free_.insert(free_.begin(), id);
    return true;
  });
}

std::uint64_t NamespaceTable::promised(std::uint16_t id) const {
  const auto it = promises_.find(id);
  return it == promises_.end() ? 0 : it->second;
}

void NamespaceTable::Promise(std::uint16_t id, std::uint64_t segments) {
  promised_ = promised_ - promised(id) + segments;
  if (segments == 0) {
    promises_.erase(id);
  } else {
    promises_[id] = segments;
  }
}

}  // namespace hearth::cache
