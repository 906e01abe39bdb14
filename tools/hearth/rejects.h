// What becomes of input lines that cannot be loaded: the first ten are explained on stderr, all are
// counted and, if wanted, written to a file.
//
// The file is JSONL, one object per rejected line:
//   {"line": 7, "column": 12, "reason": "expected ':' after the field name", "text": "{\"key\"
//   ..."}
// "text" is the line itself ("text_base64" where it is not UTF-8; only its beginning, and
// "text_cut": true, where it was too long to be read), "column" is left out where it says nothing.
// Lines that hearthd refused have no text: they are gone by the time its answer comes.
//
// Thread safety: one thread.
#ifndef HEARTH_TOOLS_HEARTH_REJECTS_H_
#define HEARTH_TOOLS_HEARTH_REJECTS_H_

#include <sys/stat.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "tools/hearth/line_reader.h"
#include "tools/hearth/record_parser.h"

namespace hearth::cli {

class Rejects {
 public:
  // `path` may be empty: no file. The file is made anew, readable by its owner only, since what it
  // holds was meant for the cache. kInvalidArgument when it is `input` itself.
  static Result<std::unique_ptr<Rejects>> Open(const std::string& path, const struct stat& input);

  // `before_message` is called before something is printed, to take a progress bar away.
  void OnMessage(std::function<void()> before_message) { before_ = std::move(before_message); }

  void Add(const Line& line, const Mistake& mistake);
  // Refused by hearthd.
  void AddRefused(std::uint64_t line_number, std::string_view reason);
  std::uint64_t count() const { return count_; }

  // Writes out what is buffered. kUnknown when something could not be written.
  Status Close();

 private:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
  Rejects(std::string path, File file) : path_(std::move(path)), file_(std::move(file)) {}
  void Record(std::uint64_t line_number, const Mistake& mistake, const Line* line);

  std::string path_;
  File file_;
  std::function<void()> before_;
  std::uint64_t count_ = 0;
};

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_REJECTS_H_
