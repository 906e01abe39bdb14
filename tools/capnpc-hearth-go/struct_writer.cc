#include "tools/capnpc-hearth-go/struct_writer.h"

#include <vector>

#include <fmt/format.h>

#include "tools/capnpc-hearth-go/doc_comment.h"
#include "tools/capnpc-hearth-go/enum_text.h"

namespace hearth::capnpgo {

using capnp::schema::Field;

StructWriter::StructWriter(Request& request, Types& types, std::uint64_t id, std::string& out)
    : request_(request),
      types_(types),
      id_(id),
      node_(request.Node(id)),
      path_(request.PathOf(id)),
      name_(request.GoNameOf(id)),
      out_(out) {}

void StructWriter::Write() {
  const auto type = node_.getStruct();
  types_.NeedRuntime();
  for (const char* suffix : {"Reader", "Builder"}) {
    request_.TakePackageName(id_, "", name_ + suffix);
  }
  if (type.getDiscriminantCount() > 0) WriteWhich();
  WriteReader();
  WriteBuilder();
  if (!type.getIsGroup()) WriteLists();
  for (auto field : type.getFields()) {
    if (field.isGroup()) {
      StructWriter(request_, types_, field.getGroup().getTypeId(), out_).Write();
    }
  }
}

StructWriter::Member StructWriter::MemberOf(unsigned index) const {
  const auto type = node_.getStruct();
  const auto field = type.getFields()[index];
  Member member{field, field.getName().cStr(), "", request_.MemberDocOf(id_, index),
                false, "wire.Struct(r)"};
  member.go_name = ExportedName(member.name);
  if (field.getDiscriminantValue() != Field::NO_DISCRIMINANT) {
    member.in_union = true;
    member.source = fmt::format("wire.Struct(r).Member({}, {})", type.getDiscriminantOffset() * 2,
                                field.getDiscriminantValue());
  }
  return member;
}

void StructWriter::TakeMethod(NameScope& scope, const std::string& method,
                              const std::string& field) {
  const std::string owner = field.empty() ? "the union" : fmt::format("the field '{}'", field);
  const std::string other = scope.Take(method, owner);
  if (!other.empty()) request_.ReportCollision(id_, field, method, other);
}

void StructWriter::WriteWhich() {
  const std::string type = name_ + "Which";
  request_.TakePackageName(id_, "", type);
  const std::string summary =
      fmt::format("{} says which member of the union in {} is set.", type, path_);
  out_ += "\n" + DocComment(0, summary, "");
  std::vector<EnumValue> values(node_.getStruct().getDiscriminantCount());
  for (auto field : node_.getStruct().getFields()) {
    const unsigned number = field.getDiscriminantValue();
    if (number >= values.size()) continue;  // not in the union
    EnumValue& value = values[number];
    value.schema_name = field.getName().cStr();
    value.go_name = type + ExportedName(value.schema_name);
    value.number = number;
    value.summary = fmt::format("{} is the member {}.", value.go_name, value.schema_name);
    request_.TakePackageName(id_, value.schema_name, value.go_name);
  }
  types_.NeedStandard("strconv");
  out_ += EnumText(type, values);
}

void StructWriter::WriteLists() {
  request_.TakePackageName(id_, "", name_ + "ListReader");
  request_.TakePackageName(id_, "", name_ + "ListBuilder");
  std::string layout = "Elem: wire.ElemStruct";
  if (auto words = node_.getStruct().getDataWordCount()) layout += fmt::format(", Data: {}", words);
  if (auto count = node_.getStruct().getPointerCount()) {
    layout += fmt::format(", Pointers: {}", count);
  }
  out_ += fmt::format(R"(
// {0}ListReader reads a list of {0}.
type {0}ListReader wire.List

// Len returns the number of elements.
func (l {0}ListReader) Len() int {{
	return wire.List(l).Len()
}}

// At returns element i.
func (l {0}ListReader) At(i int) {0}Reader {{
	return {0}Reader(wire.List(l).Struct(i))
}}

// Elem returns how the elements are encoded.
func ({0}ListReader) Elem() wire.Elem {{
	return wire.ElemStruct
}}

// {0}ListBuilder builds a list of {0}.
type {0}ListBuilder wire.ListBuilder

// Len returns the number of elements.
func (l {0}ListBuilder) Len() int {{
	return wire.ListBuilder(l).Len()
}}

// At returns element i.
func (l {0}ListBuilder) At(i int) {0}Builder {{
	return {0}Builder(wire.ListBuilder(l).Struct(i))
}}

// Layout returns how the list is allocated.
func ({0}ListBuilder) Layout() wire.Layout {{
	return wire.Layout{{{1}}}
}}
)",
                      name_, layout);
}

}  // namespace hearth::capnpgo
