// The contents of the conformance vectors of the Go wire runtime. The Go tests in
// go-binding/wire/internal/corpus have the same contents, written independently.
#ifndef HEARTH_TESTS_CONFORMANCE_WIRE_VECTORS_H_
#define HEARTH_TESTS_CONFORMANCE_WIRE_VECTORS_H_

#include <string>
#include <vector>

#include <capnp/dynamic.h>
#include <capnp/message.h>

namespace hearth::conformance::wire {

// One message content. `build` makes it the root of an empty message.
struct Vector {
  std::string name;
  capnp::StructSchema schema;
  void (*build)(capnp::MessageBuilder& message);
  // Whether the root has no groups and unions, so that its fields can be copied one by one.
  bool plain;
};

// All contents; their names are unique and are file names.
std::vector<Vector> AllVectors();

// vectors_lists.cc
void BuildLists(capnp::MessageBuilder& message);
void BuildV1(capnp::MessageBuilder& message);
void BuildV2(capnp::MessageBuilder& message);
void BuildImported(capnp::MessageBuilder& message);
void BuildRequest(capnp::MessageBuilder& message);
void BuildTree(capnp::MessageBuilder& message);

}  // namespace hearth::conformance::wire

#endif  // HEARTH_TESTS_CONFORMANCE_WIRE_VECTORS_H_
