// The schema compiler's request: nodes by id, the names and packages they get in Go, and the
// problems found in them.
#ifndef HEARTH_TOOLS_CAPNPC_HEARTH_GO_REQUEST_H_
#define HEARTH_TOOLS_CAPNPC_HEARTH_GO_REQUEST_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <capnp/schema-loader.h>
#include <capnp/schema.capnp.h>

#include "tools/capnpc-hearth-go/names.h"
#include "tools/capnpc-hearth-go/source_index.h"

namespace hearth::capnpgo {

// A schema file and the Go package its types go to.
struct SchemaFile {
  std::uint64_t id = 0;
  std::string path;         // as the schema compiler names it
  std::string package;      // from $Go.package, or the file's stem
  std::string import_path;  // from $Go.import; empty if there is none
};

// Something that cannot be generated, with what to do about it.
struct Problem {
  std::string file;
  int line = 0;  // 0: not known
  std::string message;

  // "file:line: message", without the line if it is not known.
  std::string ToString() const;
};

// Wraps a request, which must outlive it. Functions throw kj::Exception for ids that the request
// does not hold. Not thread-safe.
class Request {
 public:
  explicit Request(capnp::schema::CodeGeneratorRequest::Reader request);

  // The files to generate, in the order of the command line.
  const std::vector<std::uint64_t>& requested_files() const { return requested_files_; }

  capnp::schema::Node::Reader Node(std::uint64_t id) const;
  // The file that declares a node.
  const SchemaFile& FileOf(std::uint64_t id);
  // The node's path inside its file: "Request.Entry"; for a group "Request.body".
  std::string PathOf(std::uint64_t id) const;
  // The Go name that all names generated for the node begin with: "RequestEntry".
  std::string GoNameOf(std::uint64_t id) const;

  // The doc comments of the schema; empty if there is none.
  std::string DocOf(std::uint64_t id) const;
  std::string MemberDocOf(std::uint64_t id, std::size_t member) const;

  // Records a problem with a node, or with its field or enumerant `member` if that is not empty.
  // The same problem is recorded once.
  void Report(std::uint64_t id, const std::string& member, std::string message);
  const std::vector<Problem>& problems() const { return problems_; }

  // Reports that the Go name of a node or member is taken by `owner`. Only the first of the several
  // names that are generated for each is reported.
  void ReportCollision(std::uint64_t id, const std::string& member, const std::string& name,
                       const std::string& owner);
  // Takes a package-level Go name for a node or member; a collision is reported.
  void TakePackageName(std::uint64_t id, const std::string& member, const std::string& name);

 private:
  std::uint64_t FileIdOf(std::uint64_t id) const;
  void CheckPackages();

  capnp::SchemaLoader loader_;
  std::map<std::uint64_t, capnp::schema::Node::SourceInfo::Reader> source_infos_;
  std::map<std::uint64_t, SchemaFile> files_;
  std::map<std::uint64_t, SourceIndex> indexes_;
  std::map<std::string, NameScope> packages_;  // by import path, or by name without one
  std::vector<std::uint64_t> requested_files_;
  std::vector<Problem> problems_;
  std::set<std::pair<std::uint64_t, std::string>> collided_;
};

}  // namespace hearth::capnpgo

#endif  // HEARTH_TOOLS_CAPNPC_HEARTH_GO_REQUEST_H_
