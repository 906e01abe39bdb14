// HEARTH_CHECK: for invariants that only Hearth's own code can break. Always compiled in: a process
// that no longer knows its state must not go on writing to memory that others read.
// Never use it on input; see the error law in status.h.
#ifndef HEARTH_CORE_BASE_CHECK_H_
#define HEARTH_CORE_BASE_CHECK_H_

namespace hearth {

// Writes "file:line: broken invariant: condition" to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace hearth

#define HEARTH_CHECK(condition)                      \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::hearth::CheckFailed(__FILE__, __LINE__, #condition))

#endif  // HEARTH_CORE_BASE_CHECK_H_
