#include "tools/capnpc-hearth-go/check.h"

#include <string>

#include <fmt/format.h>

namespace hearth::capnpgo {
namespace {

using capnp::schema::Field;
using capnp::schema::Node;
using capnp::schema::Type;

// The problem with a type, or the empty string. `where` is "field" or "constant".
std::string TypeProblem(const Request& request, Type::Reader type) {
  switch (type.which()) {
    case Type::ANY_POINTER:
      if (type.getAnyPointer().isParameter()) {
        return "the type is a type parameter, and generic types are not supported; declare a "
               "struct for each type it is used with";
      }
      if (type.getAnyPointer().isUnconstrained() &&
          type.getAnyPointer().getUnconstrained().isCapability()) {
        return "capabilities are not supported; Hearth's messages carry data only, so remove "
               "the field";
      }
      return "AnyPointer is not supported; use a union of the types it can hold, or Data with a "
             "message of its own";
    case Type::INTERFACE:
      return "capabilities are not supported; Hearth's messages carry data only, so remove the "
             "field";
    case Type::LIST: return TypeProblem(request, type.getList().getElementType());
    case Type::STRUCT:
      if (request.Node(type.getStruct().getTypeId()).getIsGeneric()) {
        return fmt::format(
            "'{}' is a generic type, which is not supported; declare a struct for "
            "each type it is used with",
            request.PathOf(type.getStruct().getTypeId()));
      }
      return "";
    case Type::ENUM:
      if (request.Node(type.getEnum().getTypeId()).getIsGeneric()) {
        return "an enum inside a generic type is not supported; move the enum out of it";
      }
      return "";
    default: return "";
  }
}

void CheckNode(Request& request, std::uint64_t id);

void CheckField(Request& request, std::uint64_t id, Field::Reader field) {
  if (field.isGroup()) return CheckNode(request, field.getGroup().getTypeId());
  const std::string name = field.getName().cStr();
  const auto slot = field.getSlot();
  if (std::string problem = TypeProblem(request, slot.getType()); !problem.empty()) {
    return request.Report(id, name, problem);
  }
  const bool object = slot.getType().isList() || slot.getType().isStruct();
  if (object && slot.getHadExplicitDefault()) {
    request.Report(id, name,
                   "default values of struct and list fields are not supported; remove "
                   "the default and let readers ask with Has");
  }
}

void CheckConst(Request& request, std::uint64_t id) {
  const auto type = request.Node(id).getConst().getType();
  if (std::string problem = TypeProblem(request, type); !problem.empty()) {
    request.Report(id, "", problem);
  } else if (type.isStruct() || type.isList() || type.isVoid()) {
    request.Report(id, "",
                   "constants of struct, list and Void types are not supported; write the "
                   "value in Go or split it into constants of simple types");
  }
}

void CheckNode(Request& request, std::uint64_t id) {
  const auto node = request.Node(id);
  if (node.getParameters().size() > 0) {
    return request.Report(id, "",
                          "generic types are not supported; declare a struct for each type "
                          "it is used with");
  }
  switch (node.which()) {
    case Node::INTERFACE:
      return request.Report(id, "",
                            "interfaces are not supported; Hearth's messages carry data "
                            "only, so describe calls as structs in a union");
    case Node::CONST: CheckConst(request, id); break;
    case Node::STRUCT:
      for (auto field : node.getStruct().getFields()) CheckField(request, id, field);
      break;
    default: break;
  }
  for (auto nested : node.getNestedNodes()) CheckNode(request, nested.getId());
}

}  // namespace

void CheckFile(Request& request, std::uint64_t file_id) {
  for (auto nested : request.Node(file_id).getNestedNodes()) CheckNode(request, nested.getId());
}

}  // namespace hearth::capnpgo
