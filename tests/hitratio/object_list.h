// ObjectList: a queue of objects with their bytes; any of them is found, moved and removed in
// constant time, since objects are dense numbers.
#ifndef HEARTH_TESTS_HITRATIO_OBJECT_LIST_H_
#define HEARTH_TESTS_HITRATIO_OBJECT_LIST_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hearth::hitratio {

class ObjectList {
 public:
  explicit ObjectList(std::uint32_t objects) : links_(std::size_t{objects} + 1), end_(objects) {
    links_[end_] = {end_, end_, 0};
  }

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool Contains(std::uint32_t object) const { return links_[object].bytes != 0; }
  std::uint32_t BytesOf(std::uint32_t object) const { return links_[object].bytes; }
  // The one that was pushed first. REQUIRES: not empty.
  std::uint32_t Oldest() const { return links_[end_].previous; }

  // REQUIRES: not contained, bytes > 0.
  void Push(std::uint32_t object, std::uint32_t bytes) {
    const std::uint32_t newest = links_[end_].next;
    links_[object] = {end_, newest, bytes};
    links_[newest].previous = object;
    links_[end_].next = object;
    bytes_ += bytes;
    ++size_;
  }
  // Does nothing for an object that is not contained. Returns the bytes it had.
  std::uint32_t Remove(std::uint32_t object) {
    Link& link = links_[object];
    const std::uint32_t bytes = link.bytes;
    if (bytes == 0) return 0;
    links_[link.previous].next = link.next;
    links_[link.next].previous = link.previous;
    link.bytes = 0;
    bytes_ -= bytes;
    --size_;
    return bytes;
  }
  // To the place of the newest. REQUIRES: contained.
  void Renew(std::uint32_t object) { Push(object, Remove(object)); }
  // Keeps its place. REQUIRES: contained, bytes > 0.
  void Resize(std::uint32_t object, std::uint32_t bytes) {
    bytes_ += bytes;
    bytes_ -= links_[object].bytes;
    links_[object].bytes = bytes;
  }

 private:
  struct Link {
    std::uint32_t previous = 0;  // towards newer
    std::uint32_t next = 0;      // towards older
    std::uint32_t bytes = 0;     // 0 = not contained
  };
  std::vector<Link> links_;  // the last one closes the ring
  std::uint32_t end_;
  std::uint64_t bytes_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace hearth::hitratio

#endif  // HEARTH_TESTS_HITRATIO_OBJECT_LIST_H_
