#include "core/cache/scanner.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/failpoint.h"

namespace hearth::cache {
namespace {

// A page's slots by number, of home and overflow buckets alike: which chain a slot belongs to does
// not matter to one who looks at all of them.
constexpr std::uint32_t kPositions = (kBucketsPerPage - kFirstHomeBucket) * kSlotsPerBucket;
// So many that nothing but damage or an attack on the store uses them up: a slot changes while it
// is copied, a page is split at most as often as the directory has bits.
constexpr int kMaxSlotAttempts = 1000;
constexpr std::uint32_t kMaxPageRestarts = 64;

// Whether two words of one slot point at the same entry.
bool SameEntry(std::uint64_t now, std::uint64_t before) {
  return ((now ^ before) & ~kSlotFrequencyBits) == 0;
}

}  // namespace

Result<Scanner> Scanner::Begin(const StoreReader& reader, std::uint32_t handle,
                               ScanOptions options) {
  Scanner scanner(reader, handle, std::move(options));
  HEARTH_TRY(scanner.CheckNamespace());
  return scanner;
}

Result<Scanner> Scanner::Resume(const StoreReader& reader, std::uint32_t handle,
                                ScanOptions options, std::string_view text) {
  HEARTH_ASSIGN(const ScanCursor cursor, ScanCursor::Decode(text));
  const shm::RegionPrefix& prefix = reader.view().prefix();
  if (!std::equal(cursor.store.begin(), cursor.store.end(), std::begin(prefix.uuid)))
    return Error(Code::kFailedPrecondition,
                 "the cursor belongs to another store, or to this one before it was created anew; "
                 "begin the scan again");
  if (NamespaceIdOf(cursor.handle) != NamespaceIdOf(handle))
    return Error(Code::kFailedPrecondition,
                 "the cursor belongs to the namespace with id {}, not to {}",
                 NamespaceIdOf(cursor.handle), NamespaceIdOf(handle));
  Scanner scanner(reader, cursor.handle, std::move(options));
  HEARTH_TRY(scanner.CheckNamespace());
  scanner.hash_ = cursor.hash;
  // A directory word of 0 is that of no page: position and all mean the end.
  scanner.done_ = cursor.directory == 0 && cursor.position != 0;
  scanner.directory_ = cursor.directory;
  scanner.position_ = cursor.position;
  return scanner;
}

std::string Scanner::Cursor() const {
  ScanCursor cursor;
  const shm::RegionPrefix& prefix = reader_->view().prefix();
  std::copy(std::begin(prefix.uuid), std::end(prefix.uuid), cursor.store.begin());
  cursor.handle = handle_;
  cursor.hash = hash_;
  cursor.directory = done_ ? 0 : directory_;
  cursor.position = done_ ? 1 : static_cast<std::uint16_t>(position_);
  return cursor.Encode();
}

Status Scanner::CheckNamespace() const {
  const StoreView& view = reader_->view();
  const std::uint16_t id = NamespaceIdOf(handle_);
  // SYNC acquire namespace-state: the namespace that the handle names.
  if (id < view.namespace_capacity() &&
      view.namespace_record(id).state.LoadAcquire() == LiveWordOf(handle_))
    return Status::Ok();
  return Error(Code::kNotFound, "the namespace with id {} does not exist, or exists no longer", id);
}

// Finds the page of hash_. Goes on where it was left, if it is still the same one.
Status Scanner::BeginPage() {
  HEARTH_TRY(CheckNamespace());
  const StoreView& view = reader_->view();
  // SYNC acquire directory-word: the page it names is completely written.
  const std::uint64_t word = view.directory(view.DirectoryIndex(hash_)).LoadAcquire();
  if (word != directory_ || position_ > kPositions) position_ = 0;
  directory_ = word;
  if ((word & kDirectoryValid) == 0 || DirectoryPage(word) >= view.page_count())
    position_ = kPositions;
  begun_ = true;
  return Status::Ok();
}

// The next page begins where this one's keys end: what they share is their first `depth` bits.
void Scanner::EndPage() {
  const std::uint32_t bits = reader_->view().directory_bits();
  const bool valid = (directory_ & kDirectoryValid) != 0;
  const std::uint32_t depth = valid ? std::min(DirectoryDepth(directory_), bits) : bits;
  const std::uint64_t last = depth == 0 ? ~std::uint64_t{0} : ~std::uint64_t{0} >> depth;
  hash_ = (hash_ | last) + 1;
  done_ = hash_ == 0;
  begun_ = false;
  directory_ = 0;
  position_ = 0;
  restarts_ = 0;
}

bool Scanner::PageIsSame() const {
  const StoreView& view = reader_->view();
  // SYNC acquire directory-recheck: all slots were read before this second look.
  AcquireFence();
  return view.directory(view.DirectoryIndex(hash_)).LoadRelaxed() == directory_;
}

Result<bool> Scanner::Next(ScannedEntry* entry) {
  while (!done_) {
    if (!begun_) HEARTH_TRY(BeginPage());
    Slot found = Slot::kNothing;
    const Bucket* page =
        reader_->view().page(position_ < kPositions ? DirectoryPage(directory_) : 0);
    while (found == Slot::kNothing && position_ < kPositions) {
      const Bucket& bucket = page[kFirstHomeBucket + position_ / kSlotsPerBucket];
      found = TakeSlot(bucket.slots[position_ % kSlotsPerBucket], entry);
      if (found == Slot::kContended)
        return Error(Code::kUnavailable, "an entry changed under {} tries to read it; go on",
                     kMaxSlotAttempts);
      if (found != Slot::kPageMoved) ++position_;
    }
    if (found == Slot::kEntry) return true;
    if (found == Slot::kNothing && PageIsSame()) {
      EndPage();
    } else {
      // It was split: what is left of its keys stands in other places now.
      begun_ = false;
      directory_ = 0;
      if (++restarts_ > kMaxPageRestarts) {
        restarts_ = 0;
        return Error(Code::kUnavailable,
                     "a page of the index changed {} times while it was read; "
                     "go on",
                     kMaxPageRestarts);
      }
    }
  }
  return false;
}

bool Scanner::Parse(std::uint64_t slot, ScannedEntry* entry) const {
  const StoreView& view = reader_->view();
  EntryView parsed;
  if (!ParseEntry(view, SlotSegment(slot), SlotOffset(slot), &parsed) ||
      parsed.header.namespace_id != NamespaceIdOf(handle_) ||
      (parsed.header.key_bits & kEntryNegative) != 0 ||
      parsed.key_length() < options_.prefix.size())
    return false;
  entry->key.resize(parsed.key_length());
  CopyShared(entry->key.data(), parsed.key, parsed.key_length());
  if (!entry->key.starts_with(options_.prefix)) return false;
  ReadResult result;
  if (!reader_->Visible(parsed, view.namespace_record(NamespaceIdOf(handle_)), &result))
    return false;
  entry->version = result.version;
  entry->hard_expiry_ms = result.hard_expiry_ms;
  entry->soft_expiry_ms = result.soft_expiry_ms;
  entry->stale = result.stale;
  entry->value_bytes = parsed.header.value_length;
  entry->value.resize(options_.values ? parsed.header.value_length : 0);
  CopyShared(entry->value.data(), parsed.value, entry->value.size());
  return true;
}

// One slot, as often as it takes for it to stand still. A key that stays stays in its slot,
// whatever is stored under it, as long as its page is the same.
Scanner::Slot Scanner::TakeSlot(const Atomic<std::uint64_t>& slot_at, ScannedEntry* entry) const {
  const StoreView& view = reader_->view();
  for (int attempt = 0; attempt < kMaxSlotAttempts; ++attempt) {
    // SYNC acquire slot-publish: the entry the slot points at is completely written.
    const std::uint64_t slot = slot_at.LoadAcquire();
    const std::uint32_t segment = SlotSegment(slot);
    if ((slot & kSlotUsed) == 0 || segment >= view.segment_count()) return Slot::kNothing;
    const Atomic<std::uint64_t>& segment_at = view.segment(segment).state_generation;
    // SYNC acquire segment-generation: the segment's bytes belong to this generation or a later
    // one.
    const std::uint64_t before = segment_at.LoadAcquire();
    HEARTH_FAILPOINT("scanner.before_copy");
    const bool wanted =
        Readable(before) &&
        (SegmentGenerationOf(before) & kSlotGenerationMask) == SlotGeneration(slot) &&
        Parse(slot, entry);
    HEARTH_FAILPOINT("scanner.after_copy");
    // SYNC acquire segment-reuse: nothing was copied from bytes written after the generation moved.
    AcquireFence();
    const std::uint64_t after = segment_at.LoadRelaxed();
    if (!SameEntry(slot_at.LoadRelaxed(), slot) ||
        SegmentGenerationOf(after) != SegmentGenerationOf(before) ||
        (Readable(before) && !Readable(after)))
      continue;
    // A page that was split keeps its slots as they were, whatever happens to the keys.
    if (!PageIsSame()) return Slot::kPageMoved;
    return wanted ? Slot::kEntry : Slot::kNothing;
  }
  return PageIsSame() ? Slot::kContended : Slot::kPageMoved;
}

}  // namespace hearth::cache
