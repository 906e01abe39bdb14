// ChannelServer: the touch buffer of one channel, honest and not.
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/cache/format.h"
#include "daemon/channel_server.h"
#include "tests/daemon/session_rig.h"

namespace hearth::testing {
namespace {

constexpr std::uint32_t kEntries = 64;  // of the rig's touch buffer
constexpr std::uint32_t kPlenty = 10'000;

// A rig whose store has some keys.
class TouchRig : public ChannelRig {
 public:
  explicit TouchRig(std::uint32_t keys = 1, const RigOptions& options = {}) : ChannelRig(options) {
    for (std::uint32_t i = 0; i < keys; ++i) store().Set(1, Key(i), "value");
  }
  static std::string Key(std::uint32_t i) { return "key" + std::to_string(i); }
  std::uint64_t Hash(std::uint32_t i = 0) { return KeyHash(store().view(), 1, Key(i)); }
  std::uint32_t Frequency(std::uint32_t i = 0) {
    return cache::SlotFrequency(FindSlot(store().view(), 1, Key(i))->word);
  }
  Atomic<std::uint64_t>& tail() { return client().control().touch_tail; }
  // How many touches one drain of this channel looks at.
  std::uint32_t Drain() {
    std::uint32_t budget = kPlenty;
    REQUIRE(server().NoteTouches(&budget));
    return kPlenty - budget;
  }
};

TEST_CASE("a touch in the buffer raises the frequency once, and nothing is left of it") {
  TouchRig rig;
  CHECK(rig.Drain() == 0);
  rig.client().RecordTouch(rig.Hash());
  CHECK(rig.Drain() == 1);
  CHECK(rig.Frequency() == 1);
  CHECK(rig.client().view().touches[0].LoadRelaxed() == 0);
  CHECK(rig.Drain() == 0);
  CHECK(rig.Frequency() == 1);
  for (std::uint32_t i = 0; i < 3 * kEntries; ++i) {  // round the buffer
    rig.client().RecordTouch(i + 1);
    REQUIRE(rig.Drain() == 1);
  }
  rig.client().RecordTouch(rig.Hash());
  CHECK(rig.Drain() == 1);
  CHECK(rig.Frequency() == 2);
}

TEST_CASE("of more touches than the buffer holds the last ones count") {
  TouchRig rig(2);
  rig.client().RecordTouch(rig.Hash(0));
  for (std::uint32_t i = 0; i < kEntries; ++i) rig.client().RecordTouch(rig.Hash(1));
  CHECK(rig.Drain() == kEntries);
  CHECK(rig.Frequency(0) == 0);
  CHECK(rig.Frequency(1) == 3);
}

TEST_CASE("a drain goes on where its budget ended, and leaves what came meanwhile to the next") {
  TouchRig rig(30);
  for (std::uint32_t i = 0; i < 20; ++i) rig.client().RecordTouch(rig.Hash(i));
  std::uint32_t budget = 8;
  CHECK_FALSE(rig.server().NoteTouches(&budget));
  CHECK(budget == 0);
  CHECK(rig.Frequency(7) == 1);
  CHECK(rig.Frequency(8) == 0);
  for (std::uint32_t i = 20; i < 30; ++i) rig.client().RecordTouch(rig.Hash(i));
  CHECK(rig.Drain() == 12);
  CHECK(rig.Drain() == 10);
  for (std::uint32_t i = 0; i < 30; ++i) CHECK(rig.Frequency(i) == 1);
}

TEST_CASE("a tail that steps back costs touches, and counts none twice") {
  TouchRig rig(2);
  for (std::uint32_t i = 0; i < 5; ++i) rig.client().RecordTouch(rig.Hash(0));
  rig.tail().StoreRelaxed(2);
  CHECK(rig.Drain() == 2);
  CHECK(rig.Frequency(0) == 2);
  rig.tail().StoreRelaxed(1);
  CHECK(rig.Drain() == 0);
  rig.tail().StoreRelaxed(2);  // over an entry that was counted
  CHECK(rig.Drain() == 1);
  CHECK(rig.Frequency(0) == 2);
  rig.client().RecordTouch(rig.Hash(1));
  CHECK(rig.Drain() == 1);
  CHECK(rig.Frequency(1) == 1);
}

TEST_CASE("whatever the tail says, a drain is bounded, and later touches count again") {
  const std::uint64_t half = std::uint64_t{1} << 63U;
  for (const std::uint64_t lie :
       {std::uint64_t{kEntries + 1}, std::uint64_t{1} << 40U, half - 1, half, half + 1,
        ~std::uint64_t{0}, ~std::uint64_t{0} - kEntries}) {
    CAPTURE(lie);
    TouchRig rig;
    for (const std::uint64_t tail : {lie, std::uint64_t{3}, lie + 7, ~lie, lie}) {
      rig.tail().StoreRelaxed(tail);
      CHECK(rig.Drain() <= kEntries);
    }
    CHECK(rig.Frequency() == 0);
    rig.client().RecordTouch(rig.Hash());
    CHECK(rig.Drain() >= 1);
    CHECK(rig.Frequency() == 1);
    CHECK(rig.Serve().ok());
  }
}

TEST_CASE("a tail that runs ahead of the drain does not lengthen it") {
  TouchRig rig;
  rig.tail().StoreRelaxed(kEntries);
  std::uint32_t steps = 0;
  std::uint32_t budget = 1;
  for (; !rig.server().NoteTouches(&budget) && steps < kPlenty; ++steps) {
    budget = 1;
    rig.tail().StoreRelaxed(rig.tail().LoadRelaxed() + 1'000'000);
  }
  CHECK(steps < kEntries);
}

TEST_CASE("a session without a touch buffer has nothing to drain") {
  RigOptions options;
  options.session.touch_entries = 0;
  TouchRig rig(1, options);
  rig.tail().StoreRelaxed(1'000'000);
  CHECK(rig.Drain() == 0);
}

TEST_CASE("a get that the daemon answers counts as a read, one that finds nothing does not") {
  TouchRig rig;
  for (const std::uint32_t expected : {1U, 2U, 3U, 3U}) {
    CHECK(rig.Ask(ipc::kOpGet, 1, KeyPayload("key0")).payload == "value");
    CHECK(rig.Frequency() == expected);
  }
  CHECK(rig.Ask(ipc::kOpGet, 1, KeyPayload("missing")).code() == Code::kNotFound);
}

}  // namespace
}  // namespace hearth::testing
