// Writes the Go file of one schema file: constants, enums and structs in the schema's order.
#ifndef HEARTH_TOOLS_CAPNPC_HEARTH_GO_FILE_WRITER_H_
#define HEARTH_TOOLS_CAPNPC_HEARTH_GO_FILE_WRITER_H_

#include <cstdint>
#include <string>

#include "tools/capnpc-hearth-go/request.h"
#include "tools/capnpc-hearth-go/types.h"

namespace hearth::capnpgo {

// Use once: FileWriter(request, id).Write(). Problems, such as colliding names, go to the request;
// the text is of use only if there are none. REQUIRES: CheckFile found no problem in the file.
class FileWriter {
 public:
  FileWriter(Request& request, std::uint64_t file_id)
      : request_(request), file_id_(file_id), types_(request, file_id) {}

  // The text of the Go file. It is as gofmt would format it.
  std::string Write();

 private:
  void WriteNode(std::uint64_t id);
  void WriteConst(std::uint64_t id);
  void WriteEnum(std::uint64_t id);
  void WriteEnumLists(std::uint64_t id, const std::string& name);

  Request& request_;
  std::uint64_t file_id_;
  Types types_;
  std::string out_;
};

}  // namespace hearth::capnpgo

#endif  // HEARTH_TOOLS_CAPNPC_HEARTH_GO_FILE_WRITER_H_
