#include "ipc/client/session.h"

#include <fcntl.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "core/base/clock.h"
#include "ipc/session_layout.h"

namespace hearth::ipc {
namespace {

constexpr std::uint64_t kNanosPerSecond = 1'000'000'000;

Status NoTimeLeft() { return Error(Code::kDeadlineExceeded, "hearthd did not answer in time"); }

// The daemon made the pipe, and our end of it has an open file description that only we use; it is
// made non-blocking here in case the daemon did not.
Status MakeNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
    return ErrnoStatus(errno, "cannot prepare a doorbell");
  return Status::Ok();
}

}  // namespace

Deadline DeadlineAfter(std::chrono::nanoseconds timeout) {
  const std::uint64_t now = MonotonicNanosNow();
  const auto nanos = static_cast<std::uint64_t>(timeout.count() < 0 ? 0 : timeout.count());
  return nanos > ~std::uint64_t{0} - now ? ~std::uint64_t{0} : now + nanos;
}

Status PollUntil(std::span<pollfd> descriptors, Deadline deadline) {
  while (true) {
    const std::uint64_t now = MonotonicNanosNow();
    if (now >= deadline) return NoTimeLeft();
    const std::uint64_t left = deadline - now;
    timespec timeout{};
    timeout.tv_sec = static_cast<time_t>(left / kNanosPerSecond);
    timeout.tv_nsec = static_cast<long>(left % kNanosPerSecond);
    const int ready = ::ppoll(descriptors.data(), descriptors.size(), &timeout, nullptr);
    if (ready > 0) return Status::Ok();
    if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, "cannot wait for hearthd");
  }
}

Result<std::unique_ptr<ClientSession>> ClientSession::Open(const std::string& path, Hello hello,
                                                           std::chrono::milliseconds timeout) {
  const Deadline deadline = DeadlineAfter(timeout);
  HEARTH_ASSIGN(ControlSocket socket, ControlSocket::Connect(path, timeout));
  std::unique_ptr<ClientSession> session(new ClientSession(std::move(socket)));
  HEARTH_TRY(session->Shake(std::move(hello), deadline));
  return session;
}

Status ClientSession::Shake(Hello hello, Deadline deadline) {
  const std::uint16_t wanted = hello.channels;
  hello.session_layout = LayoutId{kSessionLayoutVersion, kSessionFingerprint};
  ClientMessage request;
  request.body = std::move(hello);
  HEARTH_ASSIGN(ServerMessage answer, Ask(std::move(request), deadline));
  auto* welcome = std::get_if<Welcome>(&answer.body);
  if (welcome == nullptr)
    return Error(Code::kDataLoss, "hearthd answered the greeting with something else");
  welcome_ = std::move(*welcome);
  if (wanted == 0) return Status::Ok();
  if (welcome_.channels == 0 || welcome_.channels > wanted)
    return Error(Code::kDataLoss, "asked for {} channels, hearthd granted {}", wanted,
                 welcome_.channels);
  return TakeDescriptors(std::move(descriptors_));
}

Status ClientSession::TakeDescriptors(std::vector<UniqueFd> descriptors) {
  if (descriptors.size() != 3U + welcome_.channels)
    return Error(Code::kDataLoss, "hearthd sent {} descriptors for {} channels", descriptors.size(),
                 welcome_.channels);
  HEARTH_ASSIGN(SessionRegion region, SessionRegion::Attach(std::move(descriptors[0])));
  if (region.geometry().channels != welcome_.channels ||
      region.geometry().session_id != welcome_.session_id)
    return Error(Code::kDataLoss, "the session region is not the one hearthd announced");
  region_ = std::move(region);
  server_bell_ = std::move(descriptors[1]);
  for (std::size_t i = 0; i < welcome_.channels; ++i) {
    HEARTH_TRY(MakeNonBlocking(descriptors[2 + i].get()));
    client_bells_.push_back(std::move(descriptors[2 + i]));
  }
  store_ = std::move(descriptors.back());
  return Status::Ok();
}

Status ClientSession::WaitForPacket(short events, Deadline deadline) {
  pollfd waiting[] = {{socket_.fd(), events, 0}};
  return PollUntil(waiting, deadline);
}

Result<ServerMessage> ClientSession::Ask(ClientMessage request, Deadline deadline) {
  if (end_) return end_->reason;
  request.request_id = next_request_id_++;
  if (next_request_id_ == 0) next_request_id_ = 1;
  HEARTH_ASSIGN(const std::string packet, EncodeClientMessage(request));
  while (true) {
    Result<bool> sent = socket_.Send(packet);
    // A daemon that refuses us may close before it has read all; its answer says why.
    if (!sent.ok()) break;
    if (*sent) break;
    HEARTH_TRY(WaitForPacket(POLLOUT, deadline));
  }
  awaited_id_ = request.request_id;
  answer_.reset();
  while (!answer_) {
    ReadControl();
    if (answer_) break;
    if (end_) return end_->reason;
    HEARTH_TRY(WaitForPacket(POLLIN, deadline));
  }
  awaited_id_ = 0;
  ServerMessage answer = std::move(*answer_);
  answer_.reset();
  if (const auto* error = std::get_if<ErrorReply>(&answer.body)) return error->ToStatus();
  return answer;
}

void ClientSession::ReadControl() {
  while (!end_) {
    Packet packet;
    Result<Received> received = socket_.Receive(&packet, kMaxDescriptors);
    if (!received.ok()) return Break(std::move(received).status());
    if (*received == Received::kNothingYet) return;
    if (*received == Received::kClosed)
      return Break(Error(Code::kUnavailable, "hearthd closed the session without saying why"));
    Result<ServerMessage> message = DecodeServerMessage(packet.bytes);
    if (!message.ok()) return Break(std::move(message).status().WithContext("hearthd"));
    if (const auto* ended = std::get_if<Ended>(&message->body)) {
      end_ = SessionEnd{ended->reason.ToStatus(), true};
      return;
    }
    // Late answers, of requests that were given up, and later protocols' news.
    if (awaited_id_ == 0 || message->request_id != awaited_id_) continue;
    answer_ = std::move(*message);
    descriptors_ = std::move(packet.descriptors);
    return;
  }
}

void ClientSession::Break(Status reason) {
  if (!end_) end_ = SessionEnd{std::move(reason), false};
}

}  // namespace hearth::ipc
