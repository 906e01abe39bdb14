// Whose a store is: one writer at a time, and only what is a store of this boot and layout.
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "core/base/units.h"
#include "core/cache/store.h"
#include "core/cache/writer.h"
#include "tests/support/child_process.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

TEST_CASE("adopt: one writer at a time, in this process and in others") {
  auto first = Store::Create({.bytes = 512 * kKiB, .segment_bytes = 64 * kKiB});
  REQUIRE(first.ok());
  REQUIRE(StoreWriter::Create(first->view()).ok());
  const UniqueFd fd(::dup(first->fd().get()));
  const auto second = Store::Adopt(UniqueFd(::dup(fd.get())));
  REQUIRE(!second.ok());
  CHECK(second.status().code() == Code::kAborted);
  CHECK(second.status().message() == "another process is writing to this shared memory");
  auto child = testing::ChildProcess::Fork(
      [&](testing::Channel&) { return Store::Adopt(UniqueFd(::dup(fd.get()))).ok() ? 1 : 0; });
  REQUIRE(child.ok());
  CHECK(child->Wait() == 0);
  { const Store closed = std::move(*first); }
  CHECK(Store::Adopt(UniqueFd(::dup(fd.get()))).ok());
}

TEST_CASE("adopt: what is no store of this boot and layout is refused, and says why") {
  const auto refusal = [&](const std::function<void(StoreView)>& damage) {
    UniqueFd fd;
    {
      const auto store = Store::Create({.bytes = 512 * kKiB, .segment_bytes = 64 * kKiB});
      REQUIRE(store.ok());
      REQUIRE(StoreWriter::Create(store->view()).ok());
      damage(store->view());
      fd = UniqueFd(::dup(store->fd().get()));
    }
    const auto adopted = Store::Adopt(std::move(fd));
    REQUIRE(!adopted.ok());
    return adopted.status().ToString();
  };
  CHECK(refusal([](StoreView view) { view.prefix().layout_version = 9; }) ==
        "FAILED_PRECONDITION: the region has layout version 9, this build reads version 1");
  CHECK(refusal([](StoreView view) { view.prefix().magic.StoreRelaxed(0); }).find("UNAVAILABLE") ==
        0);
  CHECK(refusal([](StoreView view) { view.header().segment_count += 1; }).find("DATA_LOSS") == 0);
  CHECK(refusal([](StoreView view) {
          view.header().boot_id[0] ^= 1;
          testing::SealFrozen(reinterpret_cast<std::byte*>(&view.prefix()));
        }) ==
        "FAILED_PRECONDITION: the store was made in another boot of this machine, so its clock is "
        "not ours");
}

}  // namespace
}  // namespace hearth::cache
