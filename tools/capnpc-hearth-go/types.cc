#include "tools/capnpc-hearth-go/types.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace hearth::capnpgo {
namespace {

using capnp::schema::Type;

constexpr const char* kRuntime = "github.com/hearthd/hearth/go-binding/wire";

// The scalar types' part in the names of the runtime's lists; empty for other types.
std::string_view BuiltinName(Type::Reader type) {
  switch (type.which()) {
    case Type::VOID: return "Void";
    case Type::BOOL: return "Bool";
    case Type::INT8: return "Int8";
    case Type::INT16: return "Int16";
    case Type::INT32: return "Int32";
    case Type::INT64: return "Int64";
    case Type::UINT8: return "Uint8";
    case Type::UINT16: return "Uint16";
    case Type::UINT32: return "Uint32";
    case Type::UINT64: return "Uint64";
    case Type::FLOAT32: return "Float32";
    case Type::FLOAT64: return "Float64";
    case Type::TEXT: return "Text";
    case Type::DATA: return "Data";
    default: return "";
  }
}

}  // namespace

Scalar Types::ScalarOf(Type::Reader type) {
  switch (type.which()) {
    case Type::BOOL: return {1, "bool", "", ""};
    case Type::INT8: return {8, "int8", "int8", "uint8"};
    case Type::INT16: return {16, "int16", "int16", "uint16"};
    case Type::INT32: return {32, "int32", "int32", "uint32"};
    case Type::INT64: return {64, "int64", "int64", "uint64"};
    case Type::UINT8: return {8, "uint8", "", ""};
    case Type::UINT16: return {16, "uint16", "", ""};
    case Type::UINT32: return {32, "uint32", "", ""};
    case Type::UINT64: return {64, "uint64", "", ""};
    case Type::FLOAT32:
      NeedStandard("math");
      return {32, "float32", "math.Float32frombits", "math.Float32bits"};
    case Type::FLOAT64:
      NeedStandard("math");
      return {64, "float64", "math.Float64frombits", "math.Float64bits"};
    default: {
      const std::string name = NodeType(type.getEnum().getTypeId(), "");
      return {16, name, name, "uint16"};
    }
  }
}

std::string Types::NodeType(std::uint64_t node_id, const char* suffix) {
  const std::string name = request_.GoNameOf(node_id) + suffix;
  const SchemaFile file = request_.FileOf(node_id);
  const SchemaFile own = request_.FileOf(file_id_);
  if (file.id == own.id) return name;
  if (file.import_path.empty()) {
    if (own.import_path.empty() && file.package == own.package) return name;
    request_.Report(
        file_id_, "",
        fmt::format("uses types of {}, whose Go package is not known; add $Go.import(\"...\") of "
                    "/ipc/go.capnp to that file",
                    file.path));
    return name;
  }
  if (file.import_path == own.import_path) return name;
  auto [entry, fresh] = imports_.try_emplace(file.import_path, file.package);
  if (fresh) {
    // Names that the generated code uses itself, and packages imported before.
    std::set<std::string> taken = {"wire", "math", "strconv", "b", "e", "i", "l",
                                   "n",    "r",    "s",       "v", "w", "m"};
    for (const auto& [path, alias] : imports_) {
      if (path != file.import_path) taken.insert(alias);
    }
    for (int n = 2; taken.count(entry->second) > 0; ++n) {
      entry->second = fmt::format("{}{}", file.package, n);
    }
    if (entry->second != file.package ||
        file.import_path.substr(file.import_path.rfind('/') + 1) != file.package) {
      aliased_.insert(file.import_path);
    }
  }
  return entry->second + "." + name;
}

std::string Types::ListType(Type::Reader element, const char* suffix) {
  const std::string_view kind = suffix;  // "Reader" or "Builder"
  const char* builtin_suffix = kind == "Reader" ? "List" : "ListBuilder";
  switch (element.which()) {
    case Type::LIST:
      return fmt::format("wire.Nested{}[{}]", builtin_suffix,
                         ListType(element.getList().getElementType(), suffix));
    case Type::STRUCT:
      return NodeType(element.getStruct().getTypeId(),
                      kind == "Reader" ? "ListReader" : "ListBuilder");
    case Type::ENUM:
      return NodeType(element.getEnum().getTypeId(),
                      kind == "Reader" ? "ListReader" : "ListBuilder");
    default: return fmt::format("wire.{}{}", BuiltinName(element), builtin_suffix);
  }
}

std::string Types::ListReader(Type::Reader element) { return ListType(element, "Reader"); }
std::string Types::ListBuilder(Type::Reader element) { return ListType(element, "Builder"); }

std::string Types::ElemOf(Type::Reader element) {
  switch (element.which()) {
    case Type::VOID: return "wire.ElemVoid";
    case Type::BOOL: return "wire.ElemBit";
    case Type::INT8:
    case Type::UINT8: return "wire.ElemByte";
    case Type::INT16:
    case Type::UINT16:
    case Type::ENUM: return "wire.ElemTwo";
    case Type::INT32:
    case Type::UINT32:
    case Type::FLOAT32: return "wire.ElemFour";
    case Type::INT64:
    case Type::UINT64:
    case Type::FLOAT64: return "wire.ElemEight";
    case Type::STRUCT: return "wire.ElemStruct";
    default: return "wire.ElemPointer";
  }
}

void Types::NeedRuntime() { imports_.emplace(kRuntime, "wire"); }

std::string Types::Imports() const {
  if (standard_.empty() && imports_.empty()) return "";
  std::string out = "\nimport (\n";
  for (const std::string& package : standard_) out += fmt::format("\t\"{}\"\n", package);
  if (!standard_.empty() && !imports_.empty()) out += "\n";
  for (const auto& [path, name] : imports_) {
    out += aliased_.count(path) > 0 ? fmt::format("\t{} \"{}\"\n", name, path)
                                    : fmt::format("\t\"{}\"\n", path);
  }
  return out + ")\n";
}

}  // namespace hearth::capnpgo
