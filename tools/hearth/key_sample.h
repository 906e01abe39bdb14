// An even sample of a stream of keys in constant memory, to see at the end of a run how much of
// what was loaded first has been evicted by what came later.
//
// Thread safety: one thread.
#ifndef HEARTH_TOOLS_HEARTH_KEY_SAMPLE_H_
#define HEARTH_TOOLS_HEARTH_KEY_SAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::cli {

class KeySample {
 public:
  static constexpr std::size_t kMaxKeys = 1024;

  void Add(std::string_view key) {
    if (seen_++ % stride_ != 0) return;
    keys_.emplace_back(key);
    if (keys_.size() < kMaxKeys) return;
    // Every second one stays, and from now on every second one of those that would have come.
    for (std::size_t i = 0; i < kMaxKeys / 2; ++i) keys_[i] = std::move(keys_[2 * i]);
    keys_.resize(kMaxKeys / 2);
    stride_ *= 2;
  }

  // Between kMaxKeys / 2 and kMaxKeys of them, or all there were.
  const std::vector<std::string>& keys() const { return keys_; }

 private:
  std::vector<std::string> keys_;
  std::uint64_t seen_ = 0;
  std::uint64_t stride_ = 1;
};

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_KEY_SAMPLE_H_
