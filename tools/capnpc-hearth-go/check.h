// What a schema may contain.
#ifndef HEARTH_TOOLS_CAPNPC_HEARTH_GO_CHECK_H_
#define HEARTH_TOOLS_CAPNPC_HEARTH_GO_CHECK_H_

#include <cstdint>

#include "tools/capnpc-hearth-go/request.h"

namespace hearth::capnpgo {

// Reports everything in a requested file that cannot be generated: interfaces and capabilities,
// generic types and their use, AnyPointer, default values of struct and list fields, constants of
// those types and of type Void. Annotations are not code and are passed over.
void CheckFile(Request& request, std::uint64_t file_id);

}  // namespace hearth::capnpgo

#endif  // HEARTH_TOOLS_CAPNPC_HEARTH_GO_CHECK_H_
