#include "tests/hitratio/report.h"

#include <algorithm>
#include <numeric>

#include <fmt/core.h>

namespace hearth::hitratio {

std::string TableHead() {
  return fmt::format("{:20} {:>6} {:>8} {:>5} {:>7} {:>7} {:>7} {:>10} {:>9} {:>7}  {}\n", "trace",
                     "size %", "segments", "lost", "engine", "S3-FIFO", "LRU", "W-TinyLFU",
                     "-S3-FIFO", "-LRU", "rules");
}

std::string TableLine(const Row& row) {
  std::string line = fmt::format(
      "{:20} {:6.2f} {:8} {:>4}% {:7.2f} {:7.2f} {:7.2f} {:10.2f} {:+9.2f} {:+7.2f}  {}", row.trace,
      row.actual_percent, row.segments, row.lost_touches, row.engine.percent(),
      row.s3fifo.percent(), row.lru.percent(), row.tinylfu.percent(), -row.behind_s3fifo(),
      -row.behind_lru(), KeepsRules(row) ? "kept" : "broken");
  if (row.model.reads != 0)
    line += fmt::format("  model {:.2f} ({:.2f} copied per byte set), adaptive {:.2f}",
                        row.model.percent(), row.model_copied, row.adaptive.percent());
  for (const std::string& broken : row.broken) line += "\n  BROKEN STORE: " + broken;
  return line + "\n";
}

std::string Summary(const std::vector<Row>& rows) {
  if (rows.empty()) return "no rows\n";
  const auto kept = std::count_if(rows.begin(), rows.end(), KeepsRules);
  const auto by = [&rows](double (Row::*behind)() const) -> const Row& {
    return *std::max_element(rows.begin(), rows.end(), [behind](const Row& a, const Row& b) {
      return (a.*behind)() < (b.*behind)();
    });
  };
  const Row& s3fifo = by(&Row::behind_s3fifo);
  const Row& lru = by(&Row::behind_lru);
  return fmt::format(
      "{} of {} rows keep the rules (at most {} points behind S3-FIFO, never behind LRU); the "
      "engine: {}\n"
      "furthest behind S3-FIFO: {:.2f} points ({}, {:g} %); behind LRU: {:.2f} points ({}, {:g} "
      "%)\n",
      kept, rows.size(), kMaxBehindS3Fifo, EnginePolicyName(), s3fifo.behind_s3fifo(), s3fifo.trace,
      s3fifo.percent, lru.behind_lru(), lru.trace, lru.percent);
}

std::string Json(const std::vector<Row>& rows) {
  std::string json = fmt::format("{{\"engine\": \"{}\", \"rows\": [", EnginePolicyName());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    json += fmt::format(
        "{}\n  {{\"trace\": \"{}\", \"percent\": {}, \"actual_percent\": {:.4f}, \"segments\": {}, "
        "\"lost_touches\": {}, \"reads\": {}, \"engine\": {:.4f}, \"s3fifo\": {:.4f}, \"lru\": "
        "{:.4f}, \"tinylfu\": {:.4f}, \"rules_kept\": {}, \"store_sound\": {}}}",
        i == 0 ? "" : ",", row.trace, row.percent, row.actual_percent, row.segments,
        row.lost_touches, row.engine.reads, row.engine.percent(), row.s3fifo.percent(),
        row.lru.percent(), row.tinylfu.percent(), KeepsRules(row), row.broken.empty());
  }
  return json + "\n]}\n";
}

}  // namespace hearth::hitratio
