// Conformance between the Go wire runtime (go-binding/wire) and the C++ library:
//
//   wire_vectors write DIR    writes every content as Cap'n Proto messages in the standard framing:
//                             NAME.bin in one segment, NAME.multi.bin in as many as possible (far
//                             pointers), NAME.double.bin with double-far pointers; and NAME.txt,
//                             the content as the library prints it.
//   wire_vectors verify DIR   reads every NAME.bin, which the Go tests built, and compares its
//                             content with what it should be.
//
// Exit code 0 if all is well, 1 with a line per problem, 2 for wrong usage.
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <capnp/any.h>
#include <capnp/dynamic.h>
#include <capnp/serialize-text.h>
#include <capnp/serialize.h>
#include <fmt/format.h>
#include <kj/exception.h>

#include "tests/conformance/wire/vectors.h"

namespace hearth::conformance::wire {
namespace {

bool WriteFile(const std::string& path, const char* data, std::size_t size) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(data, static_cast<std::streamsize>(size));
  file.close();
  if (!file) fmt::print(stderr, "wire_vectors: cannot write {}\n", path);
  return static_cast<bool>(file);
}

bool WriteMessage(const std::string& path, capnp::MessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  const auto chars = words.asChars();
  return WriteFile(path, chars.begin(), chars.size());
}

std::string Text(capnp::DynamicStruct::Reader root) {
  capnp::TextCodec codec;
  codec.setPrettyPrint(true);
  return std::string(codec.encode(root).cStr()) + "\n";
}

// Copies field by field, each object into a segment that it fills: there is no room for a landing
// pad next to it, so that only a double-far pointer can lead there.
void CopyDouble(capnp::DynamicStruct::Reader from, capnp::MessageBuilder& message) {
  auto to = message.initRoot<capnp::DynamicStruct>(from.getSchema());
  for (auto field : from.getSchema().getFields()) {
    const auto type = field.getType();
    if (!from.has(field)) continue;
    auto orphanage = message.getOrphanage();
    if (type.isText()) {
      to.adopt(field, orphanage.newOrphanCopy(from.get(field).as<capnp::Text>()));
    } else if (type.isData()) {
      to.adopt(field, orphanage.newOrphanCopy(from.get(field).as<capnp::Data>()));
    } else if (type.isList()) {
      to.adopt(field, orphanage.newOrphanCopy(from.get(field).as<capnp::DynamicList>()));
    } else if (type.isStruct()) {
      to.adopt(field, orphanage.newOrphanCopy(from.get(field).as<capnp::DynamicStruct>()));
    } else {
      to.set(field, from.get(field));
    }
  }
}

bool Write(const Vector& vector, const std::string& directory) {
  const std::string stem = directory + "/" + vector.name;
  capnp::MallocMessageBuilder one(4096);
  vector.build(one);
  const auto root = one.getRoot<capnp::DynamicStruct>(vector.schema).asReader();
  bool ok = WriteMessage(stem + ".bin", one);
  // Segments of one word make every object a segment of its own.
  capnp::MallocMessageBuilder multi(1, capnp::AllocationStrategy::FIXED_SIZE);
  vector.build(multi);
  ok = WriteMessage(stem + ".multi.bin", multi) && ok;
  if (vector.plain) {
    capnp::MallocMessageBuilder twice(1, capnp::AllocationStrategy::FIXED_SIZE);
    CopyDouble(root, twice);
    ok = WriteMessage(stem + ".double.bin", twice) && ok;
  }
  const std::string text = Text(root);
  return WriteFile(stem + ".txt", text.data(), text.size()) && ok;
}

bool Verify(const Vector& vector, const std::string& directory) {
  const std::string path = directory + "/" + vector.name + ".bin";
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file || bytes.empty() || bytes.size() % sizeof(capnp::word) != 0) {
    fmt::print(stderr, "{}: missing, or not a whole number of words\n", path);
    return false;
  }
  auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  bytes.copy(words.asChars().begin(), bytes.size());
  capnp::FlatArrayMessageReader message(words);
  if (message.getEnd() != words.end()) {
    fmt::print(stderr, "{}: bytes after the message\n", path);
    return false;
  }
  capnp::MallocMessageBuilder expected;
  vector.build(expected);
  const std::string want = Text(expected.getRoot<capnp::DynamicStruct>(vector.schema).asReader());
  const std::string got = Text(message.getRoot<capnp::DynamicStruct>(vector.schema));
  if (got != want) {
    fmt::print(stderr, "{}: reads\n{}instead of\n{}", path, got, want);
    return false;
  }
  // The text leaves out what is not set, NaN payloads and unreachable union members; the canonical
  // form has every bit that matters.
  const auto canonical = message.getRoot<capnp::AnyStruct>().canonicalize();
  const auto expected_canonical = expected.getRoot<capnp::AnyStruct>().asReader().canonicalize();
  if (canonical.asBytes() != expected_canonical.asBytes()) {
    fmt::print(stderr, "{}: reads the same as text but not in canonical form\n", path);
    return false;
  }
  return true;
}

int Run(std::string_view command, const std::string& directory) {
  bool ok = true;
  for (const Vector& vector : AllVectors()) {
    if (command == "write") {
      ok = Write(vector, directory) && ok;
    } else {
      ok = Verify(vector, directory) && ok;
    }
  }
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace hearth::conformance::wire

int main(int argc, char** argv) {
  const std::string_view command = argc == 3 ? argv[1] : "";
  if (command != "write" && command != "verify") {
    fmt::print(stderr, "usage: wire_vectors write|verify DIRECTORY\n");
    return 2;
  }
  try {
    return hearth::conformance::wire::Run(command, argv[2]);
  } catch (const kj::Exception& e) {
    fmt::print(stderr, "wire_vectors: {}:{}: {}\n", e.getFile(), e.getLine(),
               e.getDescription().cStr());
  } catch (const std::exception& e) {
    fmt::print(stderr, "wire_vectors: {}\n", e.what());
  }
  return 1;
}
