// Attacks on leases: taking all of them, and never filling in anything.
#include <string>

#include "tests/daemon/hostile.h"

namespace hearth::testing {
namespace {

constexpr std::uint32_t kNamespace = 1;

// One random request about one of a few keys. Nobody has promised to read the answers.
void Disturb(Random& random, Joined& joined) {
  const std::string key = fmt::format("hot{}", random.Below(4));
  const auto call_id = static_cast<std::uint32_t>(1 + random.Below(60));
  switch (random.Below(6)) {
    case 0: joined.ring->Append(joined.ring->Note(ipc::kOpCancel, call_id)); break;
    case 1:
      joined.ring->Append(joined.ring->Header(ipc::kOpDelete, kNamespace), KeyPayload(key));
      break;
    case 2:
      joined.ring->Append(joined.ring->Header(ipc::kOpFill, kNamespace),
                          FillPayload(key, random.Below(5000), "guessed"));
      break;
    default: joined.ring->Append(joined.ring->Header(ipc::kOpLease, kNamespace), LeasePayload(key));
  }
  joined.ring->Publish();
  if (random.OneIn(2)) joined.ring->Take();
}

void HoardLeases(const Attacker& attacker) {
  Random random(attacker.seed);
  {
    Joined joined = Join(attacker, 1, 256 * 1024);
    for (int i = 0;; ++i) {
      joined.ring->Send(ipc::kOpLease, kNamespace, LeasePayload(fmt::format("hoard{}", i)));
      const auto answer = joined.ring->Await(-1);
      if (answer->code() == Code::kOk) continue;
      Say(fmt::format("refused after {} leases: {}", i, answer->payload));
      break;
    }
  }
  for (int run = 0; run < attacker.runs; ++run) {
    Joined one = Join(attacker);
    Joined two = Join(attacker);
    for (int step = 0; step < 200; ++step) Disturb(random, random.OneIn(2) ? one : two);
  }
  // The daemon gives back what the dead held, in its own time.
  Joined last = Join(attacker);
  for (const char* key : {"hot0", "hot1", "hoard0", "hoard4095"}) {
    last.ring->Send(ipc::kOpLease, kNamespace, LeasePayload(key));
    const auto answer = last.ring->Await(-1);
    if (answer->code() != Code::kOk || answer->header.number == 0)
      return Say("still taken: " + answer->payload);
  }
  Say("free again");
}

}  // namespace

std::map<std::string, Attack> LeaseAttacks() { return {{"hoard-leases", HoardLeases}}; }

}  // namespace hearth::testing
