// A StoreService with a small store, and what its tests do with clients.
#ifndef HEARTH_TESTS_DAEMON_SERVICE_RIG_H_
#define HEARTH_TESTS_DAEMON_SERVICE_RIG_H_

#include <sched.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/units.h"
#include "daemon/store_service.h"
#include "tests/daemon/session_rig.h"

namespace hearth::testing {

// Longer than any machine needs; a lost wake-up waits for ever.
inline constexpr int kPatienceMs = 60'000;
inline constexpr std::uint32_t kDefault = 1;

// Yields until `done`, which something else brings about; the watchdog ends a test that hangs.
template <class Done>
void WaitUntil(Done done) {
  while (!done()) ::sched_yield();
}

class Service {
 public:
  Service() : methods_(TestMethods()) {
    daemon::StoreConfig config;
    config.name = "test";
    config.bytes = kMiB;
    config.segment_bytes = 64 * kKiB;
    config.max_namespaces = 4;
    config.namespaces.push_back({.name = "default"});
    auto created = daemon::StoreService::Create(config, {}, &methods_,
                                                [this](std::uint64_t id, const Status& why) {
                                                  std::lock_guard lock(mutex_);
                                                  references_[id] = sessions_[id].use_count();
                                                  gone_.insert(id);
                                                  if (!why.ok()) broken_[id].push_back(why);
                                                });
    REQUIRE(created.ok());
    service_ = std::move(*created);
  }

  daemon::StoreService& operator*() { return *service_; }
  daemon::StoreService* operator->() { return service_.get(); }
  // What was reported about a session.
  std::vector<Status> Broken(std::uint64_t id) {
    std::lock_guard lock(mutex_);
    return broken_[id];
  }
  // Whether the writer thread has said that it has let go, and how many references to the session
  // there were when it said so.
  bool Gone(std::uint64_t id) {
    std::lock_guard lock(mutex_);
    return gone_.contains(id);
  }
  std::size_t gone_sessions() {
    std::lock_guard lock(mutex_);
    return gone_.size();
  }
  long References(std::uint64_t id) {
    std::lock_guard lock(mutex_);
    return references_[id];
  }
  std::size_t broken_sessions() {
    std::lock_guard lock(mutex_);
    return broken_.size();
  }

  std::shared_ptr<daemon::Session> NewSession(std::uint32_t channels = 1) {
    auto session = MakeSession({.id = next_id_++, .channels = channels});
    std::lock_guard lock(mutex_);
    sessions_[session->id] = session;
    return session;
  }

 private:
  module::MethodRegistry methods_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::vector<Status>> broken_;
  std::map<std::uint64_t, std::weak_ptr<daemon::Session>> sessions_;
  std::map<std::uint64_t, long> references_;
  std::set<std::uint64_t> gone_;
  std::uint64_t next_id_ = 1;
  std::unique_ptr<daemon::StoreService> service_;  // last: its thread reports to the members above
};

// One request and its answer. CHECKs are left to the caller: threads use this too.
inline bool AskOk(RingClient& client, ipc::Opcode opcode, std::uint32_t target,
                  const std::string& payload, std::string* out = nullptr) {
  const ipc::RequestHeader sent = client.Send(opcode, target, payload);
  const auto answer = client.Await(kPatienceMs);
  if (!answer || answer->header.sequence != sent.sequence || answer->code() != Code::kOk)
    return false;
  if (out != nullptr) *out = answer->payload;
  return true;
}

// Sets and reads back `rounds` values of its own key.
inline bool WorkWell(RingClient& client, const std::string& key, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const std::string value = key + "=" + std::to_string(i);
    std::string got;
    if (!AskOk(client, ipc::kOpSet, kDefault, SetPayload(key, value))) return false;
    if (!AskOk(client, ipc::kOpGet, kDefault, KeyPayload(key), &got) || got != value) return false;
  }
  return true;
}

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_DAEMON_SERVICE_RIG_H_
