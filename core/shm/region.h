// The frozen prefix with which every shared region of Hearth begins. Its layout never changes, in
// any version: it is what lets a process of one version say clearly why it cannot use a region of
// another. What follows the prefix is versioned (core/cache/format.h, ipc/session_layout.h).
//
//   0        8        12       16           24      40      44     48      56            88
//   | magic  | header | layout | layout     | uuid  | state | kind | epoch | hash secret | bytes |
//   |        | bytes  | version| fingerprint|       |       |      |       |             |       |
//
// The creator writes `magic` last, so a region whose magic is missing was never finished.
#ifndef HEARTH_CORE_SHM_REGION_H_
#define HEARTH_CORE_SHM_REGION_H_

#include <array>
#include <cstdint>
#include <string>

#include "core/base/atomic.h"
#include "core/base/status.h"
#include "core/shm/layout.h"

namespace hearth::shm {

enum class RegionKind : std::uint32_t { kStore = 1, kSession = 2 };
enum class RegionState : std::uint32_t { kCreating = 0, kLive = 1 };

// "HEARTH" and the prefix's own version, little-endian.
inline constexpr std::uint64_t kRegionMagic = 0x0100'4854'5241'4548U;

struct RegionPrefix {
  Atomic<std::uint64_t> magic;
  std::uint32_t header_bytes;    // of the prefix and the versioned header together
  std::uint32_t layout_version;  // of what follows the prefix, counted per kind
  std::uint64_t layout_fingerprint;
  std::uint8_t uuid[16];
  Atomic<std::uint32_t> state;   // RegionState
  std::uint32_t kind;            // RegionKind
  Atomic<std::uint64_t> epoch;   // daemon lives that have owned the region, from 1
  std::uint64_t hash_secret[4];  // zero in regions without keys
  std::uint64_t region_bytes;
  std::uint8_t reserved[32];
};
#define HEARTH_REGION_PREFIX_FIELDS(F) \
  F(magic, 0)                          \
  F(header_bytes, 8)                   \
  F(layout_version, 12)                \
  F(layout_fingerprint, 16)            \
  F(uuid, 24)                          \
  F(state, 40)                         \
  F(kind, 44)                          \
  F(epoch, 48)                         \
  F(hash_secret, 56)                   \
  F(region_bytes, 88)                  \
  F(reserved, 96)
HEARTH_LAYOUT(RegionPrefix, 128, HEARTH_REGION_PREFIX_FIELDS)

using Uuid = std::array<std::uint8_t, 16>;

// What a process expects of a region it is handed.
struct RegionExpectation {
  RegionKind kind;
  std::uint32_t layout_version;
  std::uint64_t layout_fingerprint;
};

// Checks a mapped prefix against `expected` and against the number of bytes really mapped. Nothing
// in the region may be used before this said OK.
//   kUnavailable         the creator has not finished (magic or state missing): try again
//   kFailedPrecondition  another layout version or fingerprint; the message names both
//   kDataLoss            not a region of Hearth, or of another kind or size
Status CheckRegion(const RegionPrefix& prefix, std::uint64_t mapped_bytes,
                   const RegionExpectation& expected);

// Fills everything of a zeroed prefix but magic and state.
void InitRegion(RegionPrefix& prefix, const RegionExpectation& what, std::uint32_t header_bytes,
                std::uint64_t region_bytes, const Uuid& uuid);

// Marks the region live and publishes the magic: the last step of a creator.
void PublishRegion(RegionPrefix& prefix);

// Random bytes of the kernel. Stops the process if it has none to give, which Linux cannot do
// after boot.
void RandomBytes(void* out, std::size_t size);
Uuid MakeUuid();
std::string FormatUuid(const Uuid& uuid);

}  // namespace hearth::shm

#endif  // HEARTH_CORE_SHM_REGION_H_
