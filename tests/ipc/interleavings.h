// A small model checker for protocols over shared words: runs the real code of each thread under
// every order of its steps, on a memory with store buffers.
//
// A thread is a loop. One pass of it is a function of a ModelMemory and of a few numbers that it
// carries from pass to pass, deterministic in what it reads. So a state of the world is: the words,
// the store buffers, the bells, and for each thread its numbers and the results of its steps in
// this pass. To find a thread's next step, the pass is run again from its start with those results;
// the step after the last one throws out of it. No fibers and no stacks, so sanitizers can watch.
//
// A state from which nothing can happen while a thread still sleeps on a bell is a lost wake-up.
//
// Memory::kTso delays each thread's stores in order (x86); kPso lets stores to different words
// overtake each other too (as weaker machines do); kSequential delays nothing. Loads are not
// reordered.
#ifndef HEARTH_TESTS_IPC_INTERLEAVINGS_H_
#define HEARTH_TESTS_IPC_INTERLEAVINGS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace hearth::ipc::model {

enum class Order { kSequential, kTso, kPso };

// A word of the modelled memory: its number.
struct Word {
  std::size_t index = 0;
};

struct Step {
  enum class Kind { kLoad, kStore, kFence, kRing, kSleep, kDone } kind = Kind::kDone;
  std::size_t word = 0;  // or bell
  std::uint64_t value = 0;
};

// What a thread's code sees. The names of BasicWatch's policy come first.
class ModelMemory {
 public:
  using Word = model::Word;

  // Steps of the protocol that can be left out, to see the checker find the consequence.
  enum class LeftOut { kNothing, kFenceAfterPublish, kFenceAfterAnnounce, kLookAgain };

  explicit ModelMemory(const std::vector<std::uint64_t>* results, LeftOut left_out)
      : results_(results), left_out_(left_out) {}

  void Publish(Word& position, std::uint64_t value) const { Store(position, value); }
  void FenceAfterPublish() const {
    if (left_out_ != LeftOut::kFenceAfterPublish) Fence();
  }
  std::uint64_t ReadFlag(const Word& flag) const { return Load(flag); }
  void WriteFlag(Word& flag, std::uint64_t bits) const { Store(flag, bits); }
  void FenceAfterAnnounce() const {
    if (left_out_ != LeftOut::kFenceAfterAnnounce) Fence();
  }
  std::uint64_t LookAgain(const Word& position) const {
    // Left out: whoever looks sees what it knew.
    return left_out_ == LeftOut::kLookAgain ? expected_ : Load(position);
  }

  std::uint64_t Load(const Word& word) const { return Do({Step::Kind::kLoad, word.index, 0}); }
  void Store(const Word& word, std::uint64_t value) const {
    Do({Step::Kind::kStore, word.index, value});
  }
  void Fence() const { Do({Step::Kind::kFence, 0, 0}); }
  void Ring(std::size_t bell) const { Do({Step::Kind::kRing, bell, 0}); }
  // Sleeps until the bell has been rung, and takes all its rings.
  void Sleep(std::size_t bell) const { Do({Step::Kind::kSleep, bell, 0}); }

  // For LeftOut::kLookAgain with one watch.
  void Expect(std::uint64_t value) const { expected_ = value; }

 private:
  std::uint64_t Do(const Step& step) const {
    if (next_ == results_->size()) throw step;
    return (*results_)[next_++];
  }

  const std::vector<std::uint64_t>* results_;
  LeftOut left_out_;
  mutable std::size_t next_ = 0;
  mutable std::uint64_t expected_ = 0;
};

// What a thread carries from pass to pass.
using Carried = std::vector<std::uint64_t>;
// One pass: what the next pass begins with, or nothing when the thread is done.
using Pass = std::function<std::optional<Carried>(const ModelMemory&, const Carried&)>;
struct Thread {
  Pass pass;
  Carried start;
};

struct Scenario {
  std::vector<Thread> threads;
  std::size_t words = 0;
  std::size_t bells = 1;
};

struct Verdict {
  std::size_t states = 0;
  std::size_t ends = 0;  // states in which every thread is done
  bool lost_wakeup = false;
  std::string trace;  // of the lost wake-up
};

class Explorer {
 public:
  Explorer(const Scenario& scenario, Order order, ModelMemory::LeftOut left_out)
      : scenario_(scenario), order_(order), left_out_(left_out) {}

  Verdict Run() {
    State start;
    start.words.resize(scenario_.words);
    start.bells.resize(scenario_.bells);
    start.threads.resize(scenario_.threads.size());
    for (std::size_t t = 0; t < scenario_.threads.size(); ++t) {
      start.threads[t].carried = scenario_.threads[t].start;
      FindNext(t, &start.threads[t]);
    }
    Explore(start);
    return verdict_;
  }

 private:
  struct Pending {
    std::size_t word;
    std::uint64_t value;
  };
  struct ThreadState {
    Carried carried;
    std::vector<std::uint64_t> results;  // of this pass's steps
    std::vector<Pending> buffer;         // stores on their way to memory, oldest first
    Step next;                           // follows from the above
  };
  struct State {
    std::vector<std::uint64_t> words;
    std::vector<std::uint64_t> bells;
    std::vector<ThreadState> threads;
  };
  using Key = std::vector<std::uint64_t>;

  void FindNext(std::size_t index, ThreadState* thread) const {
    while (true) {
      try {
        auto carried = scenario_.threads[index].pass(ModelMemory(&thread->results, left_out_),
                                                     thread->carried);
        if (!carried) {
          thread->next = {};
          return;
        }
        thread->carried = std::move(*carried);
        thread->results.clear();
      } catch (const Step& step) {
        thread->next = step;
        return;
      }
    }
  }

  static Key KeyOf(const State& state) {
    Key key = state.words;
    key.insert(key.end(), state.bells.begin(), state.bells.end());
    for (const ThreadState& thread : state.threads) {
      key.push_back(static_cast<std::uint64_t>(thread.next.kind));
      key.insert(key.end(), thread.carried.begin(), thread.carried.end());
      key.push_back(thread.results.size());
      key.insert(key.end(), thread.results.begin(), thread.results.end());
      key.push_back(thread.buffer.size());
      for (const Pending& pending : thread.buffer) {
        key.push_back(pending.word);
        key.push_back(pending.value);
      }
    }
    return key;
  }

  static bool MayStep(const State& state, const ThreadState& thread) {
    switch (thread.next.kind) {
      case Step::Kind::kDone: return false;
      case Step::Kind::kFence: return thread.buffer.empty();
      case Step::Kind::kSleep: return state.bells[thread.next.word] > 0;
      default: return true;
    }
  }

  void DoStep(State& state, std::size_t index) const {
    ThreadState& thread = state.threads[index];
    const Step step = thread.next;
    std::uint64_t result = 0;
    switch (step.kind) {
      case Step::Kind::kLoad:
        result = state.words[step.word];
        // A thread sees its own stores at once.
        for (const Pending& pending : thread.buffer)
          if (pending.word == step.word) result = pending.value;
        break;
      case Step::Kind::kStore:
        if (order_ == Order::kSequential) {
          state.words[step.word] = step.value;
        } else {
          thread.buffer.push_back({step.word, step.value});
        }
        break;
      case Step::Kind::kRing: state.bells[step.word] += 1; break;
      case Step::Kind::kSleep: state.bells[step.word] = 0; break;
      default: break;
    }
    thread.results.push_back(result);
    FindNext(index, &thread);
  }

  // Whether buffered store `i` may reach memory now: it is its word's oldest, and, under kTso, the
  // oldest of all.
  bool MayFlush(const std::vector<Pending>& buffer, std::size_t i) const {
    if (order_ == Order::kTso) return i == 0;
    return std::none_of(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(i),
                        [&](const Pending& earlier) { return earlier.word == buffer[i].word; });
  }

  void Explore(const State& state) {
    if (verdict_.lost_wakeup || !visited_.insert(KeyOf(state)).second) return;
    ++verdict_.states;
    bool moved = false;
    for (std::size_t t = 0; t < state.threads.size(); ++t) {
      const ThreadState& thread = state.threads[t];
      if (MayStep(state, thread)) {
        moved = true;
        State after = state;
        DoStep(after, t);
        Go(after, Name(t, thread.next));
      }
      for (std::size_t i = 0; i < thread.buffer.size(); ++i) {
        if (!MayFlush(thread.buffer, i)) continue;
        moved = true;
        State after = state;
        const Pending pending = thread.buffer[i];
        after.words[pending.word] = pending.value;
        auto& buffer = after.threads[t].buffer;
        buffer.erase(buffer.begin() + static_cast<std::ptrdiff_t>(i));
        Go(after, Name(t, {Step::Kind::kDone, pending.word, pending.value}));
      }
    }
    if (moved) return;
    for (const ThreadState& thread : state.threads) {
      if (thread.next.kind == Step::Kind::kDone) continue;
      verdict_.lost_wakeup = true;
      for (const std::string& line : path_) verdict_.trace += line + "\n";
      return;
    }
    ++verdict_.ends;
  }

  void Go(const State& state, std::string name) {
    path_.push_back(std::move(name));
    Explore(state);
    path_.pop_back();
  }

  static std::string Name(std::size_t thread, const Step& step) {
    static constexpr const char* kNames[] = {"load", "store", "fence", "ring", "sleep", "flush"};
    return "thread " + std::to_string(thread) + ": " + kNames[static_cast<std::size_t>(step.kind)] +
           " [" + std::to_string(step.word) + "] " + std::to_string(step.value);
  }

  const Scenario& scenario_;
  Order order_;
  ModelMemory::LeftOut left_out_;
  std::set<Key> visited_;
  std::vector<std::string> path_;
  Verdict verdict_;
};

}  // namespace hearth::ipc::model

#endif  // HEARTH_TESTS_IPC_INTERLEAVINGS_H_
