// Where declarations stand in a schema file. The code generator request of Cap'n Proto 0.9 says
// nothing about positions, so that error messages need the source text for their line numbers.
#ifndef HEARTH_TOOLS_CAPNPC_HEARTH_GO_SOURCE_INDEX_H_
#define HEARTH_TOOLS_CAPNPC_HEARTH_GO_SOURCE_INDEX_H_

#include <map>
#include <string>
#include <string_view>

namespace hearth::capnpgo {

// The lines of one file's declarations. Not thread-safe to build; constant afterwards.
class SourceIndex {
 public:
  // An index without declarations, for a file that cannot be read.
  SourceIndex() = default;
  // Indexes schema text, which the schema compiler has already accepted.
  explicit SourceIndex(std::string_view text);

  // The line (from 1) of the declaration with this path, such as "Request.body.open": type names,
  // group names and the member, without unnamed unions. 0 if there is none.
  int Line(const std::string& path) const;

 private:
  std::map<std::string, int> lines_;
};

// Reads and indexes `path`. The schema compiler runs generators in the output directory, while the
// path is relative to where the compiler was started, or has lost a --src-prefix. So also tried are
// the working directory of the parent process, which is the compiler, and the directories in
// $HEARTH_SCHEMA_PATH (separated by colons). An index without declarations if the file is in none
// of them.
SourceIndex IndexFile(const std::string& path);

}  // namespace hearth::capnpgo

#endif  // HEARTH_TOOLS_CAPNPC_HEARTH_GO_SOURCE_INDEX_H_
