#include "tools/capnpc-hearth-go/doc_comment.h"

#include <algorithm>
#include <vector>

namespace hearth::capnpgo {
namespace {

enum class Kind { kBlank, kText, kItem, kContinuation, kCode };

struct Line {
  Kind kind;
  std::string text;  // without indentation and bullet; code keeps indentation beyond the block's
};

std::size_t Indentation(std::string_view line) {
  const std::size_t found = line.find_first_not_of(" \t");
  return found == std::string_view::npos ? line.size() : found;
}

bool IsBullet(std::string_view text) {
  return text.size() > 2 && (text[0] == '-' || text[0] == '*' || text[0] == '+') && text[1] == ' ';
}

std::vector<std::string> Split(std::string_view doc) {
  std::vector<std::string> lines;
  while (!doc.empty()) {
    const std::size_t end = doc.find('\n');
    std::string line(doc.substr(0, end));
    doc = end == std::string_view::npos ? std::string_view() : doc.substr(end + 1);
    line.erase(line.find_last_not_of(" \t\r") + 1);
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

// Keeps Go from reading a line of plain text as markup.
std::string Plain(std::string text) {
  while (!text.empty() && (text[0] == '#' || text[0] == ' ')) text.erase(0, 1);
  const std::size_t digits = text.find_first_not_of("0123456789");
  if (digits != 0 && digits != std::string::npos && digits + 1 < text.size() &&
      (text[digits] == '.' || text[digits] == ')') && text[digits + 1] == ' ') {
    text[digits] = ':';  // "1. x" at the start of a line would begin a numbered list
  }
  if (!text.empty() && text[0] == '[') {
    if (const std::size_t end = text.find("]:"); end != std::string::npos)
      text.insert(end + 1, " ");
  }
  return text;
}

std::vector<Line> Classify(std::string_view doc) {
  std::vector<Line> lines;
  for (const std::string& raw : Split(doc)) {
    const Kind before = lines.empty() ? Kind::kBlank : lines.back().kind;
    const bool in_item = before == Kind::kItem || before == Kind::kContinuation;
    const std::size_t indentation = Indentation(raw);
    const std::string text = raw.substr(indentation);
    if (text.find_first_not_of("# ") == std::string::npos) {
      if (before != Kind::kBlank) lines.push_back({Kind::kBlank, ""});
    } else if (IsBullet(text) && (indentation == 0 || before != Kind::kCode)) {
      lines.push_back({Kind::kItem, Plain(text.substr(2))});
    } else if (in_item && indentation > 0) {
      lines.push_back({Kind::kContinuation, Plain(text)});
    } else if (indentation > 0 && (before == Kind::kBlank || before == Kind::kCode)) {
      lines.push_back({Kind::kCode, raw});
    } else {
      lines.push_back({Kind::kText, Plain(text)});
    }
  }
  if (!lines.empty() && lines.back().kind == Kind::kBlank) lines.pop_back();
  return lines;
}

// Code blocks lose the indentation that all their lines have.
void Unindent(std::vector<Line>& lines) {
  for (std::size_t begin = 0; begin < lines.size(); ++begin) {
    if (lines[begin].kind != Kind::kCode) continue;
    std::size_t end = begin;
    std::size_t common = std::string::npos;
    for (; end < lines.size() && lines[end].kind == Kind::kCode; ++end) {
      common = std::min(common, Indentation(lines[end].text));
    }
    for (; begin < end; ++begin) lines[begin].text.erase(0, common);
  }
}

bool IsGroup(Kind kind) { return kind == Kind::kItem || kind == Kind::kContinuation; }

// Whether gofmt wants an empty line between two lines that follow each other: around code, and
// after a list.
bool NeedsBlank(Kind before, Kind after) {
  if (before == Kind::kBlank || after == Kind::kBlank) return false;
  if ((before == Kind::kCode) != (after == Kind::kCode)) return true;
  return IsGroup(before) && !IsGroup(after);
}

// A paragraph of one line that begins with a capital, ends without punctuation and is followed by
// another paragraph would be a heading.
void EndSentences(std::vector<Line>& lines) {
  for (std::size_t i = 0; i + 2 < lines.size(); ++i) {
    const bool alone = lines[i].kind == Kind::kText &&
                       (i == 0 || lines[i - 1].kind != Kind::kText) &&
                       lines[i + 1].kind == Kind::kBlank && lines[i + 2].kind == Kind::kText;
    if (!alone || lines[i].text[0] < 'A' || lines[i].text[0] > 'Z') continue;
    if (std::string_view(".:!?;").find(lines[i].text.back()) == std::string_view::npos) {
      lines[i].text += '.';
    }
  }
}

}  // namespace

std::string DocComment(int indent, std::string_view summary, std::string_view doc) {
  const std::string start = std::string(static_cast<std::size_t>(indent), '\t') + "//";
  std::string out = start + " " + std::string(summary) + "\n";
  std::vector<Line> lines = Classify(doc);
  Unindent(lines);
  EndSentences(lines);
  Kind before = Kind::kText;
  if (!lines.empty()) {
    out += start + "\n";
    before = Kind::kBlank;
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Line& line = lines[i];
    if (line.kind == Kind::kBlank) {
      // gofmt drops empty lines between the items of a list, and repeated ones.
      const Kind after = lines[i + 1].kind;
      if (before != Kind::kBlank && !(IsGroup(before) && IsGroup(after))) {
        out += start + "\n";
        before = Kind::kBlank;
      }
      continue;
    }
    if (NeedsBlank(before, line.kind)) out += start + "\n";
    switch (line.kind) {
      case Kind::kItem: out += start + "   - " + line.text + "\n"; break;
      case Kind::kContinuation: out += start + "     " + line.text + "\n"; break;
      case Kind::kCode: out += start + "\t" + line.text + "\n"; break;
      case Kind::kText:
      case Kind::kBlank: out += start + " " + line.text + "\n"; break;
    }
    before = line.kind;
  }
  return out;
}

}  // namespace hearth::capnpgo
