// Who may do what: turns a peer's credentials into rights, once for each session.
#ifndef HEARTH_DAEMON_POLICY_H_
#define HEARTH_DAEMON_POLICY_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "daemon/config.h"

namespace hearth::daemon {

// The kernel's word on a peer: SO_PEERCRED and SO_PEERGROUPS.
struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  std::vector<gid_t> gids;  // primary first
};

// What a session may do. Immutable, so any thread may ask.
class Rights {
 public:
  bool MayAttach(std::string_view store) const { return Contains(stores_, store); }
  bool MayWrite(std::string_view name) const { return Contains(write_, name); }
  bool MayCall(std::string_view method) const { return Contains(call_, method); }
  bool MayAdminister() const { return admin_; }
  bool MayNothing() const { return stores_.empty() && write_.empty() && call_.empty() && !admin_; }

 private:
  friend class Policy;
  static bool Contains(const std::vector<std::string>& list, std::string_view name);
  std::vector<std::string> stores_;
  std::vector<std::string> write_;
  std::vector<std::string> call_;
  bool admin_ = false;
};

class Policy {
 public:
  // With no rules: the daemon's user may do everything, and `socket_gid` (the group of the socket
  // file) may attach to the store "default", write to all its namespaces and call all methods.
  // Root may always do everything.
  Policy(std::vector<PolicyRule> rules, uid_t own_uid, gid_t socket_gid);

  Rights RightsOf(const Peer& peer) const;

 private:
  std::vector<PolicyRule> rules_;
};

// The supplementary groups of a connected Unix socket's peer; empty where the kernel cannot tell.
std::vector<gid_t> PeerGroups(int socket);

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_POLICY_H_
