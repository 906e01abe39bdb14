// What a method is, and the table that gives every method its id. Modules and the daemon itself
// register their methods here.
#ifndef HEARTH_CORE_MODULE_METHOD_REGISTRY_H_
#define HEARTH_CORE_MODULE_METHOD_REGISTRY_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace hearth::module {

// What a handler knows about the call it answers.
struct CallContext {
  uid_t uid = 0;                            // of the caller, from the kernel
  std::uint64_t deadline_ns = 0;            // CLOCK_MONOTONIC; 0 = none
  std::array<std::uint8_t, 16> trace_id{};  // W3C trace context; zero = none
  std::array<std::uint8_t, 8> span_id{};
  std::uint8_t trace_flags = 0;
};

// Fills `*response` (empty at first), or says why it cannot; the error's code and message reach the
// caller. Runs on the thread that serves the ring, so it must be short and must not block.
using Handler = std::function<Status(const CallContext& context, std::string_view request,
                                     std::string* response)>;

struct Method {
  std::string name;  // "module.method"
  Handler handler;
};

// Not thread-safe while methods are registered; immutable afterwards, so any thread may ask.
class MethodRegistry {
 public:
  // Returns the method's id: 1 and up, valid for this life of the process. kAlreadyExists,
  // kInvalidArgument for an empty name.
  Result<std::uint32_t> Register(std::string_view name, Handler handler);

  // 0 for an unknown name.
  std::uint32_t FindId(std::string_view name) const;
  // Null for an unknown id.
  const Method* Find(std::uint32_t id) const;
  std::size_t size() const { return methods_.size(); }

 private:
  std::vector<Method> methods_;  // by id - 1
};

}  // namespace hearth::module

#endif  // HEARTH_CORE_MODULE_METHOD_REGISTRY_H_
