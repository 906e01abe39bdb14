#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/test_store.h"

namespace hearth::testing {
namespace {

using namespace cache;  // NOLINT(google-build-using-namespace): half of it is used here

// Walks a whole store and notes what FORMAT.md does not allow.
class Inspector {
 public:
  explicit Inspector(const StoreView& view) : view_(view), usage_(view.segment_count()) {}

  std::vector<std::string> Run() {
    InspectDirectory();
    for (const std::uint32_t page : IndexPages(view_)) InspectPage(page);
    for (std::uint32_t segment = 0; segment < view_.segment_count(); ++segment)
      InspectSegment(segment);
    InspectTotals();
    return std::move(problems_);
  }

 private:
  struct Usage {
    std::uint64_t live_bytes = 0;
    std::uint64_t entries = 0;
  };

  template <class... Args>
  void Expect(bool holds, fmt::format_string<Args...> format, Args&&... args) {
    if (!holds) problems_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  // Every word names a page, and the words of one page are exactly those its depth and prefix say.
  void InspectDirectory() {
    const std::uint32_t bits = view_.directory_bits();
    for (std::uint64_t i = 0; i < std::uint64_t{1} << bits; ++i) {
      const std::uint64_t word = view_.directory(i).LoadRelaxed();
      const std::uint32_t depth = DirectoryDepth(word);
      Expect((word & kDirectoryValid) != 0 && DirectoryPage(word) < view_.page_count() &&
                 depth <= bits,
             "directory[{}] is {:#x}", i, word);
      if (!problems_.empty()) return;
      const auto& header = *reinterpret_cast<const PageHeader*>(view_.page(DirectoryPage(word)));
      const std::uint64_t prefix = depth == 0 ? 0 : i >> (bits - depth) << (64U - depth);
      Expect(header.magic == kPageMagic && header.depth == depth && header.prefix == prefix,
             "directory[{}] says depth {} and prefix {:#x}, its page {} and {:#x}", i, depth,
             prefix, header.depth, header.prefix);
      const std::uint32_t home = DirectoryPage(word) >> (view_.header().segment_shift - kPageShift);
      Expect(SegmentStateOf(view_.segment(home).state_generation.LoadRelaxed()) ==
                 SegmentState::kIndex,
             "page {} lies in segment {}, which is not one of index pages", DirectoryPage(word),
             home);
    }
    Expect(view_.header().split_old_page.LoadRelaxed() == 0, "a split is under way");
  }

  void InspectPage(std::uint32_t page) {
    std::set<std::uint32_t> reached;
    for (std::uint32_t home = kFirstHomeBucket; home < kFirstOverflowBucket; ++home) {
      std::uint32_t length = 0;
      for (std::uint64_t bucket = home; bucket != 0;) {
        ++length;
        Expect(length <= kMaxChainBuckets, "page {} chain {} is too long", page, home);
        if (length > kMaxChainBuckets) break;
        InspectBucket(page, home, static_cast<std::uint32_t>(bucket));
        bucket = view_.page(page)[bucket].link.LoadRelaxed();
        if (bucket == 0) break;
        Expect(bucket >= kFirstOverflowBucket && bucket < kBucketsPerPage,
               "page {} chain {} is linked to bucket {}", page, home, bucket);
        if (bucket < kFirstOverflowBucket || bucket >= kBucketsPerPage) break;
        Expect(reached.insert(static_cast<std::uint32_t>(bucket)).second,
               "page {} bucket {} is in two chains", page, bucket);
      }
    }
    for (std::uint32_t bucket = kFirstOverflowBucket; bucket < kBucketsPerPage; ++bucket) {
      if (reached.contains(bucket)) continue;
      bool empty = view_.page(page)[bucket].link.LoadRelaxed() == 0;
      for (const auto& slot : view_.page(page)[bucket].slots) empty &= slot.LoadRelaxed() == 0;
      Expect(empty, "page {} overflow bucket {} is in no chain, but not empty", page, bucket);
    }
  }

  void InspectBucket(std::uint32_t page, std::uint32_t home, std::uint32_t bucket) {
    for (const auto& slot : view_.page(page)[bucket].slots) {
      const std::uint64_t word = slot.LoadRelaxed();
      if (word != 0) InspectSlot(page, home, word);
    }
  }

  void InspectSlot(std::uint32_t page, std::uint32_t home, std::uint64_t word) {
    const std::uint32_t segment = SlotSegment(word);
    const std::uint32_t offset = SlotOffset(word);
    if (segment >= view_.segment_count()) {
      Expect(false, "slot {:#x} points at segment {}", word, segment);
      return;
    }
    const SegmentHeader& header = view_.segment(segment);
    const std::uint64_t state = header.state_generation.LoadRelaxed();
    Expect((SegmentGenerationOf(state) & kSlotGenerationMask) == SlotGeneration(word),
           "(I2) slot {:#x} has generation {}, its segment {}", word, SlotGeneration(word),
           SegmentGenerationOf(state));
    Expect(SegmentStateOf(state) == SegmentState::kOpen ||
               SegmentStateOf(state) == SegmentState::kSealed ||
               SegmentStateOf(state) == SegmentState::kRetiring,
           "slot {:#x} points into a segment of state {}", word,
           static_cast<int>(SegmentStateOf(state)));
    Expect((word & kSlotUsed) != 0, "slot {:#x} lacks the used flag", word);
    EntryView entry;
    if (!ParseEntry(view_, segment, offset, &entry)) {
      Expect(false, "(I1) slot {:#x} points at no entry", word);
      return;
    }
    Expect(offset + entry.bytes <= header.indexed_watermark.LoadRelaxed(),
           "(I1) slot {:#x} points behind the watermark", word);
    Expect(EntryCrc(entry) == entry.header.crc32c, "(I1) slot {:#x}: bad CRC", word);
    const std::string key(reinterpret_cast<const char*>(entry.key), entry.key_length());
    const std::uint64_t hash = KeyHash(view_, entry.header.namespace_id, key);
    Expect(SlotTag(hash) == word >> kSlotTagShift && HomeBucket(hash) == home &&
               DirectoryPage(view_.directory(view_.DirectoryIndex(hash)).LoadRelaxed()) == page,
           "slot {:#x} stands in a wrong place", word);
    Expect(keys_.insert({entry.header.namespace_id, key}).second, "slot {:#x}: second of its key",
           word);
    Expect(entry.version() <= view_.header().last_version.LoadRelaxed(),
           "version {} was never given out", entry.version());
    usage_[segment].live_bytes += entry.bytes;
    ++usage_[segment].entries;
  }

  void InspectSegment(std::uint32_t segment) {
    const SegmentHeader& header = view_.segment(segment);
    const SegmentState state = SegmentStateOf(header.state_generation.LoadRelaxed());
    if (state == SegmentState::kFree) ++free_;
    if (state == SegmentState::kIndex) ++index_;
    if (state == SegmentState::kFree || state == SegmentState::kIndex) return;
    if (state == SegmentState::kRunBody) return InspectRunBody(segment);
    const std::uint32_t run = header.run_length;
    Expect(run >= 1 && run <= view_.segment_count() - segment, "segment {}: run of {}", segment,
           run);
    if (!problems_.empty()) return;
    for (std::uint32_t i = 1; i < run; ++i)
      Expect(SegmentStateOf(view_.segment(segment + i).state_generation.LoadRelaxed()) ==
                 SegmentState::kRunBody,
             "segment {}: its run of {} ends after {}", segment, run, i);
    if (state == SegmentState::kRetiring) ++retiring_;
    Expect(retiring_ <= 1, "{} segments retire at once", retiring_);
    const std::uint32_t end = header.write_watermark.LoadRelaxed();
    const std::uint64_t bytes = std::uint64_t{run} * view_.segment_bytes();
    Expect(end <= bytes && (run == 1 || end > bytes - view_.segment_bytes()) &&
               header.indexed_watermark.LoadRelaxed() == end,
           "(I3) segment {}: watermarks {} and {}", segment, end,
           header.indexed_watermark.LoadRelaxed());
    Expect(usage_[segment].live_bytes + header.dead_bytes.LoadRelaxed() == end,
           "segment {}: {} live and {} dead bytes of {}", segment, usage_[segment].live_bytes,
           header.dead_bytes.LoadRelaxed(), end);
    Expect(sequences_.insert(header.sequence).second &&
               header.sequence <= view_.header().allocated_sequence.LoadRelaxed(),
           "segment {}: sequence {}", segment, header.sequence);
    std::uint32_t entries = 0;
    std::uint64_t latest_expiry = 0;
    EntryView entry;
    std::uint32_t offset = 0;
    while (offset < end && ParseEntry(view_, segment, offset, &entry)) {
      Expect(EntryCrc(entry) == entry.header.crc32c, "segment {} offset {}: bad CRC", segment,
             offset);
      Expect(header.namespace_id == kSharedNamespace ||
                 entry.header.namespace_id == header.namespace_id,
             "segment {} of namespace {} holds an entry of {}", segment, header.namespace_id,
             entry.header.namespace_id);
      latest_expiry = std::max(latest_expiry, entry.hard_expiry_ms);
      ++entries;
      offset += static_cast<std::uint32_t>(entry.bytes);
    }
    Expect(offset == end, "segment {} cannot be walked beyond {} of {}", segment, offset, end);
    Expect(entries == header.entry_count.LoadRelaxed(), "segment {}: {} entries, {} counted",
           segment, entries, header.entry_count.LoadRelaxed());
    Expect(latest_expiry == header.latest_expiry_ms.LoadRelaxed(),
           "segment {}: latest expiry {}, noted {}", segment, latest_expiry,
           header.latest_expiry_ms.LoadRelaxed());
    // What is shared is noted in the record that belongs to no namespace.
    owned_[header.namespace_id == kSharedNamespace ? 0 : header.namespace_id] += run;
  }

  void InspectRunBody(std::uint32_t segment) {
    const SegmentHeader& header = view_.segment(segment);
    const std::uint32_t back = header.run_length;
    Expect(back >= 1 && back <= segment, "run body {} lies {} segments in", segment, back);
    if (!problems_.empty()) return;
    const SegmentHeader& first = view_.segment(segment - back);
    const SegmentState state = SegmentStateOf(first.state_generation.LoadRelaxed());
    Expect((state == SegmentState::kSealed || state == SegmentState::kRetiring) &&
               back < first.run_length && first.namespace_id == header.namespace_id,
           "run body {}: {} segments before it no run begins that it is part of", segment, back);
  }

  void InspectTotals() {
    Usage total;
    for (const Usage& usage : usage_) {
      total.live_bytes += usage.live_bytes;
      total.entries += usage.entries;
    }
    const StoreHeader& header = view_.header();
    Expect(header.entry_count.LoadRelaxed() == total.entries, "{} entries, {} counted",
           total.entries, header.entry_count.LoadRelaxed());
    Expect(header.live_bytes.LoadRelaxed() == total.live_bytes, "{} live bytes, {} counted",
           total.live_bytes, header.live_bytes.LoadRelaxed());
    Expect(header.free_segments.LoadRelaxed() == free_, "{} free segments, {} counted", free_,
           header.free_segments.LoadRelaxed());
    const std::uint64_t pages = index_ << (header.segment_shift - kPageShift);
    Expect(header.index_pages.LoadRelaxed() == pages, "{} index pages, {} counted", pages,
           header.index_pages.LoadRelaxed());
    for (std::uint32_t id = 0; id < view_.namespace_capacity(); ++id) {
      const std::uint64_t used = owned_[id] * view_.segment_bytes();
      Expect(view_.namespace_record(id).used_bytes.LoadRelaxed() == used,
             "namespace {} uses {} bytes, {} counted", id, used,
             view_.namespace_record(id).used_bytes.LoadRelaxed());
    }
  }

  StoreView view_;
  std::vector<Usage> usage_;  // by segment
  std::set<std::pair<std::uint16_t, std::string>> keys_;
  std::set<std::uint64_t> sequences_;
  std::map<std::uint32_t, std::uint64_t> owned_;  // segments by namespace
  std::uint64_t free_ = 0;
  std::uint64_t index_ = 0;
  std::uint64_t retiring_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> FindBrokenInvariants(const StoreView& view) {
  return Inspector(view).Run();
}

}  // namespace hearth::testing
