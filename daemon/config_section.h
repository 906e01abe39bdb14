// Section: one table of the configuration file, read key by key. Every mistake is told with its
// place. For config.cc alone.
#ifndef HEARTH_DAEMON_CONFIG_SECTION_H_
#define HEARTH_DAEMON_CONFIG_SECTION_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

#include "core/base/status.h"
#include "core/base/units.h"

namespace hearth::daemon {

inline std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

// Takes known keys out one by one, so that what is left is unknown.
class Section {
 public:
  Section(const toml::table& table, std::string file, std::string title)
      : table_(table), file_(std::move(file)), title_(std::move(title)) {}

  Status Wrong(const toml::node& node, std::string_view what) const {
    const auto at = node.source().begin;
    return Error(Code::kInvalidArgument, "{}:{}:{}: {}{}{}", file_, at.line, at.column, title_,
                 title_.empty() ? "" : ": ", what);
  }

  Status Text(std::string_view key, std::string* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return Status::Ok();
    const auto value = node->value_exact<std::string>();
    if (!value) return Wrong(*node, fmt::format("'{}' must be a text in quotes", key));
    *out = *value;
    return Status::Ok();
  }

  Status Flag(std::string_view key, bool* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return Status::Ok();
    const auto value = node->value_exact<bool>();
    if (!value) return Wrong(*node, fmt::format("'{}' must be true or false", key));
    *out = *value;
    return Status::Ok();
  }

  template <class T>
  Status Integer(std::string_view key, T min, T max, T* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return Status::Ok();
    const auto value = node->value_exact<std::int64_t>();
    if (!value || *value < static_cast<std::int64_t>(min) ||
        *value > static_cast<std::int64_t>(max))
      return Wrong(*node, fmt::format("'{}' must be a whole number from {} to {}", key, min, max));
    *out = static_cast<T>(*value);
    return Status::Ok();
  }

  // "256MiB", or a plain number of bytes.
  template <class T>
  Status Bytes(std::string_view key, T min, T max, T* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return Status::Ok();
    Result<std::uint64_t> bytes = Error(Code::kInvalidArgument, "not a size");
    if (const auto number = node->value_exact<std::int64_t>(); number && *number >= 0)
      bytes = static_cast<std::uint64_t>(*number);
    else if (const auto text = node->value_exact<std::string>())
      bytes = ParseBytes(*text);
    if (!bytes.ok())
      return Wrong(*node, fmt::format("'{}' must be a size like \"256MiB\" ({})", key,
                                      bytes.status().message()));
    if (*bytes < min || *bytes > max)
      return Wrong(*node, fmt::format("'{}' is {}, must be between {} and {}", key,
                                      FormatBytes(*bytes), FormatBytes(min), FormatBytes(max)));
    *out = static_cast<T>(*bytes);
    return Status::Ok();
  }

  Status Milliseconds(std::string_view key, std::uint64_t* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return Status::Ok();
    const auto text = node->value_exact<std::string>();
    const auto duration = ParseDuration(text.value_or(""));
    if (!duration.ok())
      return Wrong(*node, fmt::format("'{}' must be a duration like \"5m\" ({})", key,
                                      duration.status().message()));
    const auto ms = duration->count() / 1'000'000;
    if (duration->count() != 0 && ms == 0)
      return Wrong(*node, fmt::format("'{}' is shorter than a millisecond", key));
    *out = static_cast<std::uint64_t>(ms);
    return Status::Ok();
  }

  Status Texts(std::string_view key, std::vector<std::string>* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return Status::Ok();
    const toml::array* array = node->as_array();
    if (array == nullptr) return Wrong(*node, fmt::format("'{}' must be a list of texts", key));
    for (const toml::node& item : *array) {
      const auto value = item.value_exact<std::string>();
      if (!value) return Wrong(item, fmt::format("'{}' must be a list of texts", key));
      out->push_back(*value);
    }
    return Status::Ok();
  }

  // The tables of [[key]], or the one of [key].
  Status Tables(std::string_view key, std::vector<const toml::table*>* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return Status::Ok();
    if (node->is_table()) out->push_back(node->as_table());
    if (const toml::array* array = node->as_array()) {
      for (const toml::node& item : *array) {
        if (!item.is_table()) return Wrong(item, fmt::format("'{}' must be a table", key));
        out->push_back(item.as_table());
      }
    } else if (!node->is_table()) {
      return Wrong(*node, fmt::format("'{}' must be a table", key));
    }
    return Status::Ok();
  }

  // The same about the value of a key, or about the table when the key is not there.
  Status WrongAt(std::string_view key, std::string_view what) const {
    const toml::node* node = table_.get(key);
    return Wrong(node == nullptr ? table_ : *node, what);
  }

  const toml::node* Take(std::string_view key) {
    known_.emplace_back(key);
    return table_.get(key);
  }

  // Call last: complains about the first key that nobody took.
  Status NothingLeft() const {
    for (const auto& [key, node] : table_) {
      if (std::find(known_.begin(), known_.end(), key.str()) != known_.end()) continue;
      const auto nearest = std::min_element(known_.begin(), known_.end(),
                                            [name = key.str()](const auto& a, const auto& b) {
                                              return EditDistance(a, name) < EditDistance(b, name);
                                            });
      return Wrong(node, fmt::format("unknown key '{}'; did you mean '{}'?", key.str(), *nearest));
    }
    return Status::Ok();
  }

  const toml::table& table() const { return table_; }
  const std::string& file() const { return file_; }

 private:
  const toml::table& table_;
  std::string file_;
  std::string title_;
  std::vector<std::string> known_;
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_CONFIG_SECTION_H_
