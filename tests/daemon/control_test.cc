// Control: in which order sessions end, what a user may hold, and who is shown the door when.
#include "daemon/control.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "tests/daemon/control_rig.h"
#include "tests/daemon/service_rig.h"
#include "tests/support/stop_point.h"

namespace hearth::testing {
namespace {

constexpr const char* kExecuting = "daemon.before_responses";
constexpr const char* kNoOrigin = "error RESOURCE_EXHAUSTED: all 1 channels are taken";

// Room for one channel, so that a second session gets in when the first one's origin is free.
constexpr std::size_t kOneOrigin = 2;

bool StartsWith(const std::string& text, const std::string& front) {
  return text.starts_with(front);
}

// A session whose writer thread stands in the middle of a request that it has executed.
struct Executing {
  explicit Executing(ControlRig& rig, bool breaks = false) {
    std::string told;
    peer = rig.Join(&told);
    REQUIRE(told == "welcome");
    stop = std::make_unique<StopPoint>(kExecuting);
    if (breaks) {
      // Both are there before the writer thread looks: it serves the first and stumbles over the
      // second.
      peer->ring().Append(peer->ring().Header(ipc::kOpSet, kDefault), SetPayload("k", "v"));
      ipc::RequestHeader broken = peer->ring().Header(ipc::kOpPing);
      broken.sequence = 1;
      peer->ring().Append(broken);
      peer->ring().Publish();
    } else {
      peer->ring().Send(ipc::kOpSet, kDefault, SetPayload("k", "v"));
    }
    stop->AwaitStop();
  }
  // The executed request is answered, and its bytes are given back: what the client may conclude
  // from `ended`.
  void CheckAnswered() {
    const auto answers = peer->ring().Take();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].code() == Code::kOk);
    CHECK(peer->ring().control().request_head.LoadRelaxed() > 0);
  }

  std::unique_ptr<ControlPeer> peer;
  std::unique_ptr<StopPoint> stop;
};

// Nobody gets the session's origin while the writer thread is at it; then everybody may.
void CheckOriginIsHeld(ControlRig& rig) {
  std::string told;
  rig.Join(&told);
  CHECK(told == kNoOrigin);
}
void AwaitFreeOrigin(ControlRig& rig) {
  std::string told;
  auto next = rig.Join(&told);
  while (told == kNoOrigin) next = rig.Join(&told);
  REQUIRE(told == "welcome");
  REQUIRE(AskOk(next->ring(), ipc::kOpSet, kDefault, SetPayload("k", "w")));
}

TEST_CASE("after a bad packet the client is told when the writer thread has let go, not before") {
  ControlRig rig({.origins = kOneOrigin});
  Executing first(rig);
  REQUIRE(first.peer->SendRaw("garbage"));
  rig.Settle();
  CHECK(first.peer->Told().empty());
  CheckOriginIsHeld(rig);
  first.stop->Release();
  CHECK(StartsWith(rig.Await(*first.peer), "ended INVALID_ARGUMENT: "));
  first.CheckAnswered();
  CHECK(rig.Await(*first.peer) == "closed");
  AwaitFreeOrigin(rig);
}

TEST_CASE("what a client sends after a bad packet is not heard") {
  ControlRig rig;
  Executing first(rig);
  REQUIRE(first.peer->SendRaw("garbage"));
  rig.Settle();
  REQUIRE(first.peer->SendRaw(
      *ipc::EncodeClientMessage({.request_id = 9, .body = ipc::OpenNamespace{"default"}})));
  rig.Settle();
  CHECK(first.peer->Told().empty());
  first.stop->Release();
  CHECK(StartsWith(rig.Await(*first.peer), "ended INVALID_ARGUMENT: "));
  CHECK(rig.Await(*first.peer) == "closed");
}

TEST_CASE("rings that break are told when the writer thread has let go, not before") {
  ControlRig rig({.origins = kOneOrigin});
  Executing first(rig, /*breaks=*/true);
  rig.Settle();
  CHECK(first.peer->Told().empty());
  CheckOriginIsHeld(rig);
  first.stop->Release();
  CHECK(StartsWith(rig.Await(*first.peer), "ended DATA_LOSS: "));
  first.CheckAnswered();
  CHECK(rig.Await(*first.peer) == "closed");
  AwaitFreeOrigin(rig);
}

TEST_CASE("a session that breaks its rings while it is being ended is told the first reason") {
  ControlRig rig({.origins = kOneOrigin});
  Executing first(rig, /*breaks=*/true);
  REQUIRE(first.peer->SendRaw("garbage"));
  rig.Settle();
  CHECK(first.peer->Told().empty());
  first.stop->Release();
  CHECK(StartsWith(rig.Await(*first.peer), "ended INVALID_ARGUMENT: "));
  AwaitFreeOrigin(rig);
  rig.Settle();  // the writer thread's second answer finds nothing, and ends nobody
  AwaitFreeOrigin(rig);
}

TEST_CASE("a client that has gone keeps its origin until the writer thread lets go") {
  ControlRig rig({.origins = kOneOrigin});
  Executing first(rig);
  first.peer.reset();
  rig.Settle();
  CheckOriginIsHeld(rig);
  first.stop->Release();
  AwaitFreeOrigin(rig);
}

TEST_CASE("at the end everybody is told, also those whose writer thread never answered") {
  ControlRig rig({.serve = false});
  std::string told;
  const auto broken = rig.Join(&told);
  const auto good = rig.Join(&told);
  const auto silent = rig.Connect();
  REQUIRE(broken->SendRaw("garbage"));
  rig.Settle();
  CHECK(broken->Told().empty());
  rig.service().Stop();
  rig.control().EndAll(Error(Code::kUnavailable, "hearthd is stopping"));
  CHECK(StartsWith(broken->Told(), "ended INVALID_ARGUMENT: "));
  CHECK(good->Told() == "ended UNAVAILABLE: hearthd is stopping");
  CHECK(silent->Told() == "ended UNAVAILABLE: hearthd is stopping");
  for (const auto* peer : {&broken, &good, &silent}) CHECK((*peer)->Told() == "closed");
}

// ----------------------------------------------------------------------------------------- memory
TEST_CASE("a uid that holds its memory gets no session more, until the writer thread lets go") {
  const std::uint64_t one = ipc::SessionRegion::BytesOf(
      {.session_id = 1, .channels = 1, .touch_entries = 512, .pins = 64});
  ControlRig rig({.limits = {.memory_bytes_per_uid = 2 * one - 1}});
  const std::string refused = fmt::format(
      "error RESOURCE_EXHAUSTED: uid {} (limits.memory_per_uid) holds {} of {} bytes, {} more do "
      "not fit",
      ::geteuid(), one, 2 * one - 1, one);
  std::string told;
  Executing first(rig);
  rig.Join(&told);
  CHECK(told == refused);
  first.peer.reset();
  rig.Settle();
  rig.Join(&told);
  CHECK(told == refused);
  first.stop->Release();
  auto next = rig.Join(&told);
  while (told == refused) next = rig.Join(&told);
  CHECK(told == "welcome");
}

TEST_CASE("the size of a region is known before it is made") {
  for (const std::uint32_t channels : {1U, 3U, 16U}) {
    const ipc::SessionGeometry geometry{
        .session_id = 1, .channels = channels, .touch_entries = 512, .pins = 64};
    CHECK(ipc::SessionRegion::Create(geometry)->bytes() == ipc::SessionRegion::BytesOf(geometry));
  }
}

// ------------------------------------------------------------------------------------------ hello
TEST_CASE("a connection without a handshake is closed after the time-out, one with it is not") {
  ControlRig rig({.limits = {.hello_timeout_ms = 1000}});
  std::string told;
  const auto session = rig.Join(&told);
  REQUIRE(told == "welcome");
  const auto watcher = rig.Connect();
  watcher->Hello(/*channels=*/0);
  REQUIRE(rig.Await(*watcher) == "welcome");
  const auto first = rig.Connect();
  const auto second = rig.Connect();
  const std::string reason =
      "ended DEADLINE_EXCEEDED: no handshake within 1 s (limits.hello_timeout)";
  CHECK(rig.Await(*first) == reason);
  CHECK(rig.Await(*second) == reason);
  CHECK(rig.Await(*first) == "closed");
  CHECK(session->Told().empty());
  CHECK(watcher->Told().empty());
  CHECK(AskOk(session->ring(), ipc::kOpPing, 0, ""));
  // The timer begins anew for those who come later.
  CHECK(rig.Await(*rig.Connect()) == reason);
}

// A connection as a uid that no rule matches; none without the right to be somebody else.
std::unique_ptr<ControlPeer> ConnectAsStranger(ControlRig& rig) {
  if (::geteuid() != 0) return rig.Connect();
  REQUIRE(::seteuid(65534) == 0);
  auto peer = rig.Connect();
  REQUIRE(::seteuid(0) == 0);
  return peer;
}

TEST_CASE("a peer without any right is told so before it has said anything") {
  daemon::PolicyRule other;
  other.uid = 65533;
  other.stores = {"*"};
  ControlRig rig({.limits = {.hello_timeout_ms = 1000}, .policy = {other}});
  const auto told = [](uid_t uid) {
    return fmt::format("ended PERMISSION_DENIED: hearthd's policy gives uid {} no rights", uid);
  };
  const uid_t stranger = ::geteuid() == 0 ? 65534 : ::geteuid();
  const auto silent = ConnectAsStranger(rig);
  CHECK(rig.Await(*silent) == told(stranger));
  const auto talker = ConnectAsStranger(rig);
  CHECK(rig.Await(*talker) == told(stranger));
  // Its hello is taken and not read: it gets no other answer, and finds no broken connection.
  talker->Hello();
  CHECK(rig.Await(*talker) == "closed");
  // Whoever says nothing is closed as well.
  CHECK(rig.Await(*silent) == "closed");
}

}  // namespace
}  // namespace hearth::testing
