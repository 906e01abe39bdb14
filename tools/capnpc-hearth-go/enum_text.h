// The Go text of an enumeration, shared by schema enums and union discriminants.
#ifndef HEARTH_TOOLS_CAPNPC_HEARTH_GO_ENUM_TEXT_H_
#define HEARTH_TOOLS_CAPNPC_HEARTH_GO_ENUM_TEXT_H_

#include <string>
#include <vector>

namespace hearth::capnpgo {

struct EnumValue {
  std::string go_name;
  std::string schema_name;
  unsigned number;
  std::string summary;  // the first sentence of its comment
  std::string doc;
};

// A uint16 type with a constant per value and a String method, without the type's comment. Needs
// the package strconv.
std::string EnumText(const std::string& type, const std::vector<EnumValue>& values);

}  // namespace hearth::capnpgo

#endif  // HEARTH_TOOLS_CAPNPC_HEARTH_GO_ENUM_TEXT_H_
