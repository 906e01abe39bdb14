// Budgets: how many bytes of memory something may hold before it is refused more.
//
//   SharedBudget   of one user: its session regions, and what its sessions buffer
//     ByteBudget   of one session: its unfinished long messages, both ways
#ifndef HEARTH_IPC_BUDGET_H_
#define HEARTH_IPC_BUDGET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/base/atomic.h"
#include "core/base/status.h"

namespace hearth::ipc {

// Thread-safe: a user's sessions are served by several threads.
class SharedBudget {
 public:
  // `holder` says in messages whose it is and which limit that is.
  SharedBudget(std::uint64_t limit, std::string holder)
      : limit_(limit), holder_(std::move(holder)) {}
  SharedBudget(const SharedBudget&) = delete;
  SharedBudget& operator=(const SharedBudget&) = delete;

  // Never takes more than the limit, not even for a moment.
  bool TryTake(std::uint64_t bytes) {
    while (true) {
      const std::uint64_t used = used_.LoadRelaxed();
      if (bytes > limit_ - used) return false;
      if (used_.CompareExchangeRelaxed(used, used + bytes)) return true;
    }
  }
  void Return(std::uint64_t bytes) { used_.AddRelaxed(0 - bytes); }
  std::uint64_t used() const { return used_.LoadRelaxed(); }
  std::uint64_t limit() const { return limit_; }

  // kResourceExhausted: why `bytes` more were refused.
  Status Refusal(std::uint64_t bytes) const {
    return Error(Code::kResourceExhausted, "{} holds {} of {} bytes, {} more do not fit", holder_,
                 used(), limit_, bytes);
  }

 private:
  const std::uint64_t limit_;
  const std::string holder_;
  Atomic<std::uint64_t> used_{0};
};

// Bytes taken from a SharedBudget, returned when this is destroyed. Move-only.
class SharedCharge {
 public:
  // kResourceExhausted when they do not fit.
  static Result<SharedCharge> Take(std::shared_ptr<SharedBudget> budget, std::uint64_t bytes) {
    if (!budget->TryTake(bytes)) return budget->Refusal(bytes);
    return SharedCharge(std::move(budget), bytes);
  }
  SharedCharge() = default;
  SharedCharge(SharedCharge&& other) noexcept = default;
  SharedCharge& operator=(SharedCharge&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~SharedCharge() {
    if (budget_) budget_->Return(bytes_);
  }

 private:
  SharedCharge(std::shared_ptr<SharedBudget> budget, std::uint64_t bytes)
      : budget_(std::move(budget)), bytes_(bytes) {}
  std::shared_ptr<SharedBudget> budget_;
  std::uint64_t bytes_ = 0;
};

// Bytes that several assemblers and senders may hold in memory together, and, with `shared`, all
// others that share that one. It and all that use it belong to one thread.
class ByteBudget {
 public:
  // `shared` must outlive the budget.
  explicit ByteBudget(std::uint64_t limit, SharedBudget* shared = nullptr)
      : limit_(limit), shared_(shared) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  bool TryTake(std::uint64_t bytes) {
    if (bytes > limit_ - used_) return false;
    if (shared_ != nullptr && !shared_->TryTake(bytes)) return false;
    used_ += bytes;
    return true;
  }
  void Return(std::uint64_t bytes) {
    used_ -= bytes;
    if (shared_ != nullptr) shared_->Return(bytes);
  }
  std::uint64_t used() const { return used_; }
  std::uint64_t limit() const { return limit_; }

  // kResourceExhausted: why `bytes` more were refused.
  Status Refusal(std::uint64_t bytes) const {
    if (shared_ != nullptr && bytes <= limit_ - used_) return shared_->Refusal(bytes);
    return Error(Code::kResourceExhausted,
                 "this session buffers {} of {} bytes of unfinished messages, {} more do not fit",
                 used_, limit_, bytes);
  }

 private:
  std::uint64_t limit_;
  SharedBudget* shared_;
  std::uint64_t used_ = 0;
};

}  // namespace hearth::ipc

#endif  // HEARTH_IPC_BUDGET_H_
