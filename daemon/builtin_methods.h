// The methods that hearthd answers itself, without a module.
#ifndef HEARTH_DAEMON_BUILTIN_METHODS_H_
#define HEARTH_DAEMON_BUILTIN_METHODS_H_

#include "core/base/status.h"
#include "core/module/method_registry.h"

namespace hearth::daemon {

// Registers "hearth.echo", which answers its request: for measuring, and for trying a connection.
Status RegisterBuiltinMethods(module::MethodRegistry* registry);

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_BUILTIN_METHODS_H_
