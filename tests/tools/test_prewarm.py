"""prewarm: what is loaded, what it says meanwhile, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
import unittest

from harness import (FAILURE, INTERRUPTED, NOT_RUNNING, OK, TIMEOUT, USAGE, WATCHDOG, CliTest, Daemon, lines,
                     private_daemon, suspend)


def records(count: int, prefix: str = "k") -> bytes:
    return lines(*({"key": f"{prefix}{i}", "value": f"v{i}"} for i in range(count)))


class Loading(CliTest):
    def load(self, data: bytes, *words: str, code: int = OK) -> dict:
        result = self.hearth("prewarm", "--json", *words, "-", stdin=data)
        self.check(result, code)
        return self.json(result)

    def test_values_are_texts_json_or_base64(self) -> None:
        self.load(lines({"key": "text", "value": "grüße\n\"x\""},
                        b'{"key": "object", "value": {"b": [1, 2.50e1, null],  "a": "\\u00e4"}}',
                        b'{"value": 1e2, "key": "number"}', {"key": "null", "value": None},
                        {"key": "true", "value": True}, {"key": "empty", "value": ""},
                        {"key": "bytes", "value_base64": "AP/+"},
                        b'{"key": "escapes", "value": "\\u0000\\ud83d\\ude00\\/\\b"}'))
        for key, value in {"text": "grüße\n\"x\"".encode(), "object": b'{"b": [1, 2.50e1, null],  "a": "\\u00e4"}',
                           "number": b"1e2", "null": b"null", "true": b"true", "empty": b"",
                           "bytes": b"\x00\xff\xfe", "escapes": "\x00\U0001f600/\b".encode()}.items():
            with self.subTest(key):
                self.assertEqual(self.value(key), value)

    def test_each_record_may_have_its_own_ttl(self) -> None:
        self.load(lines({"key": "t1", "value": 1, "ttl": "5m", "soft_ttl": "1m"}, {"key": "t2", "value": 1},
                        {"key": "t3", "value": 1, "ttl": "never"}), "--ttl", "10m")
        wanted = {"t1": (300_000, 60_000), "t2": (600_000, None), "t3": (None, None)}
        for key, (hard, soft) in wanted.items():
            answer = self.json(self.hearth("cache", "get", key, "--json"))
            for ms, limit in ((answer["ttl_ms"], hard), (answer["soft_ttl_ms"], soft)):
                self.assertTrue(ms is limit is None or limit - 30_000 < ms <= limit, (key, answer))

    def test_a_field_as_key_and_the_whole_line_as_value(self) -> None:
        line = b'{"id": 42, "name": "x", "key": 1}'
        self.load(line + b"\r\n", "--key", "id", "--key-prefix", "user:")
        self.assertEqual(self.value("user:42"), line)
        self.load(lines({"name": "n\u00e4", "age": {"y": 1}}), "--key", "name", "--value", "age", "-n", "other")
        self.assertEqual(self.value("n\u00e4", "-n", "other"), b'{"y": 1}')
        self.load(lines({"key": "only", "data": "d", "value": 1}), "--value", "data")
        self.assertEqual(self.value("only"), b"d")

    def test_line_ends_empty_lines_byte_order_mark_and_no_last_line_end(self) -> None:
        data = b'\xef\xbb\xbf{"key":"l1","value":1}\r\n\r\n\n  \n{"key":"l2","value":2}\n{"key":"l3","value":3}'
        summary = self.load(data)
        self.assertEqual((summary["lines"], summary["records"], summary["loaded"]), (6, 3, 3))
        self.assertEqual(self.value("l3"), b"3")

    def test_the_last_of_equal_keys_wins(self) -> None:
        self.load(lines(*({"key": "same", "value": i} for i in range(1000))))
        self.assertEqual(self.value("same"), b"999")

    def test_large_values_travel_in_parts(self) -> None:
        value = "x" * (512 * 1024)
        summary = self.load(lines(*({"key": f"big{i}", "value": value} for i in range(20))))
        self.assertEqual(summary["bytes"], sum(len(f"big{i}") + len(value) for i in range(20)))
        self.assertEqual(self.value("big19"), value.encode())

    def test_the_summary_for_people_and_programs(self) -> None:
        file = self.folder / "records.jsonl"
        file.write_bytes(records(5000, "s"))
        result = self.hearth("prewarm", str(file))
        self.check(result, OK)
        self.assertRegex(result.stdout.decode(),
                         r"^loaded 5,000 records \(\S+ KiB\) into namespace 'default' in \S+ s, [\d,]+ records/s\n$")
        summary = self.load(file.read_bytes())
        size = sum(len(f"s{i}v{i}") for i in range(5000))
        expected = {"result": "ok", "namespace": "default", "dry_run": False, "lines": 5000, "records": 5000,
                    "loaded": 5000, "rejected": 0, "unconfirmed": 0, "loaded_to_line": 5000, "bytes": size,
                    "share_gone": 0}
        self.assertEqual({k: summary[k] for k in expected}, expected)
        self.assertGreater(summary["records_per_second"], 0)

    def test_it_tells_when_what_was_loaded_first_was_evicted(self) -> None:
        data = lines(*({"key": f"e{i}", "value": "x" * 1000} for i in range(20_000)))
        result = self.hearth("prewarm", "--json", "--store", "small", "-", stdin=data)
        said = self.check(result, OK, "of what was loaded is gone already", "'hearth status'")
        # 8 MiB of room for 20 MB.
        self.assertTrue(0.5 < self.json(result)["share_gone"] < 0.8, said)

    def test_nothing_to_load(self) -> None:
        self.assertEqual(self.load(b"")["loaded"], 0)

    def test_a_dry_run_finds_everything_and_stores_nothing(self) -> None:
        summary = self.load(lines({"key": "dry", "value": 1}, b"x"), "--dry-run", code=FAILURE)
        self.assertEqual((summary["loaded"], summary["rejected"], summary["dry_run"]), (1, 1, True))
        self.assertFalse(self.has("dry"))

    def test_the_rate_is_kept(self) -> None:
        start = time.monotonic()
        summary = self.load(records(300), "--rate", "1000")
        self.assertGreaterEqual(time.monotonic() - start, 0.29)
        self.assertLess(summary["records_per_second"], 1050)

    def test_contradicting_ttls_are_a_usage_error(self) -> None:
        self.check(self.hearth("prewarm", "--ttl", "1m", "--soft-ttl", "2m", "-"), USAGE, "longer than --ttl")


class Progress(CliTest):
    def test_a_bar_on_a_terminal(self) -> None:
        file = self.folder / "bar.jsonl"
        file.write_bytes(records(1000))
        text, code = self.on_terminal("prewarm", "--rate", "2500", str(file))
        self.assertEqual(code, OK)
        self.assertRegex(text, r"\rprewarm  \[#+\.+\] +\d+ %  [\d,]+ records, .*/s  \d:\d\d left\x1b\[K")
        self.assertTrue(text.endswith("\r\x1b[K"), repr(text[-80:]))

    def test_no_bar_with_no_color_or_a_dumb_terminal(self) -> None:
        file = self.folder / "plain.jsonl"
        file.write_bytes(records(500))
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            with self.subTest(env):
                text, code = self.on_terminal("prewarm", "--rate", "2500", str(file), **env)
                self.assertEqual((text, code), ("", OK))

    def test_plain_lines_into_a_pipe(self) -> None:
        process = self.start("prewarm", "--json", "-")
        process.stdin.write(records(10))
        process.stdin.flush()
        ready, _, _ = select.select([process.stderr], [], [], WATCHDOG)
        self.assertTrue(ready, "no line of progress")
        line = process.stderr.readline().decode()
        self.assertRegex(line, r"^prewarm: 10 records, \d+ B, \d+/s\n$")
        out, rest = process.communicate(timeout=WATCHDOG)
        self.assertEqual((process.returncode, json.loads(out)["loaded"], rest), (OK, 10, b""))

    def on_terminal(self, *words: str, **env: str) -> tuple[str, int]:
        """stderr is a terminal; what it showed, and the exit code."""
        master, slave = pty.openpty()
        process = self.start(*words, stderr=slave, env={"TERM": "xterm", **env})
        os.close(slave)
        shown = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the other side is closed
                break
            if not chunk:
                break
            shown += chunk
        os.close(master)
        process.communicate(timeout=WATCHDOG)
        return shown.decode().replace("\r\n", "\n"), process.returncode


class Ending(unittest.TestCase):
    """Runs that do not come to the end of their input. Each has a daemon of its own."""

    hearth = CliTest.hearth
    start = CliTest.start
    has = CliTest.has
    wait_until = CliTest.wait_until
    daemon: Daemon

    def setUp(self) -> None:
        context = private_daemon()
        self.daemon = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def begin(self, *words: str, prefix: str = "k") -> subprocess.Popen[bytes]:
        """A prewarm that has loaded 1,000 records and waits for more."""
        process = self.start("prewarm", "--json", *words, "-")
        process.stdin.write(records(1000, prefix))
        process.stdin.flush()
        self.wait_until(lambda: self.has(f"{prefix}999"), "the first records are loaded")
        return process

    def end(self, process: subprocess.Popen[bytes]) -> tuple[int, dict, str]:
        out, err = process.communicate(timeout=WATCHDOG)
        return process.returncode, json.loads(out), err.decode()

    def test_ctrl_c_stops_with_a_summary(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                process = self.begin(prefix=number.name)
                process.send_signal(number)
                code, summary, err = self.end(process)
                self.assertEqual((code, err), (INTERRUPTED, "hearth: interrupted\n"))
                self.assertEqual((summary["result"], summary["loaded"], summary["loaded_to_line"]),
                                 ("interrupted", 1000, 1000))

    def test_ctrl_c_in_the_middle_of_a_file(self) -> None:
        file = self.daemon.folder / "file.jsonl"
        file.write_bytes(records(100_000, "f"))
        process = self.start("prewarm", "--json", "--rate", "1000", str(file))
        self.wait_until(lambda: self.has("f10"), "the first records are loaded")
        process.send_signal(signal.SIGINT)
        code, summary, _ = self.end(process)
        self.assertEqual(code, INTERRUPTED)
        count = summary["loaded_to_line"]
        self.assertEqual(count, summary["loaded"])
        self.assertTrue(10 < count < 100_000, summary)
        self.assertTrue(self.has(f"f{count - 1}") and not self.has(f"f{count}"))

    def test_a_daemon_that_is_killed_ends_it_and_it_says_how_far_it_came(self) -> None:
        process = self.begin()
        self.daemon.process.kill()
        self.daemon.process.wait(WATCHDOG)
        process.stdin.write(records(1000, "late"))
        code, summary, err = self.end(process)
        self.assertEqual(code, NOT_RUNNING, err)
        self.assertIn("hearth: hearthd went away: ", err)
        self.assertIn("prewarm again", err)
        self.assertEqual((summary["result"], summary["code"]), ("stopped", "UNAVAILABLE"))
        self.assertEqual((summary["loaded"], summary["loaded_to_line"]), (1000, 1000))
        self.assertTrue(1 <= summary["unconfirmed"] <= 1000, summary)

    def test_a_daemon_that_is_killed_under_load(self) -> None:
        file = self.daemon.folder / "file.jsonl"
        file.write_bytes(records(2_000_000, "f"))
        process = self.start("prewarm", "--json", str(file))
        self.wait_until(lambda: self.has("f1000"), "it runs")
        self.daemon.process.kill()
        code, summary, err = self.end(process)
        self.assertEqual((code, summary["result"]), (NOT_RUNNING, "stopped"), err)
        self.assertTrue(1000 < summary["loaded"] < 2_000_000, summary)
        self.assertLessEqual(summary["loaded_to_line"], summary["lines"])
        self.assertRegex(err, re.compile(r"^hearth: hearthd went away: ", re.M))

    def test_a_daemon_that_hangs_is_noticed_while_no_input_comes(self) -> None:
        process = self.begin("--timeout", "300ms")
        suspend(self.daemon.process.pid)
        process.stdin.write(records(10, "late"))
        process.stdin.flush()
        process.wait(WATCHDOG)  # stdin stays open
        code, summary, err = self.end(process)
        self.assertEqual((code, summary["unconfirmed"]), (TIMEOUT, 10), err)

    def test_a_daemon_that_stops_in_order_ends_it_too(self) -> None:
        process = self.begin()
        self.daemon.process.terminate()
        self.daemon.process.wait(WATCHDOG)
        process.stdin.write(records(10, "late"))
        code, summary, err = self.end(process)
        self.assertEqual((code, summary["loaded"]), (NOT_RUNNING, 1000), err)
        self.assertIn("hearthd is stopping", err)

    def test_a_daemon_that_hangs_ends_it_after_the_timeout(self) -> None:
        process = self.begin("--timeout", "300ms")
        suspend(self.daemon.process.pid)
        process.stdin.write(records(10, "late"))
        code, summary, err = self.end(process)
        self.assertEqual((code, summary["loaded_to_line"], summary["unconfirmed"]), (TIMEOUT, 1000, 10), err)
        self.assertIn("--timeout", err)
