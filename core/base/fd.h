// UniqueFd: owns one file descriptor and closes it. Move-only. Not thread-safe.
#ifndef HEARTH_CORE_BASE_FD_H_
#define HEARTH_CORE_BASE_FD_H_

#include <utility>

#include "core/base/status.h"

namespace hearth {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  ~UniqueFd() { Reset(); }

  bool valid() const { return fd_ >= 0; }
  int get() const { return fd_; }
  // Gives up ownership.
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1);
  // A second descriptor for the same open file, close-on-exec.
  Result<UniqueFd> Duplicate() const;

 private:
  int fd_ = -1;
};

// A non-blocking, close-on-exec eventfd with counter 0.
Result<UniqueFd> MakeEventFd();

// A non-blocking, close-on-exec pipe.
struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};
Result<Pipe> MakePipe();

// Adds 1 to an eventfd or writes one byte to a pipe, never blocking; a full or closed peer is
// ignored, because whoever is rung has then been rung often enough or is gone.
// REQUIRES: `fd` is non-blocking, through an open file description no other process shares
// (otherwise that process can make it blocking), or the caller accepts to block.
void RingEventFd(int fd);
void RingPipe(int fd);

}  // namespace hearth

#endif  // HEARTH_CORE_BASE_FD_H_
