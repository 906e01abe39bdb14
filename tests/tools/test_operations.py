"""cache add, replace, cas, append, incr and decr: what they store, print and refuse."""

from __future__ import annotations

import subprocess
import unittest

from harness import BUILD, FAILURE, HEARTH_CLI, OK, OVERLOADED, USAGE, WATCHDOG, CliTest, environment


class Conditions(CliTest):
    def version(self, key: str) -> int:
        return self.json(self.hearth("cache", "get", "--json", key))["version"]

    def test_add_stores_only_where_nothing_is(self) -> None:
        result = self.hearth("cache", "add", "a", "one", "--ttl", "5m")
        self.check(result, OK)
        self.assertEqual(result.stdout, b"")
        answer = self.json(self.hearth("cache", "get", "--json", "a"))
        self.assertTrue(290_000 < answer["ttl_ms"] <= 300_000, answer)
        result = self.hearth("cache", "add", "a", "two", "--json")
        self.check(result, FAILURE,
                   f"key 'a' in namespace 'default' exists, with version {self.version('a')}")
        self.assertEqual(result.stdout, b"")
        self.assertEqual(self.value("a"), b"one")

    def test_a_key_that_is_known_to_be_absent_is_not_there(self) -> None:
        done = subprocess.run([BUILD / "tests/daemon/hostile_client", self.daemon.socket, "absent"],
                              capture_output=True, timeout=WATCHDOG, check=True)
        self.assertIn(b"filled", done.stdout)
        self.check(self.hearth("cache", "get", "absent"), FAILURE,
                   "no key 'absent' in namespace 'default'", "does not exist", "for another 59m")
        self.check(self.hearth("cache", "replace", "absent", "one"), FAILURE, "no key 'absent'")
        self.check(self.hearth("cache", "del", "absent"), FAILURE, "no key 'absent'")
        result = self.hearth("cache", "get", "absent")
        self.check(result, FAILURE, "no key 'absent'")
        self.assertNotIn(b"does not exist", result.stderr)

    def test_replace_needs_the_key(self) -> None:
        self.check(self.hearth("cache", "replace", "r", "one"), FAILURE,
                   "no key 'r' in namespace 'default'")
        self.assertFalse(self.has("r"))
        self.hearth("cache", "set", "r", "one")
        result = self.hearth("cache", "replace", "r", "-", "--json", stdin=b"two\n")
        self.check(result, OK)
        self.assertEqual(self.json(result), {"key": "r", "namespace": "default", "bytes": 4,
                                             "version": self.version("r")})
        self.assertEqual(self.value("r"), b"two\n")

    def test_cas_needs_the_version(self) -> None:
        self.check(self.hearth("cache", "cas", "c", "1", "x"), FAILURE,
                   "no key 'c' in namespace 'default'")
        self.hearth("cache", "set", "c", "one")
        version = self.version("c")
        self.check(self.hearth("cache", "cas", "c", str(version + 1), "x"), FAILURE,
                   f"key 'c' in namespace 'default' has version {version}")
        self.assertEqual(self.value("c"), b"one")
        file = self.folder / "value"
        file.write_bytes(b"\x00two")
        result = self.hearth("cache", "cas", "c", str(version), "--file", str(file), "--json")
        self.check(result, OK)
        self.assertEqual(self.value("c"), b"\x00two")
        self.assertEqual(self.json(result)["version"], self.version("c"))

    def test_append_puts_bytes_behind_the_value_and_keeps_its_life(self) -> None:
        self.check(self.hearth("cache", "append", "p", "x"), FAILURE, "no key 'p'")
        self.hearth("cache", "set", "p", "one", "--ttl", "5m")
        result = self.hearth("cache", "append", "p", "-", "--json", stdin=b",\xff")
        self.check(result, OK)
        self.assertEqual(self.json(result)["bytes"], 2)
        self.assertEqual(self.value("p"), b"one,\xff")
        self.assertIsNotNone(self.json(self.hearth("cache", "get", "--json", "p"))["ttl_ms"])
        most = 512 * 1024
        self.hearth("cache", "set", "large", "-", stdin=bytes(most))
        self.check(self.hearth("cache", "append", "large", "x"), FAILURE,
                   f"key 'large' in namespace 'default': a value has at most {most} bytes")
        self.assertEqual(len(self.value("large")), most)

    def test_a_full_namespace_refuses_them(self) -> None:
        at = ("--store", "small", "-n", "full")
        for i in range(40):
            result = self.hearth("cache", "add", *at, f"k{i}", "-", stdin=bytes(16_000))
            if result.returncode != OK:
                break
        self.check(result, OVERLOADED, "namespace 'full' is full")
        self.check(self.hearth("cache", "append", *at, "k0", "x"), OVERLOADED, "is full")


class Counters(CliTest):
    def count(self, *words: str) -> bytes:
        result = self.hearth("cache", *words)
        self.check(result, OK)
        return result.stdout

    def test_incr_and_decr_print_the_new_value(self) -> None:
        self.check(self.hearth("cache", "incr", "n"), FAILURE, "no key 'n' in namespace 'default'")
        self.assertEqual(self.count("incr", "n", "5", "--initial", "10", "--ttl", "5m"), b"15\n")
        self.assertEqual(self.count("incr", "n"), b"16\n")
        self.assertEqual(self.count("decr", "n", "20"), b"-4\n")
        self.assertEqual(self.count("incr", "n", "-3"), b"-7\n")
        self.assertEqual(self.count("decr", "n", "--initial", "0"), b"-8\n")
        self.assertEqual(self.value("n"), b"-8")
        answer = self.json(self.hearth("cache", "get", "--json", "n"))
        self.assertTrue(0 < answer["ttl_ms"] <= 300_000, answer)
        result = self.hearth("cache", "decr", "n", "--json")
        self.assertEqual(self.json(result), {"key": "n", "namespace": "default", "value": -9,
                                             "version": answer["version"] + 1})
        self.hearth("cache", "set", "n", "41")
        self.assertEqual(self.count("incr", "n"), b"42\n")

    def test_no_number_and_no_room_for_one_change_nothing(self) -> None:
        self.hearth("cache", "set", "t", "-", stdin=b"5\n")
        self.check(self.hearth("cache", "incr", "t"), FAILURE,
                   "key 't' in namespace 'default': the value is not a decimal number of 64 bits")
        self.assertEqual(self.value("t"), b"5\n")
        self.hearth("cache", "set", "t", str(2**63 - 1))
        self.check(self.hearth("cache", "incr", "t"), FAILURE, "would leave the range of 64 bits")
        self.assertEqual(self.value("t"), str(2**63 - 1).encode())


class CommandLine(unittest.TestCase):
    def test_wrong_command_lines_exit_with_2(self) -> None:
        for words in (["add"], ["add", "k"], ["add", "k", "v", "w"], ["add", "k", "v", "--file", "f"],
                      ["replace", "k"], ["add", "k", "v", "--ttl", "1m", "--soft-ttl", "2m"],
                      ["cas", "k", "v"], ["cas", "k", "x", "v"], ["cas", "k", "-1", "v"],
                      ["append", "k"], ["append", "k", "v", "--ttl", "1m"],
                      ["incr"], ["incr", "k", "x"], ["incr", "k", "1.5"], ["incr", "k", str(2**63)],
                      ["incr", "k", "1", "2"], ["incr", "k", "--initial", "x"],
                      ["incr", "k", "--ttl", "1m"], ["decr", "k", "--", str(-(2**63))],
                      ["set", "k", "v", "--initial", "1"]):
            with self.subTest(words):
                result = subprocess.run([HEARTH_CLI, "cache", *words], capture_output=True, text=True,
                                        check=False, env=environment(), timeout=WATCHDOG)
                self.assertEqual((result.returncode, result.stdout), (USAGE, ""), result.stderr)
                self.assertRegex(result.stderr, r"^hearth: .*; see 'hearth.* --help'\n$")
