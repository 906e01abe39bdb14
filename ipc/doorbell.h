// Sleeping until the other side of a ring has moved, without losing a wake-up: the protocol of
// PROTOCOL.md section 5.
//
//   sleeper:    announce (flag = 1) -> full fence -> look again -> sleep -> withdraw (flag = 0)
//   publisher:  publish (position)  -> full fence -> look at the flag -> ring
//
// Each side stores one word and then reads the other's. The fences forbid that both read the old
// value, so either the sleeper sees the position or the publisher sees the flag.
//
// The steps are templates over a `Memory` policy. Programs use SharedMemory; tests/ipc runs the
// same code on a memory with store buffers under a scheduler that tries every interleaving, and
// shows that leaving out any one step loses a wake-up.
//
// One sleeper can wait for several things at once (the daemon for all channels, a client for
// responses and for space): it announces all, fences once, and looks again at all.
//
// Thread safety: the words are shared with the other process; a Watch belongs to one thread.
#ifndef HEARTH_IPC_DOORBELL_H_
#define HEARTH_IPC_DOORBELL_H_

#include <cstdint>
#include <span>

#include "core/base/atomic.h"
#include "core/base/failpoint.h"
#include "core/base/fd.h"
#include "ipc/session_layout.h"

namespace hearth::ipc {

// `server_asleep` has one meaning only; `client_asleep` takes the kClientWaits* bits.
inline constexpr std::uint64_t kServerSleeps = 1;

// The policy of running programs. Stateless.
struct SharedMemory {
  using Word = Atomic<std::uint64_t>;

  void Publish(Word& position, std::uint64_t value) const {
    // SYNC release request-tail: the bytes of the records up to the new tail.
    // SYNC release response-tail: the same.
    // SYNC release request-head: our reads of the bytes up to the new head are over.
    // SYNC release response-head: the same.
    position.StoreRelease(value);
    HEARTH_FAILPOINT("doorbell.after_publish");
  }
  void FenceAfterPublish() const {
    // SYNC both server-asleep: request_tail was stored before, the flag is read after.
    // SYNC both client-asleep: response_tail or request_head before, the flag after.
    OrderedFence();
  }
  std::uint64_t ReadFlag(const Word& flag) const { return flag.LoadRelaxed(); }

  void WriteFlag(Word& flag, std::uint64_t bits) const {
    flag.StoreRelaxed(bits);
    HEARTH_FAILPOINT("doorbell.after_announce");
  }
  void FenceAfterAnnounce() const {
    // SYNC both server-asleep: the flag was stored before, request_tail is read after.
    // SYNC both client-asleep: the flag before, response_tail or request_head after.
    OrderedFence();
  }
  // Relaxed: whoever goes on to read records loads the position again, with acquire.
  std::uint64_t LookAgain(const Word& position) const {
    HEARTH_FAILPOINT("doorbell.before_look_again");
    return position.LoadRelaxed();
  }
};

// ------------------------------------------------------------------------------------- publisher
// Whether the publisher of something already published must ring: whether `flag` has one of `bits`.
// Several positions may be published before one call for each flag.
template <class Memory>
[[nodiscard]] bool MustRing(const Memory& memory, const typename Memory::Word& flag,
                            std::uint64_t bits) {
  memory.FenceAfterPublish();
  return (memory.ReadFlag(flag) & bits) != 0;
}

// Publishes one position; whether to ring now.
template <class Memory>
[[nodiscard]] bool PublishMustRing(const Memory& memory, typename Memory::Word& position,
                                   std::uint64_t value, const typename Memory::Word& flag,
                                   std::uint64_t bits) {
  memory.Publish(position, value);
  return MustRing(memory, flag, bits);
}

// --------------------------------------------------------------------------------------- sleeper
// One thing to wait for: that `position` differs from `seen`. Watches may share a flag word with
// different bits. The sleeper is the only one that writes its flag; what a hostile peer writes
// there changes nothing but the peer's own rings.
template <class Memory>
struct BasicWatch {
  const typename Memory::Word* position;
  std::uint64_t seen;  // what the sleeper knows already
  typename Memory::Word* flag;
  std::uint64_t bits;
};

// Clears the flags after waking (or instead of sleeping). Any bell rung in between is spurious.
template <class Memory>
void Withdraw(const Memory& memory, std::span<const BasicWatch<Memory>> watches) {
  for (const auto& watch : watches) memory.WriteFlag(*watch.flag, 0);
}

// Announces the sleep. True: nothing has moved, and whatever moves from now on rings the bell; the
// caller sleeps on the bell and then calls Withdraw(). False: something has moved, the flags are
// withdrawn, do not sleep.
template <class Memory>
[[nodiscard]] bool PrepareToSleep(const Memory& memory,
                                  std::span<const BasicWatch<Memory>> watches) {
  // Watches that share a word are announced as one, in one store for each distinct word.
  for (std::size_t i = 0; i < watches.size(); ++i) {
    std::uint64_t bits = 0;
    bool announced = false;
    for (std::size_t j = 0; j < watches.size(); ++j) {
      if (watches[j].flag != watches[i].flag) continue;
      if (j < i) announced = true;
      bits |= watches[j].bits;
    }
    if (!announced) memory.WriteFlag(*watches[i].flag, bits);
  }
  memory.FenceAfterAnnounce();
  for (const auto& watch : watches) {
    if (memory.LookAgain(*watch.position) == watch.seen) continue;
    Withdraw(memory, watches);
    return false;
  }
  return true;
}

using Watch = BasicWatch<SharedMemory>;

inline bool PrepareToSleep(std::span<const Watch> watches) {
  return PrepareToSleep<SharedMemory>(SharedMemory{}, watches);
}
inline void Withdraw(std::span<const Watch> watches) {
  Withdraw<SharedMemory>(SharedMemory{}, watches);
}

// ----------------------------------------------------------------------------------------- bells
// Server doorbell: RingEventFd() of core/base/fd.h by the client. The daemon watches the eventfd
// EDGE-TRIGGERED and never reads it: each write makes a new edge, and a client, which shares the
// open file description, could clear O_NONBLOCK and read first, so that a read would block.
//
// Client doorbell: RingPipe() by the daemon, whose end of the pipe is its own open file
// description. A full pipe is ignored: then the client has not taken the rings it already has.

// Takes all bytes out of a client doorbell (the read end, non-blocking). False when the daemon has
// closed its end and nothing is left.
[[nodiscard]] bool DrainBell(int read_end);

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_DOORBELL_H_
