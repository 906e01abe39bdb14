// Attacks through what a client holds: its region, its descriptors, its own life.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <span>

#include "core/base/fd.h"
#include "tests/daemon/hostile.h"

namespace hearth::testing {
namespace {

constexpr std::uint32_t kEcho = 1;

// One plausible action of a client; false when the session is over.
bool ActOnce(Joined& joined, Random& random) {
  joined.ring->Take();
  ipc::RequestHeader header = joined.ring->Header(ipc::kOpCall, kEcho);
  std::string payload(random.Below(2000), 'p');
  switch (random.Below(5)) {
    case 0:
      header.opcode = ipc::kOpSet;
      payload = SetPayload("hostile" + std::to_string(random.Below(50)), payload);
      break;
    case 1:  // begins a long message that will never end
      if (random.OneIn(4)) {
        header.flags = ipc::kRecordMore;
        payload = Announcement(100'000) + payload;
      }
      break;
    case 2:
      header = joined.ring->Note(random.OneIn(2) ? ipc::kOpCancel : ipc::kOpCredit,
                                 static_cast<std::uint32_t>(1 + random.Below(20)), 2000);
      payload.clear();
      break;
    default: break;
  }
  joined.ring->Append(header, payload);
  joined.ring->Publish();
  joined.session->ReadControl();
  return !joined.session->end();
}

// Takes the pages away under the daemon, over and over, while it serves.
void PunchHoles(const Attacker& attacker) {
  Random random(attacker.seed);
  int ended = 0;
  for (int run = 0; run < attacker.runs; ++run) {
    Joined joined = Join(attacker);
    const int fd = joined.session->region().fd().get();
    const std::uint64_t bytes = joined.session->region().bytes();
    for (int i = 0; i < 20; ++i) {
      joined.ring->Append(joined.ring->Header(ipc::kOpCall, kEcho), "x");
      joined.ring->Publish();
    }
    const std::uint64_t page = random.Below(bytes / 4096) * 4096;
    const std::uint64_t size = random.OneIn(2) ? bytes - page : 4096;
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(page),
                    static_cast<off_t>(size)) != 0)
      GiveUp("cannot punch a hole");
    RingEventFd(joined.bell());
    // Zeroes where positions were: the session ends, or the daemon has not looked and goes on.
    joined.ring->Append(joined.ring->Header(ipc::kOpPing));
    joined.ring->Publish();
    RingEventFd(joined.bell());
    if (!AwaitHead(joined, joined.ring->published())) ++ended;
  }
  Say(fmt::format("{} of {} sessions ended", ended, attacker.runs));
}

// Writes over prefix and header, which the daemon has read for the last time.
void OverwriteHeader(const Attacker& attacker) {
  Joined joined = Join(attacker);
  std::byte* base = reinterpret_cast<std::byte*>(joined.view().control);
  // The header lies in front of the channels, in the same mapping.
  void* mapped = ::mmap(nullptr, ipc::kSessionHeaderBytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                        joined.session->region().fd().get(), 0);
  if (mapped == MAP_FAILED || base == nullptr) GiveUp("cannot map the header");
  std::memset(mapped, 0xff, ipc::kSessionHeaderBytes);
  StillServed(joined);
  std::memset(mapped, 0, ipc::kSessionHeaderBytes);
  StillServed(joined);
  ::munmap(mapped, ipc::kSessionHeaderBytes);
}

// Tries to shrink, grow and seal the region.
void ResizeRegion(const Attacker& attacker) {
  Joined joined = Join(attacker);
  const int fd = joined.session->region().fd().get();
  Say(::ftruncate(fd, 0) == 0 ? "shrunk" : "cannot shrink");
  Say(::ftruncate(fd, 1 << 30) == 0 ? "grown" : "cannot grow");
  static_cast<void>(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
  static_cast<void>(::fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
  static_cast<void>(::fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
  StillServed(joined);
}

void ClearNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) GiveUp("cannot clear a flag");
}

// Makes every descriptor blocking that it shares with the daemon, fills eventfd and pipe to the
// brim, and makes the daemon ring as often as it can.
void BlockDescriptors(const Attacker& attacker) {
  Joined joined = Join(attacker);
  const ipc::ClientSession& session = *joined.session;
  for (const int fd : {session.region().fd().get(), session.server_bell(), session.client_bell(0),
                       session.store_fd()})
    ClearNonBlocking(fd);
  const std::uint64_t almost_full = ~std::uint64_t{0} - 1;
  if (::write(session.server_bell(), &almost_full, sizeof(almost_full)) != sizeof(almost_full))
    GiveUp("cannot fill the doorbell");
  // Of a pipe, /proc gives a writing end to whoever holds the reading one.
  const std::string path = fmt::format("/proc/self/fd/{}", session.client_bell(0));
  const UniqueFd pipe(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  const std::string page(4096, 'x');
  while (pipe.valid() && ::write(pipe.get(), page.data(), page.size()) > 0) {
  }
  Atomic<std::uint64_t>& asleep = joined.view().control->client_asleep;
  for (int batch = 0; batch < 600; ++batch) {
    for (int i = 0; i < 120; ++i) {
      asleep.StoreRelaxed(~std::uint64_t{0});
      if (!joined.ring->Append(joined.ring->Header(ipc::kOpPing))) GiveUp("no room");
      joined.ring->PublishSilently();
    }
    // A full eventfd would block this client too: emptied, it rings once more and is full again.
    std::uint64_t counter = 0;
    static_cast<void>(::read(session.server_bell(), &counter, sizeof(counter)) < 0);
    static_cast<void>(::write(session.server_bell(), &almost_full, sizeof(almost_full)) < 0);
    if (!AwaitHead(joined, joined.ring->published())) return AwaitEnd(*joined.session);
    joined.ring->Take();
  }
  Say("served");
}

// Rings without having anything to say.
void RingForNothing(const Attacker& attacker) {
  Joined joined = Join(attacker);
  for (int i = 0; i < attacker.runs * 2000; ++i) RingEventFd(joined.bell());
  StillServed(joined);
}

// Claims every segment in every way, true and made up, while it fills the store several times over.
void PinEverything(const Attacker& attacker) {
  Joined joined = Join(attacker);
  Random random(attacker.seed);
  const std::span<ipc::PinRecord> pins = joined.session->region().pins();
  if (pins.empty()) GiveUp("no pins");
  for (int i = 0; i < attacker.runs * 200; ++i) {
    for (ipc::PinRecord& pin : pins) {
      pin.generation.StoreRelaxed(random.OneIn(4) ? random.Next() : random.Below(8));
      pin.segment_plus_one.StoreRelaxed(random.OneIn(8) ? random.Next() : random.Below(200));
    }
    const std::string key = "pinned" + std::to_string(random.Below(5000));
    joined.ring->Append(joined.ring->Header(ipc::kOpSet, 1),
                        SetPayload(key, std::string(2000, 'p')));
    joined.ring->Publish();
    if (!AwaitHead(joined, joined.ring->published())) return AwaitEnd(*joined.session);
    joined.ring->Take();
  }
  StillServed(joined);
}

// Stops in the middle of its traffic; the driver looks at the others meanwhile and kills it.
void Stop(const Attacker& attacker) {
  Joined joined = Join(attacker, 4);
  Random random(attacker.seed);
  for (int i = 0; i < 500; ++i)
    if (!ActOnce(joined, random)) joined = Join(attacker, 4);
  joined.ring->Append(joined.ring->Header(ipc::kOpCall, kEcho), std::string(3000, 'r'));
  joined.ring->Publish();
  Say("stopping");
  ::raise(SIGSTOP);
}

// Children that behave at random and are killed at a random moment.
void KillAtRandom(const Attacker& attacker) {
  Random random(attacker.seed);
  for (int run = 0; run < attacker.runs; ++run) {
    const std::uint64_t seed = random.Next();
    const pid_t child = ::fork();
    if (child < 0) GiveUp("cannot fork");
    if (child == 0) {
      Random own(seed);
      while (true) {
        Joined joined = Join(attacker, static_cast<std::uint16_t>(1 + own.Below(4)));
        while (ActOnce(joined, own)) {
        }
      }
    }
    // From before the handshake to far into the traffic.
    const timespec moment{0, static_cast<long>(random.Below(std::uint64_t{1} << (14 + run % 9)))};
    ::nanosleep(&moment, nullptr);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
}

// Two children that inherit the session and use its one channel at the same time, which no ring can
// survive in good order.
void ForkAndShare(const Attacker& attacker) {
  Joined joined = Join(attacker);
  pid_t children[2];
  for (pid_t& child : children) {
    child = ::fork();
    if (child < 0) GiveUp("cannot fork");
    if (child > 0) continue;
    const ipc::ChannelView& view = joined.view();
    for (std::uint64_t i = 1; i <= 2000; ++i) {
      view.control->response_head.StoreRelaxed(view.control->response_tail.LoadRelaxed());
      const ipc::RequestHeader ping = joined.ring->Header(ipc::kOpPing);
      const std::uint64_t tail = view.control->request_tail.LoadRelaxed();
      std::memcpy(view.requests.data + tail % view.requests.bytes, &ping, sizeof(ping));
      view.control->request_tail.StoreRelease(tail + ipc::kRecordAlign);
      RingEventFd(joined.bell());
    }
    std::_Exit(0);
  }
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  AwaitEnd(*joined.session);
}

}  // namespace

std::map<std::string, Attack> MemoryAttacks() {
  return {{"punch-holes", PunchHoles},
          {"overwrite-header", OverwriteHeader},
          {"resize-region", ResizeRegion},
          {"block-descriptors", BlockDescriptors},
          {"ring-for-nothing", RingForNothing},
          {"pin-everything", PinEverything},
          {"stop", Stop},
          {"kill-at-random", KillAtRandom},
          {"fork-and-share", ForkAndShare}};
}

}  // namespace hearth::testing
