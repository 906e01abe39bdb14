#include "core/cache/store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/base/units.h"

namespace hearth::cache {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

std::uint64_t RoundUp(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

Status CheckOptions(const StoreOptions& options) {
  const std::uint64_t min = std::uint64_t{1} << kMinSegmentShift;
  const std::uint64_t max = std::uint64_t{1} << kMaxSegmentShift;
  if (!std::has_single_bit(options.segment_bytes) || options.segment_bytes < min ||
      options.segment_bytes > max)
    return Error(Code::kInvalidArgument,
                 "segment size {} of store '{}' is not a power of two between {} and {}",
                 FormatBytes(options.segment_bytes), options.name, FormatBytes(min),
                 FormatBytes(max));
  const std::uint64_t segments = options.bytes / options.segment_bytes;
  if (segments < kMinSegments || segments > kMaxSegments)
    return Error(Code::kInvalidArgument,
                 "size {} of store '{}' is not between {} and {} ({} to {} segments of {})",
                 FormatBytes(options.bytes), options.name,
                 FormatBytes(kMinSegments * options.segment_bytes),
                 FormatBytes(kMaxSegments * options.segment_bytes), kMinSegments, kMaxSegments,
                 FormatBytes(options.segment_bytes));
  if (options.namespace_capacity < 2 || options.namespace_capacity > kMaxNamespaces)
    return Error(Code::kInvalidArgument, "store '{}' cannot hold {} namespaces (2 to {})",
                 options.name, options.namespace_capacity, kMaxNamespaces);
  const std::uint64_t quarter = options.bytes / 4;
  if (options.max_value_bytes > kMaxValueBytes || options.max_value_bytes > quarter)
    return Error(Code::kInvalidArgument,
                 "values of up to {} do not fit store '{}': at most {}, and a quarter of the store "
                 "({})",
                 FormatBytes(options.max_value_bytes), options.name, FormatBytes(kMaxValueBytes),
                 FormatBytes(quarter));
  return Status::Ok();
}

// Lays the parts out one after the other; returns the size of the whole region.
std::uint64_t LayOut(const StoreOptions& options, StoreHeader* header) {
  const std::uint64_t segments = options.bytes / options.segment_bytes;
  header->segment_shift = static_cast<std::uint32_t>(std::countr_zero(options.segment_bytes));
  header->segment_count = static_cast<std::uint32_t>(segments);
  // A store of nothing but the smallest entries needs an index page per 150 KiB of data; a word for
  // every 64 KiB leaves room for uneven hashing.
  const std::uint64_t pages = segments << (header->segment_shift - kPageShift);
  header->directory_bits = std::max(1U, static_cast<std::uint32_t>(std::bit_width(pages - 1)));
  header->namespace_capacity = options.namespace_capacity;
  header->max_value_bytes =
      options.max_value_bytes != 0 ? options.max_value_bytes : DefaultMaxValueBytes(options.bytes);

  std::uint64_t offset = kStoreHeaderBytes;
  auto place = [&offset](std::uint64_t bytes) {
    const std::uint64_t at = offset;
    offset = RoundUp(offset + bytes, kPageBytes);
    return at;
  };
  header->directory_offset = place((std::uint64_t{1} << header->directory_bits) * 8);
  header->namespace_offset =
      place(std::uint64_t{options.namespace_capacity} * sizeof(NamespaceRecord));
  header->segment_header_offset = place(segments * sizeof(SegmentHeader));
  // Segments begin at 2 MiB boundaries, so that huge pages can back them.
  offset = RoundUp(offset, std::uint64_t{1} << kMaxSegmentShift);
  header->data_offset = place(segments * options.segment_bytes);
  return offset;
}

// "3a4f...-...\n" of the kernel to 16 bytes; zero where there is none.
void ReadBootId(std::uint8_t* out) {
  std::memset(out, 0, 16);
  const UniqueFd file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  char text[64];
  const ssize_t size = file.valid() ? ::read(file.get(), text, sizeof(text)) : 0;
  std::size_t nibble = 0;
  for (ssize_t i = 0; i < size && nibble < 32; ++i) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(text[i]);
    if (digit == std::string_view::npos) continue;
    out[nibble / 2] = static_cast<std::uint8_t>(std::uint32_t{out[nibble / 2]} << 4U | digit);
    ++nibble;
  }
}

}  // namespace

Store::Store(UniqueFd fd, UniqueFd read_only_fd, UniqueFd lock, shm::Mapping mapping,
             const StoreView& view)
    : fd_(std::move(fd)),
      read_only_fd_(std::move(read_only_fd)),
      lock_(std::move(lock)),
      mapping_(std::move(mapping)),
      view_(view) {}

std::uint64_t DefaultMaxValueBytes(std::uint64_t store_bytes) {
  return std::min(16 * kMiB, store_bytes / 4);
}

Result<Store> Store::Create(const StoreOptions& options, const Clock& clock) {
  HEARTH_TRY(CheckOptions(options));
  StoreHeader plan{};
  const std::uint64_t bytes = LayOut(options, &plan);
  HEARTH_ASSIGN(UniqueFd fd,
                shm::CreateMemory("hearth-store-" + options.name, bytes, options.page_size));
  HEARTH_ASSIGN(UniqueFd lock, shm::LockMemory(fd));
  HEARTH_ASSIGN(UniqueFd read_only_fd, shm::OpenReadOnly(fd));
  HEARTH_ASSIGN(shm::Mapping mapping, shm::Mapping::Map(fd.get(), shm::Access::kReadWrite));

  auto& prefix = *reinterpret_cast<shm::RegionPrefix*>(mapping.data());
  shm::InitRegion(prefix, kStoreExpectation, kStoreHeaderBytes, bytes, shm::MakeUuid());
  std::array<std::uint64_t, 8> entropy;
  shm::RandomBytes(entropy.data(), sizeof(entropy));
  const HashSecret secret = MakeHashSecret(entropy);
  std::copy(secret.begin(), secret.end(), std::begin(prefix.hash_secret));

  auto& header = *reinterpret_cast<StoreHeader*>(mapping.data() + kStoreHeaderOffset);
  // Everything up to the clock is the plan; the counters behind it are zero already.
  std::memcpy(static_cast<void*>(&header), &plan, offsetof(StoreHeader, boot_id));
  ReadBootId(header.boot_id);
  header.clock_monotonic_base_ns = clock.MonotonicNanos();
  header.clock_realtime_base_ns = clock.RealtimeNanos();
  header.free_segments.StoreRelaxed(header.segment_count);
  header.heartbeat_ns.StoreRelaxed(clock.MonotonicNanos());
  header.frozen_crc32c = FrozenCrc(mapping.data());
  const StoreView view = StoreView::OfUnpublished(mapping.data());
  for (std::uint32_t segment = 0; segment < view.segment_count(); ++segment)
    view.segment(segment).mark = kSegmentMark;
  return Store(std::move(fd), std::move(read_only_fd), std::move(lock), std::move(mapping), view);
}

Result<Store> Store::Adopt(UniqueFd fd) {
  HEARTH_ASSIGN(UniqueFd lock, shm::LockMemory(fd));
  HEARTH_ASSIGN(UniqueFd read_only_fd, shm::OpenReadOnly(fd));
  HEARTH_ASSIGN(shm::Mapping mapping, shm::Mapping::Map(fd.get(), shm::Access::kReadWrite));
  HEARTH_ASSIGN(const StoreView view, StoreView::Of(mapping.data(), mapping.size()));
  std::uint8_t boot_id[16];
  ReadBootId(boot_id);
  if (std::memcmp(boot_id, view.header().boot_id, sizeof(boot_id)) != 0)
    return Error(Code::kFailedPrecondition,
                 "the store was made in another boot of this machine, so its clock is not ours");
  return Store(std::move(fd), std::move(read_only_fd), std::move(lock), std::move(mapping), view);
}

}  // namespace hearth::cache
