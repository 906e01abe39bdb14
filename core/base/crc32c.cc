#include "core/base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace hearth {
namespace {

constexpr std::array<std::uint32_t, 256> MakeTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kTable = MakeTable();

}  // namespace

std::uint32_t Crc32cPortable(std::uint32_t crc, const void* data, std::size_t size) {
  const auto* p = static_cast<const unsigned char*>(data);
  crc = ~crc;
  for (; size > 0; --size, ++p) crc = kTable[(crc ^ *p) & 0xffU] ^ (crc >> 8U);
  return ~crc;
}

#if defined(__SSE4_2__) || defined(__ARM_FEATURE_CRC32)
namespace {
#if defined(__SSE4_2__)
std::uint32_t Step8(std::uint32_t crc, std::uint64_t word) {
  return static_cast<std::uint32_t>(_mm_crc32_u64(crc, word));
}
std::uint32_t Step1(std::uint32_t crc, unsigned char byte) { return _mm_crc32_u8(crc, byte); }
#else
std::uint32_t Step8(std::uint32_t crc, std::uint64_t word) { return __crc32cd(crc, word); }
std::uint32_t Step1(std::uint32_t crc, unsigned char byte) { return __crc32cb(crc, byte); }
#endif
}  // namespace

std::uint32_t Crc32c(std::uint32_t crc, const void* data, std::size_t size) {
  const auto* p = static_cast<const unsigned char*>(data);
  crc = ~crc;
  for (; size >= 8; size -= 8, p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, sizeof(word));
    crc = Step8(crc, word);
  }
  for (; size > 0; --size, ++p) crc = Step1(crc, *p);
  return ~crc;
}
#else
std::uint32_t Crc32c(std::uint32_t crc, const void* data, std::size_t size) {
  return Crc32cPortable(crc, data, size);
}
#endif

}  // namespace hearth
