// conformance_vectors: writes the vectors of this folder. README.md describes the files.
//
//   conformance_vectors write DIR     hash.json, slots.json, entries.json, records.json
//   conformance_vectors store DIR     store.img and store.json, of a store written just now
//   conformance_vectors example       the worked example of core/cache/FORMAT.md, on standard
//   output
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "tests/conformance/vectors.h"

namespace {

bool Write(const std::string& directory, const std::string& name, const std::string& content) {
  std::ofstream file(directory + "/" + name, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file) fmt::print(stderr, "conformance_vectors: cannot write {}/{}\n", directory, name);
  return !file.fail();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "write" && argc == 3) {
    bool ok = true;
    for (const auto& [name, content] : hearth::conformance::MakeVectorFiles())
      ok = Write(argv[2], name, content) && ok;
    return ok ? 0 : 1;
  }
  if (command == "store" && argc == 3) {
    const hearth::conformance::StoreImage image = hearth::conformance::MakeStoreImage();
    return Write(argv[2], "store.img", image.bytes) && Write(argv[2], "store.json", image.json) ? 0
                                                                                                : 1;
  }
  if (command == "example" && argc == 2) {
    fmt::print("{}", hearth::conformance::MakeFormatExample());
    return 0;
  }
  fmt::print(stderr, "usage: conformance_vectors write DIR | store DIR | example\n");
  return 2;
}
