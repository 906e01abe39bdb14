// Calls over one channel: publishing requests, keeping the credit of the response ring, waiting,
// matching answers. Internal to the client library; programs use client.h.
//
// A call takes a slot; the slot's index is the call id, and the sequence number tells an answer for
// this call from a late one for an earlier user of the slot. A call that was given up keeps its
// slot and its credit until hearthd has answered it: only then is nothing more written for it.
//
// Thread safety: one thread.
#ifndef HEARTH_IPC_CLIENT_CHANNEL_H_
#define HEARTH_IPC_CLIENT_CHANNEL_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "ipc/client/client.h"
#include "ipc/client/session.h"
#include "ipc/client/spin.h"
#include "ipc/message.h"
#include "ipc/ring.h"

namespace hearth::ipc {

struct OutgoingCall {
  Opcode opcode = kOpPing;
  std::uint32_t target = 0;
  std::vector<std::string_view> pieces;
  std::uint32_t response_space = kMinResponseSpace;
  Deadline deadline = 0;
  const TraceContext* trace = nullptr;
};

class ClientChannel {
 public:
  // `session` must outlive the channel.
  static Result<std::unique_ptr<ClientChannel>> Open(ClientSession* session, std::uint32_t index);

  // Publishes and waits for the answer.
  Reply Call(const OutgoingCall& call);
  // Publishes and returns; the answer goes to the completion handler with `token`.
  Status Start(const OutgoingCall& call, std::uint64_t token);
  // Waits until no call of Start() is open.
  Status Drain(Deadline deadline);

  void OnCompletion(Client::Completion completion) { completion_ = std::move(completion); }
  std::size_t in_flight() const { return in_flight_; }
  // What one call may reserve at most.
  std::uint32_t max_response_space() const { return response_ring_bytes_ / 4; }

 private:
  enum class Use : std::uint8_t { kFree, kWaiting, kPipelined, kGivenUp };
  struct Slot {
    Use use = Use::kFree;
    Opcode opcode = kOpPad;
    std::uint32_t space = 0;  // reserved of the response ring
    std::uint64_t sequence = 0;
    std::uint64_t token = 0;
    std::uint64_t position = 0;  // of the request's first record
    bool sending = false;        // records of the request are still to come
    bool answered = false;       // `reply` is set and not yet handed out
    Reply reply;
  };
  enum class WakeOn { kAnswers, kAnswersAndSpace };

  ClientChannel(ClientSession* session, const ChannelView& view, int bell, RingProducer producer,
                RingConsumer consumer);
  // Takes credit and a slot, and publishes the whole request. On errors it was not executed, and
  // never will be: at most a part of it is out, which is cancelled.
  Result<std::uint32_t> Publish(const OutgoingCall& call, Use use, std::uint64_t token);
  Status Send(MessageSplitter& message, Deadline deadline);
  void PublishAndRing();
  std::uint32_t TakeSlot();
  void FreeSlot(std::uint32_t call_id);
  // Nobody waits for the answer any more; tells hearthd.
  void GiveUp(std::uint32_t call_id);

  // Takes all answers that are there.
  Status TakeAnswers();
  Status TakeAnswer(const Record& record);
  void Finish(std::uint32_t call_id, Reply reply);
  // Calls the completion handler for finished pipelined calls and frees their slots.
  void Deliver();
  // Publishes cancels and credits that are due, as far as there is room.
  Status SendNotes();
  // One round of waiting: takes answers, and sleeps if there were none.
  Status WaitOnce(Deadline deadline, WakeOn wake_on);
  Status Sleep(Deadline deadline, WakeOn wake_on);
  // Ends every open call after the end of the session.
  void FailAll();
  // After the end of the session.
  Status EndStatus() const;

  ClientSession* session_;
  ChannelView view_;
  int bell_;
  bool bell_closed_ = false;
  std::uint32_t response_ring_bytes_;
  RingProducer producer_;
  RingConsumer consumer_;
  ByteBudget budget_;
  MessageAssembler<ResponseHeader> assembler_;
  AdaptiveSpin spin_;
  Client::Completion completion_;

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t reserved_ = 0;           // bytes of the response ring promised to open calls
  std::size_t in_flight_ = 0;            // pipelined calls without an answer
  std::deque<RequestHeader> notes_;      // cancels and credits that wait for room
  std::vector<std::uint32_t> finished_;  // pipelined calls to be delivered
  std::uint64_t answers_ = 0;            // records of answers ever taken
  bool failed_ = false;
};

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_CLIENT_CHANNEL_H_
