// A ring whose bytes and positions a peer chose: the consumer and the assembler behind it return
// records that are whole, or kDataLoss, and come to an end.
//
// Input: head / 64 (2 bytes), bytes published / 64 (2 bytes), then what lies in the ring from head
// on.
#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "ipc/message.h"
#include "ipc/ring.h"
#include "tests/fuzz/fuzz_target.h"

namespace hearth::fuzz {
namespace {

constexpr std::uint32_t kRingBytes = ipc::kMinRingBytes;

void AddRecord(std::string* input, std::uint32_t length, std::uint16_t opcode, std::uint16_t flags,
               std::uint64_t announced) {
  ipc::RequestHeader header{};
  header.length = length;
  header.opcode = opcode;
  header.flags = flags;
  header.call_id = 1;
  header.sequence = 1;
  std::string payload(ipc::RecordBytes(length) - sizeof(header), 'x');
  std::memcpy(payload.data(), &announced, std::min(payload.size(), sizeof(announced)));
  input->append(reinterpret_cast<const char*>(&header), sizeof(header));
  *input += payload;
}

std::string Positions(std::uint16_t head, std::uint16_t published) {
  std::string input(4, '\0');
  std::memcpy(input.data(), &head, 2);
  std::memcpy(input.data() + 2, &published, 2);
  return input;
}

}  // namespace

std::vector<std::string> Seeds() {
  std::string plain = Positions(0, 6);
  AddRecord(&plain, 10, ipc::kOpSet, 0, 0);
  AddRecord(&plain, 100, ipc::kOpCall, 0, 0);
  AddRecord(&plain, 0, ipc::kOpPing, 0, 0);
  std::string padded = Positions(kRingBytes / 64 - 2, 5);
  AddRecord(&padded, 64, ipc::kOpPad, 0, 0);
  AddRecord(&padded, 100, ipc::kOpCall, 0, 0);
  std::string parts = Positions(3, 9);
  AddRecord(&parts, 108, ipc::kOpCall, ipc::kRecordMore, 200);
  AddRecord(&parts, 50, ipc::kOpCall, ipc::kRecordMore | ipc::kRecordContinuation, 0);
  AddRecord(&parts, 50, ipc::kOpCall, ipc::kRecordContinuation, 0);
  std::string changes = Positions(1, 7);
  AddRecord(&changes, sizeof(ipc::CasBody) + 2, ipc::kOpCompareAndSwap, 0, 0);
  AddRecord(&changes, sizeof(ipc::IncrementBody) + 1, ipc::kOpIncrement, 0, 0);
  AddRecord(&changes, sizeof(ipc::AppendBody) + 2, ipc::kOpAppend, 0, 0);
  AddRecord(&changes, sizeof(ipc::LeaseBody) + 1, ipc::kOpLease, 0, 0);
  AddRecord(&changes, sizeof(ipc::FillBody) + 2, ipc::kOpFill, 0, 0);
  AddRecord(&changes, sizeof(ipc::ReleaseBody) + 1, ipc::kOpRelease, 0, 0);
  return {plain, padded, parts, changes};
}

}  // namespace hearth::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  if (size < 4) return 0;
  std::uint16_t words[2];
  std::memcpy(words, data, sizeof(words));
  // Exactly the ring, so that a sanitizer sees the first byte outside.
  alignas(64) static std::byte ring_bytes[fuzz::kRingBytes];
  std::memset(ring_bytes, 0, sizeof(ring_bytes));
  const std::uint64_t start = std::uint64_t{words[0]} * 64;
  for (std::size_t i = 4; i < size && i - 4 < fuzz::kRingBytes; ++i)
    ring_bytes[(start + i - 4) % fuzz::kRingBytes] = static_cast<std::byte>(data[i]);
  Atomic<std::uint64_t> head{start};
  Atomic<std::uint64_t> tail{start + std::uint64_t{words[1]} * 64};
  const ipc::RingMemory memory{ring_bytes, fuzz::kRingBytes, &tail, &head};

  Result<ipc::RingConsumer> consumer = ipc::RingConsumer::Attach(memory);
  if (!consumer.ok()) return 0;
  ipc::ByteBudget budget(1U << 16U);
  {
    ipc::MessageAssembler<ipc::RequestHeader> assembler({1U << 15U, &budget});
    ipc::Record record;
    std::string payload;
    for (std::uint32_t records = 0;; ++records) {
      HEARTH_CHECK(records <= fuzz::kRingBytes / 64);
      const Result<bool> next = consumer->Next(&record);
      if (!next.ok() || !*next) break;
      HEARTH_CHECK(record.length <= ipc::MaxRecordPayload(fuzz::kRingBytes));
      const bool legal = assembler.Add(record, *consumer, &payload).ok();
      HEARTH_CHECK(budget.used() <= budget.limit());
      consumer->Release();
      if (!legal) break;
    }
  }
  HEARTH_CHECK(budget.used() == 0);
  return 0;
}
