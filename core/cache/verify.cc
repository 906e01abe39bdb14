#include "core/cache/verify.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "core/base/hash.h"
#include "core/cache/index.h"

namespace hearth::cache {
namespace {

using Problem = std::optional<std::string>;

// A writer at work passes through each of its steps in microseconds.
constexpr int kLooks = 16;

class Verifier {
 public:
  Verifier(const StoreView& view, VerifyMode mode)
      : view_(view), still_(mode == VerifyMode::kStill), usage_(view.segment_count()) {}

  VerifyReport Run() {
    VerifyDirectory();
    for (std::uint32_t segment = 0; segment < view_.segment_count(); ++segment)
      VerifySegment(segment);
    if (still_) VerifyTotals();
    return std::move(report_);
  }

 private:
  struct Usage {
    std::uint64_t live_bytes = 0;
    std::uint64_t entries = 0;
  };

  void Report(std::string problem) {
    if (report_.problem_count++ < VerifyReport::kMaxProblems)
      report_.problems.push_back(std::move(problem));
  }
  template <class... Args>
  void Expect(bool holds, fmt::format_string<Args...> format, Args&&... args) {
    if (!holds) Report(fmt::format(format, std::forward<Args>(args)...));
  }
  // Reports what `look` finds wrong; in a live store only if it stays wrong.
  void Check(const std::function<Problem()>& look) {
    Problem problem = look();
    for (int i = 1; problem && !still_ && i < kLooks; ++i) {
      std::this_thread::yield();
      problem = look();
    }
    if (problem) Report(std::move(*problem));
  }

  void VerifyDirectory();
  Problem LookAtPage(std::uint64_t index) const;
  void VerifyPage(std::uint64_t index, std::uint32_t page);
  void VerifyUnlinked(std::uint32_t page, const std::set<std::uint32_t>& reached);
  Problem LookAtSlot(std::uint64_t index, std::uint32_t home, const SlotRef& at, EntryView* entry);
  Problem LookAtEntry(const SlotRef& ref, const EntryView& entry) const;
  void VerifySegment(std::uint32_t segment);
  Problem LookAtHeader(std::uint32_t segment) const;
  Problem LookAtBody(std::uint32_t segment) const;
  Problem WalkSegment(std::uint32_t segment) const;
  void VerifyCounts(std::uint32_t segment);
  void VerifyTotals();

  StoreView view_;
  bool still_;
  std::vector<Usage> usage_;  // by segment
  std::set<std::uint64_t> sequences_;
  std::map<std::uint32_t, std::uint64_t> owned_;  // segments by namespace
  std::uint32_t walked_ = 0;                      // segments on their way to be free
  VerifyReport report_;
};

bool HoldsEntries(SegmentState state) {
  return state == SegmentState::kOpen || state == SegmentState::kSealed ||
         state == SegmentState::kRetiring;
}

// The word for `index` names a page, and that page says the same about itself.
Problem Verifier::LookAtPage(std::uint64_t index) const {
  const std::uint32_t bits = view_.directory_bits();
  const std::uint64_t word = view_.directory(index).LoadRelaxed();
  const std::uint32_t depth = DirectoryDepth(word);
  const std::uint32_t page = DirectoryPage(word);
  if ((word & kDirectoryValid) == 0 || page >= view_.page_count() || depth > bits)
    return fmt::format("directory[{}] is {:#x}, which names no page", index, word);
  PageHeader header;
  CopyShared(&header, view_.page(page), sizeof(header));
  const std::uint64_t prefix = depth == 0 ? 0 : index >> (bits - depth) << (64U - depth);
  if (header.magic != kPageMagic || header.depth != depth || header.prefix != prefix)
    return fmt::format(
        "directory[{}] says page {} with depth {} and prefix {:#x}; the page says "
        "depth {} and prefix {:#x}",
        index, page, depth, prefix, header.depth, header.prefix);
  const std::uint32_t home = page / (view_.segment_bytes() >> kPageShift);
  if (SegmentStateOf(view_.segment(home).state_generation.LoadRelaxed()) != SegmentState::kIndex)
    return fmt::format("page {} lies in segment {}, which is not one of index pages", page, home);
  return std::nullopt;
}

void Verifier::VerifyDirectory() {
  const std::uint64_t words = std::uint64_t{1} << view_.directory_bits();
  std::optional<std::uint32_t> previous;
  for (std::uint64_t i = 0; i < words; ++i) {
    Problem problem;
    Check([&] { return problem = LookAtPage(i); });
    if (problem) continue;
    const std::uint32_t page = DirectoryPage(view_.directory(i).LoadRelaxed());
    if (page >= view_.page_count() || std::exchange(previous, page) == page) continue;
    ++report_.pages;
    VerifyPage(i, page);
  }
  if (still_) Expect(view_.header().split_old_page.LoadRelaxed() == 0, "a split is under way");
}

void Verifier::VerifyPage(std::uint64_t index, std::uint32_t page) {
  std::set<std::uint32_t> reached;
  for (std::uint32_t home = kFirstHomeBucket; home < kFirstOverflowBucket; ++home) {
    std::uint64_t bucket = home;
    for (std::uint32_t length = 1; bucket != 0; ++length) {
      for (std::uint32_t slot = 0; slot < kSlotsPerBucket; ++slot) {
        EntryView entry;
        const SlotRef at{page, static_cast<std::uint32_t>(bucket), slot, 0};
        Check([&] { return LookAtSlot(index, home, at, &entry); });
      }
      Check([&]() -> Problem {
        const std::uint64_t link = view_.page(page)[bucket].link.LoadRelaxed();
        if (link == 0) return std::nullopt;
        if (link < kFirstOverflowBucket || link >= kBucketsPerPage)
          return fmt::format("page {} bucket {} is linked to bucket {}", page, bucket, link);
        if (length >= kMaxChainBuckets)
          return fmt::format("page {} chain {} is too long", page, home);
        if (still_ && reached.contains(static_cast<std::uint32_t>(link)))
          return fmt::format("page {} bucket {} is in two chains", page, link);
        return std::nullopt;
      });
      bucket = view_.page(page)[bucket].link.LoadRelaxed();
      if (bucket < kFirstOverflowBucket || bucket >= kBucketsPerPage || length >= kMaxChainBuckets)
        break;
      reached.insert(static_cast<std::uint32_t>(bucket));
    }
  }
  if (still_) VerifyUnlinked(page, reached);
}

void Verifier::VerifyUnlinked(std::uint32_t page, const std::set<std::uint32_t>& reached) {
  for (std::uint32_t bucket = kFirstOverflowBucket; bucket < kBucketsPerPage; ++bucket) {
    if (reached.contains(bucket)) continue;
    bool empty = view_.page(page)[bucket].link.LoadRelaxed() == 0;
    for (const auto& slot : view_.page(page)[bucket].slots) empty &= slot.LoadRelaxed() == 0;
    Expect(empty, "page {} overflow bucket {} is in no chain, but not empty", page, bucket);
  }
}

Problem Verifier::LookAtSlot(std::uint64_t index, std::uint32_t home, const SlotRef& at,
                             EntryView* entry) {
  const Atomic<std::uint64_t>& slot = view_.page(at.page)[at.bucket].slots[at.slot];
  // SYNC acquire slot-publish: the entry the slot points at is completely written.
  const std::uint64_t word = slot.LoadAcquire();
  const SlotRef ref{at.page, at.bucket, at.slot, word};
  const std::uint32_t segment = ref.segment();
  if (word == 0) return std::nullopt;
  if ((word & kSlotUsed) == 0) return fmt::format("slot {:#x} lacks the used flag", word);
  if (segment >= view_.segment_count())
    return fmt::format("slot {:#x} points at segment {}", word, segment);
  // SYNC acquire segment-generation: the segment's header is of this generation or a later one.
  const std::uint64_t state = view_.segment(segment).state_generation.LoadAcquire();
  if ((SegmentGenerationOf(state) & kSlotGenerationMask) != SlotGeneration(word))
    return fmt::format("(I2) slot {:#x} has generation {}, its segment {} has {}", word,
                       SlotGeneration(word), segment, SegmentGenerationOf(state));
  if (!HoldsEntries(SegmentStateOf(state)))
    return fmt::format("slot {:#x} points into segment {} of state {}", word, segment,
                       static_cast<int>(SegmentStateOf(state)));
  if (!ParseEntry(view_, segment, ref.offset(), entry))
    return fmt::format("(I1) slot {:#x} points at no entry", word);
  if (Problem problem = LookAtEntry(ref, *entry)) return problem;
  const std::uint64_t hash = HashEntry(view_, *entry);
  if (SlotTag(hash) != word >> kSlotTagShift || HomeBucket(hash) != home ||
      DirectoryPage(view_.directory(view_.DirectoryIndex(hash)).LoadRelaxed()) !=
          DirectoryPage(view_.directory(index).LoadRelaxed()))
    return fmt::format("slot {:#x} of page {} bucket {} stands in a wrong place", word, at.page,
                       at.bucket);
  usage_[segment].live_bytes += entry->bytes;
  ++usage_[segment].entries;
  ++report_.entries;
  report_.live_bytes += entry->bytes;
  return std::nullopt;
}

Problem Verifier::LookAtEntry(const SlotRef& ref, const EntryView& entry) const {
  const SegmentHeader& header = view_.segment(ref.segment());
  const Atomic<std::uint32_t>& end = still_ ? header.indexed_watermark : header.write_watermark;
  if (ref.offset() + entry.bytes > end.LoadRelaxed())
    return fmt::format("(I1) slot {:#x} points behind the watermark", ref.word);
  if (EntryCrc(entry) != entry.header.crc32c)
    return fmt::format("(I1) slot {:#x}: the entry's checksum is wrong", ref.word);
  if (entry.version() > view_.header().last_version.LoadRelaxed())
    return fmt::format("slot {:#x}: version {} was never given out", ref.word, entry.version());
  // A key has one slot. Its second would be in the same chain.
  const std::string_view key(reinterpret_cast<const char*>(entry.key), entry.key_length());
  std::uint64_t bucket = HomeBucket(HashEntry(view_, entry));
  for (std::uint32_t length = 0; length < kMaxChainBuckets; ++length) {
    for (std::uint32_t i = 0; i < kSlotsPerBucket; ++i) {
      const std::uint64_t word = view_.page(ref.page)[bucket].slots[i].LoadRelaxed();
      EntryView other;
      if ((bucket == ref.bucket && i == ref.slot) ||
          word >> kSlotTagShift != ref.word >> kSlotTagShift ||
          SlotSegment(word) >= view_.segment_count() ||
          !ParseEntry(view_, SlotSegment(word), SlotOffset(word), &other) ||
          other.header.namespace_id != entry.header.namespace_id ||
          std::string_view(reinterpret_cast<const char*>(other.key), other.key_length()) != key)
        continue;
      return fmt::format("slots {:#x} and {:#x} are of one key", ref.word, word);
    }
    bucket = view_.page(ref.page)[bucket].link.LoadRelaxed();
    if (bucket < kFirstOverflowBucket || bucket >= kBucketsPerPage) break;
  }
  return std::nullopt;
}

void Verifier::VerifySegment(std::uint32_t segment) {
  const SegmentHeader& header = view_.segment(segment);
  Problem problem;
  Check([&] { return problem = LookAtHeader(segment); });
  const SegmentState state = SegmentStateOf(header.state_generation.LoadRelaxed());
  if (static_cast<std::size_t>(state) < report_.segments.size())
    ++report_.segments[static_cast<std::size_t>(state)];
  if (state == SegmentState::kFree && header.write_watermark.LoadRelaxed() != 0)
    ++report_.held_segments;
  if (problem || !HoldsEntries(state)) return;
  // One is walked; others have nothing left that is alive, and wait for pins.
  if (state == SegmentState::kRetiring &&
      header.dead_bytes.LoadRelaxed() != header.write_watermark.LoadRelaxed())
    ++walked_;
  // What is shared is noted in the record that belongs to no namespace.
  owned_[header.namespace_id == kSharedNamespace ? 0 : header.namespace_id] += header.run_length;
  Check([&] { return problem = WalkSegment(segment); });
  if (still_ && !problem) VerifyCounts(segment);
}

Problem Verifier::LookAtHeader(std::uint32_t segment) const {
  const SegmentHeader& header = view_.segment(segment);
  // SYNC acquire segment-generation: the header is of this generation or a later one.
  const std::uint64_t word = header.state_generation.LoadAcquire();
  const SegmentState state = SegmentStateOf(word);
  if (header.mark != kSegmentMark)
    return fmt::format("segment {}: its header is destroyed", segment);
  if (state > SegmentState::kRunBody)
    return fmt::format("segment {}: state {}", segment, static_cast<int>(state));
  const std::uint32_t end = header.write_watermark.LoadRelaxed();
  const std::uint32_t indexed = header.indexed_watermark.LoadRelaxed();
  if (state == SegmentState::kRunBody && still_) return LookAtBody(segment);
  if (!HoldsEntries(state)) return std::nullopt;
  const std::uint32_t run = header.run_length;
  if (run < 1 || run > view_.segment_count() - segment)
    return fmt::format("segment {}: a run of {}", segment, run);
  for (std::uint32_t i = 1; i < run; ++i) {
    if (SegmentStateOf(view_.segment(segment + i).state_generation.LoadRelaxed()) !=
        SegmentState::kRunBody)
      return fmt::format("segment {}: its run of {} ends after {}", segment, run, i);
  }
  const std::uint64_t bytes = std::uint64_t{run} * view_.segment_bytes();
  if (end > bytes || indexed > end || (still_ && indexed != end) ||
      (still_ && run > 1 && end <= bytes - view_.segment_bytes()))
    return fmt::format("(I3) segment {}: watermarks {} and {}", segment, end, indexed);
  if (header.namespace_id != kSharedNamespace &&
      (header.namespace_id == 0 || header.namespace_id >= view_.namespace_capacity()))
    return fmt::format("segment {} belongs to namespace {}", segment, header.namespace_id);
  if (header.sequence > view_.header().allocated_sequence.LoadRelaxed())
    return fmt::format("segment {}: sequence {} was never given out", segment, header.sequence);
  return std::nullopt;
}

Problem Verifier::LookAtBody(std::uint32_t segment) const {
  const SegmentHeader& header = view_.segment(segment);
  const std::uint32_t back = header.run_length;
  if (back < 1 || back > segment)
    return fmt::format("run body {} lies {} segments in", segment, back);
  const SegmentHeader& first = view_.segment(segment - back);
  const SegmentState state = SegmentStateOf(first.state_generation.LoadRelaxed());
  if ((state != SegmentState::kSealed && state != SegmentState::kRetiring) ||
      back >= first.run_length || first.namespace_id != header.namespace_id)
    return fmt::format("run body {}: {} segments before it no run begins that it is part of",
                       segment, back);
  return std::nullopt;
}

// Entry after entry, dead ones too.
Problem Verifier::WalkSegment(std::uint32_t segment) const {
  const SegmentHeader& header = view_.segment(segment);
  // SYNC acquire segment-generation: the bytes belong to this generation or a later one.
  const std::uint64_t generation = SegmentGenerationOf(header.state_generation.LoadAcquire());
  const std::uint32_t end = header.write_watermark.LoadRelaxed();
  const std::uint32_t owner = header.namespace_id;
  Problem problem;
  EntryView entry;
  std::uint32_t offset = 0;
  while (offset < end && !problem) {
    if (!ParseEntry(view_, segment, offset, &entry) || offset + entry.bytes > end)
      problem = fmt::format("segment {} cannot be walked beyond {} of {}", segment, offset, end);
    else if (EntryCrc(entry) != entry.header.crc32c)
      problem = fmt::format("segment {} offset {}: the entry's checksum is wrong", segment, offset);
    else if (owner != kSharedNamespace && entry.header.namespace_id != owner)
      problem = fmt::format("segment {} of namespace {} holds an entry of {}", segment, owner,
                            entry.header.namespace_id);
    offset += static_cast<std::uint32_t>(entry.bytes);
  }
  // SYNC acquire segment-reuse: nothing above was read from bytes of the segment's next life.
  AcquireFence();
  if (SegmentGenerationOf(header.state_generation.LoadRelaxed()) != generation) return std::nullopt;
  return problem;
}

void Verifier::VerifyCounts(std::uint32_t segment) {
  const SegmentHeader& header = view_.segment(segment);
  const Usage& usage = usage_[segment];
  std::uint32_t entries = 0;
  std::uint64_t latest_expiry = 0;
  EntryView entry;
  const std::uint32_t end = header.write_watermark.LoadRelaxed();
  for (std::uint32_t offset = 0; offset < end && ParseEntry(view_, segment, offset, &entry);
       offset += static_cast<std::uint32_t>(entry.bytes)) {
    latest_expiry = std::max(latest_expiry, entry.hard_expiry_ms);
    ++entries;
  }
  Expect(usage.live_bytes + header.dead_bytes.LoadRelaxed() == end,
         "segment {}: {} live and {} dead bytes of {}", segment, usage.live_bytes,
         header.dead_bytes.LoadRelaxed(), end);
  Expect(usage.entries + header.dead_entries.LoadRelaxed() == entries &&
             header.entry_count.LoadRelaxed() == entries,
         "segment {}: {} entries, {} of them live; {} and {} dead counted", segment, entries,
         usage.entries, header.entry_count.LoadRelaxed(), header.dead_entries.LoadRelaxed());
  Expect(latest_expiry <= header.latest_expiry_ms.LoadRelaxed(),
         "segment {}: latest expiry {}, noted {}", segment, latest_expiry,
         header.latest_expiry_ms.LoadRelaxed());
  Expect(sequences_.insert(header.sequence).second, "segment {}: sequence {} is given out twice",
         segment, header.sequence);
}

void Verifier::VerifyTotals() {
  const StoreHeader& header = view_.header();
  const auto count = [this](SegmentState state) {
    return std::uint64_t{report_.segments[static_cast<std::size_t>(state)]};
  };
  Expect(walked_ <= 1, "{} segments are walked at once", walked_);
  Expect(header.entry_count.LoadRelaxed() == report_.entries, "{} entries, {} counted",
         report_.entries, header.entry_count.LoadRelaxed());
  Expect(header.live_bytes.LoadRelaxed() == report_.live_bytes, "{} live bytes, {} counted",
         report_.live_bytes, header.live_bytes.LoadRelaxed());
  const std::uint64_t free = count(SegmentState::kFree) - report_.held_segments;
  Expect(header.free_segments.LoadRelaxed() == free, "{} free segments, {} counted", free,
         header.free_segments.LoadRelaxed());
  const std::uint64_t pages = count(SegmentState::kIndex) << (header.segment_shift - kPageShift);
  Expect(header.index_pages.LoadRelaxed() == pages, "{} index pages, {} counted", pages,
         header.index_pages.LoadRelaxed());
  for (std::uint32_t id = 0; id < view_.namespace_capacity(); ++id) {
    const std::uint64_t used = owned_[id] * view_.segment_bytes();
    Expect(view_.namespace_record(id).used_bytes.LoadRelaxed() == used,
           "namespace {} uses {} bytes, {} counted", id, used,
           view_.namespace_record(id).used_bytes.LoadRelaxed());
  }
}

}  // namespace

VerifyReport Verify(const StoreView& view, VerifyMode mode) { return Verifier(view, mode).Run(); }

}  // namespace hearth::cache
