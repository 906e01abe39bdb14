// The part of format.h that describes a namespace: its record, and the words that name it.
#ifndef HEARTH_CORE_CACHE_NAMESPACE_FORMAT_H_
#define HEARTH_CORE_CACHE_NAMESPACE_FORMAT_H_

#include <cstdint>

#include "core/base/atomic.h"
#include "core/shm/layout.h"

namespace hearth::cache {

enum class NamespaceState : std::uint16_t { kFree = 0, kLive = 1, kDropped = 2 };

// NamespaceRecord::state: incarnation 16 (high) | NamespaceState 16. The incarnation counts the
// namespaces that have had the id before, so that whoever held one of them open finds the word
// changed.
inline constexpr std::uint32_t kNamespaceIncarnationShift = 16;
constexpr std::uint32_t MakeNamespaceWord(NamespaceState state, std::uint32_t incarnation) {
  return incarnation << kNamespaceIncarnationShift | static_cast<std::uint32_t>(state);
}
constexpr NamespaceState NamespaceStateOf(std::uint32_t word) {
  return static_cast<NamespaceState>(word & 0xffffU);
}
constexpr std::uint32_t NamespaceIncarnationOf(std::uint32_t word) {
  return word >> kNamespaceIncarnationShift;
}

// What names a namespace in requests and lookups: incarnation 16 (high) | id 16. The first
// namespace of an id has the id itself.
constexpr std::uint32_t MakeNamespaceHandle(std::uint16_t id, std::uint32_t incarnation) {
  return incarnation << kNamespaceIncarnationShift | id;
}
constexpr std::uint16_t NamespaceIdOf(std::uint32_t handle) {
  return static_cast<std::uint16_t>(handle);
}
// The state word of the namespace with this handle while it lives.
constexpr std::uint32_t LiveWordOf(std::uint32_t handle) {
  return MakeNamespaceWord(NamespaceState::kLive, handle >> kNamespaceIncarnationShift);
}

inline constexpr std::uint32_t kNamespaceStrict = 1U << 0U;  // reads miss while the daemon is down
inline constexpr std::uint32_t kNamespaceSensitive = 1U << 1U;  // never written to disk
inline constexpr std::uint32_t kNamespaceNoEvict = 1U << 2U;    // full means an error, not eviction
inline constexpr std::uint32_t kNamespaceTinyLfu = 1U << 3U;    // TinyLFU admission

// Record i belongs to namespace id i.
struct NamespaceRecord {
  Atomic<std::uint32_t> state;                // incarnation and NamespaceState
  Atomic<std::uint32_t> flags;                // strict may change at any time
  Atomic<std::uint64_t> flushed_version;      // entries up to this version are invisible
  Atomic<std::uint64_t> default_hard_ttl_ms;  // 0 = none
  Atomic<std::uint64_t> default_soft_ttl_ms;  // 0 = none
  Atomic<std::uint64_t> quota_min_bytes;
  Atomic<std::uint64_t> quota_max_bytes;  // 0 = the whole store
  Atomic<std::uint64_t> used_bytes;       // of the segments the namespace owns
  std::uint8_t name_length;
  std::uint8_t name[63];
  // No segment allocated up to this one (SegmentHeader::sequence) holds a visible entry of it.
  Atomic<std::uint64_t> flushed_sequence;
};
#define HEARTH_NAMESPACE_RECORD_FIELDS(F) \
  F(state, 0)                             \
  F(flags, 4)                             \
  F(flushed_version, 8)                   \
  F(default_hard_ttl_ms, 16)              \
  F(default_soft_ttl_ms, 24)              \
  F(quota_min_bytes, 32)                  \
  F(quota_max_bytes, 40)                  \
  F(used_bytes, 48)                       \
  F(name_length, 56)                      \
  F(name, 57)                             \
  F(flushed_sequence, 120)
HEARTH_LAYOUT(NamespaceRecord, 128, HEARTH_NAMESPACE_RECORD_FIELDS)

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_NAMESPACE_FORMAT_H_
