// Any bytes as a control packet, in both directions: decoding says yes or no and never does
// anything else. What it says yes to can be encoded again, and decodes to the same.
#include "core/base/check.h"
#include "ipc/control_message.h"
#include "tests/fuzz/fuzz_target.h"

namespace hearth::fuzz {

std::vector<std::string> Seeds() {
  ipc::ClientMessage request;
  request.request_id = 1;
  ipc::Hello hello;
  hello.client_name = "fuzz";
  hello.store = "default";
  request.body = hello;
  std::vector<std::string> seeds = {ipc::EncodeClientMessage(request).value()};
  request.body = ipc::OpenNamespace{"users"};
  seeds.push_back(ipc::EncodeClientMessage(request).value());
  request.body = ipc::StatusRequest{};
  seeds.push_back(ipc::EncodeClientMessage(request).value());

  ipc::ServerMessage answer;
  answer.request_id = 1;
  answer.body = ipc::Welcome{};
  seeds.push_back(ipc::EncodeServerMessage(answer).value());
  answer.body = ipc::ErrorReply{Code::kFailedPrecondition, "no",
                                ipc::Mismatch{ipc::Mismatch::Subject::kStoreLayout, "a", "b"}};
  seeds.push_back(ipc::EncodeServerMessage(answer).value());
  ipc::StatusReport report;
  report.stores.resize(2);
  report.stores[0].namespaces.resize(2);
  report.sessions.resize(2);
  answer.body = report;
  seeds.push_back(ipc::EncodeServerMessage(answer).value());
  return seeds;
}

}  // namespace hearth::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const std::string_view packet(reinterpret_cast<const char*>(data), size);
  if (const auto message = ipc::DecodeClientMessage(packet); message.ok()) {
    if (!std::holds_alternative<ipc::UnknownRequest>(message->body)) {
      const auto again = ipc::EncodeClientMessage(*message);
      HEARTH_CHECK(again.ok());
      const auto decoded = ipc::DecodeClientMessage(*again);
      HEARTH_CHECK(decoded.ok() && decoded->body.index() == message->body.index());
    }
  }
  if (const auto message = ipc::DecodeServerMessage(packet); message.ok()) {
    if (!std::holds_alternative<ipc::UnknownAnswer>(message->body)) {
      // A report may be one that does not fit, when lists overlap in the packet.
      const auto again = ipc::EncodeServerMessage(*message);
      if (again.ok()) HEARTH_CHECK(ipc::DecodeServerMessage(*again).ok());
    }
  }
  return 0;
}
