// Streams with the measured parameters of production caches.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <numeric>
#include <utility>

#include <fmt/core.h>

#include "tests/hitratio/generators.h"

namespace hearth::hitratio {
namespace {

std::vector<std::string> SplitCsv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

// "name:0.93 name:0.07" and "240s:1.00, 2d:0.4,": pairs of a word and a number.
std::vector<std::pair<std::string, double>> SplitShares(const std::string& text) {
  std::vector<std::pair<std::string, double>> shares;
  std::size_t at = 0;
  while ((at = text.find_first_not_of(" ,", at)) != std::string::npos) {
    const std::size_t end = std::min(text.find_first_of(" ,", at), text.size());
    const std::size_t colon = text.find(':', at);
    if (colon < end)
      shares.emplace_back(text.substr(at, colon - at), std::atof(text.c_str() + colon + 1));
    at = end;
  }
  return shares;
}

std::uint32_t SecondsOf(const std::string& text) {
  static const std::map<char, double> kUnits = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  const auto unit = kUnits.find(text.empty() ? 's' : text.back());
  return static_cast<std::uint32_t>(
      std::max(1.0, std::atof(text.c_str()) * (unit == kUnits.end() ? 1 : unit->second)));
}

constexpr std::size_t kColumns = 14;

}  // namespace

Result<std::vector<Cluster>> ReadClusters(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error(Code::kNotFound, "cannot read {}", path);
  std::vector<Cluster> clusters;
  std::string line;
  std::getline(file, line);  // the names of the columns
  while (std::getline(file, line)) {
    const std::vector<std::string> fields = SplitCsv(line);
    if (fields.size() != kColumns)
      return Error(Code::kDataLoss, "{}: a line of {} fields instead of {}", path, fields.size(),
                   kColumns);
    const auto number = [&fields](std::size_t i) { return std::atof(fields[i].c_str()); };
    Cluster cluster{.name = fields[0],
                    .key_bytes = static_cast<std::uint32_t>(std::max(8.0, number(3))),
                    .value_bytes = static_cast<std::uint32_t>(std::max(1.0, number(4))),
                    .mean_frequency = std::max(1.0, number(6)),
                    .one_hit_percent = number(7),
                    .alpha = number(13)};
    if (cluster.alpha <= 0) continue;
    for (const auto& [text, share] : SplitShares(fields[9]))
      cluster.ttls.push_back({SecondsOf(text), share});
    for (const auto& [op, share] : SplitShares(fields[12])) {
      (op == "get" || op == "gets" ? cluster.get_share
       : op == "delete"            ? cluster.delete_share
                                   : cluster.set_share) += share;
    }
    clusters.push_back(std::move(cluster));
  }
  return clusters;
}

// The requests stand for a week, over which the table was measured, so that a TTL is the same part
// of the trace as it was there. Objects are fewer in proportion, but enough to fill a cache.
Trace MakeClusterTrace(const Cluster& cluster, std::uint32_t requests, std::uint64_t seed) {
  constexpr double kWeek = 7 * 86400;
  constexpr double kSigma = 0.8;  // of the logarithm of a value's size
  constexpr double kPi = 3.14159265358979323846;
  testing::Random random(seed);
  const double wanted = requests / cluster.mean_frequency;
  const auto objects = static_cast<std::uint32_t>(std::clamp(wanted, 50'000.0, requests * 0.9));
  const auto one_hits = static_cast<std::uint32_t>(objects * cluster.one_hit_percent / 100);
  const Zipf zipf(std::max(1'000U, objects - std::min(objects, one_hits)), cluster.alpha);
  const double one_hit_chance = static_cast<double>(one_hits) / requests;

  std::vector<std::uint32_t> number_of_rank(std::max(1'000U, objects - std::min(objects, one_hits)),
                                            ~0U);
  Trace trace;
  trace.name = cluster.name;
  trace.key_bytes = cluster.key_bytes;
  trace.requests_per_second = requests / kWeek;
  trace.note = fmt::format("seed {}, {} requests, Zipf {:.2f}, {} B values", seed, requests,
                           cluster.alpha, cluster.value_bytes);
  std::vector<std::uint32_t> sizes;
  std::vector<std::uint32_t> ttls;
  for (std::uint32_t i = 0; i < requests; ++i) {
    Request request;
    std::uint32_t* known = nullptr;
    if (Uniform(random) >= one_hit_chance) known = &number_of_rank[zipf.Draw(random)];
    if (known == nullptr || *known == ~0U) {
      const double normal =
          std::sqrt(-2 * std::log(1 - Uniform(random))) * std::cos(2 * kPi * Uniform(random));
      const double size = cluster.value_bytes * std::exp(kSigma * normal - kSigma * kSigma / 2);
      request.object = static_cast<std::uint32_t>(sizes.size());
      sizes.push_back(
          static_cast<std::uint32_t>(std::clamp(size, 1.0, cluster.value_bytes * 16.0)));
      double dice = Uniform(random);
      std::uint32_t ttl = cluster.ttls.empty() ? 0 : cluster.ttls.front().seconds;
      for (const auto& choice : cluster.ttls) {
        ttl = choice.seconds;
        if ((dice -= choice.share) < 0) break;
      }
      ttls.push_back(ttl);
      if (known != nullptr) *known = request.object;
    } else {
      request.object = *known;
    }
    request.value_bytes = sizes[request.object];
    request.ttl_s = ttls[request.object];
    const double sum = cluster.get_share + cluster.set_share + cluster.delete_share;
    const double dice = Uniform(random) * (sum > 0 ? sum : 1);
    if (sum > 0 && dice >= cluster.get_share)
      request.op = dice < cluster.get_share + cluster.set_share ? Op::kSet : Op::kDelete;
    trace.requests.push_back(request);
  }
  trace.objects = static_cast<std::uint32_t>(sizes.size());
  return trace;
}

}  // namespace hearth::hitratio
