// Go names for schema names, and the check that no two things get the same one.
#ifndef HEARTH_TOOLS_CAPNPC_HEARTH_GO_NAMES_H_
#define HEARTH_TOOLS_CAPNPC_HEARTH_GO_NAMES_H_

#include <map>
#include <string>
#include <string_view>

namespace hearth::capnpgo {

// The exported Go name of a schema name: "maxSize" becomes "MaxSize". An exported name is never a
// Go keyword or a predeclared name, for those begin with a lower-case letter.
std::string ExportedName(std::string_view schema_name);

// The same with a lower-case first letter, for package-private names. `suffix` is what keeps the
// result from being a keyword; it must not be empty.
std::string PrivateName(std::string_view exported_name, std::string_view suffix);

// Whether `name` can be a Go package name: a lower-case identifier that is neither a Go keyword nor
// a predeclared name.
bool IsPackageName(std::string_view name);

// The package name of a schema file without annotation: the file's stem in lower case without
// characters that an identifier cannot have. Not necessarily a valid package name.
std::string DefaultPackageName(std::string_view path);

// "dir/control.capnp" becomes "control".
std::string FileStem(std::string_view path);

// The names taken in one Go scope (a package, or the methods of one type) and what took each.
class NameScope {
 public:
  // Takes `name` for `owner`. Returns the empty string, or the owner that has the name already.
  std::string Take(const std::string& name, const std::string& owner);

 private:
  std::map<std::string, std::string> owners_;
};

}  // namespace hearth::capnpgo

#endif  // HEARTH_TOOLS_CAPNPC_HEARTH_GO_NAMES_H_
