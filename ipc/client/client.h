// The C++ client of hearthd, for the command line tools and tests. (Services use the Go client.)
//
//   HEARTH_ASSIGN(auto client, Client::Connect({.socket_path = path, .name = "prewarm"}));
//   HEARTH_ASSIGN(auto users, client->OpenNamespace("users"));
//   Reply reply = client->Get(users.handle(), "42");
//   if (reply.ok()) Use(reply.payload);
//
// Reads are served from the store's shared memory by the calling thread. Everything else goes over
// one channel, synchronously or pipelined.
//
// Waiting: a short spin, as long as recent answers came quickly, then poll() on the client doorbell
// and the control socket. When the session ends, every open call ends with its reason.
//
// Thread safety: none. One Client belongs to one thread; use several.
#ifndef HEARTH_IPC_CLIENT_CLIENT_H_
#define HEARTH_IPC_CLIENT_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/cache/value_view.h"
#include "ipc/control_message.h"
#include "ipc/session_layout.h"

namespace hearth::cache {
class StoreReader;
}

namespace hearth::ipc {

struct ClientOptions {
  std::string socket_path;
  std::string name = "hearth-cpp";  // what `hearth status` shows
  std::string version;
  std::string store;  // empty: the default store
  // False: a connection for status only, without shared memory; Get, Set, ... answer
  // kFailedPrecondition.
  bool data = true;
  std::uint32_t request_ring_bytes = 0;  // 0: the daemon's default. Larger rings for bulk loading.
  std::uint32_t response_ring_bytes = 0;
  std::chrono::milliseconds connect_timeout{5000};
  // Of calls without a timeout of their own, and of control requests.
  std::chrono::nanoseconds timeout = std::chrono::seconds(5);
};

// The outcome of one operation. `execution` says whether a failed one may have had its effect:
// kNotStarted is safe to repeat.
struct Reply {
  Status status;
  Execution execution = Execution::kNotStarted;
  std::string payload;  // value of a Get, result of a Call
  // Of the entry read, written or removed; with an error that an entry is the reason of
  // (kAlreadyExists, kAborted, ...), of that one.
  std::uint64_t version = 0;
  // Of an Increment: the new value.
  std::int64_t number = 0;
  std::uint64_t hard_expiry_ms = ~std::uint64_t{0};  // of a Get, store time; ~0 = never
  std::uint64_t soft_expiry_ms = ~std::uint64_t{0};
  bool stale = false;  // of a Get: the soft expiry has passed
  // Of a Get that is kNotFound: the key is known to be absent, until the hard expiry. Version and
  // expiries are of the entry that says so.
  bool negative = false;
  std::uint32_t retry_after_ms = 0;  // with kResourceExhausted, where waiting helps

  bool ok() const { return status.ok(); }
};

struct EntryTtl {
  std::uint64_t hard_ms = kTtlDefault;  // or kTtlNever
  std::uint64_t soft_ms = kTtlDefault;
};

// How Increment() changes a counter.
struct CounterStep {
  std::int64_t delta = 1;
  // What a key that is not there counts as; nothing: such a key is kNotFound.
  std::optional<std::int64_t> initial = std::nullopt;
  EntryTtl ttl = {};  // of an entry that `initial` creates; one that is there keeps its expiries
};

struct TraceContext {
  std::uint8_t trace_id[16] = {};
  std::uint8_t span_id[8] = {};
  std::uint8_t flags = 0;
};

struct CallOptions {
  // Of the whole call; 0: that of ClientOptions. When it passes, the call is cancelled and answered
  // kDeadlineExceeded; what hearthd says later is dropped.
  std::chrono::nanoseconds timeout{0};
  const TraceContext* trace = nullptr;
};

class Client {
 public:
  // Errors: see ControlSocket::Connect (not running, no permission, ...); kFailedPrecondition with
  // both versions in the message when client and hearthd do not fit; what the daemon refuses.
  static Result<std::unique_ptr<Client>> Connect(const ClientOptions& options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const Welcome& welcome() const;
  // For what needs no request: scans (core/cache/scanner.h), the store's time. Null without data.
  const cache::StoreReader* reader() const;

  // -------------------------------------------------------------------------------- control
  // requests kNotFound, kPermissionDenied, kDeadlineExceeded; kUnavailable when the session has
  // ended.
  Result<NamespaceInfo> OpenNamespace(std::string_view name);
  Result<MethodInfo> OpenMethod(std::string_view name);
  Result<StatusReport> ReadStatus();

  // Namespaces, answered when they have changed, with the namespace as it is then. Flushing takes
  // the right to write to it, everything else an administrator's. kPermissionDenied, kNotFound; of
  // creating and altering also kAlreadyExists, kInvalidArgument, kResourceExhausted.
  Result<NamespaceStatus> CreateNamespace(const NamespaceSettings& settings);
  // Changes those settings that `fields` names (NamespaceField).
  Result<NamespaceStatus> AlterNamespace(const NamespaceSettings& settings, std::uint32_t fields);
  // Its handle is of no use from then on: gets miss, everything else is kNotFound.
  Result<NamespaceStatus> DropNamespace(std::string_view name);
  // Removes all that was written before.
  Result<NamespaceStatus> FlushNamespace(std::string_view name);
  // All of them, by id.
  Result<std::vector<NamespaceStatus>> ListNamespaces();

  // ---------------------------------------------------------------------------------------
  // operations A Get sees every acknowledged write of any process. Of this client's pipelined ones
  // that are not completed it may see the old value; GetFromWriter is executed after them. It works
  // on after the session has ended: what was not completed then may be lost, and the value be
  // older.
  Reply Get(std::uint32_t namespace_handle, std::string_view key, const CallOptions& options = {});
  // The value where it lies, without a copy: value_view.h says what that is worth. kNotFound;
  // kResourceExhausted when all of the session's pins are in use, or the key changes too fast to be
  // pinned: Get() it then. Views must be gone before the client is.
  Result<cache::ValueView> View(std::uint32_t namespace_handle, std::string_view key);
  // The same as Get() through hearthd, as its writer sees it.
  Reply GetFromWriter(std::uint32_t namespace_handle, std::string_view key,
                      const CallOptions& options = {});
  Reply Set(std::uint32_t namespace_handle, std::string_view key, std::string_view value,
            const EntryTtl& ttl = {}, const CallOptions& options = {});
  Reply Delete(std::uint32_t namespace_handle, std::string_view key,
               const CallOptions& options = {});
  Reply Touch(std::uint32_t namespace_handle, std::string_view key, const EntryTtl& ttl,
              const CallOptions& options = {});

  // Each looks at the entry and writes in one step; nothing of another client comes in between. An
  // entry that has expired is not there. Add, Replace and CompareAndSwap may be repeated after
  // kMaybe: a second one stores nothing that the first has not stored. Increment and Append may
  // not.
  //   Add              kAlreadyExists where the key is there
  //   Replace          kNotFound where it is not
  //   CompareAndSwap   kNotFound; kAborted where the version is not `expected_version`
  //   Increment        kNotFound; kFailedPrecondition where the value is not a decimal number;
  //                    kOutOfRange where the sum leaves 64 bits
  //   Append           kNotFound; kInvalidArgument where the whole value is over the limit
  Reply Add(std::uint32_t namespace_handle, std::string_view key, std::string_view value,
            const EntryTtl& ttl = {}, const CallOptions& options = {});
  Reply Replace(std::uint32_t namespace_handle, std::string_view key, std::string_view value,
                const EntryTtl& ttl = {}, const CallOptions& options = {});
  Reply CompareAndSwap(std::uint32_t namespace_handle, std::string_view key,
                       std::uint64_t expected_version, std::string_view value,
                       const EntryTtl& ttl = {}, const CallOptions& options = {});
  Reply Increment(std::uint32_t namespace_handle, std::string_view key,
                  const CounterStep& step = {}, const CallOptions& options = {});
  Reply Append(std::uint32_t namespace_handle, std::string_view key, std::string_view more,
               const CallOptions& options = {});

  Reply Call(std::uint32_t method_id, std::string_view request, const CallOptions& options = {});
  // Answered after every earlier request of this client.
  Reply Ping(const CallOptions& options = {});

  // ----------------------------------------------------------------------------------------
  // pipelined Called with the token of each pipelined operation once it is answered, in any order,
  // from inside any method of this class. It must not call the client.
  using Completion = std::function<void(std::uint64_t token, const Reply& reply)>;
  void OnCompletion(Completion completion);

  // Publishes a Set without waiting for its answer; waits only while the rings are full. An error
  // means that this operation was not published, and there will be no completion for it.
  Status SetPipelined(std::uint32_t namespace_handle, std::string_view key, std::string_view value,
                      const EntryTtl& ttl, std::uint64_t token, const CallOptions& options = {});
  // Waits until every pipelined operation is completed. kDeadlineExceeded when some are still open
  // after `timeout`; they stay open.
  Status Drain(std::chrono::nanoseconds timeout);
  std::size_t in_flight() const;

  // Why the session has ended, as far as this client has noticed (it looks whenever it waits).
  std::optional<Status> ended() const;

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_CLIENT_CLIENT_H_
