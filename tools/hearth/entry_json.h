// Entries as JSON: what the commands that print some have in common.
//
// Thread safety: functions of their arguments.
#ifndef HEARTH_TOOLS_HEARTH_ENTRY_JSON_H_
#define HEARTH_TOOLS_HEARTH_ENTRY_JSON_H_

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace hearth::cli {

using Json = nlohmann::ordered_json;

// One line.
std::string Dump(const Json& json);
// Text where it is text, base64 under another name (`name`_base64) where it is not.
void PutBytes(Json* json, const std::string& name, const std::string& bytes);
// What is left of a life that ends at `expiry_ms`; nothing where it never ends.
std::optional<std::uint64_t> Remaining(std::uint64_t expiry_ms, std::uint64_t now_ms);
// Null for nothing.
Json MsJson(const std::optional<std::uint64_t>& ms);

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_ENTRY_JSON_H_
