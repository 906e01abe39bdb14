// Doorbells with real descriptors: sleeping and waking between threads and processes, and peers
// that misuse their end.
#include "ipc/doorbell.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include <doctest/doctest.h>

#include "core/base/fd.h"
#include "ipc/ring.h"
#include "tests/ipc/ring_fixture.h"
#include "tests/support/child_process.h"
#include "tests/support/seed.h"

namespace hearth::ipc {
namespace {

using hearth::testing::ChildProcess;

// One direction: a ring and the bell its consumer sleeps on.
struct Direction {
  TestRing ring;
  bool is_pipe;
  UniqueFd sleep_on;
  UniqueFd ring_with;

  explicit Direction(bool pipe) : is_pipe(pipe) {
    if (pipe) {
      Pipe made = MakePipe().value();
      sleep_on = std::move(made.read_end);
      ring_with = std::move(made.write_end);
    } else {
      sleep_on = MakeEventFd().value();
      ring_with = sleep_on.Duplicate().value();
    }
  }
  void Ring() const {
    if (is_pipe) {
      RingPipe(ring_with.get());
    } else {
      RingEventFd(ring_with.get());
    }
  }
};

// Sleeps as the daemon does on an eventfd, edge-triggered and without reading it, or as a client on
// its pipe.
class Sleeper {
 public:
  explicit Sleeper(const Direction& direction) : direction_(direction) {
    epoll_.Reset(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{};
    event.events = direction.is_pipe ? EPOLLIN : (EPOLLIN | EPOLLET);
    HEARTH_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, direction.sleep_on.get(), &event) == 0);
  }
  // Without any limit: a lost wake-up hangs, and the watchdog says so.
  void Wait() {
    epoll_event event{};
    while (::epoll_wait(epoll_.get(), &event, 1, -1) < 0) {
    }
    if (direction_.is_pipe) HEARTH_CHECK(DrainBell(direction_.sleep_on.get()));
    ++sleeps_;
  }
  std::uint64_t sleeps() const { return sleeps_; }

 private:
  const Direction& direction_;
  UniqueFd epoll_;
  std::uint64_t sleeps_ = 0;
};

// Takes the next record, sleeping at once when there is none.
std::uint32_t TakeNext(const Direction& direction, RingConsumer& consumer, Sleeper& sleeper) {
  while (true) {
    Record record;
    if (consumer.Next(&record).value()) {
      consumer.Release();
      return record.HeaderAs<RequestHeader>().call_id;
    }
    const Watch watches[] = {consumer.DataWatch(direction.ring.words().consumer_asleep, 1)};
    if (!PrepareToSleep(watches)) continue;
    sleeper.Wait();
    Withdraw(watches);
  }
}

void Send(const Direction& direction, RingProducer& producer, std::uint32_t value) {
  HEARTH_CHECK(Put(producer, Request(value), ""));
  if (producer.PublishMustRing(direction.ring.words().consumer_asleep, 1)) direction.Ring();
}

// Answers `count` messages with their number.
void Echo(const Direction& in, const Direction& out, std::uint32_t count) {
  Sleeper sleeper(in);
  auto consumer = in.ring.Consumer();
  auto producer = out.ring.Producer();
  for (std::uint32_t i = 1; i <= count; ++i) Send(out, producer, TakeNext(in, consumer, sleeper));
}

// Sends bursts of random length and takes the answers; true when all came.
bool PingPong(const Direction& out, const Direction& in, std::uint32_t count) {
  Sleeper sleeper(in);
  hearth::testing::Random random(hearth::testing::RunSeed());
  auto producer = out.ring.Producer();
  auto consumer = in.ring.Consumer();
  std::uint32_t sent = 0;
  std::uint32_t answered = 0;
  while (answered < count) {
    const auto burst = static_cast<std::uint32_t>(1 + random.Below(3));
    for (std::uint32_t i = 0; i < burst && sent < count; ++i) Send(out, producer, ++sent);
    while (answered < sent)
      if (TakeNext(in, consumer, sleeper) != ++answered) return false;
  }
  return sleeper.sleeps() > 0;
}

std::uint32_t Rounds() { return hearth::testing::FullRun() ? 300'000 : 20'000; }

TEST_CASE("doorbell: a long ping-pong between threads, both sleeping whenever they can") {
  HEARTH_SHOW_SEED();
  const Direction requests(/*pipe=*/false);
  const Direction responses(/*pipe=*/true);
  std::thread server([&] { Echo(requests, responses, Rounds()); });
  CHECK(PingPong(requests, responses, Rounds()));
  server.join();
}

TEST_CASE("doorbell: a long ping-pong between processes, both sleeping whenever they can") {
  HEARTH_SHOW_SEED();
  const Direction requests(/*pipe=*/false);
  const Direction responses(/*pipe=*/true);
  auto server = ChildProcess::Fork([&](hearth::testing::Channel&) {
    Echo(requests, responses, Rounds());
    return 0;
  });
  REQUIRE(server.ok());
  CHECK(PingPong(requests, responses, Rounds()));
  CHECK(server->Wait() == 0);
}

TEST_CASE("doorbell: a producer waits for space and is woken by the release") {
  const Direction requests(/*pipe=*/false);
  const Direction space(/*pipe=*/true);
  Atomic<std::uint64_t>& asleep = requests.ring.words().producer_asleep;
  constexpr std::uint32_t kCount = 5000;
  const std::string payload(MaxRecordPayload(kMinRingBytes), 'x');
  std::thread consumer_thread([&] {
    Sleeper sleeper(requests);
    auto consumer = requests.ring.Consumer();
    for (std::uint32_t taken = 0; taken < kCount;) {
      Record record;
      if (consumer.Next(&record).value()) {
        ++taken;
        if (consumer.ReleaseMustRing(asleep, kClientWaitsForSpace)) space.Ring();
        continue;
      }
      const Watch watches[] = {consumer.DataWatch(requests.ring.words().consumer_asleep, 1)};
      if (!PrepareToSleep(watches)) continue;
      sleeper.Wait();
      Withdraw(watches);
    }
  });
  Sleeper sleeper(space);
  auto producer = requests.ring.Producer();
  for (std::uint32_t i = 1; i <= kCount;) {
    if (Put(producer, Request(i), payload)) {
      ++i;
      continue;
    }
    if (producer.PublishMustRing(requests.ring.words().consumer_asleep, 1)) requests.Ring();
    const Watch watches[] = {producer.SpaceWatch(asleep, kClientWaitsForSpace)};
    if (!PrepareToSleep(watches)) continue;
    sleeper.Wait();
    Withdraw(watches);
  }
  if (producer.PublishMustRing(requests.ring.words().consumer_asleep, 1)) requests.Ring();
  consumer_thread.join();
  CHECK(sleeper.sleeps() > 0);
}

// ------------------------------------------------------------------------------------ hostile
// peers
TEST_CASE(
    "client doorbell: a client that never empties it, blocking or not, cannot block the daemon") {
  Pipe pipe = MakePipe().value();
  // The client has the read end only, here in another process; it makes its end blocking.
  auto client = ChildProcess::Fork([&](hearth::testing::Channel& channel) {
    pipe.write_end.Reset();
    ::fcntl(pipe.read_end.get(), F_SETFL, 0);
    channel.Send('r');
    char wait = 0;
    channel.Receive(&wait);
    return 0;
  });
  REQUIRE(client.ok());
  char ready = 0;
  REQUIRE(client->channel().Receive(&ready));
  for (int i = 0; i < 200'000; ++i) RingPipe(pipe.write_end.get());
  CHECK((::fcntl(pipe.write_end.get(), F_GETFL) & O_NONBLOCK) != 0);
  client->Kill(SIGKILL);
  client->Wait();
  // Without any reader left it is an error that is ignored (SIGPIPE is, as in the daemon).
  pipe.read_end.Reset();
  RingPipe(pipe.write_end.get());
}

TEST_CASE("client doorbell: draining takes all, and notices the end") {
  Pipe pipe = MakePipe().value();
  CHECK(DrainBell(pipe.read_end.get()));
  for (int i = 0; i < 5000; ++i) RingPipe(pipe.write_end.get());
  CHECK(DrainBell(pipe.read_end.get()));
  pollfd empty{pipe.read_end.get(), POLLIN, 0};
  CHECK(::poll(&empty, 1, 0) == 0);
  RingPipe(pipe.write_end.get());
  pipe.write_end.Reset();
  static_cast<void>(DrainBell(pipe.read_end.get()));
  CHECK_FALSE(DrainBell(pipe.read_end.get()));
}

// The daemon never reads the eventfd, so a client that makes it blocking and empties it gains
// nothing: each further write still wakes the daemon.
TEST_CASE("server doorbell: edges arrive though the peer made it blocking and reads it") {
  const Direction bell(/*pipe=*/false);
  Sleeper sleeper(bell);
  REQUIRE(::fcntl(bell.ring_with.get(), F_SETFL, 0) == 0);
  for (int i = 0; i < 3; ++i) {
    bell.Ring();
    sleeper.Wait();
    std::uint64_t count = 0;
    if (i == 1) CHECK(::read(bell.ring_with.get(), &count, sizeof(count)) == sizeof(count));
  }
  CHECK(sleeper.sleeps() == 3);
}

}  // namespace
}  // namespace hearth::ipc
