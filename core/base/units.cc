#include "core/base/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace hearth {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

struct Quantity {
  double number;
  std::string_view unit;
};

// "1.5 GiB" -> {1.5, "GiB"}; no sign, no exponent, no infinity.
Result<Quantity> SplitQuantity(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) ++end;
  double number = 0;
  auto [stop, error] =
      std::from_chars(text.data(), text.data() + end, number, std::chars_format::fixed);
  if (error != std::errc() || stop != text.data() + end)
    return Error(Code::kInvalidArgument, "'{}' does not begin with a number", text);
  std::string_view unit = text.substr(end);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  return Quantity{number, unit};
}

template <std::size_t N>
Result<double> Scale(std::string_view text, const std::array<Unit, N>& units,
                     std::string_view examples) {
  HEARTH_ASSIGN(Quantity quantity, SplitQuantity(text));
  for (const Unit& unit : units) {
    if (unit.name == quantity.unit) return quantity.number * unit.factor;
  }
  return Error(Code::kInvalidArgument, "'{}' has no known unit; write for example {}", text,
               examples);
}

constexpr std::array<Unit, 11> kByteUnits = {{{"", 1},
                                              {"B", 1},
                                              {"KB", 1e3},
                                              {"KiB", 1024.0},
                                              {"MB", 1e6},
                                              {"MiB", 1024.0 * 1024},
                                              {"GB", 1e9},
                                              {"GiB", 1024.0 * 1024 * 1024},
                                              {"TB", 1e12},
                                              {"TiB", 1024.0 * 1024 * 1024 * 1024},
                                              {"bytes", 1}}};
constexpr std::array<Unit, 7> kTimeUnits = {
    {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}}};

}  // namespace

Result<std::uint64_t> ParseBytes(std::string_view text) {
  HEARTH_ASSIGN(double bytes, Scale(text, kByteUnits, "4096, 512KiB, 256MiB or 2GiB"));
  // 2^63 is far beyond any memory and still exact enough to compare as a double.
  if (bytes >= 9.2e18) return Error(Code::kOutOfRange, "'{}' is more than 8 EiB", text);
  return static_cast<std::uint64_t>(std::llround(bytes));
}

Result<std::chrono::nanoseconds> ParseDuration(std::string_view text) {
  if (text == "0") return std::chrono::nanoseconds(0);
  HEARTH_ASSIGN(double nanos, Scale(text, kTimeUnits, "250ms, 30s, 5m, 2h or 7d"));
  if (nanos >= 9.2e18) return Error(Code::kOutOfRange, "'{}' is more than 292 years", text);
  return std::chrono::nanoseconds(std::llround(nanos));
}

std::string FormatBytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 7> kNames = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : (value < 100 ? 1 : 0), kNames[unit]);
}

std::string FormatDuration(std::chrono::nanoseconds duration) {
  const double nanos = static_cast<double>(duration.count());
  if (nanos < 1e3) return fmt::format("{} ns", duration.count());
  // Limits half a last digit below the next unit, where three digits would round up to "1e+03".
  if (nanos < 999.5e3) return fmt::format("{:.3g} us", nanos / 1e3);
  if (nanos < 999.5e6) return fmt::format("{:.3g} ms", nanos / 1e6);
  if (nanos < 60e9) return fmt::format("{:.3g} s", nanos / 1e9);
  const auto seconds = duration.count() / 1'000'000'000;
  if (seconds < 3600) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h {}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d {}h", seconds / 86400, seconds / 3600 % 24);
}

}  // namespace hearth
