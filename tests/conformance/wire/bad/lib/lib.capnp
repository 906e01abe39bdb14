# Says nothing about its Go package; no_import.capnp uses it.
@0xb7b038ed3e1a1aa1;

struct Thing {}
