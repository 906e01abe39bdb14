"""What the scripted suites of the daemon share: a private hearthd, clients with a command pipe, and a
list of checks that ends with "N passed, N failed[, N skipped]".

Nothing here sleeps until something has probably happened. Every wait is for an event and has a
watchdog; what is started here is ended here, by its pid.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Seconds until a wait is given up: a hang, on any machine.
PATIENCE = float(os.environ.get("HEARTH_WATCHDOG_SECONDS", "120"))
OTHER_UID = 65534
_TICKS = os.sysconf("SC_CLK_TCK")


def _build() -> Path:
    return Path(os.environ.get("HEARTH_BUILD_DIR", str(ROOT / "build")))


def hearthd() -> str:
    return os.environ.get("HEARTHD", str(_build() / "daemon/hearthd"))


def hostile_client() -> str:
    return str(_build() / "tests/daemon/hostile_client")


def full() -> bool:
    return os.environ.get("HEARTH_FULL") == "1"


def wait_for(what: str, condition: Callable[[], object], patience: float = PATIENCE) -> object:
    """Polls until the condition is true; its value. AssertionError after `patience`."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:.0f} s for: {what}")
        time.sleep(0.01)


class Process:
    """A child with its output in a file (stderr) and, if wanted, on pipes."""

    def __init__(self, command: list[str], log: Path, uid: int | None = None,
                 env: dict[str, str] | None = None, nofile: int | None = None) -> None:
        prefix: list[str] = []
        if nofile is not None:
            prefix += ["prlimit", f"--nofile={nofile}:{nofile}"]
        if uid is not None:
            prefix += ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        self.log_path = log
        self._log = log.open("ab")
        self._start = log.stat().st_size
        self.child = subprocess.Popen(prefix + command, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=self._log, env=env)
        self._read = b""

    @property
    def pid(self) -> int:
        return self.child.pid

    def running(self) -> bool:
        return self.child.poll() is None

    def log(self, since: int | None = None) -> str:
        """Since this process began, or since a size that log_size() said."""
        start = self._start if since is None else since
        return self.log_path.read_bytes()[start:].decode(errors="replace")

    def log_size(self) -> int:
        return self.log_path.stat().st_size

    def command(self, line: str) -> str:
        assert self.child.stdin is not None
        try:
            self.child.stdin.write(line.encode() + b"\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(f"{self.child.args} has ended: {self.log()[-500:]}") from None
        return self.line()

    def line(self) -> str:
        """The next line of the standard output; "" at its end."""
        assert self.child.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._read:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self.child.stdout], [], [], left)[0]:
                raise AssertionError(f"no line from {self.child.args} for {PATIENCE:.0f} s")
            more = os.read(self.child.stdout.fileno(), 65536)
            if not more:
                rest, self._read = self._read, b""
                return rest.decode()
            self._read += more
        line, self._read = self._read.split(b"\n", 1)
        return line.decode()

    def signal(self, number: int) -> None:
        self.child.send_signal(number)

    def wait(self) -> int:
        return self.child.wait(PATIENCE)

    def finish(self) -> tuple[int, list[str]]:
        """Closes its input, takes all output, and waits for the end."""
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.close()
        lines: list[str] = []
        while line := self.line():
            lines.append(line)
        return self.wait(), lines

    def kill(self) -> None:
        if self.running():
            self.child.kill()
            self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass
        self._log.close()


class Notify:
    """The service manager's end of sd_notify."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.seen: list[str] = []

    def wait(self, what: str, daemon: Process) -> None:
        """Until a datagram has the line `what`, or the daemon is gone."""
        deadline = time.monotonic() + PATIENCE
        while not any(what in message.split("\n") for message in self.seen):
            if select.select([self._socket], [], [], 0.05)[0]:
                self.seen.append(self._socket.recv(65536).decode())
            elif not daemon.running():
                raise AssertionError(f"hearthd ended instead of {what}: {daemon.log()}")
            elif time.monotonic() > deadline:
                raise AssertionError(f"no {what} for {PATIENCE:.0f} s: {daemon.log()}")

    def close(self) -> None:
        self._socket.close()


class Daemon(Process):
    """A private hearthd that is ready when the constructor returns."""

    def __init__(self, folder: Path, config: str | None = None, uid: int | None = None,
                 nofile: int | None = None, env: dict[str, str] | None = None,
                 arguments: list[str] | None = None) -> None:
        folder.mkdir(exist_ok=True)
        if uid is not None:
            os.chown(folder, uid, uid)
        self.folder = folder
        self.socket = str(folder / "hearthd.sock")
        command = [hearthd()]
        if config is not None:
            path = folder / "hearth.toml"
            path.write_text(config, encoding="utf-8")
            command += ["--config", str(path)]
        command += arguments if arguments is not None else ["--socket", self.socket]
        self.notify = Notify(folder / "notify.sock")
        # A sanitizer's quarantine would look like a leak.
        asan = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=16"
        environment = {**os.environ, "NOTIFY_SOCKET": self.notify.path, "ASAN_OPTIONS": asan,
                       **(env or {})}
        super().__init__(command, folder / "hearthd.log", uid, environment, nofile)
        try:
            self.notify.wait("READY=1", self)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        super().kill()
        self.notify.close()

    # ------------------------------------------------------------------------- what /proc says
    def _proc(self, name: str) -> Path:
        return Path(f"/proc/{self.pid}/{name}")

    def descriptors(self) -> int:
        return len(os.listdir(self._proc("fd")))

    def session_mappings(self) -> int:
        return self._proc("maps").read_text(encoding="utf-8").count("memfd:hearth-session")

    def session_memory(self) -> int:
        """Bytes of all session regions that the daemon holds, as the kernel has allocated them."""
        total = 0
        for name in os.listdir(self._proc("fd")):
            path = self._proc("fd") / name
            try:
                if "memfd:hearth-session" in os.readlink(path):
                    total += os.stat(path).st_blocks * 512
            except FileNotFoundError:
                pass
        return total

    def memory(self, field: str) -> int:
        """Bytes: VmRSS, RssAnon, RssShmem."""
        text = self._proc("status").read_text(encoding="utf-8")
        found = re.search(rf"^{field}:\s+(\d+) kB", text, re.M)
        assert found is not None
        return int(found.group(1)) * 1024

    def cpu_seconds(self) -> float:
        fields = self._proc("stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def idle_share(self) -> float:
        """CPU used over one interval, as a share of it."""
        before, start = self.cpu_seconds(), time.monotonic()
        time.sleep(0.25)
        return (self.cpu_seconds() - before) / (time.monotonic() - start)


class Suite:
    """Runs named checks in order; a failed one is shown and does not stop the others."""

    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0
        self.folder = Path(tempfile.mkdtemp(prefix="hearth-daemon-"))
        self.folder.chmod(0o755)
        self.processes: list[Process] = []
        self.only = re.compile(sys.argv[1]) if len(sys.argv) > 1 else None

    def check(self, name: str, body: Callable[[], object], needs_root: bool = False) -> None:
        if self.only is not None and not self.only.search(name):
            return
        if needs_root and os.geteuid() != 0:
            self.skipped += 1
            print(f"SKIP {name.replace(' ', '-')}: needs root, to act as another user", flush=True)
            return
        start = time.monotonic()
        try:
            note = body()
        except Exception as error:  # noqa: BLE001 - whatever it was, it is this check's failure
            self.failed += 1
            print(f"FAIL {name}: {error}", flush=True)
            if not isinstance(error, AssertionError):
                traceback.print_exc(file=sys.stdout)
            return
        self.passed += 1
        seconds = time.monotonic() - start
        print(f"ok   {name} ({seconds:.1f} s){f': {note}' if note else ''}", flush=True)

    def start(self, process: Process) -> Process:
        self.processes.append(process)
        return process

    def daemon(self, name: str, **options: object) -> Daemon:
        daemon = Daemon(self.folder / name, **options)  # type: ignore[arg-type]
        self.start(daemon)
        return daemon

    def client(self, socket_path: str, what: str, uid: int | None = None,
               **options: int) -> Process:
        command = [hostile_client(), socket_path, what]
        for key, value in options.items():
            command += [f"--{key}", str(value)]
        return self.start(Process(command, self.folder / "clients.log", uid))

    def finish(self) -> int:
        for process in reversed(self.processes):
            process.kill()
        if self.failed == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"logs are in {self.folder}")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}")
        return 1 if self.failed else 0


def main(body: Callable[[Suite], None]) -> None:
    for program in (hearthd(), hostile_client()):
        if not os.access(program, os.X_OK):
            print(f"{program} is not built")
            sys.exit(77)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    suite = Suite()
    try:
        body(suite)
    except Exception:  # noqa: BLE001
        traceback.print_exc(file=sys.stdout)
        suite.failed += 1
    finally:
        status = suite.finish()
    sys.exit(status)
