// What `--help` says below the options: how a command behaves, and examples.
#ifndef HEARTH_TOOLS_HEARTH_HELP_TEXT_H_
#define HEARTH_TOOLS_HEARTH_HELP_TEXT_H_

namespace hearth::cli {

inline constexpr const char* kExamples = R"(Examples:
  hearth status                          what runs, how full it is, who is connected
  hearth cache get user:42               the value, on stdout
  hearth prewarm -n users users.jsonl    fill a namespace from a file

Exit codes: 0 done, 1 failed (no such key, rejected records), 2 wrong command line,
3 hearthd is not running, 4 denied, 5 incompatible, 75 full or overloaded, 124 timed out,
130 interrupted.
'hearth COMMAND --help' has the options and examples of a command.)";

inline constexpr const char* kStatusExamples = R"(Examples:
  hearth status
  hearth status --json | jq '.stores[].entries'
  until hearth status >/dev/null 2>&1; do sleep 0.1; done    wait for hearthd)";

inline constexpr const char* kGetExamples =
    R"(Writes the value to stdout byte for byte. On a terminal control characters are shown
escaped, unless --raw is given. With --json a value that is not UTF-8 comes as
"value_base64".

Examples:
  hearth cache get user:42
  hearth cache get -n images logo.png > logo.png
  hearth cache get --meta user:42        also version, size and expiry, on stderr
  hearth cache get --json user:42 | jq -r .value)";

inline constexpr const char* kSetExamples =
    R"(Durations: 250ms, 30s, 5m, 2h, 7d; 'never' for no expiry. Without --ttl the namespace's
default applies. After its soft TTL an entry is still found, and marked stale.

Examples:
  hearth cache set greeting hello
  hearth cache set -n images --ttl 1h logo.png --file logo.png
  generate-report | hearth cache set report -
  hearth cache set -- -odd-key '-odd-value'      after -- nothing is an option)";

inline constexpr const char* kAddExamples =
    R"(Stores the value if the key is not there; otherwise the exit code is 1 and nothing changes.
So of any number of processes that try, one succeeds.

Examples:
  hearth cache add nightly-report "$HOSTNAME" --ttl 1h && make-report
  generate | hearth cache add report -)";

inline constexpr const char* kReplaceExamples =
    R"(Stores the value if the key is there; otherwise the exit code is 1 and nothing changes.

Examples:
  hearth cache replace greeting hello --ttl 5m
  hearth cache replace -n images logo.png --file logo.png)";

inline constexpr const char* kCasExamples =
    R"(Stores the value if the entry has this version, which 'hearth cache get --json' shows, and
every command that stores with --json. Otherwise the exit code is 1 and nothing changes.

Examples:
  version=$(hearth cache get --json config | jq .version)
  hearth cache cas config "$version" - < config.new)";

inline constexpr const char* kIncrExamples =
    R"(Adds to a decimal number and prints the sum. The entry keeps its expiry. Without --initial a
key that is not there is an error; with it such a key counts as that number, to which the
change is added, and --ttl is for the entry this creates.

Examples:
  hearth cache incr visits
  hearth cache incr visits 10 --initial 0 --ttl 1h
  hearth cache incr visits -10           the same as 'hearth cache decr visits 10')";

inline constexpr const char* kDecrExamples =
    R"(Subtracts from a decimal number, also below zero, and prints the difference; the rest is as
with 'hearth cache incr'.

Examples:
  hearth cache decr places
  hearth cache decr places 2 --initial 100)";

inline constexpr const char* kAppendExamples =
    R"(Puts bytes behind the value of a key that is there; the entry keeps its expiry.

Examples:
  hearth cache append visits ,search
  tail -n 1 log | hearth cache append log -)";

inline constexpr const char* kDelExamples =
    R"(Removes all keys it finds; the exit code is 1 when one was not there.

Examples:
  hearth cache del user:42
  hearth cache del -n users 41 42 43)";

inline constexpr const char* kNamespaceExamples =
    R"(Namespaces made here last until they are dropped or hearthd starts with an empty store; those of
its configuration come back then. Changing them takes a policy rule with admin = true, flushing
one the right to write to it.
'hearth namespace COMMAND --help' has options and examples.)";

inline constexpr const char* kNamespaceListExamples = R"(Examples:
  hearth namespace list
  hearth namespace list --json | jq -r '.[].name')";

inline constexpr const char* kNamespaceCreateExamples =
    R"(Sizes: 512KiB, 64MiB, 2GiB; they count in whole segments of the store.

Examples:
  hearth namespace create users --ttl 5m --soft-ttl 1m
  hearth namespace create images --quota-min 64MiB --quota-max 1GiB
  hearth namespace create jobs --refuse-when-full yes)";

inline constexpr const char* kNamespaceAlterExamples =
    R"(What is not named stays. Entries that are there keep their expiry.

Examples:
  hearth namespace alter users --ttl none
  hearth namespace alter images --quota-max 2GiB)";

inline constexpr const char* kNamespaceDropExamples =
    R"(Whoever has it open reads nothing any more and cannot write, also when there is one of the
same name again.

Examples:
  hearth namespace drop users)";

inline constexpr const char* kNamespaceFlushExamples =
    R"(In one step for all readers, however many entries there are.

Examples:
  hearth namespace flush users)";

inline constexpr const char* kScanExamples =
    R"(Prints a line for each entry: key, tab, value, with control characters escaped, in no
particular order; with --json an object. hearthd is not asked, and notices nothing. A key
that is there all the time is printed whatever happens meanwhile, usually once; there is no
snapshot. With --limit stderr says how to go on.

Examples:
  hearth cache scan --prefix session: --keys | wc -l
  hearth cache scan -n users --json | jq -r 'select(.bytes > 10000).key'
  hearth cache scan --limit 100
  hearth cache scan --limit 100 --cursor 01...)";

inline constexpr const char* kExportExamples =
    R"(Prints JSON lines that 'hearth prewarm' takes, with what is left of each TTL. Keys that are
not UTF-8 are left out, counted, and make the exit code 1.

Examples:
  hearth cache export -n users > users.jsonl
  hearth cache export --prefix session: | hearth --socket /run/other.sock prewarm -)";

inline constexpr const char* kStoreInspectExamples = R"(Examples:
  hearth store inspect
  hearth store inspect --image crashed.img --json | jq .segments)";

inline constexpr const char* kStoreVerifyExamples =
    R"(Reads every entry, so it takes as long as reading the store's memory once. hearthd serves on
meanwhile and is not slowed down. Exit code 1 if anything is wrong.

Examples:
  hearth store verify
  hearth store verify --image crashed.img)";

inline constexpr const char* kStoreSaveExamples =
    R"(The file holds every key and value: it is created with mode 0600, and has the size of the store.

Examples:
  hearth store save crashed.img)";

inline constexpr const char* kPrewarmExamples =
    R"(One JSON object per line. Without --key and --value:
  {"key": "user:42", "value": ANY, "ttl": "5m", "soft_ttl": "1m"}
where "ttl" and "soft_ttl" may be left out and "value_base64" may stand for "value". A value
that is a JSON string is stored as its content, any other as its JSON text. With --key FIELD
the value is the whole line, or the field that --value names. Empty lines are skipped.

A line that cannot be loaded is counted and explained, and stops nothing: everything good is
loaded. The exit code is 1 when there were more of them than --max-errors (default: none).

Examples:
  hearth prewarm users.jsonl
  zcat users.jsonl.gz | hearth prewarm -n users --key id --key-prefix user: -
  hearth prewarm --max-errors 0.1% --rejects bad.jsonl --json users.jsonl
  hearth prewarm --dry-run users.jsonl   check the file against a running hearthd)";

}  // namespace hearth::cli

#endif  // HEARTH_TOOLS_HEARTH_HELP_TEXT_H_
