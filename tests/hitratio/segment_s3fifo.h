// SegmentS3Fifo: S3-FIFO on a log of segments, as a store can do it: an entry never moves within
// its segment, and room is made by emptying a whole one. A model of the engine, to find parameters
// and to tell what is lost to whole segments from what is lost elsewhere.
#ifndef HEARTH_TESTS_HITRATIO_SEGMENT_S3FIFO_H_
#define HEARTH_TESTS_HITRATIO_SEGMENT_S3FIFO_H_

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "tests/hitratio/object_list.h"
#include "tests/hitratio/policy.h"
#include "tests/support/seed.h"

namespace hearth::hitratio {

struct SegmentS3FifoOptions {
  std::uint32_t segments = 128;
  std::uint32_t small_percent = 10;
  std::uint32_t ghost_percent = 90;  // bytes of the objects it remembers, of the budget
  std::uint32_t promote_at = 1;      // uses while in the small log
  bool keep_uses = false;            // an entry takes its uses along into the main log
  std::uint32_t lost_touches = 0;    // per cent
  // From this share of dead bytes on, room is made by emptying the segment with most of them; all
  // that lives is copied. 0 = never.
  std::uint32_t dead_percent = 4;
  // The small log's share follows the hits of two ghosts of this size; 0 = it is fixed.
  std::uint32_t adapt_ghost_percent = 0;
};

class SegmentS3Fifo final : public Policy {
 public:
  // REQUIRES: a segment holds the largest object.
  SegmentS3Fifo(const Budget& budget, const SegmentS3FifoOptions& options);

  bool Use(std::uint32_t object) override;
  void Put(std::uint32_t object, std::uint32_t bytes) override;
  void Remove(std::uint32_t object) override;
  std::uint64_t used() const override;

  // Of all segments, now.
  double small_share() const { return small_share_; }
  // Bytes that were copied to make room, for each byte that was put.
  double copied_per_byte() const {
    return put_bytes_ == 0 ? 0
                           : static_cast<double>(copied_bytes_) / static_cast<double>(put_bytes_);
  }

 private:
  enum Log : std::uint32_t { kSmall, kMain };
  static constexpr std::uint32_t kNowhere = ~0U;
  struct Entry {
    std::uint32_t object;
    std::uint32_t bytes;
  };
  struct Segment {
    std::vector<Entry> entries{};
    std::uint64_t bytes = 0;
    std::uint64_t dead = 0;
    Log log = kSmall;
  };
  struct Place {
    std::uint32_t segment = kNowhere;
    std::uint32_t index = 0;
  };
  // Remembers objects, up to so many bytes of them.
  class Ghost {
   public:
    Ghost(std::uint32_t objects, std::uint64_t limit) : list_(objects), limit_(limit) {}
    void Remember(std::uint32_t object, std::uint32_t bytes);
    bool Forget(std::uint32_t object) { return list_.Remove(object) != 0; }
    std::uint64_t size() const { return list_.size(); }

   private:
    ObjectList list_;
    std::uint64_t limit_;
  };

  void Append(Log log, std::uint32_t object, std::uint32_t bytes);
  void Open(Log log);
  void MakeFree();
  bool EmptyDeadest();
  void Empty(std::uint32_t segment, bool keep_all);
  bool Keep(Log log, std::uint32_t object);
  void Evicted(Log log, const Entry& entry);
  void Adapt(std::uint32_t object);

  SegmentS3FifoOptions options_;
  std::uint64_t segment_bytes_;
  std::vector<Segment> segments_;
  std::vector<std::uint32_t> free_;
  std::array<std::deque<std::uint32_t>, 2> sealed_;  // oldest first
  std::array<std::uint32_t, 2> open_{kNowhere, kNowhere};
  std::vector<Place> places_;
  std::vector<std::uint8_t> uses_;
  Ghost ghost_;
  Ghost small_ghost_;  // this and the next only to adapt
  Ghost main_ghost_;
  double small_share_;
  double share_step_;
  std::uint64_t dead_bytes_ = 0;
  std::uint64_t put_bytes_ = 0;
  std::uint64_t copied_bytes_ = 0;
  testing::Random random_{1};
};

}  // namespace hearth::hitratio

#endif  // HEARTH_TESTS_HITRATIO_SEGMENT_S3FIFO_H_
