// Random histories against a plain map. A read returns the latest value or, where the store may
// evict, nothing; it never returns an older value, a deleted key, an expired one, or other bytes.
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/cache/writer.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::cache {
namespace {

using testing::FindBrokenInvariants;
using testing::FullRun;
using testing::Random;
using testing::RunSeed;
using testing::TestStore;
using testing::TestStoreOptions;

struct ModelNamespace {
  NamespaceOptions options;
  bool may_lose = false;  // entries may be evicted
  std::uint16_t id = 0;
};

struct Profile {
  TestStoreOptions store;
  std::vector<ModelNamespace> namespaces;
  std::uint32_t keys = 0;        // per namespace
  std::uint32_t operations = 0;  // per round
  std::uint32_t large_one_in = 0;
};

struct Known {
  std::string value;
  std::uint64_t version;
  std::uint64_t hard_expiry_ms;
  std::uint64_t soft_expiry_ms;
};

class History {
 public:
  History(const Profile& profile, std::uint64_t seed)
      : profile_(profile), random_(seed), store_(profile.store) {
    for (std::size_t i = 0; i < profile_.namespaces.size(); ++i)
      profile_.namespaces[i].id =
          store_.Namespace(fmt::format("ns{}", i), profile_.namespaces[i].options);
    for (std::uint32_t i = 0; i < profile_.keys; ++i) {
      const std::uint64_t size =
          random_.OneIn(50) ? 1 + random_.Below(kMaxKeyBytes) : 1 + random_.Below(40);
      keys_.push_back(fmt::format("{}", i) + random_.Bytes(size));
      if (keys_.back().size() > kMaxKeyBytes) keys_.back().resize(kMaxKeyBytes);
    }
  }

  void Run() {
    for (std::uint32_t i = 0; i < profile_.operations; ++i) {
      Step();
      if (i % (profile_.operations / 4) == 0) CheckSound();
    }
    TakeOver();
    for (const ModelNamespace& ns : profile_.namespaces)
      for (const std::string& key : keys_) CheckRead(ns, key);
  }

  std::uint64_t hits() const { return hits_; }
  std::uint64_t lost() const { return lost_; }
  std::uint64_t refused() const { return refused_; }

 private:
  using Key = std::pair<std::uint16_t, std::string>;

  void CheckSound() {
    for (const std::string& problem : FindBrokenInvariants(store_.view())) FAIL(problem);
  }

  void TakeOver() {
    const RecoveryReport report = store_.TakeOver();
    REQUIRE(report.damage_count + report.republished == 0);
    CheckSound();
  }

  void Step() {
    const ModelNamespace& ns = profile_.namespaces[random_.Below(profile_.namespaces.size())];
    // Some keys are hot: the square of a uniform number.
    const std::uint64_t n = keys_.size();
    const std::string& key = keys_[random_.Below(n) * random_.Below(n) / n];
    if (random_.OneIn(500)) TakeOver();
    if (random_.OneIn(10))
      store_.writer().Scrub(static_cast<std::uint32_t>(1 + random_.Below(300)));
    const std::uint64_t kind = random_.Below(26);
    if (kind >= 17) return CheckRead(ns, key);
    switch (kind) {
      case 0:
      case 1: Delete(ns, key); break;
      case 2: Touch(ns, key); break;
      case 3: store_.clock().AdvanceMs(random_.Below(20)); break;
      case 11: AddOrReplace(ns, key, /*add=*/true); break;
      case 12: AddOrReplace(ns, key, /*add=*/false); break;
      case 13: CompareAndSwap(ns, key); break;
      case 14:
      case 15: Increment(ns, key); break;
      case 16: Append(ns, key); break;
      default: Set(ns, key); break;
    }
  }

  Ttl RandomTtl() {
    Ttl ttl;
    if (random_.OneIn(3)) ttl.hard_ms = random_.OneIn(4) ? kTtlNone : 1 + random_.Below(3000);
    if (random_.OneIn(4)) ttl.soft_ms = 1 + random_.Below(300);
    return ttl;
  }

  // What the store should make of a request; false when it contradicts itself.
  bool Expiries(const ModelNamespace& ns, const Ttl& ttl, Known* known) {
    const auto expiry = [this](std::uint64_t asked, std::uint64_t by_default) {
      if (asked == kTtlOfNamespace) asked = by_default == 0 ? kTtlNone : by_default;
      return asked == kTtlNone ? kNever : store_.Reader().NowMs() + asked;
    };
    known->hard_expiry_ms = expiry(ttl.hard_ms, ns.options.hard_ttl_ms);
    known->soft_expiry_ms = expiry(ttl.soft_ms, ns.options.soft_ttl_ms);
    if (known->soft_expiry_ms == kNever || known->soft_expiry_ms <= known->hard_expiry_ms)
      return true;
    known->soft_expiry_ms = kNever;
    return ttl.soft_ms == kTtlOfNamespace;
  }

  std::string RandomValue() {
    if (random_.OneIn(4)) return std::to_string(random_.Below(1000));  // a counter
    std::uint64_t size = random_.Below(200);
    if (random_.OneIn(10)) size = 0;
    if (random_.OneIn(profile_.large_one_in))
      size = random_.Below(store_.view().max_value_bytes() + 1);
    return random_.Bytes(size);
  }

  void Wrote(const ModelNamespace& ns, const std::string& key, const Ttl& ttl,
             const Result<std::uint64_t>& version, Known known) {
    const bool consistent = Expiries(ns, ttl, &known);
    Stored(ns, key, version.ok() ? Outcome(*version) : Outcome(version.status()), consistent,
           std::move(known));
  }

  // `known` has the expiries that the entry shall have.
  void Stored(const ModelNamespace& ns, const std::string& key, const Outcome& outcome,
              bool consistent, Known known) {
    if (!outcome.ok()) {
      const Code expected = consistent ? Code::kResourceExhausted : Code::kInvalidArgument;
      REQUIRE_MESSAGE(outcome.status.code() == expected, outcome.status.ToString());
      REQUIRE((!consistent || !ns.options.evict));
      ++refused_;
      CheckRead(ns, key);  // an error leaves the old value
      return;
    }
    REQUIRE(consistent);
    REQUIRE(outcome.version > last_version_);
    last_version_ = outcome.version;
    known.version = outcome.version;
    model_[{ns.id, key}] = std::move(known);
    CheckRead(ns, key, /*must_be_there=*/true);
  }

  void Set(const ModelNamespace& ns, const std::string& key) {
    const Ttl ttl = RandomTtl();
    Known known{RandomValue(), 0, 0, 0};
    const auto version = store_.writer().Set(ns.id, key, known.value, ttl, {});
    Wrote(ns, key, ttl, version, std::move(known));
  }

  bool Expired(const Known& known) { return store_.Reader().NowMs() >= known.hard_expiry_ms; }

  // The model's entry, if it has not expired.
  const Known* Find(const ModelNamespace& ns, const std::string& key) {
    const auto it = model_.find({ns.id, key});
    return it == model_.end() || Expired(it->second) ? nullptr : &it->second;
  }

  void Touch(const ModelNamespace& ns, const std::string& key) {
    const Ttl ttl = RandomTtl();
    const Known* known = Find(ns, key);
    const auto version = store_.writer().Touch(ns.id, key, ttl, {});
    if (!version.ok() && version.status().code() == Code::kNotFound) {
      Missing(ns, key, known);
      return;
    }
    REQUIRE(known != nullptr);
    Wrote(ns, key, ttl, version, *known);
  }

  // After an operation that saw no entry: whether the model agrees, or eviction explains it.
  bool SawNone(const ModelNamespace& ns, const std::string& key, const Outcome& outcome) {
    if (outcome.status.code() != Code::kNotFound) return false;
    Missing(ns, key, Find(ns, key));
    CheckRead(ns, key);
    return true;
  }

  void AddOrReplace(const ModelNamespace& ns, const std::string& key, bool add) {
    const Ttl ttl = RandomTtl();
    Known known{RandomValue(), 0, 0, 0};
    const bool consistent = Expiries(ns, ttl, &known);
    const Outcome outcome = add ? store_.writer().Add(ns.id, key, known.value, ttl, {})
                                : store_.writer().Replace(ns.id, key, known.value, ttl, {});
    const Known* old = Find(ns, key);
    if (add && outcome.status.code() == Code::kAlreadyExists) {
      REQUIRE(old != nullptr);
      REQUIRE(outcome.version == old->version);
      CheckRead(ns, key, /*must_be_there=*/true);
      return;
    }
    if (!add && SawNone(ns, key, outcome)) return;
    if (add && outcome.ok()) Missing(ns, key, old);
    REQUIRE((add || !consistent || old != nullptr));
    Stored(ns, key, outcome, consistent, std::move(known));
  }

  void CompareAndSwap(const ModelNamespace& ns, const std::string& key) {
    const Known* old = Find(ns, key);
    const std::uint64_t current = old == nullptr ? 1 : old->version;
    const std::uint64_t expected = random_.OneIn(3) ? random_.Below(last_version_ + 2) : current;
    Known known{RandomValue(), 0, 0, 0};
    const bool consistent = Expiries(ns, {}, &known);
    const Outcome outcome =
        store_.writer().CompareAndSwap(ns.id, key, expected, known.value, {}, {});
    if (SawNone(ns, key, outcome)) return;
    REQUIRE(old != nullptr);
    if (outcome.status.code() == Code::kAborted) {
      REQUIRE(outcome.version == old->version);
      REQUIRE(expected != old->version);
      CheckRead(ns, key, /*must_be_there=*/true);
      return;
    }
    REQUIRE(expected == old->version);
    Stored(ns, key, outcome, consistent, std::move(known));
  }

  void Increment(const ModelNamespace& ns, const std::string& key) {
    CounterChange change{.delta = static_cast<std::int64_t>(random_.Below(2001)) - 1000};
    // Far from every number there is, so that the sum tells what was added to.
    if (random_.OneIn(2)) change.initial = ++initials_ * 1'000'000'000;
    const Outcome outcome = store_.writer().Increment(ns.id, key, change, {});
    const Known* old = Find(ns, key);
    if (SawNone(ns, key, outcome)) {
      REQUIRE(!change.initial);
      return;
    }
    if (outcome.status.code() == Code::kFailedPrecondition) {
      REQUIRE(old != nullptr);
      REQUIRE(!ParseCounter(old->value));
      CheckRead(ns, key, /*must_be_there=*/true);
      return;
    }
    Known known{"", 0, 0, 0};
    REQUIRE(Expiries(ns, {}, &known));
    // An entry that was evicted counts as the initial value; the sum tells which of the two it was.
    if (old != nullptr && ns.may_lose && change.initial && outcome.ok() &&
        ParseCounter(old->value) != outcome.number - change.delta) {
      Missing(ns, key, old);
      old = nullptr;
    }
    if (old != nullptr) known = *old;
    const auto before = old == nullptr ? change.initial : ParseCounter(old->value);
    REQUIRE(before.has_value());
    known.value = std::to_string(*before + change.delta);
    if (outcome.ok()) REQUIRE(outcome.number == *before + change.delta);
    Stored(ns, key, outcome, /*consistent=*/true, std::move(known));
  }

  void Append(const ModelNamespace& ns, const std::string& key) {
    const std::string more = random_.Bytes(random_.Below(100));
    const Outcome outcome = store_.writer().AppendValue(ns.id, key, more, {});
    if (SawNone(ns, key, outcome)) return;
    const Known* old = Find(ns, key);
    REQUIRE(old != nullptr);
    Known known = *old;
    known.value += more;
    const bool fits = known.value.size() <= store_.view().max_value_bytes();
    Stored(ns, key, outcome, fits, std::move(known));
  }

  void Delete(const ModelNamespace& ns, const std::string& key) {
    const Known* known = Find(ns, key);
    const auto version = store_.writer().Delete(ns.id, key, {});
    if (!version.ok()) {
      REQUIRE(version.status().code() == Code::kNotFound);
      Missing(ns, key, known);
    } else {
      REQUIRE(known != nullptr);
      REQUIRE(*version == known->version);
    }
    model_.erase({ns.id, key});
    CheckRead(ns, key);
  }

  // The store has not got what the model knows: only eviction can be the reason.
  void Missing(const ModelNamespace& ns, const std::string& key, const Known* known) {
    if (known == nullptr) return;
    REQUIRE(ns.may_lose);
    ++lost_;
    model_.erase({ns.id, key});
  }

  void CheckRead(const ModelNamespace& ns, const std::string& key, bool must_be_there = false) {
    const Known* known = Find(ns, key);
    const ReadResult result = store_.Reader().Get(ns.id, key, &value_);
    REQUIRE(result.outcome != ReadOutcome::kContended);
    if (result.outcome == ReadOutcome::kMiss) {
      REQUIRE(!(must_be_there && known != nullptr));
      Missing(ns, key, known);
      return;
    }
    ++hits_;
    REQUIRE(known != nullptr);
    REQUIRE(value_ == known->value);
    REQUIRE(result.version == known->version);
    REQUIRE(result.hard_expiry_ms == known->hard_expiry_ms);
    REQUIRE(result.soft_expiry_ms == known->soft_expiry_ms);
    REQUIRE(result.stale == (store_.Reader().NowMs() >= known->soft_expiry_ms));
  }

  Profile profile_;
  Random random_;
  TestStore store_;
  std::vector<std::string> keys_;
  std::map<Key, Known> model_;
  std::string value_;
  std::uint64_t last_version_ = 0;
  std::int64_t initials_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t refused_ = 0;
};

void RunRounds(const char* name, const Profile& profile, std::uint32_t rounds, bool loses) {
  HEARTH_SHOW_SEED();
  if (FullRun()) rounds *= 20;
  std::uint64_t hits = 0;
  std::uint64_t lost = 0;
  std::uint64_t refused = 0;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    CAPTURE(round);
    History history(profile, RunSeed() + round);
    history.Run();
    hits += history.hits();
    lost += history.lost();
    refused += history.refused();
  }
  MESSAGE(std::string(name) << ": " << std::uint64_t{rounds} * profile.operations << " operations, "
                            << hits << " hits, " << lost << " evicted, " << refused << " refused");
  // Each profile must reach what it is for.
  CHECK(hits > rounds * std::uint64_t{profile.operations} / 10);
  CHECK((lost > 0) == loses);
}

constexpr std::uint64_t kSegment = 64 * kKiB;

TEST_CASE("model: a store with room for everything ever written loses nothing") {
  const Profile roomy{.store = {.segments = 1024, .segment_bytes = kSegment},
                      .namespaces = {{.options = {}},
                                     {.options = {.hard_ttl_ms = 5000, .soft_ttl_ms = 100}},
                                     {.options = {.evict = false}}},
                      .keys = 3000,
                      .operations = 100'000,
                      .large_one_in = 100};
  RunRounds("roomy", roomy, 4, /*loses=*/false);
}

TEST_CASE("model: a store far too small returns the latest value or none") {
  const Profile tight{
      .store = {.segments = 12, .segment_bytes = kSegment},
      .namespaces = {{.options = {}, .may_lose = true},
                     {.options = {.quota_max_bytes = 2 * kSegment}, .may_lose = true},
                     {.options = {.hard_ttl_ms = 800, .soft_ttl_ms = 100}, .may_lose = true},
                     {.options = {.quota_max_bytes = 3 * kSegment, .evict = false}}},
      .keys = 700,
      .operations = 100'000,
      .large_one_in = 60};
  RunRounds("tight", tight, 5, /*loses=*/true);
}

TEST_CASE("model: index pages and entries compete for a small store") {
  const Profile crowded{
      .store = {.segments = 24, .segment_bytes = kSegment},
      .namespaces = {{.options = {}, .may_lose = true}, {.options = {}, .may_lose = true}},
      .keys = 20'000,
      .operations = 150'000,
      .large_one_in = 1'000'000};
  RunRounds("crowded", crowded, 2, /*loses=*/true);
}

}  // namespace
}  // namespace hearth::cache
