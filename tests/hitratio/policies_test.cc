// The reference policies, on sequences that are short enough to follow by hand.
#include <initializer_list>
#include <string>

#include <doctest/doctest.h>

#include "tests/hitratio/generators.h"
#include "tests/hitratio/policy.h"
#include "tests/hitratio/segment_s3fifo.h"

namespace hearth::hitratio {
namespace {

constexpr std::uint32_t kObjects = 64;
constexpr std::uint64_t kManyEntries = 4096;

// Asks for objects, each letter one, of one unit; 'h' for each hit and '.' for each miss.
std::string Ask(Policy& policy, const std::string& letters) {
  std::string outcome;
  for (const char letter : letters) {
    const auto object = static_cast<std::uint32_t>(letter - 'a');
    const bool hit = policy.Use(object);
    if (!hit) policy.Put(object, 1);
    outcome += hit ? 'h' : '.';
  }
  return outcome;
}

Budget Units(std::uint64_t units) {
  return {.bytes = units, .objects = kObjects, .expected_entries = units};
}

TEST_CASE("LRU drops what was used longest ago") {
  const auto lru = MakeLru(Units(3));
  CHECK(Ask(*lru, "abc") == "...");
  CHECK(Ask(*lru, "a") == "h");
  CHECK(Ask(*lru, "d") == ".");  // in place of b
  CHECK(Ask(*lru, "cad") == "hhh");
  CHECK(Ask(*lru, "b") == ".");  // in place of c
  CHECK(Ask(*lru, "adbc") == "hhh.");
}

TEST_CASE("FIFO drops what came longest ago, used or not") {
  const auto fifo = MakeFifo(Units(3));
  CHECK(Ask(*fifo, "abcaaad") == "...hhh.");
  CHECK(Ask(*fifo, "bcda") == "hhh.");
}

TEST_CASE("A loop one larger than the cache leaves LRU without a hit") {
  const auto lru = MakeLru(Units(3));
  CHECK(Ask(*lru, "abcdabcdabcd") == "............");
}

TEST_CASE("Sizes count in bytes, and what is larger than the cache is not kept") {
  for (const auto make : {&MakeLru, &MakeFifo}) {
    const auto policy = make(Units(10));
    policy->Put(0, 4);
    policy->Put(1, 4);
    policy->Put(2, 4);  // in place of object 0
    CHECK(policy->used() == 8);
    CHECK_FALSE(policy->Use(0));
    CHECK(policy->Use(1));
    policy->Put(3, 11);
    CHECK_FALSE(policy->Use(3));
    CHECK(policy->used() == 8);
    policy->Put(1, 6);  // grows to fill it
    CHECK(policy->used() == 10);
    policy->Remove(1);
    CHECK(policy->used() == 4);
  }
}

TEST_CASE("S3-FIFO forgets one-hit wonders and keeps what was used twice in the small queue") {
  // Ten units; the small queue is emptied from one on while there is anything to evict.
  const auto policy = MakeS3Fifo(Units(10));
  CHECK(Ask(*policy, "abcdefghij") == "..........");
  CHECK(Ask(*policy, "aab") == "hhh");
  // a has two uses and moves to the main queue; b has one, which is too few, and goes.
  CHECK(Ask(*policy, "k") == ".");
  CHECK(Ask(*policy, "a") == "h");
  // b is remembered and comes back into the main queue; c goes for it.
  CHECK(Ask(*policy, "b") == ".");
  CHECK(Ask(*policy, "lmnopqrstu") == "..........");
  CHECK(Ask(*policy, "ab") == "hh");
  // Ten newcomers passed through the eight units that are left.
  CHECK(Ask(*policy, "l") == ".");
}

TEST_CASE("S3-FIFO's ghost has a length") {
  const auto policy = MakeS3Fifo(Units(10), {.ghost_percent = 20});
  CHECK(Ask(*policy, "abcdefghijklm") == ".............");  // a, b, c went; b, c are remembered
  CHECK(Ask(*policy, "a") == ".");                          // small again: d went, b is forgotten
  CHECK(Ask(*policy, "c") == ".");                          // main: e went
  CHECK(Ask(*policy, "nopqrstuvw") == "..........");
  CHECK(Ask(*policy, "c") == "h");
  CHECK(Ask(*policy, "a") == ".");
}

TEST_CASE("S3-FIFO takes one use off what it passes over in the main queue") {
  const auto policy = MakeS3Fifo(Units(2), {.small_percent = 50});
  CHECK(Ask(*policy, "aaabbb") == ".hh.hh");
  CHECK(Ask(*policy, "c") == ".");  // a and b both move; a has no uses left there and goes
  CHECK(Ask(*policy, "bc") == "hh");
  CHECK(Ask(*policy, "a") == ".");
}

TEST_CASE("W-TinyLFU does not let newcomers displace what is used more often") {
  // One unit of window, nine of main; a sketch so wide that nothing is counted for another.
  const auto policy =
      MakeTinyLfu({.bytes = 10, .objects = kObjects, .expected_entries = kManyEntries});
  CHECK(Ask(*policy, "abcdefghi") == ".........");
  CHECK(Ask(*policy, "abcdefghi") == "hhhhhhhhh");
  CHECK(Ask(*policy, "jklmnopqrstu") == "............");  // each leaves the window for nothing
  CHECK(Ask(*policy, "abcdefghi") == "hhhhhhhhh");
  CHECK(policy->used() == 10);
}

TEST_CASE("W-TinyLFU admits what was asked for more often than the victim") {
  const auto policy =
      MakeTinyLfu({.bytes = 4, .objects = kObjects, .expected_entries = kManyEntries});
  CHECK(Ask(*policy, "abcd") == "....");  // d is in the window
  CHECK(Ask(*policy, "ddde") == "hhh.");  // d leaves it with four uses, in place of a with one
  CHECK(Ask(*policy, "dbce") == "hhhh");
  CHECK(Ask(*policy, "a") == ".");
}

TEST_CASE("No policy ever exceeds its budget") {
  const Trace trace = MakeStream({.name = "test",
                                  .requests = 20'000,
                                  .objects = 1'000,
                                  .alpha = 0.8,
                                  .seed = 7,
                                  .set_percent = 20,
                                  .delete_percent = 10,
                                  .sizes = true});
  const Budget budget{.bytes = 100'000, .objects = trace.objects, .expected_entries = 120};
  SegmentS3Fifo model(budget, {.segments = 16});
  const auto fifo = MakeFifo(budget);
  const auto lru = MakeLru(budget);
  const auto s3fifo = MakeS3Fifo(budget);
  const auto tinylfu = MakeTinyLfu(budget);
  for (Policy* policy :
       std::initializer_list<Policy*>{&model, fifo.get(), lru.get(), s3fifo.get(), tinylfu.get()}) {
    std::uint64_t most = 0;
    for (const Request& request : trace.requests) {
      if (request.op == Op::kDelete) {
        policy->Remove(request.object);
      } else if (!policy->Use(request.object) || request.op == Op::kSet) {
        policy->Put(request.object, trace.Charge(request));
      }
      most = std::max(most, policy->used());
    }
    CHECK(most <= budget.bytes);
    CHECK(most > budget.bytes * 8 / 10);
  }
}

TEST_CASE("S3-FIFO on segments of one entry each is S3-FIFO up to its open segments") {
  const Trace trace =
      MakeStream({.name = "test", .requests = 50'000, .objects = 2'000, .alpha = 0.9, .seed = 3});
  const Budget budget = {.bytes = 200, .objects = trace.objects, .expected_entries = 200};
  SegmentS3Fifo model(budget, {.segments = 200, .promote_at = 2});
  const auto s3fifo = MakeS3Fifo(budget);
  std::uint32_t hits[2] = {0, 0};
  for (const Request& request : trace.requests) {
    std::uint32_t* count = hits;
    for (Policy* policy : std::initializer_list<Policy*>{&model, s3fifo.get()}) {
      const bool hit = policy->Use(request.object);
      if (!hit) policy->Put(request.object, 1);
      *count++ += hit ? 1 : 0;
    }
  }
  CHECK(hits[0] == doctest::Approx(hits[1]).epsilon(0.01));
}

}  // namespace
}  // namespace hearth::hitratio
