// The error law of Hearth, stated once:
//
//  * Our own invariant is broken: the process stops at once (HEARTH_CHECK in check.h). The store
//    survives it, and recovery decides what is kept.
//  * Anything that came from a peer, a socket, a file, an older life or the operating system is
//    a Status or a Result: a code, a message that says what to do, never an abort and never an
//    exception across a library border. Exceptions of third-party libraries end in the source file
//    that includes the library.
//
// Codes are gRPC's canonical codes. Their numbers are part of the protocol and are never reused.
#ifndef HEARTH_CORE_BASE_STATUS_H_
#define HEARTH_CORE_BASE_STATUS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "core/base/check.h"

namespace hearth {

enum class Code : std::uint16_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// gRPC's upper-case name ("NOT_FOUND"); "CODE_<n>" for a number that no version of Hearth defined.
std::string CodeName(Code code);

// Whether the operation that failed may have had its effect. Part of the protocol.
enum class Execution : std::uint8_t {
  kNotStarted = 0,  // proven: safe to retry
  kMaybe = 1,
  kDone = 2,
};

// A code and a message. Cheap to move; an OK status holds no message. Not thread-safe to mutate.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status Ok() { return {}; }
  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  // "NOT_FOUND: no namespace 'x'".
  std::string ToString() const;

  // Puts "context: " before the message; for saying where an error passed through.
  Status WithContext(std::string_view context) &&;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// Error(Code::kNotFound, "no namespace '{}'", name)
template <class... Args>
Status Error(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Status(code, fmt::format(format, std::forward<Args>(args)...));
}

// "context: strerror(error_number)" with the canonical code that fits the errno.
Status ErrnoStatus(int error_number, std::string_view context);

// A T or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose, so that `return value;` and `return Error(...)` both read well.
  Result(T value) : state_(std::move(value)) {}        // NOLINT(google-explicit-constructor)
  Result(Status status) : state_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    HEARTH_CHECK(!std::get<Status>(state_).ok());
  }

  bool ok() const { return std::holds_alternative<T>(state_); }
  // REQUIRES: ok().
  T& value() & { return std::get<T>(state_); }
  const T& value() const& { return std::get<T>(state_); }
  T&& value() && { return std::get<T>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  // REQUIRES: !ok().
  const Status& status() const& { return std::get<Status>(state_); }
  Status&& status() && { return std::get<Status>(std::move(state_)); }

 private:
  std::variant<T, Status> state_;
};

inline Status ToStatus(Status status) { return status; }
template <class T>
Status ToStatus(Result<T> result) {
  return std::move(result).status();
}

}  // namespace hearth

#define HEARTH_CONCAT_(a, b) a##b
#define HEARTH_CONCAT(a, b) HEARTH_CONCAT_(a, b)

// Returns the error of a Status or Result expression from the enclosing function.
#define HEARTH_TRY(expression)                                                            \
  do {                                                                                    \
    auto hearth_try_result = (expression);                                                \
    if (!hearth_try_result.ok()) return ::hearth::ToStatus(std::move(hearth_try_result)); \
  } while (false)

// HEARTH_ASSIGN(auto fd, OpenIt()): declares or assigns, or returns the error.
#define HEARTH_ASSIGN(target, expression) \
  HEARTH_ASSIGN_(HEARTH_CONCAT(hearth_result_, __LINE__), target, expression)
#define HEARTH_ASSIGN_(result, target, expression)     \
  auto result = (expression);                          \
  if (!result.ok()) return std::move(result).status(); \
  target = std::move(result).value()

#endif  // HEARTH_CORE_BASE_STATUS_H_
