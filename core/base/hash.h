// The key hash of the store, and a plain one for layout fingerprints.
//
// HashKey is wyhash final version 4 (Wang Yi, https://github.com/wangyi-fudan/wyhash, public
// domain) with all four secrets drawn per store, so that a client that cannot read the store cannot
// prepare keys that collide. Go computes the same function (go-binding/internal/index/hash.go);
// tests/conformance pins both with vectors.
#ifndef HEARTH_CORE_BASE_HASH_H_
#define HEARTH_CORE_BASE_HASH_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace hearth {

using HashSecret = std::array<std::uint64_t, 4>;

// Draws secrets with the properties wyhash asks for: odd, and four bits set in each byte.
// `random_words` supplies the entropy (two words per secret).
HashSecret MakeHashSecret(const std::array<std::uint64_t, 8>& random_words);

// The seed of one namespace; computed once and kept by whoever hashes many keys of it.
std::uint64_t NamespaceSeed(const HashSecret& secret, std::uint16_t namespace_id);

// Hash of a key under NamespaceSeed's result. Any length.
std::uint64_t HashKey(const HashSecret& secret, std::uint64_t seed, std::string_view key);

// FNV-1a, 64 bits; for names and layouts, never for keys.
constexpr std::uint64_t Fnv1a64(std::string_view text, std::uint64_t state = 0xcbf29ce484222325U) {
  for (char c : text) {
    state ^= static_cast<unsigned char>(c);
    state *= 0x100000001b3U;
  }
  return state;
}

}  // namespace hearth

#endif  // HEARTH_CORE_BASE_HASH_H_
