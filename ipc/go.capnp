# Annotations for capnpc-hearth-go, the generator of Hearth's Go accessors (tools/capnpc-hearth-go).
# A schema uses them as
#
#   using Go = import "/ipc/go.capnp";
#   $Go.package("control");
#   $Go.import("github.com/hearthd/hearth/go-binding/internal/control");
@0x823b7bd40657a547;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hearth::ipc::go");

annotation package @0xf40945588412f73e (file) :Text;
# The name of the Go package the file's types go to. Without it, the file's name without its
# extension, in lower case.

annotation import @0x9f36cb341cf95e8d (file) :Text;
# The import path of that package. Needed only in files whose types another file uses from another
# package.
