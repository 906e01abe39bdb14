// What the operations that look at the entry that is there, before they write, take and return.
// StoreWriter executes them (writer.h); PROTOCOL.md section 6 has their rules.
#ifndef HEARTH_CORE_CACHE_OPERATIONS_H_
#define HEARTH_CORE_CACHE_OPERATIONS_H_

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "core/base/status.h"

namespace hearth::cache {

// What became of one. Cheap to move; not thread-safe to mutate.
struct Outcome {
  // Implicit on purpose, as those of Result.
  Outcome(std::uint64_t written) : version(written) {}  // NOLINT(google-explicit-constructor)
  Outcome(Status why) : status(std::move(why)) {}       // NOLINT(google-explicit-constructor)
  Outcome(Status why, std::uint64_t found) : status(std::move(why)), version(found) {}

  bool ok() const { return status.ok(); }

  Status status;
  // Of the new entry. With an error that the entry which is there is the reason of, that entry's.
  std::uint64_t version = 0;
  std::int64_t number = 0;  // of an increment: the new value
};

// Whether a refusal with this code is what the entry that is there, or its absence, has decided:
// the operation was executed, and this is its outcome. All other refusals come before it is looked
// at, or because there is no room.
constexpr bool IsVerdict(Code code) {
  return code == Code::kNotFound || code == Code::kAlreadyExists || code == Code::kAborted ||
         code == Code::kFailedPrecondition || code == Code::kOutOfRange;
}

inline constexpr std::size_t kMaxCounterBytes = 20;  // "-9223372036854775808"

// A counter is a value of at most 20 bytes: decimal digits, with a minus sign in front of a
// negative number, and nothing else; what a person or a program of any language reads and writes.
// Nothing for bytes that are no such number, or one beyond 64 bits.
inline std::optional<std::int64_t> ParseCounter(std::string_view value) {
  if (value.size() > kMaxCounterBytes) return std::nullopt;
  std::int64_t number = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_OPERATIONS_H_
