// main() of every doctest executable, with a watchdog: a test that hangs is killed with a message
// instead of blocking whoever waits for it. HEARTH_WATCHDOG_SECONDS changes the limit.
#define DOCTEST_CONFIG_IMPLEMENT
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include <doctest/doctest.h>

#include "tests/support/seed.h"

namespace {

int WatchdogSeconds() {
  if (const char* text = std::getenv("HEARTH_WATCHDOG_SECONDS"))
    return static_cast<int>(std::strtol(text, nullptr, 10));
  return hearth::testing::FullRun() ? 6 * 600 : 600;
}

// Waits until the other end of the pipe is closed; aborts the process when that takes too long.
// doctest's handler of SIGABRT then names the test case that hung.
void Watch(int done_fd, int seconds) {
  pollfd done{done_fd, POLLIN, 0};
  if (::poll(&done, 1, seconds * 1000) != 0) return;
  std::fprintf(stderr, "watchdog: still running after %d s; aborting\n", seconds);
  std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  int ends[2];
  if (::pipe(ends) != 0) {
    std::perror("pipe");
    return 1;
  }
  std::thread watchdog(Watch, ends[0], WatchdogSeconds());

  doctest::Context context(argc, argv);
  const int result = context.run();
  if (result != 0) {
    std::printf("HEARTH_SEED=%llu repeats this run\n",
                static_cast<unsigned long long>(hearth::testing::RunSeed()));
  }

  // A byte and not the closing of the pipe: a forgotten child may hold a copy of this end.
  const char byte = 0;
  if (::write(ends[1], &byte, 1) != 1) std::perror("write");
  watchdog.join();
  return result;
}
