#include "tests/conformance/vectors.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/hash.h"
#include "core/cache/format.h"
#include "ipc/session_layout.h"
#include "tests/conformance/control_vectors.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::conformance {

using testing::TestStore;

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

std::string Unhex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
  return bytes;
}

namespace {

std::string Word(std::uint64_t word) { return fmt::format("\"{:#018x}\"", word); }

// One object per line, so that a diff shows which vector changed.
std::string Lines(const std::vector<std::string>& objects) {
  return fmt::format("[\n  {}\n]", fmt::join(objects, ",\n  "));
}

// ------------------------------------------------------------------------------------- hash.json
std::string HashVector(const HashSecret& secret, std::uint16_t ns, const std::string& key) {
  return fmt::format(R"({{"secret": [{}, {}, {}, {}], "namespace": {}, "key": "{}", "hash": {}}})",
                     Word(secret[0]), Word(secret[1]), Word(secret[2]), Word(secret[3]), ns,
                     Hex(key), Word(HashKey(secret, NamespaceSeed(secret, ns), key)));
}

std::string HashJson() {
  const HashSecret published[] = {
      {0xa0761d6478bd642fU, 0xe7037ed1a0b428dbU, 0x8ebc6af09c88c6e3U, 0x589965cc75374cc3U},
      {0x2d358dccaa6c78a5U, 0x8bb84b93962eacc9U, 0x4b33a62ed433d4a3U, 0x4d5a2da51de1aa47U}};
  const std::array<std::string, 7> messages = {
      "",
      "a",
      "abc",
      "message digest",
      "abcdefghijklmnopqrstuvwxyz",
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
      "12345678901234567890123456789012345678901234567890123456789012345678901234567890"};
  std::vector<std::string> vectors;
  for (const HashSecret& secret : published)
    for (std::size_t i = 0; i < messages.size(); ++i)
      vectors.push_back(HashVector(secret, static_cast<std::uint16_t>(i), messages[i]));
  testing::Random random(1);
  const HashSecret secret = testing::TestSecret();
  for (std::size_t length = 0; length <= 100; ++length)
    vectors.push_back(HashVector(secret, 1, random.Bytes(length)));
  for (const std::size_t length : {127U, 128U, 129U, 143U, 144U, 145U, 192U, 193U, 1023U, 1024U})
    vectors.push_back(HashVector(secret, 1, random.Bytes(length)));
  for (const std::uint32_t ns : {0U, 2U, 255U, 256U, 65535U})
    vectors.push_back(HashVector(secret, static_cast<std::uint16_t>(ns), "the same key"));
  return Lines(vectors) + "\n";
}

// ------------------------------------------------------------------------------------ slots.json
std::string SlotsJson() {
  using namespace cache;  // NOLINT(google-build-using-namespace): the packed words of format.h
  testing::Random random(2);
  std::vector<std::string> slots;
  for (int i = 0; i < 40; ++i) {
    const std::uint64_t tag = i == 0 ? 0 : i == 1 ? 0xffff : random.Below(1U << 16U);
    const std::uint64_t generation = i == 0 ? 0 : i == 1 ? 63 : random.Below(64);
    const std::uint64_t segment = i == 0   ? 0
                                  : i == 1 ? kMaxSegments - 1
                                           : random.Below(kMaxSegments);
    const std::uint64_t offset = i == 0   ? 0
                                 : i == 1 ? (1U << 21U) - 8
                                          : random.Below(1U << 18U) * 8;
    const std::uint64_t frequency = random.Below(4);
    const std::uint64_t word =
        MakeSlot(tag, generation, static_cast<std::uint32_t>(segment), offset) |
        frequency << kSlotFrequencyShift;
    slots.push_back(fmt::format(
        R"({{"tag": {}, "frequency": {}, "flags": 1, "generation": {}, "segment": {}, "offset": {}, "word": {}}})",
        tag, frequency, generation, segment, offset, Word(word)));
  }
  std::vector<std::string> directory;
  for (int i = 0; i < 20; ++i) {
    const auto page = static_cast<std::uint32_t>(i == 0 ? 0 : i == 1 ? ~0U : random.Next());
    const auto depth = static_cast<std::uint32_t>(i == 0 ? 0 : random.Below(33));
    const auto sequence = static_cast<std::uint32_t>(i == 1 ? 0xffffff : random.Below(1U << 24U));
    directory.push_back(fmt::format(R"({{"page": {}, "depth": {}, "sequence": {}, "word": {}}})",
                                    page, depth, sequence,
                                    Word(MakeDirectoryWord(page, depth, sequence))));
  }
  std::vector<std::string> segments;
  for (std::uint8_t state = 0; state <= 5; ++state) {
    const std::uint64_t generation = state == 5 ? kSegmentGenerationMask : random.Below(1U << 30U);
    segments.push_back(
        fmt::format(R"({{"state": {}, "generation": {}, "word": {}}})", state, generation,
                    Word(MakeSegmentWord(static_cast<SegmentState>(state), generation))));
  }
  std::vector<std::string> places;
  for (int i = 0; i < 40; ++i) {
    const std::uint64_t hash = i == 0 ? 0 : i == 1 ? ~std::uint64_t{0} : random.Next();
    const auto bits = static_cast<unsigned>(1 + random.Below(32));
    places.push_back(fmt::format(
        R"({{"hash": {}, "directory_bits": {}, "directory_index": {}, "home_bucket": {}, "tag": {}}})",
        Word(hash), bits, hash >> (64U - bits), HomeBucket(hash), SlotTag(hash)));
  }
  return fmt::format("{{\"slots\": {},\n\"directory\": {},\n\"segments\": {},\n\"places\": {}}}\n",
                     Lines(slots), Lines(directory), Lines(segments), Lines(places));
}

// ---------------------------------------------------------------------------------- entries.json
std::string EntryVector(const cache::StoreView& view, std::uint16_t ns, const std::string& key) {
  const auto place = testing::FindSlot(view, ns, key);
  const std::uint32_t segment = cache::SlotSegment(place->word);
  const std::uint32_t offset = cache::SlotOffset(place->word);
  cache::EntryView entry;
  HEARTH_CHECK(cache::ParseEntry(view, segment, offset, &entry));
  const auto text = [](const std::byte* at, std::uint64_t size) {
    return Hex({reinterpret_cast<const char*>(at), size});
  };
  return fmt::format(
      R"({{"namespace": {}, "key": "{}", "value": "{}", "version": {}, "channel": {}, )"
      R"("origin_sequence": {}, "hard_expiry_ms": {}, "soft_expiry_ms": {}, "crc32c": "{:#010x}", )"
      R"("bytes": "{}"}})",
      ns, Hex(key), text(entry.value, entry.header.value_length), entry.version(),
      entry.header.version_origin >> 48U, entry.header.origin_sequence, Word(entry.hard_expiry_ms),
      Word(entry.soft_expiry_ms), entry.header.crc32c,
      text(view.segment_data(segment) + offset, entry.bytes));
}

std::string EntriesJson() {
  TestStore store;
  const std::uint16_t ns = store.Namespace("n");
  testing::Random random(3);
  std::vector<std::string> vectors;
  const auto add = [&](const std::string& key, const std::string& value, const cache::Ttl& ttl,
                       const cache::Origin& origin) {
    HEARTH_CHECK(store.writer().Set(ns, key, value, ttl, origin).ok());
    vectors.push_back(EntryVector(store.view(), ns, key));
  };
  add("k", "", {}, {});
  for (std::size_t size = 1; size <= 9; ++size)
    add(fmt::format("padded{}", size), random.Bytes(size), {}, {});
  add("hard", "expires", {.hard_ms = 60'000}, {});
  add("soft", "goes stale", {.soft_ms = 1'000}, {});
  add("both", "first stale, then gone", {.hard_ms = 60'000, .soft_ms = 1'000}, {});
  add("origin", "asked for", {}, {.channel = 0xfedc, .sequence = 0x1234'89ab'cdefU});
  add(random.Bytes(cache::kMaxKeyBytes), "longest key", {}, {});
  add("binary", std::string("\0\xff\0\x80\n\"\\", 7), {}, {});
  return Lines(vectors) + "\n";
}

// ---------------------------------------------------------------------------------- records.json
template <class Record>
std::string RecordBytes(const Record& record) {
  return Hex({reinterpret_cast<const char*>(&record), sizeof(record)});
}

std::vector<std::string> BodyVectors() {
  std::vector<std::string> vectors;
  const ipc::SetBody set{.hard_ttl_ms = 0x0102030405060708,
                         .soft_ttl_ms = 0x1112131415161718,
                         .key_length = 0x21222324,
                         .value_length = 0x31323334,
                         .mode = ipc::kSetIfPresent,
                         .reserved = 0};
  vectors.push_back(fmt::format(
      R"({{"struct": "SetBody", "hard_ttl_ms": {}, "soft_ttl_ms": {}, "key_length": {}, )"
      R"("value_length": {}, "mode": {}, "bytes": "{}"}})",
      Word(set.hard_ttl_ms), Word(set.soft_ttl_ms), set.key_length, set.value_length, set.mode,
      RecordBytes(set)));
  const ipc::TouchBody touch{.hard_ttl_ms = ipc::kTtlNever,
                             .soft_ttl_ms = ipc::kTtlDefault,
                             .key_length = 0x21222324,
                             .reserved = 0};
  vectors.push_back(fmt::format(
      R"({{"struct": "TouchBody", "hard_ttl_ms": {}, "soft_ttl_ms": {}, "key_length": {}, "bytes": "{}"}})",
      Word(touch.hard_ttl_ms), Word(touch.soft_ttl_ms), touch.key_length, RecordBytes(touch)));
  const ipc::KeyBody key{.key_length = 0x21222324, .reserved = 0};
  vectors.push_back(fmt::format(R"({{"struct": "KeyBody", "key_length": {}, "bytes": "{}"}})",
                                key.key_length, RecordBytes(key)));
  const ipc::CasBody cas{.hard_ttl_ms = 0x0102030405060708,
                         .soft_ttl_ms = 0x1112131415161718,
                         .key_length = 0x21222324,
                         .value_length = 0x31323334,
                         .expected_version = 0x4142434445464748};
  vectors.push_back(fmt::format(
      R"({{"struct": "CasBody", "hard_ttl_ms": {}, "soft_ttl_ms": {}, "key_length": {}, )"
      R"("value_length": {}, "expected_version": {}, "bytes": "{}"}})",
      Word(cas.hard_ttl_ms), Word(cas.soft_ttl_ms), cas.key_length, cas.value_length,
      Word(cas.expected_version), RecordBytes(cas)));
  const ipc::IncrementBody increment{.hard_ttl_ms = 0x0102030405060708,
                                     .soft_ttl_ms = 0x1112131415161718,
                                     .delta = ~std::uint64_t{0},  // -1
                                     .initial = 0x3132333435363738,
                                     .key_length = 0x41424344,
                                     .flags = ipc::kIncrementHasInitial};
  vectors.push_back(fmt::format(
      R"({{"struct": "IncrementBody", "hard_ttl_ms": {}, "soft_ttl_ms": {}, "delta": {}, )"
      R"("initial": {}, "key_length": {}, "flags": {}, "bytes": "{}"}})",
      Word(increment.hard_ttl_ms), Word(increment.soft_ttl_ms), Word(increment.delta),
      Word(increment.initial), increment.key_length, increment.flags, RecordBytes(increment)));
  const ipc::AppendBody append{.key_length = 0x21222324, .value_length = 0x31323334};
  vectors.push_back(fmt::format(
      R"({{"struct": "AppendBody", "key_length": {}, "value_length": {}, "bytes": "{}"}})",
      append.key_length, append.value_length, RecordBytes(append)));
  return vectors;
}

std::vector<std::string> LeaseVectors() {
  const ipc::LeaseBody lease{.key_length = 0x21222324, .flags = ipc::kLeaseNoWait};
  const ipc::FillBody fill{0x0102030405060708,
                           0x1112131415161718,
                           0x4142434445464748,
                           0x21222324,
                           0x31323334,
                           ipc::kFillAbsent,
                           0};
  const ipc::ReleaseBody release{fill.token, fill.key_length, 0};
  return {
      fmt::format(R"({{"struct": "LeaseBody", "key_length": {}, "flags": {}, "bytes": "{}"}})",
                  lease.key_length, lease.flags, RecordBytes(lease)),
      fmt::format(R"({{"struct": "FillBody", "hard_ttl_ms": {}, "soft_ttl_ms": {}, "token": {}, )"
                  R"("key_length": {}, "value_length": {}, "flags": {}, "bytes": "{}"}})",
                  Word(fill.hard_ttl_ms), Word(fill.soft_ttl_ms), Word(fill.token), fill.key_length,
                  fill.value_length, fill.flags, RecordBytes(fill)),
      fmt::format(R"({{"struct": "ReleaseBody", "token": {}, "key_length": {}, "bytes": "{}"}})",
                  Word(release.token), release.key_length, RecordBytes(release))};
}

std::string RecordsJson() {
  std::vector<std::string> vectors;
  ipc::RequestHeader request{};
  request.length = 0x01020304;
  request.opcode = ipc::kOpSet;
  request.flags = ipc::kRecordMore;
  request.call_id = 0x11121314;
  request.target = 0x21222324;
  request.sequence = 0x3132333435363738;
  request.deadline_ns = 0x4142434445464748;
  for (std::uint8_t i = 0; i < 16; ++i) request.trace_id[i] = static_cast<std::uint8_t>(0x50 + i);
  for (std::uint8_t i = 0; i < 8; ++i) request.span_id[i] = static_cast<std::uint8_t>(0x60 + i);
  request.trace_flags = 0x71;
  request.response_space = 0x81828384;
  vectors.push_back(fmt::format(
      R"({{"struct": "RequestHeader", "length": {}, "opcode": {}, "flags": {}, "call_id": {}, )"
      R"("target": {}, "sequence": {}, "deadline_ns": {}, "trace_id": "{}", "span_id": "{}", )"
      R"("trace_flags": {}, "response_space": {}, "bytes": "{}"}})",
      request.length, request.opcode, request.flags, request.call_id, request.target,
      Word(request.sequence), Word(request.deadline_ns),
      Hex({reinterpret_cast<const char*>(request.trace_id), 16}),
      Hex({reinterpret_cast<const char*>(request.span_id), 8}), request.trace_flags,
      request.response_space, RecordBytes(request)));

  ipc::ResponseHeader response{};
  response.length = 0x01020304;
  response.opcode = ipc::kOpGet;
  response.flags = ipc::kRecordContinuation;
  response.call_id = 0x11121314;
  response.status = 8;
  response.execution = 1;
  response.sequence = 0x3132333435363738;
  response.version = 0x4142434445464748;
  response.hard_expiry_ms = 0x5152535455565758;
  response.soft_expiry_ms = 0x6162636465666768;
  response.retry_after_ms = 0x71727374;
  response.number = 0x8182838485868788;
  vectors.push_back(fmt::format(
      R"({{"struct": "ResponseHeader", "length": {}, "opcode": {}, "flags": {}, "call_id": {}, )"
      R"("status": {}, "execution": {}, "sequence": {}, "version": {}, "hard_expiry_ms": {}, )"
      R"("soft_expiry_ms": {}, "retry_after_ms": {}, "number": {}, "bytes": "{}"}})",
      response.length, response.opcode, response.flags, response.call_id, response.status,
      response.execution, Word(response.sequence), Word(response.version),
      Word(response.hard_expiry_ms), Word(response.soft_expiry_ms), response.retry_after_ms,
      Word(response.number), RecordBytes(response)));
  for (std::string& body : BodyVectors()) vectors.push_back(std::move(body));
  for (std::string& body : LeaseVectors()) vectors.push_back(std::move(body));
  return Lines(vectors) + "\n";
}

}  // namespace

std::map<std::string, std::string> MakeVectorFiles() {
  return {{"control.json", ControlJson()},
          {"hash.json", HashJson()},
          {"slots.json", SlotsJson()},
          {"entries.json", EntriesJson()},
          {"records.json", RecordsJson()}};
}

// ------------------------------------------------------------------------------------ store image
namespace {

// Fills a store with one of everything and notes what a reader must find.
class ImageBuilder {
 public:
  ImageBuilder() : store_({.segments = 8, .monotonic_ns = 0}) {
    first_ = store_.Namespace("first");
    second_ = store_.Namespace("second");
  }

  StoreImage Build() {
    const std::uint64_t hash = testing::KeyHash(store_.view(), first_, "like me");
    // 28 keys fill the longest chain; the 29th splits the page.
    for (const std::string& key :
         testing::CollidingKeys(store_.view(), first_, {.like_hash = hash}, 29))
      Set(first_, key, "value of " + key, {});
    Set(first_, "plain", "value", {});
    Set(second_, "plain", "another value", {});
    Set(first_, "overwritten", "old", {});
    Set(first_, "overwritten", "new and longer", {});
    Set(first_, "empty", "", {});
    Set(first_, "k", "the shortest key", {});
    Set(first_, std::string(cache::kMaxKeyBytes, 'K'), "the longest key", {});
    Set(first_, std::string("\0\xff\x80", 3), std::string("\0\n\xff", 3), {});
    Set(second_, "largest", std::string(store_.view().max_value_bytes(), 'v'), {});
    // Store time begins at boot in this image, so these hold on any machine that reads it.
    Set(first_, "expired", "gone", {.hard_ms = 1});
    Set(first_, "stale", "still served", {.hard_ms = kCentury, .soft_ms = 1});
    Set(first_, "fresh", "for a hundred years", {.hard_ms = kCentury, .soft_ms = kCentury});
    Set(first_, "deleted", "gone", {});
    HEARTH_CHECK(store_.writer().Delete(first_, "deleted", {}).ok());
    // A second life of a segment: generation 1.
    for (int i = 0; i < 12; ++i) Set(second_, "reused", std::string(16'000, 'r'), {});
    store_.clock().SetMonotonicNanos(kReadAtNs);
    return {
        std::string(reinterpret_cast<const char*>(&store_.view().prefix()), store_.store().bytes()),
        Json()};
  }

 private:
  using Key = std::pair<std::uint16_t, std::string>;
  static constexpr std::uint64_t kCentury = std::uint64_t{100} * 365 * 86400 * 1000;
  static constexpr std::uint64_t kReadAtNs = 1'000'000'000;  // any reader is later

  void Set(std::uint16_t ns, const std::string& key, const std::string& value,
           const cache::Ttl& ttl) {
    store_.Set(ns, key, value, ttl);
    keys_.insert({ns, key});
  }

  std::string Json() const {
    std::vector<std::string> entries;
    const cache::StoreReader reader = store_.Reader();
    std::string value;
    for (const auto& [ns, key] : keys_) {
      const cache::ReadResult result = reader.Get(ns, key, &value);
      if (result.outcome == cache::ReadOutcome::kHit) {
        entries.push_back(fmt::format(
            R"({{"namespace": {}, "key": "{}", "hit": true, "value": "{}", "version": {}, )"
            R"("hard_expiry_ms": {}, "soft_expiry_ms": {}, "stale": {}}})",
            ns, Hex(key), Hex(value), result.version, Word(result.hard_expiry_ms),
            Word(result.soft_expiry_ms), result.stale));
      } else {
        entries.push_back(
            fmt::format(R"({{"namespace": {}, "key": "{}", "hit": false}})", ns, Hex(key)));
      }
    }
    return fmt::format(
        "{{\"layout_version\": {}, \"layout_fingerprint\": {}, \"region_bytes\": {},\n"
        "\"namespaces\": [{{\"id\": 1, \"name\": \"first\"}}, {{\"id\": 2, \"name\": "
        "\"second\"}}],\n\"entries\": {}}}\n",
        cache::kStoreLayoutVersion, Word(cache::kStoreFingerprint), store_.store().bytes(),
        Lines(entries));
  }

  TestStore store_;
  std::uint16_t first_ = 0;
  std::uint16_t second_ = 0;
  std::set<Key> keys_;
};

}  // namespace

StoreImage MakeStoreImage() { return ImageBuilder().Build(); }

}  // namespace hearth::conformance
