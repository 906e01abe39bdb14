// W-TinyLFU.
#include <algorithm>
#include <bit>
#include <vector>

#include "tests/hitratio/object_list.h"
#include "tests/hitratio/policy.h"
#include "tests/support/seed.h"

namespace hearth::hitratio {
namespace {

// How often each object was used lately: four rows of counters up to 15, the least of which is the
// answer. A use raises only those that are the least ("minimal increment"), since the others count
// too much already. All are halved after so many uses, so that the past fades.
class Sketch {
 public:
  explicit Sketch(std::uint64_t entries)
      : width_(std::bit_ceil(std::max<std::uint64_t>(entries, 16))),
        period_(std::max<std::uint64_t>(entries, 16) * kPeriod),
        counters_(width_ * kRows) {}

  void Add(std::uint32_t object) {
    const std::uint32_t least = Estimate(object);
    for (std::uint32_t row = 0; row < kRows && least < kMax; ++row) {
      std::uint8_t& counter = counters_[Place(object, row)];
      if (counter == least) ++counter;
    }
    if (++uses_ < period_) return;
    for (std::uint8_t& counter : counters_) counter /= 2;
    uses_ /= 2;
  }
  std::uint32_t Estimate(std::uint32_t object) const {
    std::uint8_t least = kMax;
    for (std::uint32_t row = 0; row < kRows; ++row)
      least = std::min(least, counters_[Place(object, row)]);
    return least;
  }

 private:
  static constexpr std::uint32_t kRows = 4;
  static constexpr std::uint64_t kPeriod = 10;  // uses per entry
  static constexpr std::uint8_t kMax = 15;

  std::size_t Place(std::uint32_t object, std::uint32_t row) const {
    const std::uint64_t hash = testing::Random(std::uint64_t{row} << 32U | object).Next();
    return row * width_ + (hash & (width_ - 1));
  }

  std::uint64_t width_;
  std::uint64_t period_;
  std::uint64_t uses_ = 0;
  std::vector<std::uint8_t> counters_;
};

class TinyLfu final : public Policy {
 public:
  explicit TinyLfu(const Budget& budget)
      : sketch_(budget.expected_entries),
        window_(budget.objects),
        probation_(budget.objects),
        protected_(budget.objects),
        window_limit_(std::max<std::uint64_t>(
            {1, budget.bytes / 100,
             budget.bytes / std::max<std::uint64_t>(budget.expected_entries, 1)})),
        main_limit_(budget.bytes - std::min(budget.bytes, window_limit_)),
        protected_limit_(main_limit_ * 8 / 10) {}

  bool Use(std::uint32_t object) override {
    sketch_.Add(object);
    if (window_.Contains(object)) {
      window_.Renew(object);
    } else if (protected_.Contains(object)) {
      protected_.Renew(object);
    } else if (probation_.Contains(object)) {
      protected_.Push(object, probation_.Remove(object));
      Demote();
    } else {
      return false;
    }
    return true;
  }

  void Put(std::uint32_t object, std::uint32_t bytes) override {
    for (ObjectList* queue : {&probation_, &protected_}) {
      if (!queue->Contains(object)) continue;
      queue->Resize(object, bytes);
      Demote();
      while (probation_.bytes() + protected_.bytes() > main_limit_) DropVictim();
      return;
    }
    window_.Remove(object);
    if (bytes > main_limit_) return;
    window_.Push(object, bytes);
    while (window_.bytes() > window_limit_) Admit(window_.Oldest());
  }

  void Remove(std::uint32_t object) override {
    window_.Remove(object);
    probation_.Remove(object);
    protected_.Remove(object);
  }
  std::uint64_t used() const override {
    return window_.bytes() + probation_.bytes() + protected_.bytes();
  }

 private:
  void Demote() {
    while (protected_.bytes() > protected_limit_) {
      const std::uint32_t object = protected_.Oldest();
      probation_.Push(object, protected_.Remove(object));
    }
  }
  std::uint32_t Victim() const {
    return probation_.empty() ? protected_.Oldest() : probation_.Oldest();
  }
  void DropVictim() {
    const std::uint32_t victim = Victim();
    probation_.Remove(victim);
    protected_.Remove(victim);
  }
  // What leaves the window enters the main part if it is used more than each that has to go.
  void Admit(std::uint32_t candidate) {
    const std::uint32_t bytes = window_.Remove(candidate);
    while (probation_.bytes() + protected_.bytes() + bytes > main_limit_) {
      if (sketch_.Estimate(candidate) <= sketch_.Estimate(Victim())) return;
      DropVictim();
    }
    probation_.Push(candidate, bytes);
  }

  Sketch sketch_;
  ObjectList window_;
  ObjectList probation_;
  ObjectList protected_;
  std::uint64_t window_limit_;  // at least one entry
  std::uint64_t main_limit_;
  std::uint64_t protected_limit_;
};

}  // namespace

std::unique_ptr<Policy> MakeTinyLfu(const Budget& budget) {
  return std::make_unique<TinyLfu>(budget);
}

}  // namespace hearth::hitratio
