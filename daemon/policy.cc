#include "daemon/policy.h"

#include <sys/socket.h>

#include <algorithm>

namespace hearth::daemon {

bool Rights::Contains(const std::vector<std::string>& list, std::string_view name) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& item) { return item == "*" || item == name; });
}

Policy::Policy(std::vector<PolicyRule> rules, uid_t own_uid, gid_t socket_gid)
    : rules_(std::move(rules)) {
  auto everything = [](uid_t uid) {
    return PolicyRule{
        .uid = uid, .gid = {}, .stores = {"*"}, .write = {"*"}, .call = {"*"}, .admin = true};
  };
  if (rules_.empty()) {
    rules_.push_back(everything(own_uid));
    // Group 0 is nobody's client group: root needs no rule, and other members of it get none.
    if (socket_gid != 0)
      rules_.push_back(PolicyRule{.uid = {},
                                  .gid = socket_gid,
                                  .stores = {"default"},
                                  .write = {"*"},
                                  .call = {"*"},
                                  .admin = false});
  }
  rules_.push_back(everything(0));
}

Rights Policy::RightsOf(const Peer& peer) const {
  Rights rights;
  auto append = [](std::vector<std::string>* to, const std::vector<std::string>& from) {
    to->insert(to->end(), from.begin(), from.end());
  };
  for (const PolicyRule& rule : rules_) {
    if (rule.uid && *rule.uid != peer.uid) continue;
    if (rule.gid && std::find(peer.gids.begin(), peer.gids.end(), *rule.gid) == peer.gids.end())
      continue;
    append(&rights.stores_, rule.stores);
    append(&rights.write_, rule.write);
    append(&rights.call_, rule.call);
    rights.admin_ = rights.admin_ || rule.admin;
  }
  return rights;
}

std::vector<gid_t> PeerGroups(int socket) {
  std::vector<gid_t> groups(64);
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const int rc = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
    groups.resize(bytes / sizeof(gid_t));
    if (rc == 0) return groups;
  }
  return {};
}

}  // namespace hearth::daemon
