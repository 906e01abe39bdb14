"""Runs a command under a watchdog and leaves nothing of it behind.

Each command gets its own process group. This process makes itself the reaper of orphans, so a
daemon that a test started and forgot is found here, even if it left the group; it is killed and
reported.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_GRACE_SECONDS = 3.0


@dataclass
class Finished:
    """How a command ended. `leftovers` are the processes it left running."""

    status: int  # exit status, or minus the signal
    seconds: float
    timed_out: bool = False
    leftovers: list[str] = field(default_factory=list)


def adopt_orphans() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command: list[str], log: Path, cwd: Path, env: dict[str, str], timeout: float) -> Finished:
    """Runs to the end or the timeout; output goes to `log`."""
    started = time.monotonic()
    with log.open("wb") as output:
        try:
            child = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                                     stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            output.write(f"cannot start {command[0]}: {error.strerror}\n".encode())
            return Finished(127, 0.0)
        timed_out = False
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        except BaseException:  # Ctrl-C, or SIGTERM turned into it
            _end(child)
            end_orphans()
            raise
        if timed_out:
            _end(child)
    return Finished(child.returncode, time.monotonic() - started, timed_out, end_orphans())


def _end(child: subprocess.Popen[bytes]) -> None:
    """Asks the group to stop, then insists."""
    _signal_group(child.pid, signal.SIGTERM)
    try:
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def end_orphans() -> list[str]:
    """Kills what was adopted, after a moment to finish by itself; returns the command lines."""
    deadline = time.monotonic() + 1.0
    while _children() and time.monotonic() < deadline:
        _reap()
        time.sleep(0.02)
    lines: list[str] = []
    while pids := _children():  # killing a parent hands its children to us: go on until none is left
        for pid in pids:
            lines.append(f"{pid} {_command_line(pid)}")
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
    return lines


def _children() -> list[int]:
    _reap()
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(pid) for pid in text.split()]


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def _command_line(pid: int) -> str:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "?"
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()[:120] or "?"
