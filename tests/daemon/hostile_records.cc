// Attacks through the rings: records and positions that break the rules of PROTOCOL.md section 4.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <thread>
#include <vector>

#include "core/base/atomic.h"
#include "core/base/fd.h"
#include "tests/daemon/hostile.h"

namespace hearth::testing {
namespace {

using ipc::RequestHeader;

constexpr std::uint32_t kEcho = 1;

// One random field per round, all others as they should be.
void RandomizeField(Random& random, std::uint64_t field, RequestHeader* header) {
  switch (field) {
    case 0: header->length = static_cast<std::uint32_t>(random.Next()); break;
    case 1: header->length = static_cast<std::uint32_t>(random.Below(5000)); break;
    case 2: header->opcode = static_cast<std::uint16_t>(random.Next()); break;
    case 3: header->flags = static_cast<std::uint16_t>(random.Next()); break;
    case 4: header->call_id = static_cast<std::uint32_t>(random.Next()); break;
    case 5: header->target = static_cast<std::uint32_t>(random.Next()); break;
    case 6: header->sequence = random.Next(); break;
    case 7: header->deadline_ns = random.Next(); break;
    case 8: header->response_space = static_cast<std::uint32_t>(random.Next()); break;
    case 9: header->trace_flags = static_cast<std::uint8_t>(random.Next()); break;
    case 10: std::memset(header->trace_id, 0xff, sizeof(header->trace_id)); break;
    default: break;
  }
}
constexpr std::uint64_t kFields = 12;

// Fills the whole ring with noise and, in front, records with one random field each; then publishes
// as many bytes as a random tail says.
void Garbage(const Attacker& attacker) {
  Random random(attacker.seed);
  int ended = 0;
  for (int run = 0; run < attacker.runs; ++run) {
    Joined joined = Join(attacker);
    const ipc::RingMemory& ring = joined.view().requests;
    const std::string noise = random.Bytes(ring.bytes);
    std::memcpy(ring.data, noise.data(), noise.size());
    std::uint64_t at = 0;
    const std::uint64_t plausible = random.Below(30);
    for (std::uint64_t i = 0; i < plausible && at + 512 <= ring.bytes; ++i) {
      RequestHeader header = joined.ring->Header(static_cast<ipc::Opcode>(1 + random.Below(11)), 1);
      if (header.opcode == ipc::kOpCancel || header.opcode == ipc::kOpCredit) header.sequence = 0;
      header.length = static_cast<std::uint32_t>(random.Below(400));
      const std::uint64_t record = ipc::RecordBytes(header.length);
      RandomizeField(random, static_cast<std::uint64_t>(run) % kFields, &header);
      std::memcpy(ring.data + at, &header, sizeof(header));
      at += record;
    }
    const std::uint64_t tail =
        random.OneIn(2) ? at : random.Below(ring.bytes / ipc::kRecordAlign + 1) * ipc::kRecordAlign;
    ring.tail->StoreRelease(tail);
    RingEventFd(joined.bell());
    if (!AwaitHead(joined, tail)) ++ended;
  }
  Say(fmt::format("{} of {} sessions ended", ended, attacker.runs));
}

void TailOutOfBounds(const Attacker& attacker) {
  for (const std::uint64_t tail : {std::uint64_t{ipc::kMinRingBytes} + 64, ~std::uint64_t{63},
                                   std::uint64_t{1} << 63U, std::uint64_t{1}, std::uint64_t{63}}) {
    Joined joined = Join(attacker);
    joined.view().control->request_tail.StoreRelaxed(tail);
    RingEventFd(joined.bell());
    AwaitEnd(*joined.session);
  }
}

void TailBackwards(const Attacker& attacker) {
  Joined joined = Join(attacker);
  StillServed(joined);
  joined.view().control->request_tail.StoreRelaxed(0);
  RingEventFd(joined.bell());
  AwaitEnd(*joined.session);
}

void ResponseHeadWrong(const Attacker& attacker) {
  Joined joined = Join(attacker);
  joined.view().control->response_head.StoreRelaxed(1);
  // It is looked at when the response ring seems to be full.
  while (!joined.session->end()) {
    if (!joined.ring->Append(joined.ring->Header(ipc::kOpPing))) joined.session->ReadControl();
    joined.ring->Publish();
  }
  AwaitEnd(*joined.session);
}

// A second thread rewrites records while the daemon reads them.
void ChangeAfterPublishing(const Attacker& attacker) {
  Random seeds(attacker.seed);
  for (int run = 0; run < attacker.runs; ++run) {
    Joined joined = Join(attacker);
    const ipc::RingMemory& ring = joined.view().requests;
    Atomic<std::uint32_t> stop{0};
    std::thread scribbler([&, seed = seeds.Next()] {
      Random random(seed);
      while (stop.LoadRelaxed() == 0) {
        const std::uint64_t word = random.OneIn(3) ? random.Next() : random.Below(5000);
        CopyShared(ring.data + random.Below(ring.bytes / 8) * 8, &word, sizeof(word));
      }
    });
    std::uint64_t sent = 0;
    while (!joined.session->end() && sent < 2000) {
      RequestHeader header = joined.ring->Header(ipc::kOpCall, kEcho);
      if (joined.ring->Append(header, "0123456789")) {
        ++sent;
      } else {
        joined.session->ReadControl();
      }
      joined.ring->Publish();
      // The answers are given back unread: this client does not care.
      joined.view().control->response_head.StoreRelease(
          joined.view().control->response_tail.LoadAcquire());
    }
    stop.StoreRelaxed(1);
    scribbler.join();
  }
}

void UnknownContinuation(const Attacker& attacker) {
  Joined joined = Join(attacker);
  RequestHeader header = joined.ring->Header(ipc::kOpCall, kEcho);
  header.flags = ipc::kRecordContinuation;
  joined.ring->Send(header, "x");
  AwaitEnd(*joined.session);
}

void SequenceDoesNotGrow(const Attacker& attacker) {
  Joined joined = Join(attacker);
  RequestHeader header = joined.ring->Header(ipc::kOpPing);
  joined.ring->Append(header);
  joined.ring->Send(header);
  AwaitEnd(*joined.session);
}

void SeventeenOpenMessages(const Attacker& attacker) {
  Joined joined = Join(attacker);
  for (std::uint32_t i = 0; i <= ipc::kMaxOpenMessages; ++i) {
    RequestHeader header = joined.ring->Header(ipc::kOpCall, kEcho);
    header.flags = ipc::kRecordMore;
    joined.ring->Send(header, Announcement(1000) + "x");
  }
  AwaitEnd(*joined.session);
}

// Asks and asks and never takes an answer.
void NeverDrain(const Attacker& attacker) {
  Joined joined = Join(attacker);
  while (!joined.session->end()) {
    if (!joined.ring->Append(joined.ring->Header(ipc::kOpPing))) joined.session->ReadControl();
    joined.ring->Publish();
  }
  AwaitEnd(*joined.session);
}

// Asks for long answers and never grants the credit that they wait for.
void NeverGrantCredit(const Attacker& attacker) {
  Joined joined = Join(attacker);
  const std::string request(600, 'r');
  while (!joined.session->end()) {
    RequestHeader header = joined.ring->Header(ipc::kOpCall, kEcho);
    if (!joined.ring->Append(header, request)) joined.session->ReadControl();
    joined.ring->Publish();
    joined.ring->Take();
  }
  AwaitEnd(*joined.session);
}

// One long answer that waits for credit for ever, and a client that goes away in front of it.
void LeaveBeforeTheAnswerEnds(const Attacker& attacker) {
  for (int run = 0; run < attacker.runs; ++run) {
    Joined joined = Join(attacker);
    for (int i = 0; i < 10; ++i) joined.ring->Send(ipc::kOpCall, kEcho, std::string(900, 'r'));
    AwaitHead(joined, joined.ring->published());
  }
}

// Announces messages of 64 MiB until the daemon refuses, sends a part of them, and leaves.
void AnnounceAndAbandon(const Attacker& attacker) {
  int refused = 0;
  for (int run = 0; run < attacker.runs; ++run) {
    Joined joined = Join(attacker, 1, 1 << 20);
    std::vector<RequestHeader> open;
    for (int i = 0; i < 8; ++i) {
      RequestHeader header = joined.ring->Header(ipc::kOpCall, kEcho);
      header.flags = ipc::kRecordMore;
      joined.ring->Send(header, Announcement(64 << 20));
      open.push_back(header);
    }
    const std::string part(64 * 1024, 'p');
    for (int i = 0; i < 64; ++i) {
      RequestHeader& header = open[static_cast<std::size_t>(i) % open.size()];
      header.flags = ipc::kRecordMore | ipc::kRecordContinuation;
      while (!joined.ring->Append(header, part))
        if (!AwaitHead(joined, joined.ring->published())) return AwaitEnd(*joined.session);
      joined.ring->Publish();
    }
    AwaitHead(joined, joined.ring->published());
    for (const Answer& answer : joined.ring->Take())
      if (answer.code() == Code::kResourceExhausted) ++refused;
  }
  Say(fmt::format("{} announcements refused in {} runs", refused, attacker.runs));
}

// Cancels and credits for everything and nothing.
void CancelEverything(const Attacker& attacker) {
  Random random(attacker.seed);
  Joined joined = Join(attacker);
  for (int i = 0; i < attacker.runs * 100; ++i) {
    const auto call_id = static_cast<std::uint32_t>(random.Below(40));
    RequestHeader header =
        joined.ring->Note(random.OneIn(2) ? ipc::kOpCancel : ipc::kOpCredit, call_id,
                          static_cast<std::uint32_t>(random.Below(2000)));
    std::string payload;
    if (random.OneIn(3)) {
      header = joined.ring->Header(ipc::kOpCall, kEcho);
      header.call_id = call_id + 1000 * static_cast<std::uint32_t>(i);
      payload = std::string(random.Below(900), 'r');
    }
    joined.ring->Take();
    const bool appended = joined.ring->Append(header, payload);
    joined.ring->Publish();
    if (!appended) AwaitHead(joined, joined.ring->published());
    joined.session->ReadControl();
    if (!joined.session->end()) continue;
    AwaitEnd(*joined.session);
    joined = Join(attacker);
  }
}

}  // namespace

std::map<std::string, Attack> RecordAttacks() {
  return {{"garbage", Garbage},
          {"tail-out-of-bounds", TailOutOfBounds},
          {"tail-backwards", TailBackwards},
          {"response-head-wrong", ResponseHeadWrong},
          {"change-after-publishing", ChangeAfterPublishing},
          {"unknown-continuation", UnknownContinuation},
          {"sequence-does-not-grow", SequenceDoesNotGrow},
          {"seventeen-open-messages", SeventeenOpenMessages},
          {"never-drain", NeverDrain},
          {"never-grant-credit", NeverGrantCredit},
          {"leave-before-the-answer-ends", LeaveBeforeTheAnswerEnds},
          {"announce-and-abandon", AnnounceAndAbandon},
          {"cancel-everything", CancelEverything}};
}

}  // namespace hearth::testing
