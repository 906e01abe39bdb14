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

// What was found wrong with an index that was taken over.
struct IndexRecovery {
  bool finished_split = false;
  std::uint64_t repaired_words = 0;  // of the directory, from what the pages say about themselves
  std::uint64_t repaired_pages = 0;  // a destroyed page header, from what the directory says
  std::uint64_t lost_pages = 0;      // replaced by empty ones: their entries are gone
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
  // Takes over the index of a store whose writer has died (index_recovery.cc): finishes the split
  // that was under way, and repairs or replaces what the directory leads to and is no page. The
  // pages themselves are looked at when they are first used. Once, instead of Init().
  Status Recover(IndexRecovery* recovery);

  // The slot whose entry has exactly this key.
  std::optional<SlotRef> Find(std::uint64_t hash, std::uint16_t namespace_id, std::string_view key);
  // The slot that points exactly at this entry.
  std::optional<SlotRef> FindEntry(std::uint64_t hash, std::uint32_t segment, std::uint32_t offset);

  // Puts `word` into an empty slot of the hash's chain. False when there is none and the page has
  // to be split first.
  bool Insert(std::uint64_t hash, std::uint64_t word);
  // One store: readers see the old entry or the new one.
  void Replace(const SlotRef& ref, std::uint64_t word);
  // Empties the slot, and gives back overflow buckets at the end of its chain that are empty now.
  void Clear(std::uint64_t hash, const SlotRef& ref);

  // Empties a slot of which nothing else is known.
  void Drop(const SlotRef& ref);

  // Empties every slot that points into `segment`, by a scan of the whole index. For a segment
  // whose entries can no longer be walked; returns how many slots that were.
  std::uint64_t ClearSegment(std::uint32_t segment);

  // Splits the page of `hash` in two. False when it cannot: the page already has the directory's
  // full depth, or there is no memory for pages. May call take_segment, which may change the index.
  bool Split(std::uint64_t hash);
  // Whether Insert would succeed now.
  bool HasRoom(std::uint64_t hash);
  // The slot of the hash's chain whose entry lies in the oldest segment, among those `may_drop`
  // (given the segment) allows: what makes way when a page can neither take another entry nor be
  // split.
  std::optional<SlotRef> OldestInChain(std::uint64_t hash,
                                       const std::function<bool(std::uint32_t)>& may_drop);

  // The page that holds the keys of a hash, sound as far as its links are concerned.
  std::uint32_t PageOf(std::uint64_t hash);
  // The used slot at a place in a page, if there is one.
  std::optional<SlotRef> SlotAt(std::uint32_t page, std::uint32_t bucket, std::uint32_t slot) const;
  // Bucket behind this one in its chain; 0 = none.
  std::uint32_t Next(std::uint32_t page, std::uint32_t bucket) const;
  // Links that were cut or buckets that were emptied in pages that a dead writer left, because no
  // writer leaves them so.
  std::uint64_t repaired_links() const { return repaired_links_; }

 private:
  static constexpr std::uint32_t kOverflowBuckets = kBucketsPerPage - kFirstOverflowBucket;
  using OverflowMap = std::bitset<kOverflowBuckets>;

  Bucket& BucketAt(std::uint32_t page, std::uint32_t bucket) const {
    return view_.page(page)[bucket];
  }
  // Calls visit(bucket, slot index, word) for the used slots of a chain until it returns true.
  template <class Visit>
  void VisitChain(std::uint64_t hash, Visit visit);
  // Whether a slot's segment exists and still has the slot's generation.
  bool Current(std::uint64_t word) const;
  bool InsertInPage(std::uint32_t page, std::uint64_t hash, std::uint64_t word);
  std::optional<std::uint32_t> TakePage();
  void FreePage(std::uint32_t page);
  void FormatPage(std::uint32_t page, std::uint32_t depth, std::uint64_t prefix);
  void MoveSlots(std::uint32_t from, std::uint32_t depth, std::uint32_t low, std::uint32_t high);
  std::uint64_t HashOfEntry(std::uint64_t word, bool* readable) const;
  void StoreDirectory(std::uint64_t first, std::uint64_t count, std::uint32_t page,
                      std::uint32_t depth);

  // index_recovery.cc
  struct Takeover;
  struct Hole {  // a range of directory words
    std::uint64_t begin;
    std::uint64_t end;
  };
  bool InIndexSegment(std::uint64_t page) const;
  bool IsPage(std::uint32_t page, std::uint32_t depth, std::uint64_t prefix) const;
  bool FinishSplit();
  std::uint64_t TakeOverPage(std::uint64_t index, Takeover* takeover, IndexRecovery* recovery);
  void FindLostPages(Takeover* takeover, IndexRecovery* recovery);
  Status FillHole(Hole hole, IndexRecovery* recovery);
  void CheckPage(std::uint32_t page);
  std::uint32_t CheckChain(std::uint32_t page, std::uint32_t home, OverflowMap* used);

  StoreView view_;
  TakeSegment take_segment_;
  std::vector<std::uint32_t> free_pages_;
  std::unordered_map<std::uint32_t, OverflowMap> overflow_;  // used overflow buckets by page
  std::vector<bool> checked_;  // by page: made by this writer, or looked at since
  std::uint64_t repaired_links_ = 0;
};

// Hash of the key of a parsed entry.
std::uint64_t HashEntry(const StoreView& view, const EntryView& entry);

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_INDEX_H_
