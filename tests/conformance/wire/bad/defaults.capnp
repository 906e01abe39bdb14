# want 10: Holder.point: default values of struct and list fields are not supported
# want 11: Holder.numbers: default values of struct and list fields are not supported
@0x9f517d7f31bd3e5a;

struct Point {
  x @0 :Int32;
}

struct Holder {
  point @0 :Point = (x = 1);
  numbers @1 :List(UInt8) = [1, 2];
  fine @2 :Text = "text";
}
