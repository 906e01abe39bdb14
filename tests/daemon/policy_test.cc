// Who may do what; and for how long the writer thread spins.
#include "daemon/policy.h"

#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/fd.h"
#include "core/module/method_registry.h"
#include "daemon/builtin_methods.h"
#include "daemon/spin_policy.h"

namespace hearth::daemon {
namespace {

constexpr uid_t kOwn = 500;
constexpr gid_t kSocketGroup = 600;
constexpr uid_t kStranger = 7000;

PolicyRule Rule(std::optional<uid_t> uid, std::optional<gid_t> gid) {
  PolicyRule rule;
  rule.uid = uid;
  rule.gid = gid;
  return rule;
}

Rights RightsOf(const std::vector<PolicyRule>& rules, uid_t uid, std::vector<gid_t> gids) {
  return Policy(rules, kOwn, kSocketGroup)
      .RightsOf({.pid = 1, .uid = uid, .gids = std::move(gids)});
}

bool MayNothing(const Rights& rights) {
  return rights.MayNothing() && !rights.MayAttach("default") && !rights.MayWrite("default") &&
         !rights.MayCall("hearth.echo") && !rights.MayAdminister();
}
bool MayEverything(const Rights& rights) {
  return !rights.MayNothing() && rights.MayAttach("any") && rights.MayWrite("any") &&
         rights.MayCall("any") && rights.MayAdminister();
}

TEST_CASE("without rules the daemon's user and root may do everything, strangers nothing") {
  CHECK(MayEverything(RightsOf({}, kOwn, {1})));
  CHECK(MayEverything(RightsOf({}, 0, {0})));
  CHECK(MayNothing(RightsOf({}, kStranger, {kStranger})));
}

TEST_CASE("without rules the socket's group may use the store 'default' and not administer") {
  for (const std::vector<gid_t>& gids :
       {std::vector<gid_t>{kSocketGroup}, std::vector<gid_t>{1, 2, kSocketGroup}}) {
    const Rights rights = RightsOf({}, kStranger, gids);
    CHECK(rights.MayAttach("default"));
    CHECK_FALSE(rights.MayAttach("other"));
    CHECK(rights.MayWrite("any"));
    CHECK(rights.MayCall("any"));
    CHECK_FALSE(rights.MayAdminister());
  }
}

TEST_CASE("a socket of group 0 opens nothing to the other members of that group") {
  const Rights rights = Policy({}, kOwn, 0).RightsOf({.pid = 1, .uid = kStranger, .gids = {0}});
  CHECK(MayNothing(rights));
}

TEST_CASE("with rules only they count, and root needs none") {
  PolicyRule rule = Rule(kStranger, std::nullopt);
  rule.stores = {"default"};
  CHECK(MayNothing(RightsOf({rule}, kOwn, {kOwn})));
  CHECK(MayNothing(RightsOf({rule}, 7001, {kSocketGroup})));
  CHECK(MayEverything(RightsOf({rule}, 0, {})));
  CHECK(RightsOf({rule}, kStranger, {}).MayAttach("default"));
}

TEST_CASE("each right is given by its own list, and only by name or star") {
  PolicyRule rule = Rule(kStranger, std::nullopt);
  rule.stores = {"s"};
  rule.write = {"a", "b"};
  rule.call = {"m.*"};
  const Rights rights = RightsOf({rule}, kStranger, {});
  CHECK(rights.MayAttach("s"));
  CHECK_FALSE(rights.MayAttach("a"));
  CHECK(rights.MayWrite("a"));
  CHECK(rights.MayWrite("b"));
  CHECK_FALSE(rights.MayWrite("s"));
  CHECK_FALSE(rights.MayWrite("A"));
  CHECK_FALSE(rights.MayWrite(""));
  // A star stands alone.
  CHECK_FALSE(rights.MayCall("m.x"));
  CHECK_FALSE(rights.MayAdminister());
}

TEST_CASE("any right at all is more than nothing, and a rule without rights is not") {
  PolicyRule rule = Rule(kStranger, std::nullopt);
  CHECK(RightsOf({rule}, kStranger, {}).MayNothing());
  for (auto* list : {&rule.stores, &rule.write, &rule.call}) {
    list->push_back("x");
    CHECK_FALSE(RightsOf({rule}, kStranger, {}).MayNothing());
    list->clear();
  }
  rule.admin = true;
  CHECK_FALSE(RightsOf({rule}, kStranger, {}).MayNothing());
}

TEST_CASE("a rule with uid and gid needs both") {
  PolicyRule rule = Rule(kStranger, 42);
  rule.admin = true;
  CHECK_FALSE(RightsOf({rule}, kStranger, {1}).MayAdminister());
  CHECK_FALSE(RightsOf({rule}, 7001, {42}).MayAdminister());
  CHECK(RightsOf({rule}, kStranger, {42}).MayAdminister());
}

TEST_CASE("a rule for a group matches supplementary groups") {
  PolicyRule rule = Rule(std::nullopt, 42);
  rule.admin = true;
  CHECK(RightsOf({rule}, kStranger, {1, 2, 42}).MayAdminister());
  CHECK_FALSE(RightsOf({rule}, kStranger, {1, 2}).MayAdminister());
  CHECK_FALSE(RightsOf({rule}, 42, {}).MayAdminister());
}

TEST_CASE("a peer gets the union of the rules that match it") {
  PolicyRule first = Rule(kStranger, std::nullopt);
  first.stores = {"s"};
  first.write = {"a"};
  PolicyRule second = Rule(std::nullopt, 42);
  second.write = {"b"};
  second.admin = true;
  PolicyRule other = Rule(7001, std::nullopt);
  other.write = {"c"};
  const Rights rights = RightsOf({first, second, other}, kStranger, {42});
  CHECK(rights.MayAttach("s"));
  CHECK(rights.MayWrite("a"));
  CHECK(rights.MayWrite("b"));
  CHECK_FALSE(rights.MayWrite("c"));
  CHECK(rights.MayAdminister());
}

TEST_CASE("the groups of a peer come from the kernel, however many they are") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  const UniqueFd first(ends[0]);
  const UniqueFd second(ends[1]);
  std::vector<gid_t> mine(static_cast<std::size_t>(::getgroups(0, nullptr)));
  REQUIRE(::getgroups(static_cast<int>(mine.size()), mine.data()) == static_cast<int>(mine.size()));
  std::vector<gid_t> theirs = PeerGroups(first.get());
  std::sort(mine.begin(), mine.end());
  std::sort(theirs.begin(), theirs.end());
  CHECK(theirs == mine);
  CHECK(PeerGroups(-1).empty());
}

TEST_CASE("more groups than fit at first are read whole") {
  if (::geteuid() != 0) return;  // only root may give itself groups
  std::vector<gid_t> before(static_cast<std::size_t>(::getgroups(0, nullptr)));
  REQUIRE(::getgroups(static_cast<int>(before.size()), before.data()) >= 0);
  std::vector<gid_t> many(300);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<gid_t>(1000 + i);
  REQUIRE(::setgroups(many.size(), many.data()) == 0);
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  REQUIRE(::setgroups(before.size(), before.data()) == 0);
  const UniqueFd first(ends[0]);
  const UniqueFd second(ends[1]);
  std::vector<gid_t> theirs = PeerGroups(first.get());
  std::sort(theirs.begin(), theirs.end());
  CHECK(theirs == many);
}

// ------------------------------------------------------------------------------------- spin policy
TEST_CASE("a quiet daemon spins only for the hand-over of one caller") {
  CHECK(SpinPolicy().BoundNs() == SpinPolicy::kMinSpinNs);
}

TEST_CASE(
    "spinning begins when requests come faster than a wake-up costs, and ends when they do not") {
  SpinPolicy policy;
  int bursts = 0;
  while (policy.BoundNs() == SpinPolicy::kMinSpinNs && bursts < 1000) {
    policy.OnGap(2'000);
    ++bursts;
  }
  CHECK(policy.BoundNs() == 2 * SpinPolicy::kWakeCostNs);
  CHECK(bursts > 1);    // one short gap proves nothing
  CHECK(bursts < 100);  // and it does not take long to learn
  int pauses = 0;
  while (policy.BoundNs() != SpinPolicy::kMinSpinNs && pauses < 1000) {
    policy.OnGap(1'000'000);
    ++pauses;
  }
  CHECK(pauses > 0);
  CHECK(pauses < 20);
}

TEST_CASE("one night's sleep is forgotten as fast as one long gap") {
  SpinPolicy night;
  SpinPolicy gap;
  for (SpinPolicy* policy : {&night, &gap})
    for (int i = 0; i < 100; ++i) policy->OnGap(1'000);
  night.OnGap(8 * 3600 * 1'000'000'000ULL);
  gap.OnGap(8 * SpinPolicy::kWakeCostNs);
  CHECK(night.BoundNs() == gap.BoundNs());
  for (int i = 0; i < 100; ++i) night.OnGap(1'000);
  CHECK(night.BoundNs() == 2 * SpinPolicy::kWakeCostNs);
}

// ----------------------------------------------------------------------------------------- methods
TEST_CASE("the built-in methods are registered once and found by name and id") {
  module::MethodRegistry methods;
  REQUIRE(RegisterBuiltinMethods(&methods).ok());
  const std::uint32_t id = methods.FindId("hearth.echo");
  REQUIRE(id == 1);
  CHECK(methods.Find(id)->name == "hearth.echo");
  CHECK(methods.FindId("hearth.ech") == 0);
  CHECK(methods.FindId("") == 0);
  CHECK(methods.Find(0) == nullptr);
  CHECK(methods.Find(2) == nullptr);
  CHECK(RegisterBuiltinMethods(&methods).code() == Code::kAlreadyExists);
  CHECK(methods.Register("", nullptr).status().code() == Code::kInvalidArgument);
  CHECK(methods.size() == 1);
}

}  // namespace
}  // namespace hearth::daemon
