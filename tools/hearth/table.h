// Aligned columns for people.
//
// Thread safety: one thread.
#ifndef HEARTH_TOOLS_HEARTH_TABLE_H_
#define HEARTH_TOOLS_HEARTH_TABLE_H_

#include <string>
#include <vector>

namespace hearth::cli {

class Table {
 public:
  // A heading that begins with '>' (not shown) aligns its column to the right.
  explicit Table(std::vector<std::string> headings);

  // REQUIRES: as many cells as headings. Control characters are escaped.
  void Add(std::vector<std::string> cells);
  // Every line begins with `indent` and ends with a line break, without trailing spaces.
  std::string ToString(const std::string& indent = "") const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;  // the headings first
};

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_TABLE_H_
