#include "tools/hearth/command_line.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "core/base/units.h"
#include "ipc/session_layout.h"
#include "tools/hearth/cache.h"
#include "tools/hearth/help_text.h"
#include "tools/hearth/namespace.h"
#include "tools/hearth/prewarm.h"
#include "tools/hearth/scan.h"
#include "tools/hearth/session.h"
#include "tools/hearth/status.h"
#include "tools/hearth/store.h"
#include "tools/hearth/text.h"
#include "tools/hearth/usage.h"

namespace hearth::cli {
namespace {

// A duration option that ends in a number of ms or a chrono duration, or in a usage error.
template <class Parse, class Store>
CLI::Option* AddParsed(CLI::App* app, const std::string& name, const std::string& help,
                       const std::string& type, Parse parse, Store store) {
  return app
      ->add_option_function<std::string>(
          name,
          [name, parse, store](const std::string& text) {
            const auto parsed = parse(text);
            if (!parsed.ok()) throw CLI::ValidationError(name, parsed.status().message());
            store(*parsed);
          },
          help)
      ->type_name(type);
}

struct Everything {
  GlobalOptions global;
  GetOptions get;
  SetOptions set;
  CountOptions count;
  DelOptions del;
  PrewarmOptions prewarm;
  NamespaceCommand namespace_command;
  ScanCommandOptions scan;
  StoreCommand store;
  std::string store_file;
  std::function<ExitCode()> run;
};

// They are on the top and on every command, so that both `hearth --json status` and `hearth status
// --json` work without one command's words being taken for another's.
void AddGlobalOptions(CLI::App* app, GlobalOptions* global) {
  constexpr auto kGroup = "Options of every command";
  app->add_option("--socket", global->socket,
                  "hearthd's socket (default " + DefaultSocket() + ", or HEARTH_SOCKET)")
      ->type_name("PATH")
      ->group(kGroup);
  AddParsed(
      app, "--timeout", "How long one operation may take (default 5s)", "DURATION",
      [](const std::string& text) -> Result<std::chrono::nanoseconds> {
        HEARTH_ASSIGN(const auto timeout, ParseDuration(text));
        if (timeout.count() > 0) return timeout;
        return Error(Code::kInvalidArgument, "a timeout must be more than nothing");
      },
      [global](std::chrono::nanoseconds timeout) { global->timeout = timeout; })
      ->group(kGroup);
  app->add_flag("--json", global->json, "Print JSON")->group(kGroup);
}

void AddGlobalOptionsToAll(CLI::App* app, GlobalOptions* global) {
  AddGlobalOptions(app, global);
  for (CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) {
    command->group("Commands");
    AddGlobalOptionsToAll(command, global);
  }
}

CLI::App* AddCommand(CLI::App* parent, const std::string& name, const std::string& about,
                     const char* examples) {
  CLI::App* command = parent->add_subcommand(name, about);
  command->footer(examples);
  return command;
}

void AddPlace(CLI::App* command, Place* place) {
  command->add_option("-n,--namespace", place->namespace_name, "Namespace (default 'default')")
      ->type_name("NS");
  command->add_option("--store", place->store, "Store (default: hearthd's first)")
      ->type_name("NAME");
}

void AddTtl(CLI::App* command, ipc::EntryTtl* ttl) {
  AddParsed(command, "--ttl", "Life of the entries (default: the namespace's)", "DURATION",
            ParseTtl, [ttl](std::uint64_t ms) { ttl->hard_ms = ms; });
  AddParsed(command, "--soft-ttl", "Time after which they count as stale", "DURATION", ParseTtl,
            [ttl](std::uint64_t ms) { ttl->soft_ms = ms; });
}

void CheckTtl(const ipc::EntryTtl& ttl) {
  if (ttl.hard_ms != ipc::kTtlDefault && ttl.soft_ms != ipc::kTtlDefault &&
      ttl.soft_ms != ipc::kTtlNever && ttl.soft_ms > ttl.hard_ms)
    throw CLI::ValidationError("--soft-ttl", "it is longer than --ttl");
}

template <class Number>
Result<Number> ParseNumber(const std::string& text) {
  Number number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && stop == text.data() + text.size()) return number;
  return Error(Code::kInvalidArgument, "'{}' is no whole number of 64 bits", text);
}

// One of the commands that take a value. Their options share one place: only one of them runs.
void AddStoringCommand(CLI::App* cache, Everything* all, StoreHow how, const std::string& name,
                       const std::string& about, const char* examples) {
  CLI::App* command = AddCommand(cache, name, about, examples);
  SetOptions* set = &all->set;
  AddPlace(command, &set->place);
  command->add_option("KEY", set->key, "The key")->required()->type_name("");
  if (how == StoreHow::kIfVersion)
    AddParsed(command, "VERSION", "The version the entry must have", "", ParseNumber<std::uint64_t>,
              [set](std::uint64_t version) { set->expected_version = version; })
        ->required();
  if (how != StoreHow::kAppend) AddTtl(command, &set->ttl);
  CLI::Option* value =
      command->add_option("VALUE", set->value, "The value; - reads it from stdin")->type_name("");
  CLI::Option* file = command->add_option("--file", set->value_file, "Read the value from a file")
                          ->type_name("FILE");
  command->callback([all, set, how, value, file] {
    CheckTtl(set->ttl);
    if ((value->count() > 0) == (file->count() > 0))
      throw CLI::ValidationError("VALUE", "give either a value (- for stdin) or --file FILE");
    if (file->count() == 0 && set->value == "-") set->value_file = "-";
    set->how = how;
    all->run = [all] { return RunSet(all->global, all->set); };
  });
}

// incr, and decr where `sign` is -1.
void AddCountingCommand(CLI::App* cache, Everything* all, int sign, const std::string& name,
                        const std::string& about, const char* examples) {
  CLI::App* command = AddCommand(cache, name, about, examples);
  CountOptions* count = &all->count;
  AddPlace(command, &count->place);
  command->add_option("KEY", count->key, "The key")->required()->type_name("");
  AddParsed(command, "DELTA", "By how much (default 1)", "", ParseNumber<std::int64_t>,
            [count](std::int64_t delta) { count->step.delta = delta; });
  AddParsed(command, "--initial", "What a key that is not there counts as", "N",
            ParseNumber<std::int64_t>,
            [count](std::int64_t initial) { count->step.initial = initial; });
  AddTtl(command, &count->step.ttl);
  command->callback([all, count, sign, command] {
    CheckTtl(count->step.ttl);
    if (!count->step.initial && command->count("--ttl") + command->count("--soft-ttl") > 0)
      throw CLI::ValidationError("--ttl", "it is for a new entry, so it needs --initial");
    if (sign < 0 && count->step.delta == std::numeric_limits<std::int64_t>::min())
      throw CLI::ValidationError("DELTA", "it has no opposite");
    count->step.delta *= sign;
    all->run = [all] { return RunCount(all->global, all->count); };
  });
}

void AddStoringCommands(CLI::App* cache, Everything* all) {
  AddStoringCommand(cache, all, StoreHow::kAlways, "set", "Store a value under a key",
                    kSetExamples);
  AddStoringCommand(cache, all, StoreHow::kIfAbsent, "add",
                    "Store a value under a key that is not there", kAddExamples);
  AddStoringCommand(cache, all, StoreHow::kIfPresent, "replace",
                    "Store a value under a key that is there", kReplaceExamples);
  AddStoringCommand(cache, all, StoreHow::kIfVersion, "cas",
                    "Store a value over an entry of a known version", kCasExamples);
  AddStoringCommand(cache, all, StoreHow::kAppend, "append", "Put bytes behind a value",
                    kAppendExamples);
  AddCountingCommand(cache, all, 1, "incr", "Add to a number", kIncrExamples);
  AddCountingCommand(cache, all, -1, "decr", "Subtract from a number", kDecrExamples);
}

void AddScanCommands(CLI::App* cache, Everything* all) {
  ScanCommandOptions* options = &all->scan;
  CLI::App* scan = AddCommand(cache, "scan", "List the entries of a namespace", kScanExamples);
  scan->add_flag("--keys", options->keys_only, "Keys without values");
  AddParsed(scan, "--limit", "Entries, at most (default: all)", "N", ParseNumber<std::uint64_t>,
            [options](std::uint64_t limit) { options->limit = limit; });
  scan->add_option("--cursor", options->cursor, "Go on where another scan ended")
      ->type_name("CURSOR");
  scan->callback([all] { all->run = [all] { return RunScan(all->global, all->scan); }; });
  CLI::App* to_file =
      AddCommand(cache, "export", "Print all entries as 'prewarm' takes them", kExportExamples);
  to_file->callback([all] { all->run = [all] { return RunExport(all->global, all->scan); }; });
  for (CLI::App* command : {scan, to_file}) {
    AddPlace(command, &options->place);
    command->add_option("--prefix", options->prefix, "Only keys that begin with this")
        ->type_name("TEXT");
  }
}

void AddCacheCommands(CLI::App* app, Everything* all) {
  CLI::App* cache = app->add_subcommand("cache", "Read, write and remove single entries");
  cache->require_subcommand(1);
  cache->footer("'hearth cache COMMAND --help' has options and examples.");

  CLI::App* get = AddCommand(cache, "get", "Print the value of a key", kGetExamples);
  get->callback([all] { all->run = [all] { return RunGet(all->global, all->get); }; });
  AddPlace(get, &all->get.place);
  get->add_option("KEY", all->get.key, "The key")->required()->type_name("");
  get->add_flag("--raw", all->get.raw, "Exact bytes even on a terminal");
  get->add_flag("--meta", all->get.meta, "Also print size, version and expiry to stderr");

  AddStoringCommands(cache, all);
  AddScanCommands(cache, all);

  CLI::App* del = AddCommand(cache, "del", "Remove keys", kDelExamples);
  del->callback([all] { all->run = [all] { return RunDel(all->global, all->del); }; });
  AddPlace(del, &all->del.place);
  del->add_option("KEY", all->del.keys, "The keys")->required()->type_name("")->expected(1, -1);
}

// An option that names a setting of a namespace.
template <class Value, class Parse>
void AddSetting(CLI::App* command, NamespaceCommand* to, const std::string& name,
                const std::string& help, const std::string& type, Parse parse,
                Value ipc::NamespaceSettings::*setting, ipc::NamespaceField field) {
  AddParsed(command, name, help, type, parse, [to, setting, field](Value value) {
    to->settings.*setting = value;
    to->fields |= field;
  });
}

void AddSettings(CLI::App* command, NamespaceCommand* to) {
  using S = ipc::NamespaceSettings;
  AddSetting(command, to, "--ttl", "Life of entries set without one", "DURATION|none",
             ParseDefaultTtl, &S::hard_ttl_ms, ipc::kFieldHardTtl);
  AddSetting(command, to, "--soft-ttl", "When they count as stale", "DURATION|none",
             ParseDefaultTtl, &S::soft_ttl_ms, ipc::kFieldSoftTtl);
  AddSetting(command, to, "--quota-min", "What others cannot take from it", "SIZE", ParseBytes,
             &S::quota_min_bytes, ipc::kFieldQuotaMin);
  AddSetting(command, to, "--quota-max", "What it can have at most; 0: the store", "SIZE",
             ParseBytes, &S::quota_max_bytes, ipc::kFieldQuotaMax);
  AddSetting(command, to, "--refuse-when-full", "Refuse writes instead of evicting", "yes|no",
             ParseYesNo, &S::refuse_when_full, ipc::kFieldRefuseWhenFull);
  AddSetting(command, to, "--strict", "Miss while hearthd does not run", "yes|no", ParseYesNo,
             &S::strict, ipc::kFieldStrict);
  AddSetting(command, to, "--tinylfu", "Admission by frequency", "yes|no", ParseYesNo, &S::tiny_lfu,
             ipc::kFieldTinyLfu);
}

void AddNamespaceCommands(CLI::App* app, Everything* all) {
  CLI::App* parent = app->add_subcommand("namespace", "List, make and change namespaces");
  parent->require_subcommand(1);
  parent->footer(kNamespaceExamples);
  using Run = decltype(&RunNamespaceList);
  auto add = [&, to = &all->namespace_command](const char* name, const char* about,
                                               const char* examples, Run run) {
    CLI::App* command = AddCommand(parent, name, about, examples);
    command->add_option("--store", to->store, "Store (default: hearthd's first)")
        ->type_name("NAME");
    if (run != RunNamespaceList)
      command->add_option("NAME", to->settings.name, "The namespace")->required()->type_name("");
    if (run == RunNamespaceCreate || run == RunNamespaceAlter) AddSettings(command, to);
    command->callback([all, to, run, command] {
      if (run == RunNamespaceAlter && to->fields == 0)
        throw CLI::ValidationError(command->get_name(), "name at least one setting to change");
      all->run = [all, to, run] { return run(all->global, *to); };
    });
  };
  add("list", "Show all namespaces", kNamespaceListExamples, RunNamespaceList);
  add("create", "Make a namespace", kNamespaceCreateExamples, RunNamespaceCreate);
  add("alter", "Change settings of a namespace", kNamespaceAlterExamples, RunNamespaceAlter);
  add("drop", "Remove a namespace and all its entries", kNamespaceDropExamples, RunNamespaceDrop);
  add("flush", "Remove all entries of a namespace", kNamespaceFlushExamples, RunNamespaceFlush);
}

void AddStoreCommands(CLI::App* app, Everything* all) {
  CLI::App* parent = app->add_subcommand("store", "Look into the memory of a store");
  parent->require_subcommand(1);
  parent->footer("'hearth store COMMAND --help' has options and examples.");
  auto add = [&](const char* name, const char* about, const char* examples, bool image) {
    CLI::App* command = AddCommand(parent, name, about, examples);
    command->add_option("--store", all->store.store, "Store (default: hearthd's first)")
        ->type_name("NAME");
    if (image)
      command->add_option("--image", all->store.image, "A file that 'hearth store save' wrote")
          ->type_name("FILE")
          ->excludes("--store");
    return command;
  };
  add("inspect", "Show what is in a store", kStoreInspectExamples, true)->callback([all] {
    all->run = [all] { return RunStoreInspect(all->global, all->store); };
  });
  add("verify", "Check every entry and invariant of a store", kStoreVerifyExamples, true)
      ->callback([all] { all->run = [all] { return RunStoreVerify(all->global, all->store); }; });
  CLI::App* save = add("save", "Write a store's memory to a file", kStoreSaveExamples, false);
  save->add_option("FILE", all->store_file, "A new file")->required()->type_name("");
  save->callback([all] {
    all->run = [all] { return RunStoreSave(all->global, all->store, all->store_file); };
  });
}

void AddPrewarm(CLI::App* app, Everything* all) {
  PrewarmOptions* options = &all->prewarm;
  CLI::App* command =
      AddCommand(app, "prewarm", "Fill a namespace from JSON lines", kPrewarmExamples);
  AddPlace(command, &options->place);
  command->add_option("FILE", options->file, "The input; - for stdin")->required()->type_name("");
  command->add_option("--key", options->form.key_field, "The field that holds the key")
      ->type_name("FIELD");
  command
      ->add_option("--value", options->form.value_field,
                   "The field that holds the value (default: the whole line)")
      ->type_name("FIELD");
  command->add_option("--key-prefix", options->form.key_prefix, "Put this before every key")
      ->type_name("TEXT");
  AddTtl(command, &options->form.ttl);
  AddParsed(command, "--rate", "Records per second, at most", "N", ParseRate,
            [options](double rate) { options->rate = rate; });
  AddParsed(command, "--max-errors",
            "Rejected records that are no failure: 10, or 0.5% (default 0)", "N|N%",
            ParseErrorLimit, [options](ErrorLimit limit) { options->max_errors = limit; });
  command
      ->add_option("--rejects", options->rejects_file, "Write rejected lines there, as JSON lines")
      ->type_name("FILE");
  command->add_flag("--dry-run", options->dry_run, "Check everything and store nothing");
  command->callback([all, options] {
    CheckTtl(options->form.ttl);
    all->run = [all] { return RunPrewarm(all->global, all->prewarm); };
  });
}

}  // namespace

ExitCode RunCommandLine(int argc, char** argv) {
  Everything all;
  // An empty variable counts as none.
  if (const char* socket = std::getenv("HEARTH_SOCKET"); socket != nullptr)
    all.global.socket = socket;
  CLI::App app("Looks into a running hearthd and fills it.", "hearth");
  app.require_subcommand(1);
  app.set_version_flag("--version", "hearth " HEARTH_VERSION);
  app.footer(kExamples);
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.get_formatter()->label("REQUIRED", "");
  app.set_help_flag("-h,--help", "Print this help");
  AddCommand(&app, "status", "Show hearthd, its stores and its clients", kStatusExamples)
      ->callback([&all] { all.run = [&all] { return RunStatus(all.global); }; });
  AddCacheCommands(&app, &all);
  AddNamespaceCommands(&app, &all);
  AddPrewarm(&app, &all);
  AddStoreCommands(&app, &all);
  AddGlobalOptionsToAll(&app, &all.global);
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ExplainParseError(app, error, words);
  }
  return all.run();
}

}  // namespace hearth::cli
