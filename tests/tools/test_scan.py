"""cache scan and export: what they list, how they go on, and that an export can be loaded again."""

from __future__ import annotations

import json
import re
import subprocess

from harness import FAILURE, OK, USAGE, CliTest, lines, private_daemon


def objects(output: bytes) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


class Scan(CliTest):
    def fill(self, prefix: str, count: int) -> dict[str, str]:
        entries = {f"{prefix}{i}": f"value {i}" for i in range(count)}
        data = lines(*({"key": key, "value": value} for key, value in entries.items()))
        self.check(self.hearth("prewarm", "-", stdin=data), OK)
        return entries

    def test_all_entries_with_a_prefix_are_listed(self) -> None:
        wanted = self.fill("scan:", 3000)
        result = self.hearth("cache", "scan", "--prefix", "scan:", "--json")
        self.check(result, OK)
        found = objects(result.stdout)
        self.assertEqual({entry["key"]: entry["value"] for entry in found}, wanted)
        self.assertEqual(len(found), len(wanted))
        self.assertEqual(set(found[0]), {"key", "value", "bytes", "version", "ttl_ms", "soft_ttl_ms", "stale"})
        result = self.hearth("cache", "scan", "--prefix", "scan:", "--keys")
        self.check(result, OK)
        self.assertEqual(set(result.stdout.decode().splitlines()), set(wanted))

    def test_lines_hold_no_control_characters(self) -> None:
        self.check(self.hearth("cache", "set", "ctl:\tx", "-", stdin=b"a\nb\x1b[2J\xff"), OK)
        result = self.hearth("cache", "scan", "--prefix", "ctl:")
        self.check(result, OK)
        self.assertEqual(result.stdout, b"ctl:\\tx\ta\\nb\\x1b[2J\\xff\n")

    def test_a_cursor_goes_on_and_loses_nothing(self) -> None:
        wanted = self.fill("page:", 250)
        found: list[str] = []
        more: list[str] = []
        for _ in range(4):
            result = self.hearth("cache", "scan", "--prefix", "page:", "--keys", "--limit", "100", *more)
            self.check(result, OK)
            found += result.stdout.decode().splitlines()
            cursor = re.search(r"go on with --cursor ([0-9a-f]{86})\n", result.stderr.decode())
            if cursor is None:
                break
            more = ["--cursor", cursor[1]]
        self.assertEqual(sorted(found), sorted(wanted))
        self.check(self.hearth("cache", "scan", "-n", "other", *more), FAILURE, "belongs to the namespace")
        self.check(self.hearth("cache", "scan", "--cursor", "abc"), USAGE, "'abc' is not a cursor of a scan")
        with private_daemon() as other:
            result = self.hearth("--socket", str(other.socket), "cache", "scan", *more)
            self.check(result, FAILURE, "belongs to another store")
        self.check(self.hearth("cache", "scan", "--limit", "x"), USAGE, "whole number")

    def test_an_export_can_be_loaded_again(self) -> None:
        data = lines({"key": "ex:text", "value": "gr\u00fc\u00dfe\n\"x\""}, {"key": "ex:bytes", "value_base64": "AP/+"},
                     {"key": "ex:json", "value": {"a": [1, None]}}, {"key": "ex:empty", "value": ""},
                     {"key": "ex:ttl", "value": "1", "ttl": "1h", "soft_ttl": "1m"})
        self.check(self.hearth("prewarm", "-", stdin=data), OK)
        export = self.hearth("cache", "export", "--prefix", "ex:")
        self.check(export, OK)
        self.assertEqual(len(export.stdout.splitlines()), 5)
        with private_daemon() as other:
            def there(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
                return self.hearth("--socket", str(other.socket), *words, stdin=stdin)
            self.check(there("prewarm", "-", stdin=export.stdout), OK)
            again = {entry["key"]: entry for entry in objects(there("cache", "scan", "--json").stdout)}
        here = {entry["key"]: entry for entry in objects(self.hearth("cache", "scan", "--prefix", "ex:", "--json").stdout)}
        self.assertEqual(set(again), set(here))
        for key, entry in here.items():
            for name in ("value", "value_base64", "bytes"):
                self.assertEqual(again[key].get(name), entry.get(name), key)
            for name in ("ttl_ms", "soft_ttl_ms"):
                left = again[key][name]
                self.assertTrue(left is entry[name] is None or abs(left - entry[name]) < 30_000, (key, name))

    def test_an_export_says_what_it_cannot_hold(self) -> None:
        self.check(self.hearth("cache", "set", b"bin:\xff", "v"), OK)
        self.check(self.hearth("cache", "export", "--prefix", "bin:"), FAILURE, "1 entries were left out")
