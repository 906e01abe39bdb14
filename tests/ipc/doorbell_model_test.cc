// Every interleaving of the doorbell protocol, run on the code of ipc/doorbell.h itself: no wake-up
// is ever lost; and one is lost as soon as a fence or the second look is left out.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "ipc/doorbell.h"
#include "tests/ipc/interleavings.h"

namespace hearth::ipc {
namespace {

using model::Carried;
using model::Explorer;
using model::ModelMemory;
using model::Order;
using model::Scenario;
using model::Thread;
using model::Verdict;
using model::Word;
using Watch = BasicWatch<ModelMemory>;
using LeftOut = ModelMemory::LeftOut;

// Publishes 1, 2, ... `count` in `position`, one in each pass, ringing where it must.
Thread PublishMany(Word position, Word flag, std::uint64_t bits, std::uint64_t count) {
  return {[=](const ModelMemory& memory, const Carried& done) -> std::optional<Carried> {
            if (done[0] == count) return std::nullopt;
            Word word = position;
            if (PublishMustRing(memory, word, done[0] + 1, flag, bits)) memory.Ring(0);
            return Carried{done[0] + 1};
          },
          {0}};
}

// A thing waited for: a position that has to reach `goal`.
struct Goal {
  Word position;
  Word flag;
  std::uint64_t bits;
  std::uint64_t goal;
};

// Takes everything there is, and sleeps on bell 0 when there is nothing, until all goals are
// reached. Carries what it has seen.
Thread SleepUntilReached(const std::vector<Goal>& wanted) {
  return {[=](const ModelMemory& memory, const Carried& seen) -> std::optional<Carried> {
            std::vector<Goal> goals = wanted;
            Carried now;
            for (const Goal& goal : goals) now.push_back(memory.Load(goal.position));
            const bool reached =
                std::equal(goals.begin(), goals.end(), now.begin(),
                           [](const Goal& goal, std::uint64_t at) { return goal.goal == at; });
            if (reached) return std::nullopt;
            if (now != seen) return now;
            std::vector<Watch> watches;
            for (std::size_t i = 0; i < goals.size(); ++i)
              watches.push_back({&goals[i].position, now[i], &goals[i].flag, goals[i].bits});
            memory.Expect(now[0]);
            if (!PrepareToSleep<ModelMemory>(memory, watches)) return now;
            memory.Sleep(0);
            Withdraw<ModelMemory>(memory, watches);
            return now;
          },
          Carried(wanted.size(), 0)};
}

// The daemon waits for requests of one channel.
Scenario OneChannel(std::uint64_t publishes) {
  const Word tail{0};
  const Word asleep{1};
  return {{SleepUntilReached({{tail, asleep, kServerSleeps, publishes}}),
           PublishMany(tail, asleep, kServerSleeps, publishes)},
          2};
}

// The daemon waits for two channels with one bell: two clients' threads publish.
Scenario TwoChannels(std::uint64_t publishes) {
  const Word tails[] = {Word{0}, Word{1}};
  const Word asleep[] = {Word{2}, Word{3}};
  return {{SleepUntilReached({{tails[0], asleep[0], kServerSleeps, publishes},
                              {tails[1], asleep[1], kServerSleeps, publishes}}),
           PublishMany(tails[0], asleep[0], kServerSleeps, publishes),
           PublishMany(tails[1], asleep[1], kServerSleeps, publishes)},
          4};
}

// A client that waits for responses and for space, with two bits of one word.
constexpr Word kResponseTail{0};
constexpr Word kRequestHead{1};
constexpr Word kClientAsleep{2};
Thread WaitForBoth(std::uint64_t publishes) {
  return SleepUntilReached({{kResponseTail, kClientAsleep, kClientWaitsForResponse, publishes},
                            {kRequestHead, kClientAsleep, kClientWaitsForSpace, publishes}});
}

// The daemon publishes responses, looks, publishes its head, looks again.
Scenario TwoBits(std::uint64_t publishes) {
  return {{WaitForBoth(publishes),
           {[=](const ModelMemory& memory, const Carried& done) -> std::optional<Carried> {
              if (done[0] == publishes) return std::nullopt;
              Word tail = kResponseTail;
              Word head = kRequestHead;
              const std::uint64_t value = done[0] + 1;
              if (PublishMustRing(memory, tail, value, kClientAsleep, kClientWaitsForResponse))
                memory.Ring(0);
              if (PublishMustRing(memory, head, value, kClientAsleep, kClientWaitsForSpace))
                memory.Ring(0);
              return Carried{value};
            },
            {0}}},
          3};
}

// The daemon publishes both and then looks at the flag once.
Scenario OneLookForBoth(std::uint64_t publishes) {
  return {{WaitForBoth(publishes),
           {[=](const ModelMemory& memory, const Carried& done) -> std::optional<Carried> {
              if (done[0] == publishes) return std::nullopt;
              Word tail = kResponseTail;
              Word head = kRequestHead;
              memory.Publish(tail, done[0] + 1);
              memory.Publish(head, done[0] + 1);
              if (MustRing(memory, kClientAsleep, kClientWaitsForResponse | kClientWaitsForSpace))
                memory.Ring(0);
              return Carried{done[0] + 1};
            },
            {0}}},
          3};
}

Verdict Check(const Scenario& scenario, Order order, LeftOut left_out = LeftOut::kNothing) {
  return Explorer(scenario, order, left_out).Run();
}

constexpr Order kOrders[] = {Order::kSequential, Order::kTso, Order::kPso};

TEST_CASE("doorbell: no interleaving loses a wake-up") {
  const std::pair<std::string, Scenario> cases[] = {{"one channel", OneChannel(5)},
                                                    {"two channels", TwoChannels(2)},
                                                    {"responses and space", TwoBits(3)},
                                                    {"one look for both", OneLookForBoth(3)}};
  for (const auto& tried : cases) {
    const Scenario& scenario = tried.second;
    for (const Order order : kOrders) {
      CAPTURE(tried.first);
      CAPTURE(static_cast<int>(order));
      const Verdict verdict = Check(scenario, order);
      CHECK_MESSAGE(!verdict.lost_wakeup, verdict.trace);
      CHECK(verdict.ends > 0);
      CHECK(verdict.states > 100);  // it did look at something
    }
  }
}

TEST_CASE("doorbell: without the publisher's fence a wake-up is lost") {
  for (const Order order : {Order::kTso, Order::kPso}) {
    const Verdict verdict = Check(OneChannel(1), order, LeftOut::kFenceAfterPublish);
    CHECK(verdict.lost_wakeup);
  }
  CHECK(Check(TwoBits(1), Order::kTso, LeftOut::kFenceAfterPublish).lost_wakeup);
  CHECK(Check(TwoChannels(1), Order::kTso, LeftOut::kFenceAfterPublish).lost_wakeup);
}

TEST_CASE("doorbell: without the sleeper's fence a wake-up is lost") {
  for (const Order order : {Order::kTso, Order::kPso})
    CHECK(Check(OneChannel(1), order, LeftOut::kFenceAfterAnnounce).lost_wakeup);
  CHECK(Check(TwoBits(1), Order::kTso, LeftOut::kFenceAfterAnnounce).lost_wakeup);
  CHECK(Check(TwoChannels(1), Order::kTso, LeftOut::kFenceAfterAnnounce).lost_wakeup);
}

TEST_CASE("doorbell: without the second look a wake-up is lost, on any machine") {
  for (const Order order : kOrders)
    CHECK(Check(OneChannel(1), order, LeftOut::kLookAgain).lost_wakeup);
}

// Shows that it is the store buffers that make the fences necessary, and that the model has them.
TEST_CASE("doorbell: on a machine without store buffers the fences would not be needed") {
  CHECK_FALSE(Check(OneChannel(3), Order::kSequential, LeftOut::kFenceAfterPublish).lost_wakeup);
  CHECK_FALSE(Check(OneChannel(3), Order::kSequential, LeftOut::kFenceAfterAnnounce).lost_wakeup);
}

TEST_CASE("doorbell: a publisher that looks before it publishes loses a wake-up") {
  const Word tail{0};
  const Word asleep{1};
  const Scenario scenario{
      {SleepUntilReached({{tail, asleep, kServerSleeps, 1}}),
       {[=](const ModelMemory& memory, const Carried&) -> std::optional<Carried> {
          Word position = tail;
          const bool ring = MustRing(memory, asleep, kServerSleeps);
          memory.Publish(position, 1);
          if (ring) memory.Ring(0);
          return std::nullopt;
        },
        {}}},
      2};
  CHECK(Check(scenario, Order::kSequential).lost_wakeup);
}

TEST_CASE("doorbell: a publisher that asks for the wrong bit loses a wake-up") {
  const Word head{0};
  const Word asleep{1};
  const Scenario scenario{{SleepUntilReached({{head, asleep, kClientWaitsForSpace, 1}}),
                           PublishMany(head, asleep, kClientWaitsForResponse, 1)},
                          2};
  CHECK(Check(scenario, Order::kSequential).lost_wakeup);
}

}  // namespace
}  // namespace hearth::ipc
