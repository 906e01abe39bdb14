# want 7: Point.origin: constants of struct, list and Void types are not supported
# want 11: numbers: constants of struct
# want 12: nothing: constants of struct
@0xea833a11442f43cb;

struct Point {
  const origin :Point = (x = 0);
  x @0 :Int32;
}

const numbers :List(UInt8) = [1, 2];
const nothing :Void = void;
const fine :Text = "text";
