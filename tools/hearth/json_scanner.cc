#include "tools/hearth/json_scanner.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

constexpr std::string_view kCutOff = "the line ends in the middle of the record (cut off?)";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Whether one of eight bytes ends a run of plain ASCII string content: a quote, a backslash, a
// control character or a byte beyond ASCII.
bool HasSpecial(const char* at) {
  constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101U;
  constexpr std::uint64_t kHighs = 0x8080'8080'8080'8080U;
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  const auto has_zero = [](std::uint64_t x) { return (x - kOnes) & ~x & kHighs; };
  const std::uint64_t control = (word - kOnes * 0x20U) & ~word & kHighs;
  return (control | has_zero(word ^ (kOnes * '"')) | has_zero(word ^ (kOnes * '\\')) |
          (word & kHighs)) != 0;
}

void AppendUtf8(std::uint32_t point, std::string* text) {
  const auto tail = [&](unsigned shift) {
    *text += static_cast<char>(0x80U | ((point >> shift) & 0x3fU));
  };
  if (point < 0x80) {
    *text += static_cast<char>(point);
  } else if (point < 0x800) {
    *text += static_cast<char>(0xc0U | point >> 6U);
    tail(0);
  } else if (point < 0x10000) {
    *text += static_cast<char>(0xe0U | point >> 12U);
    tail(6);
    tail(0);
  } else {
    *text += static_cast<char>(0xf0U | point >> 18U);
    tail(12);
    tail(6);
    tail(0);
  }
}

std::uint32_t FourHexDigits(std::string_view text) {
  std::uint32_t unit = 0;
  for (const char c : text.substr(0, 4))
    unit = unit << 4U | static_cast<std::uint32_t>(HexValue(c));
  return unit;
}

}  // namespace

bool JsonScanner::Fail(const char* at, std::string_view error) {
  at_ = at;
  error_ = at >= end_ ? kCutOff : error;
  return false;
}

void JsonScanner::SkipSpace() {
  while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r' || *at_ == '\n')) ++at_;
}

bool JsonScanner::BeginObject() {
  SkipSpace();
  if (Peek() != '{') return Fail(at_, "not a JSON object: it must begin with '{'");
  ++at_;
  return true;
}

bool JsonScanner::NextMember(JsonText* name, JsonText* value, bool* done) {
  SkipSpace();
  *done = Peek() == '}';
  if (*done) {
    ++at_;
    SkipSpace();
    return at_ == end_ || Fail(at_, "text after the object");
  }
  if (!first_) {
    if (Peek() != ',') return Fail(at_, "expected ',' or '}'");
    ++at_;
    SkipSpace();
  }
  first_ = false;
  if (Peek() != '"') return Fail(at_, "expected a field name in quotes");
  if (!String(name)) return false;
  SkipSpace();
  if (Peek() != ':') return Fail(at_, "expected ':' after the field name");
  ++at_;
  SkipSpace();
  return Value(value);
}

bool JsonScanner::Value(JsonText* value) {
  const char c = Peek();
  if (c != '{' && c != '[') return Scalar(value);
  const char* start = at_;
  if (!Container()) return false;
  *value = {.kind = c == '{' ? JsonKind::kObject : JsonKind::kArray,
            .text = {start, static_cast<std::size_t>(at_ - start)}};
  return true;
}

bool JsonScanner::Scalar(JsonText* value) {
  const char* start = at_;
  bool good = false;
  switch (Peek()) {
    case '"': return String(value);
    case 't':
      value->kind = JsonKind::kTrue;
      good = Literal("true");
      break;
    case 'f':
      value->kind = JsonKind::kFalse;
      good = Literal("false");
      break;
    case 'n':
      value->kind = JsonKind::kNull;
      good = Literal("null");
      break;
    default:
      if (Peek() != '-' && !IsDigit(Peek())) return Fail(at_, "expected a value");
      value->kind = JsonKind::kNumber;
      good = Number();
  }
  value->text = {start, static_cast<std::size_t>(at_ - start)};
  value->has_escapes = false;
  return good;
}

bool JsonScanner::String(JsonText* value) {
  const char* start = ++at_;
  value->kind = JsonKind::kString;
  value->has_escapes = false;
  while (true) {
    while (end_ - at_ >= 8 && !HasSpecial(at_)) at_ += 8;
    if (at_ == end_) return Fail(at_, kCutOff);
    const auto c = static_cast<unsigned char>(*at_);
    if (c == '"') break;
    if (c == '\\') {
      value->has_escapes = true;
      if (!Escape()) return false;
    } else if (c < 0x20) {
      return Fail(at_, "a control character in a string; write it as an escape");
    } else if (c < 0x80) {
      ++at_;
    } else {
      const std::size_t length = Utf8SequenceLength({at_, static_cast<std::size_t>(end_ - at_)});
      if (length == 0) return Fail(at_, "not valid UTF-8 (binary values go into value_base64)");
      at_ += length;
    }
  }
  value->text = {start, static_cast<std::size_t>(at_ - start)};
  ++at_;
  return true;
}

bool JsonScanner::Escape() {
  if (end_ - at_ < 2) return Fail(end_, kCutOff);
  const char c = at_[1];
  if (c == 'u') {
    for (int i = 2; i < 6; ++i) {
      if (at_ + i >= end_) return Fail(end_, kCutOff);
      if (HexValue(at_[i]) < 0) return Fail(at_, "\\u needs four hexadecimal digits");
    }
    at_ += 6;
    return true;
  }
  if (std::strchr("\"\\/bfnrt", c) == nullptr || c == '\0') return Fail(at_, "unknown escape");
  at_ += 2;
  return true;
}

bool JsonScanner::Digits() {
  if (!IsDigit(Peek())) return Fail(at_, "expected a digit");
  while (IsDigit(Peek())) ++at_;
  return true;
}

bool JsonScanner::Number() {
  if (Peek() == '-') ++at_;
  if (Peek() == '0') {
    ++at_;
    if (IsDigit(Peek())) return Fail(at_, "a number with a leading zero");
  } else if (!Digits()) {
    return false;
  }
  if (Peek() == '.') {
    ++at_;
    if (!Digits()) return false;
  }
  if (Peek() == 'e' || Peek() == 'E') {
    ++at_;
    if (Peek() == '+' || Peek() == '-') ++at_;
    if (!Digits()) return false;
  }
  return true;
}

bool JsonScanner::Literal(std::string_view word) {
  for (const char c : word) {
    if (Peek() != c) return Fail(at_, "expected a value");
    ++at_;
  }
  return true;
}

// "name": up to the value.
bool JsonScanner::MemberName() {
  JsonText name;
  if (Peek() != '"') return Fail(at_, "expected a field name in quotes");
  if (!String(&name)) return false;
  SkipSpace();
  if (Peek() != ':') return Fail(at_, "expected ':' after the field name");
  ++at_;
  SkipSpace();
  return true;
}

// An object or array with everything in it. Without recursion, so that depth costs no stack.
bool JsonScanner::Container() {
  std::array<char, kMaxDepth> closers;
  std::size_t depth = 0;
  bool fresh = true;  // just opened: may close at once
  closers[depth++] = *at_++ == '{' ? '}' : ']';
  while (true) {
    SkipSpace();
    if (Peek() == closers[depth - 1]) {
      ++at_;
      if (--depth == 0) return true;
      fresh = false;
      continue;
    }
    if (!fresh) {
      if (Peek() != ',') return Fail(at_, "expected ',' or the end of the object or array");
      ++at_;
      SkipSpace();
    }
    if (closers[depth - 1] == '}' && !MemberName()) return false;
    if (Peek() == '{' || Peek() == '[') {
      if (depth == kMaxDepth) return Fail(at_, "nested more than 256 levels deep");
      closers[depth++] = *at_++ == '{' ? '}' : ']';
      fresh = true;
      continue;
    }
    JsonText scalar;
    if (!Scalar(&scalar)) return false;
    fresh = false;
  }
}

bool DecodeJsonString(std::string_view text, std::string* decoded) {
  decoded->clear();
  while (!text.empty()) {
    const std::size_t plain = std::min(text.find('\\'), text.size());
    decoded->append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const char c = text[1];
    text.remove_prefix(2);
    if (c != 'u') {
      constexpr std::string_view kNames = "bfnrt";
      constexpr std::string_view kBytes = "\b\f\n\r\t";
      const std::size_t found = kNames.find(c);
      *decoded += found == std::string_view::npos ? c : kBytes[found];
      continue;
    }
    std::uint32_t point = FourHexDigits(text);
    text.remove_prefix(4);
    if (point >= 0xd800 && point <= 0xdfff) {
      if (point >= 0xdc00 || text.substr(0, 2) != "\\u") return false;
      const std::uint32_t low = FourHexDigits(text.substr(2));
      if (low < 0xdc00 || low > 0xdfff) return false;
      text.remove_prefix(6);
      point = 0x10000 + ((point - 0xd800) << 10U) + (low - 0xdc00);
    }
    AppendUtf8(point, decoded);
  }
  return true;
}

}  // namespace hearth::cli
