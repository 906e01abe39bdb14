#include "ipc/control_message.h"

#include <cstring>

#include <doctest/doctest.h>

#include "ipc/control_socket.h"
#include "tests/support/seed.h"

namespace hearth::ipc {
namespace {

Hello SomeHello() {
  Hello hello;
  hello.store_layout = {1, 0x1122334455667788U};
  hello.session_layout = {1, 0x99aabbccddeeff00U};
  hello.client_name = "users-service";
  hello.client_version = "1.2.3";
  hello.store = "hot";
  hello.channels = 4;
  hello.request_ring_bytes = 65536;
  hello.response_ring_bytes = 1U << 20U;
  return hello;
}

std::string SomeClientPacket() {
  ClientMessage message;
  message.request_id = 7;
  message.body = SomeHello();
  return EncodeClientMessage(message).value();
}

StatusReport SomeReport(std::size_t namespaces, std::size_t sessions) {
  StatusReport report;
  report.server_version = "0.1.0";
  report.epoch = 3;
  StoreStatus store;
  store.name = "default";
  store.uuid.fill(0xab);
  store.bytes = 1U << 30U;
  store.operations = 12;
  for (std::size_t i = 0; i < namespaces; ++i) {
    NamespaceStatus entry;
    entry.id = static_cast<std::uint16_t>(i);
    entry.name = fmt::format("namespace-{}", i);
    entry.evicts = i % 2 == 0;
    store.namespaces.push_back(entry);
  }
  report.stores.push_back(store);
  for (std::size_t i = 0; i < sessions; ++i) {
    SessionStatus session;
    session.id = i;
    session.client_name = fmt::format("client-{}", i);
    session.store = "default";
    report.sessions.push_back(session);
  }
  return report;
}

StatusReport RoundTrip(const StatusReport& report) {
  ServerMessage message;
  message.request_id = 9;
  message.body = report;
  const std::string packet = EncodeServerMessage(message).value();
  CHECK(packet.size() <= kMaxPacketBytes);
  ServerMessage decoded = DecodeServerMessage(packet).value();
  CHECK(decoded.request_id == 9);
  return std::get<StatusReport>(decoded.body);
}

TEST_CASE("control messages: what a client sends arrives") {
  const ClientMessage hello = DecodeClientMessage(SomeClientPacket()).value();
  CHECK(hello.request_id == 7);
  const auto& body = std::get<Hello>(hello.body);
  CHECK(body.store_layout == SomeHello().store_layout);
  CHECK(body.session_layout == SomeHello().session_layout);
  CHECK(body.client_name == "users-service");
  CHECK(body.client_version == "1.2.3");
  CHECK(body.store == "hot");
  CHECK(body.channels == 4);
  CHECK(body.request_ring_bytes == 65536);
  CHECK(body.response_ring_bytes == 1U << 20U);

  ClientMessage message;
  message.body = OpenNamespace{"users"};
  const auto opened = DecodeClientMessage(EncodeClientMessage(message).value()).value();
  CHECK(std::get<OpenNamespace>(opened.body).name == "users");
  message.body = OpenMethod{"transit.sign"};
  const auto method = DecodeClientMessage(EncodeClientMessage(message).value()).value();
  CHECK(std::get<OpenMethod>(method.body).name == "transit.sign");
  message.body = StatusRequest{};
  const auto status = DecodeClientMessage(EncodeClientMessage(message).value()).value();
  CHECK(std::holds_alternative<StatusRequest>(status.body));
}

TEST_CASE("control messages: what the daemon sends arrives") {
  ServerMessage message;
  message.request_id = 1;
  Welcome welcome;
  welcome.protocol = 1;
  welcome.session_id = 5;
  welcome.epoch = 2;
  welcome.server_version = "0.1.0";
  welcome.store = "default";
  welcome.store_uuid.fill(7);
  welcome.channels = 2;
  welcome.max_value_bytes = 1000;
  welcome.max_message_bytes = 2000;
  welcome.server_pid = 99;
  welcome.shared_uid = true;
  message.body = welcome;
  const auto got_welcome =
      std::get<Welcome>(DecodeServerMessage(EncodeServerMessage(message).value()).value().body);
  CHECK(got_welcome.session_id == 5);
  CHECK(got_welcome.store_uuid == welcome.store_uuid);
  CHECK(got_welcome.channels == 2);
  CHECK(got_welcome.max_message_bytes == 2000);
  CHECK(got_welcome.shared_uid);

  message.body = NamespaceInfo{3, "users", true, 77};
  const auto space = std::get<NamespaceInfo>(
      DecodeServerMessage(EncodeServerMessage(message).value()).value().body);
  CHECK(space.id == 3);
  CHECK(space.writable);
  CHECK(space.max_value_bytes == 77);

  message.body = MethodInfo{70'000, "echo"};
  const auto method =
      std::get<MethodInfo>(DecodeServerMessage(EncodeServerMessage(message).value()).value().body);
  CHECK(method.id == 70'000);

  message.body = Ended{ErrorReply{Code::kUnavailable, "shutting down", std::nullopt}};
  const auto ended =
      std::get<Ended>(DecodeServerMessage(EncodeServerMessage(message).value()).value().body);
  CHECK(ended.reason.code == Code::kUnavailable);
  CHECK(ended.reason.message == "shutting down");
}

TEST_CASE("control messages: a mismatch names both sides") {
  Hello hello = SomeHello();
  const LayoutId store = hello.store_layout;
  const LayoutId session = hello.session_layout;
  CHECK_FALSE(CheckHello(hello, store, session).has_value());
  Mismatch::Subject subject = Mismatch::Subject::kProtocol;
  SUBCASE("protocol too new") { hello.protocol_min = hello.protocol_max = kProtocolVersion + 1; }
  SUBCASE("protocol too old") { hello.protocol_min = hello.protocol_max = kProtocolVersion - 1; }
  SUBCASE("store") {
    hello.store_layout.fingerprint += 1;
    subject = Mismatch::Subject::kStoreLayout;
  }
  SUBCASE("session") {
    hello.session_layout.version += 1;
    subject = Mismatch::Subject::kSessionLayout;
  }
  const std::optional<ErrorReply> refusal = CheckHello(hello, store, session);
  REQUIRE(refusal.has_value());
  CHECK(refusal->code == Code::kFailedPrecondition);
  REQUIRE(refusal->mismatch.has_value());
  CHECK(refusal->mismatch->subject == subject);
  ServerMessage message;
  message.body = *refusal;
  const auto got =
      std::get<ErrorReply>(DecodeServerMessage(EncodeServerMessage(message).value()).value().body);
  REQUIRE(got.mismatch.has_value());
  CHECK(got.mismatch->client == refusal->mismatch->client);
  CHECK(got.mismatch->client != got.mismatch->server);
  CHECK(got.ToStatus().message().find(refusal->mismatch->client) != std::string::npos);
  CHECK(got.ToStatus().message().find(refusal->mismatch->server) != std::string::npos);
}

TEST_CASE("control messages: layouts do not matter to a client without channels") {
  Hello hello = SomeHello();
  hello.channels = 0;
  CHECK_FALSE(CheckHello(hello, {9, 9}, {9, 9}).has_value());
}

TEST_CASE("control messages: an error reply with code 0 is still an error") {
  CHECK_FALSE(ErrorReply{Code::kOk, "?", std::nullopt}.ToStatus().ok());
}

TEST_CASE("control messages: a status that fits is complete") {
  const StatusReport report = RoundTrip(SomeReport(10, 20));
  CHECK(report.stores.at(0).namespaces.size() == 10);
  CHECK(report.stores.at(0).namespaces.at(3).name == "namespace-3");
  CHECK(report.stores.at(0).uuid[0] == 0xab);
  CHECK(report.sessions.size() == 20);
  CHECK(report.sessions_omitted == 0);
}

TEST_CASE("control messages: a status leaves out sessions first, then namespaces, and counts") {
  StatusReport many_sessions = SomeReport(10, 5000);
  many_sessions.sessions_omitted = 7;  // by the daemon itself
  const StatusReport first = RoundTrip(many_sessions);
  CHECK(first.stores.at(0).namespaces.size() == 10);
  CHECK(first.sessions.size() > 100);
  CHECK(first.sessions.size() + first.sessions_omitted == 5007);
  CHECK(first.sessions.at(0).client_name == "client-0");

  const StatusReport second = RoundTrip(SomeReport(10'000, 50));
  CHECK(second.sessions.empty());
  CHECK(second.sessions_omitted == 50);
  CHECK(second.stores.at(0).namespaces.size() > 100);
  CHECK(second.stores.at(0).namespaces.size() + second.stores.at(0).namespaces_omitted == 10'000);
}

TEST_CASE("control messages: what is too long for a packet is an error") {
  ClientMessage message;
  message.body = OpenNamespace{std::string(70'000, 'n')};
  CHECK(EncodeClientMessage(message).status().code() == Code::kInvalidArgument);
  message.body = UnknownRequest{};
  CHECK(EncodeClientMessage(message).status().code() == Code::kInvalidArgument);
  ServerMessage answer;
  StatusReport report;
  report.stores.resize(2000);
  answer.body = report;
  CHECK(EncodeServerMessage(answer).status().code() == Code::kInvalidArgument);
}

TEST_CASE("control messages: text for people is made harmless") {
  ClientMessage message;
  Hello hello = SomeHello();
  hello.client_name = "evil\x1b[2J\nname" + std::string(100, 'x');
  message.body = hello;
  const auto got =
      std::get<Hello>(DecodeClientMessage(EncodeClientMessage(message).value()).value().body);
  CHECK(got.client_name.substr(0, 14) == "evil?[2J?namex");
  CHECK(got.client_name.size() == kMaxClientNameBytes);
}

// -------------------------------------------------------------------------------- broken packets
TEST_CASE("broken packets: cut off after every byte") {
  const std::string packet = SomeClientPacket();
  for (std::size_t size = 0; size < packet.size(); ++size) {
    CAPTURE(size);
    const auto decoded = DecodeClientMessage(std::string_view(packet).substr(0, size));
    REQUIRE_FALSE(decoded.ok());
    CHECK(decoded.status().code() == Code::kInvalidArgument);
  }
}

TEST_CASE("broken packets: every bit flipped") {
  ServerMessage message;
  message.body = SomeReport(2, 2);
  const std::string packets[] = {SomeClientPacket(), EncodeServerMessage(message).value()};
  for (const std::string& packet : packets) {
    for (std::size_t bit = 0; bit < 8 * packet.size(); ++bit) {
      std::string flipped = packet;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      // Many flips leave a legal message; all must leave a living process.
      static_cast<void>(DecodeClientMessage(flipped).ok());
      static_cast<void>(DecodeServerMessage(flipped).ok());
    }
  }
}

TEST_CASE("broken packets: every byte set to extremes") {
  const std::string packet = SomeClientPacket();
  for (std::size_t at = 0; at < packet.size(); ++at) {
    for (const int value : {0x00, 0x7f, 0x80, 0xff}) {
      std::string changed = packet;
      changed[at] = static_cast<char>(value);
      static_cast<void>(DecodeClientMessage(changed).ok());
    }
  }
}

TEST_CASE("broken packets: framing") {
  std::string packet = SomeClientPacket();
  SUBCASE("two segments") { packet[0] = 1; }
  SUBCASE("2^32 segments") { std::memset(packet.data(), 0xff, 4); }
  SUBCASE("more words than came") { packet[4] = static_cast<char>(packet[4] + 1); }
  SUBCASE("fewer words than came") { packet[4] = static_cast<char>(packet[4] - 1); }
  SUBCASE("bytes behind the message") { packet += std::string(8, '\0'); }
  SUBCASE("longer than a packet") { packet.resize(kMaxPacketBytes + 8); }
  SUBCASE("no message at all") { packet = std::string(8, '\0'); }
  CHECK(DecodeClientMessage(packet).status().code() == Code::kInvalidArgument);
}

TEST_CASE("broken packets: an unknown request and an unknown answer are recognised") {
  ClientMessage message;
  message.request_id = 3;
  message.body = StatusRequest{};
  const std::string packet = EncodeClientMessage(message).value();
  // The union's discriminant is the only 16-bit word that holds 3 besides the request id.
  int unknown = 0;
  for (std::size_t at = 8; at + 1 < packet.size(); at += 2) {
    if (packet[at] != 3 || packet[at + 1] != 0) continue;
    std::string changed = packet;
    changed[at] = 77;
    const auto decoded = DecodeClientMessage(changed);
    if (!decoded.ok()) continue;
    const auto* request = std::get_if<UnknownRequest>(&decoded->body);
    if (request == nullptr) continue;
    ++unknown;
    CHECK(request->discriminant == 77);
    CHECK(decoded->request_id == 3);
  }
  CHECK(unknown == 1);
}

TEST_CASE("broken packets: random bytes") {
  HEARTH_SHOW_SEED();
  hearth::testing::Random random(hearth::testing::RunSeed());
  const int rounds = hearth::testing::FullRun() ? 1'000'000 : 50'000;
  for (int round = 0; round < rounds; ++round) {
    const std::size_t words = 1 + random.Below(20);
    std::string packet = random.Bytes(8 + 8 * words);
    const std::uint32_t framing[2] = {0, static_cast<std::uint32_t>(words)};
    std::memcpy(packet.data(), framing, sizeof(framing));
    static_cast<void>(DecodeClientMessage(packet).ok());
    static_cast<void>(DecodeServerMessage(packet).ok());
  }
}

}  // namespace
}  // namespace hearth::ipc
