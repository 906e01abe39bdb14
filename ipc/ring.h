// One ring of PROTOCOL.md section 4: bytes that two processes pass each other, in one direction,
// with one producer and one consumer.
//
// A ring is a transfer of ownership. Bytes in [head, tail) belong to the consumer, all others to
// the producer. Storing `tail` (release) gives bytes to the consumer together with what was written
// into them; storing `head` (release) gives them back after the last read. Neither side touches
// bytes it does not own, so nothing in the ring is ever read and written at once, unless the peer
// is broken or hostile. Therefore:
//
//  * each side keeps its own position privately; the word in shared memory is only where it
//    announces it. A peer that scribbles over our word misleads itself;
//  * the peer's position, and every header, is copied to private memory once, and the copy is
//    checked. Payloads are copied out before anybody parses them;
//  * what does not check is a Status of code kDataLoss: the ring is broken for good and its owner
//    ends the session. No input stops the process.
//
// Thread safety: a producer, and a consumer, belongs to one thread at a time.
#ifndef HEARTH_IPC_RING_H_
#define HEARTH_IPC_RING_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/atomic.h"
#include "core/base/status.h"
#include "ipc/doorbell.h"
#include "ipc/session_layout.h"

namespace hearth::ipc {

// Where a ring lies. The memory must outlive producer and consumer.
struct RingMemory {
  std::byte* data = nullptr;  // aligned to kRecordAlign
  std::uint32_t bytes = 0;    // power of two, kMinRingBytes..kMaxRingBytes
  Atomic<std::uint64_t>* tail = nullptr;
  Atomic<std::uint64_t>* head = nullptr;
};

// The part of a header that requests and responses share; what a ring itself looks at.
struct RecordHead {
  std::uint32_t length;
  std::uint16_t opcode;
  std::uint16_t flags;
};

// A payload, given as pieces that follow each other. Sum at most MaxRecordPayload().
using Pieces = std::span<const std::string_view>;
std::uint64_t TotalBytes(Pieces pieces);

class RingProducer {
 public:
  // Continues at the tail in shared memory (0 in a new ring). kDataLoss when the two positions do
  // not make sense; the tail may have been written by an earlier life of this side, or by anybody.
  static Result<RingProducer> Attach(const RingMemory& memory);

  // Writes one record behind the previous ones, a pad before it if need be; the consumer sees it
  // after Publish(). `header` is a RequestHeader or ResponseHeader; its length is set here.
  // False when there is no room: publish, wait until head moves, try again. kDataLoss when the
  // consumer's head makes no sense.
  // REQUIRES: TotalBytes(payload) <= max_payload().
  template <class Header>
  Result<bool> Append(const Header& header, Pieces payload) {
    static_assert(sizeof(Header) == kRecordHeaderBytes && std::is_trivially_copyable_v<Header>);
    std::byte raw[kRecordHeaderBytes];
    std::memcpy(raw, &header, sizeof(raw));
    return AppendRaw(raw, payload);
  }

  // Whether a record with this payload would fit now; loads head if the private copy says no.
  Result<bool> HasRoom(std::uint64_t payload_bytes);

  // Gives all appended records to the consumer.
  void Publish();
  // Gives them, and says whether the consumer must be woken: `flag` is its asleep word.
  [[nodiscard]] bool PublishMustRing(const Atomic<std::uint64_t>& flag, std::uint64_t bits);

  std::uint32_t max_payload() const { return MaxRecordPayload(memory_.bytes); }
  std::uint32_t ring_bytes() const { return memory_.bytes; }
  bool has_unpublished() const { return position_ != published_; }
  std::uint64_t published() const { return published_; }
  // End of appended records, published or not: where the next one (or its pad) begins.
  std::uint64_t position() const { return position_; }

  // Loads head now; for asking which records the consumer has reached. kDataLoss as above.
  Result<std::uint64_t> LoadHead();
  // For sleeping until there is more room than this producer knows of.
  Watch SpaceWatch(Atomic<std::uint64_t>& flag, std::uint64_t bits) const {
    return Watch{memory_.head, head_, &flag, bits};
  }

 private:
  explicit RingProducer(const RingMemory& memory) : memory_(memory) {}
  Result<bool> AppendRaw(std::byte (&header)[kRecordHeaderBytes], Pieces payload);
  // Bytes that a record of this payload takes here, its pad included.
  std::uint64_t Needed(std::uint64_t payload_bytes) const;

  RingMemory memory_;
  std::uint64_t position_ = 0;   // end of appended records
  std::uint64_t published_ = 0;  // what tail says
  std::uint64_t head_ = 0;       // the last head seen
};

// A record that has been taken from the ring: the header is a private copy, the payload still lies
// in the ring and may be read, by RingConsumer::Copy, until the consumer releases it.
struct Record {
  alignas(8) std::byte header[kRecordHeaderBytes];
  std::uint32_t length = 0;    // of the payload; checked
  std::uint64_t position = 0;  // where the header lies
  std::uint64_t end = 0;       // position behind the record, padding included

  RecordHead head() const { return HeaderAs<RecordHead>(); }
  template <class Header>
  Header HeaderAs() const {
    static_assert(sizeof(Header) <= kRecordHeaderBytes && std::is_trivially_copyable_v<Header>);
    Header copy;
    std::memcpy(&copy, header, sizeof(copy));
    return copy;
  }
};

class RingConsumer {
 public:
  // Continues at the head in shared memory; errors as RingProducer::Attach.
  static Result<RingConsumer> Attach(const RingMemory& memory);

  // Takes the next record; pads are skipped. False when none is published. kDataLoss when
  // positions, lengths or a pad break the rules; it stays so.
  Result<bool> Next(Record* record);

  // Copies payload bytes [offset, offset + size) out of the ring.
  // REQUIRES: the record came from Next(), is not released, and the range lies within its length.
  void Copy(const Record& record, std::uint32_t offset, void* out, std::uint32_t size) const;
  // The same, appending the payload from `offset` on to a string.
  void AppendTo(const Record& record, std::uint32_t offset, std::string* out) const;

  // Gives back every record taken so far (or only those before position `end`). Do it after the
  // effect and the response of a request are visible: what lies behind head is lost in a crash.
  void Release();
  void ReleaseUpTo(std::uint64_t end);
  // Gives them back, and says whether a producer waiting for space must be woken.
  [[nodiscard]] bool ReleaseMustRing(const Atomic<std::uint64_t>& flag, std::uint64_t bits);

  // Whether tail has moved since Next() last looked; a hint, which checks nothing.
  bool HasMore() const { return memory_.tail->LoadRelaxed() != position_; }
  bool has_unreleased() const { return position_ != released_; }
  std::uint64_t released() const { return released_; }
  // For sleeping until more is published than this consumer has seen.
  // REQUIRES: Next() said false since; otherwise published records would be slept on.
  Watch DataWatch(Atomic<std::uint64_t>& flag, std::uint64_t bits) const {
    return Watch{memory_.tail, tail_, &flag, bits};
  }

 private:
  explicit RingConsumer(const RingMemory& memory) : memory_(memory) {}
  Status LoadTail();
  Status Broken(std::string_view what) const;

  RingMemory memory_;
  std::uint64_t position_ = 0;  // end of taken records
  std::uint64_t released_ = 0;  // what head says
  std::uint64_t tail_ = 0;      // the last tail seen
};

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_RING_H_
