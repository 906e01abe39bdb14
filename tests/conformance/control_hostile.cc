// Packets of the control channel that no receiver may accept, made from good ones by small damage.
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/base/check.h"
#include "ipc/control_message.h"
#include "tests/conformance/control_vectors.h"

namespace hearth::conformance {
namespace {

constexpr std::size_t kFraming = 8;

std::uint64_t LoadWord(const std::string& packet, std::size_t index) {
  std::uint64_t word = 0;
  std::memcpy(&word, packet.data() + kFraming + 8 * index, 8);
  return word;
}

void StoreWord(std::string* packet, std::size_t index, std::uint64_t word) {
  std::memcpy(packet->data() + kFraming + 8 * index, &word, 8);
}

std::size_t Words(const std::string& packet) { return packet.size() / 8 - 1; }

// Index of the word in which a text begins.
std::size_t TextAt(const std::string& packet, const std::string& text) {
  const std::size_t at = packet.find(text);
  HEARTH_CHECK(at != std::string::npos && at % 8 == 0);
  return (at - kFraming) / 8;
}

// A list pointer: kind 1, signed distance from the word after it, size of an element, count.
std::uint64_t ListPointer(std::size_t from, std::size_t to, unsigned element, std::uint64_t count) {
  const auto distance = static_cast<std::uint32_t>(static_cast<std::int64_t>(to) -
                                                   static_cast<std::int64_t>(from) - 1);
  return 1U | std::uint64_t{distance << 2U} | std::uint64_t{element} << 32U | count << 35U;
}

constexpr unsigned kByteElements = 2;
constexpr unsigned kFourByteElements = 4;
constexpr unsigned kCompositeElements = 7;

// Index of the pointer to a text.
std::size_t PointerTo(const std::string& packet, const std::string& text) {
  const std::size_t target = TextAt(packet, text);
  for (std::size_t i = 0; i < target; ++i)
    if (LoadWord(packet, i) == ListPointer(i, target, kByteElements, text.size() + 1)) return i;
  HEARTH_CHECK(false);
  return 0;
}

std::string Hello() {
  ipc::Hello hello;
  hello.client_name = "the name of a client";
  return ipc::EncodeClientMessage({1, hello}).value();
}

std::string Welcome() {
  ipc::Welcome welcome;
  welcome.protocol = 1;
  welcome.channels = 1;
  welcome.server_version = "the version of a daemon";
  return ipc::EncodeServerMessage({1, welcome}).value();
}

// Many sessions that share one long name: a small packet that takes long to read.
std::string Amplified() {
  ipc::StatusReport report;
  const std::string long_name(4000, 'n');
  for (int i = 0; i < 50; ++i) {
    ipc::SessionStatus session;
    session.client_name = i == 0 ? long_name : fmt::format("session {}", i);
    report.sessions.push_back(session);
  }
  std::string packet = ipc::EncodeServerMessage({1, report}).value();
  const std::size_t target = TextAt(packet, long_name);
  for (int i = 1; i < 50; ++i) {
    const std::size_t pointer = PointerTo(packet, fmt::format("session {}", i));
    StoreWord(&packet, pointer, ListPointer(pointer, target, kByteElements, long_name.size() + 1));
  }
  return packet;
}

// A list of very many structs that take no room.
std::string Countless() {
  ipc::StatusReport report;
  report.sessions.resize(1);
  std::string packet = ipc::EncodeServerMessage({1, report}).value();
  for (std::size_t i = 0; i + 1 < Words(packet); ++i) {
    const std::uint64_t word = LoadWord(packet, i);
    if ((word & 3U) != 1 || (word >> 32U & 7U) != kCompositeElements) continue;
    const std::size_t tag = i + 1 + static_cast<std::size_t>((word & 0xffffffffU) >> 2U);
    StoreWord(&packet, i, ListPointer(i, tag, kCompositeElements, 0));
    StoreWord(&packet, tag, std::uint64_t{0x1fffffff} << 2U);  // elements without words
  }
  return packet;
}

// The same damage to a message of each direction.
std::vector<HostilePacket> DamagedPackets() {
  std::vector<HostilePacket> all;
  const auto both = [&](const std::string& why, const std::function<void(std::string*)>& damage) {
    for (const bool to_daemon : {true, false}) {
      std::string packet = to_daemon ? Hello() : Welcome();
      damage(&packet);
      all.push_back({why, to_daemon, packet});
    }
  };
  both("nothing", [](std::string* p) { p->clear(); });
  both("an empty segment", [](std::string* p) { *p = std::string(kFraming, '\0'); });
  both("two segments", [](std::string* p) { (*p)[0] = 1; });
  both("two segments, both whole", [](std::string* p) {
    const auto words = static_cast<std::uint32_t>(Words(*p));
    const std::uint32_t framing[4] = {1, words, 0, 0};
    *p = std::string(reinterpret_cast<const char*>(framing), sizeof(framing)) + p->substr(kFraming);
  });
  both("2^32 segments", [](std::string* p) { std::memset(p->data(), 0xff, 4); });
  both("a segment longer than the packet", [](std::string* p) { ++(*p)[4]; });
  both("a segment shorter than the packet", [](std::string* p) { --(*p)[4]; });
  both("bytes that are no word", [](std::string* p) { p->push_back('x'); });
  both("a word behind the message", [](std::string* p) { p->append(8, '\0'); });
  both("a root outside the segment",
       [](std::string* p) { StoreWord(p, 0, LoadWord(*p, 0) | 0x7ffffff0U); });
  both("a root before the segment",
       [](std::string* p) { StoreWord(p, 0, LoadWord(*p, 0) | 0xffffffe0U); });
  both("a root that is a list",
       [](std::string* p) { StoreWord(p, 0, ListPointer(0, 1, kByteElements, 8)); });
  both("a root in another segment",
       [](std::string* p) { StoreWord(p, 0, 2U | std::uint64_t{7} << 32U); });
  return all;
}

// The same damage to a text of each; it gets the indexes of the text's pointer and of its first
// word.
std::vector<HostilePacket> DamagedTexts() {
  std::vector<HostilePacket> all;
  const auto text = [&](const std::string& why,
                        const std::function<void(std::string*, std::size_t, std::size_t)>& damage) {
    for (const bool to_daemon : {true, false}) {
      const std::string victim = to_daemon ? "the name of a client" : "the version of a daemon";
      std::string packet = to_daemon ? Hello() : Welcome();
      damage(&packet, PointerTo(packet, victim), TextAt(packet, victim));
      all.push_back({why, to_daemon, packet});
    }
  };
  text("a text without its zero", [](std::string* p, std::size_t, std::size_t at) {
    (*p)[p->find('\0', kFraming + 8 * at)] = 'x';
  });
  text("a text without bytes, not even its zero",
       [](std::string* p, std::size_t i, std::size_t at) {
         StoreWord(p, i, ListPointer(i, at, kByteElements, 0));
       });
  text("a text behind the segment", [](std::string* p, std::size_t i, std::size_t) {
    StoreWord(p, i, ListPointer(i, Words(*p), kByteElements, 8));
  });
  text("a text before the segment", [](std::string* p, std::size_t i, std::size_t) {
    StoreWord(p, i, ListPointer(i + 100, 0, kByteElements, 8));
  });
  text("a text longer than the segment", [](std::string* p, std::size_t i, std::size_t at) {
    StoreWord(p, i, ListPointer(i, at, kByteElements, 0x1fffffff));
  });
  text("a text of other elements", [](std::string* p, std::size_t i, std::size_t at) {
    StoreWord(p, i, ListPointer(i, at, kFourByteElements, 2));
  });
  text("a text that is a struct", [](std::string* p, std::size_t i, std::size_t at) {
    StoreWord(p, i, std::uint64_t{(at - i - 1) << 2U} | std::uint64_t{1} << 32U);
  });
  text("a text that is a capability",
       [](std::string* p, std::size_t i, std::size_t) { StoreWord(p, i, 3); });
  text("a text in another segment", [](std::string* p, std::size_t i, std::size_t) {
    StoreWord(p, i, 2U | std::uint64_t{7} << 32U);
  });
  return all;
}

}  // namespace

std::vector<HostilePacket> MakeHostilePackets() {
  std::vector<HostilePacket> all = DamagedPackets();
  for (HostilePacket& packet : DamagedTexts()) all.push_back(std::move(packet));
  all.push_back({"50 names that are the same 4,000 bytes", false, Amplified()});
  all.push_back({"half a billion sessions without a word", false, Countless()});
  return all;
}

}  // namespace hearth::conformance
