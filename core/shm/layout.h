// Describes structs that lie in shared memory: pins their size and every offset at compile time,
// feeds the layout fingerprint, and is what tools/generate-layout prints as Go constants. A struct
// that another process reads exists only once, here in C++.
//
//   struct Point { std::uint32_t x; std::uint32_t y; };
//   #define HEARTH_POINT_FIELDS(F) F(x, 0) F(y, 4)
//   HEARTH_LAYOUT(Point, 8, HEARTH_POINT_FIELDS)
#ifndef HEARTH_CORE_SHM_LAYOUT_H_
#define HEARTH_CORE_SHM_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "core/base/hash.h"

namespace hearth::shm {

struct FieldLayout {
  std::string_view name;
  std::size_t offset;
  std::size_t size;
};

struct StructLayout {
  std::string_view name;
  std::size_t size;
  std::span<const FieldLayout> fields;
};

// True when the fields follow each other from 0 to `size` without a gap or overlap.
constexpr bool CoversWithoutPadding(std::span<const FieldLayout> fields, std::size_t size) {
  std::size_t end = 0;
  for (const FieldLayout& field : fields) {
    if (field.offset != end) return false;
    end += field.size;
  }
  return end == size;
}

// Order-dependent hash over names, sizes and offsets.
constexpr std::uint64_t Fingerprint(std::span<const StructLayout> structs) {
  auto number = [](std::uint64_t state, std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) {
      const char c = static_cast<char>(value >> (8 * byte));
      state = Fnv1a64(std::string_view(&c, 1), state);
    }
    return state;
  };
  std::uint64_t state = Fnv1a64("hearth layout");
  for (const StructLayout& entry : structs) {
    state = number(Fnv1a64(entry.name, state), entry.size);
    for (const FieldLayout& field : entry.fields)
      state = number(number(Fnv1a64(field.name, state), field.offset), field.size);
  }
  return state;
}

}  // namespace hearth::shm

#define HEARTH_LAYOUT_ASSERT_(field, at) \
  static_assert(offsetof(Self, field) == (at), "the offset of " #field " is part of the format");
#define HEARTH_LAYOUT_ROW_(field, at) \
  ::hearth::shm::FieldLayout{#field, offsetof(Self, field), sizeof(Self::field)},

// Goes after the struct, in its namespace; defines <Struct>Layout::kStruct.
#define HEARTH_LAYOUT(Struct, bytes, FIELDS)                                                 \
  struct Struct##Layout {                                                                    \
    using Self = Struct;                                                                     \
    static_assert(sizeof(Self) == (bytes), "the size of " #Struct " is part of the format"); \
    static_assert(std::is_standard_layout_v<Self>, #Struct " must have a plain layout");     \
    FIELDS(HEARTH_LAYOUT_ASSERT_)                                                            \
    static constexpr ::hearth::shm::FieldLayout kFields[] = {FIELDS(HEARTH_LAYOUT_ROW_)};    \
    static constexpr ::hearth::shm::StructLayout kStruct{#Struct, sizeof(Self), kFields};    \
    static_assert(::hearth::shm::CoversWithoutPadding(kFields, sizeof(Self)),                \
                  #Struct " must spell out its padding as reserved fields");                 \
  };

#endif  // HEARTH_CORE_SHM_LAYOUT_H_
