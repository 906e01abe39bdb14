#include "core/base/hash.h"

#include <bit>
#include <cstddef>
#include <cstring>

namespace hearth {
namespace {

__extension__ using Uint128 = unsigned __int128;

std::uint64_t Mix(std::uint64_t a, std::uint64_t b) {
  Uint128 product = static_cast<Uint128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

template <class T>
std::uint64_t Read(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof(value));
  static_assert(std::endian::native == std::endian::little, "the store is little-endian");
  return value;
}

std::uint64_t Read8(const char* p) { return Read<std::uint64_t>(p); }
std::uint64_t Read4(const char* p) { return Read<std::uint32_t>(p); }
// 1 to 3 bytes: first, middle, last.
std::uint64_t Read3(const char* p, std::size_t n) {
  auto byte = [p](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(p[i])}; };
  return byte(0) << 16U | byte(n >> 1U) << 8U | byte(n - 1);
}

}  // namespace

HashSecret MakeHashSecret(const std::array<std::uint64_t, 8>& random_words) {
  // The 70 bytes with exactly four bits set.
  std::array<std::uint8_t, 70> balanced{};
  std::size_t count = 0;
  for (unsigned v = 0; v < 256; ++v)
    if (std::popcount(v) == 4) balanced[count++] = static_cast<std::uint8_t>(v);

  HashSecret secret{};
  for (std::size_t i = 0; i < secret.size(); ++i) {
    for (unsigned byte = 0; byte < 8; ++byte) {
      // 16 random bits for each byte keep the bias of the remainder below 0.2 %.
      std::uint64_t word = random_words[2 * i + byte / 4];
      std::uint64_t pick = (word >> (16U * (byte % 4U))) & 0xffffU;
      std::uint64_t value = balanced[pick % balanced.size()];
      // The lowest byte must be odd; stepping through the table always finds an odd one.
      while (byte == 0 && (value & 1U) == 0) value = balanced[++pick % balanced.size()];
      secret[i] |= value << (8U * byte);
    }
  }
  return secret;
}

std::uint64_t NamespaceSeed(const HashSecret& secret, std::uint16_t namespace_id) {
  std::uint64_t seed = namespace_id;
  return seed ^ Mix(seed ^ secret[0], secret[1]);
}

std::uint64_t HashKey(const HashSecret& secret, std::uint64_t seed, std::string_view key) {
  const char* p = key.data();
  const std::size_t length = key.size();
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  if (length <= 16) {
    if (length >= 4) {
      const std::size_t step = (length >> 3U) << 2U;
      a = Read4(p) << 32U | Read4(p + step);
      b = Read4(p + length - 4) << 32U | Read4(p + length - 4 - step);
    } else if (length > 0) {
      a = Read3(p, length);
    }
  } else {
    std::size_t left = length;
    if (left > 48) {
      std::uint64_t lane1 = seed;
      std::uint64_t lane2 = seed;
      do {
        seed = Mix(Read8(p) ^ secret[1], Read8(p + 8) ^ seed);
        lane1 = Mix(Read8(p + 16) ^ secret[2], Read8(p + 24) ^ lane1);
        lane2 = Mix(Read8(p + 32) ^ secret[3], Read8(p + 40) ^ lane2);
        p += 48;
        left -= 48;
      } while (left > 48);
      seed ^= lane1 ^ lane2;
    }
    while (left > 16) {
      seed = Mix(Read8(p) ^ secret[1], Read8(p + 8) ^ seed);
      p += 16;
      left -= 16;
    }
    a = Read8(p + left - 16);
    b = Read8(p + left - 8);
  }
  a ^= secret[1];
  b ^= seed;
  const Uint128 product = static_cast<Uint128>(a) * b;
  return Mix(static_cast<std::uint64_t>(product) ^ secret[0] ^ length,
             static_cast<std::uint64_t>(product >> 64U) ^ secret[1]);
}

}  // namespace hearth
