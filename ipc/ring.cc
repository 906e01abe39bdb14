#include "ipc/ring.h"

#include "core/base/check.h"
#include "core/base/failpoint.h"

namespace hearth::ipc {
namespace {

// The two positions of a ring must be whole records apart, by no more than the ring.
Status CheckPositions(std::uint64_t head, std::uint64_t tail, std::uint32_t bytes) {
  if (head % kRecordAlign != 0 || tail % kRecordAlign != 0 || head > tail || tail - head > bytes)
    return Error(Code::kDataLoss, "broken ring: head {}, tail {}, {} bytes", head, tail, bytes);
  return Status::Ok();
}

void CheckMemory(const RingMemory& memory) {
  HEARTH_CHECK(memory.data != nullptr && memory.head != nullptr && memory.tail != nullptr);
  HEARTH_CHECK(memory.bytes >= kMinRingBytes && memory.bytes <= kMaxRingBytes);
  HEARTH_CHECK((memory.bytes & (memory.bytes - 1)) == 0);
}

}  // namespace

std::uint64_t TotalBytes(Pieces pieces) {
  std::uint64_t total = 0;
  for (std::string_view piece : pieces) total += piece.size();
  return total;
}

// -------------------------------------------------------------------------------------- producer
Result<RingProducer> RingProducer::Attach(const RingMemory& memory) {
  CheckMemory(memory);
  RingProducer producer(memory);
  producer.position_ = producer.published_ = memory.tail->LoadRelaxed();
  // SYNC acquire request-head: the consumer's reads of the bytes before head are over.
  // SYNC acquire response-head: the same.
  producer.head_ = memory.head->LoadAcquire();
  HEARTH_TRY(CheckPositions(producer.head_, producer.published_, memory.bytes));
  return producer;
}

Result<std::uint64_t> RingProducer::LoadHead() {
  // SYNC acquire request-head: the consumer's reads of the bytes before head are over.
  // SYNC acquire response-head: the same.
  const std::uint64_t head = memory_.head->LoadAcquire();
  // It only grows, in whole records, and never passes what was published.
  if (head < head_ || head > published_ || head % kRecordAlign != 0)
    return Error(Code::kDataLoss, "broken ring: head went from {} to {}, {} are published", head_,
                 head, published_);
  head_ = head;
  return head;
}

std::uint64_t RingProducer::Needed(std::uint64_t payload_bytes) const {
  const std::uint64_t record = RecordBytes(payload_bytes);
  const std::uint64_t rest = memory_.bytes - (position_ & (memory_.bytes - 1));
  return rest < record ? rest + record : record;
}

Result<bool> RingProducer::HasRoom(std::uint64_t payload_bytes) {
  HEARTH_CHECK(payload_bytes <= max_payload());
  const std::uint64_t end = position_ + Needed(payload_bytes);
  if (end - head_ <= memory_.bytes) return true;
  HEARTH_TRY(LoadHead());
  return end - head_ <= memory_.bytes;
}

Result<bool> RingProducer::AppendRaw(std::byte (&header)[kRecordHeaderBytes], Pieces payload) {
  const std::uint64_t length = TotalBytes(payload);
  HEARTH_ASSIGN(const bool room, HasRoom(length));
  if (!room) return false;
  const std::uint64_t mask = memory_.bytes - 1;
  const std::uint64_t record = RecordBytes(length);
  const std::uint64_t rest = memory_.bytes - (position_ & mask);
  if (rest < record) {
    RequestHeader pad{};
    pad.length = static_cast<std::uint32_t>(rest) - kRecordHeaderBytes;
    pad.opcode = kOpPad;
    std::memcpy(memory_.data + (position_ & mask), &pad, sizeof(pad));
    position_ += rest;
  }
  const auto length32 = static_cast<std::uint32_t>(length);
  std::memcpy(header + offsetof(RecordHead, length), &length32, sizeof(length32));
  std::byte* out = memory_.data + (position_ & mask);
  std::memcpy(out, header, kRecordHeaderBytes);
  out += kRecordHeaderBytes;
  for (std::string_view piece : payload) {
    if (piece.empty()) continue;  // memcpy from a null pointer is undefined even for 0 bytes
    std::memcpy(out, piece.data(), piece.size());
    out += piece.size();
  }
  position_ += record;
  return true;
}

void RingProducer::Publish() {
  HEARTH_FAILPOINT("ring.before_publish");
  SharedMemory{}.Publish(*memory_.tail, position_);
  published_ = position_;
}

bool RingProducer::PublishMustRing(const Atomic<std::uint64_t>& flag, std::uint64_t bits) {
  HEARTH_FAILPOINT("ring.before_publish");
  published_ = position_;
  return ipc::PublishMustRing(SharedMemory{}, *memory_.tail, position_, flag, bits);
}

// -------------------------------------------------------------------------------------- consumer
Result<RingConsumer> RingConsumer::Attach(const RingMemory& memory) {
  CheckMemory(memory);
  RingConsumer consumer(memory);
  consumer.position_ = consumer.released_ = consumer.tail_ = memory.head->LoadRelaxed();
  if (consumer.position_ % kRecordAlign != 0)
    return Error(Code::kDataLoss, "broken ring: head {} is not on a record", consumer.position_);
  HEARTH_TRY(consumer.LoadTail());
  return consumer;
}

Status RingConsumer::LoadTail() {
  // SYNC acquire request-tail: the bytes of the records before tail.
  // SYNC acquire response-tail: the same.
  const std::uint64_t tail = memory_.tail->LoadAcquire();
  if (tail < tail_)
    return Error(Code::kDataLoss, "broken ring: tail fell from {} to {}", tail_, tail);
  HEARTH_TRY(CheckPositions(released_, tail, memory_.bytes));
  tail_ = tail;
  return Status::Ok();
}

Status RingConsumer::Broken(std::string_view what) const {
  return Error(Code::kDataLoss, "broken ring: {} at position {} (tail {}, {} bytes)", what,
               position_, tail_, memory_.bytes);
}

Result<bool> RingConsumer::Next(Record* record) {
  const std::uint64_t mask = memory_.bytes - 1;
  while (true) {
    if (position_ == tail_) {
      HEARTH_TRY(LoadTail());
      if (position_ == tail_) return false;
    }
    // The one and only read of this header; everything below looks at the copy.
    std::memcpy(record->header, memory_.data + (position_ & mask), kRecordHeaderBytes);
    const RecordHead head = record->head();
    HEARTH_FAILPOINT("ring.header_copied");
    const std::uint64_t published = tail_ - position_;
    const std::uint64_t rest = memory_.bytes - (position_ & mask);
    if (head.opcode == kOpPad) {
      // A pad stands where a record (a quarter ring at most) did not fit, and fills the rest.
      if (std::uint64_t{head.length} + kRecordHeaderBytes != rest || rest >= memory_.bytes / 4)
        return Broken("a pad that does not fill the end of the ring");
      if (rest > published) return Broken("a pad longer than what is published");
      position_ += rest;
      continue;
    }
    if (head.length > MaxRecordPayload(memory_.bytes))
      return Broken("a record longer than a quarter ring");
    const std::uint64_t bytes = RecordBytes(head.length);
    if (bytes > published) return Broken("a record longer than what is published");
    if (bytes > rest) return Broken("a record that wraps");
    record->length = head.length;
    record->position = position_;
    record->end = position_ += bytes;
    return true;
  }
}

void RingConsumer::Copy(const Record& record, std::uint32_t offset, void* out,
                        std::uint32_t size) const {
  HEARTH_CHECK(record.position >= released_ && record.end <= position_);
  HEARTH_CHECK(offset <= record.length && size <= record.length - offset);
  if (size == 0) return;
  const std::byte* from = memory_.data + (record.position & (memory_.bytes - 1));
  std::memcpy(out, from + kRecordHeaderBytes + offset, size);
}

void RingConsumer::AppendTo(const Record& record, std::uint32_t offset, std::string* out) const {
  HEARTH_CHECK(record.position >= released_ && record.end <= position_);
  HEARTH_CHECK(offset <= record.length);
  const std::byte* from = memory_.data + (record.position & (memory_.bytes - 1));
  out->append(reinterpret_cast<const char*>(from) + kRecordHeaderBytes + offset,
              record.length - offset);
}

void RingConsumer::Release() { ReleaseUpTo(position_); }

void RingConsumer::ReleaseUpTo(std::uint64_t end) {
  HEARTH_CHECK(end >= released_ && end <= position_);
  HEARTH_FAILPOINT("ring.before_release");
  SharedMemory{}.Publish(*memory_.head, end);
  released_ = end;
}

bool RingConsumer::ReleaseMustRing(const Atomic<std::uint64_t>& flag, std::uint64_t bits) {
  HEARTH_FAILPOINT("ring.before_release");
  released_ = position_;
  return ipc::PublishMustRing(SharedMemory{}, *memory_.head, position_, flag, bits);
}

}  // namespace hearth::ipc
