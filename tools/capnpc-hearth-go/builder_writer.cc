// The builder half of StructWriter.
#include <fmt/format.h>

#include "tools/capnpc-hearth-go/doc_comment.h"
#include "tools/capnpc-hearth-go/literals.h"
#include "tools/capnpc-hearth-go/struct_writer.h"

namespace hearth::capnpgo {

using capnp::schema::Type;

void StructWriter::WriteBuilder() {
  const auto type = node_.getStruct();
  const char* kind = type.getIsGroup() ? "group" : "struct";
  out_ += fmt::format(
      "\n// {0}Builder builds the {1} {2}; see {0}Reader.\n"
      "type {0}Builder wire.StructBuilder\n",
      name_, kind, path_);
  if (!type.getIsGroup()) {
    request_.TakePackageName(id_, "", "NewRoot" + name_);
    out_ += fmt::format(
        "\n// NewRoot{0} makes a {0} the root of the message that b builds.\n"
        "func NewRoot{0}(b *wire.Builder) {0}Builder {{\n"
        "\treturn {0}Builder(b.Root({1}, {2}))\n}}\n",
        name_, type.getDataWordCount(), type.getPointerCount());
  }
  for (unsigned i = 0; i < type.getFields().size(); ++i) WriteSetter(MemberOf(i));
}

void StructWriter::BuilderMethod(const Member& member, const std::string& comment,
                                 const std::string& signature, const std::string& statement,
                                 bool returns) {
  out_ += "\n" + DocComment(0, comment, "");
  out_ += fmt::format("func (b {}Builder) {} {{\n\ts := wire.StructBuilder(b)\n", name_, signature);
  if (member.in_union) {
    out_ += fmt::format("\ts.SetUint16({}, {})\n", node_.getStruct().getDiscriminantOffset() * 2,
                        member.field.getDiscriminantValue());
  }
  if (!statement.empty()) out_ += fmt::format("\t{}{}\n", returns ? "return " : "", statement);
  out_ += "}\n";
}

void StructWriter::WriteSetter(const Member& member) {
  if (member.field.isGroup()) return WriteGroupBuilder(member);
  const auto slot = member.field.getSlot();
  const std::string method = "Set" + member.go_name;
  switch (slot.getType().which()) {
    case Type::VOID:
      if (!member.in_union) return;  // nothing to set
      TakeMethod(builder_methods_, method, member.name);
      return BuilderMethod(member,
                           fmt::format("{} makes {} the member that is set.", method, member.name),
                           method + "()", "", false);
    case Type::TEXT:
    case Type::DATA:
    case Type::LIST:
    case Type::STRUCT: return WritePointerSetter(member);
    default: break;
  }
  const Scalar scalar = types_.ScalarOf(slot.getType());
  const std::uint64_t mask = BitPattern(slot.getDefaultValue());
  std::string value = scalar.to.empty() ? "v" : scalar.to + "(v)";
  std::string statement;
  if (scalar.bits == 1) {
    statement = fmt::format("s.SetBit({}, {}v)", slot.getOffset(), mask == 0 ? "" : "!");
  } else {
    if (mask != 0) value += fmt::format("^{:#x}", mask);
    statement = fmt::format("s.SetUint{}({}, {})", scalar.bits,
                            slot.getOffset() * (scalar.bits / 8), value);
  }
  TakeMethod(builder_methods_, method, member.name);
  BuilderMethod(member, fmt::format("{} sets the field {}.", method, member.name),
                fmt::format("{}(v {})", method, scalar.type), statement, false);
}

void StructWriter::WritePointerSetter(const Member& member) {
  const auto slot = member.field.getSlot();
  const auto type = slot.getType();
  const std::string set = "Set" + member.go_name;
  const std::string make = "New" + member.go_name;
  const auto offset = slot.getOffset();
  if (type.isText() || type.isData()) {
    TakeMethod(builder_methods_, set, member.name);
    BuilderMethod(member, fmt::format("{} sets the field {} to a copy of v.", set, member.name),
                  fmt::format("{}(v {})", set, type.isText() ? "string" : "[]byte"),
                  fmt::format("s.Set{}({}, v)", type.isText() ? "Text" : "Data", offset), false);
    if (type.isData()) return;
    TakeMethod(builder_methods_, set + "Bytes", member.name);
    return BuilderMethod(
        member, fmt::format("{}Bytes sets the field {} to a copy of v.", set, member.name),
        fmt::format("{}Bytes(v []byte)", set), fmt::format("s.SetTextBytes({}, v)", offset), false);
  }
  TakeMethod(builder_methods_, make, member.name);
  if (type.isStruct()) {
    const std::uint64_t target = type.getStruct().getTypeId();
    const auto layout = request_.Node(target).getStruct();
    const std::string result = types_.NodeType(target, "Builder");
    return BuilderMethod(
        member,
        fmt::format("{} sets the field {} to a new struct of default values.", make, member.name),
        fmt::format("{}() {}", make, result),
        fmt::format("{}(s.NewStruct({}, {}, {}))", result, offset, layout.getDataWordCount(),
                    layout.getPointerCount()),
        true);
  }
  const std::string result = types_.ListBuilder(type.getList().getElementType());
  BuilderMethod(
      member,
      fmt::format("{} sets the field {} to a new list of n zero elements.", make, member.name),
      fmt::format("{}(n int) {}", make, result),
      fmt::format("{0}(s.NewList({1}, {0}{{}}.Layout(), n))", result, offset), true);
}

void StructWriter::WriteGroupBuilder(const Member& member) {
  const std::uint64_t group = member.field.getGroup().getTypeId();
  const std::string result = types_.NodeType(group, "Builder");
  if (!member.in_union) {
    TakeMethod(builder_methods_, member.go_name, member.name);
    out_ += fmt::format(
        "\n// {0} returns the group {1} for setting its fields.\n"
        "func (b {2}Builder) {0}() {3} {{\n\treturn {3}(b)\n}}\n",
        member.go_name, member.name, name_, result);
    return;
  }
  const std::string make = "New" + member.go_name;
  TakeMethod(builder_methods_, make, member.name);
  BuilderMethod(member,
                fmt::format("{} makes the group {} the member that is set, with default values.",
                            make, member.name),
                fmt::format("{}() {}", make, result),
                fmt::format("{}return {}(s)", ClearGroup(group), result), false);
}

std::string StructWriter::ClearGroup(std::uint64_t group_id) const {
  std::string out;
  const auto group = request_.Node(group_id).getStruct();
  if (group.getDiscriminantCount() > 0) {
    out += fmt::format("s.SetUint16({}, 0)\n\t", group.getDiscriminantOffset() * 2);
  }
  for (auto field : group.getFields()) {
    if (field.isGroup()) {
      out += ClearGroup(field.getGroup().getTypeId());
      continue;
    }
    const auto slot = field.getSlot();
    switch (slot.getType().which()) {
      case Type::VOID: break;
      case Type::TEXT:
      case Type::DATA:
      case Type::LIST:
      case Type::STRUCT: out += fmt::format("s.Clear({})\n\t", slot.getOffset()); break;
      case Type::BOOL: out += fmt::format("s.SetBit({}, false)\n\t", slot.getOffset()); break;
      default: {
        const unsigned bits = types_.ScalarOf(slot.getType()).bits;
        out += fmt::format("s.SetUint{}({}, 0)\n\t", bits, slot.getOffset() * (bits / 8));
      }
    }
  }
  return out;
}

}  // namespace hearth::capnpgo
