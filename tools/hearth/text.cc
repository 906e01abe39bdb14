#include "tools/hearth/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include <fmt/format.h>

#include "core/base/units.h"
#include "ipc/session_layout.h"

namespace hearth::cli {
namespace {

constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 64;

constexpr std::array<std::uint8_t, 256> MakeBase64Values() {
  std::array<std::uint8_t, 256> values{};
  for (auto& value : values) value = kNoDigit;
  for (std::size_t i = 0; i < kBase64Digits.size(); ++i)
    values[static_cast<unsigned char>(kBase64Digits[i])] = static_cast<std::uint8_t>(i);
  return values;
}
constexpr std::array<std::uint8_t, 256> kBase64Values = MakeBase64Values();

std::string Escape(std::string_view text, bool keep_layout) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = Utf8SequenceLength(text);
    const auto byte = static_cast<unsigned char>(text.front());
    const bool layout = text.front() == '\n' || text.front() == '\t';
    // C1 controls (U+0080 to U+009F) are two bytes, the first of which is c2.
    const bool c1 = length == 2 && byte == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
    if (length > 0 && !c1 && ((byte >= 0x20 && byte != 0x7f) || (layout && keep_layout))) {
      safe += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    }
    if (text.front() == '\n') {
      safe += "\\n";
    } else if (text.front() == '\t') {
      safe += "\\t";
    } else {
      safe += fmt::format("\\x{:02x}", byte);
    }
    text.remove_prefix(1);
  }
  return safe;
}

// Letters to add, remove, replace or swap with their neighbour.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> rows(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        rows[i][j] = i + j;
        continue;
      }
      const std::size_t differ = a[i - 1] == b[j - 1] ? 0U : 1U;
      rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + differ});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[a.size()][b.size()];
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = Utf8SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string EncodeBase64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8U | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      text += j <= count ? kBase64Digits[(group >> (18U - 6U * j)) & 63U] : '=';
  }
  return text;
}

bool DecodeBase64(std::string_view text, std::string* bytes) {
  bytes->clear();
  if (text.size() % 4 != 0) return false;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    std::size_t digits = 4;
    if (last && text[i + 3] == '=') digits = text[i + 2] == '=' ? 2 : 3;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::uint8_t value =
          j < digits ? kBase64Values[static_cast<unsigned char>(text[i + j])] : std::uint8_t{0};
      if (value == kNoDigit) return false;
      group = group << 6U | value;
    }
    // Bits that no byte takes must be zero, so that there is one spelling for each content.
    if ((digits == 2 && (group & 0xffffU) != 0) || (digits == 3 && (group & 0xffU) != 0))
      return false;
    for (std::size_t j = 0; j + 1 < digits; ++j)
      *bytes += static_cast<char>(group >> (16U - 8U * j) & 0xffU);
  }
  return true;
}

std::string EscapeControls(std::string_view text) { return Escape(text, /*keep_layout=*/false); }
std::string EscapeForTerminal(std::string_view text) { return Escape(text, /*keep_layout=*/true); }

std::string FormatCount(std::uint64_t count) {
  std::string text = fmt::format("{}", count);
  for (std::size_t i = text.size(); i > 3;) {
    i -= 3;
    text.insert(i, ",");
  }
  return text;
}

Result<std::uint64_t> ParseTtl(std::string_view text) {
  if (text == "never") return ipc::kTtlNever;
  HEARTH_ASSIGN(const std::chrono::nanoseconds ttl, ParseDuration(text));
  const auto ms = static_cast<std::uint64_t>(ttl.count()) / 1'000'000U;
  if (ms > 0) return ms;
  return Error(Code::kInvalidArgument,
               "a TTL of '{}' is below 1ms; write 'never' for no expiry, or leave it out for the "
               "namespace's default",
               text);
}

Result<std::uint64_t> ParseDefaultTtl(std::string_view text) {
  if (text == "none" || text == "never") return std::uint64_t{0};
  return ParseTtl(text);
}

Result<double> ParseRate(const std::string& text) {
  double rate = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  if (error == std::errc() && stop == text.data() + text.size() && rate > 0 && rate < 1e12)
    return rate;
  return Error(Code::kInvalidArgument, "'{}' is no number of records per second", text);
}

Result<bool> ParseYesNo(std::string_view text) {
  if (text == "yes") return true;
  if (text == "no") return false;
  return Error(Code::kInvalidArgument, "'{}' is neither yes nor no", text);
}

std::optional<std::string> Nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  std::optional<std::string> nearest;
  // A third of the letters wrong is a typo, more is another word.
  std::size_t best = std::max<std::size_t>(1, (word.size() + 2) / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance >= best) continue;
    best = distance;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace hearth::cli
