// The bytes of a session region and of the records in its rings. PROTOCOL.md is the prose; this
// header is the only definition, and the Go constants are generated from it. Little-endian.
//
//   | RegionPrefix | SessionHeader | ... | pins | channel 0 | channel 1 | ...
//   0              128             4096
//   channel: | ChannelControl 1024 | request ring | response ring | touch buffer |
//
// The daemon creates the region and both processes map it writable, so neither trusts a word of it:
// each copies what the other wrote and checks the copy. A client that breaks its region ends its
// own session and nothing else.
#ifndef HEARTH_IPC_SESSION_LAYOUT_H_
#define HEARTH_IPC_SESSION_LAYOUT_H_

#include <cstddef>
#include <cstdint>

#include "core/base/atomic.h"
#include "core/shm/layout.h"
#include "core/shm/region.h"

namespace hearth::ipc {

inline constexpr std::uint32_t kSessionLayoutVersion = 1;
inline constexpr std::uint32_t kSessionHeaderBytes = 4096;  // prefix and SessionHeader, padded

// ---------------------------------------------------------------------------------------- limits
inline constexpr std::uint32_t kMaxChannels = 16;
inline constexpr std::uint32_t kMinRingBytes = 16 * 1024;
inline constexpr std::uint32_t kDefaultRingBytes = 64 * 1024;
inline constexpr std::uint32_t kMaxRingBytes = 16 * 1024 * 1024;
inline constexpr std::uint32_t kMaxMessageBytes = 64 * 1024 * 1024;  // default; Welcome tells
inline constexpr std::uint32_t kMaxOpenMessages = 16;  // half-received messages of one channel
inline constexpr std::uint32_t kMaxErrorMessageBytes = 448;
// What every request must reserve, so that an error always fits.
inline constexpr std::uint32_t kMinResponseSpace = 512;

// --------------------------------------------------------------------------------- session header
struct SessionHeader {
  std::uint64_t session_id;
  std::uint32_t channel_count;
  std::uint32_t request_ring_bytes;  // powers of two
  std::uint32_t response_ring_bytes;
  std::uint32_t touch_entries;  // per channel, power of two
  std::uint32_t pin_count;
  std::uint32_t reserved0;
  std::uint64_t pin_offset;      // PinRecords; offsets from the start of the region
  std::uint64_t channel_offset;  // of channel 0
  std::uint64_t channel_stride;
  std::uint64_t request_ring_offset;  // within a channel
  std::uint64_t response_ring_offset;
  std::uint64_t touch_offset;
  Atomic<std::uint64_t> server_epoch;  // daemon lives; changes when a new one took the rings over
  std::uint8_t reserved1[40];
};
#define HEARTH_SESSION_HEADER_FIELDS(F) \
  F(session_id, 0)                      \
  F(channel_count, 8)                   \
  F(request_ring_bytes, 12)             \
  F(response_ring_bytes, 16)            \
  F(touch_entries, 20)                  \
  F(pin_count, 24)                      \
  F(reserved0, 28)                      \
  F(pin_offset, 32)                     \
  F(channel_offset, 40)                 \
  F(channel_stride, 48)                 \
  F(request_ring_offset, 56)            \
  F(response_ring_offset, 64)           \
  F(touch_offset, 72)                   \
  F(server_epoch, 80)                   \
  F(reserved1, 88)
HEARTH_LAYOUT(SessionHeader, 128, HEARTH_SESSION_HEADER_FIELDS)

inline constexpr std::uint64_t kSessionHeaderOffset = sizeof(shm::RegionPrefix);

// A reader's claim on a segment whose bytes it uses in place (PROTOCOL.md section 3).
struct PinRecord {
  Atomic<std::uint64_t> segment_plus_one;  // 0 = never used, ~0 = free again
  Atomic<std::uint64_t> generation;
};
#define HEARTH_PIN_RECORD_FIELDS(F) \
  F(segment_plus_one, 0)            \
  F(generation, 8)
HEARTH_LAYOUT(PinRecord, 16, HEARTH_PIN_RECORD_FIELDS)

// -------------------------------------------------------------------------------- channel control
// Positions are counts of bytes since the session began; position & (ring_bytes - 1) is the offset.
// A position belongs to one side. Each stands on its own pair of cache lines, since CPUs prefetch
// lines in pairs.
struct ChannelControl {
  Atomic<std::uint64_t> request_tail;  // client: end of published requests
  std::uint8_t pad0[120];
  Atomic<std::uint64_t> request_head;  // server: end of consumed requests
  std::uint8_t pad1[120];
  Atomic<std::uint64_t> server_asleep;  // server: 1 = ring the server doorbell after publishing
  std::uint8_t pad2[120];
  Atomic<std::uint64_t> response_tail;  // server: end of published responses
  std::uint8_t pad3[120];
  Atomic<std::uint64_t> response_head;  // client: end of consumed responses
  std::uint8_t pad4[120];
  Atomic<std::uint64_t> client_asleep;  // client: kClientWaits* bits
  std::uint8_t pad5[120];
  Atomic<std::uint64_t> touch_tail;  // client: touches ever written
  std::uint8_t pad6[120];
  std::uint8_t reserved[128];
};
#define HEARTH_CHANNEL_CONTROL_FIELDS(F) \
  F(request_tail, 0)                     \
  F(pad0, 8)                             \
  F(request_head, 128)                   \
  F(pad1, 136)                           \
  F(server_asleep, 256)                  \
  F(pad2, 264)                           \
  F(response_tail, 384)                  \
  F(pad3, 392)                           \
  F(response_head, 512)                  \
  F(pad4, 520)                           \
  F(client_asleep, 640)                  \
  F(pad5, 648)                           \
  F(touch_tail, 768)                     \
  F(pad6, 776)                           \
  F(reserved, 896)
HEARTH_LAYOUT(ChannelControl, 1024, HEARTH_CHANNEL_CONTROL_FIELDS)

inline constexpr std::uint64_t kClientWaitsForResponse = 1;  // ring when a response is published
inline constexpr std::uint64_t kClientWaitsForSpace = 2;     // ring when request_head advances

// ---------------------------------------------------------------------------------------- records
// A record is a 64-byte header and its payload, padded to a multiple of 64. It never wraps: where
// it does not fit before the end of the ring, a kOpPad record whose `length` covers the rest comes
// first. Header and payload together are at most a quarter of the ring.
inline constexpr std::uint32_t kRecordAlign = 64;
inline constexpr std::uint32_t kRecordHeaderBytes = 64;

enum Opcode : std::uint16_t {
  kOpPad = 0,             // skip `length` payload bytes; nothing else in the header counts
  kOpSet = 1,             // SetBody, key, value
  kOpDelete = 2,          // KeyBody, key
  kOpTouch = 3,           // TouchBody, key
  kOpGet = 4,             // KeyBody, key: for a reader that lost every race against the writer
  kOpCall = 5,            // the request of method `target`, raw bytes
  kOpCancel = 6,          // the caller of `call_id` has gone; no response of its own
  kOpCredit = 7,          // `response_space` more bytes for the response to `call_id`; no response
  kOpPing = 8,            // empty; answered in order after everything before it in the ring
  kOpCompareAndSwap = 9,  // CasBody, key, value
  kOpIncrement = 10,      // IncrementBody, key; the answer's `number` is the new value
  kOpAppend = 11,         // AppendBody, key, bytes
  kOpLease = 12,    // LeaseBody, key: the value, or the right to load it, or a wait for either
  kOpFill = 13,     // FillBody, key, value: what the holder of a lease has loaded
  kOpRelease = 14,  // ReleaseBody, key: the holder has nothing to fill in
};

// A message longer than one record travels as several with the same call id, opcode and target.
// The payload of the first begins with the length of the whole message (u64).
inline constexpr std::uint16_t kRecordMore = 1U << 0U;          // further records follow
inline constexpr std::uint16_t kRecordContinuation = 1U << 1U;  // not the first record

struct RequestHeader {
  std::uint32_t length;  // payload bytes
  std::uint16_t opcode;
  std::uint16_t flags;
  std::uint32_t call_id;      // chosen by the client, echoed; unique among its open calls
  std::uint32_t target;       // namespace id or method id
  std::uint64_t sequence;     // of the channel: 1, 2, 3, ... one for each message
  std::uint64_t deadline_ns;  // absolute, CLOCK_MONOTONIC; 0 = none
  std::uint8_t trace_id[16];  // W3C trace context; zero = none
  std::uint8_t span_id[8];
  std::uint8_t trace_flags;
  std::uint8_t reserved[3];
  std::uint32_t response_space;  // bytes of the response ring reserved for the answer
};
#define HEARTH_REQUEST_HEADER_FIELDS(F) \
  F(length, 0)                          \
  F(opcode, 4)                          \
  F(flags, 6)                           \
  F(call_id, 8)                         \
  F(target, 12)                         \
  F(sequence, 16)                       \
  F(deadline_ns, 24)                    \
  F(trace_id, 32)                       \
  F(span_id, 48)                        \
  F(trace_flags, 56)                    \
  F(reserved, 57)                       \
  F(response_space, 60)
HEARTH_LAYOUT(RequestHeader, 64, HEARTH_REQUEST_HEADER_FIELDS)

struct ResponseHeader {
  std::uint32_t length;  // payload bytes: the result, or the message of an error
  std::uint16_t opcode;  // of the request
  std::uint16_t flags;
  std::uint32_t call_id;
  std::uint16_t status;    // hearth::Code
  std::uint8_t execution;  // hearth::Execution
  std::uint8_t reserved0;
  std::uint64_t sequence;        // of the request
  std::uint64_t version;         // of the entry written, read or in the way
  std::uint64_t hard_expiry_ms;  // of the entry read (kOpGet), store time; ~0 = never
  std::uint64_t soft_expiry_ms;
  std::uint32_t retry_after_ms;  // with kResourceExhausted, where waiting helps; 0 = no advice
  std::uint8_t reserved1[4];
  // Of kOpIncrement: the new value, two's complement. Of kOpLease: the token of the lease that was
  // granted; 0 = the payload is the value.
  std::uint64_t number;
};
#define HEARTH_RESPONSE_HEADER_FIELDS(F) \
  F(length, 0)                           \
  F(opcode, 4)                           \
  F(flags, 6)                            \
  F(call_id, 8)                          \
  F(status, 12)                          \
  F(execution, 14)                       \
  F(reserved0, 15)                       \
  F(sequence, 16)                        \
  F(version, 24)                         \
  F(hard_expiry_ms, 32)                  \
  F(soft_expiry_ms, 40)                  \
  F(retry_after_ms, 48)                  \
  F(reserved1, 52)                       \
  F(number, 56)
HEARTH_LAYOUT(ResponseHeader, 64, HEARTH_RESPONSE_HEADER_FIELDS)

// ----------------------------------------------------------------------------------- cache
// requests
inline constexpr std::uint64_t kTtlDefault = 0;                // take the namespace's default
inline constexpr std::uint64_t kTtlNever = ~std::uint64_t{0};  // no expiry

enum SetMode : std::uint32_t {
  kSetAlways = 0,
  kSetIfAbsent = 1,   // add
  kSetIfPresent = 2,  // replace
};

struct SetBody {
  std::uint64_t hard_ttl_ms;  // from the arrival at the writer; or kTtlDefault, kTtlNever
  std::uint64_t soft_ttl_ms;
  std::uint32_t key_length;
  std::uint32_t value_length;
  std::uint32_t mode;  // SetMode
  std::uint32_t reserved;
};
#define HEARTH_SET_BODY_FIELDS(F) \
  F(hard_ttl_ms, 0)               \
  F(soft_ttl_ms, 8)               \
  F(key_length, 16)               \
  F(value_length, 20)             \
  F(mode, 24)                     \
  F(reserved, 28)
HEARTH_LAYOUT(SetBody, 32, HEARTH_SET_BODY_FIELDS)

struct TouchBody {
  std::uint64_t hard_ttl_ms;
  std::uint64_t soft_ttl_ms;
  std::uint32_t key_length;
  std::uint32_t reserved;
};
#define HEARTH_TOUCH_BODY_FIELDS(F) \
  F(hard_ttl_ms, 0)                 \
  F(soft_ttl_ms, 8)                 \
  F(key_length, 16)                 \
  F(reserved, 20)
HEARTH_LAYOUT(TouchBody, 24, HEARTH_TOUCH_BODY_FIELDS)

struct CasBody {
  std::uint64_t hard_ttl_ms;
  std::uint64_t soft_ttl_ms;
  std::uint32_t key_length;
  std::uint32_t value_length;
  std::uint64_t expected_version;
};
#define HEARTH_CAS_BODY_FIELDS(F) \
  F(hard_ttl_ms, 0)               \
  F(soft_ttl_ms, 8)               \
  F(key_length, 16)               \
  F(value_length, 20)             \
  F(expected_version, 24)
HEARTH_LAYOUT(CasBody, 32, HEARTH_CAS_BODY_FIELDS)

// In IncrementBody.flags; all other bits are zero.
inline constexpr std::uint32_t kIncrementHasInitial = 1U << 0U;

struct IncrementBody {
  std::uint64_t hard_ttl_ms;  // of an entry that `initial` creates
  std::uint64_t soft_ttl_ms;
  std::uint64_t delta;    // this and `initial`: two's complement
  std::uint64_t initial;  // what an absent key counts as; zero without kIncrementHasInitial
  std::uint32_t key_length;
  std::uint32_t flags;
};
#define HEARTH_INCREMENT_BODY_FIELDS(F) \
  F(hard_ttl_ms, 0)                     \
  F(soft_ttl_ms, 8)                     \
  F(delta, 16)                          \
  F(initial, 24)                        \
  F(key_length, 32)                     \
  F(flags, 36)
HEARTH_LAYOUT(IncrementBody, 40, HEARTH_INCREMENT_BODY_FIELDS)

struct AppendBody {
  std::uint32_t key_length;
  std::uint32_t value_length;  // of the bytes to append
};
#define HEARTH_APPEND_BODY_FIELDS(F) \
  F(key_length, 0)                   \
  F(value_length, 4)
HEARTH_LAYOUT(AppendBody, 8, HEARTH_APPEND_BODY_FIELDS)

// In LeaseBody.flags; all other bits are zero.
inline constexpr std::uint32_t kLeaseNoWait = 1U << 0U;  // where another holds it: kAlreadyExists

struct LeaseBody {
  std::uint32_t key_length;
  std::uint32_t flags;
};
#define HEARTH_LEASE_BODY_FIELDS(F) \
  F(key_length, 0)                  \
  F(flags, 4)
HEARTH_LAYOUT(LeaseBody, 8, HEARTH_LEASE_BODY_FIELDS)

// In FillBody.flags; all other bits are zero. The key does not exist where it was to be loaded
// from: no value; hard_ttl_ms is the TTL of a negative entry, 0 for none; soft_ttl_ms is 0.
inline constexpr std::uint32_t kFillAbsent = 1U << 0U;

struct FillBody {
  std::uint64_t hard_ttl_ms;
  std::uint64_t soft_ttl_ms;
  std::uint64_t token;
  std::uint32_t key_length;
  std::uint32_t value_length;
  std::uint32_t flags;
  std::uint32_t reserved;
};
#define HEARTH_FILL_BODY_FIELDS(F) \
  F(hard_ttl_ms, 0)                \
  F(soft_ttl_ms, 8)                \
  F(token, 16)                     \
  F(key_length, 24)                \
  F(value_length, 28)              \
  F(flags, 32)                     \
  F(reserved, 36)
HEARTH_LAYOUT(FillBody, 40, HEARTH_FILL_BODY_FIELDS)

struct ReleaseBody {
  std::uint64_t token;
  std::uint32_t key_length;
  std::uint32_t reserved;
};
#define HEARTH_RELEASE_BODY_FIELDS(F) \
  F(token, 0)                         \
  F(key_length, 8)                    \
  F(reserved, 12)
HEARTH_LAYOUT(ReleaseBody, 16, HEARTH_RELEASE_BODY_FIELDS)

// Of kOpDelete and kOpGet.
struct KeyBody {
  std::uint32_t key_length;
  std::uint32_t reserved;
};
#define HEARTH_KEY_BODY_FIELDS(F) \
  F(key_length, 0)                \
  F(reserved, 4)
HEARTH_LAYOUT(KeyBody, 8, HEARTH_KEY_BODY_FIELDS)

// ----------------------------------------------------------------------------------- fingerprint
inline constexpr shm::StructLayout kSessionStructs[] = {
    shm::RegionPrefixLayout::kStruct, SessionHeaderLayout::kStruct, PinRecordLayout::kStruct,
    ChannelControlLayout::kStruct,    RequestHeaderLayout::kStruct, ResponseHeaderLayout::kStruct,
    SetBodyLayout::kStruct,           TouchBodyLayout::kStruct,     KeyBodyLayout::kStruct,
    CasBodyLayout::kStruct,           IncrementBodyLayout::kStruct, AppendBodyLayout::kStruct,
    LeaseBodyLayout::kStruct,         FillBodyLayout::kStruct,      ReleaseBodyLayout::kStruct};
inline constexpr std::uint64_t kSessionFingerprint = shm::Fingerprint(kSessionStructs);
inline constexpr shm::RegionExpectation kSessionExpectation{
    shm::RegionKind::kSession, kSessionLayoutVersion, kSessionFingerprint};

constexpr std::uint64_t RecordBytes(std::uint64_t payload_bytes) {
  return (kRecordHeaderBytes + payload_bytes + kRecordAlign - 1) & ~std::uint64_t{kRecordAlign - 1};
}
// The longest payload of one record in a ring of `ring_bytes`.
constexpr std::uint32_t MaxRecordPayload(std::uint32_t ring_bytes) {
  return ring_bytes / 4 - kRecordHeaderBytes;
}
// How much of a response ring a client may have reserved at once: the rest is kept for the one pad
// record that can be outstanding.
constexpr std::uint32_t ReservableResponseBytes(std::uint32_t ring_bytes) {
  return ring_bytes - ring_bytes / 4;
}

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_SESSION_LAYOUT_H_
