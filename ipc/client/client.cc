#include "ipc/client/client.h"

#include <limits>
#include <optional>
#include <utility>

#include "core/cache/format.h"
#include "core/cache/reader.h"
#include "ipc/client/channel.h"
#include "ipc/client/session.h"

namespace hearth::ipc {
namespace {

template <class Body>
std::string_view BytesOf(const Body& body) {
  return {reinterpret_cast<const char*>(&body), sizeof(body)};
}

Reply Refused(Status status) {
  Reply reply;
  reply.status = std::move(status);
  return reply;
}

Status CheckKey(std::string_view key) {
  if (key.size() >= cache::kMinKeyBytes && key.size() <= cache::kMaxKeyBytes) return Status::Ok();
  return Error(Code::kInvalidArgument, "a key has {} to {} bytes, not {}", cache::kMinKeyBytes,
               cache::kMaxKeyBytes, key.size());
}

SetBody BodyOfSet(SetMode mode, std::string_view key, std::string_view value, const EntryTtl& ttl) {
  SetBody body{};
  body.hard_ttl_ms = ttl.hard_ms;
  body.soft_ttl_ms = ttl.soft_ms;
  body.key_length = static_cast<std::uint32_t>(key.size());
  body.value_length = static_cast<std::uint32_t>(value.size());
  body.mode = mode;
  return body;
}

}  // namespace

struct Client::Impl {
  ClientOptions options;
  std::unique_ptr<ClientSession> session;
  std::unique_ptr<ClientChannel> channel;  // null without data
  std::optional<cache::StoreReader> store;

  // Lets the daemon know of a hit, so that eviction takes the entry for wanted (PROTOCOL.md section
  // 3, touch buffer).
  void NoteRead(const cache::ReadResult& read) const {
    if (read.frequency >= cache::kMaxFrequency) return;
    const ChannelView view = session->region().channel(0);
    if (view.touches.empty()) return;
    Atomic<std::uint64_t>& tail_at = view.control->touch_tail;
    const std::uint64_t tail = tail_at.LoadRelaxed();
    view.touches[tail % view.touches.size()].StoreRelaxed(read.hash);
    tail_at.StoreRelaxed(tail + 1);
  }
  Deadline DeadlineOf(const CallOptions& call) const {
    return DeadlineAfter(call.timeout.count() > 0 ? call.timeout : options.timeout);
  }
  static Status NoData() {
    return Error(Code::kFailedPrecondition, "the client was connected for status only");
  }
  OutgoingCall Outgoing(Opcode opcode, std::uint32_t target, const CallOptions& call) const {
    OutgoingCall out;
    out.opcode = opcode;
    out.target = target;
    out.deadline = DeadlineOf(call);
    out.trace = call.trace;
    return out;
  }
  Status CheckSet(std::string_view key, std::string_view value) const {
    if (!channel) return NoData();
    HEARTH_TRY(CheckKey(key));
    const std::uint64_t limit = session->welcome().max_value_bytes;
    if (value.size() > limit || value.size() > std::numeric_limits<std::uint32_t>::max())
      return Error(Code::kInvalidArgument, "the value has {} bytes, at most {} are possible",
                   value.size(), limit);
    return Status::Ok();
  }
  Reply SetCall(SetMode mode, std::uint32_t namespace_handle, std::string_view key,
                std::string_view value, const EntryTtl& ttl, const CallOptions& options_of_call) {
    if (Status valid = CheckSet(key, value); !valid.ok()) return Refused(std::move(valid));
    const SetBody body = BodyOfSet(mode, key, value, ttl);
    OutgoingCall out = Outgoing(kOpSet, namespace_handle, options_of_call);
    out.pieces = {BytesOf(body), key, value};
    return channel->Call(out);
  }
  // The body of a key request, key, and nothing else.
  Reply KeyCall(Opcode opcode, std::uint32_t namespace_handle, std::string_view key,
                std::uint32_t response_space, const CallOptions& options_of_call) {
    if (!channel) return Refused(NoData());
    if (Status valid = CheckKey(key); !valid.ok()) return Refused(std::move(valid));
    KeyBody body{};
    body.key_length = static_cast<std::uint32_t>(key.size());
    OutgoingCall out = Outgoing(opcode, namespace_handle, options_of_call);
    out.pieces = {BytesOf(body), key};
    out.response_space = response_space;
    return channel->Call(out);
  }
  template <class Answer, class Request>
  Result<Answer> Ask(Request request) {
    ClientMessage message;
    message.body = std::move(request);
    HEARTH_ASSIGN(ServerMessage answer,
                  session->Ask(std::move(message), DeadlineAfter(options.timeout)));
    if (auto* body = std::get_if<Answer>(&answer.body)) return std::move(*body);
    return Error(Code::kDataLoss, "hearthd answered something else than was asked");
  }
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Connect(const ClientOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  Hello hello;
  hello.store_layout = LayoutId{cache::kStoreLayoutVersion, cache::kStoreFingerprint};
  hello.client_name = options.name;
  hello.client_version = options.version;
  hello.store = options.store;
  hello.channels = options.data ? 1 : 0;
  hello.request_ring_bytes = options.request_ring_bytes;
  hello.response_ring_bytes = options.response_ring_bytes;
  HEARTH_ASSIGN(impl->session, ClientSession::Open(options.socket_path, std::move(hello),
                                                   options.connect_timeout));
  if (options.data) {
    HEARTH_ASSIGN(impl->channel, ClientChannel::Open(impl->session.get(), 0));
    HEARTH_ASSIGN(cache::StoreReader store, cache::StoreReader::Attach(impl->session->store_fd()));
    impl->store.emplace(std::move(store));
  }
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

const cache::StoreReader* Client::reader() const { return impl_->store ? &*impl_->store : nullptr; }

const Welcome& Client::welcome() const { return impl_->session->welcome(); }

// -------------------------------------------------------------------------------- control requests
Result<NamespaceInfo> Client::OpenNamespace(std::string_view name) {
  return impl_->Ask<NamespaceInfo>(ipc::OpenNamespace{std::string(name)});
}
Result<MethodInfo> Client::OpenMethod(std::string_view name) {
  return impl_->Ask<MethodInfo>(ipc::OpenMethod{std::string(name)});
}
Result<StatusReport> Client::ReadStatus() { return impl_->Ask<StatusReport>(StatusRequest{}); }

Result<NamespaceStatus> Client::CreateNamespace(const NamespaceSettings& settings) {
  return impl_->Ask<NamespaceStatus>(ipc::CreateNamespace{settings});
}
Result<NamespaceStatus> Client::AlterNamespace(const NamespaceSettings& settings,
                                               std::uint32_t fields) {
  return impl_->Ask<NamespaceStatus>(ipc::AlterNamespace{settings, fields});
}
Result<NamespaceStatus> Client::DropNamespace(std::string_view name) {
  return impl_->Ask<NamespaceStatus>(ipc::DropNamespace{std::string(name)});
}
Result<NamespaceStatus> Client::FlushNamespace(std::string_view name) {
  return impl_->Ask<NamespaceStatus>(ipc::FlushNamespace{std::string(name)});
}
Result<std::vector<NamespaceStatus>> Client::ListNamespaces() {
  std::vector<NamespaceStatus> all;
  std::uint32_t from = 0;
  do {
    HEARTH_ASSIGN(NamespaceList list,
                  impl_->Ask<NamespaceList>(ipc::ListNamespaces{static_cast<std::uint16_t>(from)}));
    if (list.next_id != 0 && list.next_id <= from)
      return Error(Code::kDataLoss, "hearthd's list of namespaces runs in circles");
    from = list.next_id;
    for (NamespaceStatus& item : list.namespaces) all.push_back(std::move(item));
  } while (from != 0);
  return all;
}

// -------------------------------------------------------------------------------------- operations
Reply Client::Get(std::uint32_t namespace_handle, std::string_view key,
                  const CallOptions& options) {
  if (!impl_->store) return Refused(Impl::NoData());
  if (Status valid = CheckKey(key); !valid.ok()) return Refused(std::move(valid));
  Reply reply;
  const cache::ReadResult read = impl_->store->Get(namespace_handle, key, &reply.payload);
  switch (read.outcome) {
    case cache::ReadOutcome::kContended: return GetFromWriter(namespace_handle, key, options);
    case cache::ReadOutcome::kMiss:
      reply.payload.clear();
      reply.status = Error(Code::kNotFound, "no such key");
      reply.negative = read.negative;
      break;
    case cache::ReadOutcome::kHit:
      reply.stale = read.stale;
      impl_->NoteRead(read);
      break;
  }
  if (reply.ok() || reply.negative) {
    reply.version = read.version;
    reply.hard_expiry_ms = read.hard_expiry_ms;
    reply.soft_expiry_ms = read.soft_expiry_ms;
  }
  reply.execution = Execution::kDone;
  return reply;
}

Result<cache::ValueView> Client::View(std::uint32_t namespace_handle, std::string_view key) {
  if (!impl_->store) return Impl::NoData();
  HEARTH_TRY(CheckKey(key));
  // The first free one, so that the first record is never 0 while another is used.
  for (PinRecord& pin : impl_->session->region().pins()) {
    const std::uint64_t used = pin.segment_plus_one.LoadRelaxed();
    if (used != 0 && used != cache::kPinFree) continue;
    cache::ValueView view;
    const cache::ReadResult read =
        impl_->store->View(namespace_handle, key, {&pin.segment_plus_one, &pin.generation}, &view);
    if (read.outcome == cache::ReadOutcome::kMiss) return Error(Code::kNotFound, "no such key");
    if (read.outcome == cache::ReadOutcome::kContended)
      return Error(Code::kResourceExhausted, "the key changes too fast to be pinned");
    impl_->NoteRead(read);
    return view;
  }
  return Error(Code::kResourceExhausted, "all {} pins of the session are in use",
               impl_->session->region().pins().size());
}

Reply Client::GetFromWriter(std::uint32_t namespace_handle, std::string_view key,
                            const CallOptions& options) {
  if (!impl_->channel) return Refused(Impl::NoData());
  Reply reply =
      impl_->KeyCall(kOpGet, namespace_handle, key, impl_->channel->max_response_space(), options);
  if (reply.ok()) reply.stale = reply.soft_expiry_ms <= impl_->store->NowMs();
  reply.negative = reply.status.code() == Code::kNotFound && reply.version != 0;
  return reply;
}

Reply Client::Set(std::uint32_t namespace_handle, std::string_view key, std::string_view value,
                  const EntryTtl& ttl, const CallOptions& options) {
  return impl_->SetCall(kSetAlways, namespace_handle, key, value, ttl, options);
}

Reply Client::Add(std::uint32_t namespace_handle, std::string_view key, std::string_view value,
                  const EntryTtl& ttl, const CallOptions& options) {
  return impl_->SetCall(kSetIfAbsent, namespace_handle, key, value, ttl, options);
}

Reply Client::Replace(std::uint32_t namespace_handle, std::string_view key, std::string_view value,
                      const EntryTtl& ttl, const CallOptions& options) {
  return impl_->SetCall(kSetIfPresent, namespace_handle, key, value, ttl, options);
}

Reply Client::CompareAndSwap(std::uint32_t namespace_handle, std::string_view key,
                             std::uint64_t expected_version, std::string_view value,
                             const EntryTtl& ttl, const CallOptions& options) {
  if (Status valid = impl_->CheckSet(key, value); !valid.ok()) return Refused(std::move(valid));
  CasBody body{};
  body.hard_ttl_ms = ttl.hard_ms;
  body.soft_ttl_ms = ttl.soft_ms;
  body.key_length = static_cast<std::uint32_t>(key.size());
  body.value_length = static_cast<std::uint32_t>(value.size());
  body.expected_version = expected_version;
  OutgoingCall out = impl_->Outgoing(kOpCompareAndSwap, namespace_handle, options);
  out.pieces = {BytesOf(body), key, value};
  return impl_->channel->Call(out);
}

Reply Client::Increment(std::uint32_t namespace_handle, std::string_view key,
                        const CounterStep& step, const CallOptions& options) {
  if (!impl_->channel) return Refused(Impl::NoData());
  if (Status valid = CheckKey(key); !valid.ok()) return Refused(std::move(valid));
  IncrementBody body{};
  body.hard_ttl_ms = step.ttl.hard_ms;
  body.soft_ttl_ms = step.ttl.soft_ms;
  body.delta = static_cast<std::uint64_t>(step.delta);
  body.initial = static_cast<std::uint64_t>(step.initial.value_or(0));
  body.key_length = static_cast<std::uint32_t>(key.size());
  body.flags = step.initial ? kIncrementHasInitial : 0;
  OutgoingCall out = impl_->Outgoing(kOpIncrement, namespace_handle, options);
  out.pieces = {BytesOf(body), key};
  return impl_->channel->Call(out);
}

Reply Client::Append(std::uint32_t namespace_handle, std::string_view key, std::string_view more,
                     const CallOptions& options) {
  if (Status valid = impl_->CheckSet(key, more); !valid.ok()) return Refused(std::move(valid));
  AppendBody body{};
  body.key_length = static_cast<std::uint32_t>(key.size());
  body.value_length = static_cast<std::uint32_t>(more.size());
  OutgoingCall out = impl_->Outgoing(kOpAppend, namespace_handle, options);
  out.pieces = {BytesOf(body), key, more};
  return impl_->channel->Call(out);
}

Reply Client::Delete(std::uint32_t namespace_handle, std::string_view key,
                     const CallOptions& options) {
  return impl_->KeyCall(kOpDelete, namespace_handle, key, kMinResponseSpace, options);
}

Reply Client::Touch(std::uint32_t namespace_handle, std::string_view key, const EntryTtl& ttl,
                    const CallOptions& options) {
  if (!impl_->channel) return Refused(Impl::NoData());
  if (Status valid = CheckKey(key); !valid.ok()) return Refused(std::move(valid));
  TouchBody body{};
  body.hard_ttl_ms = ttl.hard_ms;
  body.soft_ttl_ms = ttl.soft_ms;
  body.key_length = static_cast<std::uint32_t>(key.size());
  OutgoingCall out = impl_->Outgoing(kOpTouch, namespace_handle, options);
  out.pieces = {BytesOf(body), key};
  return impl_->channel->Call(out);
}

Reply Client::Call(std::uint32_t method_id, std::string_view request, const CallOptions& options) {
  if (!impl_->channel) return Refused(Impl::NoData());
  OutgoingCall out = impl_->Outgoing(kOpCall, method_id, options);
  out.pieces = {request};
  out.response_space = impl_->channel->max_response_space();
  return impl_->channel->Call(out);
}

Reply Client::Ping(const CallOptions& options) {
  if (!impl_->channel) return Refused(Impl::NoData());
  return impl_->channel->Call(impl_->Outgoing(kOpPing, 0, options));
}

// --------------------------------------------------------------------------------------- pipelined
void Client::OnCompletion(Completion completion) {
  if (impl_->channel) impl_->channel->OnCompletion(std::move(completion));
}

Status Client::SetPipelined(std::uint32_t namespace_handle, std::string_view key,
                            std::string_view value, const EntryTtl& ttl, std::uint64_t token,
                            const CallOptions& options) {
  HEARTH_TRY(impl_->CheckSet(key, value));
  const SetBody body = BodyOfSet(kSetAlways, key, value, ttl);
  OutgoingCall out = impl_->Outgoing(kOpSet, namespace_handle, options);
  out.pieces = {BytesOf(body), key, value};
  return impl_->channel->Start(out, token);
}

Status Client::Drain(std::chrono::nanoseconds timeout) {
  return impl_->channel ? impl_->channel->Drain(DeadlineAfter(timeout)) : Status::Ok();
}

std::size_t Client::in_flight() const { return impl_->channel ? impl_->channel->in_flight() : 0; }

std::optional<Status> Client::ended() const {
  if (!impl_->session->end()) return std::nullopt;
  return impl_->session->end()->reason;
}

}  // namespace hearth::ipc
