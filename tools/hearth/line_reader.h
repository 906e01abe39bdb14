// Reads a file or pipe line by line in constant memory.
//
// Thread safety: one thread.
#ifndef HEARTH_TOOLS_HEARTH_LINE_READER_H_
#define HEARTH_TOOLS_HEARTH_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "tools/hearth/interrupt.h"

namespace hearth::cli {

struct Line {
  std::string_view text;     // without line end; valid until the next call
  std::uint64_t number = 0;  // from 1
  bool too_long = false;     // `text` is the beginning; the rest was skipped
};

class LineReader {
 public:
  // `fd` is borrowed. Lines of more than `max_line_bytes` come as too_long.
  // `on_idle` is called whenever the input has given nothing for a tenth of a second; its error
  // ends the wait.
  LineReader(int fd, std::size_t max_line_bytes, const Interrupt* interrupt,
             std::function<Status()> on_idle);

  // The next line; false at the end. A last line without line end counts. LF and CRLF end lines; a
  // byte order mark at the beginning of the input is skipped. kCancelled when interrupted while
  // waiting for input; errors of read(2).
  Result<bool> Next(Line* line);

  // Of the input so far, line ends included.
  std::uint64_t bytes_taken() const { return bytes_read_ - (end_ - begin_); }

 private:
  Result<bool> Fill();
  // Throws away input up to the end of a line that is too long.
  Status SkipRest();
  Result<bool> Deliver(std::string_view text, Line* line);

  int fd_;
  std::size_t max_line_bytes_;
  const Interrupt* interrupt_;
  std::function<Status()> on_idle_;
  bool regular_file_ = false;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // of what is not yet handed out
  std::size_t end_ = 0;
  std::size_t scanned_ = 0;    // no line end before this
  std::size_t delivered_ = 0;  // bytes to drop at the next call
  std::vector<char> head_;     // of a line that is too long
  std::uint64_t bytes_read_ = 0;
  std::uint64_t number_ = 0;
  bool at_end_ = false;
};

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_LINE_READER_H_
