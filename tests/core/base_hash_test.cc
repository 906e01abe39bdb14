// CRC-32C and the key hash: published vectors, and the properties the store relies on.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/crc32c.h"
#include "core/base/hash.h"
#include "core/cache/format.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth {
namespace {

using testing::Random;
using testing::RunSeed;

// ------------------------------------------------------------------------------------------- crc
std::string Counting(int first, int step) {
  std::string bytes;
  for (int i = 0; i < 32; ++i) bytes += static_cast<char>(first + i * step);
  return bytes;
}

TEST_CASE("crc32c: the vectors of RFC 3720, B.4, by instruction and by table") {
  const std::string iscsi_read(
      "\x01\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x14\0\0\0\0\0\4\0\0\0\0\x14"
      "\0\0\0\x18\x28\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0",
      48);
  const struct {
    std::string bytes;
    std::uint32_t crc;
  } vectors[] = {{std::string(32, '\0'), 0x8a9136aaU},
                 {std::string(32, '\xff'), 0x62a8ab43U},
                 {Counting(0, 1), 0x46dd794eU},
                 {Counting(31, -1), 0x113fdb5cU},
                 {iscsi_read, 0xd9963a56U},
                 {"123456789", 0xe3069283U},
                 {"", 0}};
  for (const auto& vector : vectors) {
    CHECK(Crc32c(0, vector.bytes.data(), vector.bytes.size()) == vector.crc);
    CHECK(Crc32cPortable(0, vector.bytes.data(), vector.bytes.size()) == vector.crc);
  }
}

TEST_CASE("crc32c: instruction and table agree for every length, alignment and split") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  const std::string bytes = random.Bytes(600);
  for (std::size_t begin = 0; begin < 16; ++begin) {
    for (std::size_t size = 0; size <= 512; size += size < 40 ? 1 : 13) {
      const char* at = bytes.data() + begin;
      const std::uint32_t whole = Crc32cPortable(0, at, size);
      REQUIRE(Crc32c(0, at, size) == whole);
      const std::size_t cut = random.Below(size + 1);
      REQUIRE(Crc32c(Crc32c(0, at, cut), at + cut, size - cut) == whole);
    }
  }
}

TEST_CASE("crc32c: every single flipped bit of an entry-sized block changes it") {
  std::string bytes = Random(1).Bytes(256);
  const std::uint32_t before = Crc32c(0, bytes.data(), bytes.size());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto mask = static_cast<char>(1U << bit % 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
    REQUIRE(Crc32c(0, bytes.data(), bytes.size()) != before);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
  }
}

// ------------------------------------------------------------------------------------------ hash
// test_vector.cpp of wyhash, final version 4, with its two generations of default secrets. A seed
// of wyhash is what Hearth calls a namespace id.
TEST_CASE("hash: the published vectors of wyhash final 4") {
  const std::string_view messages[] = {
      "",
      "a",
      "abc",
      "message digest",
      "abcdefghijklmnopqrstuvwxyz",
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
      "12345678901234567890123456789012345678901234567890123456789012345678901234567890"};
  const struct {
    HashSecret secret;
    std::array<std::uint64_t, 7> hashes;
  } generations[] = {
      {{0xa0761d6478bd642fU, 0xe7037ed1a0b428dbU, 0x8ebc6af09c88c6e3U, 0x589965cc75374cc3U},
       {0x0409638ee2bde459U, 0xa8412d091b5fe0a9U, 0x32dd92e4b2915153U, 0x8619124089a3a16bU,
        0x7a43afb61d7f5f40U, 0xff42329b90e50d58U, 0xc39cab13b115aad3U}},
      {{0x2d358dccaa6c78a5U, 0x8bb84b93962eacc9U, 0x4b33a62ed433d4a3U, 0x4d5a2da51de1aa47U},
       {0x93228a4de0eec5a2U, 0xc5bac3db178713c4U, 0xa97f2f7b1d9b3314U, 0x786d1f1df3801df4U,
        0xdca5a8138ad37c87U, 0xb9e734f117cfaf70U, 0x6cc5eab49a92d617U}}};
  for (const auto& generation : generations) {
    for (std::uint16_t seed = 0; seed < 7; ++seed) {
      CHECK(HashKey(generation.secret, NamespaceSeed(generation.secret, seed), messages[seed]) ==
            generation.hashes[seed]);
    }
  }
}

TEST_CASE("hash: FNV-1a's published vectors") {
  CHECK(Fnv1a64("") == 0xcbf29ce484222325U);
  CHECK(Fnv1a64("a") == 0xaf63dc4c8601ec8cU);
  CHECK(Fnv1a64("foobar") == 0x85944171f73967e8U);
  CHECK(Fnv1a64("bar", Fnv1a64("foo")) == Fnv1a64("foobar"));
}

TEST_CASE("hash: a secret is odd and has four bits set in each byte, whatever it is made of") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  for (int round = 0; round < 1000; ++round) {
    std::array<std::uint64_t, 8> words{};
    for (auto& word : words) word = round == 0 ? 0 : round == 1 ? ~std::uint64_t{0} : random.Next();
    for (const std::uint64_t secret : MakeHashSecret(words)) {
      CHECK((secret & 1U) == 1);
      for (unsigned byte = 0; byte < 8; ++byte)
        CHECK(std::popcount((secret >> (8 * byte)) & 0xffU) == 4);
    }
  }
}

TEST_CASE("hash: every byte of the key counts, at every length") {
  HEARTH_SHOW_SEED();
  Random random(RunSeed());
  const HashSecret secret = testing::TestSecret();
  // Never a bare id: with seed 0, keys of up to three bytes would all hash alike.
  const std::uint64_t seed = NamespaceSeed(secret, 0);
  for (std::size_t size = 1; size <= cache::kMaxKeyBytes; size += size < 140 ? 1 : 37) {
    std::string key = random.Bytes(size);
    const std::uint64_t before = HashKey(secret, seed, key);
    for (char& c : key) {
      c = static_cast<char>(c ^ 0x10);
      REQUIRE(HashKey(secret, seed, key) != before);
      c = static_cast<char>(c ^ 0x10);
    }
    REQUIRE(HashKey(secret, seed, key + '\0') != before);
    REQUIRE(HashKey(secret, NamespaceSeed(secret, 1), key) != before);
  }
}

TEST_CASE("hash: the bytes around a key do not count") {
  const HashSecret secret = testing::TestSecret();
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string a = std::string(8, 'x') + std::string(size, 'k') + std::string(8, 'x');
    const std::string b = std::string(3, 'y') + std::string(size, 'k') + std::string(9, 'y');
    REQUIRE(HashKey(secret, 7, std::string_view(a).substr(8, size)) ==
            HashKey(secret, 7, std::string_view(b).substr(3, size)));
  }
}

// Chi-squared of counts against a uniform distribution, in standard deviations from its mean.
double Deviation(const std::vector<std::uint32_t>& counts, std::uint64_t total) {
  const double expected = static_cast<double>(total) / static_cast<double>(counts.size());
  double chi = 0;
  for (const std::uint32_t count : counts) {
    const double difference = count - expected;
    chi += difference * difference / expected;
  }
  const double freedom = static_cast<double>(counts.size() - 1);
  return (chi - freedom) / std::sqrt(2 * freedom);
}

TEST_CASE("hash: typical keys spread evenly over buckets, tags and directory words") {
  constexpr std::uint32_t kKeys = 400'000;
  const HashSecret secret = testing::TestSecret();
  const std::uint64_t seed = NamespaceSeed(secret, 1);
  for (const std::string_view prefix :
       {"", "user:", "/api/v1/customers/0000000000000000/orders/"}) {
    std::vector<std::uint32_t> buckets(cache::kHomeBuckets);
    std::vector<std::uint32_t> tags(1U << 16U);
    std::vector<std::uint32_t> words(1U << 10U);
    for (std::uint32_t i = 0; i < kKeys; ++i) {
      const std::uint64_t hash = HashKey(secret, seed, fmt::format("{}{}", prefix, i));
      ++buckets[cache::HomeBucket(hash) - cache::kFirstHomeBucket];
      ++tags[cache::SlotTag(hash)];
      ++words[hash >> 54U];
    }
    CAPTURE(prefix);
    // The secret is fixed, so this is a fact about the function and not a gamble.
    CHECK(Deviation(buckets, kKeys) < 5);
    CHECK(Deviation(tags, kKeys) < 5);
    CHECK(Deviation(words, kKeys) < 5);
  }
}

TEST_CASE("hash: a flipped key bit flips half of the hash bits") {
  const HashSecret secret = testing::TestSecret();
  std::uint64_t flipped = 0;
  std::uint64_t pairs = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    std::string key = fmt::format("key-number-{:06}", i);
    const std::uint64_t before = HashKey(secret, 0, key);
    for (std::size_t bit = 0; bit < key.size() * 8; bit += 5, ++pairs) {
      const auto mask = static_cast<char>(1U << bit % 8);
      key[bit / 8] = static_cast<char>(key[bit / 8] ^ mask);
      flipped += static_cast<std::uint64_t>(std::popcount(before ^ HashKey(secret, 0, key)));
      key[bit / 8] = static_cast<char>(key[bit / 8] ^ mask);
    }
  }
  const double average = static_cast<double>(flipped) / static_cast<double>(pairs);
  CHECK(average > 31.8);
  CHECK(average < 32.2);
}

TEST_CASE("hash: keys that collide under one secret do not under another") {
  const testing::TestStore store;
  const auto keys = testing::CollidingKeys(store.view(), 1, {.like_hash = 0}, 64);
  const HashSecret other = MakeHashSecret({9, 8, 7, 6, 5, 4, 3, 2});
  std::set<std::uint32_t> buckets;
  for (const std::string& key : keys) {
    CHECK(cache::HomeBucket(testing::KeyHash(store.view(), 1, key)) == cache::kFirstHomeBucket);
    buckets.insert(cache::HomeBucket(HashKey(other, NamespaceSeed(other, 1), key)));
  }
  CHECK(buckets.size() > 50);
}

}  // namespace
}  // namespace hearth
