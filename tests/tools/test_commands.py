"""status and cache: what they print, and that bytes go through unchanged."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import unittest

from harness import FAILURE, HEARTH_CLI, OK, USAGE, WATCHDOG, CliTest, environment


class Status(CliTest):
    def test_for_people_it_is_aligned_tables_without_control_codes(self) -> None:
        result = self.hearth("status")
        self.check(result, OK)
        text = result.stdout.decode()
        self.assertRegex(text, r"^hearthd \d+\.\d+\.\d+, pid \d+, up .*, epoch 1\n")
        self.assertRegex(text, r"(?m)^STORE +SIZE +FREE +ENTRIES")
        self.assertRegex(text, r"(?m)^full +small +0 B +128 KiB +none +none +refuses writes$")
        self.assertRegex(text, r"(?m)^other +default +\S+ B +store +1h 0m +none +evicts oldest$")
        self.assertNotIn("\x1b", text)
        self.assertNotRegex(text, r"(?m) $")

    def test_json_has_every_store_namespace_and_session(self) -> None:
        holder = self.start("prewarm", "-")
        try:
            self.wait_until(lambda: bool(self.json(self.hearth("status", "--json"))["sessions"]),
                            "a session of prewarm")
            report = self.json(self.hearth("--json", "status"))
        finally:
            holder.communicate(timeout=WATCHDOG)
        self.assertEqual(report["pid"], self.daemon.process.pid)
        self.assertEqual([s["name"] for s in report["stores"]], ["default", "small"])
        self.assertEqual({n["name"] for n in report["stores"][0]["namespaces"]}, {"default", "other"})
        full = next(n for n in report["stores"][1]["namespaces"] if n["name"] == "full")
        self.assertEqual((full["quota_max_bytes"], full["evicts"], full["ttl_ms"]),
                         (131072, False, None))
        [session] = report["sessions"]
        self.assertEqual((session["client"], session["pid"], session["uid"], session["store"]),
                         ("hearth prewarm", holder.pid, os.getuid(), "default"))


class Cache(CliTest):
    def test_a_value_goes_in_and_out_byte_for_byte(self) -> None:
        for name, value in {"empty": b"", "text": "grüße\n".encode(), "binary": bytes(range(256)) * 9,
                            "largest": os.urandom(512 * 1024)}.items():
            with self.subTest(name):
                self.check(self.hearth("cache", "set", name, "-", stdin=value), OK)
                self.assertEqual(self.value(name), value)
                self.assertEqual(self.value(name, "--raw"), value)

    def test_set_takes_values_from_the_command_line_and_from_files(self) -> None:
        self.check(self.hearth("cache", "set", "word", "hello"), OK)
        self.assertEqual(self.value("word"), b"hello")
        file = self.folder / "value"
        file.write_bytes(b"\x00\xff")
        result = self.hearth("cache", "set", "word", "--file", str(file), "--json")
        self.check(result, OK)
        self.assertEqual(self.json(result)["bytes"], 2)
        self.assertEqual(self.value("word"), b"\x00\xff")

    def test_keys_and_values_may_look_like_options_and_commands(self) -> None:
        self.check(self.hearth("cache", "set", "--", "--json", "-n"), OK)
        result = self.hearth("cache", "get", "--", "--json")
        self.assertEqual(result.stdout, b"-n")
        self.check(self.hearth("cache", "set", "status", "prewarm"), OK)
        self.assertEqual(self.value("status"), b"prewarm")

    def test_a_key_may_be_any_bytes(self) -> None:
        self.check(self.hearth("cache", "set", b"\xff\x01", "v"), OK)
        result = self.hearth("cache", "get", b"\xff\x01", "--json")
        self.assertEqual(self.json(result)["key_base64"], "/wE=")

    def test_json_of_a_value_is_text_or_base64(self) -> None:
        self.hearth("cache", "set", "j", "-", stdin="ä\n\"".encode())
        answer = self.json(self.hearth("cache", "get", "j", "--json"))
        self.assertEqual((answer["value"], answer["bytes"], answer["stale"]), ("ä\n\"", 4, False))
        self.assertIsNone(answer["ttl_ms"])
        self.hearth("cache", "set", "j", "-", stdin=b"\xff")
        answer = self.json(self.hearth("cache", "get", "j", "--json"))
        self.assertEqual(answer["value_base64"], "/w==")
        self.assertNotIn("value", answer)

    def test_ttl_given_on_the_command_line_or_by_the_namespace(self) -> None:
        self.check(self.hearth("cache", "set", "t", "v", "--ttl", "5m", "--soft-ttl", "1m"), OK)
        answer = self.json(self.hearth("cache", "get", "t", "--json"))
        self.assertTrue(290_000 < answer["ttl_ms"] <= 300_000, answer)
        self.assertTrue(50_000 < answer["soft_ttl_ms"] <= 60_000, answer)
        self.check(self.hearth("cache", "set", "-n", "other", "t", "v"), OK)
        answer = self.json(self.hearth("cache", "get", "-n", "other", "t", "--json"))
        self.assertTrue(3_590_000 < answer["ttl_ms"] <= 3_600_000, answer)
        self.check(self.hearth("cache", "set", "-n", "other", "t", "v", "--ttl", "never"), OK)
        answer = self.json(self.hearth("cache", "get", "-n", "other", "t", "--json"))
        self.assertIsNone(answer["ttl_ms"])

    def test_an_entry_past_its_soft_ttl_is_found_and_stale(self) -> None:
        self.check(self.hearth("cache", "set", "s", "v", "--ttl", "1h", "--soft-ttl", "1ms"), OK)
        self.wait_until(lambda: self.json(self.hearth("cache", "get", "s", "--json"))["stale"], "stale")
        self.check(self.hearth("cache", "get", "--meta", "s"), OK, "1 bytes", "(stale)")

    def test_an_entry_past_its_ttl_is_gone(self) -> None:
        self.check(self.hearth("cache", "set", "x", "v", "--ttl", "1ms"), OK)
        self.wait_until(lambda: not self.has("x"), "expired")

    def test_namespaces_and_stores_are_apart(self) -> None:
        self.hearth("cache", "set", "k", "in default")
        self.hearth("cache", "set", "-n", "other", "k", "in other")
        self.hearth("cache", "set", "--store", "small", "k", "in small")
        self.assertEqual(self.value("k"), b"in default")
        self.assertEqual(self.value("k", "-n", "other"), b"in other")
        self.assertEqual(self.value("k", "--store", "small"), b"in small")

    def test_del_removes_all_it_finds_and_tells_of_the_rest(self) -> None:
        for key in ("d1", "d2"):
            self.hearth("cache", "set", key, "v")
        result = self.hearth("cache", "del", "d1", "nothing", "d2", "--json")
        self.check(result, FAILURE, "no key 'nothing' in namespace 'default'")
        self.assertEqual(self.json(result), {"namespace": "default", "deleted": ["d1", "d2"],
                                             "missing": ["nothing"]})
        self.assertFalse(self.has("d1") or self.has("d2"))

    def test_on_a_terminal_control_characters_are_escaped_unless_raw(self) -> None:
        self.hearth("cache", "set", "evil", "-", stdin=b"a\x1b[31mb\xff\nc\td")
        for words, expected in ((["cache", "get", "evil"], b"a\\x1b[31mb\\xff\r\nc\td\r\n"),
                                (["cache", "get", "--raw", "evil"], b"a\x1b[31mb\xff\r\nc\td")):
            with self.subTest(words):
                self.assertEqual(self._on_terminal(words), expected)

    def _on_terminal(self, words: list[str]) -> bytes:
        master, slave = pty.openpty()
        env = environment(HEARTH_SOCKET=str(self.daemon.socket), TERM="xterm")
        subprocess.run([HEARTH_CLI, *words], stdin=slave, stdout=slave, env=env, check=True,
                       timeout=WATCHDOG)
        os.close(slave)
        text = b""
        try:
            while chunk := os.read(master, 4096):
                text += chunk
        except OSError:  # the end of a terminal whose other side is closed
            pass
        os.close(master)
        return text


class CommandLine(unittest.TestCase):
    """What needs no daemon."""

    def run_hearth(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([HEARTH_CLI, *words], capture_output=True, text=True, check=False,
                              env=environment(), timeout=WATCHDOG)

    def test_every_help_goes_to_stdout_and_has_examples(self) -> None:
        cache = ("get", "set", "add", "replace", "cas", "append", "incr", "decr", "del")
        for words in ([], ["status"], ["prewarm"], *(["cache", command] for command in cache)):
            with self.subTest(words):
                result = self.run_hearth(*words, "--help")
                self.assertEqual((result.returncode, result.stderr), (OK, ""))
                self.assertIn(" ".join(["Usage: hearth", *words]), result.stdout)
                self.assertIn("Examples:\n  ", result.stdout)
                self.assertIn("--socket", result.stdout)
                self.assertLessEqual(max(map(len, result.stdout.splitlines())), 100)

    def test_version(self) -> None:
        result = self.run_hearth("--version")
        self.assertEqual(result.returncode, OK)
        self.assertRegex(result.stdout, r"^hearth \d+\.\d+\.\d+\n$")

    def test_mistyped_words_get_the_nearest_one(self) -> None:
        for words, expected in (
                (["statsu"], "'statsu' is not a command of 'hearth'; did you mean 'status'?"),
                (["cache", "gte", "k"], "'gte' is not a command of 'hearth cache'; did you mean 'get'?"),
                (["--timeout", "1s", "prewram", "f"], "did you mean 'prewarm'?"),
                (["status", "--jsno"], "unknown option '--jsno'; did you mean '--json'?"),
                (["prewarm", "--max-error=3", "f"], "did you mean '--max-errors'?"),
                (["zzzzzzzz"], "'zzzzzzzz' is not a command of 'hearth'; see 'hearth --help'")):
            with self.subTest(words):
                result = self.run_hearth(*words)
                self.assertEqual((result.returncode, result.stdout), (USAGE, ""))
                self.assertIn(expected, result.stderr)

    def test_wrong_command_lines_exit_with_2(self) -> None:
        for words in ([], ["cache"], ["cache", "get"], ["cache", "set", "k"], ["cache", "del"],
                      ["cache", "set", "k", "v", "--file", "f"], ["cache", "set", "k", "v", "w"],
                      ["cache", "set", "k", "v", "--ttl", "5"], ["cache", "set", "k", "v", "--ttl", "0"],
                      ["cache", "set", "k", "v", "--ttl", "1m", "--soft-ttl", "2m"],
                      ["status", "more"], ["status", "--timeout", "0"], ["status", "--timeout", "soon"],
                      ["prewarm"], ["prewarm", "f", "--max-errors", "x"], ["prewarm", "f", "--max-errors", "-1"],
                      ["prewarm", "f", "--max-errors", "101%"], ["prewarm", "f", "--rate", "0"],
                      ["prewarm", "f", "--rate", "fast"], ["status", "--socket"]):
            with self.subTest(words):
                result = self.run_hearth(*words)
                self.assertEqual((result.returncode, result.stdout), (USAGE, ""), result.stderr)
                self.assertRegex(result.stderr, r"^hearth: .*; see 'hearth.* --help'\n$")
