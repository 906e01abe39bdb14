// RingClient: the client's half of one channel, down to the bytes. Unlike the client library it
// lets a test choose every field of every record, and never does anything by itself.
//
// Thread safety: one thread.
#ifndef HEARTH_TESTS_DAEMON_RING_CLIENT_H_
#define HEARTH_TESTS_DAEMON_RING_CLIENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "ipc/ring.h"
#include "ipc/session_layout.h"
#include "ipc/session_region.h"

namespace hearth::testing {

// ------------------------------------------------------------------------------------------ bodies
std::string SetPayload(std::string_view key, std::string_view value, std::uint64_t hard_ttl_ms = 0,
                       std::uint64_t soft_ttl_ms = 0, std::uint32_t mode = 0);
std::string TouchPayload(std::string_view key, std::uint64_t hard_ttl_ms,
                         std::uint64_t soft_ttl_ms = 0);
// Of a get or a delete.
std::string KeyPayload(std::string_view key);
std::string CasPayload(std::string_view key, std::uint64_t expected_version, std::string_view value,
                       std::uint64_t hard_ttl_ms = 0, std::uint64_t soft_ttl_ms = 0);
// `initial` with its flag, or neither.
std::string IncrementPayload(std::string_view key, std::int64_t delta,
                             std::optional<std::int64_t> initial = std::nullopt,
                             std::uint64_t hard_ttl_ms = 0, std::uint64_t soft_ttl_ms = 0);
std::string AppendPayload(std::string_view key, std::string_view more);
std::string LeasePayload(std::string_view key, std::uint32_t flags = 0);
std::string FillPayload(std::string_view key, std::uint64_t token, std::string_view value,
                        std::uint64_t hard_ttl_ms = 0, std::uint64_t soft_ttl_ms = 0,
                        std::uint32_t flags = 0);
std::string ReleasePayload(std::string_view key, std::uint64_t token);
// The u64 that the first record of a long message begins with.
std::string Announcement(std::uint64_t bytes);

// One record of the response ring.
struct Answer {
  ipc::ResponseHeader header{};
  std::string payload;

  Code code() const { return static_cast<Code>(header.status); }
  Execution execution() const { return static_cast<Execution>(header.execution); }
  bool more() const { return (header.flags & ipc::kRecordMore) != 0; }
};

class RingClient {
 public:
  // The memory behind `view` and the bells must outlive the client; -1 where nothing is to be rung.
  // Aborts when the rings make no sense.
  RingClient(const ipc::ChannelView& view, int server_bell, int client_bell);

  // A legal header: the next call id and sequence, no deadline, the least response space.
  ipc::RequestHeader Header(ipc::Opcode opcode, std::uint32_t target = 0);
  // Credit and cancel, which carry no sequence.
  ipc::RequestHeader Note(ipc::Opcode opcode, std::uint32_t call_id,
                          std::uint32_t response_space = 0) const;

  // Appends one record as it is; false when the ring has no room.
  bool Append(const ipc::RequestHeader& header, std::string_view payload = {});
  // Publishes what was appended and rings if the daemon sleeps.
  void Publish();
  // Publishes without ringing, whatever the daemon says.
  void PublishSilently() { requests_.Publish(); }
  // Appends and publishes one record and returns its header. Aborts without room.
  ipc::RequestHeader Send(const ipc::RequestHeader& header, std::string_view payload = {});
  ipc::RequestHeader Send(ipc::Opcode opcode, std::uint32_t target, std::string_view payload = {}) {
    return Send(Header(opcode, target), payload);
  }

  // Records a read of the key with this hash, as a client that reads in place does.
  void RecordTouch(std::uint64_t hash);

  // Everything the daemon has published; gives the bytes back unless `keep`.
  std::vector<Answer> Take(bool keep = false);
  // Sleeps on the doorbell, by its protocol, until at least one record is there; nothing after
  // `timeout_ms`.
  std::optional<Answer> Await(int timeout_ms);

  const ipc::ChannelView& view() const { return view_; }
  ipc::ChannelControl& control() const { return *view_.control; }
  std::uint32_t max_payload() const { return requests_.max_payload(); }
  std::uint64_t published() const { return requests_.published(); }

 private:
  ipc::ChannelView view_;
  int server_bell_;
  int client_bell_;
  ipc::RingProducer requests_;
  ipc::RingConsumer responses_;
  std::uint32_t next_call_id_ = 1;
  std::uint64_t next_sequence_ = 1;
  std::vector<Answer> taken_;  // by Await, not yet handed out
};

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_DAEMON_RING_CLIENT_H_
