#include "tools/hearth/entry_json.h"

#include "ipc/session_layout.h"
#include "tools/hearth/text.h"

namespace hearth::cli {

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void PutBytes(Json* json, const std::string& name, const std::string& bytes) {
  if (IsUtf8(bytes)) {
    (*json)[name] = bytes;
  } else {
    (*json)[name + "_base64"] = EncodeBase64(bytes);
  }
}

std::optional<std::uint64_t> Remaining(std::uint64_t expiry_ms, std::uint64_t now_ms) {
  if (expiry_ms == ipc::kTtlNever) return std::nullopt;
  return expiry_ms > now_ms ? expiry_ms - now_ms : 0;
}

Json MsJson(const std::optional<std::uint64_t>& ms) { return ms ? Json(*ms) : Json(); }

}  // namespace hearth::cli
