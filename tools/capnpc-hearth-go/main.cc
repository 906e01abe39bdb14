// capnpc-hearth-go generates Go readers and builders for Cap'n Proto schemas, on the runtime in
// go-binding/wire. It is a plugin of the schema compiler:
//
//   capnp compile -I. -o path/to/capnpc-hearth-go:OUTPUT_DIRECTORY ipc/control.capnp
//
// writes OUTPUT_DIRECTORY/control_gen.go. Package name and import path come from the annotations in
// ipc/go.capnp. What the generator does not support is an error that names the declaration, never
// left out silently; then nothing is written and the exit code is 1. Environment:
// HEARTH_SCHEMA_PATH, see source_index.h.
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <capnp/serialize.h>
#include <fmt/format.h>
#include <kj/exception.h>

#include "tools/capnpc-hearth-go/check.h"
#include "tools/capnpc-hearth-go/file_writer.h"
#include "tools/capnpc-hearth-go/names.h"
#include "tools/capnpc-hearth-go/request.h"

namespace hearth::capnpgo {
namespace {

bool PrintProblems(const Request& request) {
  for (const Problem& problem : request.problems()) {
    fmt::print(stderr, "capnpc-hearth-go: {}\n", problem.ToString());
  }
  return !request.problems().empty();
}

int Run() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 1ull << 30;  // the schema compiler is trusted
  capnp::StreamFdMessageReader message(STDIN_FILENO, options);
  Request request(message.getRoot<capnp::schema::CodeGeneratorRequest>());
  for (std::uint64_t id : request.requested_files()) CheckFile(request, id);
  if (PrintProblems(request)) return 1;

  // Everything is generated before anything is written: a problem in one file leaves no output.
  std::vector<std::pair<std::string, std::string>> outputs;
  for (std::uint64_t id : request.requested_files()) {
    outputs.emplace_back(FileStem(request.FileOf(id).path) + "_gen.go",
                         FileWriter(request, id).Write());
  }
  if (PrintProblems(request)) return 1;
  for (const auto& [name, text] : outputs) {
    std::ofstream file(name, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) {
      fmt::print(stderr, "capnpc-hearth-go: cannot write {}; check the output directory\n", name);
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace hearth::capnpgo

int main() {
  // The exceptions of kj and the standard library end here.
  try {
    return hearth::capnpgo::Run();
  } catch (const kj::Exception& e) {
    fmt::print(stderr, "capnpc-hearth-go: {}:{}: {}\n", e.getFile(), e.getLine(),
               e.getDescription().cStr());
  } catch (const std::exception& e) {
    fmt::print(stderr, "capnpc-hearth-go: {}\n", e.what());
  }
  return 1;
}
