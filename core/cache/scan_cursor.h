// ScanCursor: where a scan stands, as text that another process can go on with. FORMAT.md section 8
// has the bytes, which the Go package reads and writes as well.
#ifndef HEARTH_CORE_CACHE_SCAN_CURSOR_H_
#define HEARTH_CORE_CACHE_SCAN_CURSOR_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace hearth::cache {

struct ScanCursor {
  std::array<std::uint8_t, 16> store{};  // uuid
  std::uint32_t handle = 0;              // of the namespace
  std::uint64_t hash = 0;                // all keys with smaller hashes are done
  std::uint64_t directory = 0;           // the directory word of the page that was begun; 0 = none
  std::uint16_t position = 0;            // slots of that page that are done

  // 86 characters of 0-9 a-f.
  std::string Encode() const;
  // kInvalidArgument for anything that Encode() has not written.
  static Result<ScanCursor> Decode(std::string_view text);
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_SCAN_CURSOR_H_
