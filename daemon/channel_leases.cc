// The operations of a channel by which one client of the host loads a key and the others wait for
// it: lease, fill, release. PROTOCOL.md section 6, "Leases".
#include <cstdint>
#include <string_view>

#include "daemon/channel_server.h"
#include "daemon/request_body.h"

namespace hearth::daemon {
namespace {

Status KnownAbsent() { return Error(Code::kNotFound, "the key is known to be absent"); }

// What follows the body of a fill, if it is what the body says.
Status CheckFill(const ipc::FillBody& body, std::string_view rest) {
  if (std::uint64_t{body.key_length} + body.value_length != rest.size())
    return Malformed("key and value do not fill the payload");
  if ((body.flags & ~ipc::kFillAbsent) != 0) return Malformed("unknown flags of a fill");
  if ((body.flags & ipc::kFillAbsent) != 0 && (body.value_length != 0 || body.soft_ttl_ms != 0))
    return Malformed("an absent key with a value or a soft TTL");
  return Status::Ok();
}

}  // namespace

// REQUIRES: the namespace is there (CheckNamespace).
std::uint64_t ChannelServer::FlushedVersion(std::uint32_t handle) const {
  return environment_.writer->view()
      .namespace_record(cache::NamespaceIdOf(handle))
      .flushed_version.LoadRelaxed();
}

// A holder who may no longer fill, because the namespace is gone, has nobody wait for it.
Status ChannelServer::RefuseHolder(const ipc::RequestHeader& request, const LeaseTable::Key& key,
                                   std::uint64_t token, const Status& why) {
  if (environment_.leases->Owns(session_->id, key, token)) environment_.leases->End(key);
  return Refuse(request, why);
}

void ChannelServer::Changed(const ipc::RequestHeader& request, std::string_view key) {
  environment_.leases->End({.namespace_id = request.target, .key = key});
}

Status ChannelServer::ExecuteLease(const ipc::RequestHeader& request) {
  std::string_view rest = payload_;
  ipc::LeaseBody body;
  if (!TakeBody(&rest, &body)) return Refuse(request, Malformed("a lease without its body"));
  if (body.key_length != rest.size())
    return Refuse(request, Malformed("the key does not fill the payload"));
  if ((body.flags & ~ipc::kLeaseNoWait) != 0)
    return Refuse(request, Malformed("unknown flags of a lease"));
  // Who may not fill in what he loads must not keep others from doing so.
  if (const Status allowed = MayWrite(request.target); !allowed.ok())
    return Refuse(request, allowed);
  if (const Status valid = CheckKeyLength(rest); !valid.ok()) return Refuse(request, valid);
  return ValueOrLease(request, rest, (body.flags & ipc::kLeaseNoWait) == 0);
}

Status ChannelServer::ValueOrLease(const ipc::RequestHeader& request, std::string_view key,
                                   bool wait) {
  cache::StoreWriter& writer = *environment_.writer;
  const cache::ReadResult read =
      writer.Get(static_cast<std::uint16_t>(request.target), key, &response_);
  const bool hit = read.outcome == cache::ReadOutcome::kHit;
  if (read.negative || (hit && !read.stale)) return AnswerRead(request, read);
  LeaseTable& leases = *environment_.leases;
  const LeaseTable::Key what{.namespace_id = request.target, .key = key};
  const LeaseTable::Asker asker{
      .channel = this, .session = session_->id, .budget = budget_, .request = request};
  ipc::ResponseHeader header = HeaderOf(request);
  if (hit) header.version = read.version;
  if (leases.Held(what, FlushedVersion(request.target))) {
    if (wait) {
      const Status parked = leases.Park(asker, what);
      return parked.ok() ? Status::Ok() : Refuse(request, parked);
    }
    header.status = static_cast<std::uint16_t>(Code::kAlreadyExists);
    const std::string_view pieces[] = {"another client is loading the key"};
    return responses_.Send(header, pieces, request.response_space);
  }
  const auto token = leases.Grant(asker, what, FlushedVersion(request.target));
  if (!token.ok()) return Refuse(request, token.status());
  header.number = *token;
  return responses_.Send(header, {}, request.response_space);
}

Status ChannelServer::ExecuteFill(const ipc::RequestHeader& request) {
  std::string_view rest = payload_;
  ipc::FillBody body;
  if (!TakeBody(&rest, &body)) return Refuse(request, Malformed("a fill without its body"));
  if (const Status right = CheckFill(body, rest); !right.ok()) return Refuse(request, right);
  const auto id = static_cast<std::uint16_t>(request.target);
  const std::string_view key = rest.substr(0, body.key_length);
  const LeaseTable::Key what{.namespace_id = request.target, .key = key};
  if (const Status allowed = MayWrite(request.target); !allowed.ok())
    return RefuseHolder(request, what, body.token, allowed);
  if (!environment_.leases->Valid(session_->id, what, body.token, FlushedVersion(request.target)))
    return AnswerLeaseOver(request, what, body.token);
  cache::StoreWriter& writer = *environment_.writer;
  const cache::Origin origin = OriginOf(request);
  const bool absent = (body.flags & ipc::kFillAbsent) != 0;
  Result<std::uint64_t> version =
      !absent                 ? writer.Set(id, key, rest.substr(body.key_length),
                                           {.hard_ms = body.hard_ttl_ms, .soft_ms = body.soft_ttl_ms}, origin)
      : body.hard_ttl_ms != 0 ? writer.SetAbsent(id, key, body.hard_ttl_ms, origin)
                              : writer.Delete(id, key, origin);
  // A stale value may have been there, or nothing.
  if (absent && !version.ok() && version.status().code() == Code::kNotFound)
    version = std::uint64_t{0};
  // Also after a refusal: what cannot be stored is not worth loading again with the same lease.
  environment_.leases->End(what, absent && version.ok());
  return AnswerVersion(request, version);
}

Status ChannelServer::ExecuteRelease(const ipc::RequestHeader& request) {
  std::string_view rest = payload_;
  ipc::ReleaseBody body;
  if (!TakeBody(&rest, &body)) return Refuse(request, Malformed("a release without its body"));
  if (body.key_length != rest.size())
    return Refuse(request, Malformed("the key does not fill the payload"));
  const LeaseTable::Key what{.namespace_id = request.target, .key = rest};
  if (const Status known = CheckNamespace(request.target); !known.ok())
    return RefuseHolder(request, what, body.token, known);
  if (!environment_.leases->Valid(session_->id, what, body.token, FlushedVersion(request.target)))
    return AnswerLeaseOver(request, what, body.token);
  environment_.leases->End(what);
  return Answer(request, 0);
}

Status ChannelServer::AnswerLeaseOver(const ipc::RequestHeader& request, const LeaseTable::Key& key,
                                      std::uint64_t token) {
  // Of a lease that a flush has voided: nobody needs to wait for it any longer.
  if (environment_.leases->Owns(session_->id, key, token)) environment_.leases->End(key);
  return Refuse(request,
                Error(Code::kAborted,
                      "the lease is over: the key was changed meanwhile, the deadline of the "
                      "request that got it has passed, or it was never this session's"),
                Execution::kDone);
}

Status ChannelServer::AnswerParked(const LeaseTable::Ready& ready) {
  Status status;
  switch (ready.why) {
    case LeaseTable::Ready::Why::kFree: {
      // It may have been dropped while the request waited, and its id be another's.
      const Status allowed = MayWrite(ready.request.target);
      status = allowed.ok() ? ValueOrLease(ready.request, ready.key, /*wait=*/true)
                            : Refuse(ready.request, allowed);
      break;
    }
    case LeaseTable::Ready::Why::kAbsent:
      status = Refuse(ready.request, KnownAbsent(), Execution::kDone);
      break;
    case LeaseTable::Ready::Why::kExpired:
      status = Refuse(ready.request, Error(Code::kDeadlineExceeded,
                                           "the deadline passed while another client was loading "
                                           "the key"));
      break;
  }
  // Also before an error: what was appended may be an answer to an earlier request.
  if (responses_.has_unpublished() && responses_.PublishMustRing(control_->client_asleep))
    RingPipe(session_->client_doorbells[channel_].get());
  return status;
}

}  // namespace hearth::daemon
