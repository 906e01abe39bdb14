// Values that prove themselves: value = f(key, number), of a length that also follows from the
// number. A torn or foreign value is recognised without knowing which one should have been there.
#ifndef HEARTH_TESTS_SUPPORT_SELF_CHECKING_VALUE_H_
#define HEARTH_TESTS_SUPPORT_SELF_CHECKING_VALUE_H_

#include <cstdint>
#include <cstring>
#include <string>

#include "core/base/crc32c.h"
#include "tests/support/seed.h"

namespace hearth::testing {

//   | key 4 | number 8 | content ... | CRC-32C of all before 4 |
inline constexpr std::size_t kSelfCheckingOverhead = 16;

// `spread` is how far lengths may go beyond the overhead.
inline std::string MakeSelfCheckingValue(std::uint32_t key, std::uint64_t number,
                                         std::uint64_t spread) {
  Random random(number << 20U ^ key);
  std::string value(kSelfCheckingOverhead + random.Below(spread + 1), '\0');
  std::memcpy(value.data(), &key, 4);
  std::memcpy(value.data() + 4, &number, 8);
  const std::size_t end = value.size() - 4;
  for (std::size_t at = 12; at < end;) {
    const std::uint64_t word = random.Next();
    const std::size_t size = end - at < 8 ? end - at : 8;
    std::memcpy(value.data() + at, &word, size);
    at += size;
  }
  const std::uint32_t crc = Crc32c(0, value.data(), end);
  std::memcpy(value.data() + end, &crc, 4);
  return value;
}

// The number of a value; 0 when it is not, byte for byte, one of this key. Numbers begin at 1.
inline std::uint64_t CheckSelfCheckingValue(std::uint32_t key, const std::string& value,
                                            std::uint64_t spread) {
  if (value.size() < kSelfCheckingOverhead) return 0;
  std::uint64_t number = 0;
  std::memcpy(&number, value.data() + 4, 8);
  // The CRC finds nearly all damage cheaply; making the value again finds the rest.
  std::uint32_t crc = 0;
  std::memcpy(&crc, value.data() + value.size() - 4, 4);
  if (Crc32c(0, value.data(), value.size() - 4) != crc) return 0;
  return MakeSelfCheckingValue(key, number, spread) == value ? number : 0;
}

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_SUPPORT_SELF_CHECKING_VALUE_H_
