#include "core/shm/memory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include <boost/interprocess/mapped_region.hpp>

namespace hearth::shm {
namespace {

namespace bi = boost::interprocess;

// What boost::interprocess::mapped_region asks of a thing it can map.
class MappableFd {
 public:
  explicit MappableFd(int fd) : fd_(fd) {}
  bi::mapping_handle_t get_mapping_handle() const { return {fd_, false}; }

 private:
  int fd_;
};

// What the machine can still give: a memory file has no size limit of its own, so asking the kernel
// for too much does not fail but wakes the out-of-memory killer. Unlimited when /proc cannot tell.
std::uint64_t AvailableBytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string name;
  std::uint64_t kilobytes = 0;
  std::string unit;
  while (meminfo >> name >> kilobytes) {
    std::getline(meminfo, unit);
    if (name == "MemAvailable:") return kilobytes * 1024;
  }
  return std::numeric_limits<std::uint64_t>::max();
}

// Allocates as much as possible in huge pages: only a page fault in a mapping that was advised gets
// them, fallocate does not. All of it is an attempt; what is missing afterwards comes from
// fallocate, which also reports that there is no more memory.
void AllocateHuge(int fd, std::uint64_t bytes) {
  try {
    bi::mapped_region mapped(MappableFd(fd), bi::read_write, 0, static_cast<std::size_t>(bytes));
    if (::madvise(mapped.get_address(), mapped.get_size(), MADV_HUGEPAGE) == 0)
      static_cast<void>(::madvise(mapped.get_address(), mapped.get_size(), MADV_POPULATE_WRITE));
  } catch (const bi::interprocess_exception&) {
    // Without address space for it there are none.
  }
}

}  // namespace

std::string SharedHugePages() {
  // All settings in a line, the current one in brackets.
  std::ifstream file(kSharedHugePagesFile);
  std::string word;
  while (file >> word) {
    if (word.size() > 2 && word.front() == '[') return word.substr(1, word.size() - 2);
  }
  return "";
}

Result<UniqueFd> CreateMemory(const std::string& name, std::uint64_t bytes, PageSize page_size) {
  if (const std::uint64_t available = AvailableBytes(); bytes > available)
    return Error(Code::kResourceExhausted,
                 "cannot allocate {} bytes of shared memory: the machine has {} left", bytes,
                 available);
  UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot create a memory file");
  if (::fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0)
    return ErrnoStatus(errno, "cannot restrict the mode of a memory file");
  if (page_size == PageSize::kHuge) {
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0)
      return ErrnoStatus(errno, "cannot size a memory file");
    AllocateHuge(fd.get(), bytes);
  }
  int rc = 0;
  do {
    rc = ::fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes));
  } while (rc != 0 && errno == EINTR);
  if (rc != 0)
    return ErrnoStatus(errno, fmt::format("cannot allocate {} bytes of shared memory", bytes));
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
    return ErrnoStatus(errno, "cannot seal a memory file");
  return fd;
}

Result<UniqueFd> OpenReadOnly(const UniqueFd& memory) {
  const std::string path = fmt::format("/proc/self/fd/{}", memory.get());
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid())
    return ErrnoStatus(errno, fmt::format("cannot reopen shared memory read-only ({})", path));
  return fd;
}

Result<UniqueFd> LockMemory(const UniqueFd& memory) {
  // An open file description of its own: the memory's may be held by others, such as the service
  // manager, for whom the lock would hold as well.
  const std::string path = fmt::format("/proc/self/fd/{}", memory.get());
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid())
    return ErrnoStatus(errno, fmt::format("cannot reopen shared memory to lock it ({})", path));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK)
    return Error(Code::kAborted, "another process is writing to this shared memory");
  return ErrnoStatus(errno, "cannot lock shared memory");
}

Result<std::uint64_t> SealedSize(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
    return Error(Code::kDataLoss,
                 "the descriptor is not shared memory sealed against shrinking, so reading it "
                 "could crash this process");
  struct stat info {};
  if (::fstat(fd, &info) != 0) return ErrnoStatus(errno, "cannot stat shared memory");
  return static_cast<std::uint64_t>(info.st_size);
}

struct Mapping::Region {
  bi::mapped_region mapped;
};

Mapping::Mapping() = default;
Mapping::~Mapping() = default;
Mapping::Mapping(Mapping&& other) noexcept { *this = std::move(other); }
Mapping& Mapping::operator=(Mapping&& other) noexcept {
  region_ = std::move(other.region_);
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

Result<Mapping> Mapping::Map(int fd, Access access) {
  HEARTH_ASSIGN(const std::uint64_t size, SealedSize(fd));
  if (size == 0) return Error(Code::kDataLoss, "the shared memory is empty");
  Mapping mapping;
  try {
    const bi::mode_t mode = access == Access::kReadOnly ? bi::read_only : bi::read_write;
    mapping.region_ = std::make_unique<Region>(
        Region{bi::mapped_region(MappableFd(fd), mode, 0, static_cast<std::size_t>(size))});
  } catch (const bi::interprocess_exception& error) {
    return ErrnoStatus(error.get_native_error(), "cannot map shared memory");
  }
  mapping.data_ = static_cast<std::byte*>(mapping.region_->mapped.get_address());
  mapping.size_ = size;
  return mapping;
}

}  // namespace hearth::shm
