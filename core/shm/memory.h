// Shared memory: sealed memfds and their mappings. The only file of Hearth that creates memfds and
// maps memory, on Boost.Interprocess.
#ifndef HEARTH_CORE_SHM_MEMORY_H_
#define HEARTH_CORE_SHM_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/fd.h"
#include "core/base/status.h"

namespace hearth::shm {

// Creates an anonymous memory file of exactly `bytes` zero bytes:
//  * allocated now (fallocate), so that no later access can fail with SIGBUS for want of memory;
//  * sealed against shrinking and growing, for the same reason;
//  * mode 0600. A memfd is born with mode 0777, and a process of another uid that holds only
//    a read-only descriptor could otherwise reopen it writable through /proc/self/fd.
// `name` shows up in /proc/PID/maps. kResourceExhausted when memory or descriptors run out.
//
// PageSize::kHuge asks the kernel for transparent huge pages, which make random reads of a large
// store quicker (fewer misses of the TLB). Whether it has any to give is up to the machine, see
// SharedHugePages(); without them the memory is the same but for that.
enum class PageSize { kNormal, kHuge };
Result<UniqueFd> CreateMemory(const std::string& name, std::uint64_t bytes,
                              PageSize page_size = PageSize::kNormal);

// The machine's setting of huge pages for shared memory: "always", "within_size", "advise",
// "never", "deny" or "force", of which "never" and "deny" leave PageSize::kHuge without effect.
// Empty when the kernel does not say.
std::string SharedHugePages();
inline constexpr const char* kSharedHugePagesFile =
    "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

// A read-only open file description of the same memory, for handing to readers.
Result<UniqueFd> OpenReadOnly(const UniqueFd& memory);

// Claims the memory for one writer: whoever asks again, here or in another process, gets kAborted
// until the returned descriptor is closed, or the process that holds it has died. Advisory, and
// about this function alone. Not inherited by programs that are executed; do not pass it on.
Result<UniqueFd> LockMemory(const UniqueFd& memory);

// Size in bytes; kDataLoss when `fd` is not a memfd sealed against shrinking (a peer that can
// shrink it could kill us with SIGBUS).
Result<std::uint64_t> SealedSize(int fd);

enum class Access { kReadOnly, kReadWrite };

// A mapping of a whole memory file. Move-only; unmapped on destruction. The address is page
// aligned. Keeps no descriptor open.
class Mapping {
 public:
  // kDataLoss when the descriptor is not sealed memory, kPermissionDenied when `access` exceeds
  // what the descriptor allows, kResourceExhausted without address space.
  static Result<Mapping> Map(int fd, Access access);

  Mapping();
  Mapping(Mapping&&) noexcept;
  Mapping& operator=(Mapping&&) noexcept;
  ~Mapping();

  std::byte* data() const { return data_; }
  std::uint64_t size() const { return size_; }

 private:
  struct Region;
  std::unique_ptr<Region> region_;
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace hearth::shm

#endif  // HEARTH_CORE_SHM_MEMORY_H_
