#include "daemon/builtin_methods.h"

namespace hearth::daemon {

Status RegisterBuiltinMethods(module::MethodRegistry* registry) {
  HEARTH_TRY(registry->Register("hearth.echo", [](const module::CallContext&,
                                                  std::string_view request, std::string* response) {
    response->assign(request);
    return Status::Ok();
  }));
  return Status::Ok();
}

}  // namespace hearth::daemon
