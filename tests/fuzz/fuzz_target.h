// What a fuzz target defines. It is linked either with libFuzzer (-Dfuzzers=true, clang) or with
// smoke_main.cc, which runs it over its seeds and mutations of them in every build.
#ifndef HEARTH_TESTS_FUZZ_FUZZ_TARGET_H_
#define HEARTH_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hearth::fuzz {

// Legal inputs from which interesting illegal ones are near.
std::vector<std::string> Seeds();

}  // namespace hearth::fuzz

// Aborts when the code under test breaks a promise. Its result is always 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#endif  // HEARTH_TESTS_FUZZ_FUZZ_TARGET_H_
