# want 9: OuterInner: the Go name 'OuterInnerReader' is already generated for Outer.Inner in
# want 11: Kind: the Go name 'KindListReader' is already generated for Kind.listReader in
@0xf6ed52e10b0de7a0;

struct Outer {
  struct Inner {}
}

struct OuterInner {}

enum Kind {
  one @0;
  listReader @1;
}
