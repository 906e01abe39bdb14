#!/usr/bin/env python3
"""How hearthd starts, says that it is ready, defends its socket, and ends.

Usage: lifecycle_test.py [PATTERN]
"""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path

from harness import OTHER_UID, Daemon, Notify, Suite, hearthd, main, wait_for

SMALL = '[store]\nsize = "16MiB"\nsegment_size = "1MiB"\n'


def hello(suite: Suite, path: str, uid: int | None = None) -> list[str]:
    status, lines = suite.client(path, "hello", uid).finish()
    assert status == 0, lines
    return lines


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A hearthd that is expected to end by itself."""
    return subprocess.run([hearthd(), *arguments], capture_output=True, text=True, timeout=60,
                          check=False, env=env)


def is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def stop(daemon: Daemon, number: int = signal.SIGTERM) -> None:
    daemon.signal(number)
    status = daemon.wait()
    assert status == 0, f"exit status {status}: {daemon.log()[-1000:]}"
    assert not is_socket(daemon.socket), "the socket is still there"


def second_daemon(suite: Suite) -> str:
    first = suite.daemon("second", config=SMALL)
    again = run("--socket", first.socket)
    assert again.returncode == 1, again
    assert f"another hearthd (pid {first.pid}) already serves '{first.socket}'" in again.stderr, again
    assert hello(suite, first.socket)[0] == "set: OK"
    stop(first)
    return again.stderr.strip().splitlines()[-1][:80]


def long_path(suite: Suite) -> None:
    folder = suite.folder / ("d" * 60) / ("e" * 60)
    refused = run("--socket", str(folder / "hearthd.sock"))
    assert refused.returncode != 0 and "at most 107" in refused.stderr, refused
    assert not folder.parent.exists(), "a directory was left behind"
    wrong = suite.folder / "long.toml"
    wrong.write_text(f'[daemon]\nsocket = "/{"x" * 120}"\n', encoding="utf-8")
    refused = run("--config", str(wrong))
    assert refused.returncode == 2 and f"{wrong}:1:1: " in refused.stderr, refused


def other_things_at_the_path(suite: Suite) -> None:
    folder = suite.folder / "things"
    folder.mkdir()
    file = folder / "file"
    file.write_text("precious", encoding="utf-8")
    link = folder / "link"
    link.symlink_to(file)
    directory = folder / "directory"
    directory.mkdir()
    for path in (file, link, directory):
        refused = run("--socket", str(path))
        assert refused.returncode == 1 and "is not a socket" in refused.stderr, refused
    assert file.read_text(encoding="utf-8") == "precious" and link.is_symlink()
    # A socket of another program, listening or not, is none of hearthd's.
    for listening in (True, False):
        other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = folder / f"stream-{listening}"
        other.bind(str(path))
        if listening:
            other.listen()
        refused = run("--socket", str(path))
        assert refused.returncode == 1 and "already listens" in refused.stderr, refused
        assert is_socket(str(path))
        other.close()


def stale_socket(suite: Suite) -> None:
    daemon = suite.daemon("stale", config=SMALL)
    daemon.signal(signal.SIGKILL)
    assert daemon.wait() == -signal.SIGKILL
    assert is_socket(daemon.socket)
    (refusal,) = [line for line in hello(suite, daemon.socket) if line.startswith("refused")]
    assert "UNAVAILABLE: hearthd is not running" in refusal, refusal
    (daemon.folder / "notify.sock").unlink()
    again = suite.daemon("stale", config=SMALL)
    assert hello(suite, again.socket)[0] == "set: OK"
    stop(again)


def in_flight(suite: Suite, number: int, name: str) -> str:
    """What is published when the end comes is answered, or was certainly not executed."""
    daemon = suite.daemon(f"in-flight-{name}", config=SMALL)
    clients = [suite.client(daemon.socket, "in-flight") for _ in range(3)]
    for client in clients:
        assert client.line() == "ready", client.log()
    wait_for("traffic", lambda: daemon.cpu_seconds() > 0.05)
    stop(daemon, number)
    lines = []
    for client in clients:
        status, (counts, ended, done) = client.finish()
        assert (status, done) == (0, "done")
        assert ended == "ended: UNAVAILABLE: hearthd is stopping", ended
        found = re.fullmatch(r"sent (\d+) done (\d+) not_started (\d+) maybe (\d+)", counts)
        assert found, counts
        sent, answered, not_started, maybe = map(int, found.groups())
        assert maybe == 0 and answered > 0 and sent == answered + not_started, counts
        lines.append(counts)
    return lines[0]


def quiet_stop(suite: Suite) -> str:
    """Sessions that a stop ends are nothing to warn of: one line counts them."""
    daemon = suite.daemon("quiet-stop", config=SMALL)
    clients = [suite.client(daemon.socket, "good") for _ in range(3)]
    for client in clients:
        assert client.line() == "ready", client.log()
    mark = daemon.log_size()
    stop(daemon)
    lines = daemon.log(mark).splitlines()
    assert len(lines) == 2, lines
    assert lines[0].endswith("info  SIGTERM: stopping"), lines
    assert lines[1].endswith("info  stopped: 3 sessions and 0 other connections were told and closed"), lines
    for client in clients:
        client.kill()
    return lines[1][-60:]


def killed(suite: Suite) -> str:
    """Without a goodbye nobody may claim that something was not executed."""
    daemon = suite.daemon("killed", config=SMALL)
    client = suite.client(daemon.socket, "in-flight")
    assert client.line() == "ready", client.log()
    wait_for("traffic", lambda: daemon.cpu_seconds() > 0.05)
    daemon.signal(signal.SIGKILL)
    assert daemon.wait() == -signal.SIGKILL
    status, (counts, ended, done) = client.finish()
    assert (status, done) == (0, "done")
    assert ended.startswith("ended: UNAVAILABLE: "), ended
    found = re.fullmatch(r"sent (\d+) done (\d+) not_started 0 maybe (\d+)", counts)
    assert found and int(found.group(1)) == int(found.group(2)) + int(found.group(3)), counts
    return counts


def hangup(suite: Suite) -> None:
    daemon = suite.daemon("hangup", config=SMALL)
    daemon.signal(signal.SIGHUP)
    wait_for("a line about SIGHUP", lambda: "SIGHUP" in daemon.log())
    assert hello(suite, daemon.socket)[0] == "set: OK"
    stop(daemon)


def notify(suite: Suite) -> str:
    daemon = suite.daemon("notify", config=SMALL)
    seen = daemon.notify.seen
    assert re.fullmatch(r"READY=1\nSTATUS=Serving 1 stores on .*hearthd\.sock", seen[0]), seen
    daemon.signal(signal.SIGTERM)
    daemon.notify.wait("STOPPING=1", daemon)
    assert daemon.wait() == 0
    assert len([x for x in seen if "READY=1" in x]) == 1, seen
    return " | ".join(x.replace("\n", " ")[:40] for x in seen)


def without_notify(suite: Suite) -> None:
    folder = suite.folder / "without-notify"
    folder.mkdir()
    silent = Notify(folder / "unused.sock")
    environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    path = folder / "hearthd.sock"
    daemon = subprocess.Popen([hearthd(), "--socket", str(path)], env=environment,
                              stderr=subprocess.DEVNULL)
    try:
        wait_for("the socket", lambda: is_socket(str(path)) and hello(suite, str(path))[0] == "set: OK")
        daemon.terminate()
        assert daemon.wait(60) == 0
        assert not silent.seen
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()
        silent.close()


def user_mode(suite: Suite) -> str:
    """No configuration, an ordinary user, its own runtime directory."""
    folder = suite.folder / "user"
    runtime = folder / "runtime"
    runtime.mkdir(parents=True)
    os.chown(runtime, OTHER_UID, OTHER_UID)
    runtime.chmod(0o755)
    environment = {"XDG_RUNTIME_DIR": str(runtime), "HOME": "/nonexistent"}
    daemon = suite.daemon("user", uid=OTHER_UID, env=environment, arguments=[])
    path = runtime / "hearth/hearthd.sock"
    daemon.socket = str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_uid == OTHER_UID
    assert hello(suite, str(path), OTHER_UID) == ["set: OK", "status: 1 sessions", "done"]
    stranger = hello(suite, str(path), OTHER_UID - 1)
    assert stranger[0].startswith("refused: PERMISSION_DENIED: this user (uid 65533)"), stranger
    stop(daemon)
    return stranger[0][:70]


def command_line(suite: Suite) -> None:
    assert re.fullmatch(r"hearthd \d+\.\d+\.\d+\n", run("--version").stdout)
    assert run("--no-such-option").returncode == 2
    assert run("--check-config").stdout == "built-in configuration: OK\n"
    good = suite.folder / "good.toml"
    good.write_text(SMALL, encoding="utf-8")
    checked = run("--config", str(good), "--check-config")
    assert (checked.returncode, checked.stdout) == (0, f"{good}: OK\n"), checked
    bad = suite.folder / "bad.toml"
    bad.write_text("[store]\nsise = 1\n", encoding="utf-8")
    checked = run("--config", str(bad), "--check-config")
    assert checked.returncode == 2, checked
    assert checked.stderr == f"hearthd: {bad}:2:8: store: unknown key 'sise'; did you mean 'size'?\n"
    assert run("--config", str(suite.folder / "absent.toml")).returncode == 2
    failpoints = run("--socket", str(suite.folder / "f.sock"),
                     env={**os.environ, "HEARTH_FAILPOINTS": "nonsense"})
    # They make no sense, or this hearthd was built without any and says that it would ignore them.
    assert failpoints.returncode == 2, failpoints
    assert re.search("'nonsense' is not NAME=|this program has none", failpoints.stderr), failpoints


def modes(suite: Suite) -> None:
    daemon = suite.daemon("modes", config='[daemon]\nsocket_mode = "0640"\n' + SMALL)
    assert stat.S_IMODE(os.stat(daemon.socket).st_mode) == 0o640
    stop(daemon)


def close_on_exec(suite: Suite) -> str:
    """Nothing that hearthd opens would leak into a process it starts."""
    daemon = suite.daemon("exec", config=SMALL)
    client = suite.client(daemon.socket, "good")
    assert client.line() == "ready", client.log()
    checked = 0
    for name in os.listdir(f"/proc/{daemon.pid}/fd"):
        if int(name) < 3:
            continue
        flags = re.search(r"flags:\s+(\d+)", Path(f"/proc/{daemon.pid}/fdinfo/{name}").read_text())
        assert flags and int(flags.group(1), 8) & os.O_CLOEXEC, \
            os.readlink(f"/proc/{daemon.pid}/fd/{name}")
        checked += 1
    client.command("q")
    stop(daemon)
    return f"{checked} descriptors"


def journal(suite: Suite) -> None:
    daemon = suite.daemon("journal", config=SMALL, env={"JOURNAL_STREAM": "1:1"})
    stop(daemon)
    lines = daemon.log().splitlines()
    assert lines and all(re.match(r"<[3-7]>\S", line) for line in lines), lines


def body(suite: Suite) -> None:
    suite.check("command line", lambda: command_line(suite))
    suite.check("a second daemon on the same socket", lambda: second_daemon(suite))
    suite.check("a path that is too long", lambda: long_path(suite))
    suite.check("what is no socket of ours is left alone", lambda: other_things_at_the_path(suite))
    suite.check("a stale socket is replaced", lambda: stale_socket(suite))
    suite.check("SIGTERM with requests in flight", lambda: in_flight(suite, signal.SIGTERM, "term"))
    suite.check("SIGINT with requests in flight", lambda: in_flight(suite, signal.SIGINT, "int"))
    suite.check("SIGTERM is no reason to warn", lambda: quiet_stop(suite))
    suite.check("SIGKILL with requests in flight", lambda: killed(suite))
    suite.check("SIGHUP ends nothing", lambda: hangup(suite))
    suite.check("the service manager is told", lambda: notify(suite))
    suite.check("nobody is told where there is no service manager", lambda: without_notify(suite))
    suite.check("user mode", lambda: user_mode(suite), needs_root=True)
    suite.check("the socket's mode", lambda: modes(suite))
    suite.check("descriptors are close-on-exec", lambda: close_on_exec(suite))
    suite.check("the journal gets priorities", lambda: journal(suite))


if __name__ == "__main__":
    main(body)
