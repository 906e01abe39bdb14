# want 1: uses types of tests/conformance/wire/bad/lib/lib.capnp, whose Go package is not known; add $Go.import
@0xec5a62daee7f1a19;

using Lib = import "lib/lib.capnp";

struct Holder {
  thing @0 :Lib.Thing;
}
