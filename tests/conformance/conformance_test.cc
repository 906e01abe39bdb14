// The checked-in vectors are what this build computes and decodes, the checked-in store image is
// still readable, and core/cache/FORMAT.md says what the code does.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/cache/reader.h"
#include "core/shm/memory.h"
#include "tests/conformance/control_vectors.h"
#include "tests/conformance/vectors.h"
#include "tests/support/child_process.h"
#include "tests/support/fake_clock.h"

namespace hearth::conformance {
namespace {

const std::string kVectors = HEARTH_SOURCE_ROOT "/tests/conformance/vectors/";

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE_MESSAGE(file, path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// First line in which two texts differ, for a message that can be read.
std::string Difference(std::string_view a, std::string_view b) {
  std::size_t line = 1;
  while (!a.empty() && !b.empty()) {
    const std::string_view head_a = a.substr(0, a.find('\n'));
    const std::string_view head_b = b.substr(0, b.find('\n'));
    if (head_a != head_b)
      return fmt::format("line {}:\n  file: {}\n  code: {}", line, head_a.substr(0, 300),
                         head_b.substr(0, 300));
    a.remove_prefix(std::min(a.size(), head_a.size() + 1));
    b.remove_prefix(std::min(b.size(), head_b.size() + 1));
    ++line;
  }
  return fmt::format("one ends at line {}", line);
}

TEST_CASE("vectors: the checked-in files are what this build writes") {
  for (const auto& file : MakeVectorFiles()) {
    const std::string checked_in = ReadFile(kVectors + file.first);
    const bool same = checked_in == file.second;
    CHECK_MESSAGE(same, file.first << ": " << Difference(checked_in, file.second));
  }
}

// Value of `"name": ...` in a line of our own JSON, quotes removed.
std::string Field(const std::string& line, const std::string& name) {
  const std::string mark = "\"" + name + "\": ";
  std::size_t at = line.find(mark);
  if (at == std::string::npos) return "";
  at += mark.size();
  if (line[at] == '"') return line.substr(at + 1, line.find('"', at + 1) - at - 1);
  return line.substr(at, line.find_first_of(",}", at) - at);
}

// Reads a store image as another process would, and compares with the list that came with it.
void CheckImage(const std::string& bytes, const std::string& json) {
  auto memory = shm::CreateMemory("conformance", bytes.size());
  REQUIRE(memory.ok());
  {
    const auto writable = shm::Mapping::Map(memory->get(), shm::Access::kReadWrite);
    REQUIRE(writable.ok());
    std::memcpy(writable->data(), bytes.data(), bytes.size());
  }
  const auto reader = cache::StoreReader::Attach(memory->get());
  REQUIRE_MESSAGE(reader.ok(), reader.status().ToString());
  CHECK(*reader->FindNamespace("first") == 1);
  CHECK(*reader->FindNamespace("second") == 2);
  int hits = 0;
  int misses = 0;
  std::string value;
  for (std::size_t at = json.find("\n  {"); at != std::string::npos; at = json.find("\n  {", at)) {
    ++at;
    const std::string line = json.substr(at, json.find('\n', at) - at);
    CAPTURE(line.substr(0, 100));
    const std::string key = Unhex(Field(line, "key"));
    const auto ns = static_cast<std::uint16_t>(std::stoul(Field(line, "namespace")));
    const cache::ReadResult result = reader->Get(ns, key, &value);
    const bool hit = Field(line, "hit") == "true";
    CHECK((result.outcome == cache::ReadOutcome::kHit) == hit);
    ++(hit ? hits : misses);
    if (!hit) continue;
    CHECK(Hex(value) == Field(line, "value"));
    CHECK(std::to_string(result.version) == Field(line, "version"));
    CHECK(fmt::format("{:#018x}", result.hard_expiry_ms) == Field(line, "hard_expiry_ms"));
    CHECK(fmt::format("{:#018x}", result.soft_expiry_ms) == Field(line, "soft_expiry_ms"));
    CHECK((result.stale ? "true" : "false") == Field(line, "stale"));
    CHECK(reader->Get(ns, key + "?", &value).outcome == cache::ReadOutcome::kMiss);
  }
  CHECK(hits == 40);
  CHECK(misses == 2);
}

TEST_CASE("image: a store written now reads as its list says") {
  const StoreImage image = MakeStoreImage();
  CheckImage(image.bytes, image.json);
}

// The image stays as it was when the layout got its version. While that version stands, every build
// must be able to read it.
TEST_CASE("image: the checked-in store of this layout version is read by this build") {
  auto gunzip = testing::ChildProcess::Exec({"gzip", "-dc", kVectors + "store.img.gz"});
  REQUIRE(gunzip.ok());
  const std::string bytes = gunzip->channel().ReceiveAll();
  REQUIRE(gunzip->Wait() == 0);
  CheckImage(bytes, ReadFile(kVectors + "store.json"));
}

// ---------------------------------------------------------------------------------- control.json
struct ControlLine {
  std::string text;
  bool to_daemon;
  std::string packet;
};

// The checked-in lines that are messages, or those that are hostile.
std::vector<ControlLine> ControlLines(bool hostile) {
  const std::string json = ReadFile(kVectors + "control.json");
  std::vector<ControlLine> lines;
  for (std::size_t at = json.find("\n  {"); at != std::string::npos; at = json.find("\n  {", at)) {
    at += 3;
    std::string line = json.substr(at, json.find('\n', at) - at);
    if (line.back() == ',') line.pop_back();
    if ((Field(line, "why").empty()) == hostile) continue;
    // The last field; a store's status has one of that name too.
    const std::string bytes = Field(line.substr(line.rfind("\"bytes\"")), "bytes");
    lines.push_back({line, Field(line, "to") == "daemon", Unhex(bytes)});
  }
  return lines;
}

TEST_CASE("control: each packet is decoded to the fields it was made of") {
  const auto lines = ControlLines(false);
  CHECK(lines.size() == 24);
  for (const ControlLine& line : lines)
    CHECK(DescribePacket(line.to_daemon, line.packet) == line.text);
}

TEST_CASE("control: hostile packets, and messages that were cut, are refused") {
  const auto refused = [](bool to_daemon, const std::string& packet) {
    return DescribePacket(to_daemon, packet).starts_with("{\"refused\": ");
  };
  const auto hostile = ControlLines(true);
  CHECK(hostile.size() == 46);
  for (const ControlLine& line : hostile)
    CHECK_MESSAGE(refused(line.to_daemon, line.packet), Field(line.text, "why"));
  for (const ControlLine& line : ControlLines(false)) {
    for (std::size_t size = 0; size < line.packet.size(); ++size)
      CHECK_MESSAGE(refused(line.to_daemon, line.packet.substr(0, size)),
                    size << " bytes of " << line.text);
    std::string too_long = line.packet + std::string(65536, '\0');
    const auto words = static_cast<std::uint32_t>(too_long.size() / 8 - 1);
    std::memcpy(too_long.data() + 4, &words, sizeof(words));
    CHECK(refused(line.to_daemon, too_long));
  }
}

// ------------------------------------------------------------------------------------- FORMAT.md
std::string Document() { return ReadFile(HEARTH_SOURCE_ROOT "/core/cache/FORMAT.md"); }

TEST_CASE("FORMAT.md: every struct and field stands there with its offset and size") {
  const std::string document = Document();
  for (const shm::StructLayout& layout : cache::kStoreStructs) {
    const std::string heading = fmt::format("**{}**, {} bytes", layout.name, layout.size);
    const std::size_t begin = document.find(heading);
    REQUIRE_MESSAGE(begin != std::string::npos, heading);
    const std::string section =
        document.substr(begin, document.find("\n\n", document.find("\n| ", begin)) - begin);
    for (const shm::FieldLayout& field : layout.fields) {
      const std::string row =
          fmt::format("| {} | {} | `{}` |", field.offset, field.size, field.name);
      CHECK_MESSAGE(section.find(row) != std::string::npos, layout.name << ": " << row);
    }
    std::size_t rows = 0;
    for (std::size_t at = section.find("\n| "); at != std::string::npos;
         at = section.find("\n| ", at + 1))
      ++rows;
    CHECK_MESSAGE(rows == layout.fields.size() + 1, layout.name << ": rows that are no fields");
  }
}

TEST_CASE("FORMAT.md: its numbers are the code's") {
  const std::string document = Document();
  for (const std::string& text :
       {fmt::format("layout version {}, fingerprint `{:#018x}`", cache::kStoreLayoutVersion,
                    cache::kStoreFingerprint),
        fmt::format("`{:#018x}`", shm::kRegionMagic), fmt::format("`{:#018x}`", cache::kPageMagic),
        fmt::format("at most {} buckets", cache::kMaxChainBuckets),
        fmt::format("at most {} times", cache::kMaxReadAttempts),
        fmt::format("buckets {} to {}", cache::kFirstHomeBucket, cache::kFirstOverflowBucket - 1),
        fmt::format("{} to {} bytes", cache::kMinKeyBytes, cache::kMaxKeyBytes)})
    CHECK_MESSAGE(document.find(text) != std::string::npos, text);
}

TEST_CASE("FORMAT.md: the worked example is what a store really contains") {
  const std::string document = Document();
  const std::string mark = "<!-- conformance_vectors example -->\n```text\n";
  const std::size_t begin = document.find(mark);
  REQUIRE(begin != std::string::npos);
  const std::string example = MakeFormatExample();
  const std::string block = document.substr(begin + mark.size(), example.size());
  const bool same = block == example;
  CHECK_MESSAGE(same, Difference(block, example));
  CHECK(document.substr(begin + mark.size() + example.size(), 4) == "```\n");
}

}  // namespace
}  // namespace hearth::conformance
