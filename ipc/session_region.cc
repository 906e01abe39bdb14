#include "ipc/session_region.h"

#include <bit>
#include <utility>

#include "core/base/check.h"

namespace hearth::ipc {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

constexpr std::uint64_t RoundUp(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

bool LegalRing(std::uint32_t bytes) {
  return std::has_single_bit(bytes) && bytes >= kMinRingBytes && bytes <= kMaxRingBytes;
}

Status CheckGeometry(const SessionGeometry& geometry, Code code) {
  if (geometry.channels < 1 || geometry.channels > kMaxChannels)
    return Error(code, "a session has 1 to {} channels, not {}", kMaxChannels, geometry.channels);
  if (!LegalRing(geometry.request_ring_bytes) || !LegalRing(geometry.response_ring_bytes))
    return Error(code, "ring sizes are powers of two from {} to {}, not {} and {}", kMinRingBytes,
                 kMaxRingBytes, geometry.request_ring_bytes, geometry.response_ring_bytes);
  if (geometry.touch_entries > kMaxTouchEntries ||
      (geometry.touch_entries != 0 && !std::has_single_bit(geometry.touch_entries)))
    return Error(code, "a touch buffer has 0 or a power of two of entries up to {}, not {}",
                 kMaxTouchEntries, geometry.touch_entries);
  if (geometry.pins > kMaxPins)
    return Error(code, "a session has at most {} pins, not {}", kMaxPins, geometry.pins);
  return Status::Ok();
}

// Whether [offset, offset + bytes) lies within [0, limit), at the required alignment.
bool Within(std::uint64_t offset, std::uint64_t bytes, std::uint64_t limit,
            std::uint64_t alignment) {
  return offset % alignment == 0 && offset <= limit && bytes <= limit - offset;
}

// A private copy of the shared header, taken once.
struct HeaderCopy {
  SessionGeometry geometry;
  std::uint64_t pin_offset;
  std::uint64_t channel_offset;
  std::uint64_t channel_stride;
  std::uint64_t request_ring_offset;
  std::uint64_t response_ring_offset;
  std::uint64_t touch_offset;
};

HeaderCopy CopyHeader(const SessionHeader& shared) {
  return HeaderCopy{
      SessionGeometry{shared.session_id, shared.channel_count, shared.request_ring_bytes,
                      shared.response_ring_bytes, shared.touch_entries, shared.pin_count},
      shared.pin_offset,
      shared.channel_offset,
      shared.channel_stride,
      shared.request_ring_offset,
      shared.response_ring_offset,
      shared.touch_offset};
}

Status CheckOffsets(const HeaderCopy& header, std::uint64_t region_bytes) {
  const SessionGeometry& geometry = header.geometry;
  const std::uint64_t pin_bytes = std::uint64_t{geometry.pins} * sizeof(PinRecord);
  if (header.pin_offset < kSessionHeaderBytes ||
      !Within(header.pin_offset, pin_bytes, region_bytes, alignof(PinRecord)))
    return Error(Code::kDataLoss, "the pins lie outside the session region");
  // The stride is bounded first, so that stride * channels cannot overflow.
  if (header.channel_stride == 0 || header.channel_stride > region_bytes ||
      header.channel_stride % kRecordAlign != 0 || header.channel_offset < kSessionHeaderBytes ||
      !Within(header.channel_offset, header.channel_stride * geometry.channels, region_bytes,
              kRecordAlign))
    return Error(Code::kDataLoss, "the channels lie outside the session region");
  const std::uint64_t touch_bytes = std::uint64_t{geometry.touch_entries} * sizeof(std::uint64_t);
  const std::pair<std::uint64_t, std::uint64_t> parts[] = {
      {header.request_ring_offset, geometry.request_ring_bytes},
      {header.response_ring_offset, geometry.response_ring_bytes},
      {header.touch_offset, touch_bytes}};
  for (const auto& [offset, bytes] : parts) {
    if (offset < sizeof(ChannelControl) ||
        !Within(offset, bytes, header.channel_stride, kRecordAlign))
      return Error(Code::kDataLoss, "a ring lies outside its channel");
  }
  return Status::Ok();
}

}  // namespace

std::uint32_t LegalRingBytes(std::uint32_t wanted, std::uint32_t limit) {
  HEARTH_CHECK(LegalRing(limit));
  if (wanted == 0) wanted = kDefaultRingBytes;
  if (wanted >= limit) return limit;
  return wanted <= kMinRingBytes ? kMinRingBytes : std::bit_ceil(wanted);
}

void SessionRegion::Arrange(const SessionGeometry& geometry) {
  geometry_ = geometry;
  pin_offset_ = kSessionHeaderBytes;
  channel_offset_ = RoundUp(pin_offset_ + geometry.pins * sizeof(PinRecord), kPageBytes);
  request_ring_offset_ = sizeof(ChannelControl);
  response_ring_offset_ = request_ring_offset_ + geometry.request_ring_bytes;
  touch_offset_ = response_ring_offset_ + geometry.response_ring_bytes;
  channel_stride_ =
      RoundUp(touch_offset_ + geometry.touch_entries * sizeof(std::uint64_t), kPageBytes);
}

std::uint64_t SessionRegion::BytesOf(const SessionGeometry& geometry) {
  SessionRegion region;
  region.Arrange(geometry);
  return region.channel_offset_ + region.channel_stride_ * geometry.channels;
}

Result<SessionRegion> SessionRegion::Create(const SessionGeometry& geometry) {
  HEARTH_TRY(CheckGeometry(geometry, Code::kInvalidArgument));
  SessionRegion region;
  region.Arrange(geometry);
  const std::uint64_t bytes = BytesOf(geometry);

  HEARTH_ASSIGN(region.fd_,
                shm::CreateMemory(fmt::format("hearth-session-{}", geometry.session_id), bytes));
  HEARTH_ASSIGN(region.mapping_, shm::Mapping::Map(region.fd_.get(), shm::Access::kReadWrite));
  auto& prefix = *reinterpret_cast<shm::RegionPrefix*>(region.mapping_.data());
  shm::InitRegion(prefix, kSessionExpectation, kSessionHeaderBytes, bytes, shm::MakeUuid());
  auto& header = *reinterpret_cast<SessionHeader*>(region.mapping_.data() + kSessionHeaderOffset);
  header.session_id = geometry.session_id;
  header.channel_count = geometry.channels;
  header.request_ring_bytes = geometry.request_ring_bytes;
  header.response_ring_bytes = geometry.response_ring_bytes;
  header.touch_entries = geometry.touch_entries;
  header.pin_count = geometry.pins;
  header.pin_offset = region.pin_offset_;
  header.channel_offset = region.channel_offset_;
  header.channel_stride = region.channel_stride_;
  header.request_ring_offset = region.request_ring_offset_;
  header.response_ring_offset = region.response_ring_offset_;
  header.touch_offset = region.touch_offset_;
  header.server_epoch.StoreRelaxed(1);
  shm::PublishRegion(prefix);
  return region;
}

Result<SessionRegion> SessionRegion::Attach(UniqueFd fd) {
  SessionRegion region;
  region.fd_ = std::move(fd);
  HEARTH_ASSIGN(region.mapping_, shm::Mapping::Map(region.fd_.get(), shm::Access::kReadWrite));
  const std::uint64_t bytes = region.mapping_.size();
  if (bytes < kSessionHeaderBytes)
    return Error(Code::kDataLoss, "a session region of {} bytes has no room for its header", bytes);
  const auto& prefix = *reinterpret_cast<const shm::RegionPrefix*>(region.mapping_.data());
  HEARTH_TRY(shm::CheckRegion(prefix, bytes, kSessionExpectation));
  const HeaderCopy header = CopyHeader(
      *reinterpret_cast<const SessionHeader*>(region.mapping_.data() + kSessionHeaderOffset));
  HEARTH_TRY(CheckGeometry(header.geometry, Code::kDataLoss));
  HEARTH_TRY(CheckOffsets(header, bytes));
  region.geometry_ = header.geometry;
  region.pin_offset_ = header.pin_offset;
  region.channel_offset_ = header.channel_offset;
  region.channel_stride_ = header.channel_stride;
  region.request_ring_offset_ = header.request_ring_offset;
  region.response_ring_offset_ = header.response_ring_offset;
  region.touch_offset_ = header.touch_offset;
  return region;
}

ChannelView SessionRegion::channel(std::uint32_t index) const {
  HEARTH_CHECK(index < geometry_.channels);
  std::byte* base = mapping_.data() + channel_offset_ + index * channel_stride_;
  auto* control = reinterpret_cast<ChannelControl*>(base);
  ChannelView view;
  view.control = control;
  view.requests = RingMemory{base + request_ring_offset_, geometry_.request_ring_bytes,
                             &control->request_tail, &control->request_head};
  view.responses = RingMemory{base + response_ring_offset_, geometry_.response_ring_bytes,
                              &control->response_tail, &control->response_head};
  view.touches = {reinterpret_cast<Atomic<std::uint64_t>*>(base + touch_offset_),
                  geometry_.touch_entries};
  return view;
}

std::span<PinRecord> SessionRegion::pins() const {
  return {reinterpret_cast<PinRecord*>(mapping_.data() + pin_offset_), geometry_.pins};
}

Atomic<std::uint64_t>& SessionRegion::server_epoch() const {
  return reinterpret_cast<SessionHeader*>(mapping_.data() + kSessionHeaderOffset)->server_epoch;
}

}  // namespace hearth::ipc
