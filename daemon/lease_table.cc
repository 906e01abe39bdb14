#include "daemon/lease_table.h"

#include "core/base/check.h"

namespace hearth::daemon {
namespace {

// What a claim takes beside its key: the nodes of the maps it is in, generously.
constexpr std::uint64_t kClaimBytes = 768;

std::uint64_t Charge(std::size_t key_bytes) { return kClaimBytes + key_bytes; }

}  // namespace

bool LeaseTable::Held(const Key& key, std::uint64_t flushed_version) const {
  const auto it = entries_.find(Pair(key));
  return it != entries_.end() && it->second.holder != 0 &&
         it->second.flushed_version == flushed_version;
}

Result<std::uint64_t> LeaseTable::Grant(const Asker& asker, const Key& key,
                                        std::uint64_t flushed_version) {
  HEARTH_CHECK(!Held(key, flushed_version));
  HEARTH_ASSIGN(const std::uint64_t id, Add(asker, key));
  const auto entry = claims_.at(id).entry;
  if (entry->second.holder != 0) Remove(claims_.find(entry->second.holder));
  entry->second.holder = id;
  entry->second.flushed_version = flushed_version;
  Settle(entry);
  return id;
}

Status LeaseTable::Park(const Asker& asker, const Key& key) {
  HEARTH_ASSIGN(const std::uint64_t id, Add(asker, key));
  Entry& entry = claims_.at(id).entry->second;
  HEARTH_CHECK(entry.holder != 0);
  entry.waiting.insert(id);
  return Status::Ok();
}

Result<std::uint64_t> LeaseTable::Add(const Asker& asker, const Key& key) {
  const auto had = sessions_.find(asker.session);
  if (had != sessions_.end() && had->second >= kMaxClaimsPerSession)
    return Error(Code::kResourceExhausted,
                 "this session has {} leases and requests that wait for one, which is the limit",
                 had->second);
  const std::uint64_t charge = Charge(key.key.size());
  if (!asker.budget->TryTake(charge)) return asker.budget->Refusal(charge);
  auto entry = entries_.find(Pair(key));
  if (entry == entries_.end())
    entry = entries_.emplace(std::pair(key.namespace_id, std::string(key.key)), Entry{}).first;
  const std::uint64_t id = ++last_id_;
  claims_.emplace(id, Claim{asker.channel, asker.session, asker.budget, asker.request, entry});
  // A client that uses a call id again has seen the answer that granted it the older lease.
  calls_[{asker.channel, asker.request.call_id}] = id;
  owners_.emplace(asker.channel, id);
  ++sessions_[asker.session];
  if (asker.request.deadline_ns != 0) deadlines_.emplace(asker.request.deadline_ns, id);
  return id;
}

void LeaseTable::Remove(Claims::iterator claim) {
  const auto& [id, gone] = *claim;
  gone.budget->Return(Charge(gone.entry->first.second.size()));
  const auto call = calls_.find({gone.channel, gone.request.call_id});
  if (call != calls_.end() && call->second == id) calls_.erase(call);
  owners_.erase({gone.channel, id});
  const auto count = sessions_.find(gone.session);
  if (--count->second == 0) sessions_.erase(count);
  if (gone.request.deadline_ns != 0) deadlines_.erase({gone.request.deadline_ns, id});
  claims_.erase(claim);
}

bool LeaseTable::Owns(std::uint64_t session, const Key& key, std::uint64_t token) const {
  const auto it = entries_.find(Pair(key));
  return token != 0 && it != entries_.end() && it->second.holder == token &&
         claims_.at(token).session == session;
}

bool LeaseTable::Valid(std::uint64_t session, const Key& key, std::uint64_t token,
                       std::uint64_t flushed_version) const {
  return Owns(session, key, token) && Held(key, flushed_version);
}

void LeaseTable::End(const Key& key, bool absent) {
  if (entries_.empty()) return;  // the usual case, for which keys are not compared
  const auto it = entries_.find(Pair(key));
  if (it == entries_.end()) return;
  if (absent) it->second.told_absent_upto = last_id_;
  EndHolder(it);
}

void LeaseTable::EndHolder(Entries::iterator entry) {
  if (entry->second.holder != 0) {
    Remove(claims_.find(entry->second.holder));
    entry->second.holder = 0;
  }
  Settle(entry);
}

void LeaseTable::Settle(Entries::iterator entry) {
  if (entry->second.turn != 0) free_.erase(entry->second.turn);
  entry->second.turn = 0;
  if (entry->second.holder != 0) return;
  if (entry->second.waiting.empty()) {
    entries_.erase(entry);
    return;
  }
  entry->second.turn = ++last_turn_;
  free_.emplace(last_turn_, entry);
}

std::optional<ipc::RequestHeader> LeaseTable::Cancel(ChannelServer* channel,
                                                     std::uint32_t call_id) {
  const auto call = calls_.find({channel, call_id});
  if (call == calls_.end()) return std::nullopt;
  const auto claim = claims_.find(call->second);
  if (claim->second.entry->second.holder == claim->first) {
    EndHolder(claim->second.entry);
    return std::nullopt;
  }
  return Take(claim, Ready::Why::kFree).request;
}

void LeaseTable::Forget(ChannelServer* channel) {
  while (true) {
    const auto owned = owners_.lower_bound({channel, 0});
    if (owned == owners_.end() || owned->first != channel) return;
    const auto claim = claims_.find(owned->second);
    if (claim->second.entry->second.holder == claim->first) {
      EndHolder(claim->second.entry);
    } else {
      Take(claim, Ready::Why::kFree);
    }
  }
}

LeaseTable::Ready LeaseTable::Take(Claims::iterator claim, Ready::Why why) {
  const auto entry = claim->second.entry;
  Ready ready{.channel = claim->second.channel,
              .request = claim->second.request,
              .key = entry->first.second,
              .why = why};
  entry->second.waiting.erase(claim->first);
  Remove(claim);
  Settle(entry);
  return ready;
}

std::optional<LeaseTable::Ready> LeaseTable::TakeReady(std::uint64_t now_ns) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_ns) {
    const auto claim = claims_.find(deadlines_.begin()->second);
    if (claim->second.entry->second.holder != claim->first)
      return Take(claim, Ready::Why::kExpired);
    EndHolder(claim->second.entry);
  }
  if (free_.empty()) return std::nullopt;
  const Entry& entry = free_.begin()->second->second;
  const std::uint64_t oldest = *entry.waiting.begin();
  return Take(claims_.find(oldest),
              oldest <= entry.told_absent_upto ? Ready::Why::kAbsent : Ready::Why::kFree);
}

std::uint64_t LeaseTable::NextDeadlineNs() const {
  return deadlines_.empty() ? ~std::uint64_t{0} : deadlines_.begin()->first;
}

}  // namespace hearth::daemon
