// Sizes and durations with units, as people write them in configuration and on the command line.
#ifndef HEARTH_CORE_BASE_UNITS_H_
#define HEARTH_CORE_BASE_UNITS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace hearth {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

// "4096", "256KiB", "1.5 GiB", "2MB" (decimal), case-sensitive units B, KB, KiB, MB, MiB, GB, GiB,
// TB, TiB; the letter alone ("256M") is rejected, since half of all tools read it either way.
Result<std::uint64_t> ParseBytes(std::string_view text);

// "250ms", "1.5s", "5m", "2h", "7d", units ns, us, ms, s, m, h, d. A bare "0" is zero; any other
// number needs its unit.
Result<std::chrono::nanoseconds> ParseDuration(std::string_view text);

// "1.4 GiB", "512 B": at most four significant digits, for people.
std::string FormatBytes(std::uint64_t bytes);
// "1.2 ms", "3m 20s": for people.
std::string FormatDuration(std::chrono::nanoseconds duration);

}  // namespace hearth

#endif  // HEARTH_CORE_BASE_UNITS_H_
