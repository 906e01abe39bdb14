// The inputs of the comparison: generators, tables of clusters, recorded traces.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/hitratio/generators.h"

namespace hearth::hitratio {
namespace {

TEST_CASE("The same seed gives the same requests, another one others") {
  StreamOptions options = Streams(true).front();
  const Trace first = MakeStream(options);
  const Trace second = MakeStream(options);
  ++options.seed;
  const Trace other = MakeStream(options);
  REQUIRE(first.requests.size() == second.requests.size());
  std::size_t same = 0;
  for (std::size_t i = 0; i < first.requests.size(); ++i) {
    REQUIRE(first.requests[i].object == second.requests[i].object);
    same += first.requests[i].object == other.requests[i].object ? 1U : 0U;
  }
  CHECK(same < first.requests.size() / 10);
}

TEST_CASE("Zipf draws ranks with the frequencies of its exponent") {
  testing::Random random(5);
  const Zipf zipf(100, 1.0);
  std::vector<std::uint32_t> counts(100);
  for (int i = 0; i < 200'000; ++i) ++counts[zipf.Draw(random)];
  // The harmonic number of 100 is 5.187.
  CHECK(counts[0] == doctest::Approx(200'000 / 5.187).epsilon(0.03));
  CHECK(counts[9] == doctest::Approx(200'000 / 51.87).epsilon(0.1));
}

// A file of its own, removed with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content) {
    char name[] = "/tmp/hearth-hitratio-XXXXXX";
    const int fd = ::mkstemp(name);
    REQUIRE(fd >= 0);
    ::close(fd);
    path_ = name;
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_CASE("A table of clusters is read with its quoted lists") {
  const TemporaryFile file(
      "cluster,...\n"
      "c1,0.1,2,67,2439,5.26,26.5,29.33,3.77,\"60s:0.39, 4h:0.6,\",0,0,get:0.90 set:0.07 "
      "delete:0.03,1.1\n"
      "c2,0.1,2,67,2439,5.26,26.5,29.33,3.77,\"60s:1.00,\",0,0,get:1.00,NA\n");
  const auto clusters = ReadClusters(file.path());
  REQUIRE(clusters.ok());
  REQUIRE(clusters->size() == 1);  // the other has no exponent
  const Cluster& cluster = clusters->front();
  CHECK(cluster.key_bytes == 67);
  CHECK(cluster.ttls.size() == 2);
  CHECK(cluster.ttls[1].seconds == 4 * 3600);
  CHECK(cluster.set_share == doctest::Approx(0.07));
  CHECK(cluster.delete_share == doctest::Approx(0.03));
  const Trace trace = MakeClusterTrace(cluster, 50'000, 1);
  std::size_t sets = 0;
  for (const Request& request : trace.requests) sets += request.op == Op::kSet ? 1 : 0;
  CHECK(sets == doctest::Approx(3'500).epsilon(0.1));
}

TEST_CASE("A trace that is missing or is none is an error that says so") {
  CHECK(ReadXzTrace("/nonexistent/x.trace.xz", "x").status().code() == Code::kNotFound);
  const TemporaryFile file("this is not xz");
  CHECK(ReadXzTrace(file.path(), "x").status().code() == Code::kDataLoss);
}

}  // namespace
}  // namespace hearth::hitratio
