// The shared memory of one session: created by the daemon, attached by the client, bytes in
// session_layout.h.
//
// Both processes write to the region. Its geometry (sizes and offsets) is therefore read once, when
// it is attached, checked, and kept privately; nobody looks at the shared SessionHeader again.
//
// Thread safety: immutable after creation. What is done through a ChannelView is up to rings and
// doorbells.
#ifndef HEARTH_IPC_SESSION_REGION_H_
#define HEARTH_IPC_SESSION_REGION_H_

#include <cstdint>
#include <span>

#include "core/base/fd.h"
#include "core/base/status.h"
#include "core/shm/memory.h"
#include "ipc/ring.h"
#include "ipc/session_layout.h"

namespace hearth::ipc {

struct SessionGeometry {
  std::uint64_t session_id = 0;
  std::uint32_t channels = 1;                             // 1..kMaxChannels
  std::uint32_t request_ring_bytes = kDefaultRingBytes;   // powers of two,
  std::uint32_t response_ring_bytes = kDefaultRingBytes;  //   kMinRingBytes..kMaxRingBytes
  std::uint32_t touch_entries = 0;                        // per channel; 0 or a power of two
  std::uint32_t pins = 0;                                 // at most kMaxPins
};

inline constexpr std::uint32_t kMaxTouchEntries = 1U << 20U;
inline constexpr std::uint32_t kMaxPins = 1U << 16U;

// What a Hello may ask for: the nearest legal ring size at or above `wanted`, kDefaultRingBytes
// for 0, never above `limit` (a legal size).
std::uint32_t LegalRingBytes(std::uint32_t wanted, std::uint32_t limit);

// One channel's words and rings. Copyable; valid as long as its SessionRegion.
struct ChannelView {
  ChannelControl* control = nullptr;
  RingMemory requests;   // the client produces
  RingMemory responses;  // the daemon produces
  std::span<Atomic<std::uint64_t>> touches;
};

class SessionRegion {
 public:
  // Daemon: a new region of zeroed rings, published and mapped. kInvalidArgument for a geometry
  // outside the limits, kResourceExhausted without memory.
  static Result<SessionRegion> Create(const SessionGeometry& geometry);
  // How large that region is, before it is made. REQUIRES: a geometry within the limits.
  static std::uint64_t BytesOf(const SessionGeometry& geometry);

  // Maps and validates a region: the client with the descriptor of Welcome, the daemon with one it
  // got back after a restart. Takes the descriptor. kFailedPrecondition for another layout (the
  // message names both), kDataLoss for anything that does not add up.
  static Result<SessionRegion> Attach(UniqueFd fd);

  const SessionGeometry& geometry() const { return geometry_; }
  // For passing to the client and to the descriptor holder.
  const UniqueFd& fd() const { return fd_; }
  std::uint64_t bytes() const { return mapping_.size(); }

  // REQUIRES: index < geometry().channels.
  ChannelView channel(std::uint32_t index) const;
  std::span<PinRecord> pins() const;
  // The count of daemon lives that have owned this region.
  Atomic<std::uint64_t>& server_epoch() const;

 private:
  SessionRegion() = default;
  // Fills in geometry and offsets.
  void Arrange(const SessionGeometry& geometry);

  SessionGeometry geometry_;
  // Checked copies of the offsets in SessionHeader.
  std::uint64_t pin_offset_ = 0;
  std::uint64_t channel_offset_ = 0;
  std::uint64_t channel_stride_ = 0;
  std::uint64_t request_ring_offset_ = 0;
  std::uint64_t response_ring_offset_ = 0;
  std::uint64_t touch_offset_ = 0;
  UniqueFd fd_;
  shm::Mapping mapping_;
};

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_SESSION_REGION_H_
