// The operations of a channel that write a value: set, add, replace, compare-and-swap, increment,
// append. Their bodies are checked here, their rules are StoreWriter's.
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/cache/operations.h"
#include "daemon/channel_server.h"
#include "daemon/request_body.h"

namespace hearth::daemon {
namespace {

// Whether key and value of these lengths are exactly what follows the body.
bool Fill(std::string_view rest, std::uint32_t key_length, std::uint32_t value_length) {
  return std::uint64_t{key_length} + value_length == rest.size();
}

}  // namespace

Status ChannelServer::ExecuteSet(const ipc::RequestHeader& request) {
  std::string_view rest = payload_;
  ipc::SetBody body;
  if (!TakeBody(&rest, &body)) return Refuse(request, Malformed("a set without its body"));
  if (!Fill(rest, body.key_length, body.value_length))
    return Refuse(request, Malformed("key and value do not fill the payload"));
  if (body.mode > ipc::kSetIfPresent) return Refuse(request, Malformed("unknown mode of a set"));
  if (const Status allowed = MayWrite(request.target); !allowed.ok())
    return Refuse(request, allowed);
  const auto id = static_cast<std::uint16_t>(request.target);
  const std::string_view key = rest.substr(0, body.key_length);
  const std::string_view value = rest.substr(body.key_length);
  const cache::Ttl ttl{.hard_ms = body.hard_ttl_ms, .soft_ms = body.soft_ttl_ms};
  cache::StoreWriter& writer = *environment_.writer;
  switch (body.mode) {
    case ipc::kSetIfAbsent:
      return AnswerOutcome(request, key, writer.Add(id, key, value, ttl, OriginOf(request)));
    case ipc::kSetIfPresent:
      return AnswerOutcome(request, key, writer.Replace(id, key, value, ttl, OriginOf(request)));
    default: break;
  }
  const Result<std::uint64_t> version = writer.Set(id, key, value, ttl, OriginOf(request));
  if (version.ok()) Changed(request, key);
  return AnswerVersion(request, version);
}

Status ChannelServer::ExecuteCompareAndSwap(const ipc::RequestHeader& request) {
  std::string_view rest = payload_;
  ipc::CasBody body;
  if (!TakeBody(&rest, &body))
    return Refuse(request, Malformed("a compare-and-swap without its body"));
  if (!Fill(rest, body.key_length, body.value_length))
    return Refuse(request, Malformed("key and value do not fill the payload"));
  if (const Status allowed = MayWrite(request.target); !allowed.ok())
    return Refuse(request, allowed);
  const std::string_view key = rest.substr(0, body.key_length);
  return AnswerOutcome(
      request, key,
      environment_.writer->CompareAndSwap(
          static_cast<std::uint16_t>(request.target), key, body.expected_version,
          rest.substr(body.key_length), {.hard_ms = body.hard_ttl_ms, .soft_ms = body.soft_ttl_ms},
          OriginOf(request)));
}

Status ChannelServer::ExecuteIncrement(const ipc::RequestHeader& request) {
  std::string_view rest = payload_;
  ipc::IncrementBody body;
  if (!TakeBody(&rest, &body)) return Refuse(request, Malformed("an increment without its body"));
  if (body.key_length != rest.size())
    return Refuse(request, Malformed("the key does not fill the payload"));
  if ((body.flags & ~ipc::kIncrementHasInitial) != 0)
    return Refuse(request, Malformed("unknown flags of an increment"));
  cache::CounterChange change{.delta = static_cast<std::int64_t>(body.delta),
                              .initial = std::nullopt,
                              .ttl = {.hard_ms = body.hard_ttl_ms, .soft_ms = body.soft_ttl_ms}};
  if ((body.flags & ipc::kIncrementHasInitial) != 0) {
    change.initial = static_cast<std::int64_t>(body.initial);
  } else if (body.initial != 0) {
    return Refuse(request, Malformed("an initial value without its flag"));
  }
  if (const Status allowed = MayWrite(request.target); !allowed.ok())
    return Refuse(request, allowed);
  return AnswerOutcome(request, rest,
                       environment_.writer->Increment(static_cast<std::uint16_t>(request.target),
                                                      rest, change, OriginOf(request)));
}

Status ChannelServer::ExecuteAppend(const ipc::RequestHeader& request) {
  std::string_view rest = payload_;
  ipc::AppendBody body;
  if (!TakeBody(&rest, &body)) return Refuse(request, Malformed("an append without its body"));
  if (!Fill(rest, body.key_length, body.value_length))
    return Refuse(request, Malformed("key and bytes do not fill the payload"));
  if (const Status allowed = MayWrite(request.target); !allowed.ok())
    return Refuse(request, allowed);
  const std::string_view key = rest.substr(0, body.key_length);
  return AnswerOutcome(
      request, key,
      environment_.writer->AppendValue(static_cast<std::uint16_t>(request.target), key,
                                       rest.substr(body.key_length), OriginOf(request)));
}

// That the namespace exists was checked before: NOT_FOUND here is about the key.
Status ChannelServer::AnswerOutcome(const ipc::RequestHeader& request, std::string_view key,
                                    const cache::Outcome& outcome) {
  if (outcome.ok()) Changed(request, key);
  const Code code = outcome.status.code();
  const bool executed = outcome.ok() || cache::IsVerdict(code);
  ipc::ResponseHeader header = HeaderOf(request);
  header.status = static_cast<std::uint16_t>(code);
  header.execution =
      static_cast<std::uint8_t>(executed ? Execution::kDone : Execution::kNotStarted);
  header.version = outcome.version;
  header.number = static_cast<std::uint64_t>(outcome.number);
  const std::string_view pieces[] = {outcome.status.message()};
  return responses_.Send(header, pieces, request.response_space);
}

}  // namespace hearth::daemon
