// LeaseTable: who loads which key of a store, and who waits for it.
//
// A lease is the right to load the value of one key that is not there, or stale: at most one client
// of the host has it. It ends with a fill, a release, any change of the key by somebody else, the
// deadline of the request that got it, or the session of its holder; then whoever has waited
// longest is next. The idea, and that a delete must void what is being loaded, are from "Scaling
// Memcache at Facebook" (Nishtala et al., NSDI 2013), section 3.2.1; there leases are tokens that
// time out, here they belong to a session.
#ifndef HEARTH_DAEMON_LEASE_TABLE_H_
#define HEARTH_DAEMON_LEASE_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/status.h"
#include "ipc/budget.h"
#include "ipc/session_layout.h"

namespace hearth::daemon {

class ChannelServer;

// Claims, which are leases and requests that wait for one, that a session can have at once. Their
// bytes are also taken from the session's budget.
inline constexpr std::uint32_t kMaxClaimsPerSession = 4096;

// Belongs to the writer thread of one store. Nothing here answers anybody: what has become due is
// fetched with TakeReady(). All operations take O(log claims).
class LeaseTable {
 public:
  struct Key {
    std::uint32_t namespace_id = 0;
    std::string_view key;
  };
  // Who asks. `channel` is only compared and handed back; `budget` outlives all claims of it.
  struct Asker {
    ChannelServer* channel = nullptr;
    std::uint64_t session = 0;
    ipc::ByteBudget* budget = nullptr;
    ipc::RequestHeader request{};
  };
  // A waiting request that has left the table, and what to do about it.
  struct Ready {
    enum class Why {
      kFree,     // nobody holds the lease: execute it anew
      kAbsent,   // the holder has found that the key does not exist
      kExpired,  // its deadline has passed
    };
    ChannelServer* channel = nullptr;
    ipc::RequestHeader request{};
    std::string key;  // in namespace request.target
    Why why = Why::kFree;
  };

  LeaseTable() = default;
  LeaseTable(const LeaseTable&) = delete;
  LeaseTable& operator=(const LeaseTable&) = delete;

  // Whether somebody holds the lease. `flushed_version` is the namespace's: a flush voids its
  // leases, which is noticed here and in Valid().
  bool Held(const Key& key, std::uint64_t flushed_version) const;
  // Gives the lease to a request and returns its token, which is never 0 and never given twice.
  // REQUIRES: not Held(key, flushed_version).
  // kResourceExhausted when the session has too many claims or no budget.
  Result<std::uint64_t> Grant(const Asker& asker, const Key& key, std::uint64_t flushed_version);
  // Lets a request wait behind the holder. REQUIRES: Held(). Errors as Grant.
  Status Park(const Asker& asker, const Key& key);

  // Whether the session holds the lease of the key by this token, and whether it may still fill it.
  bool Owns(std::uint64_t session, const Key& key, std::uint64_t token) const;
  bool Valid(std::uint64_t session, const Key& key, std::uint64_t token,
             std::uint64_t flushed_version) const;
  // The lease of the key is over, if there is one: after every change of a key, a fill and a
  // release. With `absent`, whoever waits is told that the key does not exist.
  void End(const Key& key, bool absent = false);

  // The client has cancelled a call: a waiting request leaves and its header is returned, to be
  // answered. If the call has been granted a lease, that ends.
  std::optional<ipc::RequestHeader> Cancel(ChannelServer* channel, std::uint32_t call_id);
  // The channel goes: its waiting requests leave, its leases end.
  void Forget(ChannelServer* channel);

  // The next waiting request that is to be answered by now, in ns of CLOCK_MONOTONIC. Nothing when
  // there is none; leases whose deadline has passed have ended then.
  std::optional<Ready> TakeReady(std::uint64_t now_ns);
  // When the next deadline passes, of a lease or a waiting request; ~0 when none does.
  std::uint64_t NextDeadlineNs() const;
  bool empty() const { return claims_.empty(); }

 private:
  struct Claim;
  struct KeyLess {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return std::pair<std::uint32_t, std::string_view>(a.first, a.second) <
             std::pair<std::uint32_t, std::string_view>(b.first, b.second);
    }
  };
  struct Entry {
    std::uint64_t holder = 0;  // its claim and token; 0 = nobody
    std::uint64_t flushed_version = 0;
    std::set<std::uint64_t> waiting;     // claims, the oldest first
    std::uint64_t told_absent_upto = 0;  // waiting claims that are answered kAbsent
    std::uint64_t turn = 0;              // in free_, 0 = not there
  };
  using Entries = std::map<std::pair<std::uint32_t, std::string>, Entry, KeyLess>;
  // Ids grow, so the order of claims is the order in which they came.
  struct Claim {
    ChannelServer* channel;
    std::uint64_t session;
    ipc::ByteBudget* budget;
    ipc::RequestHeader request;
    Entries::iterator entry;
  };
  using Claims = std::map<std::uint64_t, Claim>;

  static std::pair<std::uint32_t, std::string_view> Pair(const Key& key) {
    return {key.namespace_id, key.key};
  }
  Result<std::uint64_t> Add(const Asker& asker, const Key& key);
  void Remove(Claims::iterator claim);
  void EndHolder(Entries::iterator entry);
  // Drops an entry without claims. One whose waiting requests have nobody to wait for gets its turn
  // behind all others.
  void Settle(Entries::iterator entry);
  Ready Take(Claims::iterator claim, Ready::Why why);

  std::uint64_t last_id_ = 0;
  Entries entries_;
  Claims claims_;
  std::map<std::pair<ChannelServer*, std::uint32_t>, std::uint64_t> calls_;  // by call id
  std::set<std::pair<ChannelServer*, std::uint64_t>> owners_;
  std::map<std::uint64_t, std::uint32_t> sessions_;              // how many claims
  std::set<std::pair<std::uint64_t, std::uint64_t>> deadlines_;  // and the claim
  std::uint64_t last_turn_ = 0;
  std::map<std::uint64_t, Entries::iterator> free_;  // by turn: without holder, with waiters
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_LEASE_TABLE_H_
