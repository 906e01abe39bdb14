#include "core/module/method_registry.h"

#include <utility>

namespace hearth::module {

Result<std::uint32_t> MethodRegistry::Register(std::string_view name, Handler handler) {
  if (name.empty()) return Error(Code::kInvalidArgument, "a method needs a name");
  if (FindId(name) != 0) return Error(Code::kAlreadyExists, "method '{}' exists already", name);
  methods_.push_back({std::string(name), std::move(handler)});
  return static_cast<std::uint32_t>(methods_.size());
}

std::uint32_t MethodRegistry::FindId(std::string_view name) const {
  for (std::size_t i = 0; i < methods_.size(); ++i)
    if (methods_[i].name == name) return static_cast<std::uint32_t>(i + 1);
  return 0;
}

const Method* MethodRegistry::Find(std::uint32_t id) const {
  return id >= 1 && id <= methods_.size() ? &methods_[id - 1] : nullptr;
}

}  // namespace hearth::module
