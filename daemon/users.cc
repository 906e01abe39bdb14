#include "daemon/users.h"

#include "core/base/units.h"
#include "daemon/log.h"

namespace hearth::daemon {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint32_t kRefusalLines = 10;
constexpr std::uint64_t kRefusalIntervalNs = 10 * kSecondNs;
// A host that starts all its services at once is to be seen whole.
constexpr std::uint32_t kComingLines = 1000;
constexpr std::uint64_t kComingIntervalNs = kSecondNs;
// More uids than that are looked through for those that need not be remembered.
constexpr std::size_t kManyUsers = 256;

}  // namespace

User::User(uid_t its_uid, std::uint64_t memory_limit)
    : uid(its_uid),
      memory(memory_limit, fmt::format("uid {} (limits.memory_per_uid)", its_uid)),
      refusals(kRefusalLines, kRefusalIntervalNs),
      comings(kComingLines, kComingIntervalNs) {}

std::shared_ptr<User> Users::Of(uid_t uid, std::uint64_t now_ns) {
  const auto it = users_.find(uid);
  if (it != users_.end()) return it->second;
  if (users_.size() >= kManyUsers)
    std::erase_if(users_, [&](const auto& item) {
      return item.second.use_count() == 1 && item.second->refusals.IsFresh(now_ns) &&
             item.second->comings.IsFresh(now_ns);
    });
  return users_.emplace(uid, std::make_shared<User>(uid, memory_limit_)).first->second;
}

bool Users::ReportSuppressed(std::uint64_t now_ns, bool all) {
  bool left = false;
  for (auto& [uid, user] : users_) {
    for (LogLimit* limit : {&user->refusals, &user->comings}) {
      if (limit->suppressed() == 0) continue;
      if (!all && !limit->TakeTurn(now_ns)) {
        left = true;
        continue;
      }
      Log::Info("uid {}: {} more lines like these were left out (log_level debug has them)", uid,
                limit->TakeSuppressed());
    }
  }
  return left;
}

}  // namespace hearth::daemon
