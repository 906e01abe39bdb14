// The conformance vectors: what C++ computes and writes, in files that an implementation in another
// language can check itself against. README.md describes each file.
#ifndef HEARTH_TESTS_CONFORMANCE_VECTORS_H_
#define HEARTH_TESTS_CONFORMANCE_VECTORS_H_

#include <map>
#include <string>
#include <string_view>

namespace hearth::conformance {

// File name to content, of the vectors that never depend on how the writer goes about its work.
std::map<std::string, std::string> MakeVectorFiles();

// A small store and what a reader finds in it.
struct StoreImage {
  std::string bytes;  // the whole region
  std::string json;
};
StoreImage MakeStoreImage();

// The worked example of core/cache/FORMAT.md.
std::string MakeFormatExample();

std::string Hex(std::string_view bytes);
std::string Unhex(std::string_view text);

}  // namespace hearth::conformance

#endif  // HEARTH_TESTS_CONFORMANCE_VECTORS_H_
