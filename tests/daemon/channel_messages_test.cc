// ChannelServer: long messages, credit and cancelling.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/daemon/session_rig.h"
#include "tests/support/seed.h"

namespace hearth::testing {
namespace {

using ipc::RequestHeader;

constexpr std::uint32_t kEcho = 1;

// Sends `payload` as a long message, and serves each record by itself.
void SendLong(ChannelRig& rig, RequestHeader header, std::string_view payload) {
  constexpr std::size_t kPart = 1024;
  const std::string bytes = Announcement(payload.size()).append(payload);
  for (std::size_t at = 0; at < bytes.size(); at += kPart) {
    header.flags = at == 0 ? std::uint16_t{0} : ipc::kRecordContinuation;
    if (at + kPart < bytes.size()) header.flags |= ipc::kRecordMore;
    rig.client().Send(header, bytes.substr(at, kPart));
    REQUIRE(rig.Serve().ok());
  }
}

// The first record of a message of `announced` bytes, with one byte of it.
RequestHeader Begin(ChannelRig& rig, std::uint64_t announced, std::uint32_t target = 1) {
  RequestHeader header = rig.client().Header(ipc::kOpCall, target);
  header.flags = ipc::kRecordMore;
  return rig.client().Send(header, Announcement(announced) + "x");
}

void CheckBroken(const Status& status, std::string_view what) {
  CHECK_FALSE(status.ok());
  CHECK(status.code() == Code::kDataLoss);
  CHECK_MESSAGE(status.message().find(what) != std::string::npos, status.message());
}

// ---------------------------------------------------------------------------------- long requests
TEST_CASE("a long request is executed once, when its last record has come") {
  ChannelRig rig;
  const std::string value(10'000, 'v');
  const RequestHeader header = rig.client().Header(ipc::kOpSet, 1);
  SendLong(rig, header, SetPayload("key", value));
  const std::vector<Answer> answers = rig.client().Take();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].code() == Code::kOk);
  CHECK(answers[0].header.sequence == header.sequence);
  CHECK(rig.store().Get(1, "key") == value);
  CHECK(rig.budget().used() == 0);
}

TEST_CASE("records of other messages come between those of a long one") {
  ChannelRig rig;
  RequestHeader slow = rig.client().Header(ipc::kOpCall, kEcho);
  slow.flags = ipc::kRecordMore;
  rig.client().Send(slow, Announcement(4) + "ab");
  CHECK(rig.Ask(ipc::kOpSet, 1, SetPayload("k", "v")).code() == Code::kOk);
  CHECK(rig.Ask(ipc::kOpCall, kEcho, "quick").payload == "quick");
  slow.flags = ipc::kRecordContinuation;
  CHECK(rig.Ask(slow, "cd").payload == "abcd");
}

TEST_CASE("a message longer than the limit is refused as soon as its length is seen") {
  ChannelRig rig({.max_message_bytes = 4096});
  RequestHeader header = Begin(rig, 4097);
  REQUIRE(rig.Serve().ok());
  std::vector<Answer> answers = rig.client().Take();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].code() == Code::kInvalidArgument);
  CHECK(answers[0].execution() == Execution::kNotStarted);
  CHECK(answers[0].header.sequence == header.sequence);
  CHECK(rig.budget().used() == 0);
  // Its other records are dropped, and the channel goes on.
  header.flags = ipc::kRecordContinuation | ipc::kRecordMore;
  rig.client().Send(header, "yyyy");
  header.flags = ipc::kRecordContinuation;
  rig.client().Send(header, "zzzz");
  REQUIRE(rig.Serve().ok());
  CHECK(rig.client().Take().empty());
  CHECK(rig.Ask(ipc::kOpPing, 0).code() == Code::kOk);
}

TEST_CASE("unfinished messages share the session's budget, and give it back") {
  ChannelRig rig({.max_message_bytes = 64 * kKiB, .budget_bytes = 100'000});
  const RequestHeader first = Begin(rig, 60'000);
  REQUIRE(rig.Serve().ok());
  CHECK(rig.budget().used() == 60'000);
  RequestHeader second = Begin(rig, 60'000);
  REQUIRE(rig.Serve().ok());
  std::vector<Answer> answers = rig.client().Take();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].header.call_id == second.call_id);
  CHECK(answers[0].code() == Code::kResourceExhausted);
  CHECK(answers[0].execution() == Execution::kNotStarted);
  CHECK(rig.budget().used() == 60'000);
  rig.client().Send(rig.client().Note(ipc::kOpCancel, first.call_id));
  REQUIRE(rig.Serve().ok());
  CHECK(rig.budget().used() == 0);
  Begin(rig, 60'000);
  REQUIRE(rig.Serve().ok());
  CHECK(rig.budget().used() == 60'000);
  rig.EndServer();
  CHECK(rig.budget().used() == 0);
}

TEST_CASE("sixteen messages may be incomplete at once, the seventeenth ends the session") {
  ChannelRig rig;
  for (std::uint32_t i = 0; i < ipc::kMaxOpenMessages; ++i) Begin(rig, 100);
  REQUIRE(rig.Serve().ok());
  Begin(rig, 100);
  CheckBroken(rig.Serve(), "more than 16 messages are incomplete");
}

TEST_CASE("long messages that break their own rules end the session") {
  ChannelRig rig;
  RequestHeader header = rig.client().Header(ipc::kOpCall, kEcho);
  SUBCASE("a continuation of nothing") {
    header.flags = ipc::kRecordContinuation;
    rig.client().Send(header, "x");
    CheckBroken(rig.Serve(), "continues a message");
  }
  SUBCASE("no room for the announcement") {
    header.flags = ipc::kRecordMore;
    rig.client().Send(header, "1234567");
    CheckBroken(rig.Serve(), "does not begin with its length");
  }
  SUBCASE("a second beginning") {
    header = Begin(rig, 100);
    ++header.sequence;
    rig.client().Send(header, Announcement(100));
    CheckBroken(rig.Serve(), "begins again");
  }
  SUBCASE("more bytes than announced") {
    header = Begin(rig, 3);
    header.flags = ipc::kRecordContinuation;
    rig.client().Send(header, "xyz");
    CheckBroken(rig.Serve(), "longer than it announced");
  }
  SUBCASE("fewer bytes than announced") {
    header = Begin(rig, 3);
    header.flags = ipc::kRecordContinuation;
    rig.client().Send(header, "x");
    CheckBroken(rig.Serve(), "shorter than it announced");
  }
  SUBCASE("an empty record in the middle") {
    header = Begin(rig, 3);
    header.flags = ipc::kRecordContinuation | ipc::kRecordMore;
    rig.client().Send(header);
    CheckBroken(rig.Serve(), "than it announced");
  }
  SUBCASE("another operation") {
    header = Begin(rig, 3);
    header.flags = ipc::kRecordContinuation;
    header.opcode = ipc::kOpSet;
    rig.client().Send(header, "xy");
    CheckBroken(rig.Serve(), "continues a message");
  }
  SUBCASE("another target") {
    header = Begin(rig, 3);
    header.flags = ipc::kRecordContinuation;
    ++header.target;
    rig.client().Send(header, "xy");
    CheckBroken(rig.Serve(), "continues a message");
  }
  SUBCASE("another sequence") {
    header = Begin(rig, 3);
    header.flags = ipc::kRecordContinuation;
    ++header.sequence;
    rig.client().Send(header, "xy");
    CheckBroken(rig.Serve(), "continues a message");
  }
}

// --------------------------------------------------------------------------------- long responses
TEST_CASE("an answer longer than its space waits for credit and comes in order") {
  ChannelRig rig;
  const std::string request = Random(RunSeed()).Bytes(6000);
  const RequestHeader header = rig.client().Header(ipc::kOpCall, kEcho);
  SendLong(rig, header, request);
  std::string got;
  std::uint64_t announced = 0;
  bool done = false;
  int rounds = 0;
  while (!done) {
    REQUIRE(++rounds < 100);
    std::uint64_t used = 0;
    for (const Answer& answer : rig.client().Take()) {
      used += ipc::RecordBytes(answer.payload.size());
      std::string_view payload = answer.payload;
      CHECK(((answer.header.flags & ipc::kRecordContinuation) != 0) == (announced != 0));
      if (announced == 0) {
        std::memcpy(&announced, payload.data(), sizeof(announced));
        payload.remove_prefix(sizeof(announced));
      }
      got += payload;
      done = !answer.more();
      CHECK(answer.code() == Code::kOk);
      CHECK(answer.execution() == (done ? Execution::kDone : Execution::kNotStarted));
    }
    CHECK(used <= ipc::kMinResponseSpace);
    if (done) break;
    // Without credit not a byte more comes.
    REQUIRE(rig.Ask(ipc::kOpPing, 0).header.opcode == ipc::kOpPing);
    rig.client().Send(rig.client().Note(ipc::kOpCredit, header.call_id, ipc::kMinResponseSpace));
    REQUIRE(rig.Serve().ok());
  }
  CHECK(announced == request.size());
  CHECK(got == request);
  CHECK(rig.budget().used() == 0);
}

TEST_CASE("an answer that exactly fills its space comes as one record") {
  ChannelRig rig;
  const std::string request(1024 - ipc::kRecordHeaderBytes, 'r');
  RequestHeader header = rig.client().Header(ipc::kOpCall, kEcho);
  header.response_space = 1024;
  CHECK(rig.Ask(header, request).payload == request);
  header = rig.client().Header(ipc::kOpCall, kEcho);
  header.response_space = 1024;
  CHECK(rig.Ask(header, request + "r").more());
}

TEST_CASE("answers that wait for credit count against the session's budget") {
  ChannelRig rig({.budget_bytes = 5000});
  const std::string request(3000, 'r');
  CHECK(rig.Ask(ipc::kOpCall, kEcho, request).more());
  CHECK(rig.budget().used() == 3000);
  const Answer refused = rig.Ask(ipc::kOpCall, kEcho, request);
  CHECK(refused.code() == Code::kResourceExhausted);
  CHECK(refused.execution() == Execution::kDone);
  rig.EndServer();
  CHECK(rig.budget().used() == 0);
}

TEST_CASE("credit for nothing is ignored, however much it is") {
  ChannelRig rig;
  rig.client().Send(rig.client().Note(ipc::kOpCredit, 77, ~0U));
  CHECK(rig.Ask(ipc::kOpPing, 0).code() == Code::kOk);
}

// ---------------------------------------------------------------------------------------
// cancelling
TEST_CASE("a cancel of something that is not open is ignored") {
  ChannelRig rig;
  const Answer ping = rig.Ask(ipc::kOpPing, 0);
  rig.client().Send(rig.client().Note(ipc::kOpCancel, ping.header.call_id));
  rig.client().Send(rig.client().Note(ipc::kOpCancel, 4711));
  REQUIRE(rig.Serve().ok());
  CHECK(rig.client().Take().empty());
  CHECK(rig.Ask(ipc::kOpPing, 0).code() == Code::kOk);
}

TEST_CASE("a cancel of a half-received message answers that message, and its id is free again") {
  ChannelRig rig;
  RequestHeader header = rig.client().Header(ipc::kOpSet, 1);
  header.flags = ipc::kRecordMore;
  rig.client().Send(header, Announcement(5000) + std::string(100, 'x'));
  rig.client().Send(rig.client().Note(ipc::kOpCancel, header.call_id));
  REQUIRE(rig.Serve().ok());
  const std::vector<Answer> answers = rig.client().Take();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].code() == Code::kCancelled);
  CHECK(answers[0].execution() == Execution::kNotStarted);
  // A client that follows the protocol ignores an answer with another sequence.
  CHECK(answers[0].header.call_id == header.call_id);
  CHECK(answers[0].header.sequence == header.sequence);
  CHECK(answers[0].header.opcode == header.opcode);
  CHECK(rig.budget().used() == 0);
  RequestHeader again = rig.client().Header(ipc::kOpPing);
  again.call_id = header.call_id;
  CHECK(rig.Ask(again).code() == Code::kOk);
}

TEST_CASE("a cancel of a message that was refused already does not answer it twice") {
  ChannelRig rig({.max_message_bytes = 4096});
  const RequestHeader header = Begin(rig, 5000);
  REQUIRE(rig.Serve().ok());
  REQUIRE(rig.client().Take().size() == 1);
  rig.client().Send(rig.client().Note(ipc::kOpCancel, header.call_id));
  REQUIRE(rig.Serve().ok());
  CHECK(rig.client().Take().empty());
}

TEST_CASE("a cancel ends a long answer with a record that says so") {
  ChannelRig rig;
  const Answer first = rig.Ask(ipc::kOpCall, kEcho, std::string(3000, 'r'));
  REQUIRE(first.more());
  rig.client().Send(rig.client().Note(ipc::kOpCancel, first.header.call_id));
  REQUIRE(rig.Serve().ok());
  const std::vector<Answer> answers = rig.client().Take();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].header.flags == ipc::kRecordContinuation);
  CHECK(answers[0].code() == Code::kCancelled);
  CHECK(answers[0].header.sequence == first.header.sequence);
  CHECK(rig.budget().used() == 0);
}

}  // namespace
}  // namespace hearth::testing
