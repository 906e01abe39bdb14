#include "tools/hearth/scan.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "core/cache/scanner.h"
#include "tools/hearth/entry_json.h"
#include "tools/hearth/interrupt.h"
#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

constexpr const char* kClientName = "hearth cache";
constexpr std::size_t kBufferBytes = 64 * 1024;
// Of entries in a row that change too fast to be read: the scan goes on where it stood.
constexpr int kMaxUnsteady = 100;

Result<cache::Scanner> Begin(const Connection& connection, const ScanCommandOptions& options) {
  const cache::ScanOptions what{.prefix = options.prefix, .values = !options.keys_only};
  const cache::StoreReader& reader = *connection.client->reader();
  if (options.cursor.empty()) return cache::Scanner::Begin(reader, connection.target.id, what);
  return cache::Scanner::Resume(reader, connection.target.id, what, options.cursor);
}

// Prints what `format` makes of each entry, in large pieces. `*cursor` is where it ended, empty at
// the end of the namespace.
ExitCode Print(const Connection& connection, const ScanCommandOptions& options, std::string* cursor,
               const std::function<void(const cache::ScannedEntry&, std::string*)>& format) {
  auto scanner = Begin(connection, options);
  if (!scanner.ok() && scanner.status().code() == Code::kFailedPrecondition) {
    // A cursor of something else, and not a hearthd of another version.
    Complain(scanner.status().message());
    return kExitFailure;
  }
  if (!scanner.ok()) return Fail(scanner.status());
  const Interrupt interrupt;
  cache::ScannedEntry entry;
  std::string out;
  std::uint64_t printed = 0;
  int unsteady = 0;
  while (options.limit == 0 || printed < options.limit) {
    if (interrupt.requested()) break;
    const auto more = scanner->Next(&entry);
    if (!more.ok() && more.status().code() == Code::kUnavailable && ++unsteady < kMaxUnsteady)
      continue;
    if (!more.ok()) return Fail(more.status());
    unsteady = 0;
    if (!*more) {
      cursor->clear();
      return PrintOut(out);
    }
    format(entry, &out);
    ++printed;
    if (out.size() < kBufferBytes) continue;
    if (const ExitCode written = PrintOut(out); written != kExitOk) return written;
    out.clear();
  }
  *cursor = scanner->Cursor();
  const ExitCode written = PrintOut(out);
  return interrupt.requested() ? kExitInterrupted : written;
}

std::string EntryJson(const cache::ScannedEntry& entry, bool keys_only, std::uint64_t now_ms) {
  Json json;
  PutBytes(&json, "key", entry.key);
  if (!keys_only) PutBytes(&json, "value", entry.value);
  json["bytes"] = entry.value_bytes;
  json["version"] = entry.version;
  json["ttl_ms"] = MsJson(Remaining(entry.hard_expiry_ms, now_ms));
  json["soft_ttl_ms"] = MsJson(Remaining(entry.soft_expiry_ms, now_ms));
  json["stale"] = entry.stale;
  return Dump(json);
}

// As prewarm reads it. A TTL of nothing at all is not one; such an entry is gone.
std::string ExportJson(const cache::ScannedEntry& entry, std::uint64_t now_ms) {
  Json json;
  json["key"] = entry.key;
  PutBytes(&json, "value", entry.value);
  const auto ttl = Remaining(entry.hard_expiry_ms, now_ms);
  const auto soft = Remaining(entry.soft_expiry_ms, now_ms);
  const auto text = [](std::uint64_t ms) {
    return fmt::format("{}ms", std::max<std::uint64_t>(ms, 1));
  };
  // Stated in any case: the namespace it is loaded into may have another default.
  json["ttl"] = ttl ? text(*ttl) : "never";
  json["soft_ttl"] = soft ? text(*soft) : "never";
  return Dump(json);
}

}  // namespace

ExitCode RunScan(const GlobalOptions& global, const ScanCommandOptions& options) {
  auto connection = ConnectTo(global, options.place, kClientName);
  if (!connection.ok()) return Fail(connection.status());
  const cache::StoreReader& reader = *connection->client->reader();
  std::string cursor;
  const ExitCode code =
      Print(*connection, options, &cursor, [&](const cache::ScannedEntry& entry, std::string* out) {
        if (global.json) {
          *out += EntryJson(entry, options.keys_only, reader.NowMs());
          return;
        }
        *out += EscapeControls(entry.key);
        if (!options.keys_only) *out += "\t" + EscapeControls(entry.value);
        *out += '\n';
      });
  if (!cursor.empty()) Complain("there may be more; go on with --cursor " + cursor);
  return code;
}

ExitCode RunExport(const GlobalOptions& global, const ScanCommandOptions& options) {
  auto connection = ConnectTo(global, options.place, kClientName);
  if (!connection.ok()) return Fail(connection.status());
  const cache::StoreReader& reader = *connection->client->reader();
  std::uint64_t left_out = 0;
  std::string cursor;
  const ExitCode code =
      Print(*connection, options, &cursor, [&](const cache::ScannedEntry& entry, std::string* out) {
        const std::uint64_t now_ms = reader.NowMs();
        if (entry.hard_expiry_ms <= now_ms) return;
        if (IsUtf8(entry.key)) {
          *out += ExportJson(entry, now_ms);
        } else {
          ++left_out;
        }
      });
  if (code != kExitOk || left_out == 0) return code;
  Complain(fmt::format("{} entries were left out: their keys are not UTF-8", left_out));
  return kExitFailure;
}

}  // namespace hearth::cli
