// NamespaceTable: which namespaces a store has, by name, and which ids are free. Private memory of
// the writer, built from the namespace records.
#ifndef HEARTH_CORE_CACHE_NAMESPACE_TABLE_H_
#define HEARTH_CORE_CACHE_NAMESPACE_TABLE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/cache/view.h"

namespace hearth::cache {

// Not thread-safe: owned by the writer. Takes a few bytes for each free id, and the name for each
// live namespace.
class NamespaceTable {
 public:
  // Reads all records of the store.
  explicit NamespaceTable(const StoreView& view);

  // The live namespace of this name.
  std::optional<std::uint16_t> Find(std::string_view name) const;

  // Takes the lowest id that was never used, else one that was given back. Nothing when all are
  // taken.
  std::optional<std::uint16_t> TakeId();
  // A record has become live, or dropped.
  void NoteLive(std::string_view name, std::uint16_t id);
  void NoteDropped(std::string_view name, std::uint16_t id);
  // Makes the ids of those dropped namespaces free of which `is_gone` says that nothing is left.
  void ReleaseDropped(const std::function<bool(std::uint16_t)>& is_gone);

  // Segments promised to live namespaces by quota_min_bytes. Promise() replaces one's number.
  std::uint64_t promised() const { return promised_; }
  std::uint64_t promised(std::uint16_t id) const;
  void Promise(std::uint16_t id, std::uint64_t segments);

  // Records of live namespaces, and of dropped ones of which something is left.
  std::size_t live() const { return by_name_.size(); }
  std::size_t dropped() const { return dropped_.size(); }

 private:
  StoreView view_;
  std::unordered_map<std::string, std::uint16_t> by_name_;
  std::vector<std::uint16_t> free_;  // the last is taken first
  std::vector<std::uint16_t> dropped_;
  std::unordered_map<std::uint16_t, std::uint64_t> promises_;
  std::uint64_t promised_ = 0;
};

// The name in a record of this process's own store; cut to what a record can hold.
std::string_view NamespaceName(const NamespaceRecord& record);

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_NAMESPACE_TABLE_H_
