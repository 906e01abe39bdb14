// One connected client: what the control thread and the writer thread share of it.
#ifndef HEARTH_DAEMON_SESSION_H_
#define HEARTH_DAEMON_SESSION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/atomic.h"
#include "core/base/fd.h"
#include "core/base/status.h"
#include "daemon/policy.h"
#include "ipc/budget.h"
#include "ipc/session_region.h"

namespace hearth::daemon {

// Created by the control thread, then read-only but for `operations` and `may_write`, which are the
// writer thread's. That lets go of it first (StoreService::OnGone), then the control thread
// destroys it.
struct Session {
  std::uint64_t id = 0;
  Peer peer;
  std::string client_name;
  std::string store;
  Rights rights;
  // By namespace id: whether the session may write to the namespace with this handle, as far as
  // anybody has asked.
  struct WriteRight {
    std::uint32_t handle = 0;
    bool known = false;
    bool granted = false;
  };
  std::vector<WriteRight> may_write;
  std::vector<bool> may_call;          // by method id
  std::vector<std::uint16_t> origins;  // of each channel; unique among live channels of a store
  std::shared_ptr<ipc::SharedBudget> user_memory;  // of all sessions of the uid; null for no limit
  ipc::SharedCharge region_charge;  // before the region, so that it is returned after
  ipc::SessionRegion region;
  UniqueFd server_doorbell;                     // eventfd; the client writes, never read here
  std::vector<UniqueFd> client_doorbells;       // write ends, one for each channel
  std::vector<UniqueFd> client_bells_for_peer;  // read ends, until they have been sent
  std::uint64_t connected_at_ns = 0;
  Atomic<std::uint64_t> operations{0};  // writer thread; read by status

  explicit Session(ipc::SessionRegion session_region) : region(std::move(session_region)) {}
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_SESSION_H_
