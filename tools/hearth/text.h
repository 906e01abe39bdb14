// Small conversions between bytes and what people and JSON can show.
//
// Thread safety: functions of their arguments.
#ifndef HEARTH_TOOLS_HEARTH_TEXT_H_
#define HEARTH_TOOLS_HEARTH_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/base/utf8.h"

namespace hearth::cli {

bool IsUtf8(std::string_view text);

// RFC 4648 section 4, with padding.
std::string EncodeBase64(std::string_view bytes);
// Replaces `*bytes`. False when `text` is anything but well-formed padded base64.
bool DecodeBase64(std::string_view text, std::string* bytes);

// Control characters and what is not UTF-8 as \n, \t, \x1b, ...: safe on any terminal.
std::string EscapeControls(std::string_view text);
// The same but for line breaks and tabs, which stay.
std::string EscapeForTerminal(std::string_view text);

// 1234567 as "1,234,567".
std::string FormatCount(std::uint64_t count);

// "5m" in ms, for the wire; "never" as ipc::kTtlNever. kInvalidArgument below 1 ms, since 0 would
// be taken for the namespace's default.
Result<std::uint64_t> ParseTtl(std::string_view text);

// A namespace's default TTL in ms: as above, and "none" or "never" as 0.
Result<std::uint64_t> ParseDefaultTtl(std::string_view text);
Result<bool> ParseYesNo(std::string_view text);
// Records per second.
Result<double> ParseRate(const std::string& text);

// The candidate nearest to a mistyped word, if one is near enough to be worth naming.
std::optional<std::string> Nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_TEXT_H_
