#include "tools/capnpc-hearth-go/source_index.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

namespace hearth::capnpgo {
namespace {

bool IsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

struct Token {
  std::string_view text;  // a word, or one character of punctuation; a string is its first quote
  int line;
};

// Splits schema text into tokens, without comments.
std::vector<Token> Tokenize(std::string_view text) {
  std::vector<Token> tokens;
  int line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    if (text[i] == '\n') {
      ++line;
      ++i;
    } else if (text[i] == '#') {
      while (i < text.size() && text[i] != '\n') ++i;
    } else if (text[i] == '"' || text[i] == '\'') {
      for (++i; i < text.size() && text[i] != text[begin] && text[i] != '\n'; ++i) {
        if (text[i] == '\\') ++i;
      }
      ++i;
      tokens.push_back({text.substr(begin, 1), line});
    } else if (IsWord(text[i])) {
      while (i < text.size() && IsWord(text[i])) ++i;
      tokens.push_back({text.substr(begin, i - begin), line});
    } else {
      if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') {
        tokens.push_back({text.substr(i, 1), line});
      }
      ++i;
    }
  }
  return tokens;
}

// The token that names what a statement declares; none for an unnamed union and for statements that
// declare nothing.
std::optional<Token> DeclaredName(const std::vector<Token>& statement) {
  if (statement.empty() || !IsWord(statement[0].text[0])) return std::nullopt;
  const std::string_view first = statement[0].text;
  const bool keyword = first == "struct" || first == "enum" || first == "interface" ||
                       first == "const" || first == "annotation" || first == "using";
  // A member may be named like a keyword; then "@" or ":" follows, not another name.
  if (keyword && statement.size() > 1 && IsWord(statement[1].text[0])) return statement[1];
  if (first == "union" && statement.size() == 1) return std::nullopt;
  return statement[0];
}

std::string Join(const std::vector<std::string>& scopes, std::string_view name) {
  std::string path;
  for (const std::string& scope : scopes) {
    if (!scope.empty()) path += scope + ".";
  }
  return path.append(name);
}

}  // namespace

SourceIndex::SourceIndex(std::string_view text) {
  std::vector<std::string> scopes;  // an unnamed union is an empty string
  std::vector<Token> statement;
  for (const Token& token : Tokenize(text)) {
    const char c = token.text[0];
    if (c != '{' && c != ';' && c != '}') {
      statement.push_back(token);
      continue;
    }
    const std::optional<Token> name = DeclaredName(statement);
    statement.clear();
    if (name) lines_.emplace(Join(scopes, name->text), name->line);
    if (c == '{') scopes.emplace_back(name ? name->text : std::string_view());
    if (c == '}' && !scopes.empty()) scopes.pop_back();
  }
}

int SourceIndex::Line(const std::string& path) const {
  const auto found = lines_.find(path);
  return found == lines_.end() ? 0 : found->second;
}

SourceIndex IndexFile(const std::string& path) {
  std::vector<std::string> candidates = {path,
                                         "/proc/" + std::to_string(getppid()) + "/cwd/" + path};
  if (const char* roots = std::getenv("HEARTH_SCHEMA_PATH")) {
    std::string_view rest = roots;
    while (!rest.empty()) {
      const std::size_t colon = rest.find(':');
      candidates.push_back(std::string(rest.substr(0, colon)) + "/" + path);
      rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    }
  }
  for (const std::string& candidate : candidates) {
    std::ifstream file(candidate, std::ios::binary);
    if (!file) continue;
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    return SourceIndex(text);
  }
  return {};
}

}  // namespace hearth::capnpgo
