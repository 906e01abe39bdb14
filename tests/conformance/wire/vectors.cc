#include "tests/conformance/wire/vectors.h"

#include <corpus.capnp.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include <capnp/any.h>

namespace hearth::conformance::wire {
namespace {

void BuildDefaults(capnp::MessageBuilder& message) { message.initRoot<Primitives>(); }

void BuildPrimitives(capnp::MessageBuilder& message) {
  auto p = message.initRoot<Primitives>();
  p.setFlag(true);
  p.setI8(-128);
  p.setI16(-32768);
  p.setI32(std::numeric_limits<std::int32_t>::min());
  p.setI64(std::numeric_limits<std::int64_t>::min());
  p.setU8(255);
  p.setU16(65535);
  p.setU32(std::numeric_limits<std::uint32_t>::max());
  p.setU64(std::numeric_limits<std::uint64_t>::max());
  p.setF32(1.5f);
  p.setF64(-2.5e-300);
  p.setColor(Color::BLUE);
  p.setFlagDefault(false);
  p.setI8Default(1);
  p.setI16Default(2);
  p.setI32Default(3);
  p.setI64Default(4);
  p.setU8Default(5);
  p.setU16Default(6);
  p.setU32Default(7);
  p.setU64Default(8);
  p.setF32Default(std::numeric_limits<float>::infinity());
  p.setF64Default(-0.0);
  p.setColorDefault(static_cast<Color>(7));  // one that this version does not have
  p.setFlag2(true);
  p.setF64Nan(3.5);
}

// A struct from an older peer: its data section has only the first two words of today's.
void BuildPrimitivesShort(capnp::MessageBuilder& message) {
  capnp::MallocMessageBuilder full;
  BuildPrimitives(full);
  const auto data =
      full.getRoot<capnp::AnyPointer>().asReader().getAs<capnp::AnyStruct>().getDataSection();
  auto root = message.getRoot<capnp::AnyPointer>().initAsAnyStruct(2, 0);
  std::memcpy(root.getDataSection().begin(), data.begin(), 16);
}

void BuildNull(capnp::MessageBuilder& message) { message.getRoot<capnp::AnyPointer>().clear(); }

void BuildBlobs(capnp::MessageBuilder& message) {
  auto b = message.initRoot<Blobs>();
  b.setText("h\xc3\xa9llo");
  const capnp::byte data[] = {0, 1, 2, 253, 254, 255, 0};
  b.setData(kj::arrayPtr(data, sizeof data));
  b.setTextDefault("");
  b.setDataDefault(nullptr);  // empty, not null
}

void BuildBlobsDefault(capnp::MessageBuilder& message) { message.initRoot<Blobs>(); }

Unions::Builder InitUnions(capnp::MessageBuilder& message) {
  auto u = message.initRoot<Unions>();
  u.setId(0x0123456789abcdef);
  u.getPosition().setX(1.25f);
  u.getPosition().setY(-1.25f);
  return u;
}

void BuildUnionNone(capnp::MessageBuilder& message) { InitUnions(message).setNone(); }
void BuildUnionNumber(capnp::MessageBuilder& message) { InitUnions(message).setNumber(-5); }
void BuildUnionName(capnp::MessageBuilder& message) { InitUnions(message).setName("Ada"); }

void BuildUnionPoint(capnp::MessageBuilder& message) {
  auto u = InitUnions(message);
  auto point = u.initPoint();
  point.setX(3);
  point.setY(-4);
  point.setLabel("p");
  u.getPosition().getDepth().setDeep(10.5);
}

void BuildUnionRange(capnp::MessageBuilder& message) {
  auto range = InitUnions(message).initRange();
  range.setLow(2);
  range.setHigh(20);
  range.setExact(true);
  range.setTag("closed");
}

// The fields of a group that is set again have their default values.
void BuildUnionRangeDefault(capnp::MessageBuilder& message) { InitUnions(message).initRange(); }

void BuildUnionNumbers(capnp::MessageBuilder& message) {
  auto numbers = InitUnions(message).initNumbers(3);
  for (unsigned i = 0; i < 3; ++i) numbers.set(i, static_cast<std::uint16_t>(1000 * i));
}

void BuildUnionLeft(capnp::MessageBuilder& message) {
  InitUnions(message).initChoice().setLeft(200);
}

void BuildUnionRight(capnp::MessageBuilder& message) {
  const capnp::byte data[] = {9, 8, 7};
  InitUnions(message).initChoice().setRight(kj::arrayPtr(data, sizeof data));
}

void BuildUnionColor(capnp::MessageBuilder& message) { InitUnions(message).setColor(Color::GREEN); }

void BuildUnionReady(capnp::MessageBuilder& message) { InitUnions(message).setReady(false); }

void BuildOuter(capnp::MessageBuilder& message) {
  auto outer = message.initRoot<Outer>();
  outer.setKind(Outer::Inner::Kind::FIRST);
  auto inner = outer.initInner();
  inner.setKind(Outer::Inner::Kind::SECOND);
  inner.initOuter().initInner().setKind(Outer::Inner::Kind::SECOND);
  auto inners = outer.initInners(2);
  inners[1].setKind(Outer::Inner::Kind::SECOND);
  inners[1].initOuter().setKind(Outer::Inner::Kind::FIRST);
}

template <class T>
Vector Plain(const char* name, void (*build)(capnp::MessageBuilder&)) {
  return {name, capnp::Schema::from<T>(), build, true};
}

template <class T>
Vector Grouped(const char* name, void (*build)(capnp::MessageBuilder&)) {
  return {name, capnp::Schema::from<T>(), build, false};
}

}  // namespace

std::vector<Vector> AllVectors() {
  return {
      Plain<Primitives>("primitives", BuildPrimitives),
      Plain<Primitives>("primitives_default", BuildDefaults),
      Grouped<Primitives>("primitives_short", BuildPrimitivesShort),
      Grouped<Primitives>("null", BuildNull),
      Plain<Blobs>("blobs", BuildBlobs),
      Plain<Blobs>("blobs_default", BuildBlobsDefault),
      Plain<Lists>("lists", BuildLists),
      Grouped<Unions>("union_none", BuildUnionNone),
      Grouped<Unions>("union_number", BuildUnionNumber),
      Grouped<Unions>("union_name", BuildUnionName),
      Grouped<Unions>("union_point", BuildUnionPoint),
      Grouped<Unions>("union_range", BuildUnionRange),
      Grouped<Unions>("union_range_default", BuildUnionRangeDefault),
      Grouped<Unions>("union_numbers", BuildUnionNumbers),
      Grouped<Unions>("union_left", BuildUnionLeft),
      Grouped<Unions>("union_right", BuildUnionRight),
      Grouped<Unions>("union_color", BuildUnionColor),
      Grouped<Unions>("union_ready", BuildUnionReady),
      Plain<Outer>("outer", BuildOuter),
      Plain<V1>("v1", BuildV1),
      Plain<V2>("v2", BuildV2),
      Plain<Imported>("imported", BuildImported),
      Grouped<Request>("request", BuildRequest),
      Plain<Tree>("tree", BuildTree),
  };
}

}  // namespace hearth::conformance::wire
