#include "core/base/failpoint.h"

#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>

#include "core/base/atomic.h"

namespace hearth {
namespace {

struct Point {
  std::function<void()> action;
  std::uint64_t hits = 0;
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Point, std::less<>> points;
};

Registry& TheRegistry() {
  static Registry registry;
  return registry;
}

Atomic<std::uint32_t> armed_count{0};

}  // namespace

void SetFailpoint(std::string_view name, std::function<void()> action) {
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  auto [it, inserted] = registry.points.try_emplace(std::string(name));
  it->second = Point{std::move(action), 0};
  if (inserted) armed_count.AddRelaxed(1);
}

void ClearFailpoint(std::string_view name) {
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  if (registry.points.erase(std::string(name)) > 0) armed_count.AddRelaxed(0U - 1U);
}

std::uint64_t FailpointHits(std::string_view name) {
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  auto it = registry.points.find(name);
  return it == registry.points.end() ? 0 : it->second.hits;
}

Status ArmFailpoints(std::string_view specification) {
#if !defined(HEARTH_FAILPOINTS)
  if (!specification.empty())
    return Error(Code::kUnimplemented, "HEARTH_FAILPOINTS is set, and this program has none");
#endif
  while (!specification.empty()) {
    std::size_t comma = specification.find(',');
    std::string_view item = specification.substr(0, comma);
    specification =
        comma == std::string_view::npos ? std::string_view() : specification.substr(comma + 1);
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos)
      return Error(Code::kInvalidArgument, "failpoint '{}' is not NAME=kill|stop[@N]", item);
    std::string_view verb = item.substr(equals + 1);
    std::uint64_t nth = 1;
    if (std::size_t at = verb.find('@'); at != std::string_view::npos) {
      nth = std::strtoull(std::string(verb.substr(at + 1)).c_str(), nullptr, 10);
      verb = verb.substr(0, at);
    }
    if ((verb != "kill" && verb != "stop") || nth == 0)
      return Error(Code::kInvalidArgument, "failpoint '{}' is not NAME=kill|stop[@N]", item);
    std::string name(item.substr(0, equals));
    const int signal = verb == "kill" ? SIGKILL : SIGSTOP;
    SetFailpoint(name, [name, nth, signal] {
      if (FailpointHits(name) == nth) ::raise(signal);
    });
  }
  return Status::Ok();
}

namespace internal {

bool AnyFailpointArmed() { return armed_count.LoadRelaxed() != 0; }

void ReachFailpoint(std::string_view name) {
  Registry& registry = TheRegistry();
  std::function<void()> action;
  {
    std::lock_guard lock(registry.mutex);
    auto it = registry.points.find(name);
    if (it == registry.points.end()) return;
    ++it->second.hits;
    action = it->second.action;
  }
  if (action) action();
}

}  // namespace internal
}  // namespace hearth
