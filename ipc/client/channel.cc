#include "ipc/client/channel.h"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/fd.h"
#include "ipc/doorbell.h"

namespace hearth::ipc {
namespace {

bool SeveralCpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  return ::sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 1;
}

Reply ReplyOf(const ResponseHeader& header, std::string payload) {
  Reply reply;
  reply.execution = static_cast<Execution>(header.execution);
  reply.version = header.version;
  reply.number = static_cast<std::int64_t>(header.number);
  if (header.opcode == kOpGet) {
    reply.hard_expiry_ms = header.hard_expiry_ms;
    reply.soft_expiry_ms = header.soft_expiry_ms;
  }
  reply.retry_after_ms = header.retry_after_ms;
  if (header.status == 0) {
    reply.payload = std::move(payload);
  } else {
    reply.status = Status(static_cast<Code>(header.status), std::move(payload));
  }
  return reply;
}

Reply Failure(Status status, Execution execution) {
  Reply reply;
  reply.status = std::move(status);
  reply.execution = execution;
  return reply;
}

}  // namespace

Result<std::unique_ptr<ClientChannel>> ClientChannel::Open(ClientSession* session,
                                                           std::uint32_t index) {
  const ChannelView view = session->region().channel(index);
  HEARTH_ASSIGN(RingProducer producer, RingProducer::Attach(view.requests));
  HEARTH_ASSIGN(RingConsumer consumer, RingConsumer::Attach(view.responses));
  return std::unique_ptr<ClientChannel>(
      new ClientChannel(session, view, session->client_bell(index), producer, consumer));
}

ClientChannel::ClientChannel(ClientSession* session, const ChannelView& view, int bell,
                             RingProducer producer, RingConsumer consumer)
    : session_(session),
      view_(view),
      bell_(bell),
      response_ring_bytes_(view.responses.bytes),
      producer_(producer),
      consumer_(consumer),
      budget_(kMaxOpenMessages * session->welcome().max_message_bytes),
      assembler_(AssemblerLimits{session->welcome().max_message_bytes, &budget_}),
      spin_(SeveralCpus()) {}

// ---------------------------------------------------------------------------------------- calling
Reply ClientChannel::Call(const OutgoingCall& call) {
  Result<std::uint32_t> call_id = Publish(call, Use::kWaiting, 0);
  if (!call_id.ok()) return Failure(std::move(call_id).status(), Execution::kNotStarted);
  while (!slots_[*call_id].answered) {
    Status waited = WaitOnce(call.deadline, WakeOn::kAnswers);
    if (waited.ok() || slots_[*call_id].answered) continue;
    GiveUp(*call_id);
    return Failure(std::move(waited), Execution::kMaybe);
  }
  Reply reply = std::move(slots_[*call_id].reply);
  FreeSlot(*call_id);
  return reply;
}

Status ClientChannel::Start(const OutgoingCall& call, std::uint64_t token) {
  HEARTH_ASSIGN(const std::uint32_t call_id, Publish(call, Use::kPipelined, token));
  ++in_flight_;
  // An answer that came while the request was still being sent (it was refused).
  if (slots_[call_id].answered) {
    finished_.push_back(call_id);
    Deliver();
  }
  return Status::Ok();
}

Status ClientChannel::Drain(Deadline deadline) {
  while (in_flight_ > 0) HEARTH_TRY(WaitOnce(deadline, WakeOn::kAnswers));
  return Status::Ok();
}

Result<std::uint32_t> ClientChannel::Publish(const OutgoingCall& call, Use use,
                                             std::uint64_t token) {
  const std::uint32_t space =
      std::clamp(call.response_space, kMinResponseSpace, max_response_space());
  while (reserved_ + space > ReservableResponseBytes(response_ring_bytes_))
    HEARTH_TRY(WaitOnce(call.deadline, WakeOn::kAnswers));
  if (failed_) return EndStatus();

  const std::uint32_t call_id = TakeSlot();
  Slot& slot = slots_[call_id];
  slot.use = use;
  slot.opcode = call.opcode;
  slot.space = space;
  slot.sequence = next_sequence_++;
  slot.token = token;
  slot.position = producer_.position();
  slot.sending = true;
  reserved_ += space;

  RequestHeader header{};
  header.opcode = call.opcode;
  header.call_id = call_id;
  header.target = call.target;
  header.sequence = slot.sequence;
  header.deadline_ns = call.deadline;
  header.response_space = space;
  if (call.trace != nullptr) {
    std::memcpy(header.trace_id, call.trace->trace_id, sizeof(header.trace_id));
    std::memcpy(header.span_id, call.trace->span_id, sizeof(header.span_id));
    header.trace_flags = call.trace->flags;
  }
  MessageSplitter message(header, call.pieces);
  Status sent = Send(message, call.deadline);
  // `slot` may have moved: nothing was started in between, but the table is looked up anew.
  slots_[call_id].sending = false;
  if (sent.ok()) return call_id;
  if (message.started() && !failed_) {
    GiveUp(call_id);
  } else {
    if (!message.started()) --next_sequence_;
    FreeSlot(call_id);
  }
  return sent;
}

Status ClientChannel::Send(MessageSplitter& message, Deadline deadline) {
  while (true) {
    // Cancels and credits first: they free what this request may be waiting for.
    HEARTH_TRY(SendNotes());
    Result<bool> done = message.Advance(producer_);
    if (!done.ok()) {
      session_->Break(std::move(done).status());
      FailAll();
      return EndStatus();
    }
    PublishAndRing();
    if (*done) return Status::Ok();
    HEARTH_TRY(WaitOnce(deadline, WakeOn::kAnswersAndSpace));
  }
}

void ClientChannel::PublishAndRing() {
  if (!producer_.has_unpublished()) return;
  if (producer_.PublishMustRing(view_.control->server_asleep, kServerSleeps))
    RingEventFd(session_->server_bell());
}

std::uint32_t ClientChannel::TakeSlot() {
  if (free_slots_.empty()) {
    slots_.emplace_back();
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const std::uint32_t call_id = free_slots_.back();
  free_slots_.pop_back();
  return call_id;
}

void ClientChannel::FreeSlot(std::uint32_t call_id) {
  reserved_ -= slots_[call_id].space;
  slots_[call_id] = Slot{};
  free_slots_.push_back(call_id);
}

void ClientChannel::GiveUp(std::uint32_t call_id) {
  Slot& slot = slots_[call_id];
  if (slot.answered) return FreeSlot(call_id);  // refused while it was being sent
  slot.use = Use::kGivenUp;
  assembler_.Drop(call_id);
  RequestHeader cancel{};
  cancel.opcode = kOpCancel;
  cancel.call_id = call_id;
  notes_.push_back(cancel);
  // What goes wrong here, the next call finds out.
  static_cast<void>(SendNotes().ok());
}

Status ClientChannel::SendNotes() {
  while (!notes_.empty()) {
    Result<bool> appended = producer_.Append(notes_.front(), {});
    if (!appended.ok()) {
      session_->Break(std::move(appended).status());
      FailAll();
      return EndStatus();
    }
    if (!*appended) break;
    notes_.pop_front();
  }
  PublishAndRing();
  return Status::Ok();
}

// ---------------------------------------------------------------------------------------- answers
Status ClientChannel::TakeAnswers() {
  while (true) {
    Record record;
    Result<bool> taken = consumer_.Next(&record);
    if (taken.ok() && !*taken) break;
    Status status = taken.ok() ? TakeAnswer(record) : std::move(taken).status();
    if (!status.ok()) {
      session_->Break(std::move(status).WithContext("hearthd broke the response ring"));
      FailAll();
      return EndStatus();
    }
    ++answers_;
  }
  if (consumer_.has_unreleased()) consumer_.Release();
  Deliver();
  // After the release, since credit is granted for what has been given back.
  return SendNotes();
}

Status ClientChannel::TakeAnswer(const Record& record) {
  const auto header = record.HeaderAs<ResponseHeader>();
  if (header.call_id >= slots_.size()) return Status::Ok();
  Slot& slot = slots_[header.call_id];
  // After a restart of the daemon one request may be answered twice.
  if (slot.use == Use::kFree || slot.answered || slot.sequence != header.sequence)
    return Status::Ok();
  const bool last = (header.flags & kRecordMore) == 0;
  if (slot.use == Use::kGivenUp) {
    if (last) FreeSlot(header.call_id);
    return Status::Ok();
  }
  std::string payload;
  HEARTH_ASSIGN(const Assembled assembled, assembler_.Add(record, consumer_, &payload));
  switch (assembled) {
    case Assembled::kComplete: Finish(header.call_id, ReplyOf(header, std::move(payload))); break;
    case Assembled::kPartial: {
      RequestHeader credit{};
      credit.opcode = kOpCredit;
      credit.call_id = header.call_id;
      credit.response_space = static_cast<std::uint32_t>(RecordBytes(record.length));
      notes_.push_back(credit);
      break;
    }
    case Assembled::kTooLong:
    case Assembled::kNoBudget:
      return Error(Code::kDataLoss, "an answer is longer than hearthd's own limit of {} bytes",
                   session_->welcome().max_message_bytes);
  }
  return Status::Ok();
}

void ClientChannel::Finish(std::uint32_t call_id, Reply reply) {
  Slot& slot = slots_[call_id];
  slot.reply = std::move(reply);
  slot.answered = true;
  if (slot.use == Use::kPipelined && !slot.sending) finished_.push_back(call_id);
}

void ClientChannel::Deliver() {
  for (const std::uint32_t call_id : finished_) {
    const std::uint64_t token = slots_[call_id].token;
    const Reply reply = std::move(slots_[call_id].reply);
    FreeSlot(call_id);
    --in_flight_;
    if (completion_) completion_(token, reply);
  }
  finished_.clear();
}

// ---------------------------------------------------------------------------------------- waiting
Status ClientChannel::WaitOnce(Deadline deadline, WakeOn wake_on) {
  if (failed_) return EndStatus();
  HEARTH_TRY(SendNotes());
  const std::uint64_t before = answers_;
  // Looked at before the ring, so that what was published before the end is still taken.
  const bool ended = session_->end().has_value();
  HEARTH_TRY(TakeAnswers());
  if (ended) {
    FailAll();
    return EndStatus();
  }
  if (answers_ != before) return Status::Ok();
  return Sleep(deadline, wake_on);
}

Status ClientChannel::Sleep(Deadline deadline, WakeOn wake_on) {
  Atomic<std::uint64_t>& flag = view_.control->client_asleep;
  const bool for_space = wake_on == WakeOn::kAnswersAndSpace || !notes_.empty();
  const Watch both[] = {consumer_.DataWatch(flag, kClientWaitsForResponse),
                        producer_.SpaceWatch(flag, kClientWaitsForSpace)};
  const std::span<const Watch> watches(both, for_space ? 2 : 1);
  const auto moved = [&] {
    return std::any_of(watches.begin(), watches.end(), [](const Watch& watch) {
      return watch.position->LoadRelaxed() != watch.seen;
    });
  };
  const std::uint64_t start = MonotonicNanosNow();
  const std::uint64_t spin_end = start + spin_.Bound();
  while (MonotonicNanosNow() < spin_end) {
    for (int i = 0; i < 16; ++i) {
      if (moved()) {
        spin_.Observe(MonotonicNanosNow() - start);
        return Status::Ok();
      }
      CpuRelax();
    }
  }
  if (!PrepareToSleep(watches)) return Status::Ok();
  pollfd waiting[] = {{session_->control_fd(), POLLIN, 0}, {bell_, POLLIN, 0}};
  Status waited = PollUntil(std::span(waiting, bell_closed_ ? 1 : 2), deadline);
  Withdraw(watches);
  spin_.Observe(MonotonicNanosNow() - start);
  if (waiting[1].revents != 0) bell_closed_ = !DrainBell(bell_);
  if (waiting[0].revents != 0) session_->ReadControl();
  return waited;
}

Status ClientChannel::EndStatus() const {
  const Status& reason = session_->end()->reason;
  return Error(reason.code(), "the session has ended: {}", reason.message());
}

void ClientChannel::FailAll() {
  if (failed_) return;
  failed_ = true;
  notes_.clear();
  // What the daemon had not reached when it said goodbye was never executed.
  const Result<std::uint64_t> head = producer_.LoadHead();
  const bool head_counts = session_->end()->orderly && head.ok();
  for (std::uint32_t call_id = 0; call_id < slots_.size(); ++call_id) {
    Slot& slot = slots_[call_id];
    if (slot.use == Use::kFree || slot.answered) continue;
    if (slot.use == Use::kGivenUp) {
      FreeSlot(call_id);
      continue;
    }
    const bool reached = !head_counts || *head > slot.position;
    Finish(call_id, Failure(EndStatus(), reached ? Execution::kMaybe : Execution::kNotStarted));
  }
  Deliver();
}

}  // namespace hearth::ipc
