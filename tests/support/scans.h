// What tests of scans do with one: take it to its end.
#ifndef HEARTH_TESTS_SUPPORT_SCANS_H_
#define HEARTH_TESTS_SUPPORT_SCANS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "core/cache/scanner.h"

namespace hearth::testing {

using Found = std::map<std::string, std::string>;

inline cache::Scanner Must(Result<cache::Scanner> scanner) {
  REQUIRE_MESSAGE(scanner.ok(), scanner.status().ToString());
  return std::move(*scanner);
}

inline std::string Key(std::uint32_t i) { return fmt::format("key {}", i); }

// All that is left of a scan; no key comes more than `times` times. `between` runs after each
// entry.
inline Found Rest(cache::Scanner& scanner, std::uint32_t times = 1,
                  const std::function<void()>& between = nullptr) {
  Found found;
  std::map<std::string, std::uint32_t> seen;
  cache::ScannedEntry entry;
  while (true) {
    const auto more = scanner.Next(&entry);
    REQUIRE_MESSAGE(more.ok(), more.status().ToString());
    if (!*more) break;
    CHECK(entry.value_bytes >= entry.value.size());
    CHECK(++seen[entry.key] <= times);
    found[entry.key] = entry.value;
    if (between) between();
  }
  const auto again = scanner.Next(&entry);
  CHECK((again.ok() && !*again));
  return found;
}

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_SUPPORT_SCANS_H_
