# The corpus of the Go wire runtime and its generator: every construct that they support, and some
# evolution. wire_vectors.cc and the Go tests in go-binding/wire/internal/corpus agree on the values.
@0xe141d853f08b5cb9;
# Every construct of the schema language that Hearth's Go accessors support.
# Messages of this file exist only in tests.

using Cxx = import "/capnp/c++.capnp";
using Go = import "/ipc/go.capnp";
using Other = import "other.capnp";
$Cxx.namespace("hearth::conformance::wire");
$Go.package("corpus");
$Go.import("github.com/hearthd/hearth/go-binding/wire/internal/corpus");

enum Color {
  # What a thing looks like.
  red @0;
  # Like a rose.
  green @1;
  blue @2;
}

enum Empty {}

struct Primitives {
  # Every primitive type, without and with defaults.
  nothing @0 :Void;
  flag @1 :Bool;
  i8 @2 :Int8;
  i16 @3 :Int16;
  i32 @4 :Int32;
  i64 @5 :Int64;
  u8 @6 :UInt8;
  u16 @7 :UInt16;
  u32 @8 :UInt32;
  u64 @9 :UInt64;
  f32 @10 :Float32;
  f64 @11 :Float64;
  color @12 :Color;

  flagDefault @13 :Bool = true;
  i8Default @14 :Int8 = -8;
  i16Default @15 :Int16 = -1616;
  i32Default @16 :Int32 = -32323232;
  i64Default @17 :Int64 = -6464646464646464;
  u8Default @18 :UInt8 = 0xf8;
  u16Default @19 :UInt16 = 0xf016;
  u32Default @20 :UInt32 = 0xf0000032;
  u64Default @21 :UInt64 = 0xf000000000000064;
  f32Default @22 :Float32 = -32.5;
  f64Default @23 :Float64 = 64.25e100;
  colorDefault @24 :Color = green;
  flag2 @25 :Bool;
  f64Nan @26 :Float64 = nan;
}

struct Blobs {
  text @0 :Text;
  data @1 :Data;
  textDefault @2 :Text = "default \"text\" ü";
  dataDefault @3 :Data = 0x"de ad 00 be ef";
}

struct Lists {
  voids @0 :List(Void);
  bools @1 :List(Bool);
  i8s @2 :List(Int8);
  i16s @3 :List(Int16);
  i32s @4 :List(Int32);
  i64s @5 :List(Int64);
  u8s @6 :List(UInt8);
  u16s @7 :List(UInt16);
  u32s @8 :List(UInt32);
  u64s @9 :List(UInt64);
  f32s @10 :List(Float32);
  f64s @11 :List(Float64);
  texts @12 :List(Text);
  datas @13 :List(Data);
  colors @14 :List(Color);
  points @15 :List(Point);
  matrix @16 :List(List(UInt32));
  cube @17 :List(List(List(Bool)));
  names @18 :List(List(Text));
  polygons @19 :List(List(Point));
  palettes @20 :List(List(Color));
  empties @21 :List(Nothing);
}

struct Point {
  x @0 :Int32;
  y @1 :Int32;
  label @2 :Text;
}

struct Nothing {}

struct Unions {
  id @0 :UInt64;
  union {
    none @1 :Void;
    number @2 :Int32 = 42;
    name @3 :Text = "anonymous";
    point @4 :Point;
    range :group {
      # From low up to but not including high.
      low @5 :UInt32;
      high @6 :UInt32 = 10;
      exact @7 :Bool;
      tag @8 :Text;
    }
    numbers @9 :List(UInt16);
    choice :union {
      left @10 :UInt8;
      right @11 :Data;
    }
    color @12 :Color = blue;
    ready @13 :Bool = true;
  }
  position :group {
    x @14 :Float32;
    y @15 :Float32;
    depth :union {
      flat @16 :Void;
      deep @17 :Float64;
    }
  }
}

struct Outer {
  const limit :UInt16 = 7;
  inner @0 :Inner;
  kind @1 :Inner.Kind = second;
  inners @2 :List(Inner);

  struct Inner {
    enum Kind {
      first @0;
      second @1;
    }
    kind @0 :Kind;
    outer @1 :Outer;
  }
}

# Evolution: V1 is what an old peer knows, V2 what a new one does.
struct V1 {
  id @0 :UInt32;
  name @1 :Text;
  numbers @2 :List(UInt32);
  names @3 :List(Text);
  items @4 :List(ItemV1);
  bytes @5 :List(UInt8);
}

struct ItemV1 {
  value @0 :UInt32;
  text @1 :Text;
}

struct V2 {
  id @0 :UInt32;
  name @1 :Text;
  numbers @2 :List(NumberV2);
  names @3 :List(NameV2);
  items @4 :List(ItemV2);
  bytes @5 :List(ByteV2);
  added @6 :UInt64 = 99;
  note @7 :Text = "none";
  more @8 :List(ItemV2);
}

struct NumberV2 {
  value @0 :UInt32;
  text @1 :Text = "no text";
  extra @2 :Int64 = -1;
}

struct NameV2 {
  name @0 :Text;
  number @1 :UInt32 = 5;
}

struct ByteV2 {
  value @0 :UInt8;
  wide @1 :UInt32 = 77;
}

struct ItemV2 {
  value @0 :UInt32;
  text @1 :Text;
  extra @2 :UInt64 = 12;
  point @3 :Point;
}

struct Imported {
  thing @0 :Other.Thing;
  things @1 :List(Other.Thing);
  shade @2 :Other.Shade = dark;
  shades @3 :List(List(Other.Shade));
  sibling @4 :Other.Thing.Part;
}

struct Request {
  # A message of about 176 bytes like those of a control channel, for benchmarks.
  id @0 :UInt64;
  deadlineMicros @1 :UInt64;
  flags @2 :UInt32;
  urgent @3 :Bool;
  tenant @4 :Text;
  body :union {
    ping @5 :Void;
    put @6 :Put;
    drop @7 :Text;
  }
}

struct Put {
  key @0 :Data;
  shard @1 :UInt16;
  version @2 :UInt64;
  entries @3 :List(Entry);

  struct Entry {
    offset @0 :UInt32;
    size @1 :UInt32;
  }
}

struct Tree {
  # Deep and wide, for limits.
  value @0 :UInt32;
  children @1 :List(Tree);
  left @2 :Tree;
}
