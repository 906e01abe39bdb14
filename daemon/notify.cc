#include "daemon/notify.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace hearth::daemon {
namespace {

// Lines are assignments, so a status must not bring a line of its own.
void Send(std::string_view what, std::string_view status) {
  std::string line(status);
  std::replace(line.begin(), line.end(), '\n', ' ');
  // The variable stays set: STATUS= and STOPPING= follow, and no child is ever started with it.
  ::sd_notify(0, fmt::format("{}STATUS={}", what, line).c_str());
}

}  // namespace

void NotifyReady(std::string_view status) { Send("READY=1\n", status); }
void NotifyStatus(std::string_view status) { Send("", status); }
void NotifyStopping(std::string_view status) { Send("STOPPING=1\n", status); }

}  // namespace hearth::daemon
