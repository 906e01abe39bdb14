// ChannelServer: takes requests out of one channel, executes them and answers.
#ifndef HEARTH_DAEMON_CHANNEL_SERVER_H_
#define HEARTH_DAEMON_CHANNEL_SERVER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/base/status.h"
#include "core/cache/writer.h"
#include "core/module/method_registry.h"
#include "daemon/lease_table.h"
#include "daemon/session.h"
#include "ipc/message.h"
#include "ipc/ring.h"

namespace hearth::daemon {

// Belongs to the writer thread of the session's store. Nothing the client does in its region can
// hurt anything but the session: an error of Serve() ends it.
class ChannelServer {
 public:
  // Buffers of the request being executed, which all channels of a thread take turns with: each
  // keeps up to 1 MiB, which clients could otherwise make hearthd hold for every channel.
  struct Scratch {
    std::string payload;
    std::string response;
  };
  struct Environment {
    cache::StoreWriter* writer;
    const module::MethodRegistry* methods;
    LeaseTable* leases;
    Scratch* scratch;
    std::uint64_t max_message_bytes;
  };

  // kDataLoss when the positions in the region make no sense. `budget` is the session's and must
  // outlive the server, as must session and environment.
  static Result<std::unique_ptr<ChannelServer>> Create(const Environment& environment,
                                                       Session* session, std::uint32_t channel,
                                                       ipc::ByteBudget* budget);

  // Its leases end, its parked requests leave the table.
  ~ChannelServer();
  ChannelServer(const ChannelServer&) = delete;
  ChannelServer& operator=(const ChannelServer&) = delete;

  // Executes at most `max_records` records, publishes the answers, gives the request bytes back
  // and rings where somebody sleeps. Returns how many records there were; an error ends the
  // session.
  Result<std::uint32_t> Serve(std::uint32_t max_records);

  // Answers a request of this channel that has waited in the lease table, or lets it hold or wait
  // for the lease anew; publishes, and rings where somebody sleeps. Errors as Serve().
  Status AnswerParked(const LeaseTable::Ready& ready);

  // Notes reads that the client has recorded in its touch buffer, `*budget` at most, and takes them
  // off it. True when this was the last of those that were there when it began; the next call then
  // begins anew. Whatever the client writes, that is no more than the buffer has entries.
  bool NoteTouches(std::uint32_t* budget);

  // Whether Serve() would find something; a hint, which costs one load.
  bool HasRequests() const { return requests_.HasMore(); }

  // To sleep until the client publishes more. REQUIRES: Serve() has just returned 0.
  ipc::Watch RequestWatch() {
    return requests_.DataWatch(control_->server_asleep, ipc::kServerSleeps);
  }
  // Tells the client that this channel is polled again.
  void Wake();

  Session* session() const { return session_; }

 private:
  ChannelServer(const Environment& environment, Session* session, std::uint32_t channel,
                ipc::RingConsumer requests, ipc::RingProducer responses, ipc::ByteBudget* budget);

  Status TakeUpTo(std::uint32_t max_records, std::uint32_t* count);
  void PublishAll(std::uint32_t count);
  Status Take(const ipc::Record& record);
  Status Execute(const ipc::RequestHeader& request);
  // In channel_operations.cc, and so is AnswerOutcome.
  Status ExecuteSet(const ipc::RequestHeader& request);
  Status ExecuteCompareAndSwap(const ipc::RequestHeader& request);
  Status ExecuteIncrement(const ipc::RequestHeader& request);
  Status ExecuteAppend(const ipc::RequestHeader& request);

  // In channel_leases.cc, and so are Changed and AnswerLeaseOver.
  Status ExecuteLease(const ipc::RequestHeader& request);
  Status ExecuteFill(const ipc::RequestHeader& request);
  Status ExecuteRelease(const ipc::RequestHeader& request);
  // The value if it is there and fresh, else the lease of the key, or a wait for its holder.
  Status ValueOrLease(const ipc::RequestHeader& request, std::string_view key, bool wait);
  // To be called when an executed request has changed a key, and when it has deleted one that was
  // not there: what is being loaded is older.
  void Changed(const ipc::RequestHeader& request, std::string_view key);
  std::uint64_t FlushedVersion(std::uint32_t handle) const;
  Status RefuseHolder(const ipc::RequestHeader& request, const LeaseTable::Key& key,
                      std::uint64_t token, const Status& why);
  Status AnswerLeaseOver(const ipc::RequestHeader& request, const LeaseTable::Key& key,
                         std::uint64_t token);

  Status ExecuteKeyed(const ipc::RequestHeader& request);
  Status ExecuteTouch(const ipc::RequestHeader& request);
  Status ExecuteGet(const ipc::RequestHeader& request, std::string_view key);
  Status ExecuteCall(const ipc::RequestHeader& request);
  cache::Origin OriginOf(const ipc::RequestHeader& request) const;
  // OK, or the refusal.
  Status CheckNamespace(std::uint32_t handle) const;
  Status MayWrite(std::uint32_t handle) const;
  static Status CheckKeyLength(std::string_view key);
  // A successful answer to it, without payload.
  static ipc::ResponseHeader HeaderOf(const ipc::RequestHeader& request);

  Status Answer(const ipc::RequestHeader& request, std::uint64_t version,
                std::string_view payload = {});
  // `execution` says whether the failed request may have had an effect.
  Status Refuse(const ipc::RequestHeader& request, const Status& why,
                Execution execution = Execution::kNotStarted);
  // What a reader sees; a value is in response_.
  Status AnswerRead(const ipc::RequestHeader& request, const cache::ReadResult& read);
  Status AnswerVersion(const ipc::RequestHeader& request, const Result<std::uint64_t>& version);
  Status AnswerOutcome(const ipc::RequestHeader& request, std::string_view key,
                       const cache::Outcome& outcome);

  Environment environment_;
  Session* session_;
  std::uint32_t channel_;
  ipc::ByteBudget* budget_;
  ipc::ChannelControl* control_;
  ipc::RingConsumer requests_;
  ipc::ResponseSender responses_;
  ipc::MessageAssembler<ipc::RequestHeader> assembler_;
  ipc::SequenceCheck sequences_;
  std::span<Atomic<std::uint64_t>> touches_;
  std::uint64_t touch_head_ = 0;  // the next to be noted,
  std::uint64_t touch_end_ = 0;   // and the end of what is being noted
  std::string& payload_;          // the thread's scratch
  std::string& response_;
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_CHANNEL_SERVER_H_
