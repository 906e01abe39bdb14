// Go types for schema types, and the imports they need.
#ifndef HEARTH_TOOLS_CAPNPC_HEARTH_GO_TYPES_H_
#define HEARTH_TOOLS_CAPNPC_HEARTH_GO_TYPES_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include <capnp/schema.capnp.h>

#include "tools/capnpc-hearth-go/request.h"

namespace hearth::capnpgo {

// How a type of fixed size is read and written: as an unsigned number of `bits` bits.
struct Scalar {
  unsigned bits;     // 8, 16, 32 or 64; 1 for Bool
  std::string type;  // the Go type
  std::string from;  // what turns the unsigned number into the Go type; empty: nothing
  std::string to;    // and back
};

// The types of one generated file, collecting the imports it needs. Not thread-safe.
class Types {
 public:
  Types(Request& request, std::uint64_t file_id) : request_(request), file_id_(file_id) {}

  // REQUIRES: a Bool, number or enum type.
  Scalar ScalarOf(capnp::schema::Type::Reader type);
  // "RequestReader", "other.RequestBuilder": the name generated for a node, with its package.
  std::string NodeType(std::uint64_t node_id, const char* suffix);
  // "wire.Uint32List", "RequestListBuilder": the reader or builder type of a list.
  std::string ListReader(capnp::schema::Type::Reader element);
  std::string ListBuilder(capnp::schema::Type::Reader element);
  // "wire.ElemFour": how the elements are encoded.
  static std::string ElemOf(capnp::schema::Type::Reader element);

  // Makes the generated file import a standard package, or the runtime.
  void NeedStandard(const std::string& package) { standard_.insert(package); }
  void NeedRuntime();
  // An empty line and the import declaration of what has been asked for so far; nothing if nothing
  // has.
  std::string Imports() const;

 private:
  std::string ListType(capnp::schema::Type::Reader element, const char* suffix);

  Request& request_;
  std::uint64_t file_id_;
  std::set<std::string> standard_;
  std::map<std::string, std::string> imports_;  // import path to the name used in the file
  std::set<std::string> aliased_;               // import paths whose name is not the package's
};

}  // namespace hearth::capnpgo

#endif  // HEARTH_TOOLS_CAPNPC_HEARTH_GO_TYPES_H_
