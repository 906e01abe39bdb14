// How long a successor needs until it serves: a store is filled, its writer goes, another takes
// over. What the time depends on is printed with it; the limit it is held against is one pass over
// the same headers.
//
//   attach [GIB]    size of the store, default 1
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/base/units.h"
#include "core/cache/store.h"
#include "core/cache/writer.h"

namespace hearth {
namespace {

using Clock = std::chrono::steady_clock;

double MsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

int Run(std::uint64_t gib) {
  auto store = cache::Store::Create({.bytes = gib * kGiB});
  if (!store.ok()) return fmt::print(stderr, "{}\n", store.status().ToString()), 1;
  const cache::StoreView& view = store->view();
  {
    auto writer = cache::StoreWriter::Create(view);
    if (!writer.ok() || !(*writer)->CreateNamespace("n", {}).ok()) return 1;
    const std::string value(300, 'v');
    // A tenth more than fits, so that evictions have gone on for a while.
    for (std::uint64_t i = 0; i < gib * kGiB / 320; ++i) {
      if (!(*writer)->Set(1, fmt::format("key {:016}", i), value, {}, {}).ok()) return 1;
    }
  }
  std::vector<double> times;
  cache::RecoveryReport report;
  for (int round = 0; round < 11; ++round) {
    const auto start = Clock::now();
    const auto writer = cache::StoreWriter::Recover(view, &report);
    times.push_back(MsSince(start));
    if (!writer.ok() || report.damage_count != 0) return 1;
    static_cast<void>((*writer)->Set(1, "one more", "value", {}, {}));
  }
  std::sort(times.begin(), times.end());
  const auto start = Clock::now();
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < view.segment_count(); ++i) sum += view.segment(i).sequence;
  for (std::uint64_t i = 0; i < std::uint64_t{1} << view.directory_bits(); ++i)
    sum += view.directory(i).LoadRelaxed();
  const double pass = MsSince(start);
  fmt::print(
      "{{\"store_bytes\": {}, \"segments\": {}, \"index_pages\": {}, \"entries\": {}, \"attach_ms\": "
      "{:.3f}, \"attach_max_ms\": {:.3f}, \"one_pass_ms\": {:.3f}, \"check\": {}}}\n",
      store->bytes(), view.segment_count(), view.header().index_pages.LoadRelaxed(), report.entries,
      times[times.size() / 2], times.back(), pass, sum % 2);
  return 0;
}

}  // namespace
}  // namespace hearth

int main(int argc, char** argv) {
  const std::uint64_t gib = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  return hearth::Run(gib == 0 ? 1 : gib);
}
