#include "tools/capnpc-hearth-go/names.h"

#include <algorithm>
#include <array>

namespace hearth::capnpgo {
namespace {

// Not <cctype>: its functions depend on the locale.
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char ToUpper(char c) { return IsLower(c) ? static_cast<char>(c - 'a' + 'A') : c; }
char ToLower(char c) { return IsUpper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

// The keywords of the Go specification and its predeclared identifiers, as of Go 1.24.
constexpr std::array<std::string_view, 69> kReserved = {
    "any",    "append",      "bool",   "break",      "byte",    "cap",        "case",
    "chan",   "clear",       "close",  "comparable", "complex", "complex128", "complex64",
    "const",  "continue",    "copy",   "default",    "defer",   "delete",     "else",
    "error",  "fallthrough", "false",  "float32",    "float64", "for",        "func",
    "go",     "goto",        "if",     "imag",       "import",  "int",        "int16",
    "int32",  "int64",       "int8",   "interface",  "iota",    "len",        "make",
    "map",    "max",         "min",    "new",        "nil",     "package",    "panic",
    "print",  "println",     "range",  "real",       "recover", "return",     "rune",
    "select", "string",      "struct", "switch",     "true",    "type",       "uint",
    "uint16", "uint32",      "uint64", "uint8",      "uintptr", "var"};

}  // namespace

std::string ExportedName(std::string_view schema_name) {
  std::string name;
  bool start = true;
  for (char c : schema_name) {
    if (c == '_') {
      start = true;
      continue;
    }
    name += start ? ToUpper(c) : c;
    start = false;
  }
  return name;
}

std::string PrivateName(std::string_view exported_name, std::string_view suffix) {
  std::string name(exported_name);
  name[0] = ToLower(name[0]);
  return name.append(suffix);
}

bool IsPackageName(std::string_view name) {
  if (name.empty() || !IsLower(name[0])) return false;
  for (char c : name) {
    if (!IsLower(c) && !IsDigit(c) && c != '_') return false;
  }
  return std::find(kReserved.begin(), kReserved.end(), name) == kReserved.end();
}

std::string FileStem(std::string_view path) {
  if (auto slash = path.rfind('/'); slash != std::string_view::npos) path.remove_prefix(slash + 1);
  return std::string(path.substr(0, path.find('.')));
}

std::string DefaultPackageName(std::string_view path) {
  std::string name;
  for (char c : FileStem(path)) {
    c = ToLower(c);
    if (IsLower(c) || IsDigit(c) || c == '_') name += c;
  }
  return name;
}

std::string NameScope::Take(const std::string& name, const std::string& owner) {
  auto [entry, fresh] = owners_.emplace(name, owner);
  return fresh ? std::string() : entry->second;
}

}  // namespace hearth::capnpgo
