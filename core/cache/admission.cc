// The part of StoreWriter that does TinyLFU admission (sketch.h has the paper), for namespaces that
// ask for it: their small log is the window, and what leaves it unread enters the main log only if
// it was used more often lately than what would have to go there; what was read there goes on as
// with S3-FIFO. There is no ghost: the sketch remembers. Better where a loop over more keys than
// fit leaves each with one use, slower in taking up what is new (docs/hit-ratio.md).
#include "core/cache/writer.h"

namespace hearth::cache {
namespace {

// In a loop whoever comes next has been used once more than those whose turn has not come yet: that
// is no reason to take it for them.
constexpr double kMargin = 1;

}  // namespace

bool StoreWriter::IsTinyLfu(std::uint16_t owner) const {
  return (view_.namespace_record(owner).flags.LoadRelaxed() & kNamespaceTinyLfu) != 0;
}

// A use of a key whose entry, or whose future, lies with this owner.
void StoreWriter::CountUse(std::uint16_t owner, std::uint64_t hash) {
  if (IsTinyLfu(owner)) admissions_[owner].sketch.Add(hash);
}

// Looks at what would go next from the main log, before a segment of the small log is walked.
void StoreWriter::PrepareAdmission(std::uint16_t owner, std::uint32_t entries) {
  Admission& admission = admissions_[owner];
  admission.sketch.Fit(std::uint64_t{log_.owned(owner)} * entries);
  admission.bar = 0;
  const auto& main = log_.sealed(owner, LogKind::kMain);
  if (main.empty()) return;
  const std::uint32_t segment = main.begin()->second;
  const std::uint32_t end = view_.segment(segment).write_watermark.LoadRelaxed();
  // Of those that nobody has read, or of all if there are no such.
  std::uint64_t sum[2] = {0, 0};
  std::uint64_t count[2] = {0, 0};
  EntryView entry;
  for (std::uint32_t offset = 0; offset < end && ParseEntry(view_, segment, offset, &entry);
       offset += static_cast<std::uint32_t>(entry.bytes)) {
    const std::uint64_t hash = HashEntry(view_, entry);
    const auto ref = index_.FindEntry(hash, segment, offset);
    if (!ref || !Visible(entry)) continue;
    const std::size_t read = SlotFrequency(ref->word) > 0 ? 1 : 0;
    sum[read] += admission.sketch.Estimate(hash);
    ++count[read];
  }
  const std::size_t which = count[0] > 0 ? 0 : 1;
  if (count[which] > 0)
    admission.bar = static_cast<double>(sum[which]) / static_cast<double>(count[which]);
}

bool StoreWriter::Admits(std::uint16_t owner, std::uint64_t hash) {
  const Admission& admission = admissions_[owner];
  return admission.sketch.Estimate(hash) > admission.bar + kMargin;
}

}  // namespace hearth::cache
