// A Control with one store behind a real socket, and clients of it. The event loop runs only when
// the test says so: what has not happened after Settle() does not happen without somebody else.
#ifndef HEARTH_TESTS_DAEMON_CONTROL_RIG_H_
#define HEARTH_TESTS_DAEMON_CONTROL_RIG_H_

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <doctest/doctest.h>
#include <systemd/sd-event.h>

#include "core/base/clock.h"
#include "core/cache/format.h"
#include "daemon/control.h"
#include "tests/daemon/ring_client.h"
#include "tests/daemon/session_rig.h"

namespace hearth::testing {

class ControlPeer {
 public:
  explicit ControlPeer(ipc::ControlSocket socket) : socket_(std::move(socket)) {}

  bool SendRaw(std::string_view bytes) {
    const auto sent = socket_.Send(bytes);
    return sent.ok() && *sent;
  }
  void Hello(std::uint16_t channels = 1) {
    ipc::Hello hello;
    hello.store_layout = {cache::kStoreLayoutVersion, cache::kStoreFingerprint};
    hello.session_layout = {ipc::kSessionLayoutVersion, ipc::kSessionFingerprint};
    hello.client_name = "rig";
    hello.channels = channels;
    REQUIRE(SendRaw(*ipc::EncodeClientMessage({.request_id = 1, .body = hello})));
  }
  void Ask(ipc::ClientMessage message) {
    message.request_id = 2;
    REQUIRE(SendRaw(*ipc::EncodeClientMessage(message)));
  }
  // The next thing the daemon has said: "welcome", "namespace NAME", "error CODE: ...", "ended
  // CODE: ...", "closed"; empty when it has said nothing.
  std::string Told() {
    ipc::Packet packet;
    const auto received = socket_.Receive(&packet, ipc::kMaxDescriptors);
    if (!received.ok()) return received.status().ToString();
    if (*received == ipc::Received::kNothingYet) return "";
    if (*received == ipc::Received::kClosed) return "closed";
    const auto message = ipc::DecodeServerMessage(packet.bytes);
    REQUIRE(message.ok());
    if (const auto* ended = std::get_if<ipc::Ended>(&message->body))
      return "ended " + ended->reason.ToStatus().ToString();
    if (const auto* error = std::get_if<ipc::ErrorReply>(&message->body))
      return "error " + error->ToStatus().ToString();
    if (const auto* status = std::get_if<ipc::NamespaceStatus>(&message->body))
      return "namespace " + status->name;
    if (const auto* info = std::get_if<ipc::NamespaceInfo>(&message->body))
      return fmt::format("opened {:#x} {}", info->handle(), info->writable);
    if (const auto* list = std::get_if<ipc::NamespaceList>(&message->body))
      return fmt::format("list {} {}", list->namespaces.size(), list->next_id);
    REQUIRE(std::holds_alternative<ipc::Welcome>(message->body));
    if (!packet.descriptors.empty()) Attach(std::move(packet.descriptors));
    return "welcome";
  }
  RingClient& ring() { return *ring_; }

 private:
  void Attach(std::vector<UniqueFd> descriptors) {
    auto region = ipc::SessionRegion::Attach(std::move(descriptors[0]));
    REQUIRE(region.ok());
    region_ = std::make_unique<ipc::SessionRegion>(std::move(*region));
    bells_ = std::move(descriptors);
    ring_ = std::make_unique<RingClient>(region_->channel(0), bells_[1].get(), bells_[2].get());
  }

  ipc::ControlSocket socket_;
  std::vector<UniqueFd> bells_;
  std::unique_ptr<ipc::SessionRegion> region_;
  std::unique_ptr<RingClient> ring_;
};

struct ControlOptions {
  daemon::LimitsConfig limits{};
  std::vector<daemon::PolicyRule> policy{};
  std::size_t origins = 65536;
  std::uint32_t max_namespaces = 4096;
  bool serve = true;  // starts the writer thread
};

class ControlRig {
 public:
  explicit ControlRig(const ControlOptions& options = {}) : methods_(TestMethods()) {
    REQUIRE(::mkdtemp(folder_.data()) != nullptr);
    REQUIRE(::chmod(folder_.c_str(), 0755) == 0);
    config_ = daemon::UserModeConfig();
    config_.limits = options.limits;
    policy_ = std::make_unique<daemon::Policy>(options.policy, ::geteuid(), 0);
    REQUIRE(::sd_event_new(&loop_) >= 0);
    daemon::StoreConfig store = config_.stores[0];
    store.bytes = kMiB;
    store.segment_bytes = 64 * kKiB;
    store.max_namespaces = options.max_namespaces;
    auto service = daemon::StoreService::Create(
        store, config_.limits, &methods_,
        [this](std::uint64_t id, const Status& why) { control_->ReportGone(id, why); });
    REQUIRE(service.ok());
    stores_.push_back(std::move(*service));
    auto listener = ipc::ControlListener::Bind(path(), 0666);
    REQUIRE(listener.ok());
    auto control = daemon::Control::Create({.config = &config_,
                                            .policy = policy_.get(),
                                            .methods = &methods_,
                                            .stores = &stores_,
                                            .started_at_ns = MonotonicNanosNow(),
                                            .origins = options.origins},
                                           loop_, std::move(*listener));
    REQUIRE(control.ok());
    control_ = std::move(*control);
    if (options.serve) stores_[0]->Start();
  }
  ~ControlRig() {
    stores_[0]->Stop();
    control_.reset();
    ::sd_event_unref(loop_);
    ::unlink((path() + ".lock").c_str());
    ::rmdir(folder_.c_str());
  }

  daemon::Control& control() { return *control_; }
  daemon::StoreService& service() { return *stores_[0]; }
  std::string path() const { return folder_ + "/s"; }

  // Runs the loop until it has nothing to do.
  void Settle() {
    while (::sd_event_run(loop_, 0) > 0) {
    }
  }
  // Runs the loop until the daemon has told the peer something.
  std::string Await(ControlPeer& peer) {
    while (true) {
      if (std::string told = peer.Told(); !told.empty()) return told;
      REQUIRE(::sd_event_run(loop_, 60'000'000) > 0);
    }
  }
  std::unique_ptr<ControlPeer> Connect() {
    auto socket = ipc::ControlSocket::Connect(path(), std::chrono::minutes(1));
    REQUIRE(socket.ok());
    return std::make_unique<ControlPeer>(std::move(*socket));
  }
  // Connects and says hello; `told` is the answer.
  std::unique_ptr<ControlPeer> Join(std::string* told) {
    auto peer = Connect();
    peer->Hello();
    *told = Await(*peer);
    return peer;
  }

 private:
  std::string folder_ = "/tmp/hearth-control-XXXXXX";
  module::MethodRegistry methods_;
  daemon::Config config_;
  std::unique_ptr<daemon::Policy> policy_;
  sd_event* loop_ = nullptr;
  std::unique_ptr<daemon::Control> control_;
  std::vector<std::unique_ptr<daemon::StoreService>> stores_;
};

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_DAEMON_CONTROL_RIG_H_
