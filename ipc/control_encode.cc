// Plain structs to packets of the control channel.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include "core/base/utf8.h"
#include "ipc/control.capnp.h"
#include "ipc/control_message.h"
#include "ipc/control_socket.h"
#include "ipc/session_layout.h"

namespace hearth::ipc {
namespace {

constexpr std::size_t kWordBytes = sizeof(capnp::word);
// The stream framing of one segment: number of segments - 1, words of the segment.
constexpr std::size_t kFramingBytes = 8;
constexpr std::size_t kMaxSegmentWords = (kMaxPacketBytes - kFramingBytes) / kWordBytes;
static_assert(wire::MAX_PACKET_BYTES == kMaxPacketBytes);
static_assert(wire::PROTOCOL_VERSION == kProtocolVersion);
static_assert(static_cast<int>(wire::Mismatch::Subject::SESSION_LAYOUT) ==
              static_cast<int>(Mismatch::Subject::kSessionLayout));

void Write(const LayoutId& from, wire::Layout::Builder to) {
  to.setVersion(from.version);
  to.setFingerprint(from.fingerprint);
}

capnp::Text::Reader Text(const std::string& text) { return {text.c_str(), text.size()}; }
capnp::Data::Reader Data(const shm::Uuid& uuid) { return {uuid.data(), uuid.size()}; }

void Write(const Hello& from, wire::Hello::Builder to) {
  to.setProtocolMin(from.protocol_min);
  to.setProtocolMax(from.protocol_max);
  Write(from.store_layout, to.initStoreLayout());
  Write(from.session_layout, to.initSessionLayout());
  to.setClientName(Text(from.client_name));
  to.setClientVersion(Text(from.client_version));
  to.setStore(Text(from.store));
  to.setChannels(from.channels);
  to.setRequestRingBytes(from.request_ring_bytes);
  to.setResponseRingBytes(from.response_ring_bytes);
}

void Write(const ErrorReply& from, wire::Error::Builder to) {
  to.setCode(static_cast<std::uint16_t>(from.code));
  to.setMessage(Text(std::string(CutUtf8(from.message, kMaxErrorMessageBytes))));
  if (!from.mismatch) return;
  auto mismatch = to.initMismatch();
  mismatch.setSubject(static_cast<wire::Mismatch::Subject>(from.mismatch->subject));
  mismatch.setClient(Text(from.mismatch->client));
  mismatch.setServer(Text(from.mismatch->server));
}

void Write(const Welcome& from, wire::Welcome::Builder to) {
  to.setProtocol(from.protocol);
  to.setSessionId(from.session_id);
  to.setEpoch(from.epoch);
  to.setServerVersion(Text(from.server_version));
  to.setStore(Text(from.store));
  to.setStoreUuid(Data(from.store_uuid));
  to.setChannels(from.channels);
  to.setMaxValueBytes(from.max_value_bytes);
  to.setMaxMessageBytes(from.max_message_bytes);
  to.setServerPid(from.server_pid);
  to.setSharedUid(from.shared_uid);
}

void Write(const NamespaceInfo& from, wire::NamespaceInfo::Builder to) {
  to.setId(from.id);
  to.setName(Text(from.name));
  to.setWritable(from.writable);
  to.setMaxValueBytes(from.max_value_bytes);
  to.setIncarnation(from.incarnation);
}

void Write(const NamespaceSettings& from, wire::NamespaceSettings::Builder to) {
  to.setName(Text(from.name));
  to.setHardTtlMs(from.hard_ttl_ms);
  to.setSoftTtlMs(from.soft_ttl_ms);
  to.setQuotaMinBytes(from.quota_min_bytes);
  to.setQuotaMaxBytes(from.quota_max_bytes);
  to.setRefuseWhenFull(from.refuse_when_full);
  to.setStrict(from.strict);
  to.setTinyLfu(from.tiny_lfu);
}

void Write(const NamespaceStatus& from, wire::NamespaceStatus::Builder to) {
  to.setId(from.id);
  to.setName(Text(from.name));
  to.setUsedBytes(from.used_bytes);
  to.setQuotaMaxBytes(from.quota_max_bytes);
  to.setHardTtlMs(from.hard_ttl_ms);
  to.setSoftTtlMs(from.soft_ttl_ms);
  to.setEvicts(from.evicts);
  to.setStrict(from.strict);
  to.setQuotaMinBytes(from.quota_min_bytes);
  to.setTinyLfu(from.tiny_lfu);
}

void Write(const NamespaceList& from, wire::NamespaceList::Builder to) {
  auto list = to.initNamespaces(static_cast<unsigned>(from.namespaces.size()));
  for (unsigned i = 0; i < from.namespaces.size(); ++i) Write(from.namespaces[i], list[i]);
  to.setNextId(from.next_id);
}

void Write(const SessionStatus& from, wire::SessionStatus::Builder to) {
  to.setId(from.id);
  to.setPid(from.pid);
  to.setUid(from.uid);
  to.setClientName(Text(from.client_name));
  to.setStore(Text(from.store));
  to.setChannels(from.channels);
  to.setOperations(from.operations);
  to.setConnectedMs(from.connected_ms);
}

// Writes `namespaces` of the store's namespaces, and counts the others.
void Write(const StoreStatus& from, std::size_t namespaces, wire::StoreStatus::Builder to) {
  to.setName(Text(from.name));
  to.setUuid(Data(from.uuid));
  to.setBytes(from.bytes);
  to.setSegmentBytes(from.segment_bytes);
  to.setSegments(from.segments);
  to.setFreeSegments(from.free_segments);
  to.setEntries(from.entries);
  to.setLiveBytes(from.live_bytes);
  to.setEvictedEntries(from.evicted_entries);
  to.setIndexPages(from.index_pages);
  auto list = to.initNamespaces(static_cast<unsigned>(namespaces));
  for (unsigned i = 0; i < namespaces; ++i) Write(from.namespaces[i], list[i]);
  to.setNamespacesOmitted(from.namespaces_omitted +
                          static_cast<std::uint32_t>(from.namespaces.size() - namespaces));
  to.setOperations(from.operations);
}

// How much of a report is written: the first so many sessions, and the first so many namespaces
// counted over all stores.
struct ReportSize {
  std::size_t sessions;
  std::size_t namespaces;
};

ReportSize WholeReport(const StatusReport& report) {
  ReportSize size{report.sessions.size(), 0};
  for (const StoreStatus& store : report.stores) size.namespaces += store.namespaces.size();
  return size;
}

void Write(const StatusReport& from, ReportSize size, wire::Status::Builder to) {
  to.setServerVersion(Text(from.server_version));
  to.setServerPid(from.server_pid);
  to.setEpoch(from.epoch);
  to.setUptimeMs(from.uptime_ms);
  auto stores = to.initStores(static_cast<unsigned>(from.stores.size()));
  for (unsigned i = 0; i < from.stores.size(); ++i) {
    const std::size_t part = std::min(size.namespaces, from.stores[i].namespaces.size());
    size.namespaces -= part;
    Write(from.stores[i], part, stores[i]);
  }
  auto sessions = to.initSessions(static_cast<unsigned>(size.sessions));
  for (unsigned i = 0; i < size.sessions; ++i) Write(from.sessions[i], sessions[i]);
  to.setSessionsOmitted(from.sessions_omitted +
                        static_cast<std::uint32_t>(from.sessions.size() - size.sessions));
}

// Runs `fill` on a fresh message; nothing when the result does not fit into a packet.
template <class Wire, class Fill>
std::optional<std::string> TryEncode(const Fill& fill) {
  // A first segment of the greatest size: whatever overflows it has left the limit.
  kj::Array<capnp::word> scratch = kj::heapArray<capnp::word>(kMaxSegmentWords);
  std::memset(scratch.asBytes().begin(), 0, scratch.asBytes().size());
  try {
    capnp::MallocMessageBuilder message(scratch);
    fill(message.initRoot<Wire>());
    if (message.getSegmentsForOutput().size() != 1) return std::nullopt;
    const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
    const auto bytes = words.asChars();
    return std::string(bytes.begin(), bytes.size());
  } catch (const kj::Exception&) {
    return std::nullopt;  // a text or list longer than any packet
  }
}

template <class Wire, class Fill>
Result<std::string> EncodeOrFail(const Fill& fill) {
  std::optional<std::string> packet = TryEncode<Wire>(fill);
  if (!packet)
    return Error(Code::kInvalidArgument, "a control message does not fit into {} bytes",
                 kMaxPacketBytes);
  return std::move(*packet);
}

// The greatest n in [0, limit] for which encode(n) fits, given that less always fits better.
template <class Encode>
std::optional<std::string> EncodeMost(std::size_t limit, const Encode& encode) {
  std::optional<std::string> best = encode(limit);
  if (best) return best;
  std::size_t low = 0;
  std::size_t high = limit;  // does not fit
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (auto packet = encode(middle)) {
      best = std::move(packet);
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return best;
}

Result<std::string> EncodeReport(std::uint32_t request_id, const StatusReport& report) {
  const auto encode = [&](ReportSize size) {
    return TryEncode<wire::ServerMessage>([&](wire::ServerMessage::Builder to) {
      to.setRequestId(request_id);
      Write(report, size, to.initStatus());
    });
  };
  const ReportSize whole = WholeReport(report);
  auto packet = EncodeMost(whole.sessions, [&](std::size_t n) {
    return encode({n, whole.namespaces});
  });
  if (!packet) packet = EncodeMost(whole.namespaces, [&](std::size_t n) { return encode({0, n}); });
  if (!packet)
    return Error(Code::kInvalidArgument, "the status of {} stores does not fit into a packet",
                 report.stores.size());
  return std::move(*packet);
}

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

Status CannotEncode() {
  return Error(Code::kInvalidArgument, "a message of an unknown kind cannot be encoded");
}

}  // namespace

Result<std::string> EncodeClientMessage(const ClientMessage& message) {
  if (std::holds_alternative<UnknownRequest>(message.body)) return CannotEncode();
  return EncodeOrFail<wire::ClientMessage>([&](wire::ClientMessage::Builder to) {
    to.setRequestId(message.request_id);
    std::visit(
        Overloaded{
            [](const UnknownRequest&) {}, [&](const Hello& body) { Write(body, to.initHello()); },
            [&](const OpenNamespace& body) { to.initOpenNamespace().setName(Text(body.name)); },
            [&](const OpenMethod& body) { to.initOpenMethod().setName(Text(body.name)); },
            [&](const StatusRequest&) { to.initStatus(); },
            [&](const CreateNamespace& body) { Write(body.settings, to.initCreateNamespace()); },
            [&](const AlterNamespace& body) {
              auto alter = to.initAlterNamespace();
              Write(body.settings, alter.initSettings());
              alter.setFields(body.fields);
            },
            [&](const DropNamespace& body) { to.initDropNamespace().setName(Text(body.name)); },
            [&](const FlushNamespace& body) { to.initFlushNamespace().setName(Text(body.name)); },
            [&](const ListNamespaces& body) { to.initListNamespaces().setFromId(body.from_id); }},
        message.body);
  });
}

Result<std::string> EncodeServerMessage(const ServerMessage& message) {
  if (std::holds_alternative<UnknownAnswer>(message.body)) return CannotEncode();
  if (const auto* report = std::get_if<StatusReport>(&message.body))
    return EncodeReport(message.request_id, *report);
  return EncodeOrFail<wire::ServerMessage>([&](wire::ServerMessage::Builder to) {
    to.setRequestId(message.request_id);
    std::visit(
        Overloaded{[](const UnknownAnswer&) {}, [](const StatusReport&) {},
                   [&](const ErrorReply& body) { Write(body, to.initError()); },
                   [&](const Welcome& body) { Write(body, to.initWelcome()); },
                   [&](const NamespaceInfo& body) { Write(body, to.initNamespace()); },
                   [&](const MethodInfo& body) {
                     auto method = to.initMethod();
                     method.setId(body.id);
                     method.setName(Text(body.name));
                   },
                   [&](const Ended& body) { Write(body.reason, to.initEnded()); },
                   [&](const NamespaceStatus& body) { Write(body, to.initNamespaceStatus()); },
                   [&](const NamespaceList& body) { Write(body, to.initNamespaceList()); }},
        message.body);
  });
}

}  // namespace hearth::ipc
