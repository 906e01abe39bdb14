// UTF-8, as far as Hearth looks at it: where a character ends.
//
// Thread safety: functions of their arguments.
#ifndef HEARTH_CORE_BASE_UTF8_H_
#define HEARTH_CORE_BASE_UTF8_H_

#include <cstddef>
#include <string_view>

namespace hearth {

// Length of the well-formed UTF-8 sequence at the front of `text`; 0 when there is none (RFC 3629:
// no overlong forms, no surrogates, nothing beyond U+10FFFF).
std::size_t Utf8SequenceLength(std::string_view text);

// The longest beginning of `text` that has at most `max_bytes` and does not end inside a character.
// What is no UTF-8 there is cut at `max_bytes`, whatever it is.
std::string_view CutUtf8(std::string_view text, std::size_t max_bytes);

}  // namespace hearth

#endif  // HEARTH_CORE_BASE_UTF8_H_
