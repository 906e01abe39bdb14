// The operations of StoreWriter that look at the entry that is there before they write. One thread
// writes, so between the look and the write nothing changes; each ends in the same Write() as a
// set, and leaves nothing else behind: the new entry alone says what was done, and on whose behalf.
#include "core/cache/operations.h"

#include <charconv>
#include <string>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/cache/writer.h"

namespace hearth::cache {
namespace {

// A buffer that one large value has blown up is not kept for ever.
void ReleaseLarge(std::string* buffer) {
  constexpr std::size_t kKeptCapacity = 1024 * 1024;
  if (buffer->capacity() > kKeptCapacity) std::string().swap(*buffer);
}

Status NoSuchKey() { return Error(Code::kNotFound, "no such key"); }

Outcome Written(const Result<std::uint64_t>& version) {
  if (!version.ok()) return version.status();
  return *version;
}

std::optional<std::int64_t> CounterOf(const EntryView& entry) {
  char digits[kMaxCounterBytes];
  const std::size_t length = entry.header.value_length;
  if (length > sizeof(digits)) return std::nullopt;
  CopyShared(digits, entry.value, length);
  return ParseCounter({digits, length});
}

}  // namespace

std::optional<EntryView> StoreWriter::FindVisible(std::uint16_t namespace_id,
                                                  std::string_view key) {
  const std::uint64_t hash =
      HashKey(view_.secret(), NamespaceSeed(view_.secret(), namespace_id), key);
  const auto ref = index_.Find(hash, namespace_id, key);
  EntryView entry;
  if (!ref || !ParseEntry(view_, ref->segment(), ref->offset(), &entry) || !Visible(entry))
    return std::nullopt;
  return entry;
}

Result<std::uint64_t> StoreWriter::Touch(std::uint16_t namespace_id, std::string_view key,
                                         const Ttl& ttl, const Origin& origin) {
  HEARTH_TRY(CheckKey(namespace_id, key));
  // Not through the reader, for which a strict namespace is empty while the heartbeat is stale.
  const auto old = FindVisible(namespace_id, key);
  if (!old) return Error(Code::kNotFound, "no such key");
  // The copy outlives the eviction that making room for the new entry may cause.
  touch_value_.assign(reinterpret_cast<const char*>(old->value), old->header.value_length);
  HEARTH_ASSIGN(const NewEntry entry, Prepare(namespace_id, key, touch_value_, ttl, origin));
  Result<std::uint64_t> version = Write(entry);
  ReleaseLarge(&touch_value_);
  return version;
}

Outcome StoreWriter::Rewrite(const EntryView& old, std::string_view key, std::string_view value,
                             const Origin& origin) {
  return Written(
      Write({old.header.namespace_id, key, value, old.hard_expiry_ms, old.soft_expiry_ms, origin}));
}

Outcome StoreWriter::Add(std::uint16_t namespace_id, std::string_view key, std::string_view value,
                         const Ttl& ttl, const Origin& origin) {
  HEARTH_ASSIGN(const NewEntry entry, Prepare(namespace_id, key, value, ttl, origin));
  if (const auto old = FindVisible(namespace_id, key))
    return {Error(Code::kAlreadyExists, "the key exists"), old->version()};
  return Written(Write(entry));
}

Outcome StoreWriter::Replace(std::uint16_t namespace_id, std::string_view key,
                             std::string_view value, const Ttl& ttl, const Origin& origin) {
  HEARTH_ASSIGN(const NewEntry entry, Prepare(namespace_id, key, value, ttl, origin));
  if (!FindVisible(namespace_id, key)) return NoSuchKey();
  return Written(Write(entry));
}

Outcome StoreWriter::CompareAndSwap(std::uint16_t namespace_id, std::string_view key,
                                    std::uint64_t expected_version, std::string_view value,
                                    const Ttl& ttl, const Origin& origin) {
  HEARTH_ASSIGN(const NewEntry entry, Prepare(namespace_id, key, value, ttl, origin));
  const auto old = FindVisible(namespace_id, key);
  if (!old) return NoSuchKey();
  if (old->version() != expected_version)
    return {
        Error(Code::kAborted, "the entry has version {}, not {}", old->version(), expected_version),
        old->version()};
  return Written(Write(entry));
}

Outcome StoreWriter::Increment(std::uint16_t namespace_id, std::string_view key,
                               const CounterChange& change, const Origin& origin) {
  // Also where the entry exists: whether a request is right does not depend on what is stored.
  HEARTH_ASSIGN(NewEntry entry, Prepare(namespace_id, key, "", change.ttl, origin));
  const auto old = FindVisible(namespace_id, key);
  if (!old && !change.initial) return NoSuchKey();
  const std::uint64_t found = old ? old->version() : 0;
  const auto number = old ? CounterOf(*old) : change.initial;
  if (!number)
    return {Error(Code::kFailedPrecondition,
                  "the value is not a decimal number of 64 bits, and so no counter"),
            found};
  std::int64_t sum = 0;
  if (__builtin_add_overflow(*number, change.delta, &sum))
    return {Error(Code::kOutOfRange, "the counter would leave the range of 64 bits"), found};
  char digits[kMaxCounterBytes];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), sum);
  HEARTH_CHECK(error == std::errc());
  const std::string_view value(digits, static_cast<std::size_t>(end - digits));
  entry.value = value;
  Outcome outcome = old ? Rewrite(*old, key, value, origin) : Written(Write(entry));
  if (outcome.ok()) outcome.number = sum;
  return outcome;
}

Outcome StoreWriter::AppendValue(std::uint16_t namespace_id, std::string_view key,
                                 std::string_view more, const Origin& origin) {
  HEARTH_TRY(CheckKey(namespace_id, key));
  const auto old = FindVisible(namespace_id, key);
  if (!old) return NoSuchKey();
  const std::uint64_t bytes = std::uint64_t{old->header.value_length} + more.size();
  if (bytes > view_.max_value_bytes())
    return {Error(Code::kInvalidArgument,
                  "a value has at most {} bytes; this one has {}, and would have {}",
                  view_.max_value_bytes(), old->header.value_length, bytes),
            old->version()};
  new_value_.resize(old->header.value_length);
  CopyShared(new_value_.data(), old->value, new_value_.size());
  new_value_.append(more);
  Outcome outcome = Rewrite(*old, key, new_value_, origin);
  ReleaseLarge(&new_value_);
  return outcome;
}

}  // namespace hearth::cache
