// Named points in the code where a test can stop, kill or divert the process, to force the
// interleavings and crashes that matter instead of hoping for them (after bbolt's gofail and
// CacheLib's inject_pause). Compiled out with -Dfailpoints=false.
//
//   HEARTH_FAILPOINT("cache.after_body");
//
// In-process tests install a function; a daemon under test is armed through the environment:
//   HEARTH_FAILPOINTS="cache.after_body=kill@3,writer.before_sleep=stop"
// kill: SIGKILL to itself; stop: SIGSTOP to itself (the test continues it); @N: at the N-th hit
// only (default 1). Names that do not exist never fire; tests assert that theirs did. Nothing but
// the environment that hearthd was started with arms a point: no request of a client does.
#ifndef HEARTH_CORE_BASE_FAILPOINT_H_
#define HEARTH_CORE_BASE_FAILPOINT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace hearth {

// Thread-safe. `action` runs on the thread that reaches the point, at every hit, without any lock
// of the registry held.
void SetFailpoint(std::string_view name, std::function<void()> action);
void ClearFailpoint(std::string_view name);
// Times the point was reached since it was set.
std::uint64_t FailpointHits(std::string_view name);

// Arms the points of a specification as above. kUnimplemented where they are compiled out.
Status ArmFailpoints(std::string_view specification);

namespace internal {
bool AnyFailpointArmed();
void ReachFailpoint(std::string_view name);
}  // namespace internal

}  // namespace hearth

#if defined(HEARTH_FAILPOINTS)
#define HEARTH_FAILPOINT(name)                                                             \
  do {                                                                                     \
    if (::hearth::internal::AnyFailpointArmed()) ::hearth::internal::ReachFailpoint(name); \
  } while (false)
#else
#define HEARTH_FAILPOINT(name) static_cast<void>(0)
#endif

#endif  // HEARTH_CORE_BASE_FAILPOINT_H_
