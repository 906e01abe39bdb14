#include "core/cache/index.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "core/base/failpoint.h"

namespace hearth::cache {

std::uint64_t HashEntry(const StoreView& view, const EntryView& entry) {
  return HashKey(view.secret(), NamespaceSeed(view.secret(), entry.header.namespace_id),
                 {reinterpret_cast<const char*>(entry.key), entry.key_length()});
}

IndexWriter::IndexWriter(const StoreView& view, TakeSegment take_segment)
    : view_(view), take_segment_(std::move(take_segment)), checked_(view.page_count()) {}

Status IndexWriter::Init() {
  const std::uint32_t pages_per_segment = view_.segment_bytes() >> kPageShift;
  // As many pages as one segment holds, but never deeper than the directory.
  const std::uint32_t depth = std::min(
      view_.directory_bits(), static_cast<std::uint32_t>(std::bit_width(pages_per_segment) - 1));
  const std::uint64_t span = std::uint64_t{1} << (view_.directory_bits() - depth);
  for (std::uint64_t i = 0; i < std::uint64_t{1} << depth; ++i) {
    const auto page = TakePage();
    if (!page) return Error(Code::kResourceExhausted, "no segment for the first index pages");
    FormatPage(*page, depth, depth == 0 ? 0 : i << (64U - depth));
    StoreDirectory(i * span, span, *page, depth);
  }
  return Status::Ok();
}

std::uint32_t IndexWriter::PageOf(std::uint64_t hash) {
  const std::uint32_t page =
      DirectoryPage(view_.directory(view_.DirectoryIndex(hash)).LoadRelaxed());
  if (!checked_[page]) CheckPage(page);
  return page;
}

std::uint32_t IndexWriter::Next(std::uint32_t page, std::uint32_t bucket) const {
  const std::uint64_t link = BucketAt(page, bucket).link.LoadRelaxed();
  // Damaged since the page was checked: the chain ends here.
  if (link < kFirstOverflowBucket || link >= kBucketsPerPage) return 0;
  return static_cast<std::uint32_t>(link);
}

template <class Visit>
void IndexWriter::VisitChain(std::uint64_t hash, Visit visit) {
  // The page need not have been checked: lookups alone touch many, after a takeover, and end
  // anyhow.
  const std::uint32_t page =
      DirectoryPage(view_.directory(view_.DirectoryIndex(hash)).LoadRelaxed());
  std::uint32_t bucket = HomeBucket(hash);
  for (std::uint32_t hop = 0; hop < kMaxChainBuckets; ++hop) {
    for (std::uint32_t slot = 0; slot < kSlotsPerBucket; ++slot) {
      const std::uint64_t word = BucketAt(page, bucket).slots[slot].LoadRelaxed();
      if (word != 0 && visit(SlotRef{page, bucket, slot, word})) return;
    }
    bucket = Next(page, bucket);
    if (bucket == 0) return;
  }
}

bool IndexWriter::Current(std::uint64_t word) const {
  if (SlotSegment(word) >= view_.segment_count()) return false;
  const std::uint64_t segment = view_.segment(SlotSegment(word)).state_generation.LoadRelaxed();
  return (SegmentGenerationOf(segment) & kSlotGenerationMask) == SlotGeneration(word);
}

std::optional<SlotRef> IndexWriter::Find(std::uint64_t hash, std::uint16_t namespace_id,
                                         std::string_view key) {
  std::optional<SlotRef> found;
  VisitChain(hash, [&](const SlotRef& ref) {
    EntryView entry;
    if (ref.word >> kSlotTagShift != SlotTag(hash) || !Current(ref.word) ||
        !ParseEntry(view_, ref.segment(), ref.offset(), &entry) ||
        entry.header.namespace_id != namespace_id || entry.key_length() != key.size() ||
        std::memcmp(entry.key, key.data(), key.size()) != 0)
      return false;
    found = ref;
    return true;
  });
  return found;
}

std::optional<SlotRef> IndexWriter::FindEntry(std::uint64_t hash, std::uint32_t segment,
                                              std::uint32_t offset) {
  std::optional<SlotRef> found;
  VisitChain(hash, [&](const SlotRef& ref) {
    if (ref.segment() != segment || ref.offset() != offset) return false;
    found = ref;
    return true;
  });
  return found;
}

std::optional<SlotRef> IndexWriter::OldestInChain(
    std::uint64_t hash, const std::function<bool(std::uint32_t)>& may_drop) {
  std::optional<SlotRef> oldest;
  VisitChain(hash, [&](const SlotRef& ref) {
    if (ref.segment() < view_.segment_count() && may_drop(ref.segment()) &&
        (!oldest ||
         view_.segment(ref.segment()).sequence < view_.segment(oldest->segment()).sequence))
      oldest = ref;
    return false;
  });
  return oldest;
}

bool IndexWriter::HasRoom(std::uint64_t hash) {
  const std::uint32_t page = PageOf(hash);
  std::uint32_t chain = 0;
  for (std::uint32_t bucket = HomeBucket(hash); bucket != 0 && chain < kMaxChainBuckets;
       bucket = Next(page, bucket)) {
    for (const Atomic<std::uint64_t>& slot : BucketAt(page, bucket).slots)
      if (slot.LoadRelaxed() == 0) return true;
    ++chain;
  }
  if (chain >= kMaxChainBuckets) return false;
  const auto used = overflow_.find(page);
  return used == overflow_.end() || !used->second.all();
}

bool IndexWriter::Insert(std::uint64_t hash, std::uint64_t word) {
  return InsertInPage(PageOf(hash), hash, word);
}

bool IndexWriter::InsertInPage(std::uint32_t page, std::uint64_t hash, std::uint64_t word) {
  std::uint32_t bucket = HomeBucket(hash);
  std::uint32_t chain = 1;
  while (true) {
    for (Atomic<std::uint64_t>& slot : BucketAt(page, bucket).slots) {
      if (slot.LoadRelaxed() != 0) continue;
      // SYNC release slot-publish: the entry is complete, its watermark stored.
      slot.StoreRelease(word);
      return true;
    }
    const std::uint32_t next = Next(page, bucket);
    if (next == 0 || chain == kMaxChainBuckets) break;
    bucket = next;
    ++chain;
  }
  if (chain == kMaxChainBuckets) return false;
  OverflowMap& used = overflow_[page];
  for (std::uint32_t i = 0; i < kOverflowBuckets; ++i) {
    if (used[i]) continue;
    used[i] = true;
    Bucket& overflow = BucketAt(page, kFirstOverflowBucket + i);
    // SYNC release slot-publish: as above; readers get here only through the link.
    overflow.slots[0].StoreRelease(word);
    HEARTH_FAILPOINT("index.before_link");
    // SYNC release overflow-link: the bucket holds nothing but the new slot.
    BucketAt(page, bucket).link.StoreRelease(kFirstOverflowBucket + i);
    return true;
  }
  return false;
}

void IndexWriter::Replace(const SlotRef& ref, std::uint64_t word) {
  // SYNC release slot-publish: the new entry is complete, its watermark stored.
  BucketAt(ref.page, ref.bucket).slots[ref.slot].StoreRelease(word);
}

void IndexWriter::Clear(std::uint64_t hash, const SlotRef& ref) {
  Drop(ref);
  if (ref.bucket < kFirstOverflowBucket) return;
  static_cast<void>(PageOf(hash));  // checks the page: its chains are changed now
  // Only the last bucket of a chain is ever unlinked: a reader that stands in it and is led on into
  // another chain has seen all of its own chain already.
  while (true) {
    std::uint32_t before = 0;
    std::uint32_t last = HomeBucket(hash);
    std::uint32_t length = 1;
    for (std::uint32_t next = Next(ref.page, last); next != 0; next = Next(ref.page, last)) {
      if (++length > kMaxChainBuckets) return;
      before = last;
      last = next;
    }
    if (before == 0) return;
    for (const Atomic<std::uint64_t>& slot : BucketAt(ref.page, last).slots)
      if (slot.LoadRelaxed() != 0) return;
    // SYNC release overflow-link: the bucket was empty before it left the chain.
    BucketAt(ref.page, before).link.StoreRelease(0);
    overflow_[ref.page][last - kFirstOverflowBucket] = false;
  }
}

void IndexWriter::Drop(const SlotRef& ref) {
  // SYNC release slot-publish: nothing crosses but the removal itself.
  BucketAt(ref.page, ref.bucket).slots[ref.slot].StoreRelease(0);
}

std::optional<SlotRef> IndexWriter::SlotAt(std::uint32_t page, std::uint32_t bucket,
                                           std::uint32_t slot) const {
  const std::uint64_t word = BucketAt(page, bucket).slots[slot].LoadRelaxed();
  if (word == 0) return std::nullopt;
  return SlotRef{page, bucket, slot, word};
}

std::uint64_t IndexWriter::ClearSegment(std::uint32_t segment) {
  std::uint64_t cleared = 0;
  std::uint32_t previous = ~std::uint32_t{0};
  for (std::uint64_t i = 0; i < std::uint64_t{1} << view_.directory_bits(); ++i) {
    const std::uint32_t page = PageOf(i << (64U - view_.directory_bits()));
    if (std::exchange(previous, page) == page) continue;
    for (std::uint32_t bucket = kFirstHomeBucket; bucket < kBucketsPerPage; ++bucket) {
      for (Atomic<std::uint64_t>& slot : BucketAt(page, bucket).slots) {
        const std::uint64_t word = slot.LoadRelaxed();
        if (word == 0 || SlotSegment(word) != segment) continue;
        // SYNC release slot-publish: nothing crosses but the removal itself.
        slot.StoreRelease(0);
        ++cleared;
      }
    }
  }
  return cleared;
}

std::optional<std::uint32_t> IndexWriter::TakePage() {
  if (free_pages_.empty()) {
    const auto segment = take_segment_();
    if (!segment) return std::nullopt;
    const std::uint32_t pages = view_.segment_bytes() >> kPageShift;
    for (std::uint32_t i = pages; i > 0; --i) FreePage(*segment * pages + i - 1);
    StoreHeader& header = view_.header();
    header.index_pages.StoreRelaxed(header.index_pages.LoadRelaxed() + pages);
  }
  const std::uint32_t page = free_pages_.back();
  free_pages_.pop_back();
  return page;
}

// Takes the page's name from it: what recovery finds as a page is one, and was not freed.
void IndexWriter::FreePage(std::uint32_t page) {
  const std::uint64_t none = 0;
  CopyShared(view_.page(page), &none, sizeof(none));
  overflow_.erase(page);
  free_pages_.push_back(page);
}

void IndexWriter::FormatPage(std::uint32_t page, std::uint32_t depth, std::uint64_t prefix) {
  // Relaxed stores, since a reader that lost its way may still be in the page's former life.
  for (std::uint32_t bucket = kFirstHomeBucket; bucket < kBucketsPerPage; ++bucket) {
    BucketAt(page, bucket).link.StoreRelaxed(0);
    for (Atomic<std::uint64_t>& slot : BucketAt(page, bucket).slots) slot.StoreRelaxed(0);
  }
  PageHeader header{};
  header.magic = kPageMagic;
  header.depth = depth;
  header.prefix = prefix;
  CopyShared(view_.page(page), &header, sizeof(header));
  overflow_.erase(page);
  checked_[page] = true;
}

std::uint64_t IndexWriter::HashOfEntry(std::uint64_t word, bool* readable) const {
  EntryView entry;
  *readable = Current(word) && ParseEntry(view_, SlotSegment(word), SlotOffset(word), &entry);
  return *readable ? HashEntry(view_, entry) : 0;
}

void IndexWriter::MoveSlots(std::uint32_t from, std::uint32_t depth, std::uint32_t low,
                            std::uint32_t high) {
  for (std::uint32_t bucket = kFirstHomeBucket; bucket < kBucketsPerPage; ++bucket) {
    for (const Atomic<std::uint64_t>& slot : BucketAt(from, bucket).slots) {
      const std::uint64_t word = slot.LoadRelaxed();
      bool readable = false;
      const std::uint64_t hash = word == 0 ? 0 : HashOfEntry(word, &readable);
      if (!readable) continue;
      const bool upper = (hash >> (63U - depth) & 1U) != 0;
      // Always fits: the halves hold subsets of the chains and overflow buckets of the whole. In
      // a page damaged from outside a slot may stand in a wrong chain; it may be lost.
      static_cast<void>(InsertInPage(upper ? high : low, hash, word));
    }
  }
}

bool IndexWriter::Split(std::uint64_t hash) {
  const std::uint32_t bits = view_.directory_bits();
  if (DirectoryDepth(view_.directory(view_.DirectoryIndex(hash)).LoadRelaxed()) >= bits)
    return false;
  const auto low = TakePage();
  const auto high = low ? TakePage() : std::nullopt;
  if (!high) {
    if (low) FreePage(*low);
    return false;
  }
  const std::uint64_t old_word = view_.directory(view_.DirectoryIndex(hash)).LoadRelaxed();
  const std::uint32_t old_page = PageOf(hash);
  const std::uint32_t depth = DirectoryDepth(old_word);
  const std::uint64_t prefix = depth == 0 ? 0 : hash >> (64U - depth) << (64U - depth);
  FormatPage(*low, depth + 1, prefix);
  FormatPage(*high, depth + 1, prefix | std::uint64_t{1} << (63U - depth));
  HEARTH_FAILPOINT("index.after_format");
  MoveSlots(old_page, depth, *low, *high);

  StoreHeader& header = view_.header();
  header.split_low_page.StoreInProgramOrder(*low);
  header.split_high_page.StoreInProgramOrder(*high);
  HEARTH_FAILPOINT("index.before_split_noted");
  header.split_old_page.StoreInProgramOrder(std::uint64_t{old_page} + 1);
  HEARTH_FAILPOINT("index.before_directory");
  const std::uint64_t half = std::uint64_t{1} << (bits - depth - 1);
  const std::uint64_t first = view_.DirectoryIndex(prefix);
  StoreDirectory(first, half, *low, depth + 1);
  StoreDirectory(first + half, half, *high, depth + 1);
  // SYNC release directory-recheck: the new words are visible before the old page's bytes change.
  ReleaseFence();
  header.split_old_page.StoreInProgramOrder(0);
  HEARTH_FAILPOINT("index.after_split");
  FreePage(old_page);
  return true;
}

void IndexWriter::StoreDirectory(std::uint64_t first, std::uint64_t count, std::uint32_t page,
                                 std::uint32_t depth) {
  for (std::uint64_t i = first; i < first + count; ++i) {
    Atomic<std::uint64_t>& word = view_.directory(i);
    const std::uint32_t sequence = DirectorySequence(word.LoadRelaxed()) + 1;
    // SYNC release directory-word: the page is complete.
    word.StoreRelease(MakeDirectoryWord(page, depth, sequence));
    HEARTH_FAILPOINT("index.mid_directory");
  }
}

}  // namespace hearth::cache
