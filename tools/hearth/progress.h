// Shows how far a long run has come: a bar on a terminal, a plain line every five seconds where
// stderr is something else, NO_COLOR is set or the terminal is dumb.
//
// Thread safety: one thread.
#ifndef HEARTH_TOOLS_HEARTH_PROGRESS_H_
#define HEARTH_TOOLS_HEARTH_PROGRESS_H_

#include <cstdint>
#include <string>

namespace hearth::cli {

class Progress {
 public:
  struct State {
    std::uint64_t records = 0;  // done
    std::uint64_t bytes = 0;    // of keys and values
    std::uint64_t rejected = 0;
    std::uint64_t input_bytes = 0;  // taken
  };

  // `input_size` is 0 where it is not known (a pipe): no percentage and no time left.
  Progress(std::string title, std::uint64_t input_size);
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap; prints when it is time to.
  void Update(const State& state);
  // Takes the bar away, so that something else can be printed. The next Update() brings it back.
  void Clear();

 private:
  std::string Bar(const State& state, double seconds) const;
  std::string PlainLine(const State& state, double seconds) const;

  std::string title_;
  std::uint64_t input_size_;
  bool terminal_;
  bool shown_ = false;
  std::uint64_t start_ns_;
  std::uint64_t next_ns_;
};

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_PROGRESS_H_
