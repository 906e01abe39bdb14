# want 1: 'type' cannot be a Go package name; choose one with $Go.package
@0xcc203b330e847c80;

struct Holder {}
