// What another uid must not be able to do, tried for real.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

#include "core/base/fd.h"
#include "ipc/client/client.h"
#include "tests/daemon/hostile.h"

namespace hearth::testing {
namespace {

using ipc::Client;

// One fact: `refused` is whether the kernel or the daemon said no.
void Fact(std::string_view name, bool refused, std::string_view how) {
  Say(fmt::format("{} {}: {}", refused ? "refused" : "ALLOWED", name, how));
}
void KernelFact(std::string_view name, long rc) {
  const int error = errno;
  Fact(name, rc < 0, rc < 0 ? std::strerror(error) : "no error");
}
void OpenFact(std::string_view name, const std::string& path, int flags) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  KernelFact(name, fd.get());
}

// Of the store's descriptor, that it stays read-only; of the daemon, that it stays closed.
// `argument` is the pid of another user's client.
void KernelRights(const Attacker& attacker) {
  Joined joined = Join(attacker);
  const int store = joined.session->store_fd();
  const auto daemon = static_cast<pid_t>(joined.session->welcome().server_pid);
  OpenFact("reopen-store-read-write", fmt::format("/proc/self/fd/{}", store), O_RDWR);
  OpenFact("reopen-store-write-only", fmt::format("/proc/self/fd/{}", store), O_WRONLY);
  OpenFact("truncate-store", fmt::format("/proc/self/fd/{}", store), O_RDONLY | O_TRUNC);
  void* writable = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, store, 0);
  KernelFact("map-store-writable", writable == MAP_FAILED ? -1 : 0);
  void* mapped = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, store, 0);
  if (mapped == MAP_FAILED) GiveUp("cannot map the store");
  KernelFact("make-store-mapping-writable", ::mprotect(mapped, 4096, PROT_READ | PROT_WRITE));
  KernelFact("write-to-store", ::pwrite(store, "x", 1, 0));
  KernelFact("shrink-store", ::ftruncate(store, 0));
  KernelFact("punch-store",
             ::fallocate(store, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  KernelFact("seal-store", ::fcntl(store, F_ADD_SEALS, F_SEAL_WRITE));
  KernelFact("chmod-store", ::fchmod(store, 0666));
  for (const auto& [who, pid] : {std::pair{"daemon", daemon},
                                 std::pair{"neighbour", static_cast<pid_t>(attacker.argument)}}) {
    OpenFact(fmt::format("list-descriptors-of-{}", who), fmt::format("/proc/{}/fd", pid),
             O_RDONLY | O_DIRECTORY);
    OpenFact(fmt::format("open-descriptor-of-{}", who), fmt::format("/proc/{}/fd/5", pid), O_RDWR);
    OpenFact(fmt::format("open-memory-of-{}", who), fmt::format("/proc/{}/mem", pid), O_RDWR);
    const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    const UniqueFd stolen(static_cast<int>(::syscall(SYS_pidfd_getfd, handle.get(), 5, 0)));
    KernelFact(fmt::format("steal-descriptor-of-{}", who), stolen.get());
    KernelFact(fmt::format("trace-{}", who), ::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr));
    KernelFact(fmt::format("signal-{}", who), ::kill(pid, SIGKILL));
  }
}

void ReplyFact(std::string_view name, const Status& status) {
  Fact(name, status.code() == Code::kPermissionDenied, status.ToString());
}

// For a peer that may read the default store and write the namespace "open", and nothing else.
void PolicyRights(const Attacker& attacker) {
  auto client = OrGiveUp(Client::Connect(OptionsOf(attacker, "rights")), "join");
  const auto allowed = OrGiveUp(client->OpenNamespace("open"), "open");
  const auto closed = OrGiveUp(client->OpenNamespace("default"), "default");
  Say(fmt::format("writable: open {}, default {}", allowed.writable, closed.writable));
  Say("set in open: " + client->Set(allowed.id, "k", "v").status.ToString());
  Say("read back: " + client->Get(allowed.id, "k").payload);
  ReplyFact("set-without-right", client->Set(closed.id, "k", "v").status);
  ReplyFact("delete-without-right", client->Delete(closed.id, "k").status);
  ReplyFact("touch-without-right", client->Touch(closed.id, "k", {}).status);
  ReplyFact("open-method-without-right", client->OpenMethod("hearth.echo").status());
  ReplyFact("call-without-right", client->Call(1, "x").status);
  ReplyFact("status-without-admin", client->ReadStatus().status());
  ipc::ClientOptions second = OptionsOf(attacker, "rights");
  second.store = "second";
  const auto other = Client::Connect(second);
  ReplyFact("attach-without-right", other.ok() ? Status::Ok() : other.status());
}

// For a peer that no rule matches.
void NoRights(const Attacker& attacker) {
  ipc::ClientOptions options = OptionsOf(attacker, "nobody");
  const auto client = Client::Connect(options);
  ReplyFact("attach", client.ok() ? Status::Ok() : client.status());
  options.data = false;
  const auto admin = Client::Connect(options);
  ReplyFact("attach-without-data", admin.ok() ? Status::Ok() : admin.status());
}

}  // namespace

std::map<std::string, Attack> RightsFacts() {
  return {
      {"kernel-rights", KernelRights}, {"policy-rights", PolicyRights}, {"no-rights", NoRights}};
}

}  // namespace hearth::testing
