// Readers in processes of their own that are stopped (SIGSTOP) at the worst moments: in the middle
// of a copy, and with a pin held. The writer goes on, whatever they do, until the memory under them
// has been another segment's 64 times and every word they looked at is what it was; then they
// continue, and must return a right value or say that what they had was revoked.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <doctest/doctest.h>

#include "core/base/failpoint.h"
#include "core/cache/writer.h"
#include "core/shm/memory.h"
#include "tests/support/child_process.h"
#include "tests/support/pin_table.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::Channel;
using testing::ChildProcess;
using testing::FindBrokenInvariants;
using testing::FindSlot;
using testing::PinRecords;
using testing::PinTable;
using testing::TestStore;

constexpr std::uint32_t kValueBytes = 12'000;
constexpr std::uintptr_t kPageBytes = 4096;
constexpr std::uint64_t kSecond = 1'000'000'000;

std::string Value(std::uint64_t number) {
  std::string value = fmt::format("{:08}", number);
  while (value.size() < kValueBytes) value += value.substr(0, 8);
  return value.substr(0, kValueBytes);
}

// Its number; 0 when it is not one value from the first byte to the last.
std::uint64_t NumberOf(std::string_view value) {
  std::uint64_t number = 0;
  for (const char digit : value.substr(0, 8))
    number = number * 10 + static_cast<unsigned>(digit - '0');
  return value == Value(number) ? number : 0;
}

// What a child reports.
struct Report {
  ReadOutcome outcome = ReadOutcome::kMiss;
  std::uint64_t number = 0;       // of the value
  std::uint64_t before_stop = 0;  // of the value as it was before the stop
  bool stable = false;            // what Release() said
};

// The child's own trap: whoever touches the page stops the process, once.
std::uintptr_t trap_page = 0;
void StopHere(int) {
  ::raise(SIGSTOP);
  ::mprotect(reinterpret_cast<void*>(trap_page), kPageBytes, PROT_READ);
}
void TrapPageOf(const std::byte* address) {
  trap_page = reinterpret_cast<std::uintptr_t>(address) / kPageBytes * kPageBytes;
  struct sigaction action {};
  action.sa_handler = StopHere;
  ::sigaction(SIGSEGV, &action, nullptr);
  ::mprotect(reinterpret_cast<void*>(trap_page), kPageBytes, PROT_NONE);
}

// The store, and a table of pins in memory that children share.
class StopRig {
 public:
  StopRig() {
    auto memory = shm::CreateMemory("pins", kPageBytes);
    REQUIRE(memory.ok());
    auto mapping = shm::Mapping::Map(memory->get(), shm::Access::kReadWrite);
    REQUIRE(mapping.ok());
    mapping_ = std::move(*mapping);
    records_ = reinterpret_cast<PinRecords*>(mapping_.data());
    pins_.emplace(records_);
    store_.writer().WatchPins(&*pins_, kSecond);
    REQUIRE(store_.Namespace("n") == 1);
    store_.Set(1, "key", Value(1));
    slot_ = FindSlot(store_.view(), 1, "key")->word;
    generation_ = Generation();
  }

  TestStore& store() { return store_; }
  PinRecords& records() { return *records_; }
  const PinTable& pins() const { return *pins_; }
  std::uint64_t slot() const { return slot_; }
  std::uint64_t Generation() const {
    return SegmentGenerationOf(
        store_.view().segment(SlotSegment(slot_)).state_generation.LoadRelaxed());
  }
  std::uint64_t number() const { return number_; }
  void Overwrite() { store_.Set(1, "key", Value(++number_)); }

  // Overwrites the key until its slot is, bit by bit, what it was at first, 64 lives later.
  void ComeRound() {
    for (int i = 0; i < 20'000; ++i) {
      Overwrite();
      const std::uint64_t word = FindSlot(store_.view(), 1, "key")->word;
      if (Generation() != generation_ && ((word ^ slot_) & ~kSlotFrequencyBits) == 0) break;
    }
    CHECK(Generation() == generation_ + 64);
  }

  // Fills the store with other keys as well, until the segment has had 64 more lives.
  void Outlive() {
    for (int i = 0; i < 20'000 && Generation() < generation_ + 64; ++i) {
      Overwrite();
      store_.Set(1, fmt::format("other {}", i), Value(++number_));
    }
    Overwrite();
    CHECK(Generation() >= generation_ + 64);
  }

  // Waits until the child has stopped itself.
  static void AwaitStop(const ChildProcess& child) {
    int status = 0;
    REQUIRE(::waitpid(child.pid(), &status, WUNTRACED) == child.pid());
    REQUIRE(WIFSTOPPED(status));
  }
  static Report Continue(ChildProcess& child) {
    child.Kill(SIGCONT);
    Report report;
    REQUIRE(child.channel().Receive(&report));
    CHECK(child.Wait() == 0);
    return report;
  }
  void CheckSound() {
    for (const std::string& problem : FindBrokenInvariants(store_.view())) FAIL_CHECK(problem);
  }

 private:
  TestStore store_;
  shm::Mapping mapping_;
  PinRecords* records_ = nullptr;
  std::optional<PinTable> pins_;
  std::uint64_t slot_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t number_ = 1;
};

TEST_CASE("stopped in the middle of a copy, across 64 lives of the segment: the value of now") {
  StopRig rig;
  auto child = ChildProcess::Fork([&](Channel& channel) {
    const StoreReader reader = rig.store().AttachedReader();
    TrapPageOf(reader.view().segment_data(SlotSegment(rig.slot())) + SlotOffset(rig.slot()) +
               kValueBytes / 2);
    std::string value;
    Report report;
    report.outcome = reader.Get(1, "key", &value).outcome;
    report.number = NumberOf(value);
    return channel.Send(report) ? 0 : 1;
  });
  REQUIRE(child.ok());
  StopRig::AwaitStop(*child);
  rig.ComeRound();
  const Report report = StopRig::Continue(*child);
  CHECK(report.outcome == ReadOutcome::kHit);
  CHECK(report.number == rig.number());
  rig.CheckSound();
}

// A child that views the key, stops at `point` (or with the view in its hands), and uses it.
Result<ChildProcess> Viewer(StopRig& rig, const char* point) {
  return ChildProcess::Fork([&rig, point](Channel& channel) {
    const StoreReader reader = rig.store().AttachedReader();
    bool stopped = false;
    if (point != nullptr)
      SetFailpoint(point, [&stopped] {
        if (!std::exchange(stopped, true)) ::raise(SIGSTOP);
      });
    Report report;
    ValueView view;
    report.outcome = reader.View(1, "key", rig.records()[0], &view).outcome;
    report.before_stop = NumberOf(view.bytes());
    if (point == nullptr) ::raise(SIGSTOP);
    report.number = NumberOf(view.bytes());
    report.stable = view.Release();
    return channel.Send(report) ? 0 : 1;
  });
}

TEST_CASE(
    "stopped with a pin: writes go on, the value stays, and the segment is reused afterwards") {
  StopRig rig;
  auto child = Viewer(rig, nullptr);
  REQUIRE(child.ok());
  StopRig::AwaitStop(*child);
  const std::uint64_t generation = rig.Generation();
  for (int i = 0; i < 1000; ++i) rig.Overwrite();
  CHECK(rig.Generation() == generation);
  const Report report = StopRig::Continue(*child);
  CHECK(report.outcome == ReadOutcome::kHit);
  CHECK(report.number == 1);
  CHECK(report.stable);
  CHECK(rig.pins().empty());
  rig.Outlive();
  CHECK(rig.store().writer().revoked_segments() == 0);
  rig.CheckSound();
}

TEST_CASE("stopped with a pin for longer than pin_max, across 64 lives: the view says so") {
  StopRig rig;
  auto child = Viewer(rig, nullptr);
  REQUIRE(child.ok());
  StopRig::AwaitStop(*child);
  while (rig.store().writer().quarantined_segments() == 0) rig.Overwrite();
  rig.store().clock().AdvanceMs(1000);
  rig.Outlive();
  CHECK(rig.store().writer().revoked_segments() == 1);
  const Report report = StopRig::Continue(*child);
  CHECK(report.outcome == ReadOutcome::kHit);
  CHECK(report.before_stop == 1);
  CHECK(report.number != 1);
  CHECK_FALSE(report.stable);
  CHECK(rig.pins().empty());
  rig.CheckSound();
}

TEST_CASE("stopped between finding the value and pinning it, across 64 lives: the value of now") {
  StopRig rig;
  auto child = Viewer(rig, "reader.before_pin");
  REQUIRE(child.ok());
  StopRig::AwaitStop(*child);
  rig.ComeRound();
  const Report report = StopRig::Continue(*child);
  CHECK(report.outcome == ReadOutcome::kHit);
  CHECK(report.number == rig.number());
  CHECK(report.stable);
  CHECK(rig.pins().empty());
}

TEST_CASE(
    "stopped between publishing a pin and verifying it: it holds the segment, then gives way") {
  StopRig rig;
  auto child = Viewer(rig, "reader.after_pin");
  REQUIRE(child.ok());
  StopRig::AwaitStop(*child);
  for (int i = 0; i < 1000; ++i) rig.Overwrite();
  CHECK(rig.store().writer().quarantined_segments() == 1);
  SUBCASE("continued in time") {}
  SUBCASE("continued 64 lives later") {
    rig.store().clock().AdvanceMs(1000);
    rig.Outlive();
  }
  const Report report = StopRig::Continue(*child);
  CHECK(report.outcome == ReadOutcome::kHit);
  CHECK(report.number == rig.number());
  CHECK(report.stable);
  CHECK(rig.pins().empty());
}

}  // namespace
}  // namespace hearth::cache
