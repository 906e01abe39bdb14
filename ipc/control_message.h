// The messages of the control channel as plain C++, and their way to and from packets. This is the
// only door to Cap'n Proto in the C++ code: no other header mentions it, and its exceptions end
// behind it. control.capnp says what each field means, PROTOCOL.md section 2 who sends what when.
//
// Decoding trusts nothing: exactly one segment that fills the packet, at most kMaxPacketBytes, at
// most 8,192 words traversed and 16 levels of nesting. Text that will be shown to people
// (names, versions, messages) has its control characters replaced by '?'.
//
// Thread safety: functions of their arguments.
#ifndef HEARTH_IPC_CONTROL_MESSAGE_H_
#define HEARTH_IPC_CONTROL_MESSAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/status.h"
#include "core/shm/region.h"

namespace hearth::ipc {

inline constexpr std::uint16_t kProtocolVersion = 1;
inline constexpr std::size_t kMaxClientNameBytes = 63;  // longer ones are cut when decoded

struct LayoutId {
  std::uint32_t version = 0;
  std::uint64_t fingerprint = 0;
  friend bool operator==(const LayoutId&, const LayoutId&) = default;
};

// ------------------------------------------------------------------------------ client to daemon
struct Hello {
  std::uint16_t protocol_min = kProtocolVersion;
  std::uint16_t protocol_max = kProtocolVersion;
  LayoutId store_layout;
  LayoutId session_layout;
  std::string client_name;
  std::string client_version;
  std::string store;  // empty: the default store
  std::uint16_t channels = 1;
  std::uint32_t request_ring_bytes = 0;
  std::uint32_t response_ring_bytes = 0;
};
struct OpenNamespace {
  std::string name;
};
struct OpenMethod {
  std::string name;
};
struct StatusRequest {};
struct NamespaceSettings {
  std::string name;
  std::uint64_t hard_ttl_ms = 0;
  std::uint64_t soft_ttl_ms = 0;
  std::uint64_t quota_min_bytes = 0;
  std::uint64_t quota_max_bytes = 0;
  bool refuse_when_full = false;
  bool strict = false;
  bool tiny_lfu = false;
};
struct CreateNamespace {
  NamespaceSettings settings;
};
// Bits of AlterNamespace::fields.
enum NamespaceField : std::uint32_t {
  kFieldHardTtl = 1U << 1U,
  kFieldSoftTtl = 1U << 2U,
  kFieldQuotaMin = 1U << 3U,
  kFieldQuotaMax = 1U << 4U,
  kFieldRefuseWhenFull = 1U << 5U,
  kFieldStrict = 1U << 6U,
  kFieldTinyLfu = 1U << 7U,
  kAllNamespaceFields = 0xfe,
};
struct AlterNamespace {
  NamespaceSettings settings;
  std::uint32_t fields = 0;
};
struct DropNamespace {
  std::string name;
};
struct FlushNamespace {
  std::string name;
};
struct ListNamespaces {
  std::uint16_t from_id = 0;
};
// A request of a later protocol: answer UNIMPLEMENTED.
struct UnknownRequest {
  std::uint16_t discriminant = 0;
};

struct ClientMessage {
  std::uint32_t request_id = 0;
  std::variant<UnknownRequest, Hello, OpenNamespace, OpenMethod, StatusRequest, CreateNamespace,
               AlterNamespace, DropNamespace, FlushNamespace, ListNamespaces>
      body;
};

// ------------------------------------------------------------------------------ daemon to client
struct Mismatch {
  enum class Subject : std::uint16_t { kProtocol = 0, kStoreLayout = 1, kSessionLayout = 2 };
  Subject subject = Subject::kProtocol;
  std::string client;  // both versions, for people
  std::string server;
};
struct ErrorReply {
  Code code = Code::kUnknown;
  std::string message;
  std::optional<Mismatch> mismatch;

  // The same as a Status; the message of a mismatch names both sides.
  Status ToStatus() const;
};
// The session is over; the socket closes next.
struct Ended {
  ErrorReply reason;
};
struct Welcome {
  std::uint16_t protocol = 0;
  std::uint64_t session_id = 0;
  std::uint64_t epoch = 0;
  std::string server_version;
  std::string store;
  shm::Uuid store_uuid{};
  std::uint16_t channels = 0;
  std::uint64_t max_value_bytes = 0;
  std::uint64_t max_message_bytes = 0;
  std::uint32_t server_pid = 0;
  bool shared_uid = false;
};
struct NamespaceInfo {
  std::uint16_t id = 0;
  std::string name;
  bool writable = false;
  std::uint64_t max_value_bytes = 0;
  std::uint16_t incarnation = 0;

  // What requests and lookups call it.
  std::uint32_t handle() const { return std::uint32_t{incarnation} << 16U | id; }
};
struct MethodInfo {
  std::uint32_t id = 0;
  std::string name;
};
struct NamespaceStatus {
  std::uint16_t id = 0;
  std::string name;
  std::uint64_t used_bytes = 0;
  std::uint64_t quota_max_bytes = 0;
  std::uint64_t hard_ttl_ms = 0;
  std::uint64_t soft_ttl_ms = 0;
  bool evicts = false;
  bool strict = false;
  std::uint64_t quota_min_bytes = 0;
  bool tiny_lfu = false;
};
struct NamespaceList {
  std::vector<NamespaceStatus> namespaces;  // at most kNamespacesPerList
  std::uint32_t next_id = 0;                // where to go on; 0 = these were the last
};
// Fits into a packet whatever the names.
inline constexpr std::size_t kNamespacesPerList = 256;
struct StoreStatus {
  std::string name;
  shm::Uuid uuid{};
  std::uint64_t bytes = 0;
  std::uint32_t segment_bytes = 0;
  std::uint32_t segments = 0;
  std::uint32_t free_segments = 0;
  std::uint64_t entries = 0;
  std::uint64_t live_bytes = 0;
  std::uint64_t evicted_entries = 0;
  std::uint64_t index_pages = 0;
  std::vector<NamespaceStatus> namespaces;
  std::uint32_t namespaces_omitted = 0;
  std::uint64_t operations = 0;
};
struct SessionStatus {
  std::uint64_t id = 0;
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  std::string client_name;
  std::string store;
  std::uint16_t channels = 0;
  std::uint64_t operations = 0;
  std::uint64_t connected_ms = 0;
};
struct StatusReport {
  std::string server_version;
  std::uint32_t server_pid = 0;
  std::uint64_t epoch = 0;
  std::uint64_t uptime_ms = 0;
  std::vector<StoreStatus> stores;
  std::vector<SessionStatus> sessions;
  std::uint32_t sessions_omitted = 0;
};
// An answer of a later protocol; to be ignored.
struct UnknownAnswer {
  std::uint16_t discriminant = 0;
};

struct ServerMessage {
  std::uint32_t request_id = 0;
  std::variant<UnknownAnswer, ErrorReply, Welcome, NamespaceInfo, MethodInfo, StatusReport, Ended,
               NamespaceStatus, NamespaceList>
      body;
};

// ---------------------------------------------------------------------------------------- packets
// kInvalidArgument when the message does not fit into a packet, or is an Unknown*.
Result<std::string> EncodeClientMessage(const ClientMessage& message);
// The same. A StatusReport that does not fit leaves out sessions from the end, then namespaces from
// the end, and adds their number to the *_omitted fields. Error messages are cut to 448 bytes.
Result<std::string> EncodeServerMessage(const ServerMessage& message);

// kInvalidArgument when the packet breaks the limits or is not such a message.
Result<ClientMessage> DecodeClientMessage(std::string_view packet);
Result<ServerMessage> DecodeServerMessage(std::string_view packet);

// Compares what a Hello states with what this build speaks: nothing when it fits, otherwise the
// answer to send (FAILED_PRECONDITION with a Mismatch).
std::optional<ErrorReply> CheckHello(const Hello& hello, const LayoutId& store_layout,
                                     const LayoutId& session_layout);

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_CONTROL_MESSAGE_H_
