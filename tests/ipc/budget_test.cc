// Budgets: what a session and what a user may hold.
#include "ipc/budget.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace hearth::ipc {
namespace {

TEST_CASE("budget: a session takes from its own limit and from its user's") {
  SharedBudget user(1000, "uid 7 (limits.memory_per_uid)");
  ByteBudget first(800, &user);
  ByteBudget second(800, &user);
  CHECK(first.TryTake(600));
  CHECK(user.used() == 600);
  SUBCASE("its own is used up") {
    CHECK_FALSE(first.TryTake(201));
    CHECK(user.used() == 600);
    CHECK(first.Refusal(201).code() == Code::kResourceExhausted);
    CHECK(first.Refusal(201).message() ==
          "this session buffers 600 of 800 bytes of unfinished messages, 201 more do not fit");
  }
  SUBCASE("its user's is used up, and nothing is taken of its own") {
    CHECK_FALSE(second.TryTake(401));
    CHECK(second.used() == 0);
    CHECK(user.used() == 600);
    CHECK(second.Refusal(401).message() ==
          "uid 7 (limits.memory_per_uid) holds 600 of 1000 bytes, 401 more do not fit");
    CHECK(second.TryTake(400));
    CHECK_FALSE(first.TryTake(1));
  }
  SUBCASE("what is returned is there for both") {
    first.Return(600);
    CHECK(user.used() == 0);
    CHECK(second.TryTake(800));
    CHECK(first.TryTake(200));
    CHECK(user.used() == 1000);
  }
}

TEST_CASE("budget: no number of bytes overflows it") {
  SharedBudget user(1000, "x");
  ByteBudget session(2000, &user);
  CHECK(session.TryTake(1000));
  for (const std::uint64_t bytes : {~std::uint64_t{0}, ~std::uint64_t{0} - 999, std::uint64_t{1}}) {
    CHECK_FALSE(session.TryTake(bytes));
    CHECK_FALSE(user.TryTake(bytes));
  }
  CHECK(session.TryTake(0));
  CHECK(user.used() == 1000);
}

TEST_CASE("budget: a charge is returned once, by its last owner") {
  const auto user = std::make_shared<SharedBudget>(1000, "uid 7");
  {
    auto charge = SharedCharge::Take(user, 700);
    REQUIRE(charge.ok());
    const auto refused = SharedCharge::Take(user, 301);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.status().message() == "uid 7 holds 700 of 1000 bytes, 301 more do not fit");
    std::optional<SharedCharge> moved(std::move(*charge));
    CHECK(user->used() == 700);
    SharedCharge assigned;
    assigned = std::move(*moved);
    moved.reset();
    CHECK(user->used() == 700);
  }
  CHECK(user->used() == 0);
}

TEST_CASE("budget: threads that take and return together never exceed the limit") {
  constexpr std::uint64_t kLimit = 100;
  constexpr int kThreads = 4;
  SharedBudget user(kLimit, "x");
  Atomic<std::uint64_t> held{0};
  Atomic<std::uint32_t> exceeded{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      const std::uint64_t bytes = 30 + static_cast<std::uint64_t>(t);
      for (int i = 0; i < 50'000; ++i) {
        if (!user.TryTake(bytes)) continue;
        if (held.AddRelaxed(bytes) + bytes > kLimit) exceeded.AddRelaxed(1);
        held.AddRelaxed(0 - bytes);
        user.Return(bytes);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(exceeded.LoadRelaxed() == 0);
  CHECK(user.used() == 0);
}

}  // namespace
}  // namespace hearth::ipc
