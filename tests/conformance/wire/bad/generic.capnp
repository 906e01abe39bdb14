# want 7: Box: generic types are not supported
# want 14: Uses.value: 'Box' is a generic type, which is not supported
# want 17: Outer: generic types are not supported
# want 24: UsesKind.kind: an enum inside a generic type is not supported
@0x9cd66609fee45b7f;

struct Box(T) {
  value @0 :T;
}

struct Uses {
  # value @0 :Box(Text); is not the line
  other @1 :Text;
  value @0 :List(Box(Text));
}

struct Outer(T) {
  enum Kind {
    one @0;
  }
}

struct UsesKind {
  kind @0 :Outer(Text).Kind;
}
