// hitratio: the engine's hit ratio beside reference policies. docs/hit-ratio.md is the manual.
#include <cstdio>
#include <cstdlib>
#include <regex>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "tests/hitratio/generators.h"
#include "tests/hitratio/published.h"
#include "tests/hitratio/report.h"

namespace hearth::hitratio {
namespace {

struct Options {
  std::string traces;
  std::string json;
  std::string only;
  bool full = false;
  bool model = false;
  bool tiny_lfu = false;
  std::uint32_t segments = 128;
  std::uint32_t touch_batch = 1;
  std::vector<double> percents;
  std::vector<std::uint32_t> lost_touches;
};

// Below that a row tells more about chance than about a policy.
constexpr double kFewestEntries = 100;

class Runner {
 public:
  explicit Runner(const Options& options) : options_(options), only_(options.only) {}

  bool Wants(const std::string& name) const { return std::regex_search(name, only_); }
  void Run(const Trace& trace) {
    const Footprint footprint = FootprintOf(trace);
    fmt::print("# {}: {} requests, {} objects; {}\n", trace.name, trace.requests.size(),
               footprint.objects, trace.note);
    for (const double percent : options_.percents) {
      const double entries = static_cast<double>(footprint.objects) * percent / 100;
      if (entries < kFewestEntries) {
        fmt::print("SKIP {} at {:g} %: that is {:.0f} entries\n", trace.name, percent, entries);
        continue;
      }
      for (const std::uint32_t lost : options_.lost_touches) {
        rows_.push_back(Compare(trace, {.percent = percent,
                                        .segments = options_.segments,
                                        .lost_touches = lost,
                                        .touch_batch = options_.touch_batch,
                                        .model = options_.model,
                                        .tiny_lfu = options_.tiny_lfu}));
        fmt::print("{}", TableLine(rows_.back()));
        std::fflush(stdout);
      }
    }
  }
  void RunRecorded() {
    for (const Published& published : kPublished) {
      if (!Wants(published.trace)) continue;
      const auto trace = ReadXzTrace(
          fmt::format("{}/{}.trace.xz", options_.traces, published.trace), published.trace);
      if (!trace.ok()) {
        fmt::print("SKIP {}: {}\n", published.trace, trace.status().message());
        continue;
      }
      const Check check = CheckPublished(published, *trace);
      fmt::print("{}", check.text);
      agrees_ = agrees_ && check.agrees;
      Run(*trace);
    }
  }
  void RunClusters() {
    const auto clusters = ReadClusters(options_.traces + "/twitter-2020Mar-clusters.csv");
    if (!clusters.ok()) {
      fmt::print("SKIP clusters: {}\n", clusters.status().message());
      return;
    }
    constexpr std::uint32_t kRequests = 400'000;
    std::uint64_t seed = 1'000;
    for (const Cluster& cluster : *clusters) {
      ++seed;
      // Where hardly anything is read there is no hit ratio to speak of.
      if (cluster.get_share < 0.2 || !Wants(cluster.name)) continue;
      Run(MakeClusterTrace(cluster, kRequests, seed));
    }
  }
  int Finish() const {
    fmt::print("\n{}", Summary(rows_));
    if (!options_.json.empty()) {
      std::FILE* file = std::fopen(options_.json.c_str(), "w");
      if (file == nullptr) {
        fmt::print(stderr, "hitratio: cannot write {}\n", options_.json);
        return 1;
      }
      fmt::print(file, "{}", Json(rows_));
      std::fclose(file);
    }
    bool sound = agrees_;
    for (const Row& row : rows_) sound = sound && row.broken.empty();
    return sound ? 0 : 1;
  }

 private:
  const Options& options_;
  std::regex only_;
  std::vector<Row> rows_;
  bool agrees_ = true;
};

int Run(int argc, char** argv) {
  Options options;
  if (const char* folder = std::getenv("HEARTH_TRACES")) options.traces = folder;
  CLI::App app("The hit ratio of Hearth's store beside S3-FIFO, LRU and W-TinyLFU");
  app.add_option("--traces", options.traces, "folder of *.trace.xz (default: HEARTH_TRACES)");
  app.add_flag("--full", options.full,
               "long streams, all traces, sizes and shares of lost touches");
  app.add_flag("--model", options.model, "also the model of S3-FIFO on segments");
  app.add_flag("--tinylfu", options.tiny_lfu, "the engine with TinyLFU admission");
  app.add_option("--only", options.only, "only traces whose name contains the regular expression");
  app.add_option("--percent", options.percents, "cache sizes, % of the distinct bytes");
  app.add_option("--lost", options.lost_touches, "shares of lost touches, %");
  app.add_option("--batch", options.touch_batch, "touches that are reported together");
  app.add_option("--segments", options.segments, "segments of the store")
      ->check(CLI::Range(16, 4096));
  app.add_option("--json", options.json, "also write the rows to this file");
  CLI11_PARSE(app, argc, argv);
  if (options.percents.empty())
    options.percents = options.full ? std::vector<double>{1, 5, 10, 25} : std::vector<double>{10};
  if (options.lost_touches.empty())
    options.lost_touches =
        options.full ? std::vector<std::uint32_t>{0, 50, 90} : std::vector<std::uint32_t>{0};

  if constexpr (!HearsReads<cache::StoreWriter>) {
    fmt::print("# this engine does not hear of reads: losing touches makes no difference to it\n");
    options.lost_touches = {0};
  }
  fmt::print("{}", TableHead());
  Runner runner(options);
  if (options.traces.empty()) {
    fmt::print("SKIP recorded traces and clusters: no folder is given (--traces, HEARTH_TRACES)\n");
  } else {
    runner.RunRecorded();
    if (options.full) runner.RunClusters();
  }
  for (const StreamOptions& stream : Streams(!options.full)) {
    if (runner.Wants(stream.name)) runner.Run(MakeStream(stream));
  }
  return runner.Finish();
}

}  // namespace
}  // namespace hearth::hitratio

int main(int argc, char** argv) { return hearth::hitratio::Run(argc, argv); }
