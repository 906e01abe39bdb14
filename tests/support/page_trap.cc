#include "tests/support/page_trap.h"

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <initializer_list>

#include "core/base/check.h"

namespace hearth::testing {
namespace {

constexpr std::uintptr_t kPageBytes = 4096;

// What the signal handler may use: written before the page is protected, constant until the trap
// is gone.
struct Trap {
  std::uintptr_t page = 0;
  int touched[2] = {-1, -1};
  int released[2] = {-1, -1};
  struct sigaction before {};
};
Trap trap;

void Wait(int fd) {
  char byte;
  ssize_t got = 0;
  do {
    got = ::read(fd, &byte, 1);
  } while (got < 0);
}

void Tell(int fd) {
  const char byte = 0;
  HEARTH_CHECK(::write(fd, &byte, 1) == 1);
}

void OnFault(int signal, siginfo_t* info, void* context) {
  static_cast<void>(context);
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (address / kPageBytes * kPageBytes != trap.page) {
    // Somebody else's fault: it happens again, without this handler.
    ::sigaction(signal, &trap.before, nullptr);
    return;
  }
  Tell(trap.touched[1]);
  Wait(trap.released[0]);
}

}  // namespace

PageTrap::PageTrap(const std::byte* address) {
  HEARTH_CHECK(trap.page == 0);
  trap.page = reinterpret_cast<std::uintptr_t>(address) / kPageBytes * kPageBytes;
  HEARTH_CHECK(::pipe(trap.touched) == 0 && ::pipe(trap.released) == 0);
  struct sigaction action {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  HEARTH_CHECK(::sigaction(SIGSEGV, &action, &trap.before) == 0);
  HEARTH_CHECK(::mprotect(reinterpret_cast<void*>(trap.page), kPageBytes, PROT_NONE) == 0);
}

PageTrap::~PageTrap() {
  ::mprotect(reinterpret_cast<void*>(trap.page), kPageBytes, PROT_READ);
  ::sigaction(SIGSEGV, &trap.before, nullptr);
  for (const int fd : {trap.touched[0], trap.touched[1], trap.released[0], trap.released[1]})
    ::close(fd);
  trap.page = 0;
}

void PageTrap::AwaitTouch() { Wait(trap.touched[0]); }

void PageTrap::Release() {
  HEARTH_CHECK(::mprotect(reinterpret_cast<void*>(trap.page), kPageBytes, PROT_READ) == 0);
  Tell(trap.released[1]);
}

}  // namespace hearth::testing
