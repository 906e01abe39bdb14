// PageTrap: stops the first thread that touches one page of a mapping, in the middle of whatever it
// does there, until the test lets it go on. It is how a reader is held halfway through a copy.
//
//   PageTrap trap(address);       // the page becomes inaccessible
//   std::thread reader(...);      // runs into it
//   trap.AwaitTouch();
//   ... change what the reader is reading, through another mapping ...
//   trap.Release();               // the page is readable again, the thread goes on
#ifndef HEARTH_TESTS_SUPPORT_PAGE_TRAP_H_
#define HEARTH_TESTS_SUPPORT_PAGE_TRAP_H_

#include <cstddef>

namespace hearth::testing {

// At most one exists at a time. The page must belong to a read-only mapping that no other thread
// uses, and must not be touched inside a system call (which would fail with EFAULT instead).
class PageTrap {
 public:
  explicit PageTrap(const std::byte* address);
  PageTrap(const PageTrap&) = delete;
  PageTrap& operator=(const PageTrap&) = delete;
  ~PageTrap();

  // Waits until a thread stands in the trap.
  void AwaitTouch();
  // Once, after AwaitTouch().
  void Release();
};

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_SUPPORT_PAGE_TRAP_H_
