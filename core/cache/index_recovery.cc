// The part of IndexWriter that takes over the index of a dead writer. What a SIGKILL can leave is
// one unfinished split, and pages that nothing names; everything else here is for memory that was
// damaged, and trusts a page's header and the directory only where one confirms the other.
#include <algorithm>
#include <bit>
#include <unordered_map>
#include <utility>

#include "core/cache/index.h"

namespace hearth::cache {
namespace {

PageHeader HeaderOf(const StoreView& view, std::uint32_t page) {
  PageHeader header;
  CopyShared(&header, view.page(page), sizeof(header));
  return header;
}

}  // namespace

struct IndexWriter::Takeover {
  std::vector<bool> used;   // by page: the directory names it
  std::vector<Hole> holes;  // where it names none
};

bool IndexWriter::InIndexSegment(std::uint64_t page) const {
  if (page >= view_.page_count()) return false;
  const auto segment = static_cast<std::uint32_t>(page) / (view_.segment_bytes() >> kPageShift);
  return SegmentStateOf(view_.segment(segment).state_generation.LoadRelaxed()) ==
         SegmentState::kIndex;
}

bool IndexWriter::IsPage(std::uint32_t page, std::uint32_t depth, std::uint64_t prefix) const {
  const PageHeader header = HeaderOf(view_, page);
  return header.magic == kPageMagic && header.depth == depth && header.prefix == prefix;
}

// Both halves were complete before the split was noted.
bool IndexWriter::FinishSplit() {
  StoreHeader& store = view_.header();
  const std::uint64_t old_page = store.split_old_page.LoadRelaxed();
  const std::uint64_t low = store.split_low_page.LoadRelaxed();
  const std::uint64_t high = store.split_high_page.LoadRelaxed();
  store.split_old_page.StoreInProgramOrder(0);
  if (old_page == 0 || !InIndexSegment(low) || !InIndexSegment(high)) return false;
  const auto low_page = static_cast<std::uint32_t>(low);
  const auto high_page = static_cast<std::uint32_t>(high);
  const PageHeader header = HeaderOf(view_, low_page);
  const std::uint32_t depth = header.depth;
  const std::uint64_t prefix = header.prefix;
  const std::uint32_t bits = view_.directory_bits();
  if (header.magic != kPageMagic || depth == 0 || depth > bits || prefix << (depth - 1) != 0 ||
      !IsPage(high_page, depth, prefix | std::uint64_t{1} << (64U - depth)))
    return false;
  const std::uint64_t half = std::uint64_t{1} << (bits - depth);
  StoreDirectory(view_.DirectoryIndex(prefix), half, low_page, depth);
  StoreDirectory(view_.DirectoryIndex(prefix) + half, half, high_page, depth);
  return true;
}

// Checks the page that a directory word names, and the other words that should name it as well.
// Returns how many words that are; 0 when this word is not the first of a page.
std::uint64_t IndexWriter::TakeOverPage(std::uint64_t index, Takeover* takeover,
                                        IndexRecovery* recovery) {
  const std::uint32_t bits = view_.directory_bits();
  const std::uint64_t word = view_.directory(index).LoadRelaxed();
  const std::uint32_t page = DirectoryPage(word);
  const std::uint32_t depth = DirectoryDepth(word);
  if ((word & kDirectoryValid) == 0 || depth > bits || !InIndexSegment(page) ||
      takeover->used[page])
    return 0;
  const std::uint64_t span = std::uint64_t{1} << (bits - depth);
  if (index % span != 0) return 0;
  std::uint64_t strays = 0;
  for (std::uint64_t i = index; i < index + span; ++i) {
    const std::uint64_t other = view_.directory(i).LoadRelaxed();
    if (DirectoryPage(other) != page || DirectoryDepth(other) != depth ||
        (other & kDirectoryValid) == 0)
      ++strays;
  }
  const std::uint64_t prefix = index << (64U - bits);
  if (!IsPage(page, depth, prefix)) {
    // Its header may be all that is lost. A page that says that it is another one is that one.
    if (strays != 0 || HeaderOf(view_, page).magic == kPageMagic) return 0;
    const PageHeader header{
        .magic = kPageMagic, .depth = depth, .reserved0 = 0, .prefix = prefix, .reserved1 = {}};
    CopyShared(view_.page(page), &header, sizeof(header));
    ++recovery->repaired_pages;
  }
  if (strays != 0) {
    StoreDirectory(index, span, page, depth);
    recovery->repaired_words += strays;
  }
  takeover->used[page] = true;
  return span;
}

// Fills directory words that name no page with the pages that say they belong there.
void IndexWriter::FindLostPages(Takeover* takeover, IndexRecovery* recovery) {
  const std::uint32_t bits = view_.directory_bits();
  std::unordered_map<std::uint64_t, std::pair<std::uint32_t, std::uint32_t>> candidates;
  for (std::uint32_t page = 0; page < view_.page_count(); ++page) {
    if (takeover->used[page] || !InIndexSegment(page)) continue;
    const PageHeader header = HeaderOf(view_, page);
    const std::uint32_t depth = header.depth;
    if (header.magic != kPageMagic || depth > bits ||
        (depth == 0 ? header.prefix : header.prefix << depth) != 0)
      continue;
    // Of several for one place the deepest: it is a later split's.
    auto& best = candidates[view_.DirectoryIndex(header.prefix)];
    if (best.second <= depth) best = {page, depth};
  }
  std::vector<Hole> left;
  for (const Hole& hole : takeover->holes) {
    for (std::uint64_t index = hole.begin; index < hole.end;) {
      const auto found = candidates.find(index);
      const std::uint64_t span =
          found == candidates.end() ? 1 : std::uint64_t{1} << (bits - found->second.second);
      if (found == candidates.end() || index + span > hole.end) {
        if (left.empty() || left.back().end != index) left.push_back({index, index});
        left.back().end = ++index;
        continue;
      }
      const auto [page, depth] = found->second;
      StoreDirectory(index, span, page, depth);
      takeover->used[page] = true;
      recovery->repaired_words += span;
      index += span;
    }
  }
  takeover->holes = std::move(left);
}

// Gives directory words that name no page a new one.
Status IndexWriter::FillHole(Hole hole, IndexRecovery* recovery) {
  while (hole.begin < hole.end) {
    // The largest aligned range of words that fits in here.
    std::uint64_t span = 1;
    while (hole.begin % (2 * span) == 0 && hole.begin + 2 * span <= hole.end) span *= 2;
    const std::uint32_t depth =
        view_.directory_bits() - static_cast<std::uint32_t>(std::bit_width(span) - 1);
    const auto page = TakePage();
    if (!page)
      return Error(Code::kDataLoss, "index pages are lost, and there is no segment for new ones");
    FormatPage(*page, depth, hole.begin << (64U - view_.directory_bits()));
    StoreDirectory(hole.begin, span, *page, depth);
    ++recovery->lost_pages;
    hole.begin += span;
  }
  return Status::Ok();
}

Status IndexWriter::Recover(IndexRecovery* recovery) {
  recovery->finished_split = FinishSplit();
  Takeover takeover{.used = std::vector<bool>(view_.page_count()), .holes = {}};
  for (std::uint64_t i = 0; i < std::uint64_t{1} << view_.directory_bits();) {
    const std::uint64_t span = TakeOverPage(i, &takeover, recovery);
    if (span == 0) {
      if (takeover.holes.empty() || takeover.holes.back().end != i)
        takeover.holes.push_back({i, i});
      ++takeover.holes.back().end;
    }
    i += std::max<std::uint64_t>(span, 1);
  }
  if (!takeover.holes.empty()) FindLostPages(&takeover, recovery);
  std::uint64_t pages = 0;
  for (std::uint32_t page = view_.page_count(); page-- > 0;) {
    if (!InIndexSegment(page)) continue;
    ++pages;
    if (!takeover.used[page]) FreePage(page);
  }
  view_.header().index_pages.StoreRelaxed(pages);
  for (const Hole& hole : takeover.holes) HEARTH_TRY(FillHole(hole, recovery));
  return Status::Ok();
}

// Follows a chain, and cuts it where no writer would have linked it. Returns repairs.
std::uint32_t IndexWriter::CheckChain(std::uint32_t page, std::uint32_t home, OverflowMap* used) {
  std::uint32_t bucket = home;
  for (std::uint32_t length = 1;; ++length) {
    Atomic<std::uint64_t>& at = BucketAt(page, bucket).link;
    const std::uint64_t link = at.LoadRelaxed();
    if (link == 0) return 0;
    const bool sound = link >= kFirstOverflowBucket && link < kBucketsPerPage &&
                       length < kMaxChainBuckets && !(*used)[link - kFirstOverflowBucket];
    if (!sound) {
      at.StoreRelaxed(0);
      return 1;
    }
    (*used)[link - kFirstOverflowBucket] = true;
    bucket = static_cast<std::uint32_t>(link);
  }
}

// Before the first use of a page that a dead writer left: which overflow buckets are in use, and
// that every chain ends. Not at the takeover, whose time must not grow with the index.
void IndexWriter::CheckPage(std::uint32_t page) {
  OverflowMap used;
  for (std::uint32_t home = kFirstHomeBucket; home < kFirstOverflowBucket; ++home)
    repaired_links_ += CheckChain(page, home, &used);
  for (std::uint32_t i = 0; i < kOverflowBuckets; ++i) {
    if (used[i]) continue;
    // In no chain. A killed writer may have put a slot into the bucket that it was about to link.
    Bucket& bucket = BucketAt(page, kFirstOverflowBucket + i);
    bucket.link.StoreRelaxed(0);
    for (Atomic<std::uint64_t>& slot : bucket.slots) slot.StoreRelaxed(0);
  }
  overflow_[page] = used;
  checked_[page] = true;
}

}  // namespace hearth::cache
