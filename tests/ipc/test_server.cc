#include "tests/ipc/test_server.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/cache/format.h"
#include "ipc/doorbell.h"

namespace hearth::ipc {

struct TestServer::Session {
  explicit Session(SessionRegion created)
      : region(std::move(created)),
        view(region.channel(0)),
        requests(RingConsumer::Attach(view.requests).value()),
        budget(64U << 20U),
        sender(RingProducer::Attach(view.responses).value(), &budget) {}

  SessionRegion region;
  ChannelView view;
  UniqueFd server_bell = MakeEventFd().value();
  Pipe client_bell = MakePipe().value();
  RingConsumer requests;
  ByteBudget budget;
  ResponseSender sender;
  std::unique_ptr<MessageAssembler<RequestHeader>> assembler;
  SequenceCheck sequence;
};

TestServer::TestServer(Options options)
    : options_(std::move(options)),
      store_([] {
        cache::StoreOptions small;
        small.bytes = 32U << 20U;
        small.segment_bytes = 1U << 20U;
        small.namespace_capacity = 16;
        return cache::Store::Create(small).value();
      }()),
      writer_(cache::StoreWriter::Create(store_.view()).value()),
      commands_(MakePipe().value()),
      obeyed_(MakePipe().value()) {
  char name[] = "/tmp/hearth-server-XXXXXX";
  HEARTH_CHECK(::mkdtemp(name) != nullptr);
  directory_ = name;
  path_ = directory_ + "/s";
  namespace_id_ = writer_->CreateNamespace("test", {}).value();
  HEARTH_CHECK(writer_->SetAbsent(namespace_id_, kAbsentKey, 3'600'000, {}).ok());
  listener_.emplace(ControlListener::Bind(path_, 0600).value());
  thread_ = std::thread([this] { Run(); });
}

TestServer::~TestServer() {
  Command('q');
  thread_.join();
  listener_->Unlink();
  ::unlink((path_ + ".lock").c_str());
  ::rmdir(directory_.c_str());
}

void TestServer::Command(char what) {
  HEARTH_CHECK(::write(commands_.write_end.get(), &what, 1) == 1);
  pollfd done{obeyed_.read_end.get(), POLLIN, 0};
  while (::poll(&done, 1, -1) < 0) {
  }
  HEARTH_CHECK(::read(obeyed_.read_end.get(), &what, 1) == 1);
}

void TestServer::Obey(char what) {
  switch (what) {
    case 'q': stop_ = true; break;
    case 'h': hold_requests_ = true; break;
    case 'g': hold_requests_ = false; break;
    case 'a': hold_answers_ = true; break;
    case 'b': hold_answers_ = false; break;
    case 'e': End(Error(Code::kUnavailable, "shutting down")); break;
    case 'x': socket_.reset(); break;
    case 't':
      touches_.clear();
      for (const auto& touch : session_->view.touches)
        if (touch.LoadRelaxed() != 0) touches_.push_back(touch.LoadRelaxed());
      break;
    case 'r':
      session_->view.responses.tail->StoreRelaxed(~std::uint64_t{0});
      RingPipe(session_->client_bell.write_end.get());
      break;
    default: HEARTH_CHECK(false);
  }
}

void TestServer::Run() {
  while (!stop_) {
    // Spinning is left out: every wait is a real sleep.
    const bool served = session_ != nullptr && Serve();
    std::optional<Watch> watch;
    if (session_ != nullptr && !hold_requests_)
      watch = session_->requests.DataWatch(session_->view.control->server_asleep, kServerSleeps);
    const std::span<const Watch> watches(watch ? &*watch : nullptr, watch ? 1 : 0);
    const bool sleep = !served && PrepareToSleep(watches);
    pollfd waiting[] = {{commands_.read_end.get(), POLLIN, 0},
                        {listener_->fd(), POLLIN, 0},
                        {socket_ ? socket_->fd() : -1, POLLIN, 0},
                        {session_ ? session_->server_bell.get() : -1, POLLIN, 0}};
    ::poll(waiting, 4, sleep ? -1 : 0);
    if (sleep) Withdraw(watches);
    std::uint64_t count = 0;
    // The test's clients are honest, so the eventfd may be read.
    if (waiting[3].revents != 0) HEARTH_CHECK(::read(waiting[3].fd, &count, sizeof(count)) > 0);
    if (waiting[2].revents != 0) ReadControl();
    if (waiting[1].revents != 0) Accept();
    char what = 0;
    if (waiting[0].revents != 0 && ::read(commands_.read_end.get(), &what, 1) == 1) {
      Obey(what);
      HEARTH_CHECK(::write(obeyed_.write_end.get(), &what, 1) == 1);
    }
  }
}

void TestServer::Accept() {
  auto accepted = listener_->Accept().value();
  if (!accepted) return;
  session_.reset();
  socket_ = std::move(accepted);
}

void TestServer::Say(std::uint32_t request_id, decltype(ServerMessage::body) body) {
  ServerMessage message;
  message.request_id = request_id;
  message.body = std::move(body);
  if (socket_) static_cast<void>(socket_->Send(EncodeServerMessage(message).value()).ok());
}

void TestServer::ReadControl() {
  Packet packet;
  const Result<Received> received = socket_->Receive(&packet, 0);
  if (!received.ok() || *received == Received::kClosed) {
    socket_.reset();
    session_.reset();
    return;
  }
  if (*received == Received::kNothingYet) return;
  const ClientMessage message = DecodeClientMessage(packet.bytes).value();
  HEARTH_CHECK(Answer(message.request_id, message).ok());
}

Status TestServer::Answer(std::uint32_t request_id, const ClientMessage& message) {
  if (const auto* hello = std::get_if<Hello>(&message.body)) return Welcome(*hello, request_id);
  if (const auto* open = std::get_if<OpenNamespace>(&message.body)) {
    if (open->name != "test") {
      Say(request_id, ErrorReply{Code::kNotFound, "no namespace '" + open->name + "'", {}});
    } else {
      Say(request_id, NamespaceInfo{namespace_id_, "test", true, store_.view().max_value_bytes()});
    }
  } else if (const auto* method = std::get_if<OpenMethod>(&message.body)) {
    Say(request_id, MethodInfo{1, method->name});
  } else if (std::holds_alternative<StatusRequest>(message.body)) {
    StatusReport report;
    report.server_version = "test";
    Say(request_id, report);
  }
  return Status::Ok();
}

Status TestServer::Welcome(const Hello& hello, std::uint32_t request_id) {
  std::optional<ErrorReply> refusal =
      CheckHello(hello, {cache::kStoreLayoutVersion, cache::kStoreFingerprint},
                 {kSessionLayoutVersion, kSessionFingerprint});
  if (options_.refuse) refusal = options_.refuse;
  if (refusal) {
    Say(request_id, *refusal);
    socket_.reset();
    return Status::Ok();
  }
  ServerMessage message;
  message.request_id = request_id;
  ipc::Welcome welcome;
  welcome.protocol = kProtocolVersion;
  welcome.session_id = 7;
  welcome.epoch = 1;
  welcome.server_version = "test";
  welcome.store = "default";
  welcome.max_value_bytes = store_.view().max_value_bytes();
  welcome.max_message_bytes = options_.max_message_bytes;
  if (hello.channels == 0) {
    Say(request_id, welcome);
    return Status::Ok();
  }
  welcome.channels = options_.welcome_channels;
  message.body = welcome;
  SessionGeometry geometry;
  geometry.session_id = 7;
  geometry.request_ring_bytes = options_.ring_bytes;
  geometry.response_ring_bytes = options_.ring_bytes;
  geometry.touch_entries = options_.touch_entries;
  geometry.pins = options_.pins;
  HEARTH_ASSIGN(SessionRegion region, SessionRegion::Create(geometry));
  session_ = std::make_unique<Session>(std::move(region));
  session_->assembler = std::make_unique<MessageAssembler<RequestHeader>>(
      AssemblerLimits{options_.max_message_bytes, &session_->budget});
  const int descriptors[] = {
      options_.wrong_region ? session_->server_bell.get() : session_->region.fd().get(),
      session_->server_bell.get(), session_->client_bell.read_end.get(),
      store_.read_only_fd().get()};
  HEARTH_ASSIGN(const std::string packet, EncodeServerMessage(message));
  HEARTH_TRY(socket_->Send(packet, descriptors));
  // Only the client's copy of the read end stays.
  session_->client_bell.read_end.Reset();
  return Status::Ok();
}

bool TestServer::Serve() {
  bool any = false;
  Record record;
  while (!hold_requests_) {
    const Result<bool> next = session_->requests.Next(&record);
    if (!next.ok()) {
      End(next.status());
      return true;
    }
    if (!*next) break;
    any = true;
    const auto request = record.HeaderAs<RequestHeader>();
    Status status = session_->sequence.Accept(request);
    std::string payload;
    if (status.ok() && request.opcode == kOpCancel) {
      cancels_.AddRelaxed(1);
      const auto dropped = session_->assembler->Drop(request.call_id);
      if (dropped) status = Reply(*dropped, Error(Code::kCancelled, "cancelled"), "", nullptr, 0);
      if (status.ok()) status = session_->sender.Cancel(request.call_id);
    } else if (status.ok() && request.opcode == kOpCredit) {
      credits_.AddRelaxed(1);
      status = session_->sender.AddCredit(request.call_id, request.response_space);
    } else if (status.ok()) {
      const Result<Assembled> assembled =
          session_->assembler->Add(record, session_->requests, &payload);
      if (!assembled.ok()) {
        status = assembled.status();
      } else if (*assembled == Assembled::kComplete) {
        status = Execute(request, payload);
      } else if (*assembled == Assembled::kTooLong) {
        status = Reply(request, Error(Code::kInvalidArgument, "too long"), "", nullptr, 0);
      }
    }
    if (!status.ok()) {
      End(status);
      return true;
    }
    Atomic<std::uint64_t>& asleep = session_->view.control->client_asleep;
    if (session_->requests.ReleaseMustRing(asleep, kClientWaitsForSpace))
      RingPipe(session_->client_bell.write_end.get());
  }
  if (!hold_answers_ && session_->sender.has_unpublished() &&
      session_->sender.PublishMustRing(session_->view.control->client_asleep))
    RingPipe(session_->client_bell.write_end.get());
  return any;
}

Status TestServer::Reply(const RequestHeader& request, const Status& status,
                         std::string_view payload, const cache::ReadResult* read,
                         std::uint64_t version, std::int64_t number) {
  ResponseHeader header{};
  header.opcode = request.opcode;
  header.call_id = request.call_id;
  header.sequence = request.sequence;
  header.status = static_cast<std::uint16_t>(status.code());
  const bool executed = status.ok() || cache::IsVerdict(status.code());
  header.execution =
      static_cast<std::uint8_t>(executed ? Execution::kDone : Execution::kNotStarted);
  header.version = version;
  header.number = static_cast<std::uint64_t>(number);
  if (read != nullptr) {
    header.version = read->version;
    header.hard_expiry_ms = read->hard_expiry_ms;
    header.soft_expiry_ms = read->soft_expiry_ms;
  }
  const std::string_view pieces[] = {status.ok() ? payload : std::string_view(status.message())};
  return session_->sender.Send(header, pieces, request.response_space);
}

Status TestServer::Execute(const RequestHeader& request, const std::string& payload) {
  executed_.AddRelaxed(1);
  const auto target = static_cast<std::uint16_t>(request.target);
  const auto versioned = [&](const Result<std::uint64_t>& version) {
    return version.ok() ? Reply(request, Status::Ok(), "", nullptr, *version)
                        : Reply(request, version.status(), "", nullptr, 0);
  };
  const auto outcome = [&](const cache::Outcome& result) {
    return Reply(request, result.status, "", nullptr, result.version, result.number);
  };
  const std::string_view all = payload;
  switch (request.opcode) {
    case kOpSet: {
      SetBody body;
      std::memcpy(&body, payload.data(), sizeof(body));
      const std::string_view rest = all.substr(sizeof(body));
      const std::string_view key = rest.substr(0, body.key_length);
      const std::string_view value = rest.substr(body.key_length);
      const cache::Ttl ttl{body.hard_ttl_ms, body.soft_ttl_ms};
      if (body.mode == kSetIfAbsent) return outcome(writer_->Add(target, key, value, ttl, {}));
      if (body.mode == kSetIfPresent) return outcome(writer_->Replace(target, key, value, ttl, {}));
      return versioned(writer_->Set(target, key, value, ttl, {}));
    }
    case kOpCompareAndSwap: {
      CasBody body;
      std::memcpy(&body, payload.data(), sizeof(body));
      const std::string_view rest = all.substr(sizeof(body));
      return outcome(writer_->CompareAndSwap(target, rest.substr(0, body.key_length),
                                             body.expected_version, rest.substr(body.key_length),
                                             {body.hard_ttl_ms, body.soft_ttl_ms}, {}));
    }
    case kOpIncrement: {
      IncrementBody body;
      std::memcpy(&body, payload.data(), sizeof(body));
      cache::CounterChange change{.delta = static_cast<std::int64_t>(body.delta),
                                  .ttl = {body.hard_ttl_ms, body.soft_ttl_ms}};
      if (body.flags == kIncrementHasInitial)
        change.initial = static_cast<std::int64_t>(body.initial);
      return outcome(writer_->Increment(target, all.substr(sizeof(body)), change, {}));
    }
    case kOpAppend: {
      AppendBody body;
      std::memcpy(&body, payload.data(), sizeof(body));
      const std::string_view rest = all.substr(sizeof(body));
      return outcome(writer_->AppendValue(target, rest.substr(0, body.key_length),
                                          rest.substr(body.key_length), {}));
    }
    case kOpDelete: return versioned(writer_->Delete(target, all.substr(sizeof(KeyBody)), {}));
    case kOpTouch: {
      TouchBody body;
      std::memcpy(&body, payload.data(), sizeof(body));
      return versioned(writer_->Touch(target, all.substr(sizeof(body)),
                                      {body.hard_ttl_ms, body.soft_ttl_ms}, {}));
    }
    case kOpGet: {
      std::string value;
      const cache::ReadResult read = writer_->Get(target, all.substr(sizeof(KeyBody)), &value);
      if (read.outcome != cache::ReadOutcome::kHit)
        return Reply(request, Error(Code::kNotFound, "no such key"), "",
                     read.negative ? &read : nullptr, 0);
      return Reply(request, Status::Ok(), value, &read, 0);
    }
    case kOpCall:
      return Reply(request, Status::Ok(), options_.call ? options_.call(payload) : payload, nullptr,
                   0);
    default: return Reply(request, Status::Ok(), "", nullptr, 0);
  }
}

void TestServer::End(const Status& reason) {
  Say(0, Ended{ErrorReply{reason.code(), reason.message(), {}}});
  socket_.reset();
  session_.reset();
}

}  // namespace hearth::ipc
