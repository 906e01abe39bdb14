// core/base without hashes: status, units, UTF-8, descriptors, clocks, failpoints.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/fd.h"
#include "core/base/status.h"
#include "core/base/units.h"
#include "core/base/utf8.h"
#include "tests/support/child_process.h"
#include "tests/support/fake_clock.h"

namespace hearth {
namespace {

using testing::Channel;
using testing::ChildProcess;

// ---------------------------------------------------------------------------------------- status
TEST_CASE("status: the numbers and names of codes are gRPC's") {
  const char* names[] = {"OK",
                         "CANCELLED",
                         "UNKNOWN",
                         "INVALID_ARGUMENT",
                         "DEADLINE_EXCEEDED",
                         "NOT_FOUND",
                         "ALREADY_EXISTS",
                         "PERMISSION_DENIED",
                         "RESOURCE_EXHAUSTED",
                         "FAILED_PRECONDITION",
                         "ABORTED",
                         "OUT_OF_RANGE",
                         "UNIMPLEMENTED",
                         "INTERNAL",
                         "UNAVAILABLE",
                         "DATA_LOSS",
                         "UNAUTHENTICATED"};
  for (std::uint16_t number = 0; number < 17; ++number)
    CHECK(CodeName(static_cast<Code>(number)) == names[number]);
  CHECK(CodeName(static_cast<Code>(99)) == "CODE_99");
}

TEST_CASE("status: text names code, context and message") {
  CHECK(Status::Ok().ToString() == "OK");
  CHECK(Error(Code::kNotFound, "no namespace '{}'", "x").ToString() ==
        "NOT_FOUND: no namespace 'x'");
  const Status wrapped = Error(Code::kAborted, "inner").WithContext("outer");
  CHECK(wrapped.code() == Code::kAborted);
  CHECK(wrapped.message() == "outer: inner");
}

TEST_CASE("status: errno becomes the canonical code that fits") {
  CHECK(ErrnoStatus(EACCES, "x").code() == Code::kPermissionDenied);
  CHECK(ErrnoStatus(ENOENT, "x").code() == Code::kNotFound);
  CHECK(ErrnoStatus(EEXIST, "x").code() == Code::kAlreadyExists);
  CHECK(ErrnoStatus(ENOMEM, "x").code() == Code::kResourceExhausted);
  CHECK(ErrnoStatus(ECONNREFUSED, "x").code() == Code::kUnavailable);
  CHECK(ErrnoStatus(ETIMEDOUT, "x").code() == Code::kDeadlineExceeded);
  CHECK(ErrnoStatus(EINVAL, "x").code() == Code::kInvalidArgument);
  CHECK(ErrnoStatus(EISDIR, "x").code() == Code::kUnknown);
  CHECK(ErrnoStatus(ENOENT, "cannot open").message() == "cannot open: No such file or directory");
}

Result<int> Half(int number) {
  if (number % 2 != 0) return Error(Code::kInvalidArgument, "{} is odd", number);
  return number / 2;
}

Result<int> Quarter(int number) {
  HEARTH_ASSIGN(const int half, Half(number));
  HEARTH_TRY(Half(half));
  return half / 2;
}

TEST_CASE("status: HEARTH_ASSIGN and HEARTH_TRY pass values on and errors out") {
  CHECK(Quarter(8).value() == 2);
  CHECK(Quarter(7).status().message() == "7 is odd");
  CHECK(Quarter(6).status().message() == "3 is odd");
}

TEST_CASE("status: a result moves its value out") {
  Result<std::string> result = std::string(100, 'x');
  REQUIRE(result.ok());
  CHECK(result->size() == 100);
  const std::string moved = std::move(result).value();
  CHECK(moved == std::string(100, 'x'));
}

// Runs `body` in a child and returns how it ended.
int EndOf(const std::function<int()>& body) {
  auto child = ChildProcess::Fork([&body](Channel&) {
    // What the child says on its way out is not part of this test's report, nor its core dump.
    ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    ::signal(SIGABRT, SIG_DFL);
    return body();
  });
  REQUIRE(child.ok());
  return child->Wait();
}

TEST_CASE("status: a broken invariant stops the process") {
  CHECK(EndOf([] {
          HEARTH_CHECK(1 + 1 == 2);
          return 0;
        }) == 0);
  CHECK(EndOf([] {
          HEARTH_CHECK(1 + 1 == 3);
          return 0;
        }) == -SIGABRT);
  CHECK(EndOf([] {
          const Result<int> r = Status::Ok();
          return r.ok() ? 0 : 1;
        }) == -SIGABRT);
}

// ----------------------------------------------------------------------------------------- units
TEST_CASE("units: sizes as people write them") {
  CHECK(*ParseBytes("4096") == 4096);
  CHECK(*ParseBytes("0") == 0);
  CHECK(*ParseBytes("512B") == 512);
  CHECK(*ParseBytes("7 bytes") == 7);
  CHECK(*ParseBytes("256KiB") == 256 * kKiB);
  CHECK(*ParseBytes("1.5 GiB") == 3 * kGiB / 2);
  CHECK(*ParseBytes("2MB") == 2'000'000);
  CHECK(*ParseBytes("2GB") == 2'000'000'000);
  CHECK(*ParseBytes("1TiB") == 1024 * kGiB);
}

TEST_CASE("units: sizes that are unclear are refused, with an example") {
  for (const char* text : {"", "MiB", "-1", "+1", "1e3", "1.2.3", "256M", "256k", "1 kib", "0x10",
                           "inf", "nan", "1MiB ", "1 MiB MiB"}) {
    CAPTURE(text);
    const auto bytes = ParseBytes(text);
    CHECK(!bytes.ok());
    if (!bytes.ok()) CHECK(bytes.status().code() == Code::kInvalidArgument);
  }
  CHECK(ParseBytes("256M").status().message().find("256MiB") != std::string::npos);
  CHECK(ParseBytes("9000000TiB").status().code() == Code::kOutOfRange);
  CHECK(ParseBytes("99999999999999999999999999").status().code() == Code::kOutOfRange);
}

TEST_CASE("units: durations as people write them") {
  using namespace std::chrono_literals;
  CHECK(*ParseDuration("0") == 0ns);
  CHECK(*ParseDuration("5ns") == 5ns);
  CHECK(*ParseDuration("20us") == 20us);
  CHECK(*ParseDuration("250ms") == 250ms);
  CHECK(*ParseDuration("1.5s") == 1500ms);
  CHECK(*ParseDuration("5m") == 5min);
  CHECK(*ParseDuration("2h") == 2h);
  CHECK(*ParseDuration("7d") == 7 * 24h);
  for (const char* text : {"", "5", "5M", "5 min", "-5s", "s"})
    CHECK(ParseDuration(text).status().code() == Code::kInvalidArgument);
  CHECK(ParseDuration("200000d").status().code() == Code::kOutOfRange);
}

TEST_CASE("units: sizes and durations for people have few digits and the right unit") {
  using namespace std::chrono_literals;
  CHECK(FormatBytes(0) == "0 B");
  CHECK(FormatBytes(1023) == "1023 B");
  CHECK(FormatBytes(1536) == "1.50 KiB");
  CHECK(FormatBytes(64 * kKiB) == "64.0 KiB");
  CHECK(FormatBytes(256 * kMiB) == "256 MiB");
  CHECK(FormatBytes(std::numeric_limits<std::uint64_t>::max()) == "16.0 EiB");
  CHECK(FormatDuration(999ns) == "999 ns");
  CHECK(FormatDuration(1200us) == "1.2 ms");
  CHECK(FormatDuration(999'999ns) == "1 ms");
  CHECK(FormatDuration(999'999us) == "1 s");
  CHECK(FormatDuration(59'990ms) == "60 s");
  CHECK(FormatDuration(200s) == "3m 20s");
  CHECK(FormatDuration(7260s) == "2h 1m");
  CHECK(FormatDuration(49h) == "2d 1h");
}

// ----------------------------------------------------------------------------------------- UTF-8
TEST_CASE("utf8: a cut never splits a character") {
  // Two, three and four bytes each.
  for (const std::string character : {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x94\xa5"}) {
    CAPTURE(character.size());
    for (std::size_t before = 0; before < 5; ++before) {
      const std::string front(before, 'x');
      const std::string text = front + character + "rest";
      for (std::size_t cut = 0; cut < character.size(); ++cut)
        CHECK(CutUtf8(text, before + cut) == front);
      CHECK(CutUtf8(text, before + character.size()) == front + character);
    }
  }
  const std::string many = "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac";
  CHECK(CutUtf8(many, 8) == many.substr(0, 6));
  CHECK(CutUtf8(many, 9) == many);
  CHECK(CutUtf8(many, 100) == many);
  CHECK(CutUtf8("", 0).empty());
  CHECK(CutUtf8("\xc3\xa4", 0).empty());
}

TEST_CASE("utf8: what is no UTF-8 is cut where the limit is") {
  const std::string_view wrong[] = {
      "\x80\x80\x80\x80\x80\x80",  // continuations of nothing
      "\xff\xff\xff\xff\xff\xff",  // bytes that never occur
      "\xf0\x9f\x94xyz",           // a character that breaks off
      "\xc0\xaf\xc0\xaf\xc0\xaf",  // overlong
      "\xed\xa0\x80\xed\xa0\x80",  // surrogates
      "\xf4\x90\x80\x80\x80\x80",  // beyond U+10FFFF
  };
  for (const std::string_view text : wrong)
    for (std::size_t cut = 0; cut <= text.size(); ++cut)
      CHECK(CutUtf8(text, cut) == text.substr(0, cut));
  // At the end of the text nothing is cut, whole or not.
  CHECK(CutUtf8("ab\xe2\x82", 4) == "ab\xe2\x82");
}

// ----------------------------------------------------------------------------------- descriptors
bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST_CASE("fd: a descriptor is closed exactly once, by its last owner") {
  auto pipe = MakePipe();
  REQUIRE(pipe.ok());
  const int number = pipe->read_end.get();
  UniqueFd moved = std::move(pipe->read_end);
  CHECK(!pipe->read_end.valid());  // NOLINT(bugprone-use-after-move): that is what is tested
  CHECK(IsOpen(number));
  UniqueFd& alias = moved;
  moved = std::move(alias);
  CHECK(IsOpen(number));
  const int released = moved.Release();
  CHECK(released == number);
  CHECK(!moved.valid());
  CHECK(IsOpen(number));
  moved.Reset(number);
  moved.Reset();
  CHECK(!IsOpen(number));
}

TEST_CASE("fd: a duplicate is another descriptor of the same file, closed on exec") {
  auto pipe = MakePipe();
  REQUIRE(pipe.ok());
  auto copy = pipe->write_end.Duplicate();
  REQUIRE(copy.ok());
  CHECK(copy->get() != pipe->write_end.get());
  CHECK(copy->get() >= 3);
  CHECK((::fcntl(copy->get(), F_GETFD) & FD_CLOEXEC) != 0);
  RingPipe(copy->get());
  char byte = 0;
  CHECK(::read(pipe->read_end.get(), &byte, 1) == 1);
  CHECK(UniqueFd().Duplicate().ok() == false);
}

TEST_CASE("fd: an eventfd counts its rings and never blocks the ringer") {
  auto fd = MakeEventFd();
  REQUIRE(fd.ok());
  RingEventFd(fd->get());
  RingEventFd(fd->get());
  std::uint64_t count = 0;
  CHECK(::read(fd->get(), &count, sizeof(count)) == 8);
  CHECK(count == 2);
  count = std::numeric_limits<std::uint64_t>::max() - 1;
  REQUIRE(::write(fd->get(), &count, sizeof(count)) == 8);
  RingEventFd(fd->get());  // the counter is full: returns at once
  CHECK(::read(fd->get(), &count, sizeof(count)) == 8);
}

TEST_CASE("fd: a full or closed pipe does not block or kill the ringer") {
  ::signal(SIGPIPE, SIG_IGN);
  auto pipe = MakePipe();
  REQUIRE(pipe.ok());
  const std::string block(4096, 'x');
  while (::write(pipe->write_end.get(), block.data(), block.size()) > 0) {
  }
  CHECK(errno == EAGAIN);
  RingPipe(pipe->write_end.get());
  pipe->read_end.Reset();
  RingPipe(pipe->write_end.get());
}

// ---------------------------------------------------------------------------------------- clocks
TEST_CASE("clock: the system's monotonic clock does not go backwards") {
  std::uint64_t before = Clock::System().MonotonicNanos();
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t now = MonotonicNanosNow();
    CHECK(now >= before);
    before = now;
  }
  CHECK(Clock::System().RealtimeNanos() > 1'600'000'000'000'000'000U);
}

TEST_CASE("clock: the fake moves when told, and its two clocks can differ") {
  testing::FakeClock clock(5, 7);
  clock.AdvanceMs(2);
  CHECK(clock.MonotonicNanos() == 2'000'005);
  CHECK(clock.RealtimeNanos() == 2'000'007);
  clock.SetRealtimeNanos(1);
  CHECK(clock.MonotonicNanos() == 2'000'005);
}

// ------------------------------------------------------------------------------------ failpoints
TEST_CASE("failpoint: runs its action at every hit, until cleared") {
  int runs = 0;
  HEARTH_FAILPOINT("base_test.point");
  CHECK(FailpointHits("base_test.point") == 0);
  SetFailpoint("base_test.point", [&runs] { ++runs; });
  HEARTH_FAILPOINT("base_test.point");
  HEARTH_FAILPOINT("base_test.other");
  HEARTH_FAILPOINT("base_test.point");
  CHECK(runs == 2);
  CHECK(FailpointHits("base_test.point") == 2);
  SetFailpoint("base_test.point", nullptr);
  CHECK(FailpointHits("base_test.point") == 0);
  HEARTH_FAILPOINT("base_test.point");
  CHECK(FailpointHits("base_test.point") == 1);
  ClearFailpoint("base_test.point");
  ClearFailpoint("base_test.point");
  HEARTH_FAILPOINT("base_test.point");
  CHECK(FailpointHits("base_test.point") == 0);
  CHECK(runs == 2);
  CHECK(!internal::AnyFailpointArmed());
}

TEST_CASE("failpoint: an action may set and clear points itself") {
  SetFailpoint("base_test.once", [] { ClearFailpoint("base_test.once"); });
  HEARTH_FAILPOINT("base_test.once");
  CHECK(!internal::AnyFailpointArmed());
}

TEST_CASE("failpoint: a specification kills the process at the hit it names") {
  const auto end = [](int hits) {
    return EndOf([hits] {
      if (!ArmFailpoints("base_test.a=kill@3,base_test.b=stop").ok()) return 1;
      for (int i = 0; i < hits; ++i) HEARTH_FAILPOINT("base_test.a");
      return 0;
    });
  };
  CHECK(end(2) == 0);
  CHECK(end(3) == -SIGKILL);
}

TEST_CASE("failpoint: a specification that makes no sense is refused") {
  for (const char* text : {"x", "x=explode", "x=kill@0", "x=kill@y", "=", "x=kill,y"}) {
    CAPTURE(text);
    CHECK(EndOf([text] { return ArmFailpoints(text).ok() ? 1 : 0; }) == 0);
  }
  CHECK(EndOf([] { return ArmFailpoints("").ok() ? 0 : 1; }) == 0);
}

}  // namespace
}  // namespace hearth
