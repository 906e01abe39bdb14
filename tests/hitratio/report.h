// The table of a comparison, and the same as JSON.
#ifndef HEARTH_TESTS_HITRATIO_REPORT_H_
#define HEARTH_TESTS_HITRATIO_REPORT_H_

#include <string>
#include <vector>

#include "tests/hitratio/comparison.h"

namespace hearth::hitratio {

std::string TableHead();
std::string TableLine(const Row& row);
// What the rows say about the rules, in words.
std::string Summary(const std::vector<Row>& rows);
std::string Json(const std::vector<Row>& rows);

}  // namespace hearth::hitratio

#endif  // HEARTH_TESTS_HITRATIO_REPORT_H_
