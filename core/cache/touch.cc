// Recency: what reads leave behind in the index. Policy is eviction's; this only counts.
#include "core/cache/writer.h"

namespace hearth::cache {

void StoreWriter::NoteRead(std::uint64_t hash) {
  bool counted = admissions_.empty();
  const std::uint64_t directory = view_.directory(view_.DirectoryIndex(hash)).LoadRelaxed();
  const std::uint32_t page_number = DirectoryPage(directory);
  if ((directory & kDirectoryValid) == 0 || page_number >= view_.page_count()) return;
  Bucket* page = view_.page(page_number);
  std::uint64_t bucket = HomeBucket(hash);
  for (std::uint32_t hop = 0; hop < kMaxChainBuckets; ++hop) {
    for (Atomic<std::uint64_t>& slot : page[bucket].slots) {
      const std::uint64_t word = slot.LoadRelaxed();
      if (word >> kSlotTagShift != SlotTag(hash) || (word & kSlotUsed) == 0) continue;
      if (!counted && SlotSegment(word) < view_.segment_count()) {
        CountUse(OwnerOf(view_.segment(SlotSegment(word))), hash);
        counted = true;
      }
      if (SlotFrequency(word) == kMaxFrequency) continue;
      // SYNC release slot-publish: nothing crosses but the frequency; the entry is the same.
      slot.StoreRelease(WithFrequencyAfter(word, SlotFrequency(word)));
    }
    bucket = page[bucket].link.LoadRelaxed() & 0xffffU;
    if (bucket < kFirstOverflowBucket || bucket >= kBucketsPerPage) return;
  }
}

}  // namespace hearth::cache
