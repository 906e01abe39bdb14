// Configuration: every key, every default, and every way to get it wrong.
#include "daemon/config.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/fd.h"

namespace hearth::daemon {
namespace {

Config Parsed(const std::string& text) {
  const Result<Config> config = ParseConfig(text, "hearth.toml");
  REQUIRE_MESSAGE(config.ok(), config.status().message());
  return *config;
}

// That `text` is refused at `place` ("line:column") for a reason that contains `what`.
void CheckWrong(const std::string& text, const std::string& place, std::string_view what) {
  CAPTURE(text);
  const Result<Config> config = ParseConfig(text, "hearth.toml");
  REQUIRE_FALSE(config.ok());
  CHECK(config.status().code() == Code::kInvalidArgument);
  const std::string& message = config.status().message();
  CHECK_MESSAGE(message.starts_with("hearth.toml:" + place + ": "), message);
  CHECK_MESSAGE(message.find(what) != std::string::npos, message);
}

TEST_CASE("an empty file is one store with one namespace, for the group of the socket") {
  const Config config = Parsed("");
  CHECK(config.socket == DefaultSocketPath());
  CHECK(config.socket_mode == 0660);
  CHECK(config.log_level == "info");
  CHECK_FALSE(config.user_mode);
  CHECK(config.policy.empty());
  REQUIRE(config.stores.size() == 1);
  CHECK(config.stores[0].name == "default");
  CHECK(config.stores[0].bytes == 256 * kMiB);
  CHECK(config.stores[0].segment_bytes == 2 * kMiB);
  CHECK(config.stores[0].max_namespaces == 4096);
  REQUIRE(config.stores[0].namespaces.size() == 1);
  const NamespaceConfig& item = config.stores[0].namespaces[0];
  CHECK(item.name == "default");
  CHECK(item.hard_ttl_ms == 0);
  CHECK(item.soft_ttl_ms == 0);
  CHECK(item.quota_max_bytes == 0);
  CHECK(item.evict);
  CHECK(config.limits.sessions == 4096);
  CHECK(config.limits.sessions_per_uid == 2048);
  CHECK(config.limits.channels == 8);
  CHECK(config.limits.ring_bytes == 4 * kMiB);
  CHECK(config.limits.message_bytes == 64 * kMiB);
  CHECK(config.limits.buffered_bytes_per_session == 128 * kMiB);
  CHECK(config.limits.memory_bytes_per_uid == kGiB);
  CHECK(config.limits.hello_timeout_ms == 5000);
  CHECK(config.limits.pin_max_ms == 1000);
}

TEST_CASE("without a file the daemon serves its own user alone") {
  const Config config = UserModeConfig();
  CHECK(config.user_mode);
  CHECK(config.socket_mode == 0600);
  CHECK(config.socket == DefaultSocketPath());
  REQUIRE(config.stores.size() == 1);
  CHECK(config.stores[0].namespaces.size() == 1);
}

constexpr const char* kEveryKey = R"(
[daemon]
socket = "/tmp/x.sock"
socket_mode = "0606"
log_level = "debug"

[limits]
sessions = 10
sessions_per_uid = 5
channels = 16
ring_size = "64KiB"
message_size = "1MiB"
buffered_per_session = 2097152
memory_per_uid = "3MiB"
hello_timeout = "250ms"
pin_max = "2s"

[[store]]
name = "first"
size = "64MiB"
segment_size = "1MiB"
max_namespaces = 10
max_value = "1MiB"
huge_pages = true
[[store.namespace]]
name = "users"
ttl = "5m"
soft_ttl = "250ms"
quota_min = "4MiB"
quota_max = "16MiB"
eviction = "none"
[[store.namespace]]
name = "other"
eviction = "s3-fifo"
admission = "tinylfu"
strict = true

[[store]]
name = "second"

[[policy]]
uid = 1000
gid = 2000
stores = ["first", "second"]
write = ["users"]
call = ["*"]
admin = true
)";

TEST_CASE("every key is read") {
  const Config config = Parsed(kEveryKey);
  CHECK(config.socket == "/tmp/x.sock");
  CHECK(config.socket_mode == 0606);
  CHECK(config.log_level == "debug");
  CHECK(config.limits.sessions == 10);
  CHECK(config.limits.sessions_per_uid == 5);
  CHECK(config.limits.channels == 16);
  CHECK(config.limits.ring_bytes == 64 * kKiB);
  CHECK(config.limits.message_bytes == kMiB);
  CHECK(config.limits.buffered_bytes_per_session == 2 * kMiB);
  CHECK(config.limits.memory_bytes_per_uid == 3 * kMiB);
  CHECK(config.limits.hello_timeout_ms == 250);
  CHECK(config.limits.pin_max_ms == 2000);
  REQUIRE(config.stores.size() == 2);
  CHECK(config.stores[1].name == "second");
  const StoreConfig& first = config.stores[0];
  CHECK(first.name == "first");
  CHECK(first.bytes == 64 * kMiB);
  CHECK(first.segment_bytes == kMiB);
  CHECK(first.max_namespaces == 10);
  CHECK(first.max_value_bytes == kMiB);
  CHECK(std::count_if(first.namespaces.begin(), first.namespaces.end(),
                      [](const NamespaceConfig& item) { return item.tiny_lfu; }) == 1);
  CHECK(first.huge_pages);
  CHECK_FALSE(config.stores[1].huge_pages);
  REQUIRE(first.namespaces.size() == 3);
  CHECK(first.namespaces[0].name == "default");
  CHECK(first.namespaces[1].name == "users");
  CHECK(first.namespaces[1].hard_ttl_ms == 300'000);
  CHECK(first.namespaces[1].soft_ttl_ms == 250);
  CHECK(first.namespaces[1].quota_min_bytes == 4 * kMiB);
  CHECK(first.namespaces[1].quota_max_bytes == 16 * kMiB);
  CHECK_FALSE(first.namespaces[1].evict);
  CHECK(first.namespaces[2].evict);
  CHECK_FALSE(first.namespaces[1].strict);
  CHECK(first.namespaces[2].strict);
  REQUIRE(config.policy.size() == 1);
  CHECK(config.policy[0].uid == 1000U);
  CHECK(config.policy[0].gid == 2000U);
  using Names = std::vector<std::string>;
  CHECK(config.policy[0].stores == Names{"first", "second"});
  CHECK(config.policy[0].write == Names{"users"});
  CHECK(config.policy[0].call == Names{"*"});
  CHECK(config.policy[0].admin);
}

TEST_CASE("a namespace 'default' that the file defines keeps its settings and its place") {
  const Config config = Parsed(
      "[[store]]\nname = 'default'\n[[store.namespace]]\nname = 'a'\n"
      "[[store.namespace]]\nname = 'default'\nttl = '1s'\n");
  REQUIRE(config.stores[0].namespaces.size() == 2);
  CHECK(config.stores[0].namespaces[1].name == "default");
  CHECK(config.stores[0].namespaces[1].hard_ttl_ms == 1000);
}

TEST_CASE("one store and one rule may be plain tables") {
  const Config config = Parsed("[store]\nname = 's'\n[policy]\nuid = 'root'\n");
  CHECK(config.stores[0].name == "s");
  CHECK(config.policy[0].uid == 0U);
}

TEST_CASE("users and groups are numbers or names that the system knows") {
  const group* some_group = ::getgrgid(0);
  REQUIRE(some_group != nullptr);
  const std::string name = some_group->gr_name;
  const Config config = Parsed("[[policy]]\ngid = '" + name + "'\n[[policy]]\nuid = 0\n");
  CHECK(config.policy[0].gid == 0U);
  CHECK_FALSE(config.policy[0].uid.has_value());
  CHECK(config.policy[1].uid == 0U);
  CheckWrong("[policy]\nuid = 'no-such-user'\n", "2:7", "not 'no-such-user'");
  CheckWrong("[policy]\ngid = 'no-such-group'\n", "2:7", "not 'no-such-group'");
  CheckWrong("[policy]\nuid = -1\n", "2:7", "'uid' must be a number or a name");
  // (uid_t)-1 means "nobody in particular" to every system call.
  CheckWrong("[policy]\nuid = 4294967295\n", "2:7", "'uid' must be");
  CheckWrong("[policy]\nuid = 1.5\n", "2:7", "'uid' must be");
  CheckWrong("[policy]\nadmin = true\n", "1:1", "needs a 'uid' or a 'gid'");
}

TEST_CASE("a syntax error is told with its place") {
  CheckWrong("[daemon]\nsocket = \n", "2:10", "");
  CheckWrong("[daemon\n", "1:8", "");
  CheckWrong("[daemon]\nsocket = 'a'\nsocket = 'b'\n", "3:10", "");
}

TEST_CASE("an unknown key is told with the nearest one that is known") {
  CheckWrong("[deamon]\n", "1:1", "unknown key 'deamon'; did you mean 'daemon'?");
  CheckWrong("[daemon]\nsoket = 'x'\n", "2:9", "unknown key 'soket'; did you mean 'socket'?");
  CheckWrong("[daemon]\nsocketmode = '0'\n", "2:14", "did you mean 'socket_mode'?");
  CheckWrong("[limits]\nchanels = 1\n", "2:11", "did you mean 'channels'?");
  CheckWrong("[store]\nsegmentsize = 1\n", "2:15", "did you mean 'segment_size'?");
  CheckWrong("[store]\n[[store.namespace]]\nname = 'n'\nsoft_tll = '1s'\n", "4:12",
             "did you mean 'soft_ttl'?");
  CheckWrong("[policy]\nuid = 0\nwrites = ['*']\n", "3:10", "did you mean 'write'?");
}

TEST_CASE("values of the wrong type are told with their place") {
  CheckWrong("[daemon]\nsocket = 1\n", "2:10", "'socket' must be a text in quotes");
  CheckWrong("[daemon]\nlog_level = true\n", "2:13", "'log_level' must be a text");
  CheckWrong("daemon = 1\n", "1:10", "'daemon' must be a table");
  CheckWrong("store = [1]\n", "1:10", "'store' must be a table");
  CheckWrong("[limits]\nsessions = '5'\n", "2:12", "'sessions' must be a whole number");
  CheckWrong("[limits]\nsessions = 5.0\n", "2:12", "'sessions' must be a whole number");
  CheckWrong("[limits]\nring_size = true\n", "2:13", "'ring_size' must be a size like");
  CheckWrong("[limits]\nring_size = -1\n", "2:13", "'ring_size' must be a size like");
  CheckWrong("[policy]\nuid = 0\nwrite = '*'\n", "3:9", "'write' must be a list of texts");
  CheckWrong("[policy]\nuid = 0\nwrite = ['a', 1]\n", "3:15", "'write' must be a list of texts");
  CheckWrong("[policy]\nuid = 0\nadmin = 'yes'\n", "3:9", "'admin' must be true or false");
}

TEST_CASE("sizes and durations need units that cannot be misread") {
  const std::string store = "[store]\nsize = ";
  CheckWrong(store + "'256M'\n", "2:8", "unit");
  CheckWrong(store + "'lots'\n", "2:8", "'size' must be a size like");
  CheckWrong(store + "''\n", "2:8", "'size' must be a size like");
  const std::string item = "[store]\n[[store.namespace]]\nname = 'n'\n";
  CheckWrong(item + "ttl = 5\n", "4:7", "'ttl' must be a duration like");
  CheckWrong(item + "ttl = '5'\n", "4:7", "unit");
  CheckWrong(item + "ttl = '-5s'\n", "4:7", "'ttl' must be a duration like");
  CheckWrong(item + "soft_ttl = '10us'\n", "4:12", "shorter than a millisecond");
  CHECK(Parsed(item + "ttl = '0'\n").stores[0].namespaces[1].hard_ttl_ms == 0);
}

TEST_CASE("numbers outside their range are told with the range") {
  CheckWrong("[limits]\nsessions = 0\n", "2:12", "from 1 to 100000");
  CheckWrong("[limits]\nsessions_per_uid = 100001\n", "2:20", "from 1 to 100000");
  CheckWrong("[limits]\nchannels = 17\n", "2:12", "from 1 to 16");
  CheckWrong("[limits]\nring_size = '8KiB'\n", "2:13", "between 16.0 KiB and 16.0 MiB");
  CheckWrong("[limits]\nring_size = '32MiB'\n", "2:13", "between 16.0 KiB and 16.0 MiB");
  CheckWrong("[limits]\nmessage_size = '1KiB'\n", "2:16", "between 64.0 KiB and 64.0 MiB");
  CheckWrong("[limits]\nbuffered_per_session = '2GiB'\n", "2:24", "between 64.0 KiB and 1.00 GiB");
  CheckWrong("[limits]\nmemory_per_uid = '1023KiB'\n", "2:18", "between 1.00 MiB and 1.00 TiB");
  CheckWrong("[limits]\nmemory_per_uid = '2TiB'\n", "2:18", "between 1.00 MiB and 1.00 TiB");
  CheckWrong("[limits]\nhello_timeout = '0'\n", "2:17", "between 1ms and 1h");
  CheckWrong("[limits]\nhello_timeout = '2h'\n", "2:17", "between 1ms and 1h");
  CheckWrong("[limits]\npin_max = '0'\n", "2:11", "between 1ms and 1m");
  CheckWrong("[limits]\npin_max = '61s'\n", "2:11", "between 1ms and 1m");
  CheckWrong("[store]\nsize = '1KiB'\n", "2:8", "between 1.00 MiB and 2.00 TiB");
  CheckWrong("[store]\nsegment_size = '4MiB'\n", "2:16", "between 64.0 KiB and 2.00 MiB");
  CheckWrong("[store]\nmax_value = '65MiB'\n", "2:13", "64.0 MiB");
  CheckWrong("[store]\nsize = '64MiB'\nmax_value = '17MiB'\n", "3:13", "a quarter of the store");
  CheckWrong("[[store.namespace]]\nname = 'n'\nadmission = 'lru'\n", "3:13", "tinylfu");
  CheckWrong("[[store.namespace]]\nname = 'n'\neviction = 'none'\nadmission = 'tinylfu'\n", "4:13",
             "a namespace that evicts");
  CheckWrong("[store]\nmax_namespaces = 1\n", "2:18", "from 2 to 65536");
  CheckWrong("[store]\nmax_namespaces = 65537\n", "2:18", "from 2 to 65536");
}

TEST_CASE("a ring size that is no power of two is refused") {
  CheckWrong("[limits]\nring_size = '100KiB'\n", "2:13", "'ring_size' must be a power of two");
  CHECK(Parsed("[limits]\nring_size = '128KiB'\n").limits.ring_bytes == 128 * kKiB);
}

TEST_CASE("names are needed, and may be given once") {
  CheckWrong("[[store]]\nname = ''\n", "1:1", "a store needs a 'name'");
  CheckWrong("[[store]]\nname = 'a'\n[[store]]\nname = 'a'\n", "3:1", "store 'a' is defined twice");
  CheckWrong("[[store]]\n[[store]]\n", "2:1", "store 'default' is defined twice");
  CheckWrong("[store]\n[[store.namespace]]\nttl = '1s'\n", "2:1", "a namespace needs a 'name'");
  CheckWrong("[store]\n[[store.namespace]]\nname = 'n'\n[[store.namespace]]\nname = 'n'\n", "4:1",
             "namespace 'n' is defined twice");
}

TEST_CASE("words from a list are told with the list") {
  CheckWrong("[daemon]\nlog_level = 'loud'\n", "2:13", "trace, debug, info, warn or error");
  CheckWrong("[store]\n[[store.namespace]]\nname = 'n'\neviction = 'lru'\n", "4:12",
             "must be \"s3-fifo\" or \"none\"");
  for (const char* level : {"trace", "debug", "info", "warn", "error"})
    CHECK(Parsed(std::string("[daemon]\nlog_level = '") + level + "'\n").log_level == level);
}

TEST_CASE("a socket mode is octal and has nothing but permissions") {
  for (const char* mode : {"0888", "1777", "rw", "-1", "0o660"})
    CheckWrong(std::string("[daemon]\nsocket_mode = '") + mode + "'\n", "2:15", "octal mode");
  CHECK(Parsed("[daemon]\nsocket_mode = '0777'\n").socket_mode == 0777);
}

TEST_CASE("a socket path has 1 to 107 bytes") {
  CheckWrong("[daemon]\nsocket = ''\n", "1:1", "must have 1 to 107");
  CheckWrong("[daemon]\nsocket = '" + std::string(108, 'x') + "'\n", "1:1", "has 108 bytes");
  CHECK(Parsed("[daemon]\nsocket = '" + std::string(107, 'x') + "'\n").socket.size() == 107);
}

TEST_CASE("what a store would refuse at its start is refused here, with its place") {
  const std::string item = "[store]\n[[store.namespace]]\nname = 'n'\n";
  CheckWrong("[store]\nsegment_size = '100KiB'\n", "2:16", "must be a power of two");
  CheckWrong("[store]\nsize = '8MiB'\n", "2:8", "room for 8 to 1048576 segments of 2.00 MiB");
  CheckWrong(item + "quota_max = '8MiB'\nquota_min = '9MiB'\n", "5:13", "must not exceed");
  CheckWrong(item + "quota_max = '3MiB'\n", "4:13", "at least two segments");
  CheckWrong(item + "ttl = '1s'\nsoft_ttl = '2s'\n", "5:12", "must not exceed");
  CheckWrong("[store]\nmax_namespaces = 2\n[[store.namespace]]\nname = 'n'\n", "2:18",
             "room for 1 namespaces, not 2");
}

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text) {
    const int fd = ::mkstemp(path_.data());
    REQUIRE(fd >= 0);
    UniqueFd closed(fd);
    REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/hearth-config-test-XXXXXX";
};

TEST_CASE("a file is read, and errors name it") {
  const TemporaryFile good("[daemon]\nlog_level = 'warn'\n");
  const auto config = LoadConfig(good.path());
  REQUIRE(config.ok());
  CHECK(config->log_level == "warn");
  const TemporaryFile bad("[daemon]\nlog_level = 'x'\n");
  const auto refused = LoadConfig(bad.path());
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().message().starts_with(bad.path() + ":2:13: "));
}

TEST_CASE("a file that cannot be read says why") {
  const auto absent = LoadConfig("/nonexistent/hearth.toml");
  REQUIRE_FALSE(absent.ok());
  CHECK(absent.status().code() == Code::kNotFound);
  CHECK(absent.status().message().find("/nonexistent/hearth.toml") != std::string::npos);
  CHECK_FALSE(LoadConfig("/tmp").ok());
}

TEST_CASE("the socket lies in the user's runtime directory, and in /run/hearth for root") {
  const char* old = std::getenv("XDG_RUNTIME_DIR");
  const std::string before = old == nullptr ? "" : old;
  ::setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
  CHECK(DefaultSocketPath() ==
        (::geteuid() == 0 ? "/run/hearth/hearthd.sock" : "/run/user/7/hearth/hearthd.sock"));
  ::setenv("XDG_RUNTIME_DIR", "relative", 1);
  CHECK(DefaultSocketPath() == "/run/hearth/hearthd.sock");
  ::unsetenv("XDG_RUNTIME_DIR");
  CHECK(DefaultSocketPath() == "/run/hearth/hearthd.sock");
  if (old != nullptr) ::setenv("XDG_RUNTIME_DIR", before.c_str(), 1);
}

}  // namespace
}  // namespace hearth::daemon
