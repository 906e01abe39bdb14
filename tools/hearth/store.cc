#include "tools/hearth/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/units.h"
#include "core/cache/namespace_table.h"
#include "core/cache/reader.h"
#include "core/cache/verify.h"
#include "ipc/client/client.h"
#include "tools/hearth/table.h"
#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPageBytes = 4096;
constexpr std::array<const char*, 6> kStateNames = {"free",     "open",  "sealed",
                                                    "retiring", "index", "run body"};

// A store to look at, and whatever keeps its bytes alive.
struct Opened {
  std::unique_ptr<ipc::Client> client;
  std::unique_ptr<std::byte, decltype(&std::free)> image{nullptr, &std::free};
  std::optional<cache::StoreView> view;
  std::string what;  // for people
};

// The whole file, read and not mapped: it may shrink meanwhile.
Status ReadImage(const std::string& path, Opened* opened) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0)
    return ErrnoStatus(errno, fmt::format("cannot read '{}'", path));
  const auto size = static_cast<std::size_t>(info.st_size);
  if (!S_ISREG(info.st_mode) || size < kPageBytes)
    return Error(Code::kDataLoss, "'{}' is no image of a store: it has {} bytes", path, size);
  const std::size_t room = (size + kPageBytes - 1) / kPageBytes * kPageBytes;
  opened->image.reset(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, room)));
  if (opened->image == nullptr)
    return Error(Code::kResourceExhausted, "no memory for the {} of '{}'", FormatBytes(size), path);
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = ::read(fd.get(), opened->image.get() + have, size - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, fmt::format("cannot read '{}'", path));
    if (got == 0) return Error(Code::kDataLoss, "'{}' ended at {} of {} bytes", path, have, size);
    have += static_cast<std::size_t>(got);
  }
  HEARTH_ASSIGN(const cache::StoreView view, cache::StoreView::Of(opened->image.get(), size));
  opened->view = view;
  opened->what = path;
  return Status::Ok();
}

Result<Opened> Open(const GlobalOptions& global, const StoreCommand& command) {
  Opened opened;
  if (!command.image.empty()) {
    Status read = ReadImage(command.image, &opened);
    if (!read.ok()) return std::move(read).WithContext(command.image);
    return opened;
  }
  HEARTH_ASSIGN(opened.client, ConnectToStore(global, command.store, "hearth store"));
  opened.view = opened.client->reader()->view();
  opened.what = command.store.empty() ? "the store" : fmt::format("store '{}'", command.store);
  return opened;
}

struct NamespaceLine {
  std::uint32_t id;
  const cache::NamespaceRecord* record;
  std::string name;
};

std::vector<NamespaceLine> Namespaces(const cache::StoreView& view) {
  std::vector<NamespaceLine> lines;
  for (std::uint32_t id = 0; id < view.namespace_capacity(); ++id) {
    const cache::NamespaceRecord& record = view.namespace_record(id);
    if (cache::NamespaceStateOf(record.state.LoadRelaxed()) != cache::NamespaceState::kFree)
      lines.push_back({id, &record, std::string(cache::NamespaceName(record))});
  }
  return lines;
}

std::array<std::uint32_t, 6> CountSegments(const cache::StoreView& view) {
  std::array<std::uint32_t, 6> counts{};
  for (std::uint32_t i = 0; i < view.segment_count(); ++i) {
    const auto state = static_cast<std::size_t>(
        cache::SegmentStateOf(view.segment(i).state_generation.LoadRelaxed()));
    if (state < counts.size()) ++counts[state];
  }
  return counts;
}

std::string UuidText(const cache::StoreView& view) {
  shm::Uuid uuid;
  std::copy(std::begin(view.prefix().uuid), std::end(view.prefix().uuid), uuid.begin());
  return shm::FormatUuid(uuid);
}

Json InspectJson(const Opened& opened) {
  const cache::StoreView& view = *opened.view;
  const cache::StoreHeader& header = view.header();
  Json json;
  json["uuid"] = UuidText(view);
  json["epoch"] = view.prefix().epoch.LoadRelaxed();
  json["layout_version"] = view.prefix().layout_version;
  json["layout_fingerprint"] = fmt::format("{:#018x}", view.prefix().layout_fingerprint);
  json["bytes"] = view.prefix().region_bytes;
  json["segment_bytes"] = view.segment_bytes();
  json["max_value_bytes"] = view.max_value_bytes();
  json["entries"] = header.entry_count.LoadRelaxed();
  json["live_bytes"] = header.live_bytes.LoadRelaxed();
  json["evicted_entries"] = header.evicted_entries.LoadRelaxed();
  json["last_version"] = header.last_version.LoadRelaxed();
  json["index_pages"] = header.index_pages.LoadRelaxed();
  const auto counts = CountSegments(view);
  for (std::size_t i = 0; i < counts.size(); ++i) json["segments"][kStateNames[i]] = counts[i];
  json["namespaces"] = Json::array();
  for (const NamespaceLine& line : Namespaces(view)) {
    Json item;
    item["id"] = line.id;
    item["name"] = line.name;
    item["dropped"] = cache::NamespaceStateOf(line.record->state.LoadRelaxed()) ==
                      cache::NamespaceState::kDropped;
    item["used_bytes"] = line.record->used_bytes.LoadRelaxed();
    item["quota_min_bytes"] = line.record->quota_min_bytes.LoadRelaxed();
    item["quota_max_bytes"] = line.record->quota_max_bytes.LoadRelaxed();
    item["flushed_version"] = line.record->flushed_version.LoadRelaxed();
    json["namespaces"].push_back(std::move(item));
  }
  return json;
}

std::string InspectText(const Opened& opened) {
  const cache::StoreView& view = *opened.view;
  const cache::StoreHeader& header = view.header();
  const auto counts = CountSegments(view);
  std::uint64_t used = 0;
  std::string text = fmt::format("{}: {}, layout {} ({:016x}), uuid {}, epoch {}\n", opened.what,
                                 FormatBytes(view.prefix().region_bytes),
                                 view.prefix().layout_version, view.prefix().layout_fingerprint,
                                 UuidText(view), view.prefix().epoch.LoadRelaxed());
  Table segments({"SEGMENTS", ">COUNT", ">SIZE"});
  for (std::size_t i = 0; i < counts.size(); ++i)
    segments.Add({kStateNames[i], FormatCount(counts[i]),
                  FormatBytes(std::uint64_t{counts[i]} * view.segment_bytes())});
  for (std::uint32_t i = 0; i < view.segment_count(); ++i)
    used += view.segment(i).write_watermark.LoadRelaxed();
  const std::uint64_t live = header.live_bytes.LoadRelaxed();
  text += fmt::format("{} entries, {} of {} written are alive, {} evicted, versions up to {}\n\n",
                      FormatCount(header.entry_count.LoadRelaxed()), FormatBytes(live),
                      FormatBytes(used), FormatCount(header.evicted_entries.LoadRelaxed()),
                      FormatCount(header.last_version.LoadRelaxed()));
  Table namespaces({">ID", "NAMESPACE", ">USED", ">PROMISED", ">QUOTA", "STATE"});
  for (const NamespaceLine& line : Namespaces(view)) {
    const std::uint64_t quota = line.record->quota_max_bytes.LoadRelaxed();
    const bool live_one =
        cache::NamespaceStateOf(line.record->state.LoadRelaxed()) == cache::NamespaceState::kLive;
    namespaces.Add({fmt::format("{}", line.id), line.name,
                    FormatBytes(line.record->used_bytes.LoadRelaxed()),
                    FormatBytes(line.record->quota_min_bytes.LoadRelaxed()),
                    quota == 0 ? "store" : FormatBytes(quota), live_one ? "live" : "dropped"});
  }
  return text + segments.ToString() + "\n" + namespaces.ToString();
}

std::string VerifyJson(const cache::VerifyReport& report) {
  Json json;
  json["sound"] = report.sound();
  json["entries"] = report.entries;
  json["live_bytes"] = report.live_bytes;
  json["pages"] = report.pages;
  json["held_segments"] = report.held_segments;
  json["problem_count"] = report.problem_count;
  json["problems"] = report.problems;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string VerifyText(const Opened& opened, const cache::VerifyReport& report) {
  std::string text;
  for (const std::string& problem : report.problems) text += problem + "\n";
  if (report.problem_count > report.problems.size())
    text +=
        fmt::format("and {} more\n", FormatCount(report.problem_count - report.problems.size()));
  text += fmt::format(
      "{}: {} entries in {}, {} index pages looked at: {}\n", opened.what,
      FormatCount(report.entries), FormatBytes(report.live_bytes), FormatCount(report.pages),
      report.sound() ? "sound" : fmt::format("{} problems", FormatCount(report.problem_count)));
  return text;
}

Status WriteAll(int fd, const std::byte* bytes, std::uint64_t size) {
  for (std::uint64_t done = 0; done < size;) {
    const ssize_t wrote =
        ::write(fd, bytes + done, std::min<std::uint64_t>(size - done, 1U << 24U));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoStatus(errno, "cannot write the image");
    done += static_cast<std::uint64_t>(wrote);
  }
  return ::fsync(fd) == 0 ? Status::Ok() : ErrnoStatus(errno, "cannot write the image");
}

}  // namespace

ExitCode RunStoreInspect(const GlobalOptions& global, const StoreCommand& command) {
  const auto opened = Open(global, command);
  if (!opened.ok()) return Fail(opened.status());
  if (!global.json) return PrintOut(InspectText(*opened));
  return PrintOut(InspectJson(*opened).dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

ExitCode RunStoreVerify(const GlobalOptions& global, const StoreCommand& command) {
  const auto opened = Open(global, command);
  if (!opened.ok()) return Fail(opened.status());
  const cache::VerifyReport report = cache::Verify(*opened->view, cache::VerifyMode::kLive);
  const ExitCode printed = PrintOut(global.json ? VerifyJson(report) : VerifyText(*opened, report));
  return report.sound() ? printed : kExitFailure;
}

ExitCode RunStoreSave(const GlobalOptions& global, const StoreCommand& command,
                      const std::string& file) {
  const auto opened = Open(global, command);
  if (!opened.ok()) return Fail(opened.status());
  const UniqueFd fd(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!fd.valid()) return Fail(ErrnoStatus(errno, fmt::format("cannot create '{}'", file)));
  const shm::RegionPrefix& prefix = opened->view->prefix();
  Status written =
      WriteAll(fd.get(), reinterpret_cast<const std::byte*>(&prefix), prefix.region_bytes);
  if (written.ok()) return kExitOk;
  ::unlink(file.c_str());
  return Fail(std::move(written).WithContext(file));
}

}  // namespace hearth::cli
