#include "tests/hitratio/trace.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <unordered_map>

#include "core/cache/format.h"

namespace hearth::hitratio {
namespace {

struct ClosePipe {
  void operator()(std::FILE* pipe) const { ::pclose(pipe); }
};

// For a shell, whatever the path contains.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

std::uint32_t Trace::Charge(const Request& request) const {
  const std::uint32_t key_bits = key_bytes | (request.ttl_s != 0 ? cache::kEntryHasHardExpiry : 0U);
  return static_cast<std::uint32_t>(
      cache::PadEntry(cache::EntryBytes(key_bits, request.value_bytes)));
}

Footprint FootprintOf(const Trace& trace) {
  Footprint footprint;
  std::vector<bool> seen(trace.objects);
  for (const Request& request : trace.requests) {
    footprint.max_value_bytes = std::max(footprint.max_value_bytes, request.value_bytes);
    if (seen[request.object]) continue;
    seen[request.object] = true;
    ++footprint.objects;
    footprint.bytes += trace.Charge(request);
    footprint.value_bytes += request.value_bytes;
  }
  return footprint;
}

Result<Trace> ReadXzTrace(const std::string& path, const std::string& name) {
  if (::access(path.c_str(), R_OK) != 0)
    return Error(Code::kNotFound, "cannot read {}; give the folder of the traces with --traces",
                 path);
  const std::string command = "xz -dc -- " + Quoted(path);
  const std::unique_ptr<std::FILE, ClosePipe> pipe(::popen(command.c_str(), "r"));
  if (!pipe) return Error(Code::kUnavailable, "cannot start xz; install xz-utils");
  Trace trace;
  trace.name = name;
  trace.note = "recorded";
  std::unordered_map<std::uint32_t, std::uint32_t> numbers;
  unsigned char bytes[4];
  while (std::fread(bytes, 1, sizeof(bytes), pipe.get()) == sizeof(bytes)) {
    const std::uint32_t key = std::uint32_t{bytes[0]} | std::uint32_t{bytes[1]} << 8U |
                              std::uint32_t{bytes[2]} << 16U | std::uint32_t{bytes[3]} << 24U;
    const auto next = static_cast<std::uint32_t>(numbers.size());
    trace.requests.push_back({.object = numbers.emplace(key, next).first->second});
  }
  trace.objects = static_cast<std::uint32_t>(numbers.size());
  if (trace.requests.empty())
    return Error(Code::kDataLoss, "{} holds no requests, or xz could not unpack it", path);
  return trace;
}

}  // namespace hearth::hitratio
