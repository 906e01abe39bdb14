#include "tools/hearth/prewarm.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <deque>
#include <utility>

#include <fmt/format.h>

#include "core/base/clock.h"
#include "core/base/fd.h"
#include "tools/hearth/interrupt.h"
#include "tools/hearth/key_sample.h"
#include "tools/hearth/line_reader.h"
#include "tools/hearth/prewarm_report.h"
#include "tools/hearth/progress.h"
#include "tools/hearth/rejects.h"

namespace hearth::cli {
namespace {

// Room for some thousand small records on their way. Measured from 256 KiB to 4 MiB: no difference
// beyond noise, since hearthd is what limits; large values want room for several of them.
constexpr std::uint32_t kRingBytes = 1024 * 1024;
constexpr std::size_t kMaxLineBytes = 16 * 1024 * 1024;
// Looking at the clock and for interrupts once in so many records.
constexpr std::uint64_t kRecordsPerLook = 256;
constexpr std::chrono::milliseconds kNap{100};

struct Input {
  UniqueFd file;  // not for stdin
  int fd = STDIN_FILENO;
  struct stat info {};
  // 0 where it is not known.
  std::uint64_t size() const {
    return S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
  }
};

Result<Input> OpenInput(const std::string& path) {
  Input input;
  if (path != "-") {
    input.file = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!input.file.valid())
      return Error(Code::kUnknown, "cannot read '{}': {}", path, std::strerror(errno));
    input.fd = input.file.get();
  }
  if (::fstat(input.fd, &input.info) != 0)
    return Error(Code::kUnknown, "cannot read '{}': {}", path, std::strerror(errno));
  if (S_ISDIR(input.info.st_mode))
    return Error(Code::kUnknown, "cannot read '{}': it is a directory", path);
  return input;
}

bool IsBlank(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t'; });
}

// One run.
class Loader {
 public:
  Loader(const PrewarmOptions& options, std::chrono::nanoseconds timeout, Connection* connection,
         const Input& input, Rejects* rejects);

  // To the end of the input, or to what stops it.
  PrewarmReport Run();

 private:
  struct Pending {
    std::uint64_t line = 0;
    std::uint64_t bytes = 0;
    bool settled = false;  // stored, or a reject
  };

  Status Load();
  Status Handle(const Line& line);
  Status Send(const ParsedRecord& record, std::uint64_t line_number);
  void OnAnswer(std::uint64_t token, const ipc::Reply& reply);
  // Waits for all answers.
  void Settle();
  // Keeps to --rate.
  Status Pace();
  void ShowProgress();
  // The share of what was loaded that is not to be found any more. Reads shared memory only.
  double ShareGone();

  const PrewarmOptions& options_;
  std::chrono::nanoseconds timeout_;
  Connection* connection_;
  Rejects* rejects_;
  Interrupt interrupt_;
  Progress progress_;
  LineReader reader_;
  RecordParser parser_;
  PrewarmReport report_;
  std::uint64_t start_ns_;
  // Of what was sent, from the oldest that is not settled; the front's token is first_token_.
  std::deque<Pending> pending_;
  std::uint64_t first_token_ = 0;
  KeySample sample_;
  std::uint64_t refused_ = 0;  // by hearthd
};

RecordForm FormOf(const PrewarmOptions& options, const Connection& connection) {
  RecordForm form = options.form;
  form.max_value_bytes = connection.target.max_value_bytes;
  return form;
}

Loader::Loader(const PrewarmOptions& options, std::chrono::nanoseconds timeout,
               Connection* connection, const Input& input, Rejects* rejects)
    : options_(options),
      timeout_(timeout),
      connection_(connection),
      rejects_(rejects),
      progress_("prewarm", input.size()),
      reader_(input.fd, kMaxLineBytes, &interrupt_,
              [this] {
                Settle();
                ShowProgress();
                return report_.stopped;
              }),
      parser_(FormOf(options, *connection)),
      start_ns_(MonotonicNanosNow()) {
  report_.namespace_name = connection->target.name;
  report_.rejects_file = options.rejects_file;
  report_.dry_run = options.dry_run;
  rejects_->OnMessage([this] { progress_.Clear(); });
  connection_->client->OnCompletion(
      [this](std::uint64_t token, const ipc::Reply& reply) { OnAnswer(token, reply); });
}

PrewarmReport Loader::Run() {
  if (Status loaded = Load(); !loaded.ok() && report_.stopped.ok())
    report_.stopped = std::move(loaded);
  // What did not answer in time has had its time.
  if (report_.stopped.code() != Code::kDeadlineExceeded) Settle();
  report_.unconfirmed += connection_->client->in_flight();
  progress_.Clear();
  connection_->client->OnCompletion({});
  rejects_->OnMessage({});
  report_.rejected = rejects_->count();
  report_.loaded_to_line = pending_.empty() ? report_.lines : pending_.front().line - 1;
  report_.seconds = static_cast<double>(MonotonicNanosNow() - start_ns_) / 1e9;
  report_.too_many_rejects = options_.max_errors.Exceeded(report_.rejected, report_.records);
  if (report_.stopped.ok()) report_.share_gone = ShareGone();
  return std::move(report_);
}

Status Loader::Load() {
  Line line;
  while (report_.stopped.ok()) {
    HEARTH_ASSIGN(const bool more, reader_.Next(&line));
    if (!more) return Status::Ok();
    HEARTH_TRY(Handle(line));
    report_.lines = line.number;
    if (options_.rate > 0) HEARTH_TRY(Pace());
    if (line.number % kRecordsPerLook != 0) continue;
    if (interrupt_.requested()) return Error(Code::kCancelled, "interrupted");
    ShowProgress();
  }
  return report_.stopped;
}

// An error means that the line was neither sent nor rejected.
Status Loader::Handle(const Line& line) {
  if (!line.too_long && IsBlank(line.text)) return Status::Ok();
  ParsedRecord record;
  Mistake mistake;
  if (line.too_long) {
    mistake.reason = fmt::format("the line has more than {} bytes", kMaxLineBytes);
  } else if (parser_.Parse(line.text, &record, &mistake)) {
    HEARTH_TRY(Send(record, line.number));
    ++report_.records;
    return Status::Ok();
  }
  ++report_.records;
  rejects_->Add(line, mistake);
  return Status::Ok();
}

Status Loader::Send(const ParsedRecord& record, std::uint64_t line_number) {
  const std::uint64_t bytes = record.key.size() + record.value.size();
  if (options_.dry_run) {
    ++report_.loaded;
    report_.bytes += bytes;
    return Status::Ok();
  }
  pending_.push_back({.line = line_number, .bytes = bytes});
  const std::uint64_t token = first_token_ + pending_.size() - 1;
  Status sent = connection_->client->SetPipelined(connection_->target.handle(), record.key,
                                                  record.value, record.ttl, token);
  // Answers that came meanwhile may have emptied the queue up to this one, but not this one.
  if (!sent.ok()) pending_.pop_back();
  if (sent.ok()) sample_.Add(record.key);
  return sent;
}

void Loader::OnAnswer(std::uint64_t token, const ipc::Reply& reply) {
  Pending& pending = pending_[token - first_token_];
  if (reply.ok()) {
    pending.settled = true;
    ++report_.loaded;
    report_.bytes += pending.bytes;
  } else if (reply.status.code() == Code::kInvalidArgument) {
    pending.settled = true;
    ++refused_;
    rejects_->AddRefused(pending.line, reply.status.message());
  } else {
    if (reply.execution == Execution::kMaybe) ++report_.unconfirmed;
    if (report_.stopped.ok()) report_.stopped = reply.status;
  }
  while (!pending_.empty() && pending_.front().settled) {
    pending_.pop_front();
    ++first_token_;
  }
}

void Loader::Settle() {
  Status drained = connection_->client->Drain(timeout_);
  if (drained.ok()) return;
  // After the end of a session every answer has come, with that as its reason.
  if (report_.stopped.ok()) report_.stopped = std::move(drained);
}

Status Loader::Pace() {
  const double due_seconds = static_cast<double>(report_.records) / options_.rate;
  const std::uint64_t due = start_ns_ + static_cast<std::uint64_t>(due_seconds * 1e9);
  while (true) {
    const std::uint64_t now = MonotonicNanosNow();
    // A sleep shorter than a millisecond would mostly be the cost of sleeping.
    if (now + 1'000'000 > due) return Status::Ok();
    Settle();
    ShowProgress();
    if (!report_.stopped.ok()) return report_.stopped;
    const std::chrono::nanoseconds left(static_cast<std::int64_t>(due - now));
    HEARTH_TRY(interrupt_.WaitReadable(-1, std::min<std::chrono::nanoseconds>(left, kNap)));
  }
}

double Loader::ShareGone() {
  // Among few keys, one that hearthd refused would look like many that were evicted.
  if (sample_.keys().empty() || refused_ > 0) return 0;
  const auto gone =
      std::count_if(sample_.keys().begin(), sample_.keys().end(), [this](const std::string& key) {
        return connection_->client->Get(connection_->target.handle(), key).status.code() ==
               Code::kNotFound;
      });
  return static_cast<double>(gone) / static_cast<double>(sample_.keys().size());
}

void Loader::ShowProgress() {
  progress_.Update({.records = report_.loaded,
                    .bytes = report_.bytes,
                    .rejected = rejects_->count(),
                    .input_bytes = reader_.bytes_taken()});
}

std::string Explain(const PrewarmReport& report) {
  const Status& stopped = report.stopped;
  if (stopped.code() == Code::kUnavailable)
    return fmt::format(
        "hearthd went away: {}; prewarm again when it runs (loading a record twice "
        "does no harm)",
        stopped.message());
  if (stopped.code() == Code::kDeadlineExceeded)
    return fmt::format("{}; --timeout allows more time", stopped.message());
  return stopped.message();
}

}  // namespace

bool ErrorLimit::Exceeded(std::uint64_t rejected, std::uint64_t records) const {
  const double limit = percent ? value / 100 * static_cast<double>(records) : value;
  return static_cast<double>(rejected) > limit;
}

Result<ErrorLimit> ParseErrorLimit(const std::string& text) {
  ErrorLimit limit;
  std::string_view number = text;
  limit.percent = !number.empty() && number.back() == '%';
  if (limit.percent) number.remove_suffix(1);
  const auto format = limit.percent ? std::chars_format::fixed : std::chars_format::general;
  const auto [stop, error] =
      std::from_chars(number.data(), number.data() + number.size(), limit.value, format);
  const bool whole = limit.percent || number.find_first_not_of("0123456789") == number.npos;
  if (error != std::errc() || stop != number.data() + number.size() || !whole ||
      !(limit.value >= 0) || (limit.percent && limit.value > 100))
    return Error(Code::kInvalidArgument,
                 "'{}' is neither a number of records like 10 nor a share like 0.5%", text);
  return limit;
}

ExitCode RunPrewarm(const GlobalOptions& global, const PrewarmOptions& options) {
  const auto input = OpenInput(options.file);
  if (!input.ok()) return Fail(input.status());
  auto connection = ConnectTo(global, options.place, "hearth prewarm", kRingBytes);
  if (!connection.ok()) return Fail(connection.status());
  if (!connection->target.writable)
    return Fail(Error(Code::kPermissionDenied,
                      "uid {} may not write to namespace '{}'; a policy rule with write = [\"{}\"] "
                      "allows it",
                      ::geteuid(), connection->target.name, connection->target.name));
  auto rejects = Rejects::Open(options.rejects_file, input->info);
  if (!rejects.ok()) return Fail(rejects.status());

  const PrewarmReport report =
      Loader(options, global.timeout, &*connection, *input, rejects->get()).Run();

  const ExitCode printed = PrintOut(global.json ? ToJson(report) : ToText(report));
  if (report.share_gone > 0)
    Complain(
        fmt::format("about {:.2g} % of what was loaded is gone already, evicted by what came "
                    "later or expired; 'hearth status' shows the room in namespace '{}'",
                    report.share_gone * 100, report.namespace_name));
  const Status closed = (*rejects)->Close();
  if (!closed.ok()) Complain(closed.message());
  if (!report.stopped.ok()) {
    Complain(Explain(report));
    return ExitCodeOf(report.stopped);
  }
  if (report.too_many_rejects) {
    Complain(fmt::format("{} rejected, more than --max-errors allows; all other records are {}",
                         report.rejected, report.dry_run ? "good" : "loaded"));
    return kExitFailure;
  }
  return closed.ok() ? printed : kExitFailure;
}

}  // namespace hearth::cli
