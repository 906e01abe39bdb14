// Writes the Go types of one struct or group: its reader, its builder, its union and its lists.
#ifndef HEARTH_TOOLS_CAPNPC_HEARTH_GO_STRUCT_WRITER_H_
#define HEARTH_TOOLS_CAPNPC_HEARTH_GO_STRUCT_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include <capnp/schema.capnp.h>

#include "tools/capnpc-hearth-go/names.h"
#include "tools/capnpc-hearth-go/request.h"
#include "tools/capnpc-hearth-go/types.h"

namespace hearth::capnpgo {

// Use once: appends to `out`. Problems go to the request. REQUIRES: CheckFile found none.
class StructWriter {
 public:
  StructWriter(Request& request, Types& types, std::uint64_t id, std::string& out);

  // Writes the struct and the groups in it, not the types declared inside it.
  void Write();

 private:
  // A field and where its code goes.
  struct Member {
    capnp::schema::Field::Reader field;
    std::string name;     // in the schema
    std::string go_name;  // exported
    std::string doc;
    bool in_union;
    std::string source;  // the Go expression for the struct to read it from
  };

  Member MemberOf(unsigned index) const;
  // Takes a method name of the reader or builder type for a field, or for the union if
  // `field` is empty; reports a collision.
  void TakeMethod(NameScope& scope, const std::string& method, const std::string& field);

  // struct_writer.cc: types, unions, lists.
  void WriteWhich();
  void WriteLists();
  // reader_writer.cc
  void WriteReader();
  void WriteGetter(const Member& member);
  void WriteScalarGetter(const Member& member);
  void WriteBytesGetter(const Member& member);
  void WriteHas(const Member& member);
  // builder_writer.cc
  void WriteBuilder();
  void WriteSetter(const Member& member);
  void WriteGroupBuilder(const Member& member);
  void WritePointerSetter(const Member& member);
  // A builder method: `signature` follows the receiver, `statement` works on the struct `s`.
  void BuilderMethod(const Member& member, const std::string& comment, const std::string& signature,
                     const std::string& statement, bool returns);
  // The statements that set every field of a group to zero.
  std::string ClearGroup(std::uint64_t group_id) const;

  Request& request_;
  Types& types_;
  std::uint64_t id_;
  capnp::schema::Node::Reader node_;
  std::string path_;  // in the schema: "Request.body"
  std::string name_;  // in Go: "RequestBody"
  std::string& out_;
  NameScope reader_methods_;
  NameScope builder_methods_;
};

}  // namespace hearth::capnpgo

#endif  // HEARTH_TOOLS_CAPNPC_HEARTH_GO_STRUCT_WRITER_H_
