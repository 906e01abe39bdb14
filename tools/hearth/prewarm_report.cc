#include "tools/hearth/prewarm_report.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/units.h"
#include "tools/hearth/exit_code.h"
#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

const char* ResultName(const PrewarmReport& report) {
  if (report.stopped.code() == Code::kCancelled) return "interrupted";
  if (!report.stopped.ok()) return "stopped";
  return report.too_many_rejects ? "too_many_rejects" : "ok";
}

}  // namespace

std::string ToText(const PrewarmReport& report) {
  std::string text =
      fmt::format("{} {} records ({}) into namespace '{}' in {:.3g} s, {} records/s\n",
                  report.dry_run ? "would load" : "loaded", FormatCount(report.loaded),
                  FormatBytes(report.bytes), report.namespace_name, report.seconds,
                  FormatCount(static_cast<std::uint64_t>(report.RecordsPerSecond())));
  if (report.rejected > 0) {
    text += fmt::format("rejected {} of {} records", FormatCount(report.rejected),
                        FormatCount(report.records));
    if (!report.rejects_file.empty()) text += fmt::format(", see '{}'", report.rejects_file);
    text += "\n";
  }
  if (report.unconfirmed > 0)
    text += fmt::format("{} records were sent and not confirmed: perhaps loaded\n",
                        FormatCount(report.unconfirmed));
  if (!report.stopped.ok())
    text += fmt::format("stopped after line {}; complete up to line {}\n",
                        FormatCount(report.lines), FormatCount(report.loaded_to_line));
  return text;
}

std::string ToJson(const PrewarmReport& report) {
  nlohmann::ordered_json json;
  json["result"] = ResultName(report);
  json["namespace"] = report.namespace_name;
  json["dry_run"] = report.dry_run;
  json["lines"] = report.lines;
  json["records"] = report.records;
  json["loaded"] = report.loaded;
  json["rejected"] = report.rejected;
  json["unconfirmed"] = report.unconfirmed;
  json["loaded_to_line"] = report.loaded_to_line;
  json["bytes"] = report.bytes;
  json["seconds"] = report.seconds;
  json["records_per_second"] = std::round(report.RecordsPerSecond());
  json["share_gone"] = report.share_gone;
  if (!report.rejects_file.empty()) json["rejects_file"] = report.rejects_file;
  if (!report.stopped.ok()) {
    json["error"] = report.stopped.message();
    json["code"] = CodeName(report.stopped.code());
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace hearth::cli
