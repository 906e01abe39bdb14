// The reader half of StructWriter.
#include <fmt/format.h>

#include "tools/capnpc-hearth-go/doc_comment.h"
#include "tools/capnpc-hearth-go/literals.h"
#include "tools/capnpc-hearth-go/struct_writer.h"

namespace hearth::capnpgo {

using capnp::schema::Type;

void StructWriter::WriteReader() {
  const auto type = node_.getStruct();
  const char* kind = type.getIsGroup() ? "group" : "struct";
  out_ += "\n" + DocComment(0, fmt::format("{}Reader reads the {} {}.", name_, kind, path_),
                            request_.DocOf(id_));
  out_ += fmt::format("type {}Reader wire.Struct\n", name_);
  if (!type.getIsGroup()) {
    request_.TakePackageName(id_, "", "Root" + name_);
    out_ += fmt::format(
        "\n// Root{0} returns the root of m as a {0}.\n"
        "func Root{0}(m *wire.Message) {0}Reader {{\n"
        "\treturn {0}Reader(m.Root())\n}}\n",
        name_);
  }
  if (type.getDiscriminantCount() > 0) {
    TakeMethod(reader_methods_, "Which", "");
    out_ += fmt::format(
        "\n// Which says which member of the union is set; it may be one that this version of the\n"
        "// schema does not have. Only the getter of that member may be called.\n"
        "func (r {0}Reader) Which() {0}Which {{\n"
        "\treturn {0}Which(wire.Struct(r).Uint16({1}))\n}}\n",
        name_, type.getDiscriminantOffset() * 2);
  }
  for (unsigned i = 0; i < type.getFields().size(); ++i) WriteGetter(MemberOf(i));
}

void StructWriter::WriteGetter(const Member& member) {
  std::string result;
  std::string value;
  std::string what = "the field";
  if (member.field.isGroup()) {
    what = "the group";
    result = types_.NodeType(member.field.getGroup().getTypeId(), "Reader");
    value = fmt::format("{}({})", result, member.source);
  } else {
    const auto slot = member.field.getSlot();
    const auto type = slot.getType();
    switch (type.which()) {
      case Type::VOID: return;  // nothing to read; in a union, Which says all there is
      case Type::TEXT:
      case Type::DATA: return WriteBytesGetter(member);
      case Type::LIST:
        result = types_.ListReader(type.getList().getElementType());
        value = fmt::format("{}({}.List({}, {}))", result, member.source, slot.getOffset(),
                            Types::ElemOf(type.getList().getElementType()));
        break;
      case Type::STRUCT:
        result = types_.NodeType(type.getStruct().getTypeId(), "Reader");
        value = fmt::format("{}({}.Struct({}))", result, member.source, slot.getOffset());
        break;
      default: return WriteScalarGetter(member);
    }
  }
  TakeMethod(reader_methods_, member.go_name, member.name);
  out_ += "\n" + DocComment(0, fmt::format("{} returns {} {}.", member.go_name, what, member.name),
                            member.doc);
  out_ += fmt::format("func (r {}Reader) {}() {} {{\n\treturn {}\n}}\n", name_, member.go_name,
                      result, value);
  if (member.field.isSlot()) WriteHas(member);
}

void StructWriter::WriteScalarGetter(const Member& member) {
  const auto slot = member.field.getSlot();
  const Scalar scalar = types_.ScalarOf(slot.getType());
  const std::uint64_t mask = BitPattern(slot.getDefaultValue());
  std::string value;
  std::string summary = fmt::format("{} returns the field {}", member.go_name, member.name);
  if (scalar.bits == 1) {
    value = fmt::format("{}{}.Bit({})", mask == 0 ? "" : "!", member.source, slot.getOffset());
    if (mask != 0) summary += "; the default is true";
  } else {
    value = fmt::format("{}.Uint{}({})", member.source, scalar.bits,
                        slot.getOffset() * (scalar.bits / 8));
    if (mask != 0) {
      value += fmt::format(" ^ {:#x}", mask);
      const std::string literal = ConstantLiteral(slot.getDefaultValue());
      if (!literal.empty()) summary += "; the default is " + literal;
    }
    if (!scalar.from.empty()) value = fmt::format("{}({})", scalar.from, value);
  }
  TakeMethod(reader_methods_, member.go_name, member.name);
  out_ += "\n" + DocComment(0, summary + ".", member.doc);
  out_ += fmt::format("func (r {}Reader) {}() {} {{\n\treturn {}\n}}\n", name_, member.go_name,
                      scalar.type, value);
}

void StructWriter::WriteBytesGetter(const Member& member) {
  const auto slot = member.field.getSlot();
  const bool text = slot.getType().isText();
  const std::string literal = ConstantLiteral(slot.getDefaultValue());
  std::string bytes_default = "nil";
  if (literal != "\"\"") {
    bytes_default = PrivateName(name_ + member.go_name, "Default");
    request_.TakePackageName(id_, member.name, bytes_default);
    out_ += fmt::format("\n// {} is what readers return for a null {}.{}.\nvar {} = []byte({})\n",
                        bytes_default, path_, member.name, bytes_default, literal);
  }
  const char* tail = bytes_default == "nil" ? "" : "; the default is not empty";
  const std::string head = fmt::format("{} returns the field {}", member.go_name, member.name);
  TakeMethod(reader_methods_, member.go_name, member.name);
  if (!text) {
    out_ += "\n" +
            DocComment(0, fmt::format("{} as a view into the message{}.", head, tail), member.doc);
    out_ += fmt::format("func (r {}Reader) {}() []byte {{\n\treturn {}.Data({}, {})\n}}\n", name_,
                        member.go_name, member.source, slot.getOffset(), bytes_default);
    return WriteHas(member);
  }
  out_ += "\n" + DocComment(0, fmt::format("{} as a copy{}.", head, tail), member.doc);
  out_ += fmt::format("func (r {}Reader) {}() string {{\n\treturn {}.Text({}, {})\n}}\n", name_,
                      member.go_name, member.source, slot.getOffset(), literal);
  const std::string view = member.go_name + "Bytes";
  TakeMethod(reader_methods_, view, member.name);
  out_ += fmt::format(
      "\n// {0} returns the field {1} as a view into the message.\n"
      "func (r {2}Reader) {0}() []byte {{\n\treturn {3}.TextBytes({4}, {5})\n}}\n",
      view, member.name, name_, member.source, slot.getOffset(), bytes_default);
  WriteHas(member);
}

void StructWriter::WriteHas(const Member& member) {
  const std::string method = "Has" + member.go_name;
  TakeMethod(reader_methods_, method, member.name);
  const auto type = node_.getStruct();
  std::string condition;
  if (member.in_union) {
    condition = fmt::format("wire.Struct(r).Uint16({}) == {} && ", type.getDiscriminantOffset() * 2,
                            member.field.getDiscriminantValue());
  }
  out_ += fmt::format(
      "\n// {0} reports whether the field {1} is set and not null.\n"
      "func (r {2}Reader) {0}() bool {{\n\treturn {3}wire.Struct(r).Has({4})\n}}\n",
      method, member.name, name_, condition, member.field.getSlot().getOffset());
}

}  // namespace hearth::capnpgo
