// PinTable: pin records in memory of the test's own, as those of a session.
#ifndef HEARTH_TESTS_SUPPORT_PIN_TABLE_H_
#define HEARTH_TESTS_SUPPORT_PIN_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/base/atomic.h"
#include "core/cache/pins.h"

namespace hearth::testing {

// Plain words, so that it can also be laid over shared memory of zeros.
struct PinRecords {
  struct Record {
    Atomic<std::uint64_t> segment_plus_one{0};
    Atomic<std::uint64_t> generation{0};
  };
  std::array<Record, 64> records;

  cache::PinWords operator[](std::size_t i) {
    return {&records[i].segment_plus_one, &records[i].generation};
  }
};

class PinTable : public cache::PinSource {
 public:
  PinTable() : records_(&own_) {}
  explicit PinTable(PinRecords* records) : records_(records) {}

  cache::PinWords operator[](std::size_t i) { return (*records_)[i]; }
  bool empty() const {
    for (const auto& record : records_->records)
      if (record.segment_plus_one.LoadRelaxed() + 1 > 1) return false;  // neither 0 nor kPinFree
    return true;
  }
  void VisitPins(const See& see) const override {
    for (std::size_t i = 0; i < records_->records.size(); ++i) SeePin((*records_)[i], see);
  }

 private:
  PinRecords own_;
  PinRecords* records_;
};

}  // namespace hearth::testing

#endif  // HEARTH_TESTS_SUPPORT_PIN_TABLE_H_
