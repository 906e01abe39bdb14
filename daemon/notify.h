// The service manager's protocol (sd_notify(3)). The only user of sd-daemon. Every call is silent
// and does nothing when there is no service manager to talk to.
#ifndef HEARTH_DAEMON_NOTIFY_H_
#define HEARTH_DAEMON_NOTIFY_H_

#include <string_view>

namespace hearth::daemon {

void NotifyReady(std::string_view status);
void NotifyStatus(std::string_view status);
void NotifyStopping(std::string_view status);

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_NOTIFY_H_
