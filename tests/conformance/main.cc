// conformance_vectors: writes the vectors of this folder. README.md describes the files.
//
//   conformance_vectors write DIR     control.json, hash.json, slots.json, entries.json,
//   records.json conformance_vectors store DIR     store.img and store.json, of a store written
//   just now conformance_vectors example       the worked example of core/cache/FORMAT.md, on
//   standard output conformance_vectors decode        decodes the control packets on standard
//   input, each a line "daemon HEX" or "client HEX", and prints each as a line of control.json or
//   {"refused": reason}
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "tests/conformance/control_vectors.h"
#include "tests/conformance/vectors.h"

namespace {

bool Write(const std::string& directory, const std::string& name, const std::string& content) {
  std::ofstream file(directory + "/" + name, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file) fmt::print(stderr, "conformance_vectors: cannot write {}/{}\n", directory, name);
  return !file.fail();
}

int Decode() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const std::string to = line.substr(0, line.find(' '));
    if ((to != "daemon" && to != "client") || line.size() == to.size()) {
      fmt::print(stderr, "conformance_vectors: not 'daemon HEX' or 'client HEX': {}\n", line);
      return 1;
    }
    const std::string packet = hearth::conformance::Unhex(line.substr(to.size() + 1));
    fmt::print("{}\n", hearth::conformance::DescribePacket(to == "daemon", packet));
  }
  return 0;
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
  if (command == "decode" && argc == 2) return Decode();
  fmt::print(stderr, "usage: conformance_vectors write DIR | store DIR | example | decode\n");
  return 2;
}
