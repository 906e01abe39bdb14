# want 12: Holder.body.anything: AnyPointer is not supported; use a union
# want 15: Holder.structs: AnyPointer is not supported
# want 16: Holder.lists: AnyPointer is not supported
@0xe28460343a3a167d;

struct Holder {
  union {
    first @0 :Void;
    body :group {
      # Comments with { braces; and "quotes" do not matter.
      text @1 :Text = "nor do { these";
      anything @2 :AnyPointer;
    }
  }
  structs @3 :AnyStruct;
  lists @4 :List(AnyList);
}
