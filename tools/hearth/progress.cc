#include "tools/hearth/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/base/clock.h"
#include "core/base/units.h"
#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

constexpr std::uint64_t kBarIntervalNs = 100'000'000;
constexpr std::uint64_t kLineIntervalNs = 5'000'000'000;
constexpr std::size_t kMaxBarWidth = 24;

bool MayDraw() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && (no_color == nullptr || *no_color == '\0') &&
         terminal != nullptr && std::string_view(terminal) != "dumb";
}

std::size_t Columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

// "3:07", "1:02:45".
std::string ClockTime(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

double FractionDone(const Progress::State& state, std::uint64_t input_size) {
  return std::min(1.0, static_cast<double>(state.input_bytes) / static_cast<double>(input_size));
}

std::string Counts(const Progress::State& state, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(state.records) / seconds : 0;
  std::string text =
      fmt::format("{} records, {}, {}/s", FormatCount(state.records), FormatBytes(state.bytes),
                  FormatCount(static_cast<std::uint64_t>(rate)));
  if (state.rejected > 0) text += fmt::format(", {} rejected", FormatCount(state.rejected));
  return text;
}

}  // namespace

Progress::Progress(std::string title, std::uint64_t input_size)
    : title_(std::move(title)),
      input_size_(input_size),
      terminal_(MayDraw()),
      start_ns_(MonotonicNanosNow()),
      next_ns_(start_ns_ + (terminal_ ? kBarIntervalNs : kLineIntervalNs)) {}

void Progress::Update(const State& state) {
  const std::uint64_t now = MonotonicNanosNow();
  if (now < next_ns_) return;
  next_ns_ = now + (terminal_ ? kBarIntervalNs : kLineIntervalNs);
  const double seconds = static_cast<double>(now - start_ns_) / 1e9;
  // One write for each, so that lines of others do not get into the middle.
  std::string text;
  if (terminal_) {
    text = fmt::format("\r{}\x1b[K", Bar(state, seconds).substr(0, Columns() - 1));
    shown_ = true;
  } else {
    text = PlainLine(state, seconds) + "\n";
  }
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void Progress::Clear() {
  if (!shown_) return;
  shown_ = false;
  next_ns_ = 0;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
}

std::string Progress::Bar(const State& state, double seconds) const {
  if (input_size_ == 0)
    return fmt::format("{}  {}  {}", title_, Counts(state, seconds), ClockTime(seconds));
  const double done = FractionDone(state, input_size_);
  std::string text = fmt::format("{:3.0f} %  {}", done * 100, Counts(state, seconds));
  if (done > 0) text += fmt::format("  {} left", ClockTime(seconds / done - seconds));
  // The bar takes what the numbers leave of the line.
  const std::size_t around = title_.size() + text.size() + 6;
  const std::size_t width = std::min(kMaxBarWidth, Columns() - std::min(Columns(), around));
  const auto filled = static_cast<std::size_t>(done * static_cast<double>(width));
  return fmt::format("{}  [{}{}] {}", title_, std::string(filled, '#'),
                     std::string(width - filled, '.'), text);
}

std::string Progress::PlainLine(const State& state, double seconds) const {
  std::string text = fmt::format("{}: {}", title_, Counts(state, seconds));
  if (input_size_ == 0) return text;
  const double done = FractionDone(state, input_size_);
  text += fmt::format(", {:.0f} %", done * 100);
  if (done > 0) text += fmt::format(", {} left", ClockTime(seconds / done - seconds));
  return text;
}

}  // namespace hearth::cli
