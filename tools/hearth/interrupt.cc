#include "tools/hearth/interrupt.h"

#include <poll.h>

#include <cerrno>
#include <ctime>

namespace hearth::cli {
namespace {

volatile std::sig_atomic_t g_requested = 0;

void OnSignal(int /*signal*/) { g_requested = 1; }

void Catch(int signal, struct sigaction* old_action) {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  // Once: a second signal ends the process. No SA_RESTART: a wait must notice.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, old_action);
  // Whoever started us with the signal ignored (nohup, a shell's background) meant it.
  if (old_action->sa_handler == SIG_IGN) ::sigaction(signal, old_action, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  g_requested = 0;
  Catch(SIGINT, &old_int_);
  Catch(SIGTERM, &old_term_);
}

Interrupt::~Interrupt() {
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
}

bool Interrupt::requested() const { return g_requested != 0; }

Result<bool> Interrupt::WaitReadable(int fd, std::chrono::nanoseconds timeout) const {
  sigset_t caught;
  sigset_t before;
  ::sigemptyset(&caught);
  ::sigaddset(&caught, SIGINT);
  ::sigaddset(&caught, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &caught, &before);
  int ready = 0;
  int error = EINTR;
  if (!requested()) {
    timespec limit{};
    limit.tv_sec = static_cast<std::time_t>(timeout.count() / 1'000'000'000);
    limit.tv_nsec = static_cast<long>(timeout.count() % 1'000'000'000);
    pollfd waiting{fd, POLLIN, 0};
    ready = ::ppoll(&waiting, 1, &limit, &before);
    error = errno;
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (requested()) return Error(Code::kCancelled, "interrupted");
  // Other signals (a resized window) are no reason to stop.
  if (ready < 0 && error != EINTR) return ErrnoStatus(error, "cannot wait for input");
  return ready > 0;
}

}  // namespace hearth::cli
