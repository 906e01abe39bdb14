"""Every way a command can fail to reach hearthd, or be refused: exit code, and what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import unittest
from pathlib import Path

from harness import (CONFIG, DENIED, FAILURE, HEARTH_CLI, INCOMPATIBLE, NOBODY, NOT_RUNNING, OK,
                     OVERLOADED, READER_RULE, TIMEOUT, USAGE, WATCHDOG, CliTest, environment, lines,
                     private_daemon, suspend)


class Reaching(CliTest):
    def test_not_running_names_the_socket_and_how_to_start(self) -> None:
        missing = str(self.folder / "missing.sock")
        for words in (["status"], ["cache", "get", "k"], ["cache", "set", "k", "v"], ["cache", "del", "k"],
                      ["prewarm", "-"]):
            with self.subTest(words):
                self.check(self.hearth(*words, "--socket", missing), NOT_RUNNING, "is not running",
                           missing, f"start it with 'hearthd --socket {missing}'")

    def test_a_socket_nobody_listens_on_is_not_running(self) -> None:
        path = self.folder / "stale.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left_behind:
            left_behind.bind(str(path))
        said = self.check(self.hearth("status", "--socket", str(path)), NOT_RUNNING, "nobody listens on",
                          f"start it with 'hearthd --socket {path}'")
        self.assertNotIn("version", said)

    def test_the_option_beats_the_environment(self) -> None:
        wrong = {"HEARTH_SOCKET": str(self.folder / "missing.sock")}
        self.check(self.hearth("status", env=wrong), NOT_RUNNING)
        self.check(self.hearth("status", "--socket", str(self.daemon.socket), env=wrong), OK)

    def test_a_path_too_long_is_a_usage_error(self) -> None:
        path = "/tmp/" + "x" * 103
        self.check(self.hearth("status", "--socket", path), USAGE, "the socket path has 108 bytes, at most 107")
        self.check(self.hearth("status", "--socket", path[:-1]), NOT_RUNNING)

    def test_a_regular_file_is_not_a_socket(self) -> None:
        path = self.folder / "plain"
        path.write_text("hello")
        self.check_names_the_socket(path, INCOMPATIBLE, f"'{path}' is not a socket")
        self.assertEqual(path.read_text(), "hello")
        self.check_names_the_socket(self.folder, INCOMPATIBLE, f"'{self.folder}' is not a socket")
        self.check_names_the_socket(path / "below", INCOMPATIBLE, "no directory")

    def check_names_the_socket(self, path: Path, code: int, *fragments: str) -> None:
        """The path is to blame: versions are not, and hearthd would not start there either."""
        said = self.check(self.hearth("status", "--socket", str(path)), code, *fragments,
                          "name hearthd's socket with --socket or HEARTH_SOCKET")
        self.assertNotIn("version", said)
        self.assertNotIn("start it with", said)

    def test_a_foreign_stream_socket(self) -> None:
        path = self.folder / "stream.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as foreign:
            foreign.bind(str(path))
            foreign.listen()
            self.check_names_the_socket(path, INCOMPATIBLE, "some other program")

    def test_a_program_that_answers_nonsense(self) -> None:
        self.check(self.with_foreign("nonsense.sock", b"nonsense"), INCOMPATIBLE, "nonsense.sock' is not hearthd",
                   "name hearthd's socket with --socket or HEARTH_SOCKET")

    def test_a_program_that_hangs_up(self) -> None:
        said = self.check(self.with_foreign("hang-up.sock", None), NOT_RUNNING, "without saying why",
                          "another program", "name hearthd's socket with --socket or HEARTH_SOCKET")
        self.assertNotIn("start it with", said)

    def with_foreign(self, name: str, answer_bytes: bytes | None) -> subprocess.CompletedProcess[bytes]:
        """`hearth status` against a server that takes the greeting, answers that, and hangs up."""
        path = self.folder / name
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as foreign:
            foreign.bind(str(path))
            foreign.listen()
            foreign.settimeout(WATCHDOG)

            def answer() -> None:
                peer, _ = foreign.accept()
                with peer:
                    peer.recv(65536)
                    if answer_bytes is not None:
                        peer.send(answer_bytes)
            thread = threading.Thread(target=answer)
            thread.start()
            result = self.hearth("status", "--socket", str(path))
            thread.join(WATCHDOG)
        return result

    def test_a_second_daemon_on_the_same_socket_gives_up_and_disturbs_nothing(self) -> None:
        second = subprocess.run(self.daemon.command(), capture_output=True, text=True, timeout=WATCHDOG,
                                check=False)
        self.assertEqual(second.returncode, FAILURE, second.stderr)
        self.assertIn(str(self.daemon.socket), second.stderr)
        self.check(self.hearth("status"), OK)

    def test_no_such_namespace_store_or_key(self) -> None:
        self.check(self.hearth("cache", "get", "-n", "nowhere", "k"), FAILURE,
                   "no namespace 'nowhere' in store 'default'", "'hearth namespace list' lists")
        self.check(self.hearth("prewarm", "-n", "nowhere", "-"), FAILURE, "'hearth namespace list' lists")
        self.check(self.hearth("cache", "get", "--store", "nowhere", "k"), FAILURE, "no store 'nowhere'",
                   "'hearth status' lists")
        result = self.hearth("cache", "get", "no\nkey")
        self.check(result, FAILURE, "no key 'no\\nkey' in namespace 'default'")
        self.assertEqual(result.stdout, b"")

    def test_impossible_keys_and_values(self) -> None:
        self.check(self.hearth("cache", "set", "", "v"), USAGE, "1 to 1024 bytes")
        self.check(self.hearth("cache", "get", "k" * 1025), USAGE, "1 to 1024 bytes")
        self.check(self.hearth("cache", "set", "k" * 1024, "v"), OK)
        self.check(self.hearth("cache", "set", "k", "-", stdin=b"x" * (512 * 1024 + 1)), FAILURE, "524288")
        self.check(self.hearth("cache", "set", "k", "--file", str(self.folder / "none")), FAILURE, "cannot read")
        self.check(self.hearth("prewarm", str(self.folder / "none")), FAILURE, "cannot read", "No such file")
        self.check(self.hearth("prewarm", str(self.folder)), FAILURE, "it is a directory")

    def test_a_full_disk_is_reported(self) -> None:
        self.hearth("cache", "set", "k", "v")
        with open("/dev/full", "wb") as full:
            result = subprocess.run([HEARTH_CLI, "cache", "get", "k"], stdout=full, stderr=subprocess.PIPE,
                                    env=environment(HEARTH_SOCKET=str(self.daemon.socket)), check=False,
                                    timeout=WATCHDOG)
        self.check(result, FAILURE, "cannot write the output: No space left")


class Overloaded(CliTest):
    def test_a_namespace_that_does_not_evict_refuses_when_full(self) -> None:
        place = ["--store", "small", "-n", "full"]
        records = lines(*({"key": f"k{i}", "value": "x" * 1000} for i in range(1000)))
        result = self.hearth("prewarm", *place, "--json", "-", stdin=records)
        self.check(result, OVERLOADED, "namespace 'full' is full", "does not evict")
        summary = self.json(result)
        self.assertEqual((summary["result"], summary["code"]), ("stopped", "RESOURCE_EXHAUSTED"))
        self.assertTrue(50 < summary["loaded"] < 200, summary)
        # All before is there, and in order.
        last = summary["loaded_to_line"]
        self.assertEqual(last, summary["loaded"])
        self.assertTrue(self.has_at(f"k{last - 1}", place))
        self.assertFalse(self.has_at(f"k{last}", place))
        self.check(self.hearth("cache", "set", *place, "more", "x" * 1000), OVERLOADED, "is full")

    def has_at(self, key: str, place: list[str]) -> bool:
        return self.hearth("cache", "get", *place, key).returncode == OK


class Timeouts(unittest.TestCase):
    def test_a_daemon_that_hangs_is_given_up_after_the_timeout(self) -> None:
        with private_daemon() as daemon:
            suspend(daemon.process.pid)
            for words in (["status"], ["cache", "get", "k"], ["prewarm", "-"]):
                with self.subTest(words):
                    result = subprocess.run([HEARTH_CLI, *words, "--timeout", "200ms"], input=b"",
                                            env=environment(HEARTH_SOCKET=str(daemon.socket)),
                                            capture_output=True, check=False, timeout=WATCHDOG)
                    self.assertEqual(result.returncode, TIMEOUT, result.stderr)
                    self.assertIn(b"in time", result.stderr)
                    self.assertIn(b"overloaded or stands still", result.stderr)


@unittest.skipUnless(os.geteuid() == 0, "becoming another user needs root")
class Denied(CliTest):
    """As uid 65534, with a copy of the program that this user can reach."""

    def as_nobody(self, daemon_socket: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        program = self.folder / "hearth"
        if not program.exists():
            shutil.copy(HEARTH_CLI, program)
            program.chmod(0o755)
        return subprocess.run([program, "--socket", daemon_socket, *words], input=stdin, cwd="/", check=False,
                              capture_output=True, env=environment(), timeout=WATCHDOG,
                              user=NOBODY, group=NOBODY, extra_groups=[])

    def test_without_a_policy_rule_nothing_is_allowed(self) -> None:
        path = str(self.daemon.socket)
        for words in (["status"], ["cache", "get", "k"], ["cache", "set", "k", "v"], ["prewarm", "-"]):
            with self.subTest(words):
                self.check(self.as_nobody(path, *words), DENIED, f"policy gives uid {NOBODY} no rights",
                           "[[policy]] rules")

    def test_a_socket_this_user_may_not_open(self) -> None:
        with private_daemon(CONFIG.replace("0666", "0600")) as daemon:
            said = self.check(self.as_nobody(str(daemon.socket), "status"), DENIED, f"uid {NOBODY}",
                              "the socket's owner, group and mode")
            self.assertNotIn("[[policy]]", said)

    def test_a_directory_this_user_may_not_enter(self) -> None:
        closed = self.folder / "closed"
        closed.mkdir(mode=0o700)
        said = self.check(self.as_nobody(str(closed / "h.sock"), "status"), DENIED, f"uid {NOBODY}",
                          "the directory's owner, group and mode")
        self.assertNotIn("[[policy]]", said)

    def test_a_reader_reads_and_nothing_else(self) -> None:
        with private_daemon(CONFIG + READER_RULE) as daemon:
            path = str(daemon.socket)
            self.check(self.hearth("--socket", path, "cache", "set", "k", "v"), OK)
            self.assertEqual(self.as_nobody(path, "cache", "get", "k").stdout, b"v")
            self.check(self.as_nobody(path, "cache", "set", "k", "w"), DENIED, "may not write to namespace 'default'")
            self.check(self.as_nobody(path, "cache", "del", "k"), DENIED, "may not write")
            self.check(self.as_nobody(path, "prewarm", "-", stdin=lines({"key": "k", "value": "w"})), DENIED,
                       "may not write to namespace 'default'", "policy")
            self.check(self.as_nobody(path, "status"), DENIED, "admin = true")
            self.check(self.as_nobody(path, "cache", "get", "--store", "small", "k"), DENIED, "store 'small'")
            self.assertEqual(self.hearth("--socket", path, "cache", "get", "k").stdout, b"v")
