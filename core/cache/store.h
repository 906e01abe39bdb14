// Store: creates a store's memory, or takes one over, and owns its writable mapping.
#ifndef HEARTH_CORE_CACHE_STORE_H_
#define HEARTH_CORE_CACHE_STORE_H_

#include <cstdint>
#include <string>

#include "core/base/clock.h"
#include "core/base/fd.h"
#include "core/base/status.h"
#include "core/cache/view.h"
#include "core/shm/memory.h"

namespace hearth::cache {

struct StoreOptions {
  std::string name = "default";
  // Of the data area; index pages are taken from it as they are needed. Rounded down to whole
  // segments. At least kMinSegments segments.
  std::uint64_t bytes = std::uint64_t{256} << 20U;
  std::uint64_t segment_bytes = std::uint64_t{1} << kDefaultSegmentShift;  // power of two
  std::uint32_t namespace_capacity = 4096;
  // Longest value, at most kMaxValueBytes and a quarter of the store. 0: DefaultMaxValueBytes().
  std::uint64_t max_value_bytes = 0;
  shm::PageSize page_size = shm::PageSize::kNormal;
};
inline constexpr std::uint32_t kMinSegments = 8;

// 16 MiB, or a quarter of a store that is smaller than 64 MiB.
std::uint64_t DefaultMaxValueBytes(std::uint64_t store_bytes);

// Move-only. The descriptor keeps the memory alive beyond this process wherever it is held. As long
// as a Store lives it alone may write: the memory is locked against a second one.
class Store {
 public:
  // Allocates all memory of the store now. kInvalidArgument for impossible sizes,
  // kResourceExhausted when the machine has not got the memory.
  static Result<Store> Create(const StoreOptions& options, const Clock& clock = Clock::System());

  // Takes over the memory of a store whose writer has died: `fd` is writable and of this boot.
  // Checks what never changes and changes nothing; StoreWriter::Recover() does the rest.
  //   kAborted             another process writes to it
  //   kFailedPrecondition  another layout, or another boot; the message says which
  //   kUnavailable         its creator died before it was complete
  //   kDataLoss            it is no store, or its header is damaged
  static Result<Store> Adopt(UniqueFd fd);

  const StoreView& view() const { return view_; }
  const UniqueFd& fd() const { return fd_; }
  // To hand to readers.
  const UniqueFd& read_only_fd() const { return read_only_fd_; }
  std::uint64_t bytes() const { return mapping_.size(); }

 private:
  Store(UniqueFd fd, UniqueFd read_only_fd, UniqueFd lock, shm::Mapping mapping,
        const StoreView& view);

  UniqueFd fd_;
  UniqueFd read_only_fd_;
  UniqueFd lock_;
  shm::Mapping mapping_;
  StoreView view_;
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_STORE_H_
