// Engine: the real store under a trace. cache::Store and cache::StoreWriter in this process, no
// sockets; what arrives through rings in the daemon is called directly.
#ifndef HEARTH_TESTS_HITRATIO_ENGINE_H_
#define HEARTH_TESTS_HITRATIO_ENGINE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/cache/writer.h"
#include "tests/hitratio/trace.h"
#include "tests/support/seed.h"
#include "tests/support/test_store.h"

namespace hearth::hitratio {

// Whether the store's writer can be told of reads, on which any policy but FIFO depends. Asked in
// this way so that the same source measures stores of both kinds.
template <class Writer>
concept HearsReads = requires(Writer& writer, std::uint64_t hash) {
  writer.NoteRead(hash);
};

template <class Writer>
void NoteRead(Writer& writer, std::uint64_t hash) {
  if constexpr (HearsReads<Writer>) writer.NoteRead(hash);
}

struct EngineOptions {
  std::uint32_t segments = 128;
  std::uint64_t segment_bytes = 64 * kKiB;
  // Clients report reads through buffers that lose some when they are full, and that are drained
  // now and then.
  std::uint32_t lost_touches = 0;  // per cent
  std::uint32_t touch_batch = 1;   // reads that are reported together
  std::uint64_t seed = 1;
  bool tiny_lfu = false;  // admission by frequency
};

// Moves the store's clock with the trace, so entries expire in it.
class Engine {
 public:
  Engine(const Trace& trace, const EngineOptions& options);

  // Serves one request as a service does; true for a read that hit. A wrong value or a refused
  // write is a broken engine and stops the process.
  bool Serve(const Request& request, std::uint64_t now_ms);

  // Bytes for entries: the whole data area without the segments that hold index pages, which is
  // where a store of more entries has fewer of them. Entry headers are charged to all policies.
  std::uint64_t entry_budget() const;
  std::uint64_t live_bytes() const { return store_.view().header().live_bytes.LoadRelaxed(); }
  // Empty if every invariant and counter of the store holds.
  std::vector<std::string> BrokenInvariants() const {
    return testing::FindBrokenInvariants(store_.view());
  }

 private:
  std::string_view KeyOf(std::uint32_t object);
  void Touch(std::string_view key);
  void Set(const Request& request, std::string_view key);

  EngineOptions options_;
  testing::TestStore store_;
  std::uint16_t namespace_;
  std::uint64_t now_ms_ = 0;
  std::string key_;
  std::string content_;
  std::string value_;
  std::vector<std::uint32_t> sizes_;  // of the last value set, by object
  std::vector<std::uint64_t> touches_;
  testing::Random random_;
};

// The eviction policy of the engine in this tree, for reports.
std::string_view EnginePolicyName();

}  // namespace hearth::hitratio

#endif  // HEARTH_TESTS_HITRATIO_ENGINE_H_
