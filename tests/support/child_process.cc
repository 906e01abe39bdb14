#include "tests/support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace hearth::testing {
namespace {

struct PipeEnds {
  UniqueFd read_end;
  UniqueFd write_end;
};

Result<PipeEnds> MakeBlockingPipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot create a pipe");
  return PipeEnds{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// The parent may have died before the child asked to be told.
void DieWithParent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(71);
}

Result<ChildProcess> ForkWith(const std::function<int(UniqueFd, UniqueFd)>& body,
                              const std::function<ChildProcess(pid_t, UniqueFd, UniqueFd)>& made) {
  HEARTH_ASSIGN(PipeEnds down, MakeBlockingPipe());
  HEARTH_ASSIGN(PipeEnds up, MakeBlockingPipe());
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoStatus(errno, "cannot fork");
  if (pid == 0) {
    DieWithParent(parent);
    down.write_end.Reset();
    up.read_end.Reset();
    int status = 70;
    try {
      status = body(std::move(down.read_end), std::move(up.write_end));
    } catch (...) {
    }
    // Without the parent's destructors and buffers, which are copies here.
    ::_exit(status);
  }
  return made(pid, std::move(up.read_end), std::move(down.write_end));
}

}  // namespace

bool Channel::SendBytes(const void* bytes, std::size_t size) {
  const auto* p = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t sent = ::write(out_.get(), p, size);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    p += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool Channel::ReceiveBytes(void* bytes, std::size_t size) {
  auto* p = static_cast<char*>(bytes);
  while (size > 0) {
    const ssize_t got = ::read(in_.get(), p, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    p += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool Channel::Readable() const {
  pollfd in{in_.get(), POLLIN, 0};
  return ::poll(&in, 1, 0) > 0;
}

std::string Channel::ReceiveAll() {
  std::string all;
  char block[65536];
  while (true) {
    const ssize_t got = ::read(in_.get(), block, sizeof(block));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return all;
    all.append(block, static_cast<std::size_t>(got));
  }
}

Result<ChildProcess> ChildProcess::Fork(const std::function<int(Channel&)>& body) {
  // A child that is gone must be an error of write(), not the end of the test.
  ::signal(SIGPIPE, SIG_IGN);
  return ForkWith(
      [&body](UniqueFd in, UniqueFd out) {
        Channel channel(std::move(in), std::move(out));
        return body(channel);
      },
      [](pid_t pid, UniqueFd in, UniqueFd out) {
        return ChildProcess(pid, Channel(std::move(in), std::move(out)));
      });
}

Result<ChildProcess> ChildProcess::Exec(const std::vector<std::string>& argv) {
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  return ForkWith(
      [&words](UniqueFd in, UniqueFd out) {
        ::dup2(in.get(), STDIN_FILENO);
        ::dup2(out.get(), STDOUT_FILENO);
        ::execvp(words[0], words.data());
        return 127;
      },
      [](pid_t pid, UniqueFd in, UniqueFd out) {
        return ChildProcess(pid, Channel(std::move(in), std::move(out)));
      });
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), channel_(std::move(other.channel_)) {}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  Kill(SIGKILL);
  Wait();
}

void ChildProcess::Kill(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);
}

bool ChildProcess::HasEnded() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid_;
}

int ChildProcess::Wait() {
  int status = 0;
  pid_t got = 0;
  do {
    got = ::waitpid(pid_, &status, 0);
  } while (got < 0 && errno == EINTR);
  pid_ = -1;
  if (got < 0) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace hearth::testing
