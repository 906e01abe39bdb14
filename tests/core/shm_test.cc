// core/shm: sealed memory files, mappings, the frozen prefix, layout descriptions.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "core/shm/layout.h"
#include "core/shm/memory.h"
#include "core/shm/region.h"
#include "tests/support/child_process.h"

namespace hearth::shm {
namespace {

using testing::Channel;
using testing::ChildProcess;

constexpr std::uint64_t kBytes = 256 * 1024;

UniqueFd MustCreate(std::uint64_t bytes = kBytes) {
  auto fd = CreateMemory("shm_test", bytes);
  REQUIRE(fd.ok());
  return std::move(fd).value();
}

struct stat StatOf(int fd) {
  struct stat info {};
  REQUIRE(::fstat(fd, &info) == 0);
  return info;
}

// ---------------------------------------------------------------------------------------- memory
TEST_CASE("memory: is private to its user, of the size asked for, and allocated completely") {
  const UniqueFd fd = MustCreate();
  const struct stat info = StatOf(fd.get());
  CHECK((info.st_mode & 07777U) == 0600U);
  CHECK(info.st_size == static_cast<off_t>(kBytes));
  CHECK(info.st_blocks * 512 == static_cast<blkcnt_t>(kBytes));
  CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(*SealedSize(fd.get()) == kBytes);
}

TEST_CASE("memory: in huge pages is the same memory, whatever the machine has to give") {
  const std::string setting = SharedHugePages();
  CHECK_MESSAGE((setting.empty() ||
                 setting.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos),
                setting);
  constexpr std::uint64_t kUneven = 5 * 1024 * 1024 + 8192;
  const auto fd = CreateMemory("shm_test", kUneven, PageSize::kHuge);
  REQUIRE(fd.ok());
  const struct stat info = StatOf(fd->get());
  CHECK(info.st_size == static_cast<off_t>(kUneven));
  CHECK(info.st_blocks * 512 >= static_cast<blkcnt_t>(kUneven));
  CHECK((info.st_mode & 07777U) == 0600U);
  CHECK(::ftruncate(fd->get(), kUneven / 2) == -1);
  CHECK(*SealedSize(fd->get()) == kUneven);
  auto mapped = Mapping::Map(fd->get(), Access::kReadWrite);
  REQUIRE(mapped.ok());
  CHECK(std::all_of(mapped->data(), mapped->data() + kUneven,
                    [](std::byte byte) { return byte == std::byte{0}; }));
  CHECK(CreateMemory("shm_test", std::uint64_t{1} << 60U, PageSize::kHuge).status().code() ==
        Code::kResourceExhausted);
}

TEST_CASE("memory: can neither shrink nor grow, but be written and mapped writable again") {
  const UniqueFd fd = MustCreate();
  CHECK(::ftruncate(fd.get(), kBytes / 2) == -1);
  CHECK(errno == EPERM);
  CHECK(::ftruncate(fd.get(), kBytes * 2) == -1);
  CHECK(errno == EPERM);
  CHECK(::fallocate(fd.get(), 0, kBytes, 4096) == -1);
  const auto seals = static_cast<unsigned>(::fcntl(fd.get(), F_GET_SEALS));
  CHECK((seals & (F_SEAL_SHRINK | F_SEAL_GROW)) == (F_SEAL_SHRINK | F_SEAL_GROW));
  CHECK((seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) == 0);
  CHECK(Mapping::Map(fd.get(), Access::kReadWrite).ok());
}

TEST_CASE("memory: begins with zeros, and what one mapping writes the other reads") {
  const UniqueFd fd = MustCreate();
  auto writable = Mapping::Map(fd.get(), Access::kReadWrite);
  REQUIRE(writable.ok());
  auto read_only_fd = OpenReadOnly(fd);
  REQUIRE(read_only_fd.ok());
  auto readable = Mapping::Map(read_only_fd->get(), Access::kReadOnly);
  REQUIRE(readable.ok());
  REQUIRE(readable->size() == kBytes);
  CHECK(reinterpret_cast<std::uintptr_t>(readable->data()) % 4096 == 0);
  for (std::uint64_t i = 0; i < kBytes; ++i) REQUIRE(readable->data()[i] == std::byte{0});
  writable->data()[kBytes - 1] = std::byte{7};
  CHECK(readable->data()[kBytes - 1] == std::byte{7});
}

TEST_CASE("memory: a mapping outlives its descriptor and moves without moving its bytes") {
  UniqueFd fd = MustCreate();
  auto mapped = Mapping::Map(fd.get(), Access::kReadWrite);
  REQUIRE(mapped.ok());
  fd.Reset();
  std::byte* const at = mapped->data();
  at[5] = std::byte{9};
  Mapping moved = std::move(mapped).value();
  CHECK(moved.data() == at);
  CHECK(moved.data()[5] == std::byte{9});
  Mapping assigned;
  assigned = std::move(moved);
  CHECK(assigned.data() == at);
  CHECK(moved.data() == nullptr);  // NOLINT(bugprone-use-after-move): that is what is tested
  CHECK(moved.size() == 0);
}

// The kernel's own limit on file sizes stands in for memory that runs out: a memfd that is allowed
// to grow takes the machine's last page before it fails.
TEST_CASE("memory: an allocation the kernel refuses is an error and leaves nothing behind") {
  auto child = ChildProcess::Fork([](Channel&) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{kBytes, kBytes};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    const UniqueFd before(::dup(STDERR_FILENO));
    const auto fd = CreateMemory("shm_test", kBytes + 4096);
    if (fd.ok() || fd.status().message().find("cannot allocate 266240 bytes") != 0) return 1;
    const UniqueFd after(::dup(STDERR_FILENO));
    return after.get() == before.get() + 1 && CreateMemory("shm_test", kBytes).ok() ? 0 : 3;
  });
  REQUIRE(child.ok());
  CHECK(child->Wait() == 0);
}

TEST_CASE("memory: more than the machine has left is refused before it is tried") {
  const auto fd = CreateMemory("shm_test", std::uint64_t{1} << 60U);
  REQUIRE(!fd.ok());
  CHECK(fd.status().code() == Code::kResourceExhausted);
  CHECK(fd.status().message().find("the machine has") != std::string::npos);
}

TEST_CASE("memory: without descriptors the error says so") {
  auto child = ChildProcess::Fork([](Channel&) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_NOFILE, &none);
    const auto fd = CreateMemory("shm_test", kBytes);
    return !fd.ok() && fd.status().code() == Code::kResourceExhausted ? 0 : 1;
  });
  REQUIRE(child.ok());
  CHECK(child->Wait() == 0);
}

TEST_CASE("map: only memory sealed against shrinking is accepted") {
  const UniqueFd unsealed(::memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::ftruncate(unsealed.get(), kBytes) == 0);
  const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const UniqueFd device(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  for (const int fd : {unsealed.get(), file.get(), device.get(), -1}) {
    const auto mapped = Mapping::Map(fd, Access::kReadOnly);
    REQUIRE(!mapped.ok());
    CHECK(mapped.status().code() == Code::kDataLoss);
    CHECK(mapped.status().message().find("not shared memory sealed") != std::string::npos);
  }
  const UniqueFd empty(::memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::fcntl(empty.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  CHECK(Mapping::Map(empty.get(), Access::kReadOnly).status().code() == Code::kDataLoss);
}

TEST_CASE("map: a read-only descriptor cannot be mapped writable") {
  const UniqueFd fd = MustCreate();
  const auto read_only = OpenReadOnly(fd);
  REQUIRE(read_only.ok());
  CHECK((::fcntl(read_only->get(), F_GETFL) & O_ACCMODE) == O_RDONLY);
  const auto mapped = Mapping::Map(read_only->get(), Access::kReadWrite);
  REQUIRE(!mapped.ok());
  CHECK(mapped.status().code() == Code::kPermissionDenied);
  // Nor can a read-only mapping be made writable afterwards.
  const auto readable = Mapping::Map(read_only->get(), Access::kReadOnly);
  REQUIRE(readable.ok());
  CHECK(::mprotect(readable->data(), 4096, PROT_READ | PROT_WRITE) == -1);
}

// errno of reopening `fd` writable through /proc as user 65534, 0 when it worked, -1 when the
// experiment could not be made.
int ReopenAsNobody(int fd) {
  auto child = ChildProcess::Fork([fd](Channel& channel) {
    constexpr uid_t kNobody = 65534;
    int result = -1;
    if (::setresgid(kNobody, kNobody, kNobody) == 0 &&
        ::setresuid(kNobody, kNobody, kNobody) == 0) {
      // As a program started under that user would be, so that its own /proc is open to it.
      ::prctl(PR_SET_DUMPABLE, 1);
      const std::string path = fmt::format("/proc/self/fd/{}", fd);
      const UniqueFd writable(::open(path.c_str(), O_RDWR | O_CLOEXEC));
      result = writable.valid() ? 0 : errno;
    }
    return channel.Send(result) ? 0 : 1;
  });
  REQUIRE(child.ok());
  int result = -1;
  REQUIRE(child->channel().Receive(&result));
  CHECK(child->Wait() == 0);
  return result;
}

TEST_CASE("permission: another user cannot turn a read-only descriptor into a writable one") {
  if (::geteuid() != 0) {
    fmt::print("SKIP core_shm_test/permission: needs root, to become another user\n");
    return;
  }
  const UniqueFd fd = MustCreate();
  const auto read_only = OpenReadOnly(fd);
  REQUIRE(read_only.ok());
  CHECK(ReopenAsNobody(read_only->get()) == EACCES);
  // The control: with the mode a memfd is born with, the very same steps succeed.
  REQUIRE(::fchmod(fd.get(), 0777) == 0);
  CHECK(ReopenAsNobody(read_only->get()) == 0);
  REQUIRE(::fchmod(fd.get(), 0600) == 0);
  CHECK(ReopenAsNobody(read_only->get()) == EACCES);
}

// ---------------------------------------------------------------------------------------- prefix
constexpr RegionExpectation kExpected{RegionKind::kStore, 3, 0x1122334455667788U};

std::unique_ptr<RegionPrefix> Published() {
  auto prefix = std::make_unique<RegionPrefix>();
  std::memset(static_cast<void*>(prefix.get()), 0, sizeof(RegionPrefix));
  InitRegion(*prefix, kExpected, 4096, kBytes, MakeUuid());
  PublishRegion(*prefix);
  return prefix;
}

TEST_CASE("prefix: what was published is accepted") {
  const auto prefix = Published();
  CHECK(CheckRegion(*prefix, kBytes, kExpected).ok());
  CHECK(prefix->epoch.LoadRelaxed() == 1);
}

TEST_CASE("prefix: each rule refuses the one field that breaks it, and says what it found") {
  const struct {
    const char* what;
    std::function<void(RegionPrefix&)> damage;
    Code code;
    const char* message;
  } rules[] = {
      {"no magic yet", [](RegionPrefix& p) { p.magic.StoreRelaxed(0); }, Code::kUnavailable,
       "still being created"},
      {"another magic", [](RegionPrefix& p) { p.magic.StoreRelaxed(kRegionMagic ^ 1U); },
       Code::kDataLoss, "not a region of Hearth: magic 0x0100485452414549"},
      {"another kind", [](RegionPrefix& p) { p.kind = 2; }, Code::kDataLoss,
       "of kind 2, expected 1"},
      {"a newer version", [](RegionPrefix& p) { p.layout_version = 4; }, Code::kFailedPrecondition,
       "layout version 4, this build reads version 3"},
      {"an older version", [](RegionPrefix& p) { p.layout_version = 2; }, Code::kFailedPrecondition,
       "layout version 2, this build reads version 3"},
      {"another fingerprint", [](RegionPrefix& p) { p.layout_fingerprint ^= 1U; },
       Code::kFailedPrecondition, "1122334455667789, this build reads 1122334455667788"},
      {"another size", [](RegionPrefix& p) { p.region_bytes += 1; }, Code::kDataLoss,
       "claims 262145 bytes"},
      {"a header beyond the end", [](RegionPrefix& p) { p.header_bytes = kBytes + 1; },
       Code::kDataLoss, "(262145 of header)"},
      {"not live", [](RegionPrefix& p) { p.state.StoreRelaxed(0); }, Code::kUnavailable,
       "not live (state 0)"},
      {"an unknown state", [](RegionPrefix& p) { p.state.StoreRelaxed(9); }, Code::kUnavailable,
       "not live (state 9)"},
  };
  for (const auto& rule : rules) {
    CAPTURE(rule.what);
    const auto prefix = Published();
    rule.damage(*prefix);
    const Status status = CheckRegion(*prefix, kBytes, kExpected);
    CHECK(status.code() == rule.code);
    CHECK_MESSAGE(status.message().find(rule.message) != std::string::npos, status.message());
  }
}

TEST_CASE("prefix: less memory than a prefix is refused before anything in it is looked at") {
  const auto prefix = Published();
  for (const std::uint64_t bytes : {0U, 1U, 127U}) {
    const Status status = CheckRegion(*prefix, bytes, kExpected);
    CHECK(status.code() == Code::kDataLoss);
    CHECK(status.message().find("fewer than its prefix") != std::string::npos);
  }
}

TEST_CASE("prefix: uuids are of version 4, differ, and print as others print them") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const Uuid uuid = MakeUuid();
    CHECK((uuid[6] & 0xf0U) == 0x40U);
    CHECK((uuid[8] & 0xc0U) == 0x80U);
    CHECK(seen.insert(FormatUuid(uuid)).second);
  }
  Uuid counting;
  for (std::size_t i = 0; i < counting.size(); ++i) counting[i] = static_cast<std::uint8_t>(i * 17);
  CHECK(FormatUuid(counting) == "00112233-4455-6677-8899-aabbccddeeff");
}

// ---------------------------------------------------------------------------------------- layout
TEST_CASE("layout: gaps and overlaps are noticed") {
  constexpr FieldLayout kDense[] = {{"a", 0, 4}, {"b", 4, 4}};
  constexpr FieldLayout kGap[] = {{"a", 0, 4}, {"b", 8, 8}};
  constexpr FieldLayout kOverlap[] = {{"a", 0, 4}, {"b", 2, 4}};
  static_assert(CoversWithoutPadding(kDense, 8));
  static_assert(!CoversWithoutPadding(kDense, 12));
  static_assert(!CoversWithoutPadding(kGap, 16));
  static_assert(!CoversWithoutPadding(kOverlap, 6));
  CHECK(CoversWithoutPadding(kDense, 8));
}

TEST_CASE("layout: the fingerprint changes with every name, size, offset and the order") {
  const FieldLayout fields[] = {{"a", 0, 4}, {"b", 4, 4}};
  const StructLayout base[] = {{"S", 8, fields}, {"T", 8, fields}};
  std::set<std::uint64_t> seen = {Fingerprint(base)};
  const FieldLayout renamed[] = {{"a", 0, 4}, {"c", 4, 4}};
  const FieldLayout resized[] = {{"a", 0, 4}, {"b", 4, 8}};
  const FieldLayout moved[] = {{"a", 0, 4}, {"b", 8, 4}};
  const FieldLayout swapped[] = {{"b", 4, 4}, {"a", 0, 4}};
  for (const auto& changed : {renamed, resized, moved, swapped}) {
    const StructLayout layout[] = {{"S", 8, {changed, 2}}, {"T", 8, fields}};
    CHECK(seen.insert(Fingerprint(layout)).second);
  }
  const StructLayout other_name[] = {{"U", 8, fields}, {"T", 8, fields}};
  const StructLayout other_size[] = {{"S", 16, fields}, {"T", 8, fields}};
  const StructLayout other_order[] = {{"T", 8, fields}, {"S", 8, fields}};
  const StructLayout shorter[] = {{"S", 8, fields}};
  for (const std::uint64_t fingerprint : {Fingerprint(other_name), Fingerprint(other_size),
                                          Fingerprint(other_order), Fingerprint(shorter)})
    CHECK(seen.insert(fingerprint).second);
}

}  // namespace
}  // namespace hearth::shm
