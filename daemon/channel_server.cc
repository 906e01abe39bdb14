#include "daemon/channel_server.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "daemon/request_body.h"

namespace hearth::daemon {
namespace {

// Buffers that one large message has blown up are not kept for ever.
constexpr std::size_t kKeptCapacity = 1024 * 1024;

void Shrink(std::string* buffer) {
  if (buffer->capacity() > kKeptCapacity) std::string().swap(*buffer);
}

}  // namespace

Result<std::unique_ptr<ChannelServer>> ChannelServer::Create(const Environment& environment,
                                                             Session* session,
                                                             std::uint32_t channel,
                                                             ipc::ByteBudget* budget) {
  const ipc::ChannelView view = session->region.channel(channel);
  HEARTH_ASSIGN(ipc::RingConsumer requests, ipc::RingConsumer::Attach(view.requests));
  HEARTH_ASSIGN(ipc::RingProducer responses, ipc::RingProducer::Attach(view.responses));
  return std::unique_ptr<ChannelServer>(new ChannelServer(
      environment, session, channel, std::move(requests), std::move(responses), budget));
}

ChannelServer::ChannelServer(const Environment& environment, Session* session,
                             std::uint32_t channel, ipc::RingConsumer requests,
                             ipc::RingProducer responses, ipc::ByteBudget* budget)
    : environment_(environment),
      session_(session),
      channel_(channel),
      budget_(budget),
      control_(session->region.channel(channel).control),
      requests_(std::move(requests)),
      responses_(std::move(responses), budget),
      assembler_({.max_message_bytes = environment.max_message_bytes, .budget = budget}),
      touches_(session->region.channel(channel).touches),
      payload_(environment.scratch->payload),
      response_(environment.scratch->response) {}

ChannelServer::~ChannelServer() { environment_.leases->Forget(this); }

void ChannelServer::Wake() {
  const ipc::Watch watch = RequestWatch();
  ipc::Withdraw({&watch, 1});
}

Result<std::uint32_t> ChannelServer::Serve(std::uint32_t max_records) {
  std::uint32_t count = 0;
  const Status status = TakeUpTo(max_records, &count);
  // Also when the session has just broken: the client must not take what was executed before for
  // requests that were never reached.
  if (count > 0) PublishAll(count);
  if (!status.ok()) return status;
  return count;
}

Status ChannelServer::TakeUpTo(std::uint32_t max_records, std::uint32_t* count) {
  ipc::Record record;
  while (*count < max_records) {
    HEARTH_ASSIGN(const bool more, requests_.Next(&record));
    if (!more) break;
    ++*count;
    HEARTH_TRY(Take(record));
  }
  return Status::Ok();
}

bool ChannelServer::NoteTouches(std::uint32_t* budget) {
  if (touches_.empty()) return true;
  if (touch_head_ == touch_end_) {
    touch_end_ = control_->touch_tail.LoadRelaxed();
    const std::uint64_t waiting = touch_end_ - touch_head_;
    // Readers move the tail without a lock, so it may step back. What is lost then was a hint; so
    // were the oldest of more touches than the buffer holds.
    if (static_cast<std::int64_t>(waiting) < 0) {
      touch_head_ = touch_end_;
    } else if (waiting > touches_.size()) {
      touch_head_ = touch_end_ - touches_.size();
    }
  }
  for (; touch_head_ != touch_end_ && *budget > 0; ++touch_head_, --*budget) {
    Atomic<std::uint64_t>& entry = touches_[touch_head_ & (touches_.size() - 1)];
    const std::uint64_t hash = entry.LoadRelaxed();
    if (hash == 0) continue;  // counted by the tail, not written yet
    entry.StoreRelaxed(0);    // or the tail's next step back would count it again
    environment_.writer->NoteRead(hash);
  }
  return touch_head_ == touch_end_;
}

void ChannelServer::PublishAll(std::uint32_t count) {
  HEARTH_FAILPOINT("daemon.before_responses");
  // Answers first, then the requests' bytes: what lies behind head is lost in a crash.
  std::uint64_t bits = ipc::kClientWaitsForSpace;
  if (responses_.has_unpublished()) {
    responses_.Publish();
    bits |= ipc::kClientWaitsForResponse;
  }
  HEARTH_FAILPOINT("daemon.before_head");
  requests_.Release();
  // One fence and one look for both.
  if (ipc::MustRing(ipc::SharedMemory{}, control_->client_asleep, bits))
    RingPipe(session_->client_doorbells[channel_].get());
  session_->operations.StoreRelaxed(session_->operations.LoadRelaxed() + count);
}

Status ChannelServer::Take(const ipc::Record& record) {
  const auto request = record.HeaderAs<ipc::RequestHeader>();
  HEARTH_TRY(sequences_.Accept(request));
  if (request.opcode == ipc::kOpCredit)
    return responses_.AddCredit(request.call_id, request.response_space);
  if (request.opcode == ipc::kOpCancel) {
    // The answer is the dropped message's, with its sequence: a client ignores any other.
    if (const auto dropped = assembler_.Drop(request.call_id))
      return Refuse(*dropped, Error(Code::kCancelled, "cancelled before it was complete"));
    if (const auto parked = environment_.leases->Cancel(this, request.call_id))
      return Refuse(*parked, Error(Code::kCancelled, "cancelled while it waited for the value"));
    HEARTH_TRY(responses_.Cancel(request.call_id));
    return Status::Ok();
  }
  HEARTH_ASSIGN(const ipc::Assembled assembled, assembler_.Add(record, requests_, &payload_));
  switch (assembled) {
    case ipc::Assembled::kPartial: return Status::Ok();
    case ipc::Assembled::kTooLong:
      return Refuse(request, Error(Code::kInvalidArgument, "a message has at most {} bytes",
                                   environment_.max_message_bytes));
    case ipc::Assembled::kNoBudget: return Refuse(request, assembler_.Refusal());
    case ipc::Assembled::kComplete: break;
  }
  const Status status = Execute(request);
  Shrink(&payload_);
  Shrink(&response_);
  return status;
}

Status ChannelServer::Execute(const ipc::RequestHeader& request) {
  if (request.deadline_ns != 0 && MonotonicNanosNow() >= request.deadline_ns)
    return Refuse(request, Error(Code::kDeadlineExceeded,
                                 "the deadline passed before the request was executed"));
  if ((request.flags & ~(ipc::kRecordMore | ipc::kRecordContinuation)) != 0)
    return Refuse(request, Malformed("unknown flags"));
  switch (request.opcode) {
    case ipc::kOpSet: return ExecuteSet(request);
    case ipc::kOpTouch: return ExecuteTouch(request);
    case ipc::kOpDelete:
    case ipc::kOpGet: return ExecuteKeyed(request);
    case ipc::kOpCall: return ExecuteCall(request);
    case ipc::kOpPing: return Answer(request, 0);
    case ipc::kOpCompareAndSwap: return ExecuteCompareAndSwap(request);
    case ipc::kOpIncrement: return ExecuteIncrement(request);
    case ipc::kOpAppend: return ExecuteAppend(request);
    case ipc::kOpLease: return ExecuteLease(request);
    case ipc::kOpFill: return ExecuteFill(request);
    case ipc::kOpRelease: return ExecuteRelease(request);
    default:
      return Refuse(request, Error(Code::kUnimplemented, "this hearthd does not know operation {}",
                                   request.opcode));
  }
}

cache::Origin ChannelServer::OriginOf(const ipc::RequestHeader& request) const {
  return {.channel = session_->origins[channel_], .sequence = request.sequence};
}

Status ChannelServer::CheckNamespace(std::uint32_t handle) const {
  const cache::StoreView& view = environment_.writer->view();
  // One that was dropped has another state word, also when its id has a new namespace.
  if (const std::uint16_t id = cache::NamespaceIdOf(handle);
      id < view.namespace_capacity() &&
      view.namespace_record(id).state.LoadRelaxed() == cache::LiveWordOf(handle))
    return Status::Ok();
  return Error(Code::kNotFound, "no namespace with id {}", handle);
}

Status ChannelServer::MayWrite(std::uint32_t handle) const {
  HEARTH_TRY(CheckNamespace(handle));
  const std::uint16_t id = cache::NamespaceIdOf(handle);
  const std::string_view name =
      cache::NamespaceName(environment_.writer->view().namespace_record(id));
  if (id >= session_->may_write.size()) session_->may_write.resize(std::size_t{id} + 1);
  Session::WriteRight& right = session_->may_write[id];
  if (!right.known || right.handle != handle)
    right = {.handle = handle, .known = true, .granted = session_->rights.MayWrite(name)};
  if (right.granted) return Status::Ok();
  return Error(Code::kPermissionDenied, "uid {} may not write to namespace '{}'",
               session_->peer.uid, name);
}

Status ChannelServer::ExecuteTouch(const ipc::RequestHeader& request) {
  std::string_view rest = payload_;
  ipc::TouchBody body;
  if (!TakeBody(&rest, &body)) return Refuse(request, Malformed("a touch without its body"));
  if (body.key_length != rest.size())
    return Refuse(request, Malformed("the key does not fill the payload"));
  if (const Status allowed = MayWrite(request.target); !allowed.ok())
    return Refuse(request, allowed);
  const Result<std::uint64_t> version = environment_.writer->Touch(
      static_cast<std::uint16_t>(request.target), rest,
      {.hard_ms = body.hard_ttl_ms, .soft_ms = body.soft_ttl_ms}, OriginOf(request));
  if (version.ok()) Changed(request, rest);
  return AnswerVersion(request, version);
}

Status ChannelServer::ExecuteKeyed(const ipc::RequestHeader& request) {
  std::string_view rest = payload_;
  ipc::KeyBody body;
  if (!TakeBody(&rest, &body)) return Refuse(request, Malformed("no body"));
  if (body.key_length != rest.size())
    return Refuse(request, Malformed("the key does not fill the payload"));
  if (request.opcode == ipc::kOpGet) return ExecuteGet(request, rest);
  if (const Status allowed = MayWrite(request.target); !allowed.ok())
    return Refuse(request, allowed);
  const Result<std::uint64_t> version = environment_.writer->Delete(
      static_cast<std::uint16_t>(request.target), rest, OriginOf(request));
  if (version.ok() || version.status().code() == Code::kNotFound) Changed(request, rest);
  return AnswerVersion(request, version);
}

Status ChannelServer::ExecuteGet(const ipc::RequestHeader& request, std::string_view key) {
  if (const Status known = CheckNamespace(request.target); !known.ok())
    return Refuse(request, known);
  if (const Status valid = CheckKeyLength(key); !valid.ok()) return Refuse(request, valid);
  return AnswerRead(request, environment_.writer->Get(static_cast<std::uint16_t>(request.target),
                                                      key, &response_));
}

Status ChannelServer::CheckKeyLength(std::string_view key) {
  if (key.size() >= cache::kMinKeyBytes && key.size() <= cache::kMaxKeyBytes) return Status::Ok();
  return Error(Code::kInvalidArgument, "a key has {} to {} bytes, this one {}", cache::kMinKeyBytes,
               cache::kMaxKeyBytes, key.size());
}

Status ChannelServer::AnswerRead(const ipc::RequestHeader& request, const cache::ReadResult& read) {
  const bool hit = read.outcome == cache::ReadOutcome::kHit;
  if (read.frequency < cache::kMaxFrequency && (hit || read.negative))
    environment_.writer->NoteRead(read.hash);
  ipc::ResponseHeader header = HeaderOf(request);
  std::string_view pieces[] = {response_};
  if (hit || read.negative) {
    header.version = read.version;
    header.hard_expiry_ms = read.hard_expiry_ms;
    header.soft_expiry_ms = read.soft_expiry_ms;
  }
  if (!hit) {
    header.status = static_cast<std::uint16_t>(Code::kNotFound);
    pieces[0] = read.negative ? "the key is known to be absent" : "no such key";
  }
  return responses_.Send(header, pieces, request.response_space);
}

Status ChannelServer::ExecuteCall(const ipc::RequestHeader& request) {
  const module::Method* method = environment_.methods->Find(request.target);
  if (method == nullptr)
    return Refuse(request, Error(Code::kNotFound, "no method with id {}", request.target));
  if (!session_->may_call[request.target])
    return Refuse(request, Error(Code::kPermissionDenied, "uid {} may not call '{}'",
                                 session_->peer.uid, method->name));
  module::CallContext context{.uid = session_->peer.uid,
                              .deadline_ns = request.deadline_ns,
                              .trace_flags = request.trace_flags};
  std::copy(std::begin(request.trace_id), std::end(request.trace_id), context.trace_id.begin());
  std::copy(std::begin(request.span_id), std::end(request.span_id), context.span_id.begin());
  response_.clear();
  const Status status = method->handler(context, payload_, &response_);
  if (!status.ok()) return Refuse(request, status, Execution::kDone);
  return Answer(request, 0, response_);
}

Status ChannelServer::AnswerVersion(const ipc::RequestHeader& request,
                                    const Result<std::uint64_t>& version) {
  if (version.ok()) return Answer(request, *version);
  // "There is no such key" is the outcome of a delete or touch that did run: that the namespace
  // exists was checked before.
  return Refuse(
      request, version.status(),
      version.status().code() == Code::kNotFound ? Execution::kDone : Execution::kNotStarted);
}

Status ChannelServer::Answer(const ipc::RequestHeader& request, std::uint64_t version,
                             std::string_view payload) {
  ipc::ResponseHeader header = HeaderOf(request);
  header.version = version;
  const std::string_view pieces[] = {payload};
  return responses_.Send(header, pieces, request.response_space);
}

Status ChannelServer::Refuse(const ipc::RequestHeader& request, const Status& why,
                             Execution execution) {
  ipc::ResponseHeader header = HeaderOf(request);
  header.status = static_cast<std::uint16_t>(why.code());
  header.execution = static_cast<std::uint8_t>(execution);
  const std::string_view pieces[] = {why.message()};
  return responses_.Send(header, pieces, request.response_space);
}

ipc::ResponseHeader ChannelServer::HeaderOf(const ipc::RequestHeader& request) {
  ipc::ResponseHeader header{};
  header.opcode = request.opcode;
  header.call_id = request.call_id;
  header.sequence = request.sequence;
  header.execution = static_cast<std::uint8_t>(Execution::kDone);
  return header;
}

}  // namespace hearth::daemon
