"""What the tests of the command line share: a private hearthd, and running `hearth` against it.

Nothing sleeps: readiness is the daemon's own READY=1, everything else an event with a watchdog.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("HEARTH_BUILD_DIR", ROOT / "build"))
HEARTHD = Path(os.environ.get("HEARTHD", BUILD / "daemon/hearthd"))
HEARTH_CLI = Path(os.environ.get("HEARTH_CLI", BUILD / "tools/hearth/hearth"))
WATCHDOG = 60.0  # seconds; nothing here takes more than a few
NOBODY = 65534

# Exit codes, as docs/cli.md promises them.
OK, FAILURE, USAGE, NOT_RUNNING, DENIED, INCOMPATIBLE = 0, 1, 2, 3, 4, 5
OVERLOADED, TIMEOUT, INTERRUPTED = 75, 124, 130

# Whoever starts the tests in the background may have SIGINT ignored, which children would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Small segments, so that a namespace is soon full.
CONFIG = """
[daemon]
socket_mode = "0666"

[[store]]
name = "default"
size = "64MiB"
max_value = "512KiB"

[[store.namespace]]
name = "default"

[[store.namespace]]
name = "other"
ttl = "1h"

[[store]]
name = "small"
size = "8MiB"
segment_size = "64KiB"

[[store.namespace]]
name = "full"
quota_max = "128KiB"
eviction = "none"
"""

# Appended by tests of permissions.
READER_RULE = f"""
[[policy]]
uid = {NOBODY}
stores = ["default"]
"""


def suspend(pid: int) -> None:
    """Stops a process and waits until every thread of it stands still: a signal takes a moment."""
    os.kill(pid, signal.SIGSTOP)

    def state(task: Path) -> str:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]

    while any(state(task) != "T" for task in Path(f"/proc/{pid}/task").iterdir()):
        os.sched_yield()


class Daemon:
    """A hearthd of its own on a socket of its own."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.folder = folder
        self.socket = folder / "h.sock"
        self.log = folder / "hearthd.log"
        self.config = folder / "hearthd.toml"
        self.config.write_text(config)
        notify = folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener, self.log.open("wb") as log:
            listener.bind(str(notify))
            listener.settimeout(WATCHDOG)
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stderr=log,
                                            env={**os.environ, "NOTIFY_SOCKET": str(notify)})
            while not listener.recv(4096).startswith(b"READY=1"):
                pass

    def command(self) -> list[str]:
        return [str(HEARTHD), "--config", str(self.config), "--socket", str(self.socket)]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        self.process.wait(WATCHDOG)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """One that other users may look into, with a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="hearth-cli-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def private_daemon(config: str = CONFIG) -> Iterator[Daemon]:
    with temporary_folder() as folder:
        daemon = Daemon(folder, config)
        try:
            yield daemon
        finally:
            daemon.stop()


def environment(**changes: str) -> dict[str, str]:
    """Ours without what would change how hearth behaves."""
    kept = {k: v for k, v in os.environ.items()
            if k not in ("HEARTH_SOCKET", "NO_COLOR", "XDG_RUNTIME_DIR", "TERM")}
    return {**kept, **changes}


class CliTest(unittest.TestCase):
    """A daemon for the whole class, in self.daemon; tests use keys of their own."""

    daemon: Daemon
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        context = private_daemon()
        cls.daemon = context.__enter__()
        cls.folder = cls.daemon.folder
        cls.addClassCleanup(context.__exit__, None, None, None)

    def hearth(self, *words: str | bytes, stdin: bytes = b"", env: dict[str, str] | None = None,
               **options: object) -> subprocess.CompletedProcess[bytes]:
        """Runs `hearth` against the class's daemon."""
        base = environment(HEARTH_SOCKET=str(self.daemon.socket))
        return subprocess.run([HEARTH_CLI, *words], input=stdin, capture_output=True, check=False,
                              env={**base, **(env or {})}, timeout=WATCHDOG, **options)

    def start(self, *words: str, socket_path: Path | None = None, env: dict[str, str] | None = None,
              stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """The same in the background, with pipes."""
        base = environment(HEARTH_SOCKET=str(socket_path or self.daemon.socket))
        return subprocess.Popen([HEARTH_CLI, *words], stdin=subprocess.PIPE, stderr=stderr,
                                stdout=subprocess.PIPE, env={**base, **(env or {})})

    def check(self, result: subprocess.CompletedProcess[bytes], code: int, *fragments: str) -> str:
        """The exit code, and that stderr is messages of hearth that contain the fragments."""
        said = result.stderr.decode()
        self.assertEqual(result.returncode, code, said)
        for fragment in fragments:
            self.assertIn(fragment, said)
        for line in said.splitlines():
            self.assertRegex(line, r"^(hearth|prewarm): ")
        self.assertNotIn("\x1b", said)
        return said

    def value(self, key: str, *words: str) -> bytes:
        result = self.hearth("cache", "get", key, *words)
        self.check(result, OK)
        return result.stdout

    def has(self, key: str, socket_path: Path | None = None) -> bool:
        at = ["--socket", str(socket_path)] if socket_path else []
        return self.hearth("cache", "get", key, *at).returncode == OK

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Asks again and again; each question is a whole process, so this does not spin hot."""
        limit = time.monotonic() + WATCHDOG
        while not condition():
            self.assertLess(time.monotonic(), limit, f"never happened: {what}")

    def json(self, result: subprocess.CompletedProcess[bytes]) -> dict:
        return json.loads(result.stdout.decode("utf-8", "strict"))


def lines(*records: object) -> bytes:
    """JSONL of the records; bytes are lines as they are."""
    return b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in records)
