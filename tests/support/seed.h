// Reproducible randomness: one seed per test process, from HEARTH_SEED or from the kernel.
//
//   HEARTH_SHOW_SEED();                     // in the test case: a failure prints the seed
//   Random random(RunSeed() + round);
#ifndef HEARTH_TESTS_SUPPORT_SEED_H_
#define HEARTH_TESTS_SUPPORT_SEED_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace hearth::testing {

// Decimal or 0x-hexadecimal HEARTH_SEED; drawn at random, once per process, when it is not set.
inline std::uint64_t RunSeed() {
  static const std::uint64_t seed = [] {
    if (const char* text = std::getenv("HEARTH_SEED")) return std::strtoull(text, nullptr, 0);
    std::random_device device;
    return static_cast<unsigned long long>(device()) << 32U | device();
  }();
  return seed;
}

// Whether the long versions of the tests were asked for (HEARTH_FULL=1).
inline bool FullRun() {
  const char* text = std::getenv("HEARTH_FULL");
  return text != nullptr && std::string(text) == "1";
}

// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  // 0 .. limit - 1; REQUIRES: limit > 0. The bias of the remainder does not matter in tests.
  std::uint64_t Below(std::uint64_t limit) { return Next() % limit; }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }
  std::string Bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(Next());
    return bytes;
  }

 private:
  std::uint64_t state_;
};

}  // namespace hearth::testing

#define HEARTH_SHOW_SEED() INFO("repeat with HEARTH_SEED=" << ::hearth::testing::RunSeed())

#endif  // HEARTH_TESTS_SUPPORT_SEED_H_
