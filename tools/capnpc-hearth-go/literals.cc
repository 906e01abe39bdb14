#include "tools/capnpc-hearth-go/literals.h"

#include <bit>
#include <cmath>

#include <fmt/format.h>

namespace hearth::capnpgo {
namespace {

using capnp::schema::Value;

template <class T>
std::string FloatLiteral(T value) {
  if (!std::isfinite(value) || (value == 0 && std::signbit(value))) return "";
  return fmt::format("{}", value);  // the shortest that reads back as the same value
}

// The bits of a signed number, widened without copies of its sign.
template <class Unsigned, class Signed>
std::uint64_t Bits(Signed value) {
  return static_cast<Unsigned>(value);
}

}  // namespace

std::string StringLiteral(std::string_view bytes, bool text) {
  std::string literal = "\"";
  for (char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      literal += '\\';
      literal += c;
    } else if (c == '\n') {
      literal += "\\n";
    } else if (c == '\t') {
      literal += "\\t";
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !text)) {
      literal += fmt::format("\\x{:02x}", byte);
    } else {
      literal += c;
    }
  }
  return literal + "\"";
}

std::uint64_t BitPattern(Value::Reader value) {
  switch (value.which()) {
    case Value::BOOL: return value.getBool() ? 1 : 0;
    case Value::INT8: return Bits<std::uint8_t>(value.getInt8());
    case Value::INT16: return Bits<std::uint16_t>(value.getInt16());
    case Value::INT32: return Bits<std::uint32_t>(value.getInt32());
    case Value::INT64: return Bits<std::uint64_t>(value.getInt64());
    case Value::UINT8: return value.getUint8();
    case Value::UINT16: return value.getUint16();
    case Value::UINT32: return value.getUint32();
    case Value::UINT64: return value.getUint64();
    case Value::FLOAT32: return std::bit_cast<std::uint32_t>(value.getFloat32());
    case Value::FLOAT64: return std::bit_cast<std::uint64_t>(value.getFloat64());
    case Value::ENUM: return value.getEnum();
    default: return 0;
  }
}

std::string ConstantLiteral(Value::Reader value) {
  switch (value.which()) {
    case Value::BOOL: return value.getBool() ? "true" : "false";
    case Value::INT8: return fmt::format("{}", value.getInt8());
    case Value::INT16: return fmt::format("{}", value.getInt16());
    case Value::INT32: return fmt::format("{}", value.getInt32());
    case Value::INT64: return fmt::format("{}", value.getInt64());
    case Value::UINT8: return fmt::format("{}", value.getUint8());
    case Value::UINT16: return fmt::format("{}", value.getUint16());
    case Value::UINT32: return fmt::format("{}", value.getUint32());
    case Value::UINT64: return fmt::format("{}", value.getUint64());
    case Value::FLOAT32: return FloatLiteral(value.getFloat32());
    case Value::FLOAT64: return FloatLiteral(value.getFloat64());
    case Value::ENUM: return fmt::format("{}", value.getEnum());
    case Value::TEXT: return StringLiteral({value.getText().begin(), value.getText().size()}, true);
    case Value::DATA: {
      const auto chars = value.getData().asChars();
      return StringLiteral({chars.begin(), chars.size()}, false);
    }
    default: return "";
  }
}

}  // namespace hearth::capnpgo
