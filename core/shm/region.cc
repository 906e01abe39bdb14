#include "core/shm/region.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

namespace hearth::shm {

Status CheckRegion(const RegionPrefix& prefix, std::uint64_t mapped_bytes,
                   const RegionExpectation& expected) {
  if (mapped_bytes < sizeof(RegionPrefix))
    return Error(Code::kDataLoss, "the region has {} bytes, fewer than its prefix", mapped_bytes);
  // SYNC acquire region-magic: everything the creator wrote before it published the region.
  const std::uint64_t magic = prefix.magic.LoadAcquire();
  if (magic == 0)
    return Error(Code::kUnavailable, "the region is still being created (no magic yet)");
  if (magic != kRegionMagic)
    return Error(Code::kDataLoss, "not a region of Hearth: magic {:#018x}, expected {:#018x}",
                 magic, kRegionMagic);
  if (prefix.kind != static_cast<std::uint32_t>(expected.kind))
    return Error(Code::kDataLoss, "the region is of kind {}, expected {}", prefix.kind,
                 static_cast<std::uint32_t>(expected.kind));
  if (prefix.layout_version != expected.layout_version)
    return Error(Code::kFailedPrecondition,
                 "the region has layout version {}, this build reads version {}",
                 prefix.layout_version, expected.layout_version);
  if (prefix.layout_fingerprint != expected.layout_fingerprint)
    return Error(Code::kFailedPrecondition,
                 "the region has layout fingerprint {:016x}, this build reads {:016x} "
                 "(both call it version {})",
                 prefix.layout_fingerprint, expected.layout_fingerprint, expected.layout_version);
  if (prefix.region_bytes != mapped_bytes || prefix.header_bytes > mapped_bytes)
    return Error(Code::kDataLoss, "the region claims {} bytes ({} of header), {} are mapped",
                 prefix.region_bytes, prefix.header_bytes, mapped_bytes);
  if (prefix.state.LoadRelaxed() != static_cast<std::uint32_t>(RegionState::kLive))
    return Error(Code::kUnavailable, "the region is not live (state {})",
                 prefix.state.LoadRelaxed());
  return Status::Ok();
}

void InitRegion(RegionPrefix& prefix, const RegionExpectation& what, std::uint32_t header_bytes,
                std::uint64_t region_bytes, const Uuid& uuid) {
  prefix.header_bytes = header_bytes;
  prefix.layout_version = what.layout_version;
  prefix.layout_fingerprint = what.layout_fingerprint;
  std::memcpy(prefix.uuid, uuid.data(), uuid.size());
  prefix.kind = static_cast<std::uint32_t>(what.kind);
  prefix.epoch.StoreRelaxed(1);
  prefix.region_bytes = region_bytes;
}

void PublishRegion(RegionPrefix& prefix) {
  prefix.state.StoreRelaxed(static_cast<std::uint32_t>(RegionState::kLive));
  // SYNC release region-magic: header, tables and prefix are complete.
  prefix.magic.StoreRelease(kRegionMagic);
}

void RandomBytes(void* out, std::size_t size) {
  auto* p = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t got = ::getrandom(p, size, 0);
    if (got < 0 && errno == EINTR) continue;
    HEARTH_CHECK(got > 0);
    p += got;
    size -= static_cast<std::size_t>(got);
  }
}

Uuid MakeUuid() {
  Uuid uuid;
  RandomBytes(uuid.data(), uuid.size());
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0fU) | 0x40U);  // RFC 9562, version 4
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3fU) | 0x80U);
  return uuid;
}

std::string FormatUuid(const Uuid& uuid) {
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", uuid[i]);
  }
  return text;
}

}  // namespace hearth::shm
