// Scanner: all entries of a namespace whose keys begin with a prefix, read from the mapping alone:
// no request, no lock, and nothing the writer would notice. The Go package
// go-binding/internal/index takes the same steps.
//
// It goes through the index in the order of the hashes, page by page, slot by slot. What it
// promises is what Redis's SCAN does: a key that is there from the beginning of the scan to its end
// is returned, whatever happens to other keys, and however often its value, its place or its page
// change; usually once. A page that is split while it is read is read again, so some keys may come
// twice. A key that comes or goes meanwhile is returned or not. Each returned entry was the key's
// at one moment during the scan; there is no snapshot over several.
#ifndef HEARTH_CORE_CACHE_SCANNER_H_
#define HEARTH_CORE_CACHE_SCANNER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/cache/reader.h"
#include "core/cache/scan_cursor.h"

namespace hearth::cache {

struct ScanOptions {
  std::string prefix;  // of keys; empty: all
  bool values = true;  // false: `value` stays empty, and only `value_bytes` tells of it
};

struct ScannedEntry {
  std::string key;
  std::string value;
  std::uint64_t value_bytes = 0;
  std::uint64_t version = 0;
  std::uint64_t hard_expiry_ms = kNever;  // store time
  std::uint64_t soft_expiry_ms = kNever;
  bool stale = false;
};

// Holds one entry at a time, so its memory is that of the largest value. One thread at a time; the
// reader must outlive it.
class Scanner {
 public:
  // kNotFound when there is no live namespace with this handle.
  static Result<Scanner> Begin(const StoreReader& reader, std::uint32_t handle,
                               ScanOptions options);
  // Goes on where `cursor` was taken, perhaps by another process; the prefix should be the same.
  // kInvalidArgument for what is no cursor, kFailedPrecondition for one of another store or another
  // namespace, kNotFound for one of a namespace that was dropped.
  static Result<Scanner> Resume(const StoreReader& reader, std::uint32_t handle,
                                ScanOptions options, std::string_view cursor);

  // The next entry; false at the end. kNotFound when the namespace was dropped meanwhile;
  // kUnavailable when a slot or a page changed under each of very many tries, after which the scan
  // can go on.
  Result<bool> Next(ScannedEntry* entry);
  // Where a later scan goes on behind the entry that was returned last. At the end of the scan: a
  // cursor behind which nothing is left.
  std::string Cursor() const;

 private:
  enum class Slot { kNothing, kEntry, kPageMoved, kContended };

  Scanner(const StoreReader& reader, std::uint32_t handle, ScanOptions options)
      : reader_(&reader), handle_(handle), options_(std::move(options)) {}
  Status CheckNamespace() const;
  Status BeginPage();
  void EndPage();
  bool PageIsSame() const;
  Slot TakeSlot(const Atomic<std::uint64_t>& slot_at, ScannedEntry* entry) const;
  // Whether it is an entry to return, as far as its bytes say.
  bool Parse(std::uint64_t slot, ScannedEntry* entry) const;

  const StoreReader* reader_;
  std::uint32_t handle_;
  ScanOptions options_;
  bool done_ = false;
  bool begun_ = false;           // the page at hand
  std::uint64_t hash_ = 0;       // where the page at hand begins
  std::uint64_t directory_ = 0;  // its directory word; 0 = not begun
  std::uint32_t position_ = 0;   // slots done of it
  std::uint32_t restarts_ = 0;   // of it
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_SCANNER_H_
