// CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of every entry.
#ifndef HEARTH_CORE_BASE_CRC32C_H_
#define HEARTH_CORE_BASE_CRC32C_H_

#include <cstddef>
#include <cstdint>

namespace hearth {

// CRC of `size` bytes, continuing from `crc` (0 to begin): Crc32c(Crc32c(0, a), b) is the CRC of
// a followed by b. Uses the SSE4.2 or ARMv8 instruction where the build has it.
std::uint32_t Crc32c(std::uint32_t crc, const void* data, std::size_t size);

// The table-driven form, for machines without the instruction and for the test that compares both.
std::uint32_t Crc32cPortable(std::uint32_t crc, const void* data, std::size_t size);

}  // namespace hearth

#endif  // HEARTH_CORE_BASE_CRC32C_H_
