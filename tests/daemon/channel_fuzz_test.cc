// ChannelServer against random records, and against records that change while it reads them.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/atomic.h"
#include "tests/daemon/session_rig.h"
#include "tests/support/seed.h"

namespace hearth::testing {
namespace {

using ipc::RequestHeader;

// Random fields where `pick` says so, plausible ones elsewhere.
RequestHeader RandomHeader(Random& random, ChannelRig& rig) {
  RequestHeader header = rig.client().Header(static_cast<ipc::Opcode>(1 + random.Below(14)),
                                             static_cast<std::uint32_t>(random.Below(4)));
  if (random.OneIn(4)) header.opcode = static_cast<std::uint16_t>(random.Next());
  if (random.OneIn(3)) header.flags = static_cast<std::uint16_t>(random.Below(4));
  if (random.OneIn(20)) header.flags = static_cast<std::uint16_t>(random.Next());
  if (random.OneIn(3)) header.call_id = static_cast<std::uint32_t>(random.Below(6));
  if (random.OneIn(10)) header.target = static_cast<std::uint32_t>(random.Next());
  if (random.OneIn(10)) header.sequence = random.Next();
  if (header.opcode == ipc::kOpCancel || header.opcode == ipc::kOpCredit) header.sequence = 0;
  if (random.OneIn(10)) header.deadline_ns = random.Next();
  if (random.OneIn(3)) header.response_space = static_cast<std::uint32_t>(random.Next());
  header.length = static_cast<std::uint32_t>(random.Below(600));
  if (random.OneIn(20)) header.length = static_cast<std::uint32_t>(random.Next());
  return header;
}

TEST_CASE("no sequence of headers does more than end its session") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  int ended = 0;
  int answered = 0;
  const int sessions = FullRun() ? 3000 : 300;
  for (int i = 0; i < sessions; ++i) {
    ChannelRig rig({.max_message_bytes = 4096, .budget_bytes = 16'384});
    const ipc::RingMemory& ring = rig.client().view().requests;
    Status status;
    std::uint64_t at = 0;
    for (int round = 0; round < 200 && status.ok(); ++round) {
      const std::string noise = random.Bytes(700);
      const RequestHeader header = RandomHeader(random, rig);
      const std::uint64_t rest = ring.bytes - at % ring.bytes;
      std::memcpy(ring.data + at % ring.bytes, &header, sizeof(header));
      const std::size_t room = std::min<std::size_t>(rest - 64, noise.size());
      std::memcpy(ring.data + at % ring.bytes + 64, noise.data(), room);
      if (header.length <= room && header.length >= sizeof(std::uint64_t) && random.OneIn(2)) {
        const std::uint64_t announced = random.Below(5000);
        std::memcpy(ring.data + at % ring.bytes + 64, &announced, sizeof(announced));
      }
      at += ipc::RecordBytes(header.length);
      ring.tail->StoreRelease(at);
      status = rig.Serve();
      const std::vector<Answer> answers = rig.client().Take();
      answered += static_cast<int>(answers.size());
    }
    if (!status.ok()) ++ended;
    rig.EndServer();
    REQUIRE(rig.budget().used() == 0);
  }
  // The generator is neither so wild that nothing is ever answered, nor so tame that nothing ends.
  CHECK(answered > sessions);
  CHECK(ended > sessions / 2);
  CHECK(FindBrokenInvariants(ChannelRig().store().view()).empty());
}

TEST_CASE("records that change while they are read do no more than end the session") {
  HEARTH_SHOW_SEED();
  const int sessions = FullRun() ? 200 : 20;
  for (int i = 0; i < sessions; ++i) {
    ChannelRig rig;
    RingClient& client = rig.client();
    for (int n = 0; n < 60; ++n) client.Append(client.Header(ipc::kOpSet, 1), SetPayload("k", "v"));
    client.Publish();
    Atomic<std::uint32_t> stop{0};
    std::thread scribbler([&, seed = RunSeed() + static_cast<std::uint64_t>(i)] {
      Random random(seed);
      const ipc::RingMemory& ring = client.view().requests;
      while (stop.LoadRelaxed() == 0) {
        // One field of one record: any byte of the header or of the body.
        const std::uint64_t word = random.Next();
        const std::uint64_t place = random.Below(60) * 128 + random.Below(16) * 8;
        CopyShared(ring.data + place, &word, sizeof(word));
      }
    });
    static_cast<void>(rig.Serve().ok());
    stop.StoreRelaxed(1);
    scribbler.join();
    static_cast<void>(rig.Serve().ok());
  }
}

TEST_CASE("a request that changes while it is executed is answered as it was taken") {
  RingClient* client = nullptr;
  std::uint64_t at = 0;
  ChannelRig rig({.during_call = [&] {
    // The handler runs in the middle: header and payload are still the client's to change.
    std::memset(client->view().requests.data + at, 0xff, 128);
  }});
  client = &rig.client();
  for (int i = 0; i < 20; ++i) {
    RequestHeader header = client->Header(ipc::kOpCall, 4);
    header.response_space = 1024;
    at = client->published();
    // Ask() checks call id, sequence and operation of the answer.
    CHECK(rig.Ask(header, "0123456789").payload == "0123456789");
  }
}

}  // namespace
}  // namespace hearth::testing
