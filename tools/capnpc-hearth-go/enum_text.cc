#include "tools/capnpc-hearth-go/enum_text.h"

#include <fmt/format.h>

#include "tools/capnpc-hearth-go/doc_comment.h"

namespace hearth::capnpgo {

std::string EnumText(const std::string& type, const std::vector<EnumValue>& values) {
  std::string out = fmt::format("type {} uint16\n", type);
  if (!values.empty()) {
    // A comment on every constant also keeps gofmt from aligning them.
    out += "\nconst (\n";
    for (const EnumValue& value : values) {
      out += DocComment(1, value.summary, value.doc);
      out += fmt::format("\t{} {} = {}\n", value.go_name, type, value.number);
    }
    out += ")\n";
  }
  out += fmt::format(
      "\n// String returns the name in the schema, or the type and number of a value that this\n"
      "// version of the schema does not have.\n"
      "func (e {}) String() string {{\n",
      type);
  if (!values.empty()) {
    out += "\tswitch e {\n";
    for (const EnumValue& value : values) {
      out += fmt::format("\tcase {}:\n\t\treturn \"{}\"\n", value.go_name, value.schema_name);
    }
    out += "\t}\n";
  }
  out += fmt::format("\treturn \"{}(\" + strconv.FormatUint(uint64(e), 10) + \")\"\n}}\n", type);
  return out;
}

}  // namespace hearth::capnpgo
