#include <corpus.capnp.h>

#include <cstdint>
#include <string>

#include "tests/conformance/wire/vectors.h"

namespace hearth::conformance::wire {
namespace {

void SetPoint(Point::Builder point, std::int32_t x, std::int32_t y, const char* label) {
  point.setX(x);
  point.setY(y);
  if (label != nullptr) point.setLabel(label);
}

void BuildPrimitiveLists(Lists::Builder lists) {
  lists.initVoids(5);
  auto bools = lists.initBools(11);
  for (unsigned i = 0; i < 11; ++i) bools.set(i, i % 3 == 0);
  lists.setI8s({-128, 0, 127});
  lists.setI16s({-32768, 0, 32767});
  lists.setI32s({INT32_MIN, 0, INT32_MAX});
  lists.setI64s({INT64_MIN, 0, INT64_MAX});
  lists.setU8s({0, 1, 255});
  lists.setU16s({0, 1, 65535});
  lists.setU32s({0, 1, UINT32_MAX});
  lists.setU64s({0, 1, UINT64_MAX});
  lists.setF32s({0.5f, -0.5f});
  lists.setF64s({1e300, -1e-300});
  lists.setTexts({"", "one", "two words"});
  auto datas = lists.initDatas(3);  // the first stays null
  const capnp::byte bytes[] = {0, 255};
  datas.set(1, kj::arrayPtr(bytes, sizeof bytes));
  datas.set(2, nullptr);
  lists.setColors({Color::GREEN, Color::RED, Color::BLUE});
}

void BuildNestedLists(Lists::Builder lists) {
  auto matrix = lists.initMatrix(3);
  matrix.set(0, {1, 2, 3});
  matrix.init(1, 0);  // the last stays null
  auto cube = lists.initCube(2);
  auto plane = cube.init(0, 2);
  plane.set(0, {true, false, true});
  plane.set(1, {false});
  auto names = lists.initNames(2);
  names.set(0, {"a", "bc"});
  names.set(1, {"def"});
  auto polygons = lists.initPolygons(2);
  auto polygon = polygons.init(0, 2);
  SetPoint(polygon[0], 1, 2, "a");
  SetPoint(polygon[1], 3, 4, nullptr);
  SetPoint(polygons.init(1, 1)[0], 5, 6, "c");
  auto palettes = lists.initPalettes(1);
  palettes.set(0, {Color::BLUE, Color::GREEN});
}

}  // namespace

void BuildLists(capnp::MessageBuilder& message) {
  auto lists = message.initRoot<Lists>();
  BuildPrimitiveLists(lists);
  auto points = lists.initPoints(3);
  SetPoint(points[0], 10, -10, "zero");
  SetPoint(points[2], INT32_MAX, INT32_MIN, "two");
  BuildNestedLists(lists);
  lists.initEmpties(4);
}

void BuildV1(capnp::MessageBuilder& message) {
  auto v1 = message.initRoot<V1>();
  v1.setId(17);
  v1.setName("old");
  v1.setNumbers({100, 200, 300});
  v1.setNames({"x", "y"});
  auto items = v1.initItems(2);
  items[0].setValue(1);
  items[0].setText("first");
  items[1].setValue(2);
  v1.setBytes({5, 6, 7, 8, 9});
}

void BuildV2(capnp::MessageBuilder& message) {
  auto v2 = message.initRoot<V2>();
  v2.setId(18);
  v2.setName("new");
  auto numbers = v2.initNumbers(2);
  numbers[0].setValue(400);
  numbers[0].setText("four hundred");
  numbers[1].setValue(500);
  numbers[1].setExtra(-2);
  auto names = v2.initNames(2);
  names[0].setName("z");
  names[0].setNumber(26);
  names[1].setName("w");
  auto items = v2.initItems(1);
  items[0].setValue(3);
  items[0].setText("third");
  items[0].setExtra(13);
  SetPoint(items[0].initPoint(), 7, 8, "point");
  auto bytes = v2.initBytes(2);
  bytes[0].setValue(250);
  bytes[1].setWide(78);
  v2.setAdded(100);
  v2.setNote("some");
  v2.initMore(1)[0].setValue(4);
}

void BuildImported(capnp::MessageBuilder& message) {
  auto imported = message.initRoot<Imported>();
  imported.initThing().setSize(11);
  imported.getThing().initPart().setSerial(12);
  auto things = imported.initThings(2);
  things[0].setSize(13);
  things[1].initPart().setSerial(14);
  imported.setShade(other::Shade::LIGHT);
  imported.initShades(1).set(0, {other::Shade::DARK, other::Shade::LIGHT});
  imported.initSibling().setSerial(15);
}

void BuildRequest(capnp::MessageBuilder& message) {
  auto request = message.initRoot<Request>();
  request.setId(7);
  request.setDeadlineMicros(1500);
  request.setFlags(3);
  request.setUrgent(true);
  request.setTenant("tenant-001");
  auto put = request.getBody().initPut();
  const std::string key = "0123456789abcdef0123456789abcdef01234567";
  put.setKey(capnp::Text::Reader(key.c_str()).asBytes());
  put.setShard(12);
  put.setVersion(99);
  auto entries = put.initEntries(3);
  for (unsigned i = 0; i < 3; ++i) {
    entries[i].setOffset(i * 4096);
    entries[i].setSize(4096);
  }
}

// 40 levels of left, and on each level that many children.
void BuildTree(capnp::MessageBuilder& message) {
  auto node = message.initRoot<Tree>();
  for (unsigned level = 0; level < 40; ++level) {
    node.setValue(level);
    auto children = node.initChildren(level % 4);
    for (unsigned i = 0; i < level % 4; ++i) children[i].setValue(level * 10 + i);
    node = node.initLeft();
  }
}

}  // namespace hearth::conformance::wire
