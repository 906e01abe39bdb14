#include "daemon/methods.h"

namespace hearth::daemon {

MethodTable::MethodTable() {
  methods_.push_back({"hearth.echo", [](std::string_view request, std::string* response) {
                        response->assign(request);
                        return Status::Ok();
                      }});
}

std::uint32_t MethodTable::FindId(std::string_view name) const {
  for (std::size_t i = 0; i < methods_.size(); ++i)
    if (methods_[i].name == name) return static_cast<std::uint32_t>(i + 1);
  return 0;
}

const Method* MethodTable::Find(std::uint32_t id) const {
  return id >= 1 && id <= methods_.size() ? &methods_[id - 1] : nullptr;
}

}  // namespace hearth::daemon
