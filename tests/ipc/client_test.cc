// The C++ client against a server in a thread.
#include "ipc/client/client.h"

#include <limits>
#include <map>

#include <doctest/doctest.h>

#include "tests/ipc/ring_fixture.h"
#include "tests/ipc/test_server.h"
#include "tests/support/seed.h"

namespace hearth::ipc {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

ClientOptions OptionsFor(const TestServer& server) {
  ClientOptions options;
  options.socket_path = server.path();
  options.name = "client-test";
  // Only the tests of timeouts wait for one.
  options.timeout = 300s;
  options.connect_timeout = std::chrono::milliseconds(300'000);
  return options;
}

std::unique_ptr<Client> Connect(const TestServer& server) {
  auto client = Client::Connect(OptionsFor(server));
  REQUIRE_MESSAGE(client.ok(), client.status().ToString());
  return std::move(client).value();
}

TEST_CASE("client: operations") {
  TestServer server;
  const auto client = Connect(server);
  const auto space = client->OpenNamespace("test");
  REQUIRE(space.ok());
  CHECK(space->id == server.namespace_id());
  CHECK(client->OpenNamespace("none").status().code() == Code::kNotFound);
  CHECK(client->OpenMethod("echo").value().id == 1);
  CHECK(client->ReadStatus().value().server_version == "test");

  const Reply missing = client->Get(space->id, "key");
  CHECK(missing.status.code() == Code::kNotFound);
  CHECK(missing.execution == Execution::kDone);
  const Reply set = client->Set(space->id, "key", "value");
  REQUIRE_MESSAGE(set.ok(), set.status.ToString());
  CHECK(set.execution == Execution::kDone);
  const Reply got = client->Get(space->id, "key");
  REQUIRE(got.ok());
  CHECK(got.payload == "value");
  CHECK(got.version == set.version);
  CHECK(got.hard_expiry_ms == ~std::uint64_t{0});
  const Reply through = client->GetFromWriter(space->id, "key");
  REQUIRE(through.ok());
  CHECK(through.payload == "value");
  CHECK(through.version == set.version);
  const Reply touched = client->Touch(space->id, "key", {3'600'000, kTtlDefault});
  REQUIRE(touched.ok());
  CHECK(client->Get(space->id, "key").hard_expiry_ms != ~std::uint64_t{0});
  CHECK(client->Delete(space->id, "key").ok());
  CHECK(client->Delete(space->id, "key").status.code() == Code::kNotFound);
  CHECK(client->Get(space->id, "key").status.code() == Code::kNotFound);
  CHECK(client->Ping().ok());
  CHECK(client->Call(1, "hello").payload == "hello");
  CHECK_FALSE(client->ended().has_value());
}

void CheckOutcome(const Reply& reply, Code code, std::uint64_t version) {
  CHECK_MESSAGE(reply.status.code() == code, reply.status.ToString());
  CHECK(reply.execution == Execution::kDone);
  if (version != 0) CHECK(reply.version == version);
}

TEST_CASE("client: operations that look before they write") {
  TestServer server;
  const auto client = Connect(server);
  const std::uint16_t id = server.namespace_id();
  CheckOutcome(client->Replace(id, "key", "x"), Code::kNotFound, 0);
  CheckOutcome(client->CompareAndSwap(id, "key", 1, "x"), Code::kNotFound, 0);
  CheckOutcome(client->Append(id, "key", "x"), Code::kNotFound, 0);
  const Reply added = client->Add(id, "key", "one", {3'600'000, 60'000});
  CheckOutcome(added, Code::kOk, 0);
  CHECK(client->Get(id, "key").hard_expiry_ms == client->Get(id, "key").soft_expiry_ms + 3'540'000);
  CheckOutcome(client->Add(id, "key", "two"), Code::kAlreadyExists, added.version);
  CheckOutcome(client->Append(id, "key", "+"), Code::kOk, 0);
  CHECK(client->Get(id, "key").hard_expiry_ms != kTtlNever);
  CHECK(client->Get(id, "key").payload == "one+");
  const Reply replaced = client->Replace(id, "key", "three", {kTtlNever, kTtlNever});
  CheckOutcome(replaced, Code::kOk, 0);
  CHECK(client->Get(id, "key").hard_expiry_ms == kTtlNever);
  CheckOutcome(client->CompareAndSwap(id, "key", added.version, "x"), Code::kAborted,
               replaced.version);
  const Reply swapped =
      client->CompareAndSwap(id, "key", replaced.version, "four", {3'600'000, kTtlNever});
  CheckOutcome(swapped, Code::kOk, client->Get(id, "key").version);
  CHECK(client->Get(id, "key").payload == "four");
  CHECK(client->Get(id, "key").hard_expiry_ms != kTtlNever);
  CheckOutcome(client->Increment(id, "key"), Code::kFailedPrecondition, swapped.version);

  CheckOutcome(client->Increment(id, "n"), Code::kNotFound, 0);
  const Reply counted =
      client->Increment(id, "n", {.delta = -3, .initial = 1, .ttl = {3'600'000, kTtlNever}});
  CheckOutcome(counted, Code::kOk, client->Get(id, "n").version);
  CHECK(counted.number == -2);
  CHECK(client->Get(id, "n").payload == "-2");
  CHECK(client->Get(id, "n").hard_expiry_ms != kTtlNever);
  CHECK(client->Increment(id, "n", {.delta = std::numeric_limits<std::int64_t>::max()}).number ==
        std::numeric_limits<std::int64_t>::max() - 2);
  CheckOutcome(client->Increment(id, "n", {.delta = 3}), Code::kOutOfRange, 0);
}

TEST_CASE("client: what cannot be right is refused without asking") {
  TestServer server;
  const auto client = Connect(server);
  const std::uint16_t id = server.namespace_id();
  for (const Reply& reply :
       {client->Set(id, "", "v"), client->Set(id, std::string(1025, 'k'), "v"), client->Get(id, ""),
        client->Delete(id, std::string(1025, 'k')), client->Add(id, "", "v"),
        client->Replace(id, "", "v"), client->CompareAndSwap(id, "", 1, "v"),
        client->Increment(id, ""), client->Append(id, "", "v")}) {
    CHECK(reply.status.code() == Code::kInvalidArgument);
    CHECK(reply.execution == Execution::kNotStarted);
  }
  const std::string huge(client->welcome().max_value_bytes + 1, 'v');
  CHECK(client->Set(id, "k", huge).status.code() == Code::kInvalidArgument);
  CHECK(client->Add(id, "k", huge).status.code() == Code::kInvalidArgument);
  CHECK(client->CompareAndSwap(id, "k", 1, huge).status.code() == Code::kInvalidArgument);
  CHECK(client->Append(id, "k", huge).status.code() == Code::kInvalidArgument);
  CHECK(server.executed() == 0);
}

TEST_CASE("client: requests and answers longer than the rings") {
  TestServer server;
  const auto client = Connect(server);
  for (const std::size_t size : {std::size_t{4000}, std::size_t{4032}, std::size_t{4033},
                                 std::size_t{50'000}, std::size_t{1'000'000}}) {
    CAPTURE(size);
    const std::string request = Pattern(size, size);
    const Reply reply = client->Call(1, request);
    REQUIRE_MESSAGE(reply.ok(), reply.status.ToString());
    CHECK(reply.payload == request);
  }
  CHECK(server.credits() > 0);
  const Reply set = client->Set(server.namespace_id(), "large", Pattern(1, 100'000));
  REQUIRE_MESSAGE(set.ok(), set.status.ToString());
  CHECK(client->Get(server.namespace_id(), "large").payload == Pattern(1, 100'000));
  CHECK(client->GetFromWriter(server.namespace_id(), "large").payload == Pattern(1, 100'000));
}

TEST_CASE("client: a message beyond the server's limit is refused, the session lives on") {
  TestServer::Options options;
  options.max_message_bytes = 100'000;
  TestServer server(options);
  const auto client = Connect(server);
  const Reply reply = client->Call(1, std::string(100'001, 'x'));
  CHECK(reply.status.code() == Code::kInvalidArgument);
  CHECK(reply.execution == Execution::kNotStarted);
  CHECK(client->Call(1, std::string(100'000, 'x')).ok());
}

TEST_CASE("client: pipelined sets are all completed, in bounded space") {
  HEARTH_SHOW_SEED();
  TestServer server;
  const auto client = Connect(server);
  hearth::testing::Random random(hearth::testing::RunSeed());
  std::map<std::uint64_t, int> completed;
  client->OnCompletion([&](std::uint64_t token, const Reply& reply) {
    REQUIRE_MESSAGE(reply.ok(), reply.status.ToString());
    ++completed[token];
  });
  constexpr std::uint64_t kSets = 20'000;
  std::size_t most = 0;
  for (std::uint64_t i = 0; i < kSets; ++i) {
    const std::string value = Pattern(i, random.OneIn(100) ? random.Below(20'000) : 50);
    const Status status =
        client->SetPipelined(server.namespace_id(), "key" + std::to_string(i % 100), value, {}, i);
    REQUIRE_MESSAGE(status.ok(), status.ToString());
    most = std::max(most, client->in_flight());
    if (random.OneIn(1000)) CHECK(client->Ping().ok());
  }
  CHECK(client->Drain(300s).ok());
  CHECK(client->in_flight() == 0);
  CHECK(completed.size() == kSets);
  CHECK(most <= ReservableResponseBytes(kMinRingBytes) / kMinResponseSpace);
  CHECK(most > 1);
}

// ---------------------------------------------------------------------------------------- timeouts
TEST_CASE("client: a call that times out is cancelled, its late answer is dropped") {
  TestServer server;
  const auto client = Connect(server);
  server.HoldRequests(true);
  CallOptions brief;
  brief.timeout = 20ms;
  for (int i = 0; i < 3; ++i) {
    const Reply reply = client->Call(1, "late", brief);
    CHECK(reply.status.code() == Code::kDeadlineExceeded);
    CHECK(reply.execution == Execution::kMaybe);
  }
  server.HoldRequests(false);
  const Reply reply = client->Call(1, "in time");
  REQUIRE_MESSAGE(reply.ok(), reply.status.ToString());
  CHECK(reply.payload == "in time");
  CHECK(server.cancels() == 3);
}

TEST_CASE("client: calls that time out keep their credit until they are answered") {
  TestServer server;
  const auto client = Connect(server);
  server.HoldAnswers(true);
  CallOptions brief;
  brief.timeout = 10ms;
  // Three quarters of the ring, a quarter each: the fourth has no credit to start with.
  for (int i = 0; i < 3; ++i) CHECK(client->Call(1, "x", brief).execution == Execution::kMaybe);
  const Reply fourth = client->Call(1, "x", brief);
  CHECK(fourth.status.code() == Code::kDeadlineExceeded);
  CHECK(fourth.execution == Execution::kNotStarted);
  server.HoldAnswers(false);
  CHECK(client->Call(1, "y").payload == "y");
}

TEST_CASE("client: a long request that runs out of time half-way is taken back") {
  TestServer server;
  const auto client = Connect(server);
  server.HoldRequests(true);
  CallOptions brief;
  brief.timeout = 20ms;
  const Reply reply = client->Call(1, Pattern(1, 100'000), brief);
  CHECK(reply.status.code() == Code::kDeadlineExceeded);
  CHECK(reply.execution == Execution::kNotStarted);
  server.HoldRequests(false);
  CHECK(client->Call(1, "next").payload == "next");
  CHECK(server.cancels() == 1);
  CHECK(server.executed() == 1);
}

TEST_CASE("client: a long answer that is given up is ended, and its space comes back") {
  TestServer server;
  const auto client = Connect(server);
  server.HoldAnswers(true);
  CallOptions brief;
  brief.timeout = 20ms;
  const Reply reply = client->Call(1, Pattern(1, 3000), brief);
  CHECK(reply.status.code() == Code::kDeadlineExceeded);
  server.HoldAnswers(false);
  for (int i = 0; i < 10; ++i) CHECK(client->Call(1, Pattern(2, 60'000)).ok());
}

// --------------------------------------------------------------------------------- the session's
// end
TEST_CASE("client: an orderly end tells what was never reached") {
  TestServer server;
  const auto client = Connect(server);
  REQUIRE(client->Call(1, "x").ok());
  std::map<std::uint64_t, Reply> completed;
  client->OnCompletion([&](std::uint64_t token, const Reply& reply) { completed[token] = reply; });
  server.HoldRequests(true);
  for (std::uint64_t i = 0; i < 5; ++i)
    REQUIRE(client->SetPipelined(server.namespace_id(), "k", "v", {}, i).ok());
  Execution expected = Execution::kNotStarted;
  SUBCASE("with a goodbye") { server.EndOrderly(); }
  SUBCASE("without one, nothing is proven") {
    server.EndAbruptly();
    expected = Execution::kMaybe;
  }
  CHECK(client->Drain(300s).code() == Code::kUnavailable);
  REQUIRE(completed.size() == 5);
  for (const auto& [token, reply] : completed) {
    CHECK(reply.status.code() == Code::kUnavailable);
    CHECK(reply.execution == expected);
  }
  REQUIRE(client->ended().has_value());
  const Reply after = client->Set(server.namespace_id(), "k", "v");
  CHECK(after.status.code() == Code::kUnavailable);
  CHECK(after.execution == Execution::kNotStarted);
  if (expected == Execution::kNotStarted)
    CHECK(after.status.message().find("shutting down") != std::string::npos);
  // Reads need nobody.
  CHECK(client->Get(server.namespace_id(), "k").status.code() == Code::kNotFound);
  CHECK(client->ReadStatus().status().code() == Code::kUnavailable);
}

TEST_CASE("client: answers published before the end are still taken") {
  TestServer server;
  const auto client = Connect(server);
  int done = 0;
  client->OnCompletion([&](std::uint64_t, const Reply& reply) { done += reply.ok() ? 1 : 0; });
  for (std::uint64_t i = 0; i < 10; ++i)
    REQUIRE(client->SetPipelined(server.namespace_id(), "k", "v", {}, i).ok());
  // The server executes what it finds before it takes the next command.
  while (server.executed() < 10) std::this_thread::yield();
  server.HoldRequests(false);
  server.EndOrderly();
  CHECK(client->Drain(300s).ok());
  CHECK(done == 10);
}

TEST_CASE("client: a broken response ring ends the session, not the process") {
  TestServer server;
  const auto client = Connect(server);
  server.HoldRequests(true);
  server.BreakResponses();
  const Reply reply = client->Ping();
  CHECK(reply.status.code() == Code::kDataLoss);
  CHECK(reply.execution == Execution::kMaybe);
  CHECK(client->ended().has_value());
}

// ----------------------------------------------------------------------------------------
// connecting
TEST_CASE("client: no daemon") {
  ClientOptions options;
  options.socket_path = "/tmp/hearth-none/s";
  CHECK(Client::Connect(options).status().code() == Code::kUnavailable);
}

TEST_CASE("client: what the daemon refuses is said with both versions") {
  TestServer::Options options;
  options.refuse = ErrorReply{Code::kFailedPrecondition, "no common protocol",
                              Mismatch{Mismatch::Subject::kProtocol, "protocol 1", "protocol 7"}};
  TestServer server(options);
  const auto client = Client::Connect(OptionsFor(server));
  REQUIRE_FALSE(client.ok());
  CHECK(client.status().code() == Code::kFailedPrecondition);
  CHECK(client.status().message().find("protocol 1") != std::string::npos);
  CHECK(client.status().message().find("protocol 7") != std::string::npos);
}

TEST_CASE("client: a welcome that does not add up") {
  TestServer::Options options;
  SUBCASE("channels") { options.welcome_channels = 3; }
  SUBCASE("no channels") { options.welcome_channels = 0; }
  SUBCASE("something else than a region") { options.wrong_region = true; }
  TestServer server(options);
  CHECK(Client::Connect(OptionsFor(server)).status().code() == Code::kDataLoss);
}

TEST_CASE("client: a connection for status only") {
  TestServer server;
  ClientOptions options = OptionsFor(server);
  options.data = false;
  const auto client = Client::Connect(options).value();
  CHECK(client->ReadStatus().ok());
  CHECK(client->Get(1, "k").status.code() == Code::kFailedPrecondition);
  CHECK(client->Set(1, "k", "v").status.code() == Code::kFailedPrecondition);
  CHECK(client->Ping().status.code() == Code::kFailedPrecondition);
  CHECK(client->Drain(1s).ok());
}

}  // namespace
}  // namespace hearth::ipc
