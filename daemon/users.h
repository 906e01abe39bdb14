// Users: what hearthd keeps about each uid that connects, so that none takes more than its share.
#ifndef HEARTH_DAEMON_USERS_H_
#define HEARTH_DAEMON_USERS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "daemon/log_limit.h"
#include "ipc/budget.h"

namespace hearth::daemon {

// Of the control thread, but for `memory`, which is thread-safe.
struct User {
  User(uid_t its_uid, std::uint64_t memory_limit);

  uid_t uid;
  std::uint32_t connections = 0;  // with and without a session
  std::uint32_t sessions = 0;
  // Session regions, and what its sessions buffer.
  ipc::SharedBudget memory;
  LogLimit refusals;  // of lines about what it was refused, and how it broke the rules
  LogLimit comings;   // of lines about sessions that began and ended well
};

class Users {
 public:
  explicit Users(std::uint64_t memory_limit) : memory_limit_(memory_limit) {}

  // The one of this uid, made if need be. Lives as long as somebody holds it, and longer while its
  // log limits have something to remember.
  std::shared_ptr<User> Of(uid_t uid, std::uint64_t now_ns);

  // For each user with suppressed lines: one line about them if its limit lets it through, or with
  // `all` in any case. Whether some are left to tell about.
  bool ReportSuppressed(std::uint64_t now_ns, bool all);

  std::size_t size() const { return users_.size(); }

 private:
  std::uint64_t memory_limit_;
  std::map<uid_t, std::shared_ptr<User>> users_;
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_USERS_H_
