// Prints the Go constants of every struct and number that Go shares with C++ through memory. Run by
// tools/generate-layout; the output is checked in, and tools/check compares it.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "core/cache/format.h"
#include "ipc/session_layout.h"

namespace {

using hearth::shm::FieldLayout;
using hearth::shm::StructLayout;

// "state_generation" -> "StateGeneration".
std::string GoName(std::string_view name) {
  std::string result;
  bool upper = true;
  for (char c : name) {
    if (c == '_') {
      upper = true;
      continue;
    }
    result += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return result;
}

struct Constant {
  std::string name;
  std::uint64_t value;
};

void PrintConstants(std::string_view title, std::span<const Constant> constants) {
  fmt::print("\n// {}\nconst (\n", title);
  std::size_t width = 0;
  for (const Constant& constant : constants) width = std::max(width, constant.name.size());
  for (const Constant& constant : constants)
    fmt::print("\t{:<{}} = {:#x}\n", constant.name, width, constant.value);
  fmt::print(")\n");
}

void PrintStruct(const StructLayout& layout) {
  std::vector<Constant> constants = {{fmt::format("{}Size", layout.name), layout.size}};
  for (const FieldLayout& field : layout.fields) {
    if (field.name.starts_with("reserved") || field.name.starts_with("pad")) continue;
    constants.push_back({fmt::format("{}{}", layout.name, GoName(field.name)), field.offset});
  }
  PrintConstants(fmt::format("Size and field offsets of {}, in bytes.", layout.name), constants);
}

void PrintStore() {
  namespace c = hearth::cache;
  const std::array<Constant, 39> constants = {{
      {"RegionMagic", hearth::shm::kRegionMagic},
      {"RegionKindStore", static_cast<std::uint64_t>(hearth::shm::RegionKind::kStore)},
      {"RegionKindSession", static_cast<std::uint64_t>(hearth::shm::RegionKind::kSession)},
      {"RegionStateLive", static_cast<std::uint64_t>(hearth::shm::RegionState::kLive)},
      {"StoreLayoutVersion", c::kStoreLayoutVersion},
      {"StoreFingerprint", c::kStoreFingerprint},
      {"StoreHeaderOffset", c::kStoreHeaderOffset},
      {"StoreHeaderBytes", c::kStoreHeaderBytes},
      {"MinKeyBytes", c::kMinKeyBytes},
      {"MaxNamespaceNameBytes", c::kMaxNamespaceNameBytes},
      {"MaxKeyBytes", c::kMaxKeyBytes},
      {"MinSegmentShift", c::kMinSegmentShift},
      {"MaxSegmentShift", c::kMaxSegmentShift},
      {"MaxSegments", c::kMaxSegments},
      {"MaxNamespaces", c::kMaxNamespaces},
      {"PageShift", c::kPageShift},
      {"DirectoryValid", c::kDirectoryValid},
      {"HomeBuckets", c::kHomeBuckets},
      {"FirstHomeBucket", c::kFirstHomeBucket},
      {"BucketsPerPage", c::kBucketsPerPage},
      {"SlotsPerBucket", c::kSlotsPerBucket},
      {"MaxChainBuckets", c::kMaxChainBuckets},
      {"SlotTagShift", c::kSlotTagShift},
      {"SlotFrequencyBits", c::kSlotFrequencyBits},
      {"SlotUsed", c::kSlotUsed},
      {"SlotGenerationShift", c::kSlotGenerationShift},
      {"SlotGenerationMask", c::kSlotGenerationMask},
      {"SlotSegmentShift", c::kSlotSegmentShift},
      {"SlotSegmentMask", c::kSlotSegmentMask},
      {"SlotOffsetMask", c::kSlotOffsetMask},
      {"SegmentStateShift", c::kSegmentStateShift},
      {"SegmentGenerationMask", c::kSegmentGenerationMask},
      {"SegmentOpen", static_cast<std::uint64_t>(c::SegmentState::kOpen)},
      {"SegmentSealed", static_cast<std::uint64_t>(c::SegmentState::kSealed)},
      {"SegmentRetiring", static_cast<std::uint64_t>(c::SegmentState::kRetiring)},
      {"EntryKeyLengthMask", c::kEntryKeyLengthMask},
      {"EntryHasHardExpiry", c::kEntryHasHardExpiry},
      {"EntryHasSoftExpiry", c::kEntryHasSoftExpiry},
      {"EntryNegative", c::kEntryNegative},
  }};
  PrintConstants("The store (core/cache/format.h).", constants);
  const std::array<Constant, 5> more = {{
      {"EntryVersionMask", c::kEntryVersionMask},
      {"NamespaceLive", static_cast<std::uint64_t>(c::NamespaceState::kLive)},
      {"NamespaceIncarnationShift", c::kNamespaceIncarnationShift},
      {"NamespaceStrict", c::kNamespaceStrict},
      {"Never", c::kNever},
  }};
  PrintConstants("Entries and namespaces.", more);
}

void PrintSession() {
  namespace i = hearth::ipc;
  const std::array<Constant, 39> constants = {{
      {"SessionLayoutVersion", i::kSessionLayoutVersion},
      {"SessionFingerprint", i::kSessionFingerprint},
      {"SessionHeaderOffset", i::kSessionHeaderOffset},
      {"SessionHeaderBytes", i::kSessionHeaderBytes},
      {"MaxChannels", i::kMaxChannels},
      {"MinRingBytes", i::kMinRingBytes},
      {"MaxRingBytes", i::kMaxRingBytes},
      {"MaxOpenMessages", i::kMaxOpenMessages},
      {"MaxErrorMessageBytes", i::kMaxErrorMessageBytes},
      {"MinResponseSpace", i::kMinResponseSpace},
      {"RecordAlign", i::kRecordAlign},
      {"RecordHeaderBytes", i::kRecordHeaderBytes},
      {"ClientWaitsForResponse", i::kClientWaitsForResponse},
      {"ClientWaitsForSpace", i::kClientWaitsForSpace},
      {"OpPad", i::kOpPad},
      {"OpSet", i::kOpSet},
      {"OpDelete", i::kOpDelete},
      {"OpTouch", i::kOpTouch},
      {"OpGet", i::kOpGet},
      {"OpCall", i::kOpCall},
      {"OpCancel", i::kOpCancel},
      {"OpCredit", i::kOpCredit},
      {"OpPing", i::kOpPing},
      {"OpCompareAndSwap", i::kOpCompareAndSwap},
      {"OpIncrement", i::kOpIncrement},
      {"OpAppend", i::kOpAppend},
      {"OpLease", i::kOpLease},
      {"OpFill", i::kOpFill},
      {"OpRelease", i::kOpRelease},
      {"SetAlways", i::kSetAlways},
      {"SetIfAbsent", i::kSetIfAbsent},
      {"SetIfPresent", i::kSetIfPresent},
      {"IncrementHasInitial", i::kIncrementHasInitial},
      {"LeaseNoWait", i::kLeaseNoWait},
      {"FillAbsent", i::kFillAbsent},
      {"RecordMore", i::kRecordMore},
      {"RecordContinuation", i::kRecordContinuation},
      {"TTLDefault", i::kTtlDefault},
      {"TTLNever", i::kTtlNever},
  }};
  PrintConstants("Sessions, rings and records (ipc/session_layout.h).", constants);
}

}  // namespace

int main() {
  fmt::print(
      "// Code generated by tools/generate-layout from core/cache/format.h and "
      "ipc/session_layout.h. DO NOT EDIT.\n\n"
      "// Package layout holds the shared-memory layout: sizes, offsets and constants that the C++\n"
      "// headers define.\npackage layout\n");
  PrintStore();
  PrintSession();
  for (const StructLayout& layout : hearth::cache::kStoreStructs) PrintStruct(layout);
  for (const StructLayout& layout : hearth::ipc::kSessionStructs)
    if (layout.name != "RegionPrefix") PrintStruct(layout);
  return 0;
}
