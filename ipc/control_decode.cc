// Packets of the control channel to plain structs.
#include <cstring>
#include <utility>

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include "core/base/utf8.h"
#include "ipc/control.capnp.h"
#include "ipc/control_message.h"
#include "ipc/control_socket.h"

namespace hearth::ipc {
namespace {

constexpr std::size_t kWordBytes = sizeof(capnp::word);
// The stream framing of one segment: number of segments - 1, words of the segment.
constexpr std::size_t kFramingBytes = 8;

std::string Bytes(capnp::Text::Reader text) { return {text.cStr(), text.size()}; }

// Longer than any namespace's name, so that a name that is too long stays one.
constexpr std::size_t kNameBytes = 64;

// For text that ends up on somebody's terminal or in a log.
std::string Printable(capnp::Text::Reader text) {
  std::string out = Bytes(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

shm::Uuid ReadUuid(capnp::Data::Reader data) {
  shm::Uuid uuid{};
  if (data.size() == uuid.size()) std::memcpy(uuid.data(), data.begin(), uuid.size());
  return uuid;
}

LayoutId Read(wire::Layout::Reader from) { return {from.getVersion(), from.getFingerprint()}; }

Hello Read(wire::Hello::Reader from) {
  Hello to;
  to.protocol_min = from.getProtocolMin();
  to.protocol_max = from.getProtocolMax();
  to.store_layout = Read(from.getStoreLayout());
  to.session_layout = Read(from.getSessionLayout());
  to.client_name = CutUtf8(Printable(from.getClientName()), kMaxClientNameBytes);
  to.client_version = CutUtf8(Printable(from.getClientVersion()), kMaxClientNameBytes);
  to.store = CutUtf8(Printable(from.getStore()), kMaxClientNameBytes);
  to.channels = from.getChannels();
  to.request_ring_bytes = from.getRequestRingBytes();
  to.response_ring_bytes = from.getResponseRingBytes();
  return to;
}

// The name of a namespace that is to be changed: it may end up in the log.
std::string Name(capnp::Text::Reader text) {
  return std::string(CutUtf8(Printable(text), kNameBytes));
}

ErrorReply Read(wire::Error::Reader from) {
  ErrorReply to;
  to.code = static_cast<Code>(from.getCode());
  to.message = Printable(from.getMessage());
  if (from.hasMismatch()) {
    const auto mismatch = from.getMismatch();
    to.mismatch = Mismatch{static_cast<Mismatch::Subject>(mismatch.getSubject()),
                           Printable(mismatch.getClient()), Printable(mismatch.getServer())};
  }
  return to;
}

Welcome Read(wire::Welcome::Reader from) {
  Welcome to;
  to.protocol = from.getProtocol();
  to.session_id = from.getSessionId();
  to.epoch = from.getEpoch();
  to.server_version = Printable(from.getServerVersion());
  to.store = Printable(from.getStore());
  to.store_uuid = ReadUuid(from.getStoreUuid());
  to.channels = from.getChannels();
  to.max_value_bytes = from.getMaxValueBytes();
  to.max_message_bytes = from.getMaxMessageBytes();
  to.server_pid = from.getServerPid();
  to.shared_uid = from.getSharedUid();
  return to;
}

NamespaceInfo Read(wire::NamespaceInfo::Reader from) {
  return {from.getId(), Printable(from.getName()), from.getWritable(), from.getMaxValueBytes(),
          from.getIncarnation()};
}

NamespaceSettings Read(wire::NamespaceSettings::Reader from) {
  return {Name(from.getName()),    from.getHardTtlMs(),     from.getSoftTtlMs(),
          from.getQuotaMinBytes(), from.getQuotaMaxBytes(), from.getRefuseWhenFull(),
          from.getStrict(),        from.getTinyLfu()};
}

MethodInfo Read(wire::MethodInfo::Reader from) { return {from.getId(), Printable(from.getName())}; }

NamespaceStatus Read(wire::NamespaceStatus::Reader from) {
  return {from.getId(),
          Printable(from.getName()),
          from.getUsedBytes(),
          from.getQuotaMaxBytes(),
          from.getHardTtlMs(),
          from.getSoftTtlMs(),
          from.getEvicts(),
          from.getStrict(),
          from.getQuotaMinBytes(),
          from.getTinyLfu()};
}

NamespaceList Read(wire::NamespaceList::Reader from) {
  NamespaceList to;
  for (const auto entry : from.getNamespaces()) to.namespaces.push_back(Read(entry));
  to.next_id = from.getNextId();
  return to;
}

StoreStatus Read(wire::StoreStatus::Reader from) {
  StoreStatus to;
  to.name = Printable(from.getName());
  to.uuid = ReadUuid(from.getUuid());
  to.bytes = from.getBytes();
  to.segment_bytes = from.getSegmentBytes();
  to.segments = from.getSegments();
  to.free_segments = from.getFreeSegments();
  to.entries = from.getEntries();
  to.live_bytes = from.getLiveBytes();
  to.evicted_entries = from.getEvictedEntries();
  to.index_pages = from.getIndexPages();
  for (const auto entry : from.getNamespaces()) to.namespaces.push_back(Read(entry));
  to.namespaces_omitted = from.getNamespacesOmitted();
  to.operations = from.getOperations();
  return to;
}

SessionStatus Read(wire::SessionStatus::Reader from) {
  return {from.getId(),
          from.getPid(),
          from.getUid(),
          Printable(from.getClientName()),
          Printable(from.getStore()),
          from.getChannels(),
          from.getOperations(),
          from.getConnectedMs()};
}

StatusReport Read(wire::Status::Reader from) {
  StatusReport to;
  to.server_version = Printable(from.getServerVersion());
  to.server_pid = from.getServerPid();
  to.epoch = from.getEpoch();
  to.uptime_ms = from.getUptimeMs();
  for (const auto store : from.getStores()) to.stores.push_back(Read(store));
  for (const auto session : from.getSessions()) to.sessions.push_back(Read(session));
  to.sessions_omitted = from.getSessionsOmitted();
  return to;
}

ClientMessage Read(wire::ClientMessage::Reader from) {
  ClientMessage to;
  to.request_id = from.getRequestId();
  switch (from.which()) {
    case wire::ClientMessage::HELLO: to.body = Read(from.getHello()); break;
    case wire::ClientMessage::OPEN_NAMESPACE:
      to.body = OpenNamespace{Bytes(from.getOpenNamespace().getName())};
      break;
    case wire::ClientMessage::OPEN_METHOD:
      to.body = OpenMethod{Bytes(from.getOpenMethod().getName())};
      break;
    case wire::ClientMessage::STATUS: to.body = StatusRequest{}; break;
    case wire::ClientMessage::CREATE_NAMESPACE:
      to.body = CreateNamespace{Read(from.getCreateNamespace())};
      break;
    case wire::ClientMessage::ALTER_NAMESPACE:
      to.body = AlterNamespace{Read(from.getAlterNamespace().getSettings()),
                               from.getAlterNamespace().getFields()};
      break;
    case wire::ClientMessage::DROP_NAMESPACE:
      to.body = DropNamespace{Name(from.getDropNamespace().getName())};
      break;
    case wire::ClientMessage::FLUSH_NAMESPACE:
      to.body = FlushNamespace{Name(from.getFlushNamespace().getName())};
      break;
    case wire::ClientMessage::LIST_NAMESPACES:
      to.body = ListNamespaces{from.getListNamespaces().getFromId()};
      break;
    default: to.body = UnknownRequest{static_cast<std::uint16_t>(from.which())}; break;
  }
  return to;
}

ServerMessage Read(wire::ServerMessage::Reader from) {
  ServerMessage to;
  to.request_id = from.getRequestId();
  switch (from.which()) {
    case wire::ServerMessage::ERROR: to.body = Read(from.getError()); break;
    case wire::ServerMessage::WELCOME: to.body = Read(from.getWelcome()); break;
    case wire::ServerMessage::NAMESPACE: to.body = Read(from.getNamespace()); break;
    case wire::ServerMessage::METHOD: to.body = Read(from.getMethod()); break;
    case wire::ServerMessage::STATUS: to.body = Read(from.getStatus()); break;
    case wire::ServerMessage::ENDED: to.body = Ended{Read(from.getEnded())}; break;
    case wire::ServerMessage::NAMESPACE_STATUS: to.body = Read(from.getNamespaceStatus()); break;
    case wire::ServerMessage::NAMESPACE_LIST: to.body = Read(from.getNamespaceList()); break;
    default: to.body = UnknownAnswer{static_cast<std::uint16_t>(from.which())}; break;
  }
  return to;
}

template <class Wire, class Message>
Result<Message> Decode(std::string_view packet) {
  if (packet.size() < kFramingBytes + kWordBytes || packet.size() > kMaxPacketBytes ||
      packet.size() % kWordBytes != 0)
    return Error(Code::kInvalidArgument, "a control packet of {} bytes", packet.size());
  std::uint32_t framing[2];
  std::memcpy(framing, packet.data(), sizeof(framing));
  if (framing[0] != 0 || kFramingBytes + std::uint64_t{framing[1]} * kWordBytes != packet.size())
    return Error(Code::kInvalidArgument,
                 "a control packet must be one message of exactly one segment");
  // Copied, for the alignment that Cap'n Proto needs.
  kj::Array<capnp::word> words = kj::heapArray<capnp::word>(packet.size() / kWordBytes);
  std::memcpy(words.asBytes().begin(), packet.data(), packet.size());
  capnp::ReaderOptions limits;
  limits.traversalLimitInWords = 8192;
  limits.nestingLimit = 16;
  try {
    capnp::FlatArrayMessageReader reader(words, limits);
    return Read(reader.getRoot<Wire>());
  } catch (const kj::Exception& error) {
    return Error(Code::kInvalidArgument, "a control packet cannot be read: {}",
                 error.getDescription().cStr());
  }
}

}  // namespace

Result<ClientMessage> DecodeClientMessage(std::string_view packet) {
  return Decode<wire::ClientMessage, ClientMessage>(packet);
}

Result<ServerMessage> DecodeServerMessage(std::string_view packet) {
  return Decode<wire::ServerMessage, ServerMessage>(packet);
}

}  // namespace hearth::ipc
