# want 8: Holder.nameBytes: the Go name 'NameBytes' is already generated for the field 'name'; rename one
# want 9: Holder.hasName: the Go name 'HasName' is already generated
# want 14: Union.which: the Go name 'Which' is already generated for the union
@0xbb8d7730ef72d295;

struct Holder {
  name @0 :Text;
  nameBytes @1 :Data;
  hasName @2 :Bool;
}

struct Union {
  union {
    which @0 :Text;
    other @1 :Void;
  }
}
