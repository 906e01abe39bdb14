#include "tools/hearth/line_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace hearth::cli {
namespace {

// Big enough that a system call per chunk does not count, small enough to stay in the L2 cache.
constexpr std::size_t kChunkBytes = 256 * 1024;
constexpr std::size_t kKeptOfLongLine = 4096;
constexpr std::chrono::milliseconds kIdleInterval{100};
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

bool IsRegularFile(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

LineReader::LineReader(int fd, std::size_t max_line_bytes, const Interrupt* interrupt,
                       std::function<Status()> on_idle)
    : fd_(fd),
      max_line_bytes_(max_line_bytes),
      interrupt_(interrupt),
      on_idle_(std::move(on_idle)),
      regular_file_(IsRegularFile(fd)),
      buffer_(2 * kChunkBytes) {}

Result<bool> LineReader::Next(Line* line) {
  begin_ += std::exchange(delivered_, 0);
  scanned_ = std::max(scanned_, begin_);
  while (true) {
    const void* found = std::memchr(buffer_.data() + scanned_, '\n', end_ - scanned_);
    if (found != nullptr) {
      const auto stop = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
      delivered_ = stop + 1 - begin_;
      return Deliver({buffer_.data() + begin_, stop - begin_}, line);
    }
    scanned_ = end_;
    if (end_ - begin_ > max_line_bytes_) {
      head_.assign(buffer_.data() + begin_, buffer_.data() + begin_ + kKeptOfLongLine);
      HEARTH_TRY(SkipRest());
      *line = {.text = {head_.data(), head_.size()}, .number = ++number_, .too_long = true};
      return true;
    }
    HEARTH_ASSIGN(const bool more, Fill());
    if (more) continue;
    if (begin_ == end_) return false;
    delivered_ = end_ - begin_;
    return Deliver({buffer_.data() + begin_, end_ - begin_}, line);
  }
}

Result<bool> LineReader::Deliver(std::string_view text, Line* line) {
  if (number_ == 0 && text.substr(0, kByteOrderMark.size()) == kByteOrderMark)
    text.remove_prefix(kByteOrderMark.size());
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  *line = {.text = text, .number = ++number_, .too_long = false};
  if (text.size() > max_line_bytes_) {
    line->too_long = true;
    line->text = text.substr(0, kKeptOfLongLine);
  }
  return true;
}

Status LineReader::SkipRest() {
  while (true) {
    begin_ = scanned_ = end_;
    HEARTH_ASSIGN(const bool more, Fill());
    if (!more) return Status::Ok();
    const void* found = std::memchr(buffer_.data() + begin_, '\n', end_ - begin_);
    if (found == nullptr) continue;
    begin_ = scanned_ =
        static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data()) + 1;
    return Status::Ok();
  }
}

// Appends what one read() gives; false at the end of the input.
Result<bool> LineReader::Fill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    scanned_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  // Only a line longer than any before makes it grow, up to max_line_bytes_ and two chunks.
  if (buffer_.size() - end_ < kChunkBytes) buffer_.resize(buffer_.size() * 2);
  while (true) {
    if (!regular_file_) {
      HEARTH_ASSIGN(const bool ready, interrupt_->WaitReadable(fd_, kIdleInterval));
      if (!ready) {
        HEARTH_TRY(on_idle_());
        continue;
      }
    }
    const ssize_t got = ::read(fd_, buffer_.data() + end_, kChunkBytes);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
      if (interrupt_->requested()) return Error(Code::kCancelled, "interrupted");
      continue;
    }
    if (got < 0) return Error(Code::kUnknown, "cannot read the input: {}", std::strerror(errno));
    at_end_ = got == 0;
    end_ += static_cast<std::size_t>(got);
    bytes_read_ += static_cast<std::uint64_t>(got);
    return got > 0;
  }
}

}  // namespace hearth::cli
