// A ring for tests, in memory that forked children share.
#ifndef HEARTH_TESTS_IPC_RING_FIXTURE_H_
#define HEARTH_TESTS_IPC_RING_FIXTURE_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "core/base/atomic.h"
#include "core/base/check.h"
#include "ipc/ring.h"

namespace hearth::ipc {

// Anonymous pages that forked children share, between two that nobody may touch.
class SharedPages {
 public:
  explicit SharedPages(std::size_t bytes)
      : bytes_(bytes + 2 * kPage),
        base_(static_cast<std::byte*>(
            ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    HEARTH_CHECK(base_ != MAP_FAILED);
    HEARTH_CHECK(::mprotect(base_, kPage, PROT_NONE) == 0);
    HEARTH_CHECK(::mprotect(base_ + kPage + bytes, kPage, PROT_NONE) == 0);
  }
  SharedPages(const SharedPages&) = delete;
  SharedPages& operator=(const SharedPages&) = delete;
  ~SharedPages() { ::munmap(base_, bytes_); }
  std::byte* data() const { return base_ + kPage; }

 private:
  static constexpr std::size_t kPage = 4096;
  std::size_t bytes_;
  std::byte* base_;
};

// One ring with both words and an asleep flag for each side.
class TestRing {
 public:
  struct Words {
    Atomic<std::uint64_t> tail{0};
    std::uint8_t pad0[120] = {};
    Atomic<std::uint64_t> head{0};
    std::uint8_t pad1[120] = {};
    Atomic<std::uint64_t> consumer_asleep{0};
    std::uint8_t pad2[120] = {};
    Atomic<std::uint64_t> producer_asleep{0};
  };

  explicit TestRing(std::uint32_t bytes = kMinRingBytes)
      : words_pages_(4096), pages_(bytes), words_(new (words_pages_.data()) Words), bytes_(bytes) {}

  RingMemory memory() const {
    return RingMemory{pages_.data(), bytes_, &words_->tail, &words_->head};
  }
  Words& words() const { return *words_; }
  std::byte* data() const { return pages_.data(); }
  std::uint32_t bytes() const { return bytes_; }

  RingProducer Producer() const { return RingProducer::Attach(memory()).value(); }
  RingConsumer Consumer() const { return RingConsumer::Attach(memory()).value(); }

  // Moves both positions, as if the ring had been in use.
  void StartAt(std::uint64_t position) const {
    words_->tail.StoreRelaxed(position);
    words_->head.StoreRelaxed(position);
  }
  // Writes a raw header at a position, and publishes everything up to `tail`.
  template <class Header>
  void Plant(std::uint64_t position, const Header& header, std::uint64_t tail) const {
    std::memcpy(data() + (position & (bytes_ - 1)), &header, sizeof(header));
    words_->tail.StoreRelaxed(tail);
  }

 private:
  SharedPages words_pages_;
  SharedPages pages_;
  Words* words_;
  std::uint32_t bytes_;
};

inline RequestHeader Request(std::uint32_t call_id, std::uint16_t opcode = kOpCall,
                             std::uint64_t sequence = 0) {
  RequestHeader header{};
  header.opcode = opcode;
  header.call_id = call_id;
  header.sequence = sequence != 0 ? sequence : call_id;
  header.response_space = kMinResponseSpace;
  return header;
}

// Appends one record; whether there was room.
inline bool Put(RingProducer& ring, const RequestHeader& header, std::string_view payload) {
  const std::string_view pieces[] = {payload};
  return ring.Append(header, pieces).value();
}

inline std::string PayloadOf(const RingConsumer& ring, const Record& record) {
  std::string payload;
  ring.AppendTo(record, 0, &payload);
  return payload;
}

// `size` bytes that follow from `seed`, so that both sides know them.
inline std::string Pattern(std::uint64_t seed, std::size_t size) {
  std::string bytes(size, '\0');
  std::uint64_t state = seed * 0x9e3779b97f4a7c15U + 1;
  for (char& c : bytes) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    c = static_cast<char>(state >> 56U);
  }
  return bytes;
}

}  // namespace hearth::ipc

#endif  // HEARTH_TESTS_IPC_RING_FIXTURE_H_
