#include "tests/conformance/control_vectors.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ipc/control_message.h"
#include "tests/conformance/vectors.h"

namespace hearth::conformance {
namespace {

std::string Word(std::uint64_t word) { return fmt::format("\"{:#018x}\"", word); }

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

// -------------------------------------------------------------------------------- message to
// fields
std::string Fields(const ipc::LayoutId& layout) {
  return fmt::format(R"({{"version": {}, "fingerprint": {}}})", layout.version,
                     Word(layout.fingerprint));
}

std::string Fields(const ipc::Hello& hello) {
  return fmt::format(
      R"("kind": "hello", "protocol_min": {}, "protocol_max": {}, "store_layout": {}, )"
      R"("session_layout": {}, "client_name": {}, "client_version": {}, "store": {}, )"
      R"("channels": {}, "request_ring_bytes": {}, "response_ring_bytes": {})",
      hello.protocol_min, hello.protocol_max, Fields(hello.store_layout),
      Fields(hello.session_layout), Quoted(hello.client_name), Quoted(hello.client_version),
      Quoted(hello.store), hello.channels, hello.request_ring_bytes, hello.response_ring_bytes);
}

std::string Fields(const ipc::OpenNamespace& open) {
  return fmt::format(R"("kind": "open_namespace", "name": {})", Quoted(open.name));
}

std::string Fields(const ipc::OpenMethod& open) {
  return fmt::format(R"("kind": "open_method", "name": {})", Quoted(open.name));
}

std::string Fields(const ipc::StatusRequest&) { return R"("kind": "status")"; }

std::string SettingsFields(const ipc::NamespaceSettings& settings) {
  return fmt::format(
      R"("name": {}, "hard_ttl_ms": {}, "soft_ttl_ms": {}, "quota_min_bytes": {}, )"
      R"("quota_max_bytes": {}, "refuse_when_full": {}, "strict": {}, "tiny_lfu": {})",
      Quoted(settings.name), Word(settings.hard_ttl_ms), Word(settings.soft_ttl_ms),
      Word(settings.quota_min_bytes), Word(settings.quota_max_bytes), settings.refuse_when_full,
      settings.strict, settings.tiny_lfu);
}

std::string Fields(const ipc::CreateNamespace& create) {
  return R"("kind": "create_namespace", )" + SettingsFields(create.settings);
}

std::string Fields(const ipc::AlterNamespace& alter) {
  return fmt::format(R"("kind": "alter_namespace", {}, "fields": {})",
                     SettingsFields(alter.settings), alter.fields);
}

std::string Fields(const ipc::DropNamespace& drop) {
  return fmt::format(R"("kind": "drop_namespace", "name": {})", Quoted(drop.name));
}

std::string Fields(const ipc::FlushNamespace& flush) {
  return fmt::format(R"("kind": "flush_namespace", "name": {})", Quoted(flush.name));
}

std::string Fields(const ipc::ListNamespaces& list) {
  return fmt::format(R"("kind": "list_namespaces", "from_id": {})", list.from_id);
}

std::string Fields(const ipc::UnknownRequest& unknown) {
  return fmt::format(R"("kind": "unknown", "discriminant": {})", unknown.discriminant);
}

std::string Fields(const ipc::UnknownAnswer& unknown) {
  return fmt::format(R"("kind": "unknown", "discriminant": {})", unknown.discriminant);
}

std::string ErrorFields(const ipc::ErrorReply& error) {
  std::string mismatch = "null";
  if (error.mismatch)
    mismatch = fmt::format(R"({{"subject": {}, "client": {}, "server": {}}})",
                           static_cast<unsigned>(error.mismatch->subject),
                           Quoted(error.mismatch->client), Quoted(error.mismatch->server));
  return fmt::format(R"("code": {}, "message": {}, "mismatch": {})",
                     static_cast<unsigned>(error.code), Quoted(error.message), mismatch);
}

std::string Fields(const ipc::ErrorReply& error) {
  return R"("kind": "error", )" + ErrorFields(error);
}

std::string Fields(const ipc::Ended& ended) {
  return R"("kind": "ended", )" + ErrorFields(ended.reason);
}

std::string UuidHex(const shm::Uuid& uuid) {
  return Hex({reinterpret_cast<const char*>(uuid.data()), uuid.size()});
}

std::string Fields(const ipc::Welcome& welcome) {
  return fmt::format(
      R"("kind": "welcome", "protocol": {}, "session_id": {}, "epoch": {}, "server_version": {}, )"
      R"("store": {}, "store_uuid": "{}", "channels": {}, "max_value_bytes": {}, )"
      R"("max_message_bytes": {}, "server_pid": {}, "shared_uid": {})",
      welcome.protocol, Word(welcome.session_id), Word(welcome.epoch),
      Quoted(welcome.server_version), Quoted(welcome.store), UuidHex(welcome.store_uuid),
      welcome.channels, Word(welcome.max_value_bytes), Word(welcome.max_message_bytes),
      welcome.server_pid, welcome.shared_uid);
}

std::string Fields(const ipc::NamespaceInfo& info) {
  return fmt::format(
      R"("kind": "namespace", "id": {}, "name": {}, "writable": {}, "max_value_bytes": {}, )"
      R"("incarnation": {})",
      info.id, Quoted(info.name), info.writable, Word(info.max_value_bytes), info.incarnation);
}

std::string Fields(const ipc::MethodInfo& info) {
  return fmt::format(R"("kind": "method", "id": {}, "name": {})", info.id, Quoted(info.name));
}

std::string NamespaceFields(const ipc::NamespaceStatus& status) {
  return fmt::format(
      R"("id": {}, "name": {}, "used_bytes": {}, "quota_max_bytes": {}, "hard_ttl_ms": {}, )"
      R"("soft_ttl_ms": {}, "evicts": {}, "strict": {}, "quota_min_bytes": {}, )"
      R"("tiny_lfu": {})",
      status.id, Quoted(status.name), Word(status.used_bytes), Word(status.quota_max_bytes),
      Word(status.hard_ttl_ms), Word(status.soft_ttl_ms), status.evicts, status.strict,
      Word(status.quota_min_bytes), status.tiny_lfu);
}

std::string Item(const ipc::NamespaceStatus& status) { return "{" + NamespaceFields(status) + "}"; }

std::string Fields(const ipc::NamespaceStatus& status) {
  return R"("kind": "namespace_status", )" + NamespaceFields(status);
}

std::string Item(const ipc::SessionStatus& status) {
  return fmt::format(
      R"({{"id": {}, "pid": {}, "uid": {}, "client_name": {}, "store": {}, "channels": {}, )"
      R"("operations": {}, "connected_ms": {}}})",
      Word(status.id), status.pid, status.uid, Quoted(status.client_name), Quoted(status.store),
      status.channels, Word(status.operations), Word(status.connected_ms));
}

template <class Status>
std::string List(const std::vector<Status>& all) {
  std::vector<std::string> items;
  for (const Status& status : all) items.push_back(Item(status));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

std::string Item(const ipc::StoreStatus& status) {
  return fmt::format(
      R"({{"name": {}, "uuid": "{}", "bytes": {}, "segment_bytes": {}, "segments": {}, )"
      R"("free_segments": {}, "entries": {}, "live_bytes": {}, "evicted_entries": {}, )"
      R"("index_pages": {}, "namespaces": {}, "namespaces_omitted": {}, "operations": {}}})",
      Quoted(status.name), UuidHex(status.uuid), Word(status.bytes), status.segment_bytes,
      status.segments, status.free_segments, Word(status.entries), Word(status.live_bytes),
      Word(status.evicted_entries), Word(status.index_pages), List(status.namespaces),
      status.namespaces_omitted, Word(status.operations));
}

std::string Fields(const ipc::StatusReport& report) {
  std::vector<std::string> stores;
  for (const ipc::StoreStatus& store : report.stores) stores.push_back(Item(store));
  return fmt::format(
      R"("kind": "status", "server_version": {}, "server_pid": {}, "epoch": {}, "uptime_ms": {}, )"
      R"("stores": [{}], "sessions": {}, "sessions_omitted": {})",
      Quoted(report.server_version), report.server_pid, Word(report.epoch), Word(report.uptime_ms),
      fmt::join(stores, ", "), List(report.sessions), report.sessions_omitted);
}

std::string Fields(const ipc::NamespaceList& list) {
  return fmt::format(R"("kind": "namespace_list", "namespaces": {}, "next_id": {})",
                     List(list.namespaces), list.next_id);
}

// ------------------------------------------------------------------------------------ the messages
// No two numbers are the same, so that exchanged fields show.
ipc::Hello SomeHello() {
  ipc::Hello hello;
  hello.protocol_min = 0x0101;
  hello.protocol_max = 0x0202;
  hello.store_layout = {0x03030303, 0x1122334455667788U};
  hello.session_layout = {0x04040404, 0x99aabbccddeeff00U};
  hello.client_name = "users-service";
  hello.client_version = "1.2.3-ü";
  hello.store = "hot";
  hello.channels = 0x0505;
  hello.request_ring_bytes = 0x06060606;
  hello.response_ring_bytes = 0x87070707;
  return hello;
}

shm::Uuid SomeUuid(unsigned first) {
  shm::Uuid uuid{};
  for (std::size_t i = 0; i < uuid.size(); ++i)
    uuid[i] = static_cast<shm::Uuid::value_type>(first + i);
  return uuid;
}

ipc::Welcome SomeWelcome() {
  return {.protocol = 1,
          .session_id = 0x8101010101010101U,
          .epoch = 0x8202020202020202U,
          .server_version = "0.1.0",
          .store = "hot",
          .store_uuid = SomeUuid(0x30),
          .channels = 3,
          .max_value_bytes = 0x8404040404040404U,
          .max_message_bytes = 0x8505050505050505U,
          .server_pid = 0x86060606,
          .shared_uid = true};
}

ipc::StatusReport SomeReport() {
  ipc::StatusReport report{.server_version = "0.1.0",
                           .server_pid = 0x81010101,
                           .epoch = 0x8202020202020202U,
                           .uptime_ms = 0x8303030303030303U,
                           .stores = {},
                           .sessions = {},
                           .sessions_omitted = 0x84040404};
  ipc::StoreStatus store{.name = "hot",
                         .uuid = SomeUuid(0x50),
                         .bytes = 0x8101010101010101U,
                         .segment_bytes = 0x82020202,
                         .segments = 0x83030303,
                         .free_segments = 0x84040404,
                         .entries = 0x8505050505050505U,
                         .live_bytes = 0x8606060606060606U,
                         .evicted_entries = 0x8707070707070707U,
                         .index_pages = 0x8808080808080808U,
                         .namespaces = {},
                         .namespaces_omitted = 0x89090909,
                         .operations = 0x8a0a0a0a0a0a0a0aU};
  store.namespaces.push_back({0xff01, "users", 1, 2, 3, 4, true, false, 8});
  store.namespaces.push_back({2, "", 5, 6, ~std::uint64_t{0}, 7, false, true, 9});
  report.stores = {store, {}};
  report.sessions.push_back({0x8101010101010101U, 0x82020202, 0x83030303, "users-service", "hot",
                             0x8404, 0x8505050505050505U, 0x8606060606060606U});
  report.sessions.push_back({});
  return report;
}

std::vector<ipc::ClientMessage> ToDaemon() {
  return {{1, SomeHello()},
          {1, ipc::Hello{}},
          {0x80000002, ipc::OpenNamespace{"users"}},
          {3, ipc::OpenNamespace{""}},
          {4, ipc::OpenMethod{"transit.sign"}},
          {5, ipc::StatusRequest{}},
          {6, ipc::CreateNamespace{{"users", 0x8101010101010101U, 0x8202020202020202U,
                                    0x8303030303030303U, 0x8404040404040404U, true, false, true}}},
          {7, ipc::AlterNamespace{{"u", 1, 2, 3, 4, false, true, false}, 0x85050505}},
          {8, ipc::DropNamespace{"users"}},
          {9, ipc::FlushNamespace{"users"}},
          {10, ipc::ListNamespaces{0xff01}}};
}

std::vector<ipc::ServerMessage> ToClient() {
  ipc::Welcome other = SomeWelcome();
  other.shared_uid = false;
  other.channels = 16;
  return {{1, SomeWelcome()},
          {1, other},
          {1, ipc::ErrorReply{Code::kFailedPrecondition, "the layouts differ",
                              ipc::Mismatch{ipc::Mismatch::Subject::kStoreLayout, "layout 1 (aaaa)",
                                            "layout 2 (bbbb)"}}},
          {1, ipc::ErrorReply{Code::kFailedPrecondition, "the protocols differ",
                              ipc::Mismatch{ipc::Mismatch::Subject::kProtocol, "protocol 1",
                                            "protocol 2..3"}}},
          {1, ipc::ErrorReply{Code::kFailedPrecondition, "the layouts differ",
                              ipc::Mismatch{ipc::Mismatch::Subject::kSessionLayout, "c", "s"}}},
          {0x80000002, ipc::ErrorReply{Code::kNotFound, "no namespace 'x\\y'", std::nullopt}},
          {3, ipc::NamespaceInfo{0xfff0, "users", true, 0x8101010101010101U, 0x8202}},
          {4, ipc::NamespaceInfo{2, "", false, 1}},
          {5, ipc::MethodInfo{0x81020304, "transit.sign"}},
          {6, SomeReport()},
          {7, ipc::NamespaceStatus{0xff02, "items", 1, 2, 3, 4, true, false, 5, true}},
          {8, ipc::NamespaceList{{{3, "a", 1, 2, 3, 4, false, true, 5}, {4, "", 6, 7, 8, 9}},
                                 0x80000001}},
          {0, ipc::Ended{{Code::kUnavailable, "shutting down", std::nullopt}}}};
}

std::string Describe(bool to_daemon, std::uint32_t request_id, const std::string& fields,
                     std::string_view packet) {
  return fmt::format(R"({{"to": "{}", "request_id": {}, {}, "bytes": "{}"}})",
                     to_daemon ? "daemon" : "client", request_id, fields, Hex(packet));
}

}  // namespace

std::string DescribePacket(bool to_daemon, std::string_view packet) {
  const auto describe = [&](const auto& message) {
    if (!message.ok())
      return fmt::format(R"({{"refused": {}}})", Quoted(message.status().ToString()));
    const std::string fields =
        std::visit([](const auto& body) { return Fields(body); }, message->body);
    return Describe(to_daemon, message->request_id, fields, packet);
  };
  return to_daemon ? describe(ipc::DecodeClientMessage(packet))
                   : describe(ipc::DecodeServerMessage(packet));
}

std::string ControlJson() {
  std::vector<std::string> messages;
  // Described from what was encoded, not from what is decoded: both ways are under test.
  const auto add = [&](bool to_daemon, const auto& message, const Result<std::string>& packet) {
    const std::string fields =
        std::visit([](const auto& body) { return Fields(body); }, message.body);
    messages.push_back(Describe(to_daemon, message.request_id, fields, packet.value()));
  };
  for (const auto& message : ToDaemon()) add(true, message, ipc::EncodeClientMessage(message));
  for (const auto& message : ToClient()) add(false, message, ipc::EncodeServerMessage(message));
  std::vector<std::string> hostile;
  for (const HostilePacket& packet : MakeHostilePackets())
    hostile.push_back(fmt::format(R"({{"why": {}, "to": "{}", "bytes": "{}"}})", Quoted(packet.why),
                                  packet.to_daemon ? "daemon" : "client", Hex(packet.bytes)));
  return fmt::format("{{\"messages\": [\n  {}\n],\n\"hostile\": [\n  {}\n]}}\n",
                     fmt::join(messages, ",\n  "), fmt::join(hostile, ",\n  "));
}

}  // namespace hearth::conformance
