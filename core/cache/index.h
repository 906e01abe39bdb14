// IndexWriter: the writer's side of the index. FORMAT.md section 3 draws it; extendible hashing
// after Fagin et al., "Extendible Hashing" (TODS 1979), with the directory at its final size from
// the start.
#ifndef HEARTH_CORE_CACHE_INDEX_H_
#define HEARTH_CORE_CACHE_INDEX_H_

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/status.h"
#include "core/cache/view.h"

namespace hearth::cache {

// Where a key stands in the index. Valid until the next call that changes the index.
struct SlotRef {
  std::uint32_t page;
  std::uint32_t bucket;
  std::uint32_t slot;
  std::uint64_t word;
  std::uint32_t segment() const { return SlotSegment(word); }
  std::uint32_t offset() const { return SlotOffset(word); }
};

// Not thread-safe: owned by the writer. Readers may read at any time; every change they can see is
// one aligned store.
class IndexWriter {
 public:
  // `take_segment` gives a segment for index pages, or nothing.
  using TakeSegment = std::function<std::optional<std::uint32_t>()>;
  IndexWriter(const StoreView& view, TakeSegment take_segment);

  // Fills the whole directory with the pages of one segment. Once, for a new store.
  Status Init();

  // The slot whose entry has exactly this key.
  std::optional<SlotRef> Find(std::uint64_t hash, std::uint16_t namespace_id,
                              std::string_view key) const;
  // The slot that points exactly at this entry.
  std::optional<SlotRef> FindEntry(std::uint64_t hash, std::uint32_t segment,
                                   std::uint32_t offset) const;

  // Puts `word` into an empty slot of the hash's chain. False when there is none and the page has
  // to be split first.
  bool Insert(std::uint64_t hash, std::uint64_t word);
  // One store: readers see the old entry or the new one.
  void Replace(const SlotRef& ref, std::uint64_t word);
  // Empties the slot, and gives back overflow buckets at the end of its chain that are empty now.
  void Clear(std::uint64_t hash, const SlotRef& ref);

  // Empties every slot that points into `segment`, by a scan of the whole index. For a segment
  // whose entries can no longer be walked; returns how many slots that were.
  std::uint64_t ClearSegment(std::uint32_t segment);

  // Splits the page of `hash` in two. False when it cannot: the page already has the directory's
  // full depth, or there is no memory for pages. May call take_segment, which may change the index.
  bool Split(std::uint64_t hash);
  // Whether Insert would succeed now.
  bool HasRoom(std::uint64_t hash) const;
  // The slot of the hash's chain whose entry lies in the oldest segment, among those `may_drop`
  // (given the segment) allows: what makes way when a page can neither take another entry nor be
  // split.
  std::optional<SlotRef> OldestInChain(std::uint64_t hash,
                                       const std::function<bool(std::uint32_t)>& may_drop) const;

 private:
  static constexpr std::uint32_t kOverflowBuckets = kBucketsPerPage - kFirstOverflowBucket;
  using OverflowMap = std::bitset<kOverflowBuckets>;

  std::uint32_t PageOf(std::uint64_t hash) const;
  Bucket& BucketAt(std::uint32_t page, std::uint32_t bucket) const {
    return view_.page(page)[bucket];
  }
  std::uint32_t Next(std::uint32_t page, std::uint32_t bucket) const;
  // Calls visit(bucket, slot index, word) for the used slots of a chain until it returns true.
  template <class Visit>
  void VisitChain(std::uint64_t hash, Visit visit) const;
  // Whether a slot's segment exists and still has the slot's generation.
  bool Current(std::uint64_t word) const;
  bool InsertInPage(std::uint32_t page, std::uint64_t hash, std::uint64_t word);
  std::optional<std::uint32_t> TakePage();
  void FormatPage(std::uint32_t page, std::uint32_t depth, std::uint64_t prefix);
  void MoveSlots(std::uint32_t from, std::uint32_t depth, std::uint32_t low, std::uint32_t high);
  std::uint64_t HashOfEntry(std::uint64_t word, bool* readable) const;

  StoreView view_;
  TakeSegment take_segment_;
  std::vector<std::uint32_t> free_pages_;
  std::unordered_map<std::uint32_t, OverflowMap> overflow_;  // used overflow buckets by page
};

// Hash of the key of a parsed entry.
std::uint64_t HashEntry(const StoreView& view, const EntryView& entry);

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_INDEX_H_
