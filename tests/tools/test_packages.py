"""tools/packages-to-jsonl, whose output prewarm must be able to load."""

from __future__ import annotations

import json
import subprocess

from harness import OK, ROOT, WATCHDOG, CliTest

TOOL = ROOT / "tools/packages-to-jsonl"
INDEX = b"""\
Package: alpha
Version: 1.9-1
Description: first
 with a second line
 .
 and a third
Size: 12

Package: beta
Version: 1:0.1
Maintainer: J\xc3\xb6rg \xff <j@example.org>

Package: alpha
Version: 1.10-1
Description: newer

Package: alpha
Version: 1.10~rc1-1
Description: a candidate

Garbage without a name

Package: last
Version: 1"""


class PackagesToJsonl(CliTest):
    def convert(self, *words: str, stdin: bytes = INDEX) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([TOOL, *words], input=stdin, capture_output=True, check=False, timeout=WATCHDOG)

    def records(self, result: subprocess.CompletedProcess[bytes]) -> dict[str, dict]:
        """By key; the last of a key counts, as in a cache."""
        found = map(json.loads, result.stdout.splitlines())
        return {r["key"]: r["value"] for r in found}

    def test_fields_continuation_lines_and_the_newest_version(self) -> None:
        result = self.convert()
        self.assertEqual(result.returncode, OK, result.stderr)
        records = self.records(result)
        self.assertEqual(set(records), {"alpha", "beta", "last"})
        self.assertEqual(records["alpha"]["Version"], "1.10-1")
        self.assertEqual(records["alpha"]["Description"], "newer")
        self.assertEqual(records["beta"]["Maintainer"], "J\u00f6rg \ufffd <j@example.org>")
        self.assertIn(b"4 records, 1 older versions left out, 1 stanza without", result.stderr)

    def test_continuation_lines_are_kept(self) -> None:
        records = self.records(self.convert(stdin=INDEX.split(b"\n\n", maxsplit=1)[0]))
        self.assertEqual(records["alpha"]["Description"], "first\nwith a second line\n\nand a third")
        self.assertEqual(records["alpha"]["Size"], "12")

    def test_versions_compare_as_dpkg_compares_them(self) -> None:
        older_first = [("1.0~beta1", "1.0"), ("1.0", "1.0-1"), ("1.9", "1.10"), ("2.0", "1:0.1"),
                       ("1.0-1", "1.0-1+b1"), ("1.0a", "1.0+"), ("1.0", "1.0a"), ("1.0-1~", "1.0-1"),
                       ("0.9.9", "0.10"), ("1.01", "1.2")]
        for older, newer in older_first:
            for versions in ((older, newer), (newer, older)):
                with self.subTest(versions):
                    index = "\n\n".join(f"Package: p\nVersion: {v}" for v in versions).encode()
                    self.assertEqual(self.records(self.convert(stdin=index))["p"]["Version"], newer)

    def test_prewarm_loads_it(self) -> None:
        result = self.hearth("prewarm", "--json", "-", stdin=self.convert().stdout)
        self.check(result, OK)
        self.assertEqual(self.json(result)["loaded"], 4)
        self.assertEqual(json.loads(self.value("alpha"))["Version"], "1.10-1")

    def test_help_and_empty_input(self) -> None:
        self.assertIn(b"Usage: ", self.convert("--help").stdout)
        result = self.convert(stdin=b"")
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        self.assertIn(b"no package", result.stderr)
