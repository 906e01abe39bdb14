// pingpong: how fast two processes can hand each other one cache line, which is the limit of every
// call through shared memory, one that copies nothing and runs nothing.
//
// Usage: pingpong TRIPS
// Parent and child sit on two CPUs and bounce one word, with one PAUSE between two looks at it (the
// fastest way on the machines this was tried on: without, the spinner keeps taking the line away).
// The parent reads the clock once in each trip, as a caller that measures its calls does.
// Prints one line of JSON: {"cpus": [A, B], "ns": {"trip time in ns": how often, ...}}.
// Ends by itself within 20 seconds.
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <new>
#include <vector>

#include <fmt/core.h>

#include "core/base/atomic.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/shm/memory.h"

namespace hearth {
namespace {

constexpr std::uint64_t kMaxTrips = 10'000'000;
constexpr std::uint64_t kLimitNs = 20'000'000'000;
constexpr std::uint32_t kSpinsPerClockRead = 1U << 12U;

// Odd: the child's turn. Even: the parent's.
struct alignas(128) Line {
  Atomic<std::uint64_t> word;
};

// The first two CPUs this process may use.
bool ChooseCpus(int cpus[2]) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return false;
  int found = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; ++cpu)
    if (CPU_ISSET(static_cast<unsigned>(cpu), &set)) cpus[found++] = cpu;
  return found == 2;
}

void Pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

// False when the other side did not come within the time limit.
bool AwaitValue(const Line& line, std::uint64_t value, std::uint64_t give_up_at_ns) {
  for (std::uint32_t spins = 1;; ++spins) {
    // SYNC acquire ping-pong: nothing but the word itself
    if (line.word.LoadAcquire() == value) return true;
    if (spins % kSpinsPerClockRead == 0 && MonotonicNanosNow() > give_up_at_ns) return false;
    CpuRelax();
  }
}

int Child(Line& line, std::uint64_t trips, std::uint64_t give_up_at_ns) {
  for (std::uint64_t i = 0; i < trips; ++i) {
    if (!AwaitValue(line, 2 * i + 1, give_up_at_ns)) return 1;
    // SYNC release ping-pong: nothing but the word itself
    line.word.StoreRelease(2 * i + 2);
  }
  return 0;
}

bool Parent(Line& line, std::uint64_t trips, std::uint64_t give_up_at_ns,
            std::vector<std::uint32_t>* times) {
  constexpr std::uint64_t kLongest = std::numeric_limits<std::uint32_t>::max();
  std::uint64_t last = MonotonicNanosNow();
  for (std::uint64_t i = 0; i < trips; ++i) {
    // SYNC release ping-pong: nothing but the word itself
    line.word.StoreRelease(2 * i + 1);
    if (!AwaitValue(line, 2 * i + 2, give_up_at_ns)) return false;
    const std::uint64_t now = MonotonicNanosNow();
    times->push_back(static_cast<std::uint32_t>(std::min(now - last, kLongest)));
    last = now;
  }
  return true;
}

void Print(const int cpus[2], const std::vector<std::uint32_t>& times) {
  std::map<std::uint32_t, std::uint64_t> counts;
  for (const std::uint32_t ns : times) ++counts[ns];
  fmt::print("{{\"cpus\": [{}, {}], \"ns\": {{", cpus[0], cpus[1]);
  const char* separator = "";
  for (const auto& [ns, count] : counts) {
    fmt::print("{}\"{}\": {}", separator, ns, count);
    separator = ", ";
  }
  fmt::print("}}}}\n");
}

Result<int> Run(std::uint64_t trips) {
  int cpus[2] = {};
  if (!ChooseCpus(cpus)) return Error(Code::kFailedPrecondition, "needs two CPUs");
  HEARTH_ASSIGN(const UniqueFd memory, shm::CreateMemory("hearth-pingpong", sizeof(Line)));
  HEARTH_ASSIGN(const shm::Mapping mapping,
                shm::Mapping::Map(memory.get(), shm::Access::kReadWrite));
  Line& line = *new (mapping.data()) Line;
  std::vector<std::uint32_t> times;
  times.reserve(trips);
  const std::uint64_t give_up_at = MonotonicNanosNow() + kLimitNs;
  const pid_t child = ::fork();
  if (child < 0) return ErrnoStatus(errno, "cannot fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Pin(cpus[1]);
    ::_exit(Child(line, trips, give_up_at));
  }
  Pin(cpus[0]);
  const bool done = Parent(line, trips, give_up_at, &times);
  int status = 0;
  ::waitpid(child, &status, 0);  // the child has the same time limit
  if (!done || status != 0) return Error(Code::kDeadlineExceeded, "the two sides did not meet");
  Print(cpus, times);
  return 0;
}

}  // namespace
}  // namespace hearth

int main(int argc, char** argv) {
  const std::uint64_t wanted = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
  if (wanted == 0 || wanted > hearth::kMaxTrips) {
    fmt::print(stderr, "usage: pingpong TRIPS (1 to {})\n", hearth::kMaxTrips);
    return 2;
  }
  const auto result = hearth::Run(wanted);
  if (!result.ok()) {
    fmt::print(stderr, "pingpong: {}\n", result.status().message());
    return 1;
  }
  return *result;
}
