#include "ipc/doorbell.h"

#include <unistd.h>

#include <cerrno>

namespace hearth::ipc {

bool DrainBell(int read_end) {
  char bytes[256];
  while (true) {
    const ssize_t got = ::read(read_end, bytes, sizeof(bytes));
    if (got == 0) return false;
    if (got > 0 && static_cast<std::size_t>(got) == sizeof(bytes)) continue;
    if (got < 0 && errno == EINTR) continue;
    return true;
  }
}

}  // namespace hearth::ipc
