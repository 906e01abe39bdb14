#include "core/base/utf8.h"

#include <algorithm>

namespace hearth {

std::size_t Utf8SequenceLength(std::string_view text) {
  if (text.empty()) return 0;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  // Bounds of the second byte keep out overlong forms, surrogates and what is beyond U+10FFFF.
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  }
  if (length == 0 || text.size() < length || at(1) < low || at(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i)
    if ((at(i) & 0xc0U) != 0x80) return 0;
  return length;
}

std::string_view CutUtf8(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  // A character that the cut would split begins at most three bytes before it.
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, max_bytes); ++back) {
    const std::size_t start = max_bytes - back;
    if (Utf8SequenceLength(text.substr(start)) > back) return text.substr(0, start);
  }
  return text.substr(0, max_bytes);
}

}  // namespace hearth
