// StoreService: pins of sessions, honest and not, and of clients that died with them.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "core/cache/reader.h"
#include "daemon/store_service.h"
#include "tests/daemon/service_rig.h"

namespace hearth::testing {
namespace {

using cache::StoreReader;
using cache::ValueView;

StoreReader AttachTo(int fd) {
  auto reader = StoreReader::Attach(fd);
  REQUIRE(reader.ok());
  return std::move(*reader);
}

// A session that reads in place beside one that writes.
class PinService {
 public:
  PinService()
      : viewer_(service_.NewSession()),
        writer_(service_.NewSession()),
        viewer_peer_(*viewer_),
        writer_peer_(*writer_),
        reader_(AttachTo(service_->store().read_only_fd().get())) {
    service_->Start();
    service_->Add(viewer_);
    service_->Add(writer_);
    Set("key", "the value");
  }
  void Set(const std::string& key, const std::string& value) {
    REQUIRE(AskOk(writer_peer_.channel(), ipc::kOpSet, kDefault, SetPayload(key, value)));
  }
  cache::ReadOutcome View(ValueView* view, std::size_t pin = 0) {
    ipc::PinRecord& record = viewer_peer_.pins()[pin];
    return reader_.View(kDefault, "key", {&record.segment_plus_one, &record.generation}, view)
        .outcome;
  }
  // Overwrites a few keys, so that one segment after the other is compacted, until `done`.
  template <class Done>
  void WriteUntil(Done done) {
    const std::string value(2000, 'x');
    for (std::uint64_t i = 0; !done(); ++i) Set("w" + std::to_string(i % 40), value);
  }
  // Segments taken so far: the store has sixteen.
  std::uint64_t Sequence() {
    return service_->store().view().header().allocated_sequence.LoadRelaxed();
  }

  Service service_;
  std::shared_ptr<daemon::Session> viewer_;
  std::shared_ptr<daemon::Session> writer_;
  SessionPeer viewer_peer_;
  SessionPeer writer_peer_;
  StoreReader reader_;
};

TEST_CASE("a value in use stays as it is while its segment is evicted") {
  PinService rig;
  ValueView view;
  REQUIRE(rig.View(&view) == cache::ReadOutcome::kHit);
  REQUIRE(AskOk(rig.writer_peer_.channel(), ipc::kOpDelete, kDefault, KeyPayload("key")));
  rig.WriteUntil([&] { return rig.Sequence() > 30; });
  const bool valid = view.Valid();  // unless this machine was slower than pin_max
  if (valid) CHECK(view.bytes() == "the value");
  view.Release();
}

TEST_CASE("the segment of a pin that is never released comes back after pin_max, without a write") {
  PinService rig;
  ValueView view;
  REQUIRE(rig.View(&view) == cache::ReadOutcome::kHit);
  REQUIRE(AskOk(rig.writer_peer_.channel(), ipc::kOpDelete, kDefault, KeyPayload("key")));
  rig.WriteUntil([&] { return rig.Sequence() > 30; });
  WaitUntil([&] { return !view.Valid(); });
  CHECK_FALSE(view.Release());
}

TEST_CASE("the pins of a session that has gone hold nothing") {
  PinService rig;
  ValueView view;
  REQUIRE(rig.View(&view) == cache::ReadOutcome::kHit);
  rig.service_->Remove(rig.viewer_->id);
  WaitUntil([&] { return rig.service_.Gone(rig.viewer_->id); });
  REQUIRE(AskOk(rig.writer_peer_.channel(), ipc::kOpDelete, kDefault, KeyPayload("key")));
  rig.WriteUntil([&] { return !view.Valid(); });
  CHECK_FALSE(view.Release());
}

TEST_CASE("a session that pins everything, in all ways, stops nobody") {
  PinService rig;
  std::uint64_t lie = 1;
  for (std::uint32_t round = 0; round < 3000; ++round) {
    for (ipc::PinRecord& pin : rig.viewer_peer_.pins()) {
      lie = lie * 6364136223846793005U + 1442695040888963407U;
      pin.generation.StoreRelaxed(lie % 3 == 0 ? lie : round / 100);
      pin.segment_plus_one.StoreRelaxed(lie % 5 == 0 ? lie : lie >> 40U & 0x1fU);
    }
    rig.Set("w" + std::to_string(round), std::string(2000, 'x'));
  }
  CHECK(rig.service_.broken_sessions() == 0);
  REQUIRE(WorkWell(rig.writer_peer_.channel(), "other", 10));
  REQUIRE(WorkWell(rig.viewer_peer_.channel(), "more", 10));
}

}  // namespace
}  // namespace hearth::testing
