// The rules of docs/hit-ratio.md, on short streams with fixed seeds.
#include <cstdlib>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/core.h>

#include "tests/hitratio/generators.h"
#include "tests/hitratio/published.h"
#include "tests/hitratio/report.h"

namespace hearth::hitratio {
namespace {

TEST_CASE("The engine is near S3-FIFO and never below LRU on every stream") {
  std::vector<Row> rows;
  std::string table = TableHead();
  for (const StreamOptions& stream : Streams(true)) {
    rows.push_back(Compare(MakeStream(stream), {.percent = 10}));
    table += TableLine(rows.back());
  }
  fmt::print("{}{}", table, Summary(rows));
  for (const Row& row : rows) {
    CAPTURE(row.trace);
    CHECK(row.broken.empty());
    CHECK(row.engine.reads == row.s3fifo.reads);
    CHECK(row.actual_percent > 9);
    CHECK(row.actual_percent < 11);
    CHECK(row.behind_s3fifo() <= kEnforcedBehindS3Fifo);
    CHECK(row.behind_lru() <= kMaxBehindLru);
  }
}

TEST_CASE("TinyLFU admission keeps a part of a loop, and costs little elsewhere") {
  for (const StreamOptions& stream : Streams(true)) {
    if (stream.name != "loop" && stream.name != "loop-and-zipf" && stream.name != "zipf-0.8")
      continue;
    CAPTURE(stream.name);
    const Trace trace = MakeStream(stream);
    const Row plain = Compare(trace, {.percent = 10});
    const Row admitted = Compare(trace, {.percent = 10, .tiny_lfu = true});
    CHECK(admitted.broken.empty());
    CHECK(admitted.engine.percent() > plain.engine.percent() - 1.5);
    if (stream.name == "loop") CHECK(admitted.engine.percent() > 2 * plain.engine.percent());
  }
}

TEST_CASE("A writer that can be told of reads is told") {
  struct Deaf {};
  struct Listener {
    void NoteRead(std::uint64_t hash) { last = hash; }
    std::uint64_t last = 0;
  };
  Deaf deaf;
  Listener listener;
  NoteRead(deaf, 5);
  NoteRead(listener, 5);
  CHECK(listener.last == 5);
}

TEST_CASE("Touches may be lost and late without the engine doing anything unsound") {
  const Trace trace = MakeStream(Streams(true).front());
  for (const std::uint32_t lost : {50U, 90U}) {
    const Row row = Compare(trace, {.percent = 10, .lost_touches = lost, .touch_batch = 256});
    CHECK(row.broken.empty());
    CHECK(row.engine.hits > 0);
  }
}

TEST_CASE("An entry that has expired is a miss in the engine and in every policy") {
  Trace trace{.name = "ttl", .objects = 2, .requests_per_second = 1};
  for (int i = 0; i < 10; ++i) trace.requests.push_back({.object = 0, .ttl_s = 4});
  // Set at 0, 4 and 8 s.
  const Budget budget{.bytes = 1'000, .objects = 2, .expected_entries = 10};
  CHECK(Replay(trace, *MakeLru(budget)).hits == 7);
  CHECK(Replay(trace, *MakeS3Fifo(budget)).hits == 7);
  CHECK(Replay(trace, *MakeTinyLfu(budget)).hits == 7);
  Engine engine(trace, {});
  std::uint64_t hits = 0;
  for (std::size_t i = 0; i < trace.requests.size(); ++i)
    hits += engine.Serve(trace.requests[i], trace.TimeMs(i)) ? 1U : 0U;
  CHECK(hits == 7);
}

TEST_CASE("The reference policies reach what is published for them") {
  const char* folder = std::getenv("HEARTH_TRACES");
  if (folder == nullptr) {
    fmt::print("SKIP hitratio/published: HEARTH_TRACES names no folder of recorded traces\n");
    return;
  }
  for (const Published& published : kPublished) {
    const auto trace =
        ReadXzTrace(fmt::format("{}/{}.trace.xz", folder, published.trace), published.trace);
    if (!trace.ok()) {
      fmt::print("SKIP hitratio/published: {}\n", trace.status().message());
      return;
    }
    const Check check = CheckPublished(published, *trace);
    INFO(check.text);
    CHECK(check.agrees);
  }
}

}  // namespace
}  // namespace hearth::hitratio
