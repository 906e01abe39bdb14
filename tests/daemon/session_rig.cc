#include "tests/daemon/session_rig.h"

#include <utility>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "daemon/builtin_methods.h"

namespace hearth::testing {
namespace {

template <class T>
T Must(Result<T> result) {
  if (!result.ok()) CheckFailed(__FILE__, __LINE__, result.status().ToString().c_str());
  return std::move(result).value();
}

}  // namespace

std::shared_ptr<daemon::Session> MakeSession(const SessionOptions& options) {
  auto session = std::make_shared<daemon::Session>(Must(ipc::SessionRegion::Create({
      .session_id = options.id,
      .channels = options.channels,
      .request_ring_bytes = options.ring_bytes,
      .response_ring_bytes = options.ring_bytes,
      .touch_entries = options.touch_entries,
      .pins = options.pins,
  })));
  session->id = options.id;
  session->peer = {.pid = 4711, .uid = 1234, .gids = {1234}};
  session->client_name = "rig";
  for (std::uint32_t id = 0; id < options.may_write.size(); ++id)
    session->may_write.push_back({.handle = id, .known = true, .granted = options.may_write[id]});
  session->rights = options.rights;
  session->may_call = options.may_call;
  session->server_doorbell = Must(MakeEventFd());
  for (std::uint32_t i = 0; i < options.channels; ++i) {
    Pipe pipe = Must(MakePipe());
    session->client_doorbells.push_back(std::move(pipe.write_end));
    session->client_bells_for_peer.push_back(std::move(pipe.read_end));
    session->origins.push_back(static_cast<std::uint16_t>(options.id * 16 + i));
  }
  return session;
}

SessionPeer::SessionPeer(const daemon::Session& session)
    : server_bell_(Must(session.server_doorbell.Duplicate())) {
  region_ = std::make_unique<ipc::SessionRegion>(
      Must(ipc::SessionRegion::Attach(Must(session.region.fd().Duplicate()))));
  for (std::uint32_t i = 0; i < region_->geometry().channels; ++i) {
    client_bells_.push_back(Must(session.client_bells_for_peer[i].Duplicate()));
    channels_.push_back(std::make_unique<RingClient>(region_->channel(i), server_bell_.get(),
                                                     client_bells_.back().get()));
  }
}

module::MethodRegistry TestMethods(std::function<void()> during_call) {
  module::MethodRegistry methods;
  HEARTH_CHECK(daemon::RegisterBuiltinMethods(&methods).ok());
  Must(
      methods.Register("test.fail", [](const module::CallContext&, std::string_view, std::string*) {
        return Error(Code::kInternal, "this method always fails");
      }));
  Must(methods.Register(
      "test.context", [](const module::CallContext& call, std::string_view, std::string* response) {
        *response = fmt::format("uid {} deadline {} trace {:02x} {:02x} span {:02x} flags {}",
                                call.uid, call.deadline_ns, call.trace_id.front(),
                                call.trace_id.back(), call.span_id.front(), call.trace_flags);
        return Status::Ok();
      }));
  Must(methods.Register("test.hook", [hook = std::move(during_call)](const module::CallContext&,
                                                                     std::string_view request,
                                                                     std::string* response) {
    hook();
    response->assign(request);
    return Status::Ok();
  }));
  return methods;
}

ChannelRig::ChannelRig(const RigOptions& options)
    : store_(options.store),
      methods_(TestMethods(options.during_call)),
      session_(MakeSession(options.session)),
      budget_(options.budget_bytes),
      peer_(*session_) {
  HEARTH_CHECK(store_.Namespace("writable") == 1);
  HEARTH_CHECK(store_.Namespace("forbidden") == 2);
  server_ = Must(daemon::ChannelServer::Create({.writer = &store_.writer(),
                                                .methods = &methods_,
                                                .leases = &leases_,
                                                .scratch = &scratch_,
                                                .max_message_bytes = options.max_message_bytes},
                                               session_.get(), 0, &budget_));
}

Status ChannelRig::Serve() {
  while (true) {
    HEARTH_ASSIGN(const std::uint32_t served, server_->Serve(64));
    const auto ready = leases_.TakeReady(MonotonicNanosNow());
    if (ready) HEARTH_TRY(ready->channel->AnswerParked(*ready));
    if (served == 0 && !ready) return Status::Ok();
  }
}

Answer ChannelRig::Ask(const ipc::RequestHeader& header, std::string_view payload) {
  client().Send(header, payload);
  HEARTH_CHECK(Serve().ok());
  std::vector<Answer> answers = client().Take();
  HEARTH_CHECK(answers.size() == 1);
  HEARTH_CHECK(answers[0].header.call_id == header.call_id);
  HEARTH_CHECK(answers[0].header.sequence == header.sequence);
  HEARTH_CHECK(answers[0].header.opcode == header.opcode);
  return std::move(answers[0]);
}

}  // namespace hearth::testing
