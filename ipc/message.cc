#include "ipc/message.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/utf8.h"

namespace hearth::ipc {
namespace {

// The length of the whole message, in front of the first record's payload.
constexpr std::uint64_t kAnnouncementBytes = sizeof(std::uint64_t);
// A stalled stream goes on when this much credit has come, not with crumbs.
constexpr std::uint64_t kLeastStreamCredit = kMinResponseSpace;

std::string_view AsBytes(const std::uint64_t& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

// Moves the first `bytes` of `pieces` to `out`.
void TakeFront(std::vector<std::string_view>& pieces, std::uint64_t bytes,
               std::vector<std::string_view>* out) {
  std::size_t used = 0;
  while (bytes > 0) {
    std::string_view& piece = pieces[used];
    const std::uint64_t part = std::min<std::uint64_t>(bytes, piece.size());
    out->push_back(piece.substr(0, part));
    piece.remove_prefix(part);
    bytes -= part;
    if (piece.empty()) ++used;
  }
  pieces.erase(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(used));
}

// What must not change from record to record of one message.
bool SameMessage(const RequestHeader& a, const RequestHeader& b) {
  return a.opcode == b.opcode && a.target == b.target && a.sequence == b.sequence;
}
bool SameMessage(const ResponseHeader& a, const ResponseHeader& b) {
  return a.opcode == b.opcode && a.sequence == b.sequence;
}

// Whether this last record replaces what came before: an answer that failed half-way.
bool EndsInError(const RequestHeader&) { return false; }
bool EndsInError(const ResponseHeader& header) { return header.status != 0; }

}  // namespace

// --------------------------------------------------------------------------------------- splitter
MessageSplitter::MessageSplitter(const RequestHeader& header, std::vector<std::string_view> pieces)
    : header_(header), pieces_(std::move(pieces)), remaining_(TotalBytes(pieces_)) {}

Result<bool> MessageSplitter::Advance(RingProducer& ring) {
  while (!done_) {
    std::vector<std::string_view> payload;
    RequestHeader header = header_;
    header.flags = started_ ? kRecordContinuation : std::uint16_t{0};
    std::uint64_t room = ring.max_payload();
    const std::uint64_t announced = remaining_;
    if (!started_ && remaining_ > room) {
      payload.push_back(AsBytes(announced));
      room -= kAnnouncementBytes;
    }
    const std::uint64_t part = std::min(remaining_, room);
    if (part < remaining_) header.flags |= kRecordMore;
    // Asked before the pieces are cut, so that a full ring changes nothing.
    HEARTH_ASSIGN(const bool fits, ring.HasRoom(part + TotalBytes(payload)));
    if (!fits) return false;
    TakeFront(pieces_, part, &payload);
    HEARTH_ASSIGN(const bool appended, ring.Append(header, payload));
    HEARTH_CHECK(appended);
    remaining_ -= part;
    started_ = true;
    done_ = remaining_ == 0;
  }
  return true;
}

// -------------------------------------------------------------------------------------- assembler
template <class Header>
MessageAssembler<Header>::MessageAssembler(const AssemblerLimits& limits) : limits_(limits) {
  HEARTH_CHECK(limits.budget != nullptr);
}

template <class Header>
MessageAssembler<Header>::~MessageAssembler() {
  while (!open_.empty()) Close(open_.begin());
}

template <class Header>
void MessageAssembler<Header>::Close(typename std::map<std::uint32_t, Open>::iterator it) {
  limits_.budget->Return(it->second.charged);
  open_.erase(it);
}

template <class Header>
Result<Assembled> MessageAssembler<Header>::Add(const Record& record, const RingConsumer& ring,
                                                std::string* payload) {
  const auto header = record.HeaderAs<Header>();
  if ((header.flags & kRecordContinuation) != 0) return Continue(header, record, ring, payload);
  if (open_.contains(header.call_id))
    return Error(Code::kDataLoss, "call {} begins again before its message is complete",
                 header.call_id);
  if ((header.flags & kRecordMore) != 0) return Begin(header, record, ring, payload);
  payload->clear();
  ring.AppendTo(record, 0, payload);
  return Assembled::kComplete;
}

template <class Header>
Result<Assembled> MessageAssembler<Header>::Begin(const Header& header, const Record& record,
                                                  const RingConsumer& ring, std::string*) {
  if (record.length < kAnnouncementBytes)
    return Error(Code::kDataLoss, "the long message of call {} does not begin with its length",
                 header.call_id);
  if (open_.size() >= kMaxOpenMessages)
    return Error(Code::kDataLoss, "more than {} messages are incomplete at once", kMaxOpenMessages);
  Open open;
  open.first = header;
  ring.Copy(record, 0, &open.announced, kAnnouncementBytes);
  if (record.length - kAnnouncementBytes > open.announced)
    return Error(Code::kDataLoss, "the message of call {} is longer than it announced",
                 header.call_id);
  Assembled outcome = Assembled::kPartial;
  if (open.announced > limits_.max_message_bytes) {
    outcome = Assembled::kTooLong;
  } else if (!limits_.budget->TryTake(open.announced)) {
    outcome = Assembled::kNoBudget;
    refused_bytes_ = open.announced;
  } else {
    open.charged = open.announced;
    ring.AppendTo(record, kAnnouncementBytes, &open.payload);
  }
  open.dropped = outcome != Assembled::kPartial;
  open_.emplace(header.call_id, std::move(open));
  return outcome;
}

template <class Header>
Result<Assembled> MessageAssembler<Header>::Continue(const Header& header, const Record& record,
                                                     const RingConsumer& ring,
                                                     std::string* payload) {
  const auto it = open_.find(header.call_id);
  if (it == open_.end() || !SameMessage(it->second.first, header))
    return Error(Code::kDataLoss, "a record continues a message of call {} that is not open",
                 header.call_id);
  Open& open = it->second;
  const bool last = (header.flags & kRecordMore) == 0;
  if (open.dropped) {
    if (last) Close(it);
    return Assembled::kPartial;
  }
  if (last && EndsInError(header)) {
    payload->clear();
    ring.AppendTo(record, 0, payload);
    Close(it);
    return Assembled::kComplete;
  }
  const std::uint64_t missing = open.announced - open.payload.size();
  // A record without payload that is not the last would let a message go on for ever.
  if (record.length > missing || (last && record.length != missing) ||
      (!last && record.length == 0))
    return Error(Code::kDataLoss, "the message of call {} is {} than it announced", header.call_id,
                 record.length > missing ? "longer" : "shorter");
  ring.AppendTo(record, 0, &open.payload);
  if (!last) return Assembled::kPartial;
  *payload = std::move(open.payload);
  Close(it);
  return Assembled::kComplete;
}

template <class Header>
std::optional<Header> MessageAssembler<Header>::Drop(std::uint32_t call_id) {
  const auto it = open_.find(call_id);
  if (it == open_.end()) return std::nullopt;
  // One that was refused has had its answer.
  std::optional<Header> first;
  if (!it->second.dropped) first = it->second.first;
  Close(it);
  return first;
}

template class MessageAssembler<RequestHeader>;
template class MessageAssembler<ResponseHeader>;

Status SequenceCheck::Accept(const RequestHeader& header) {
  if (header.opcode == kOpCancel || header.opcode == kOpCredit) {
    if (header.sequence == 0) return Status::Ok();
    return Error(Code::kDataLoss, "a cancel or credit record has sequence {}", header.sequence);
  }
  if ((header.flags & kRecordContinuation) != 0) return Status::Ok();  // the assembler's to check
  if (header.sequence <= last_)
    return Error(Code::kDataLoss, "sequence {} follows {}", header.sequence, last_);
  last_ = header.sequence;
  return Status::Ok();
}

// ----------------------------------------------------------------------------------------- sender
ResponseSender::ResponseSender(RingProducer producer, ByteBudget* budget)
    : producer_(std::move(producer)), budget_(budget) {
  HEARTH_CHECK(budget != nullptr);
}

ResponseSender::~ResponseSender() {
  for (const Stream& stream : streams_) budget_->Return(stream.payload.size());
}

Status ResponseSender::Append(const ResponseHeader& header, Pieces payload) {
  HEARTH_ASSIGN(const bool appended, producer_.Append(header, payload));
  if (!appended)
    return Error(Code::kResourceExhausted,
                 "the response ring is full in spite of the credit of call {}", header.call_id);
  return Status::Ok();
}

Status ResponseSender::Send(const ResponseHeader& header, Pieces payload,
                            std::uint32_t response_space) {
  ResponseHeader out = header;
  out.flags = 0;
  const std::uint64_t space = std::max(response_space, kMinResponseSpace);
  if (out.status != 0) {
    std::string message;
    for (std::string_view piece : payload) message += piece;
    const std::string_view cut[] = {CutUtf8(message, kMaxErrorMessageBytes)};
    return Append(out, cut);
  }
  const std::uint64_t length = TotalBytes(payload);
  if (RecordBytes(length) <= space && length <= producer_.max_payload())
    return Append(out, payload);
  // Every open request holds kMinResponseSpace or more, so no client that keeps to its credit has
  // more long answers waiting. Without the limit each credit and cancel would search ever more.
  if (streams_.size() >= ReservableResponseBytes(producer_.ring_bytes()) / kMinResponseSpace)
    return Error(Code::kResourceExhausted,
                 "{} long answers wait for credit, more than the response ring has room for",
                 streams_.size());
  if (!budget_->TryTake(length)) {
    out.status = static_cast<std::uint16_t>(Code::kResourceExhausted);
    const std::string message =
        fmt::format("the answer has {} bytes: {}", length, budget_->Refusal(length).message());
    const std::string_view piece[] = {message};
    return Append(out, piece);
  }
  Stream& stream = streams_.emplace_back();
  stream.header = out;
  stream.credit = space;
  stream.payload.reserve(length);
  for (std::string_view piece : payload) stream.payload += piece;
  return AdvanceAll();
}

Result<bool> ResponseSender::Advance(Stream& stream) {
  while (true) {
    const std::string_view rest = std::string_view(stream.payload).substr(stream.sent);
    ResponseHeader header = stream.header;
    header.flags = stream.started ? kRecordContinuation : std::uint16_t{0};
    if (rest.size() <= producer_.max_payload() && RecordBytes(rest.size()) <= stream.credit) {
      const std::string_view pieces[] = {rest};
      HEARTH_TRY(Append(header, pieces));
      return true;
    }
    if (stream.credit < kLeastStreamCredit) return false;
    // One header's worth of credit stays back for the record that ends a cancelled answer. What is
    // left takes less than `rest`, or the whole rest would have fitted above.
    const std::uint64_t record = (stream.credit / kRecordAlign - 1) * kRecordAlign;
    const std::uint64_t announcement = stream.started ? 0 : kAnnouncementBytes;
    const std::uint64_t part =
        std::min<std::uint64_t>(producer_.max_payload(), record - kRecordHeaderBytes) -
        announcement;
    HEARTH_CHECK(part < rest.size());
    header.flags |= kRecordMore;
    header.status = 0;
    header.execution = 0;
    header.version = header.hard_expiry_ms = header.soft_expiry_ms = 0;
    header.retry_after_ms = 0;
    const std::uint64_t length = stream.payload.size();
    const std::string_view pieces[] = {AsBytes(length).substr(0, announcement),
                                       rest.substr(0, part)};
    HEARTH_TRY(Append(header, pieces));
    stream.credit -= RecordBytes(announcement + part);
    stream.sent += part;
    stream.started = true;
  }
}

Status ResponseSender::AdvanceAll() {
  for (std::size_t i = 0; i < streams_.size() && i < kMaxOpenMessages;) {
    HEARTH_ASSIGN(const bool complete, Advance(streams_[i]));
    if (complete) {
      Erase(i);
    } else {
      ++i;
    }
  }
  return Status::Ok();
}

void ResponseSender::Erase(std::size_t index) {
  budget_->Return(streams_[index].payload.size());
  streams_.erase(streams_.begin() + static_cast<std::ptrdiff_t>(index));
}

Status ResponseSender::AddCredit(std::uint32_t call_id, std::uint32_t bytes) {
  for (Stream& stream : streams_) {
    if (stream.header.call_id != call_id) continue;
    stream.credit += bytes;
    return AdvanceAll();
  }
  return Status::Ok();
}

Status ResponseSender::Cancel(std::uint32_t call_id) {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (streams_[i].header.call_id != call_id) continue;
    ResponseHeader header = streams_[i].header;
    header.flags = streams_[i].started ? kRecordContinuation : std::uint16_t{0};
    header.status = static_cast<std::uint16_t>(Code::kCancelled);
    HEARTH_TRY(Append(header, {}));
    Erase(i);
    return AdvanceAll();
  }
  return Status::Ok();
}

}  // namespace hearth::ipc
