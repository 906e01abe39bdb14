# Types that corpus.capnp uses from another Go package, whose name is not the last element of its
# import path.
@0xcafa37428fbb7a9a;

using Cxx = import "/capnp/c++.capnp";
using Go = import "/ipc/go.capnp";
$Cxx.namespace("hearth::conformance::wire::other");
$Go.package("wire");
$Go.import("github.com/hearthd/hearth/go-binding/wire/internal/corpus/other");

enum Shade {
  light @0;
  dark @1;
}

struct Thing {
  size @0 :UInt16;
  part @1 :Part;

  struct Part {
    serial @0 :UInt32;
  }
}
