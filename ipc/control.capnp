# The messages of Hearth's control channel: a SOCK_SEQPACKET Unix socket on which each packet holds
# one message, framed as one segment, at most 64 KiB. PROTOCOL.md section 2 says who sends what when.
#
# Evolution: fields and union members are only ever added. A receiver ignores fields it does not
# know and answers an unknown request with UNIMPLEMENTED.
@0xe71c6cf179684447;

using Cxx = import "/capnp/c++.capnp";
using Go = import "go.capnp";
$Cxx.namespace("hearth::ipc::wire");
$Go.package("controlwire");
$Go.import("github.com/hearthd/hearth/go-binding/internal/controlwire");

const protocolVersion :UInt16 = 1;
# The version this schema describes. A change that an older peer cannot ignore counts it up.

const maxPacketBytes :UInt32 = 65536;

struct ClientMessage {
  # What a client sends. Each is answered by exactly one ServerMessage with the same requestId.
  requestId @0 :UInt32;
  union {
    hello @1 :Hello;
    openNamespace @2 :OpenNamespace;
    openMethod @3 :OpenMethod;
    status @4 :StatusRequest;
    createNamespace @5 :NamespaceSettings;
    alterNamespace @6 :AlterNamespace;
    dropNamespace @7 :NamespaceName;
    flushNamespace @8 :NamespaceName;
    # These four are answered with namespaceStatus when they are done, which may be after the answers
    # to later requests.
    listNamespaces @9 :ListNamespaces;
  }
}

struct ServerMessage {
  requestId @0 :UInt32;
  # Of the request it answers; 0 for `ended`, which answers none.
  union {
    error @1 :Error;
    welcome @2 :Welcome;
    namespace @3 :NamespaceInfo;
    method @4 :MethodInfo;
    status @5 :Status;
    ended @6 :Error;
    # The session is over, and why; the socket is closed next.
    namespaceStatus @7 :NamespaceStatus;
    # The namespace that was created, altered, dropped or flushed, as it is afterwards.
    namespaceList @8 :NamespaceList;
  }
}

struct Layout {
  version @0 :UInt32;
  fingerprint @1 :UInt64;
}

struct Hello {
  # The first message on a connection.
  protocolMin @0 :UInt16;
  protocolMax @1 :UInt16;
  storeLayout @2 :Layout;
  sessionLayout @3 :Layout;
  # What the client was generated with; compared with the daemon's before anything is mapped.
  clientName @4 :Text;
  # For people: what `hearth status` shows. At most 63 bytes are kept.
  clientVersion @5 :Text;
  store @6 :Text;
  # Name of the store to attach to; empty for the default store.
  channels @7 :UInt16;
  # Wanted number of channels, 0 for a connection without session region (administration only).
  # The daemon may grant fewer.
  requestRingBytes @8 :UInt32;
  responseRingBytes @9 :UInt32;
  # Wanted sizes; rounded up to a power of two and limited by the daemon. 0 for its default.
}

struct Welcome {
  # Sent when everything is ready. Descriptors travel with the same packet, in this order:
  # session region, server doorbell (eventfd), one client doorbell (pipe, read end) per channel,
  # store (read-only). None of them when the Hello asked for no channels.
  protocol @0 :UInt16;
  sessionId @1 :UInt64;
  epoch @2 :UInt64;
  serverVersion @3 :Text;
  store @4 :Text;
  storeUuid @5 :Data;
  channels @6 :UInt16;
  maxValueBytes @7 :UInt64;
  maxMessageBytes @8 :UInt64;
  serverPid @9 :UInt32;
  sharedUid @10 :Bool;
  # The peer has the daemon's own uid, so the kernel cannot keep it from writing to the store.
}

struct OpenNamespace {
  name @0 :Text;
}

struct NamespaceInfo {
  id @0 :UInt16;
  name @1 :Text;
  writable @2 :Bool;
  maxValueBytes @3 :UInt64;
  incarnation @4 :UInt16;
  # How many namespaces have had the id before. Requests name a namespace by both.
}

struct NamespaceSettings {
  name @0 :Text;
  hardTtlMs @1 :UInt64;
  softTtlMs @2 :UInt64;
  # Of entries that ask for none; 0 = none.
  quotaMinBytes @3 :UInt64;
  quotaMaxBytes @4 :UInt64;
  # 0 = the whole store.
  refuseWhenFull @5 :Bool;
  # Instead of evicting.
  strict @6 :Bool;
  tinyLfu @7 :Bool;
  # Admission by frequency.
}

struct AlterNamespace {
  settings @0 :NamespaceSettings;
  fields @1 :UInt32;
  # Which settings change, the others stay: bit N is the field @N of NamespaceSettings. Bit 0, the
  # name, and unknown bits are INVALID_ARGUMENT.
}

struct NamespaceName {
  name @0 :Text;
}

struct ListNamespaces {
  fromId @0 :UInt16;
}

struct NamespaceList {
  namespaces @0 :List(NamespaceStatus);
  # By id.
  nextId @1 :UInt32;
  # Where to go on; 0 = these were the last.
}

struct OpenMethod {
  name @0 :Text;
}

struct MethodInfo {
  id @0 :UInt32;
  name @1 :Text;
}

struct Error {
  code @0 :UInt16;
  # A canonical code; PROTOCOL.md section 7 lists them.
  message @1 :Text;
  mismatch @2 :Mismatch;
  # Null but for FAILED_PRECONDITION at the handshake.
}

struct Mismatch {
  subject @0 :Subject;
  client @1 :Text;
  server @2 :Text;
  # Both versions, for people: "protocol 2..3", "layout 1 (6f6b1e...)".

  enum Subject {
    protocol @0;
    storeLayout @1;
    sessionLayout @2;
  }
}

struct StatusRequest {
}

struct Status {
  serverVersion @0 :Text;
  serverPid @1 :UInt32;
  epoch @2 :UInt64;
  uptimeMs @3 :UInt64;
  stores @4 :List(StoreStatus);
  sessions @5 :List(SessionStatus);
  sessionsOmitted @6 :UInt32;
  # Sessions that did not fit in the packet.
}

struct StoreStatus {
  name @0 :Text;
  uuid @1 :Data;
  bytes @2 :UInt64;
  # Of the whole memory file.
  segmentBytes @3 :UInt32;
  segments @4 :UInt32;
  freeSegments @5 :UInt32;
  entries @6 :UInt64;
  liveBytes @7 :UInt64;
  evictedEntries @8 :UInt64;
  indexPages @9 :UInt64;
  namespaces @10 :List(NamespaceStatus);
  namespacesOmitted @11 :UInt32;
  operations @12 :UInt64;
  # Requests the writer has executed in this daemon's life.
}

struct NamespaceStatus {
  id @0 :UInt16;
  name @1 :Text;
  usedBytes @2 :UInt64;
  quotaMaxBytes @3 :UInt64;
  # 0 = the whole store.
  hardTtlMs @4 :UInt64;
  softTtlMs @5 :UInt64;
  evicts @6 :Bool;
  strict @7 :Bool;
  quotaMinBytes @8 :UInt64;
  tinyLfu @9 :Bool;
}

struct SessionStatus {
  id @0 :UInt64;
  pid @1 :UInt32;
  uid @2 :UInt32;
  clientName @3 :Text;
  store @4 :Text;
  channels @5 :UInt16;
  operations @6 :UInt64;
  connectedMs @7 :UInt64;
}
