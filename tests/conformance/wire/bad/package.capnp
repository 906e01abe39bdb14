# want 1: 'func' cannot be a Go package name; choose one with $Go.package
@0x90aeaba343842285;

using Go = import "/ipc/go.capnp";
$Go.package("func");

struct Holder {}
