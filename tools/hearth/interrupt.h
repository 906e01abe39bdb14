// SIGINT and SIGTERM as something a loop can ask about. The first one asks the command to finish
// what it has begun and report; the second one ends the process as usual.
//
// Thread safety: one thread, and one Interrupt at a time in a process.
#ifndef HEARTH_TOOLS_HEARTH_INTERRUPT_H_
#define HEARTH_TOOLS_HEARTH_INTERRUPT_H_

#include <chrono>
#include <csignal>

#include "core/base/status.h"

namespace hearth::cli {

class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  bool requested() const;

  // Waits until `fd` is readable (true) or `timeout` has passed (false). kCancelled as soon as an
  // interrupt is requested; none can slip in between the look and the wait. With fd -1 it sleeps.
  Result<bool> WaitReadable(int fd, std::chrono::nanoseconds timeout) const;

 private:
  struct sigaction old_int_ {};
  struct sigaction old_term_ {};
};

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_INTERRUPT_H_
