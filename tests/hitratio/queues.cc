// FIFO, LRU and S3-FIFO.
#include <algorithm>
#include <vector>

#include "tests/hitratio/object_list.h"
#include "tests/hitratio/policy.h"

namespace hearth::hitratio {
namespace {

// One queue: LRU when a use renews an object's place, FIFO when it does not.
class OneQueue final : public Policy {
 public:
  OneQueue(const Budget& budget, bool renew)
      : queue_(budget.objects), budget_(budget.bytes), renew_(renew) {}

  bool Use(std::uint32_t object) override {
    if (!queue_.Contains(object)) return false;
    if (renew_) queue_.Renew(object);
    return true;
  }
  void Put(std::uint32_t object, std::uint32_t bytes) override {
    queue_.Remove(object);  // a new value is new in either queue, as it is in a log
    if (bytes > budget_) return;
    while (queue_.bytes() + bytes > budget_) queue_.Remove(queue_.Oldest());
    queue_.Push(object, bytes);
  }
  void Remove(std::uint32_t object) override { queue_.Remove(object); }
  std::uint64_t used() const override { return queue_.bytes(); }

 private:
  ObjectList queue_;
  std::uint64_t budget_;
  bool renew_;
};

class S3Fifo final : public Policy {
 public:
  S3Fifo(const Budget& budget, const S3FifoOptions& options)
      : small_(budget.objects),
        main_(budget.objects),
        ghost_(budget.objects),
        uses_(budget.objects),
        budget_(budget.bytes),
        small_target_(budget.bytes * options.small_percent / 100),
        ghost_limit_(budget.bytes * options.ghost_percent / 100),
        promote_at_(options.promote_at) {}

  bool Use(std::uint32_t object) override {
    if (!small_.Contains(object) && !main_.Contains(object)) return false;
    uses_[object] = std::min<std::uint8_t>(kMaxUses, uses_[object] + 1U);
    return true;
  }

  void Put(std::uint32_t object, std::uint32_t bytes) override {
    for (ObjectList* queue : {&small_, &main_}) {
      if (!queue->Contains(object)) continue;
      queue->Resize(object, bytes);
      while (used() > budget_) Evict();
      return;
    }
    if (bytes > budget_) return;
    // Before room is made: that may push the object out of the ghost.
    const bool remembered = ghost_.Remove(object) != 0;
    while (used() + bytes > budget_) Evict();
    uses_[object] = 0;
    (remembered ? main_ : small_).Push(object, bytes);
  }

  void Remove(std::uint32_t object) override {
    small_.Remove(object);
    main_.Remove(object);
  }
  std::uint64_t used() const override { return small_.bytes() + main_.bytes(); }

 private:
  static constexpr std::uint8_t kMaxUses = 3;

  void Evict() {
    if (main_.empty() || (!small_.empty() && small_.bytes() >= small_target_)) {
      EvictSmall();
    } else {
      EvictMain();
    }
  }
  void EvictSmall() {
    while (!small_.empty()) {
      const std::uint32_t object = small_.Oldest();
      const std::uint32_t bytes = small_.Remove(object);
      if (uses_[object] < promote_at_) {
        Remember(object, bytes);
        return;
      }
      uses_[object] = 0;
      main_.Push(object, bytes);
    }
  }
  void EvictMain() {
    while (true) {
      const std::uint32_t object = main_.Oldest();
      if (uses_[object] == 0) {
        main_.Remove(object);
        return;
      }
      --uses_[object];
      main_.Renew(object);
    }
  }
  void Remember(std::uint32_t object, std::uint32_t bytes) {
    ghost_.Push(object, bytes);
    while (ghost_.bytes() > ghost_limit_) ghost_.Remove(ghost_.Oldest());
  }

  ObjectList small_;
  ObjectList main_;
  ObjectList ghost_;
  std::vector<std::uint8_t> uses_;
  std::uint64_t budget_;
  std::uint64_t small_target_;
  std::uint64_t ghost_limit_;
  std::uint32_t promote_at_;
};

}  // namespace

std::unique_ptr<Policy> MakeFifo(const Budget& budget) {
  return std::make_unique<OneQueue>(budget, false);
}
std::unique_ptr<Policy> MakeLru(const Budget& budget) {
  return std::make_unique<OneQueue>(budget, true);
}
std::unique_ptr<Policy> MakeS3Fifo(const Budget& budget, const S3FifoOptions& options) {
  return std::make_unique<S3Fifo>(budget, options);
}

}  // namespace hearth::hitratio
