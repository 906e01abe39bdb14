// Runs a fuzz target without libFuzzer: every seed, every prefix of it, and mutations drawn with
// HEARTH_SEED.
//
//   fuzz_NAME_smoke             run
//   fuzz_NAME_smoke DIRECTORY   write the seeds there, as a corpus for libFuzzer
//   fuzz_NAME_smoke FILE...     run these inputs only (to repeat a finding)
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/fuzz_target.h"
#include "tests/support/seed.h"

namespace hearth::fuzz {
namespace {

void RunOne(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

std::string Mutate(std::string input, testing::Random& random) {
  for (std::uint64_t changes = 1 + random.Below(6); changes > 0; --changes) {
    if (input.empty()) return random.Bytes(random.Below(64));
    const std::size_t at = random.Below(input.size());
    switch (random.Below(5)) {
      case 0: input[at] = static_cast<char>(random.Next()); break;
      case 1: input[at] = static_cast<char>(input[at] ^ (1 << random.Below(8))); break;
      case 2: input.resize(at); break;
      case 3: input.insert(at, random.Bytes(1 + random.Below(16))); break;
      default: input[at] = static_cast<char>(random.OneIn(2) ? 0 : 0xff); break;
    }
  }
  return input;
}

int WriteSeeds(const std::filesystem::path& directory) {
  int number = 0;
  for (const std::string& seed : Seeds())
    std::ofstream(directory / ("seed" + std::to_string(number++)), std::ios::binary) << seed;
  return 0;
}

int Smoke() {
  testing::Random random(testing::RunSeed());
  std::printf("HEARTH_SEED=%llu\n", static_cast<unsigned long long>(testing::RunSeed()));
  const int rounds = testing::FullRun() ? 200'000 : 5'000;
  const std::vector<std::string> seeds = Seeds();
  for (const std::string& seed : seeds) {
    for (std::size_t size = 0; size <= seed.size(); ++size) RunOne(seed.substr(0, size));
    for (int round = 0; round < rounds; ++round) RunOne(Mutate(seed, random));
  }
  return 0;
}

int Main(int argc, char** argv) {
  if (argc == 2 && std::filesystem::is_directory(argv[1])) return WriteSeeds(argv[1]);
  if (argc == 1) return Smoke();
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    RunOne(std::string(std::istreambuf_iterator<char>(file), {}));
  }
  return 0;
}

}  // namespace
}  // namespace hearth::fuzz

int main(int argc, char** argv) { return hearth::fuzz::Main(argc, argv); }
