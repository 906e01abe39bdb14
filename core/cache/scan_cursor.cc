#include "core/cache/scan_cursor.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "core/base/crc32c.h"

namespace hearth::cache {
namespace {

constexpr std::uint8_t kCursorVersion = 1;
constexpr std::size_t kBytes = 43;
constexpr std::size_t kCrcAt = kBytes - sizeof(std::uint32_t);
constexpr std::string_view kDigits = "0123456789abcdef";

}  // namespace

std::string ScanCursor::Encode() const {
  std::array<std::uint8_t, kBytes> bytes{};
  std::uint8_t* at = bytes.data();
  auto put = [&at](const auto& field) {
    std::memcpy(at, &field, sizeof(field));
    at += sizeof(field);
  };
  put(kCursorVersion);
  put(store);
  put(handle);
  put(hash);
  put(directory);
  put(position);
  put(Crc32c(0, bytes.data(), kCrcAt));
  std::string text;
  for (const std::uint32_t byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xfU];
  }
  return text;
}

Result<ScanCursor> ScanCursor::Decode(std::string_view text) {
  const Status bad =
      Error(Code::kInvalidArgument, "'{}' is not a cursor of a scan", text.substr(0, 100));
  if (text.size() != 2 * kBytes) return bad;
  std::array<std::uint8_t, kBytes> bytes{};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digit = kDigits.find(text[i]);
    if (digit == std::string_view::npos) return bad;
    bytes[i / 2] = static_cast<std::uint8_t>(std::uint32_t{bytes[i / 2]} << 4U | digit);
  }
  ScanCursor cursor;
  std::uint8_t version = 0;
  std::uint32_t crc = 0;
  const std::uint8_t* at = bytes.data();
  auto take = [&at](auto* field) {
    std::memcpy(field, at, sizeof(*field));
    at += sizeof(*field);
  };
  take(&version);
  take(&cursor.store);
  take(&cursor.handle);
  take(&cursor.hash);
  take(&cursor.directory);
  take(&cursor.position);
  take(&crc);
  if (version != kCursorVersion || crc != Crc32c(0, bytes.data(), kCrcAt)) return bad;
  return cursor;
}

}  // namespace hearth::cache
