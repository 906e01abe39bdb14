#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "core/cache/format.h"
#include "tests/conformance/vectors.h"
#include "tests/support/test_store.h"

namespace hearth::conformance {

using namespace cache;  // NOLINT(google-build-using-namespace): every helper of format.h
using testing::TestStore;

namespace {

std::string Dump(const TestStore& store, const void* at, std::uint64_t size) {
  const auto* const base = reinterpret_cast<const char*>(&store.view().prefix());
  const auto* const from = static_cast<const char*>(at);
  std::string text;
  for (std::uint64_t row = 0; row < size; row += 16) {
    text += fmt::format("{:#09x} ", static_cast<std::uint64_t>(from - base) + row);
    for (std::uint64_t i = row; i < row + 16 && i < size; ++i)
      text += fmt::format("{}{:02x}", i % 8 == 0 ? "  " : " ", static_cast<unsigned char>(from[i]));
    text += "\n";
  }
  return text;
}

}  // namespace

std::string MakeFormatExample() {
  TestStore store;
  const std::uint16_t ns = store.Namespace("demo");
  store.clock().AdvanceMs(1500);
  HEARTH_CHECK(store.writer()
                   .Set(ns, "hello", "world", {.hard_ms = 60'000, .soft_ms = 10'000},
                        {.channel = 2, .sequence = 5})
                   .ok());
  const StoreView& view = store.view();
  const StoreHeader& header = view.header();
  const std::uint64_t hash = testing::KeyHash(view, ns, "hello");
  const std::uint64_t index = view.DirectoryIndex(hash);
  const std::uint64_t word = view.directory(index).LoadRelaxed();
  const auto place = testing::FindSlot(view, ns, "hello");
  const std::uint64_t slot = place->word;
  const SegmentHeader& segment = view.segment(SlotSegment(slot));
  const std::uint64_t segment_word = segment.state_generation.LoadRelaxed();
  EntryView entry;
  HEARTH_CHECK(ParseEntry(view, SlotSegment(slot), SlotOffset(slot), &entry));

  std::string text;
  text += fmt::format("segment_shift {}, segment_count {}, directory_bits {}\n",
                      header.segment_shift, header.segment_count, header.directory_bits);
  text += fmt::format(
      "directory at {:#x}, namespaces at {:#x}, segment headers at {:#x}, data at {:#x}\n",
      header.directory_offset, header.namespace_offset, header.segment_header_offset,
      header.data_offset);
  const HashSecret& secret = view.secret();
  text += fmt::format("secret {:#018x} {:#018x}\n       {:#018x} {:#018x}\n", secret[0], secret[1],
                      secret[2], secret[3]);
  text += fmt::format("seed of namespace 1          {:#018x}\n", NamespaceSeed(secret, ns));
  text += fmt::format("hash of \"hello\"              {:#018x}\n\n", hash);
  text += fmt::format("directory[hash >> {}] = directory[{}] = {:#018x}\n",
                      64 - view.directory_bits(), index, word);
  text += fmt::format("  valid 1, depth {}, sequence {}, page {}\n\n", DirectoryDepth(word),
                      DirectorySequence(word), DirectoryPage(word));
  text += fmt::format("home bucket 1 + ({:#x} * 896 >> 32) = {}; page {}, bucket {}:\n",
                      hash & 0xffffffffU, HomeBucket(hash), place->page, place->bucket);
  text += Dump(store, &view.page(place->page)[place->bucket], sizeof(Bucket));
  text += fmt::format("\nslot {:#018x}\n", slot);
  text += fmt::format(
      "  tag {:#06x}, frequency {}, flags {}, generation {}, segment {}, offset {}\n\n",
      slot >> kSlotTagShift, (slot >> kSlotFrequencyShift) & 3U, (slot >> kSlotFlagsShift) & 3U,
      SlotGeneration(slot), SlotSegment(slot), SlotOffset(slot));
  text += fmt::format("segment header {}:\n", SlotSegment(slot));
  text += Dump(store, &segment, sizeof(SegmentHeader));
  text +=
      fmt::format("  state {} (open), generation {}, watermarks {} and {}\n\n",
                  static_cast<int>(SegmentStateOf(segment_word)), SegmentGenerationOf(segment_word),
                  segment.write_watermark.LoadRelaxed(), segment.indexed_watermark.LoadRelaxed());
  text += fmt::format("entry, {} bytes with padding:\n", entry.bytes);
  text += Dump(store, view.segment_data(SlotSegment(slot)) + SlotOffset(slot), entry.bytes);
  text += fmt::format(
      "  crc32c {:#010x}, namespace {}, key_bits {:#06x} (hard, soft, key length {}), value length {},\n"
      "  origin sequence {}, origin channel {}, version {},\n"
      "  hard expiry {} ms, soft expiry {} ms of store time, key \"hello\", value \"world\"\n",
      entry.header.crc32c, entry.header.namespace_id, entry.header.key_bits, entry.key_length(),
      entry.header.value_length, entry.header.origin_sequence, entry.header.version_origin >> 48U,
      entry.version(), entry.hard_expiry_ms, entry.soft_expiry_ms);
  return text;
}

}  // namespace hearth::conformance
