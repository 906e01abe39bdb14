// Values of the schema as Go source.
#ifndef HEARTH_TOOLS_CAPNPC_HEARTH_GO_LITERALS_H_
#define HEARTH_TOOLS_CAPNPC_HEARTH_GO_LITERALS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include <capnp/schema.capnp.h>

namespace hearth::capnpgo {

// A Go string literal that holds exactly `bytes`. Valid UTF-8 stays readable if `text` is set;
// otherwise every byte that is not printable ASCII is escaped.
std::string StringLiteral(std::string_view bytes, bool text);

// The bit pattern of a boolean, number or enum; 0 for every other type. What a field stores is its
// value XOR the pattern of its default.
std::uint64_t BitPattern(capnp::schema::Value::Reader value);

// A number, boolean or text as a Go constant expression, a Data value as a string literal. Empty if
// Go has no constant for it: infinities, NaN and negative zero.
std::string ConstantLiteral(capnp::schema::Value::Reader value);

}  // namespace hearth::capnpgo

#endif  // HEARTH_TOOLS_CAPNPC_HEARTH_GO_LITERALS_H_
