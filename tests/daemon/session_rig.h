// Sessions as hearthd makes them at a handshake, without the handshake; and one ChannelServer with
// a store behind it and a RingClient in front of it.
#ifndef HEARTH_TESTS_DAEMON_SESSION_RIG_H_
#define HEARTH_TESTS_DAEMON_SESSION_RIG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/module/method_registry.h"
#include "daemon/channel_server.h"
#include "daemon/session.h"
#include "ipc/message.h"
#include "ipc/session_region.h"
#include "tests/daemon/ring_client.h"
#include "tests/support/test_store.h"

namespace hearth::testing {

struct SessionOptions {
  std::uint64_t id = 1;
  std::uint32_t channels = 1;
  std::uint32_t ring_bytes = ipc::kMinRingBytes;
  std::uint32_t touch_entries = 64;
  std::uint32_t pins = 8;
  std::vector<bool> may_write = {false, true, false};  // by namespace id; others:
  daemon::Rights rights{};
  std::vector<bool> may_call = {false, true, true, true, true};  // by method id
};
std::shared_ptr<daemon::Session> MakeSession(const SessionOptions& options);

// The other process's view of a session: its own mapping of the region, and its own descriptors.
class SessionPeer {
 public:
  explicit SessionPeer(const daemon::Session& session);
  RingClient& channel(std::size_t index = 0) { return *channels_[index]; }
  std::span<ipc::PinRecord> pins() const { return region_->pins(); }

 private:
  UniqueFd server_bell_;
  std::vector<UniqueFd> client_bells_;
  std::unique_ptr<ipc::SessionRegion> region_;
  std::vector<std::unique_ptr<RingClient>> channels_;
};

module::MethodRegistry TestMethods(std::function<void()> during_call = [] {});

struct RigOptions {
  std::function<void()> during_call = [] {};  // what method 4 does before it answers its request
  SessionOptions session{};
  std::uint64_t max_message_bytes = 64 * kKiB;
  std::uint64_t budget_bytes = 256 * kKiB;
  TestStoreOptions store{};
};

// Namespace 1 is "writable", 2 is "forbidden" to this session; both exist. Method 1 is hearth.echo,
// 2 "test.fail" fails with kInternal, 3 "test.context" answers what it knows about the call,
// 4 "test.hook" answers its request after `during_call`.
class ChannelRig {
 public:
  explicit ChannelRig(const RigOptions& options = {});

  TestStore& store() { return store_; }
  RingClient& client() { return peer_.channel(); }
  daemon::ChannelServer& server() { return *server_; }
  const daemon::Session& session() const { return *session_; }
  const ipc::ByteBudget& budget() const { return budget_; }
  // Destroys the server, as the end of the session does.
  void EndServer() { server_.reset(); }

  // Serves until nothing is left. The first error, if there is one.
  Status Serve();
  // Sends one record, serves it, and returns the only answer. Aborts when that is not what happens.
  Answer Ask(const ipc::RequestHeader& header, std::string_view payload = {});
  Answer Ask(ipc::Opcode opcode, std::uint32_t target, std::string_view payload = {}) {
    return Ask(client().Header(opcode, target), payload);
  }

 private:
  TestStore store_;
  module::MethodRegistry methods_;
  std::shared_ptr<daemon::Session> session_;
  ipc::ByteBudget budget_;
  daemon::LeaseTable leases_;
  daemon::ChannelServer::Scratch scratch_;
  SessionPeer peer_;
  std::unique_ptr<daemon::ChannelServer> server_;
};

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_DAEMON_SESSION_RIG_H_
