// StoreWriter: every change of a store. One thread of one process owns it.
#ifndef HEARTH_CORE_CACHE_WRITER_H_
#define HEARTH_CORE_CACHE_WRITER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/cache/ghost.h"
#include "core/cache/index.h"
#include "core/cache/namespace_table.h"
#include "core/cache/operations.h"
#include "core/cache/pins.h"
#include "core/cache/reader.h"
#include "core/cache/recovery.h"
#include "core/cache/segment_log.h"
#include "core/cache/sketch.h"
#include "core/cache/view.h"

namespace hearth::cache {

struct NamespaceOptions {
  std::uint64_t hard_ttl_ms = 0;  // default of entries that ask for none; 0 = no expiry
  std::uint64_t soft_ttl_ms = 0;
  // In whole segments, rounded down. What others cannot take from it, and what it can have at most
  // (0 = the whole store; else at least two segments).
  std::uint64_t quota_min_bytes = 0;
  std::uint64_t quota_max_bytes = 0;
  bool evict = true;      // false: a full namespace refuses writes instead
  bool strict = false;    // its reads miss while the writer's heartbeat is stale
  bool tiny_lfu = false;  // admission by frequency, see admission.cc; for one that evicts
  friend bool operator==(const NamespaceOptions&, const NamespaceOptions&) = default;
};

// 1 to 63 characters of A-Z a-z 0-9 . _ -
bool ValidNamespaceName(std::string_view name);

// A century; longer TTLs are a mistake of units, and sums stay far from overflow.
inline constexpr std::uint64_t kMaxTtlMs = std::uint64_t{100} * 365 * 86400 * 1000;

// A TTL of one entry, in ms from now.
inline constexpr std::uint64_t kTtlOfNamespace = 0;
inline constexpr std::uint64_t kTtlNone = ~std::uint64_t{0};
struct Ttl {
  std::uint64_t hard_ms = kTtlOfNamespace;
  std::uint64_t soft_ms = kTtlOfNamespace;
};

// Who asked for a change: kept in the entry, so that recovery can tell whether an interrupted
// operation had its effect.
struct Origin {
  std::uint16_t channel = 0;   // 0 = the daemon itself
  std::uint64_t sequence = 0;  // below 2^48
};

// How Increment() changes a counter.
struct CounterChange {
  std::int64_t delta = 1;
  // What a key that is not there counts as; nothing: such a key is kNotFound.
  std::optional<std::int64_t> initial = std::nullopt;
  Ttl ttl = {};  // of an entry that `initial` creates; one that is there keeps its expiries
};

// Not thread-safe. Readers read at any time. After a method returned, its effect is visible to
// every reader. All errors leave the store as it was, but for entries that eviction removed.
class StoreWriter {
 public:
  // Takes over a store that was just created (its magic is not published yet) and publishes it.
  static Result<std::unique_ptr<StoreWriter>> Create(const StoreView& view,
                                                     const Clock& clock = Clock::System());

  // Takes over a store whose writer has died, at whatever instruction, and serves on: nothing that
  // was acknowledged is lost, nothing deleted comes back. O(segments + directory words), and walks
  // the few segments that the dead writer was changing. What memory that was damaged otherwise
  // holds is dropped where it cannot be right, and named in `report`; call Scrub() afterwards.
  // REQUIRES: nobody else writes (Store::Adopt). kDataLoss when not even the index can be rebuilt.
  static Result<std::unique_ptr<StoreWriter>> Recover(const StoreView& view, RecoveryReport* report,
                                                      const Clock& clock = Clock::System());

  // Names have 1 to 63 bytes of [A-Za-z0-9._-]. kAlreadyExists, kInvalidArgument,
  // kResourceExhausted when the store has no record left, or less room than the quotas promise. Ids
  // begin at 1; one that was dropped is given out again when nothing is left of it.
  Result<std::uint16_t> CreateNamespace(std::string_view name, const NamespaceOptions& options);
  // Gives a namespace other options; entries keep their expiries. Errors as for creating it, and
  // kNotFound. With less quota than it uses, a namespace shrinks as it writes; one that does not
  // evict refuses writes.
  Status AlterNamespace(std::uint16_t id, const NamespaceOptions& options);
  // All its entries become invisible at once; their room is free bit by bit, see Reclaim().
  // kNotFound.
  Status FlushNamespace(std::uint16_t id);
  // The same, and the namespace is gone: every read misses, every write is kNotFound. kNotFound.
  Status DropNamespace(std::uint16_t id);
  // Of a live namespace. Id of a name; kNotFound.
  Result<std::uint16_t> FindNamespace(std::string_view name) const;
  NamespaceOptions OptionsOf(std::uint16_t id) const;
  // The handle of the namespace that has this id now.
  std::uint32_t HandleOf(std::uint16_t id) const;

  // Walks about so many bytes of segments in which a flush left nothing visible, and frees those it
  // is through with. True while there are more. Writes do this too; call it when there are none.
  bool Reclaim(std::uint64_t bytes);

  // Sets the value of a key; returns the version of the new entry.
  //   kInvalidArgument    key length outside 1..1024, value over the limit, soft TTL over hard
  //   kNotFound           no such namespace
  //   kResourceExhausted  the namespace or the store is full and may not evict
  Result<std::uint64_t> Set(std::uint16_t namespace_id, std::string_view key,
                            std::string_view value, const Ttl& ttl, const Origin& origin);
  // Notes that a key is known to be absent: readers miss, and see that they need not ask anybody
  // (ReadResult::negative); for every other operation the key is not there. `ttl_ms` is the
  // entry's own and must be one, kTtlOfNamespace and kTtlNone are kInvalidArgument. Such entries go
  // into the small log and are never moved, so they cannot crowd out values: they have the small
  // log's share of the namespace at most, and go first. A namespace that does not evict takes none:
  // there the key is removed and 0 returned. Errors are those of Set.
  Result<std::uint64_t> SetAbsent(std::uint16_t namespace_id, std::string_view key,
                                  std::uint64_t ttl_ms, const Origin& origin);
  // Removes a key; returns the version that was removed. kNotFound for one that is absent or
  // expired.
  Result<std::uint64_t> Delete(std::uint16_t namespace_id, std::string_view key,
                               const Origin& origin);
  // Gives a key new expiries; returns its new version. kNotFound.
  Result<std::uint64_t> Touch(std::uint16_t namespace_id, std::string_view key, const Ttl& ttl,
                              const Origin& origin);

  // The operations that look before they write (operations.cc); nothing comes in between. An entry
  // that has expired or was flushed is not there. Errors are those of Set, and:
  //   Add              kAlreadyExists; stores only under a key that is not there
  //   Replace          kNotFound; stores only under a key that is there
  //   CompareAndSwap   kNotFound, or kAborted when the version is not the expected one
  //   Increment        kNotFound, kFailedPrecondition when the value is not a counter
  //   (operations.h),
  //                    kOutOfRange when the sum leaves 64 bits
  //   AppendValue      kNotFound, kInvalidArgument when the whole value is over the limit; the
  //   entry
  //                    keeps its expiries
  Outcome Add(std::uint16_t namespace_id, std::string_view key, std::string_view value,
              const Ttl& ttl, const Origin& origin);
  Outcome Replace(std::uint16_t namespace_id, std::string_view key, std::string_view value,
                  const Ttl& ttl, const Origin& origin);
  Outcome CompareAndSwap(std::uint16_t namespace_id, std::string_view key,
                         std::uint64_t expected_version, std::string_view value, const Ttl& ttl,
                         const Origin& origin);
  Outcome Increment(std::uint16_t namespace_id, std::string_view key, const CounterChange& change,
                    const Origin& origin);
  Outcome AppendValue(std::uint16_t namespace_id, std::string_view key, std::string_view more,
                      const Origin& origin);

  // Reads as the writer sees it; never contended.
  ReadResult Get(std::uint16_t namespace_id, std::string_view key, std::string* value) const;

  // Counts a read of the key with this hash: the frequency in its slot grows by one, up to
  // kMaxFrequency. A hint for eviction, which may be lost, repeated or made up: any hash will do,
  // one that no key has changes nothing, and two keys with the same tag in one chain share it.
  void NoteRead(std::uint64_t hash);

  // The version of the entry of a key, if it was written by this operation: after Recover(),
  // whether the operation that was in flight has had its effect.
  std::optional<std::uint64_t> WrittenBy(std::uint16_t namespace_id, std::string_view key,
                                         const Origin& origin);

  // Looks at a few more of the store's entries, at about `entries`, and removes those that are
  // damaged (CRC, place in the index, length); then counts what is dead. Call it again and again,
  // between other work; each pass ends some time. True when this call completed one.
  bool Scrub(std::uint32_t entries);
  const ScrubCounters& scrubbed() const { return scrub_.counters; }

  // Shows readers and operators that the writer lives. Call a few times a second.
  void Heartbeat();

  // From now on a segment that one of these pins holds is not reused, for `max_ns` at most from the
  // moment it could be, and while no more than a twentieth of the store waits like that. No write
  // fails because of a pin. `source` must outlive the writer.
  void WatchPins(const PinSource* source, std::uint64_t max_ns = kDefaultPinMaxNs) {
    log_.WatchPins(source, max_ns, *clock_);
  }
  // Looks whether segments that wait for pins can be had by now. Writes do so when they need room;
  // call it a few times a second for when there are none.
  void ReviewPins() { log_.ReviewPins(); }
  // Segments that wait for pins, and how many were taken from their pins since the writer began.
  std::uint32_t quarantined_segments() const { return log_.quarantine().size(); }
  std::uint64_t revoked_segments() const { return log_.quarantine().revoked(); }

  const StoreView& view() const { return view_; }

 private:
  struct NewEntry {
    std::uint16_t namespace_id;
    std::string_view key;
    std::string_view value;
    std::uint64_t hard_expiry_ms;
    std::uint64_t soft_expiry_ms;
    Origin origin;
    bool negative = false;
    std::uint32_t KeyBits() const {
      return static_cast<std::uint32_t>(key.size()) |
             (hard_expiry_ms != kNever ? kEntryHasHardExpiry : 0U) |
             (soft_expiry_ms != kNever ? kEntryHasSoftExpiry : 0U) |
             (negative ? kEntryNegative : 0U);
    }
  };
  struct Place {
    std::uint32_t segment;
    std::uint32_t offset;
  };

  StoreWriter(const StoreView& view, const Clock& clock);
  Status CheckKey(std::uint16_t namespace_id, std::string_view key) const;
  Result<NewEntry> Prepare(std::uint16_t namespace_id, std::string_view key, std::string_view value,
                           const Ttl& ttl, const Origin& origin) const;
  // Whether there is a value that may be served: not expired, flushed or negative.
  bool Visible(const EntryView& entry) const;
  // The entry of a key, if there is one and it is visible: also where readers miss because the
  // heartbeat is stale. Points into the store until the next change.
  std::optional<EntryView> FindVisible(std::uint16_t namespace_id, std::string_view key);
  // Writes `value` under the expiries of the entry that is there.
  Outcome Rewrite(const EntryView& old, std::string_view key, std::string_view value,
                  const Origin& origin);

  // A segment on its way to be free.
  struct Victim {
    std::uint32_t segment = 0;
    std::uint16_t owner = 0;
    LogKind log = LogKind::kMain;
    bool compact = false;          // keep all that lives
    bool flushed = false;          // nothing in it is visible
    bool admission = false;        // by frequency, from the small log
    std::uint32_t keep_above = 0;  // of the main log, what was read more often than that
    std::uint32_t entries = 0;     // in it, dead ones included
    std::uint32_t offset = 0;      // walked so far
  };

  Result<std::uint64_t> Write(const NewEntry& entry);
  Result<Place> Reserve(std::uint16_t namespace_id, LogKind log, std::uint64_t bytes);
  std::optional<Place> OpenPlace(std::uint16_t namespace_id, LogKind log,
                                 std::uint64_t bytes) const;
  // Makes sure that the index can take a new key, before anything is written.
  Status MakeSlotRoom(std::uint64_t hash);
  std::uint64_t Append(const NewEntry& entry, const Place& place);
  void Publish(std::uint64_t hash, const NewEntry& entry, const Place& place);

  void MarkDead(std::uint32_t segment, std::uint32_t offset);
  void FreeIfDead(std::uint32_t segment);
  void AddCounters(std::int64_t entries, std::int64_t bytes);
  void NoteInFlight(const Origin& origin);
  void NoteReplaced(std::uint64_t word);

  // namespaces.cc
  Status CheckOptions(std::string_view name, const NamespaceOptions& options,
                      std::uint64_t others_promised) const;
  void StoreOptions(std::uint16_t id, const NamespaceOptions& options);
  Status CheckNamespace(std::uint16_t id) const;
  void HideEntries(std::uint16_t id);
  std::optional<std::uint16_t> TakeNamespaceId();

  // admission.cc
  bool IsTinyLfu(std::uint16_t owner) const;
  void CountUse(std::uint16_t owner, std::uint64_t hash);
  void PrepareAdmission(std::uint16_t owner, std::uint32_t entries);
  bool Admits(std::uint16_t owner, std::uint64_t hash);

  // shared_log.cc
  std::uint16_t OwnerFor(std::uint16_t namespace_id, std::uint64_t bytes) const;
  bool NothingLeftOf(std::uint16_t dropped);
  void RewriteShared(std::uint64_t sequence);
  Status ClaimShared(std::uint16_t namespace_id);

  // runs.cc
  bool NeedsRun(std::uint64_t value_bytes) const;
  bool HoldsLargeValue(std::uint32_t segment) const;
  Status MakeSegments(std::uint16_t namespace_id, std::uint32_t length);
  std::uint64_t CostOf(std::uint32_t segment) const;
  std::optional<std::uint32_t> CheapestPlace(std::uint32_t length);
  void ClearRange(std::uint32_t from, std::uint32_t length);
  Result<Place> ReserveRun(std::uint16_t namespace_id, LogKind log, std::uint64_t bytes);
  bool KeepRun(std::uint32_t segment, std::uint32_t keep_above);
  // recovery.cc
  Status TakeOver(RecoveryReport* report);
  void TakeOverNamespaces(RecoveryReport* report);
  void FinishDrops();
  bool PlausibleSegment(std::uint32_t segment) const;
  bool WholeRun(std::uint32_t segment) const;
  bool IsBody(std::uint32_t segment) const;
  bool HoldsEntries(std::uint32_t segment) const;
  bool MayHold(const SegmentHeader& header, const EntryView& entry) const;
  void TakeOverSegments(RecoveryReport* report);
  void TakeOverSegment(std::uint32_t segment, RecoveryReport* report);
  void RepublishTail(std::uint32_t segment, RecoveryReport* report);
  bool Republish(const Place& place, const EntryView& entry);
  void SumUp();

  // scrub.cc
  struct ScrubState {
    ScrubCounters counters;
    std::uint64_t directory_index = 0;  // of the page that is next, or under way
    std::uint32_t page = 0;             // the one under way
    std::uint32_t bucket = 0;           // of it; 0 = none is
    std::uint32_t segment = 0;          // to be counted next
  };
  // A segment whose dead entries are being counted anew.
  struct Recount {
    std::uint32_t segment = 0;
    std::uint32_t offset = 0;  // counted so far
    std::uint32_t entries = 0;
    std::uint32_t live = 0;
    std::uint32_t live_bytes = 0;
  };
  bool ScrubIndex(std::int64_t* budget);
  void ScrubSlot(const SlotRef& ref);
  bool SoundEntry(const SlotRef& ref, EntryView* entry);
  void StartRecount(std::uint32_t segment);
  void StepRecount(std::uint64_t bytes);
  void FinishRecount();
  void DropRestOf(std::uint32_t segment);

  // eviction.cc
  std::uint32_t QuotaSegments(std::uint16_t namespace_id) const;
  bool MayEvict(std::uint16_t namespace_id) const;
  // Where a write of this key belongs.
  LogKind LogFor(std::uint16_t owner, bool negative, std::uint64_t hash,
                 const std::optional<SlotRef>& existing);
  Status FullError(std::uint16_t namespace_id, bool over_quota) const;
  // Sees to it that the log has room for an entry, or that the namespace may take another segment
  // and there is one.
  Status MakeRoom(std::uint16_t namespace_id, LogKind log, std::uint64_t bytes);
  std::optional<std::uint32_t> TakeIndexSegment();
  std::optional<std::uint32_t> MostDead(std::uint16_t namespace_id) const;
  std::optional<std::uint32_t> WorthCompacting(std::uint16_t namespace_id) const;
  std::optional<std::uint32_t> NextInLine(std::uint16_t namespace_id);
  bool StartVictim(std::uint16_t namespace_id, std::uint32_t round);
  void BeginVictim(Victim victim);
  void StepVictim(std::uint64_t bytes);
  void FinishVictim();
  void DropUnwalkable(const Victim& victim);
  void EvictEntry(const Victim& victim, const EntryView& entry);
  bool MoveEntry(const EntryView& entry, const SlotRef& ref, LogKind log, std::uint32_t reads);
  bool MoveTo(std::uint16_t owner, const EntryView& entry, const SlotRef& ref, LogKind log,
              std::uint32_t reads);
  void CountEvicted(std::uint64_t entries);
  void Pace(std::uint16_t namespace_id, std::uint64_t bytes);

  StoreView view_;
  const Clock* clock_;
  StoreReader reader_;
  SegmentLog log_;
  NamespaceTable names_;
  IndexWriter index_;
  std::unordered_map<std::uint16_t, Ghost> ghosts_;  // by namespace
  // Of a namespace with TinyLFU admission: what was used, and how often the average entry that
  // would leave its main log next.
  struct Admission {
    FrequencySketch sketch;
    double bar = 0;
  };
  std::unordered_map<std::uint16_t, Admission> admissions_;
  std::optional<Victim> victim_;
  std::uint32_t run_search_ = 0;
  ScrubState scrub_;
  std::optional<Recount> recount_;
  std::uint16_t writing_namespace_ = 0;  // its open segments are not evicted for index pages
  std::string touch_value_;
  std::string new_value_;  // of an append, outlives the eviction that making room may cause
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_WRITER_H_
