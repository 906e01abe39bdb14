// What hearthd keeps about each uid: how much it may hold, and make it log.
#include "daemon/users.h"

#include <memory>

#include <doctest/doctest.h>

namespace hearth::daemon {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST_CASE("log limit: the first lines pass, then one each interval") {
  LogLimit limit(3, 10 * kSecond);
  std::uint64_t now = 1000 * kSecond;
  for (int i = 0; i < 3; ++i) CHECK(limit.Admit(now));
  for (int i = 0; i < 5; ++i) CHECK_FALSE(limit.Admit(now));
  CHECK(limit.suppressed() == 5);
  CHECK_FALSE(limit.Admit(now + 10 * kSecond - 1));
  now += 10 * kSecond;
  CHECK(limit.Admit(now));
  CHECK(limit.TakeSuppressed() == 6);
  CHECK(limit.TakeSuppressed() == 0);
  CHECK_FALSE(limit.Admit(now + kSecond));
  // However often it is asked meanwhile, an interval is an interval.
  for (std::uint64_t second = 2; second < 10; ++second)
    CHECK_FALSE(limit.Admit(now + second * kSecond));
  CHECK(limit.Admit(now + 10 * kSecond));
}

TEST_CASE("log limit: a quiet time gives the first lines back, and no more than those") {
  LogLimit limit(3, 10 * kSecond);
  CHECK(limit.IsFresh(0));
  for (int i = 0; i < 3; ++i) CHECK(limit.Admit(0));
  CHECK_FALSE(limit.IsFresh(29 * kSecond));
  CHECK(limit.IsFresh(30 * kSecond));
  for (int i = 0; i < 3; ++i) CHECK(limit.Admit(1'000'000 * kSecond));
  CHECK_FALSE(limit.Admit(1'000'000 * kSecond));
  CHECK_FALSE(limit.IsFresh(2'000'000 * kSecond));  // somebody has to tell what was suppressed
  limit.TakeSuppressed();
  CHECK(limit.IsFresh(2'000'000 * kSecond));
}

TEST_CASE("users: a uid is one user while anybody holds it") {
  Users users(1000);
  const auto first = users.Of(7, 0);
  CHECK(users.Of(7, 0) == first);
  CHECK(users.Of(8, 0) != first);
  CHECK(first->uid == 7);
  CHECK(first->memory.limit() == 1000);
  CHECK(first->memory.Refusal(1).message().starts_with("uid 7 (limits.memory_per_uid) holds 0 "));
}

TEST_CASE("users: those with nothing to remember are forgotten, and only those") {
  Users users(1000);
  const auto held = users.Of(1, 0);
  CHECK(held->memory.TryTake(10));
  users.Of(2, 0)->refusals.Admit(0);
  while (users.Of(2, 0)->refusals.Admit(0)) {
  }
  for (uid_t uid = 100; uid < 10'000; ++uid) users.Of(uid, 0);
  CHECK(users.size() < 1000);
  CHECK(users.Of(1, 0) == held);
  CHECK(users.Of(2, 0)->refusals.suppressed() == 1);
}

TEST_CASE("users: what was suppressed is told within the limit, or in any case at the end") {
  Users users(1000);
  const auto user = users.Of(7, 0);
  while (user->refusals.Admit(0)) {
  }
  CHECK(users.ReportSuppressed(0, /*all=*/false));
  CHECK(user->refusals.suppressed() == 1);
  SUBCASE("later") {
    CHECK_FALSE(users.ReportSuppressed(60 * kSecond, /*all=*/false));
    CHECK(user->refusals.suppressed() == 0);
  }
  SUBCASE("at the end") {
    CHECK_FALSE(users.ReportSuppressed(0, /*all=*/true));
    CHECK(user->refusals.suppressed() == 0);
  }
}

}  // namespace
}  // namespace hearth::daemon
