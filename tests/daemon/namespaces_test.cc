// Namespaces that come and go under a running Control: who may, what sessions may write afterwards.
#include <string>

#include <doctest/doctest.h>

#include "tests/daemon/control_rig.h"
#include "tests/daemon/service_rig.h"
#include "tests/support/stop_point.h"

namespace hearth::testing {
namespace {

ipc::ClientMessage Create(const std::string& name) {
  return {.request_id = 0, .body = ipc::CreateNamespace{{.name = name}}};
}
ipc::ClientMessage Drop(const std::string& name) {
  return {.request_id = 0, .body = ipc::DropNamespace{name}};
}
ipc::ClientMessage Open(const std::string& name) {
  return {.request_id = 0, .body = ipc::OpenNamespace{name}};
}

std::string Asked(ControlRig& rig, ControlPeer& peer, const ipc::ClientMessage& message) {
  peer.Ask(message);
  return rig.Await(peer);
}

Code SetThrough(ControlPeer& peer, std::uint32_t handle) {
  peer.ring().Send(ipc::kOpSet, handle, SetPayload("k", "v"));
  std::vector<Answer> answers;
  WaitUntil([&] { return !(answers = peer.ring().Take()).empty(); });
  return answers[0].code();
}

TEST_CASE("a namespace made at run time is opened, written and dropped by running sessions") {
  ControlRig rig;
  std::string told;
  const auto peer = rig.Join(&told);
  CHECK(Asked(rig, *peer, Open("made")).starts_with("error NOT_FOUND: no namespace 'made'"));
  CHECK(SetThrough(*peer, 2) == Code::kNotFound);
  CHECK(Asked(rig, *peer, Create("made")) == "namespace made");
  CHECK(Asked(rig, *peer, Open("made")) == "opened 0x2 true");
  CHECK(SetThrough(*peer, 2) == Code::kOk);
  CHECK(Asked(rig, *peer, Drop("made")) == "namespace made");
  CHECK(SetThrough(*peer, 2) == Code::kNotFound);
}

TEST_CASE("rights go by name: an id that got another namespace gives nobody its former rights") {
  const daemon::Policy policy(
      {{.uid = 5, .gid = {}, .stores = {}, .write = {"mine"}, .call = {}, .admin = false}}, 1, 0);
  ChannelRig rig({.session = {.rights = policy.RightsOf({.pid = 1, .uid = 5, .gids = {5}})},
                  .store = {.namespace_capacity = 4}});
  cache::StoreWriter& writer = rig.store().writer();
  const auto set = [&](std::uint32_t handle) {
    return rig.Ask(ipc::kOpSet, handle, SetPayload("k", "v")).code();
  };
  for (std::uint32_t incarnation = 0; incarnation < 4; ++incarnation) {
    CAPTURE(incarnation);
    const bool mine = incarnation % 2 == 0;
    const std::uint16_t id = rig.store().Namespace(mine ? "mine" : "yours");
    const std::uint32_t handle = cache::MakeNamespaceHandle(3, incarnation);
    REQUIRE(writer.HandleOf(id) == handle);
    CHECK(set(handle) == (mine ? Code::kOk : Code::kPermissionDenied));
    CHECK(set(handle) == (mine ? Code::kOk : Code::kPermissionDenied));
    CHECK(set(cache::MakeNamespaceHandle(3, incarnation + 1)) == Code::kNotFound);
    if (incarnation > 0)
      CHECK(set(cache::MakeNamespaceHandle(3, incarnation - 1)) == Code::kNotFound);
    REQUIRE(writer.DropNamespace(id).ok());
    CHECK(set(handle) == Code::kNotFound);
  }
}

TEST_CASE("an id that got another namespace is not written through the former handle") {
  ControlRig rig({.max_namespaces = 3});
  std::string told;
  const auto peer = rig.Join(&told);
  CHECK(Asked(rig, *peer, Create("first")) == "namespace first");
  CHECK(SetThrough(*peer, 2) == Code::kOk);
  CHECK(Asked(rig, *peer, Create("more")).starts_with("error RESOURCE_EXHAUSTED"));
  CHECK(Asked(rig, *peer, Drop("first")) == "namespace first");
  CHECK(Asked(rig, *peer, Create("second")) == "namespace second");
  CHECK(Asked(rig, *peer, Open("second")) == "opened 0x10002 true");
  CHECK(SetThrough(*peer, 2) == Code::kNotFound);
  CHECK(SetThrough(*peer, 0x10002) == Code::kOk);
  CHECK(SetThrough(*peer, 0x20002) == Code::kNotFound);
}

TEST_CASE("changes are refused with their reasons, and change nothing") {
  ControlRig rig;
  std::string told;
  const auto peer = rig.Join(&told);
  CHECK(Asked(rig, *peer, Create("default")) ==
        "error ALREADY_EXISTS: namespace 'default' exists already");
  CHECK(Asked(rig, *peer, Create(std::string(64, 'n'))).starts_with("error INVALID_ARGUMENT"));
  CHECK(Asked(rig, *peer, Create(std::string(1000, 'n'))).starts_with("error INVALID_ARGUMENT"));
  CHECK(Asked(rig, *peer, Create("a\nb")).starts_with("error INVALID_ARGUMENT: 'a?b' is not"));
  CHECK(Asked(rig, *peer, Drop("nobody")) == "error NOT_FOUND: no namespace 'nobody'");
  for (const std::uint32_t fields : {1U, 1U << 8U, 0x80000000U}) {
    CHECK(Asked(rig, *peer,
                {.request_id = 0, .body = ipc::AlterNamespace{{.name = "default"}, fields}})
              .starts_with("error INVALID_ARGUMENT: this hearthd does not know"));
  }
}

TEST_CASE("all namespaces are listed, a packet at a time, and some of them reported") {
  ControlRig rig;
  std::string told;
  const auto peer = rig.Join(&told);
  for (int i = 0; i < 600; ++i) {
    const std::string name = fmt::format("{:063}", i);
    REQUIRE(Asked(rig, *peer, Create(name)) == "namespace " + name);
  }
  const auto list = [&](std::uint16_t from) {
    return Asked(rig, *peer, {.request_id = 0, .body = ipc::ListNamespaces{from}});
  };
  CHECK(list(0) == "list 256 257");
  CHECK(list(257) == "list 256 513");
  CHECK(list(513) == "list 89 0");
  CHECK(list(602) == "list 0 0");
  const ipc::StoreStatus report = rig.service().Report();
  CHECK(report.namespaces.size() == 256);
  CHECK(report.namespaces_omitted == 345);
}

TEST_CASE("who leaves while the writer thread changes a namespace is not answered") {
  ControlRig rig;
  std::string told;
  auto peer = rig.Join(&told);
  StopPoint stop("namespace.before_live");
  peer->Ask(Create("made"));
  rig.Settle();
  stop.AwaitStop();
  peer.reset();
  rig.Settle();
  stop.Release();
  const auto other = rig.Join(&told);
  while (!rig.service().FindNamespace("made")) rig.Settle();
  rig.Settle();
  CHECK(Asked(rig, *other, Open("made")) == "opened 0x2 true");
}

}  // namespace
}  // namespace hearth::testing
