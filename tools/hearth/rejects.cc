#include "tools/hearth/rejects.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/fd.h"
#include "tools/hearth/exit_code.h"
#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

constexpr std::uint64_t kShown = 10;

}  // namespace

Result<std::unique_ptr<Rejects>> Rejects::Open(const std::string& path, const struct stat& input) {
  File file(nullptr, &std::fclose);
  if (!path.empty()) {
    // Not truncated before it is known to be another file than the input.
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid())
      return Error(Code::kUnknown, "cannot write the rejects to '{}': {}", path,
                   std::strerror(errno));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, path);
    if (info.st_dev == input.st_dev && info.st_ino == input.st_ino && S_ISREG(info.st_mode))
      return Error(Code::kInvalidArgument, "--rejects '{}' is the input itself", path);
    if (S_ISREG(info.st_mode) && ::ftruncate(fd.get(), 0) != 0) return ErrnoStatus(errno, path);
    file.reset(::fdopen(fd.get(), "w"));
    if (!file) return ErrnoStatus(errno, path);
    static_cast<void>(fd.Release());
  }
  return std::unique_ptr<Rejects>(new Rejects(path, std::move(file)));
}

void Rejects::Add(const Line& line, const Mistake& mistake) { Record(line.number, mistake, &line); }

void Rejects::AddRefused(std::uint64_t line_number, std::string_view reason) {
  Record(line_number, {.reason = fmt::format("hearthd refused it: {}", reason)}, nullptr);
}

void Rejects::Record(std::uint64_t line_number, const Mistake& mistake, const Line* line) {
  ++count_;
  if (count_ <= kShown) {
    if (before_) before_();
    std::string text = fmt::format("line {}", line_number);
    if (mistake.column > 0) text += fmt::format(", column {}", mistake.column);
    Complain(text + ": " + mistake.reason);
    if (count_ == kShown)
      Complain(file_ ? fmt::format("further rejected lines are only written to '{}'", path_)
                     : "further rejected lines are only counted; --rejects FILE keeps them all");
  }
  if (!file_) return;
  nlohmann::ordered_json object;
  object["line"] = line_number;
  if (mistake.column > 0) object["column"] = mistake.column;
  object["reason"] = EscapeControls(mistake.reason);
  if (line != nullptr) {
    if (IsUtf8(line->text)) {
      object["text"] = line->text;
    } else {
      object["text_base64"] = EncodeBase64(line->text);
    }
    if (line->too_long) object["text_cut"] = true;
  }
  // Errors stay in the stream, for Close().
  std::fprintf(file_.get(), "%s\n", object.dump().c_str());
}

Status Rejects::Close() {
  if (!file_) return Status::Ok();
  const bool failed = std::ferror(file_.get()) != 0;
  const bool closed = std::fclose(file_.release()) == 0;
  if (!failed && closed) return Status::Ok();
  return Error(Code::kUnknown, "the rejects in '{}' are not complete: {}", path_,
               std::strerror(errno));
}

}  // namespace hearth::cli
