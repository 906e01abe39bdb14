#include "ipc/session_region.h"

#include <functional>

#include <doctest/doctest.h>

#include "core/shm/memory.h"

namespace hearth::ipc {
namespace {

SessionGeometry SmallGeometry() {
  SessionGeometry geometry;
  geometry.session_id = 42;
  geometry.channels = 3;
  geometry.request_ring_bytes = kMinRingBytes;
  geometry.response_ring_bytes = 2 * kMinRingBytes;
  geometry.touch_entries = 64;
  geometry.pins = 5;
  return geometry;
}

Result<SessionRegion> AttachCopyOf(const SessionRegion& region) {
  return SessionRegion::Attach(region.fd().Duplicate().value());
}

TEST_CASE("session region: what the daemon creates, the client attaches") {
  SessionRegion region = SessionRegion::Create(SmallGeometry()).value();
  SessionRegion attached = AttachCopyOf(region).value();
  CHECK(attached.geometry().session_id == 42);
  CHECK(attached.geometry().channels == 3);
  CHECK(attached.geometry().request_ring_bytes == kMinRingBytes);
  CHECK(attached.geometry().response_ring_bytes == 2 * kMinRingBytes);
  CHECK(attached.pins().size() == 5);
  CHECK(attached.server_epoch().LoadRelaxed() == 1);
  for (std::uint32_t i = 0; i < 3; ++i) {
    const ChannelView mine = region.channel(i);
    const ChannelView theirs = attached.channel(i);
    CHECK(theirs.touches.size() == 64);
    // The same words, at other addresses.
    mine.control->request_tail.StoreRelaxed(1000 + i);
    CHECK(theirs.requests.tail->LoadRelaxed() == 1000 + i);
    mine.responses.data[mine.responses.bytes - 1] = static_cast<std::byte>(i);
    CHECK(theirs.responses.data[mine.responses.bytes - 1] == static_cast<std::byte>(i));
    // Nothing overlaps.
    CHECK(mine.requests.data + mine.requests.bytes <= mine.responses.data);
    CHECK(mine.responses.data + mine.responses.bytes <=
          reinterpret_cast<std::byte*>(mine.touches.data()));
  }
}

TEST_CASE("session region: geometries outside the limits are refused") {
  SessionGeometry geometry = SmallGeometry();
  SUBCASE("no channel") { geometry.channels = 0; }
  SUBCASE("too many channels") { geometry.channels = kMaxChannels + 1; }
  SUBCASE("a ring that is no power of two") { geometry.request_ring_bytes = kMinRingBytes + 64; }
  SUBCASE("a ring too small") { geometry.response_ring_bytes = kMinRingBytes / 2; }
  SUBCASE("a ring too large") { geometry.response_ring_bytes = 2 * kMaxRingBytes; }
  SUBCASE("touches that are no power of two") { geometry.touch_entries = 65; }
  SUBCASE("too many touches") { geometry.touch_entries = 2 * kMaxTouchEntries; }
  SUBCASE("too many pins") { geometry.pins = kMaxPins + 1; }
  const Result<SessionRegion> region = SessionRegion::Create(geometry);
  REQUIRE_FALSE(region.ok());
  CHECK(region.status().code() == Code::kInvalidArgument);
}

TEST_CASE("session region: a tampered header is refused") {
  SessionRegion region = SessionRegion::Create(SmallGeometry()).value();
  shm::Mapping mapping = shm::Mapping::Map(region.fd().get(), shm::Access::kReadWrite).value();
  auto& prefix = *reinterpret_cast<shm::RegionPrefix*>(mapping.data());
  auto& header = *reinterpret_cast<SessionHeader*>(mapping.data() + kSessionHeaderOffset);
  Code expected = Code::kDataLoss;
  SUBCASE("not finished") {
    prefix.magic.StoreRelaxed(0);
    expected = Code::kUnavailable;
  }
  SUBCASE("magic") { prefix.magic.StoreRelaxed(1); }
  SUBCASE("kind") { prefix.kind = 1; }
  SUBCASE("size") { prefix.region_bytes += 4096; }
  SUBCASE("another layout version") {
    prefix.layout_version += 1;
    expected = Code::kFailedPrecondition;
  }
  SUBCASE("another fingerprint") {
    prefix.layout_fingerprint += 1;
    expected = Code::kFailedPrecondition;
  }
  SUBCASE("channels") { header.channel_count = 0; }
  SUBCASE("more channels than there is room for") { header.channel_count = 4; }
  SUBCASE("channels all ones") { header.channel_count = ~0U; }
  SUBCASE("ring size") { header.request_ring_bytes = kMinRingBytes + 1; }
  SUBCASE("ring size beyond the channel") { header.request_ring_bytes = kMaxRingBytes; }
  SUBCASE("touches beyond the channel") { header.touch_entries = kMaxTouchEntries; }
  SUBCASE("pins beyond the region") { header.pin_count = kMaxPins; }
  SUBCASE("pins in the header") { header.pin_offset = 0; }
  SUBCASE("pins at the end of the address space") { header.pin_offset = ~std::uint64_t{15}; }
  SUBCASE("channels in the header") { header.channel_offset = 0; }
  SUBCASE("channels beyond the region") { header.channel_offset = mapping.size(); }
  SUBCASE("a stride of zero") { header.channel_stride = 0; }
  SUBCASE("a stride that overflows") { header.channel_stride = ~std::uint64_t{63}; }
  SUBCASE("a stride off the lines") { header.channel_stride += 8; }
  SUBCASE("a ring over the control words") { header.request_ring_offset = 0; }
  SUBCASE("a ring off the lines") { header.response_ring_offset += 8; }
  SUBCASE("a ring that overflows") { header.response_ring_offset = ~std::uint64_t{63}; }
  SUBCASE("touches beyond") { header.touch_offset = header.channel_stride; }
  const Result<SessionRegion> attached = AttachCopyOf(region);
  REQUIRE_FALSE(attached.ok());
  CHECK(attached.status().code() == expected);
}

TEST_CASE("session region: what is checked once is not read again") {
  SessionRegion region = SessionRegion::Create(SmallGeometry()).value();
  SessionRegion attached = AttachCopyOf(region).value();
  const std::byte* before = attached.channel(2).responses.data;
  shm::Mapping mapping = shm::Mapping::Map(region.fd().get(), shm::Access::kReadWrite).value();
  auto& header = *reinterpret_cast<SessionHeader*>(mapping.data() + kSessionHeaderOffset);
  header.channel_stride = 1U << 30U;
  header.response_ring_bytes = kMaxRingBytes;
  CHECK(attached.channel(2).responses.data == before);
  CHECK(attached.channel(2).responses.bytes == 2 * kMinRingBytes);
}

TEST_CASE("session region: memory that is no region") {
  CHECK(SessionRegion::Attach(MakeEventFd().value()).status().code() == Code::kDataLoss);
  CHECK(SessionRegion::Attach(shm::CreateMemory("small", 64).value()).status().code() ==
        Code::kDataLoss);
  CHECK(SessionRegion::Attach(shm::CreateMemory("zeroes", 1U << 20U).value()).status().code() ==
        Code::kUnavailable);
}

TEST_CASE("session region: ring sizes that a client may ask for") {
  CHECK(LegalRingBytes(0, kMaxRingBytes) == kDefaultRingBytes);
  CHECK(LegalRingBytes(0, kMinRingBytes) == kMinRingBytes);
  CHECK(LegalRingBytes(1, kMaxRingBytes) == kMinRingBytes);
  CHECK(LegalRingBytes(kMinRingBytes + 1, kMaxRingBytes) == 2 * kMinRingBytes);
  CHECK(LegalRingBytes(~0U, kMaxRingBytes) == kMaxRingBytes);
}

}  // namespace
}  // namespace hearth::ipc
