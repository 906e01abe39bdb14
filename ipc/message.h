// Messages over rings: what is longer than a record, and how much of the response ring an answer
// may use. PROTOCOL.md section 4, "Credit" and "Long messages".
//
//   client:  MessageSplitter -> request ring  -> MessageAssembler<RequestHeader>   :daemon
//   client:  MessageAssembler<ResponseHeader> <- response ring <- ResponseSender   :daemon
//
// Nothing here ever waits. What does not fit now stays pending inside the object, and the caller
// tries again when space or credit has come.
//
// Thread safety: one thread at a time per object, and for all that share a ByteBudget.
#ifndef HEARTH_IPC_MESSAGE_H_
#define HEARTH_IPC_MESSAGE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "ipc/budget.h"
#include "ipc/ring.h"
#include "ipc/session_layout.h"

namespace hearth::ipc {

// --------------------------------------------------------------------------------------- splitter
// Writes one request of any length into a ring, in as many steps as the ring has room for. One
// record when it fits into one.
class MessageSplitter {
 public:
  // Everything but length and flags is taken from `header`. The memory behind `pieces` must live
  // until done().
  MessageSplitter(const RequestHeader& header, std::vector<std::string_view> pieces);

  // Appends records until the message is complete (true) or the ring has no room (false). The
  // caller publishes. Records of other messages may go in between two calls. kDataLoss as
  // RingProducer::Append.
  Result<bool> Advance(RingProducer& ring);
  bool done() const { return done_; }
  bool started() const { return started_; }

 private:
  RequestHeader header_;
  std::vector<std::string_view> pieces_;  // what is still to be sent
  std::uint64_t remaining_;
  bool started_ = false;
  bool done_ = false;
};

// -------------------------------------------------------------------------------------- assembler
struct AssemblerLimits {
  std::uint64_t max_message_bytes = kMaxMessageBytes;
  // Taken with a long message's announced length at its first record and returned when the message
  // is handed out or dropped; memory itself grows only with what has arrived. Must outlive the
  // assembler. Give each session its own, so that one that announces much hurts only itself.
  ByteBudget* budget = nullptr;
};

enum class Assembled {
  kComplete,  // *payload is the whole message
  kPartial,   // more records follow; or the record belonged to a dropped message
  kTooLong,   // first record of a message beyond max_message_bytes: answer kInvalidArgument,
              //   not_started. Its other records will be dropped.
  kNoBudget,  // the same for the budget: answer kResourceExhausted, not_started
};

// Puts the records of long messages together again. Header is RequestHeader or ResponseHeader.
template <class Header>
class MessageAssembler {
 public:
  explicit MessageAssembler(const AssemblerLimits& limits);
  ~MessageAssembler();
  MessageAssembler(const MessageAssembler&) = delete;
  MessageAssembler& operator=(const MessageAssembler&) = delete;

  // Takes one record of `ring`. For kComplete the message's payload replaces *payload, and the
  // header of the last record is the message's header (its length is that of the record).
  // A response that ends with an error status is complete with that record's payload, whatever had
  // arrived before. kDataLoss when the sender breaks the rules: a continuation of nothing, a second
  // beginning, another opcode, target or sequence within a message, more or fewer bytes than
  // announced, more than kMaxOpenMessages.
  Result<Assembled> Add(const Record& record, const RingConsumer& ring, std::string* payload);

  // Drops a half-received message, as kOpCancel asks for; its sender sends no further record of it.
  // The header of its first record (for the answer: its opcode and sequence), or nothing when there
  // is none, or when it was refused (kTooLong, kNoBudget) and so answered already.
  std::optional<Header> Drop(std::uint32_t call_id);

  // After kNoBudget: the reason, which names the limit.
  Status Refusal() const { return limits_.budget->Refusal(refused_bytes_); }

  std::size_t open() const { return open_.size(); }

 private:
  struct Open {
    Header first;  // of the message's first record
    std::uint64_t announced = 0;
    std::uint64_t charged = 0;  // bytes held of the budget; 0 when the message is being dropped
    bool dropped = false;
    std::string payload;
  };
  Result<Assembled> Begin(const Header& header, const Record& record, const RingConsumer& ring,
                          std::string* payload);
  Result<Assembled> Continue(const Header& header, const Record& record, const RingConsumer& ring,
                             std::string* payload);
  void Close(typename std::map<std::uint32_t, Open>::iterator it);

  AssemblerLimits limits_;
  std::uint64_t refused_bytes_ = 0;
  std::map<std::uint32_t, Open> open_;
};

extern template class MessageAssembler<RequestHeader>;
extern template class MessageAssembler<ResponseHeader>;

// Checks that the sequence numbers of a request ring grow. Starts with any number, since the daemon
// may take a ring over in the middle.
class SequenceCheck {
 public:
  // kDataLoss for a first record (not a continuation, cancel or credit) whose number does not grow,
  // and for a cancel or credit that has one.
  Status Accept(const RequestHeader& header);
  std::uint64_t last() const { return last_; }

 private:
  std::uint64_t last_ = 0;
};

// ----------------------------------------------------------------------------------------- sender
// The daemon's end of one response ring. Short answers go straight into the ring; those that do not
// fit the space their request has reserved are kept here and sent record by record, as credit
// comes.
//
// At most kMaxOpenMessages long answers are under way at once, others queue behind them.
class ResponseSender {
 public:
  // `budget` counts the bytes of answers kept here; when it is used up, an answer is replaced by
  // kResourceExhausted with its execution unchanged.
  ResponseSender(RingProducer producer, ByteBudget* budget);
  ~ResponseSender();
  ResponseSender(const ResponseSender&) = delete;
  ResponseSender& operator=(const ResponseSender&) = delete;

  // Answers a request. Of `header`, everything but length and flags counts; opcode, call id and
  // sequence are those of the request. `response_space` is the request's (kMinResponseSpace at
  // least is assumed). Error messages are cut to kMaxErrorMessageBytes. The caller publishes.
  // kResourceExhausted when the ring has no room in spite of the credit, kDataLoss when it is
  // broken: both end the session.
  Status Send(const ResponseHeader& header, Pieces payload, std::uint32_t response_space);

  // kOpCredit: more space for the answer to `call_id`; unknown ids are ignored, since an answer may
  // just have ended. Errors as Send.
  Status AddCredit(std::uint32_t call_id, std::uint32_t bytes);

  // kOpCancel: ends a long answer early, with a last record of status kCancelled (room for which is
  // kept back from its credit). Unknown ids are ignored, as above. Errors as Send.
  Status Cancel(std::uint32_t call_id);

  // Gives everything appended to the client, without a look at whether it must be woken.
  void Publish() { producer_.Publish(); }
  // Gives it, and says whether the client must be woken with RingPipe().
  [[nodiscard]] bool PublishMustRing(const Atomic<std::uint64_t>& client_asleep) {
    return producer_.PublishMustRing(client_asleep, kClientWaitsForResponse);
  }
  bool has_unpublished() const { return producer_.has_unpublished(); }
  // Long answers not yet completely in the ring.
  std::size_t pending() const { return streams_.size(); }

 private:
  struct Stream {
    ResponseHeader header;
    std::string payload;
    std::uint64_t sent = 0;
    std::uint64_t credit = 0;
    bool started = false;
  };
  Status Append(const ResponseHeader& header, Pieces payload);
  // Sends what the stream's credit allows; true when it is complete.
  Result<bool> Advance(Stream& stream);
  // Advances every stream that may be under way.
  Status AdvanceAll();
  void Erase(std::size_t index);

  RingProducer producer_;
  ByteBudget* budget_;
  std::deque<Stream> streams_;  // the first kMaxOpenMessages are under way
};

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_MESSAGE_H_
