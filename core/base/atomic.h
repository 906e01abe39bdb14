// Every atomic operation of Hearth's C++ code goes through this file: it is the whole vocabulary of
// memory order. There is no default order; each name says what it does. tools/check rejects
// std::atomic, __atomic_* and __sync_* anywhere else.
//
// Atomic<T> has the size, alignment and object representation of T, so it may be a member of a
// struct that lies in shared memory (the other side may be Go, which uses the same instructions).
//
// Convention: each release (or sequentially consistent) operation that hands data over carries
// a comment `SYNC release NAME: what crosses`, and the acquire that receives it carries
// `SYNC acquire NAME: ...`. tools/check fails when a name lacks one of its two sides. Go code uses
// the same comments and shares the names.
#ifndef HEARTH_CORE_BASE_ATOMIC_H_
#define HEARTH_CORE_BASE_ATOMIC_H_

#include <cstddef>
#include <cstring>
#include <type_traits>

#if defined(__SANITIZE_THREAD__)
#define HEARTH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HEARTH_TSAN 1
#endif
#endif

namespace hearth {

template <class T>
class Atomic {
  static_assert(std::is_integral_v<T> && (sizeof(T) == 4 || sizeof(T) == 8),
                "only 4- and 8-byte integers are lock-free on every supported machine");

 public:
  Atomic() = default;
  constexpr explicit Atomic(T value) : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  // No ordering. For counters, and for words that only their own writer reads back.
  T LoadRelaxed() const { return __atomic_load_n(&value_, __ATOMIC_RELAXED); }
  void StoreRelaxed(T value) { __atomic_store_n(&value_, value, __ATOMIC_RELAXED); }
  T AddRelaxed(T delta) { return __atomic_fetch_add(&value_, delta, __ATOMIC_RELAXED); }
  // Stores `desired` if the word equals `expected`; returns whether it did. For counters that must
  // not exceed a limit.
  bool CompareExchangeRelaxed(T expected, T desired) {
    return __atomic_compare_exchange_n(&value_, &expected, desired, /*weak=*/false,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }

  // Hand-over: what the writer did before StoreRelease is visible after LoadAcquire saw its value.
  T LoadAcquire() const { return __atomic_load_n(&value_, __ATOMIC_ACQUIRE); }
  void StoreRelease(T value) { __atomic_store_n(&value_, value, __ATOMIC_RELEASE); }

  // For words that only a later life of their writer reads. A SIGKILL leaves memory as a prefix of
  // the program order left it, provided that the compiler kept that order. No acquire pairs with
  // it.
  void StoreInProgramOrder(T value) { __atomic_store_n(&value_, value, __ATOMIC_RELEASE); }

  // One total order over all *Ordered operations and OrderedFence. For the sleep/publish handshake,
  // where each side stores one word and then reads the other's.
  T LoadOrdered() const { return __atomic_load_n(&value_, __ATOMIC_SEQ_CST); }
  void StoreOrdered(T value) { __atomic_store_n(&value_, value, __ATOMIC_SEQ_CST); }
  T ExchangeOrdered(T value) { return __atomic_exchange_n(&value_, value, __ATOMIC_SEQ_CST); }
  // Stores `desired` if the word equals `expected`; returns whether it did.
  bool CompareExchangeOrdered(T expected, T desired) {
    return __atomic_compare_exchange_n(&value_, &expected, desired, /*weak=*/false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  }

 private:
  T value_;
};

// ThreadSanitizer does not model fences (GCC says so with -Wtsan); the pairs that use them are
// exercised by the cross-process tests, which TSan cannot see either.

// Loads before it are not reordered with loads and stores after it.
inline void AcquireFence() { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
// Loads and stores before it are not reordered with stores after it.
inline void ReleaseFence() { __atomic_thread_fence(__ATOMIC_RELEASE); }
// Full fence; takes part in the total order of the *Ordered operations.
inline void OrderedFence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// Copies bytes that another process (or, in tests, thread) may overwrite at the same time. What it
// yields may be torn: the caller finds out afterwards, through a word it re-checks, and throws the
// copy away. No ordering. ThreadSanitizer builds copy byte by byte with relaxed atomics, so that
// it accepts the race; elsewhere the compiler's memcpy does the same loads, only wider.
inline void CopyShared(void* to, const void* from, std::size_t size) {
#if defined(HEARTH_TSAN)
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  for (std::size_t i = 0; i < size; ++i)
    __atomic_store_n(out + i, __atomic_load_n(in + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
#else
  std::memcpy(to, from, size);
#endif
  // The compiler must not read the source again for what it has copied once.
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

// One hint to the CPU that this thread spins. 10 to 140 cycles, depending on the model.
inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

}  // namespace hearth

#endif  // HEARTH_CORE_BASE_ATOMIC_H_
