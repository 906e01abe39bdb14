// ValueView: a value used in place, in the store's own memory, for as long as a pin holds it there.
#ifndef HEARTH_CORE_CACHE_VALUE_VIEW_H_
#define HEARTH_CORE_CACHE_VALUE_VIEW_H_

#include <cstdint>
#include <string_view>
#include <utility>

#include "core/base/atomic.h"
#include "core/cache/format.h"
#include "core/cache/pins.h"

namespace hearth::cache {

// Made by StoreReader::View(). While it is held the writer does not reuse the memory, with two
// exceptions, and then it does without asking: when it has wanted the memory for longer than
// hearthd's pin_max (1 s), or wants more than what pins may hold back. So whoever uses the bytes
// must ask at the end whether they were right all along: what Release() denies was perhaps read
// from another value, of any content. No access through a view can fault.
//
// Move-only; the destructor releases. One thread at a time. Must not outlive the reader's mapping.
class ValueView {
 public:
  ValueView() = default;
  ValueView(ValueView&& other) noexcept { *this = std::move(other); }
  ValueView& operator=(ValueView&& other) noexcept {
    if (this != &other) {
      Release();
      bytes_ = std::exchange(other.bytes_, {});
      segment_word_ = std::exchange(other.segment_word_, nullptr);
      generation_ = other.generation_;
      pin_ = other.pin_;
    }
    return *this;
  }
  ~ValueView() { Release(); }

  // The value; empty once it was released.
  std::string_view bytes() const { return bytes_; }
  bool held() const { return segment_word_ != nullptr; }
  // Whether everything that was read from bytes() so far was the value. False for good once the
  // view was revoked or released.
  bool Valid() const {
    if (!held()) return false;
    // SYNC acquire segment-reuse: all of it was read before the generation is looked at.
    AcquireFence();
    return SegmentGenerationOf(segment_word_->LoadRelaxed()) == generation_;
  }
  // Lets go of the memory. Returns Valid() as of the last moment; false when nothing was held.
  bool Release() {
    const bool valid = Valid();
    if (held()) {
      // SYNC release segment-unpin: the last byte was read.
      pin_.segment_plus_one->StoreRelease(kPinFree);
    }
    segment_word_ = nullptr;
    bytes_ = {};
    return valid;
  }

 private:
  friend class StoreReader;

  std::string_view bytes_;
  const Atomic<std::uint64_t>* segment_word_ = nullptr;
  std::uint64_t generation_ = 0;
  PinWords pin_;
};

}  // namespace hearth::cache

#endif  // HEARTH_CORE_CACHE_VALUE_VIEW_H_
