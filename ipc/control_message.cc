#include "ipc/control_message.h"

#include <utility>

namespace hearth::ipc {
namespace {

std::string ProtocolRange(std::uint16_t low, std::uint16_t high) {
  return low == high ? fmt::format("protocol {}", low) : fmt::format("protocol {}..{}", low, high);
}

std::string Describe(const LayoutId& layout) {
  return fmt::format("layout {} ({:016x})", layout.version, layout.fingerprint);
}

}  // namespace

Status ErrorReply::ToStatus() const {
  // A peer that answers an error with code 0 is wrong, but Status must not be OK.
  const Code shown = code == Code::kOk ? Code::kUnknown : code;
  if (!mismatch) return {shown, message};
  return Error(shown, "{} (client: {}, hearthd: {})", message, mismatch->client, mismatch->server);
}

std::optional<ErrorReply> CheckHello(const Hello& hello, const LayoutId& store_layout,
                                     const LayoutId& session_layout) {
  const auto differs = [](Mismatch::Subject subject, std::string_view what, std::string client,
                          std::string server) {
    return ErrorReply{Code::kFailedPrecondition,
                      fmt::format("client and hearthd do not speak the same {}", what),
                      Mismatch{subject, std::move(client), std::move(server)}};
  };
  if (hello.protocol_min > kProtocolVersion || hello.protocol_max < kProtocolVersion)
    return differs(Mismatch::Subject::kProtocol, "protocol",
                   ProtocolRange(hello.protocol_min, hello.protocol_max),
                   ProtocolRange(kProtocolVersion, kProtocolVersion));
  if (hello.channels == 0) return std::nullopt;  // no memory is shared
  if (hello.store_layout != store_layout)
    return differs(Mismatch::Subject::kStoreLayout, "store layout", Describe(hello.store_layout),
                   Describe(store_layout));
  if (hello.session_layout != session_layout)
    return differs(Mismatch::Subject::kSessionLayout, "session layout",
                   Describe(hello.session_layout), Describe(session_layout));
  return std::nullopt;
}

}  // namespace hearth::ipc
