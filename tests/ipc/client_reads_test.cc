// What the C++ client reads in place: touches, views and keys that are known to be absent.
#include <memory>
#include <utility>

#include <doctest/doctest.h>

#include "core/base/hash.h"
#include "ipc/client/client.h"
#include "tests/ipc/test_server.h"

namespace hearth::ipc {
namespace {

std::unique_ptr<Client> Connect(const TestServer& server) {
  ClientOptions options;
  options.socket_path = server.path();
  options.name = "client-reads-test";
  options.timeout = std::chrono::seconds(300);
  options.connect_timeout = std::chrono::milliseconds(300'000);
  auto client = Client::Connect(options);
  REQUIRE_MESSAGE(client.ok(), client.status().ToString());
  return std::move(client).value();
}

TEST_CASE("client: hits are told to the daemon, until it knows that the entry is wanted") {
  TestServer::Options options;
  options.touch_entries = 4;
  TestServer server(options);
  const auto client = Connect(server);
  const auto space = client->OpenNamespace("test");
  REQUIRE(space.ok());
  REQUIRE(client->Set(space->id, "key", "value").ok());
  CHECK_FALSE(client->Get(space->id, "missing").ok());
  CHECK(server.Touches().empty());
  REQUIRE(client->Get(space->id, "key").ok());
  const auto touches = server.Touches();
  REQUIRE(touches.size() == 1);
  const cache::StoreView& store = server.store_view();
  CHECK(touches[0] == HashKey(store.secret(), NamespaceSeed(store.secret(), space->id), "key"));
  // Round the buffer, and no further.
  for (int i = 0; i < 10; ++i) REQUIRE(client->Get(space->id, "key").ok());
  CHECK(server.Touches().size() == 4);
}

TEST_CASE("client: views take the session's pins, one each, and give them back") {
  TestServer::Options options;
  options.pins = 2;
  TestServer server(options);
  const auto client = Connect(server);
  const auto space = client->OpenNamespace("test");
  REQUIRE(space.ok());
  REQUIRE(client->Set(space->id, "key", "value").ok());
  CHECK(client->View(space->id, "missing").status().code() == Code::kNotFound);
  CHECK(client->View(space->id, "").status().code() == Code::kInvalidArgument);
  auto first = client->View(space->id, "key");
  auto second = client->View(space->id, "key");
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(first->bytes() == "value");
  CHECK(client->View(space->id, "key").status().code() == Code::kResourceExhausted);
  CHECK(first->Release());
  const auto third = client->View(space->id, "key");
  REQUIRE(third.ok());
  CHECK(third->bytes() == "value");
  CHECK(second->Release());
}

TEST_CASE("client: a key that is known to be absent is a miss that says so") {
  TestServer server;
  const auto client = Connect(server);
  const std::uint32_t id = server.namespace_id();
  const Reply direct = client->Get(id, TestServer::kAbsentKey);
  for (const Reply& reply : {direct, client->GetFromWriter(id, TestServer::kAbsentKey)}) {
    CHECK(reply.status.code() == Code::kNotFound);
    CHECK(reply.execution == Execution::kDone);
    CHECK(reply.negative);
    CHECK(reply.version > 0);
    CHECK(reply.version == direct.version);
    CHECK(reply.hard_expiry_ms == direct.hard_expiry_ms);
    CHECK(reply.hard_expiry_ms != ~std::uint64_t{0});
    CHECK(reply.payload.empty());
  }
  for (const Reply& reply : {client->Get(id, "other"), client->GetFromWriter(id, "other")}) {
    CHECK(reply.status.code() == Code::kNotFound);
    CHECK_FALSE(reply.negative);
    CHECK(reply.version == 0);
  }
  REQUIRE(client->Add(id, TestServer::kAbsentKey, "value").ok());
  CHECK_FALSE(client->Get(id, TestServer::kAbsentKey).negative);
}

}  // namespace
}  // namespace hearth::ipc
