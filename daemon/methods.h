// The methods that hearthd itself answers, and the table that gives every method its id.
#ifndef HEARTH_DAEMON_METHODS_H_
#define HEARTH_DAEMON_METHODS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace hearth::daemon {

// Runs on the writer thread, so it must be short. Fills `*response`, or says why it cannot.
using Handler = std::function<Status(std::string_view request, std::string* response)>;

struct Method {
  std::string name;
  Handler handler;
};

// Ids begin at 1 and are valid for this life of the daemon. Immutable after construction, so any
// thread may ask.
class MethodTable {
 public:
  // Holds "hearth.echo", which answers its request.
  MethodTable();

  // 0 for an unknown name.
  std::uint32_t FindId(std::string_view name) const;
  // Null for an unknown id.
  const Method* Find(std::uint32_t id) const;
  std::size_t size() const { return methods_.size(); }

 private:
  std::vector<Method> methods_;  // id - 1
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_METHODS_H_
