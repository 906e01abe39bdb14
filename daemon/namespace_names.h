// NamespaceNames: which namespaces a store has, for threads other than its writer.
#ifndef HEARTH_DAEMON_NAMESPACE_NAMES_H_
#define HEARTH_DAEMON_NAMESPACE_NAMES_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/cache/format.h"

namespace hearth::daemon {

// Thread-safe. The writer thread keeps it as the store's records are; the control thread asks.
class NamespaceNames {
 public:
  struct Item {
    std::uint32_t handle;  // cache::MakeNamespaceHandle
    std::string name;
  };

  void Add(std::uint32_t handle, std::string name) {
    std::lock_guard lock(mutex_);
    handles_[name] = handle;
    names_[cache::NamespaceIdOf(handle)] = {handle, std::move(name)};
  }
  void Remove(const std::string& name) {
    std::lock_guard lock(mutex_);
    const auto it = handles_.find(name);
    if (it == handles_.end()) return;
    names_.erase(cache::NamespaceIdOf(it->second));
    handles_.erase(it);
  }
  std::optional<std::uint32_t> Find(std::string_view name) const {
    std::lock_guard lock(mutex_);
    const auto it = handles_.find(name);
    if (it == handles_.end()) return std::nullopt;
    return it->second;
  }
  // At most `limit` of them, by id, from that id on.
  std::vector<Item> List(std::uint16_t from_id, std::size_t limit) const {
    std::lock_guard lock(mutex_);
    std::vector<Item> items;
    for (auto it = names_.lower_bound(from_id); it != names_.end() && items.size() < limit; ++it)
      items.push_back(it->second);
    return items;
  }
  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return names_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint32_t, std::less<>> handles_;
  std::map<std::uint16_t, Item> names_;  // by id
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_NAMESPACE_NAMES_H_
