#include "tests/daemon/ring_client.h"

#include <poll.h>

#include <utility>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "ipc/doorbell.h"

namespace hearth::testing {
namespace {

template <class Body>
std::string BytesOf(const Body& body) {
  return std::string(reinterpret_cast<const char*>(&body), sizeof(body));
}

template <class T>
T Must(Result<T> result) {
  HEARTH_CHECK(result.ok());
  return std::move(result).value();
}

}  // namespace

std::string SetPayload(std::string_view key, std::string_view value, std::uint64_t hard_ttl_ms,
                       std::uint64_t soft_ttl_ms, std::uint32_t mode) {
  ipc::SetBody body{};
  body.hard_ttl_ms = hard_ttl_ms;
  body.soft_ttl_ms = soft_ttl_ms;
  body.key_length = static_cast<std::uint32_t>(key.size());
  body.value_length = static_cast<std::uint32_t>(value.size());
  body.mode = mode;
  return BytesOf(body).append(key).append(value);
}

std::string TouchPayload(std::string_view key, std::uint64_t hard_ttl_ms,
                         std::uint64_t soft_ttl_ms) {
  ipc::TouchBody body{};
  body.hard_ttl_ms = hard_ttl_ms;
  body.soft_ttl_ms = soft_ttl_ms;
  body.key_length = static_cast<std::uint32_t>(key.size());
  return BytesOf(body).append(key);
}

std::string KeyPayload(std::string_view key) {
  ipc::KeyBody body{};
  body.key_length = static_cast<std::uint32_t>(key.size());
  return BytesOf(body).append(key);
}

std::string CasPayload(std::string_view key, std::uint64_t expected_version, std::string_view value,
                       std::uint64_t hard_ttl_ms, std::uint64_t soft_ttl_ms) {
  ipc::CasBody body{};
  body.hard_ttl_ms = hard_ttl_ms;
  body.soft_ttl_ms = soft_ttl_ms;
  body.key_length = static_cast<std::uint32_t>(key.size());
  body.value_length = static_cast<std::uint32_t>(value.size());
  body.expected_version = expected_version;
  return BytesOf(body).append(key).append(value);
}

std::string IncrementPayload(std::string_view key, std::int64_t delta,
                             std::optional<std::int64_t> initial, std::uint64_t hard_ttl_ms,
                             std::uint64_t soft_ttl_ms) {
  ipc::IncrementBody body{};
  body.hard_ttl_ms = hard_ttl_ms;
  body.soft_ttl_ms = soft_ttl_ms;
  body.delta = static_cast<std::uint64_t>(delta);
  body.initial = static_cast<std::uint64_t>(initial.value_or(0));
  body.key_length = static_cast<std::uint32_t>(key.size());
  body.flags = initial ? ipc::kIncrementHasInitial : 0;
  return BytesOf(body).append(key);
}

std::string AppendPayload(std::string_view key, std::string_view more) {
  ipc::AppendBody body{};
  body.key_length = static_cast<std::uint32_t>(key.size());
  body.value_length = static_cast<std::uint32_t>(more.size());
  return BytesOf(body).append(key).append(more);
}

std::string LeasePayload(std::string_view key, std::uint32_t flags) {
  ipc::LeaseBody body{};
  body.key_length = static_cast<std::uint32_t>(key.size());
  body.flags = flags;
  return BytesOf(body).append(key);
}

std::string FillPayload(std::string_view key, std::uint64_t token, std::string_view value,
                        std::uint64_t hard_ttl_ms, std::uint64_t soft_ttl_ms, std::uint32_t flags) {
  ipc::FillBody body{};
  body.hard_ttl_ms = hard_ttl_ms;
  body.soft_ttl_ms = soft_ttl_ms;
  body.token = token;
  body.key_length = static_cast<std::uint32_t>(key.size());
  body.value_length = static_cast<std::uint32_t>(value.size());
  body.flags = flags;
  return BytesOf(body).append(key).append(value);
}

std::string ReleasePayload(std::string_view key, std::uint64_t token) {
  ipc::ReleaseBody body{};
  body.token = token;
  body.key_length = static_cast<std::uint32_t>(key.size());
  return BytesOf(body).append(key);
}

std::string Announcement(std::uint64_t bytes) { return BytesOf(bytes); }

RingClient::RingClient(const ipc::ChannelView& view, int server_bell, int client_bell)
    : view_(view),
      server_bell_(server_bell),
      client_bell_(client_bell),
      requests_(Must(ipc::RingProducer::Attach(view.requests))),
      responses_(Must(ipc::RingConsumer::Attach(view.responses))) {}

ipc::RequestHeader RingClient::Header(ipc::Opcode opcode, std::uint32_t target) {
  ipc::RequestHeader header{};
  header.opcode = opcode;
  header.call_id = next_call_id_++;
  header.target = target;
  header.sequence = next_sequence_++;
  header.response_space = ipc::kMinResponseSpace;
  return header;
}

ipc::RequestHeader RingClient::Note(ipc::Opcode opcode, std::uint32_t call_id,
                                    std::uint32_t response_space) const {
  ipc::RequestHeader header{};
  header.opcode = opcode;
  header.call_id = call_id;
  header.response_space = response_space;
  return header;
}

bool RingClient::Append(const ipc::RequestHeader& header, std::string_view payload) {
  const std::string_view pieces[] = {payload};
  return Must(requests_.Append(header, pieces));
}

void RingClient::Publish() {
  if (requests_.PublishMustRing(view_.control->server_asleep, ipc::kServerSleeps) &&
      server_bell_ >= 0)
    RingEventFd(server_bell_);
}

ipc::RequestHeader RingClient::Send(const ipc::RequestHeader& header, std::string_view payload) {
  HEARTH_CHECK(Append(header, payload));
  Publish();
  return header;
}

void RingClient::RecordTouch(std::uint64_t hash) {
  const std::uint64_t tail = view_.control->touch_tail.LoadRelaxed();
  view_.touches[tail % view_.touches.size()].StoreRelaxed(hash);
  view_.control->touch_tail.StoreRelaxed(tail + 1);
}

std::vector<Answer> RingClient::Take(bool keep) {
  std::vector<Answer> answers = std::exchange(taken_, {});
  ipc::Record record;
  while (Must(responses_.Next(&record))) {
    Answer& answer = answers.emplace_back();
    answer.header = record.HeaderAs<ipc::ResponseHeader>();
    responses_.AppendTo(record, 0, &answer.payload);
  }
  if (!keep) responses_.Release();
  return answers;
}

std::optional<Answer> RingClient::Await(int timeout_ms) {
  if (taken_.empty()) taken_ = Take();
  while (taken_.empty()) {
    const ipc::Watch watch =
        responses_.DataWatch(view_.control->client_asleep, ipc::kClientWaitsForResponse);
    if (ipc::PrepareToSleep({&watch, 1})) {
      pollfd bell{client_bell_, POLLIN, 0};
      const int ready = ::poll(&bell, 1, timeout_ms);
      ipc::Withdraw({&watch, 1});
      if (ready == 0) return std::nullopt;
      if (!ipc::DrainBell(client_bell_)) return std::nullopt;
    }
    taken_ = Take();
  }
  Answer first = std::move(taken_.front());
  taken_.erase(taken_.begin());
  return first;
}

}  // namespace hearth::testing
