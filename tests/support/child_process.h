// ChildProcess: a forked function or an executed program, with a pipe in each direction. Nothing is
// left behind: the destructor kills and reaps, and a child dies with its parent.
#ifndef HEARTH_TESTS_SUPPORT_CHILD_PROCESS_H_
#define HEARTH_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/base/fd.h"
#include "core/base/status.h"

namespace hearth::testing {

// One side's ends of the two pipes. Blocking.
class Channel {
 public:
  Channel() = default;
  Channel(UniqueFd in, UniqueFd out) : in_(std::move(in)), out_(std::move(out)) {}

  // False when the other side is gone.
  bool SendBytes(const void* bytes, std::size_t size);
  bool ReceiveBytes(void* bytes, std::size_t size);
  template <class T>
  bool Send(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return SendBytes(&value, sizeof(value));
  }
  template <class T>
  bool Receive(T* value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return ReceiveBytes(value, sizeof(*value));
  }
  // Whether something (or the end) can be received now.
  bool Readable() const;
  // Everything until the other side closes its end.
  std::string ReceiveAll();
  void CloseSend() { out_.Reset(); }

 private:
  UniqueFd in_;
  UniqueFd out_;
};

// Move-only. Not thread-safe.
class ChildProcess {
 public:
  // Runs `body` in a forked child, which exits with the status it returns, or 70 on an exception.
  // The child must not use doctest's assertions: nobody would hear them.
  static Result<ChildProcess> Fork(const std::function<int(Channel&)>& body);
  // Runs a program (looked up in PATH) with the pipes as its standard input and output.
  static Result<ChildProcess> Exec(const std::vector<std::string>& argv);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  Channel& channel() { return channel_; }
  pid_t pid() const { return pid_; }
  void Kill(int signal) const;
  // Whether it has ended; Wait() still has to be called.
  bool HasEnded() const;
  // Waits for the end: the exit status, or minus the signal that ended it. Once.
  int Wait();

 private:
  ChildProcess(pid_t pid, Channel channel) : pid_(pid), channel_(std::move(channel)) {}

  pid_t pid_ = -1;
  Channel channel_;
};

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_SUPPORT_CHILD_PROCESS_H_
