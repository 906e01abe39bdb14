#include "core/base/fd.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace hearth {

void UniqueFd::Reset(int fd) {
  // close() on Linux frees the number even when it reports EINTR, so it is never repeated.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<UniqueFd> UniqueFd::Duplicate() const {
  int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return ErrnoStatus(errno, "cannot duplicate a descriptor");
  return UniqueFd(copy);
}

Result<UniqueFd> MakeEventFd() {
  int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return ErrnoStatus(errno, "cannot create an eventfd");
  return UniqueFd(fd);
}

Result<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return ErrnoStatus(errno, "cannot create a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

namespace {
void WriteOnce(int fd, const void* bytes, std::size_t size) {
  while (::write(fd, bytes, size) < 0 && errno == EINTR) {
  }
}
}  // namespace

void RingEventFd(int fd) {
  const std::uint64_t one = 1;
  WriteOnce(fd, &one, sizeof(one));
}

void RingPipe(int fd) {
  const char one = 1;
  WriteOnce(fd, &one, sizeof(one));
}

}  // namespace hearth
