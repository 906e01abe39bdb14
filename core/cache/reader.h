// StoreReader: looks keys up in a store that another process writes, without locks, system calls
// or writes to shared memory. The Go package go-binding/internal/index takes the same steps.
#ifndef HEARTH_CORE_CACHE_READER_H_
#define HEARTH_CORE_CACHE_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/cache/pins.h"
#include "core/cache/value_view.h"
#include "core/cache/view.h"
#include "core/shm/memory.h"

namespace hearth::cache {

enum class ReadOutcome {
  kHit,
  kMiss,
  kContended,  // the entry changed under every one of kMaxReadAttempts tries: ask the writer
};
inline constexpr int kMaxReadAttempts = 8;

struct ReadResult {
  ReadOutcome outcome = ReadOutcome::kMiss;
  std::uint64_t version = 0;
  std::uint64_t hard_expiry_ms = kNever;  // store time
  std::uint64_t soft_expiry_ms = kNever;
  bool stale = false;  // the soft expiry has passed
  // Of a miss: an entry says that the key is known to be absent, until its hard expiry. Version and
  // expiries are that entry's.
  bool negative = false;
  // Of a hit: the key's hash, and the frequency its slot had. Below kMaxFrequency the reader should
  // let the writer know of the read (StoreWriter::NoteRead, or a touch buffer).
  std::uint64_t hash = 0;
  std::uint32_t frequency = 0;
};

// Thread-safe: any number of threads may read at once. Consistency: reads of one key are
// linearizable; a Get that begins after a Set or Delete was acknowledged sees it or a later one.
class StoreReader {
 public:
  // Maps `fd` read-only and checks it. Errors: those of shm::Mapping::Map and StoreView::Of.
  static Result<StoreReader> Attach(int fd, const Clock& clock = Clock::System());
  // Reads through a mapping that the caller keeps alive: the writer itself, and tests.
  StoreReader(const StoreView& view, const Clock& clock) : view_(view), clock_(&clock) {}

  // Copies the value of `key` to `*value` on a hit; leaves it unspecified otherwise. Any key length
  // is accepted; those no entry can have are misses, as is everything in a namespace that does not
  // exist, or no longer does: `handle` is of one namespace (MakeNamespaceHandle), not of its id.
  ReadResult Get(std::uint32_t handle, std::string_view key, std::string* value) const;

  // Looks `key` up as Get() does and gives its value in place, whatever its size: a hit writes
  // `pin`, which must be free, and holds it until the view is released. All other outcomes leave it
  // free, and `*view` empty. kContended also says that pins do not help: Get() the value instead.
  ReadResult View(std::uint32_t handle, std::string_view key, const PinWords& pin,
                  ValueView* view) const;

  // Handle of the live namespace called `name`. O(namespaces); kNotFound.
  Result<std::uint32_t> FindNamespace(std::string_view name) const;

  const StoreView& view() const { return view_; }
  // Store time now, in ms.
  std::uint64_t NowMs() const { return view_.StoreTimeMs(clock_->MonotonicNanos()); }

 private:
  friend class Scanner;
  struct Attempt;
  // What becomes of a value: a copy, or a view under a pin.
  struct Taker {
    std::string* copy = nullptr;
    const PinWords* pin = nullptr;
    ValueView* view = nullptr;
  };
  ReadResult Read(std::uint32_t handle, std::string_view key, const Taker& taker) const;
  std::optional<ReadResult> TryRead(std::uint32_t handle, std::string_view key, std::uint64_t hash,
                                    const Taker& taker) const;
  bool TrySlot(std::uint64_t slot, std::uint16_t namespace_id, std::string_view key,
               Attempt* attempt) const;
  bool SameGeneration(const Attempt& attempt) const;
  bool Visible(const EntryView& entry, const NamespaceRecord& record, ReadResult* result) const;
  std::optional<ReadResult> Finish(const Attempt& attempt, const NamespaceRecord& record,
                                   const Taker& taker) const;
  bool Unchanged(const Attempt& attempt) const;

  shm::Mapping mapping_;
  StoreView view_;
  const Clock* clock_;
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_READER_H_
