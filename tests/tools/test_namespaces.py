"""namespace list, create, alter, flush and drop: what they do, print and refuse."""

from __future__ import annotations

import os
import unittest

from harness import (CONFIG, DENIED, FAILURE, NOBODY, OK, OVERLOADED, USAGE, CliTest,
                     private_daemon)


class Namespaces(CliTest):
    def names(self) -> list[str]:
        return [item["name"] for item in self.json(self.hearth("namespace", "list", "--json"))]

    def test_from_create_to_drop(self) -> None:
        self.check(self.hearth("cache", "set", "-n", "made", "k", "v"), FAILURE, "no namespace 'made'")
        result = self.hearth("namespace", "create", "made", "--ttl", "5m", "--quota-max", "8MiB", "--json")
        self.check(result, OK)
        answer = self.json(result)
        self.assertEqual((answer["name"], answer["ttl_ms"], answer["quota_max_bytes"], answer["evicts"]),
                         ("made", 300_000, 8 << 20, True))
        self.assertIn("made", self.names())
        self.check(self.hearth("cache", "set", "-n", "made", "k", "v"), OK)
        self.assertEqual(self.hearth("cache", "get", "-n", "made", "k").stdout, b"v")
        self.check(self.hearth("namespace", "create", "made"), FAILURE, "'made' exists already")
        self.check(self.hearth("namespace", "drop", "made"), OK)
        self.assertNotIn("made", self.names())
        self.check(self.hearth("namespace", "drop", "made"), FAILURE, "no namespace 'made'")

    def test_flush_removes_entries_and_nothing_else(self) -> None:
        self.hearth("cache", "set", "f", "v")
        self.hearth("cache", "set", "-n", "other", "f", "v")
        result = self.hearth("namespace", "flush", "default")
        self.check(result, OK)
        self.assertEqual(result.stdout, b"")
        self.check(self.hearth("cache", "get", "f"), FAILURE, "no key 'f'")
        self.assertEqual(self.hearth("cache", "get", "-n", "other", "f").stdout, b"v")
        self.hearth("cache", "set", "f", "new")
        self.assertEqual(self.value("f"), b"new")

    def test_alter_changes_what_it_names(self) -> None:
        self.hearth("namespace", "create", "a", "--ttl", "1h", "--strict", "yes")
        result = self.hearth("namespace", "alter", "a", "--soft-ttl", "1m", "--strict", "no", "--json")
        self.check(result, OK)
        answer = self.json(result)
        self.assertEqual((answer["ttl_ms"], answer["soft_ttl_ms"], answer["strict"]), (3_600_000, 60_000, False))
        answer = self.json(self.hearth("namespace", "alter", "a", "--ttl", "none", "--soft-ttl", "none",
                                       "--refuse-when-full", "yes", "--json"))
        self.assertEqual((answer["ttl_ms"], answer["evicts"]), (None, False))
        self.check(self.hearth("namespace", "alter", "a", "--tinylfu", "yes"), USAGE, "does not evict")
        answer = self.json(self.hearth("namespace", "alter", "a", "--refuse-when-full", "no",
                                       "--tinylfu", "yes", "--json"))
        self.assertEqual((answer["admission"], answer["evicts"]), ("tinylfu", True))
        self.check(self.hearth("namespace", "alter", "a"), USAGE, "name at least one setting")
        self.check(self.hearth("namespace", "alter", "nobody", "--ttl", "1m"), FAILURE, "no namespace 'nobody'")
        self.hearth("namespace", "drop", "a")

    def test_what_does_not_fit_is_refused(self) -> None:
        for words, code, message in [
                (["no good"], USAGE, "is not a namespace name"),
                (["x", "--quota-max", "64KiB"], USAGE, "at least two segments"),
                (["x", "--quota-min", "8MiB", "--quota-max", "4MiB"], USAGE, "more than the 4.00 MiB it may have"),
                (["x", "--quota-min", "1GiB"], OVERLOADED, "more than the store"),
                (["x", "--ttl", "1m", "--soft-ttl", "2m"], USAGE, "soft must not exceed hard"),
                (["x", "--strict", "perhaps"], USAGE, "neither yes nor no"),
                ([], USAGE, "NAME is required")]:
            with self.subTest(words):
                self.check(self.hearth("namespace", "create", *words), code, message)

    def test_list_is_a_table_by_id(self) -> None:
        text = self.hearth("namespace", "list").stdout.decode().splitlines()
        self.assertRegex(text[0], "^NAMESPACE +ID +USED")
        self.assertRegex(text[1], "^default +1 ")
        small = self.json(self.hearth("namespace", "list", "--store", "small", "--json"))
        self.assertEqual([item["name"] for item in small], ["default", "full"])


WRITER_RULE = f"""
[[policy]]
uid = {NOBODY}
stores = ["default"]
write = ["other"]

[[policy]]
uid = {os.geteuid()}
stores = ["*"]
write = ["*"]
admin = true
"""


class Rights(CliTest):
    @classmethod
    def setUpClass(cls) -> None:
        context = private_daemon(CONFIG + WRITER_RULE)
        cls.daemon = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)

    @unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
    def test_who_is_no_administrator_may_flush_what_he_may_write(self) -> None:
        nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.hearth("cache", "set", "-n", "other", "k", "v")
        self.check(self.hearth("namespace", "flush", "other", **nobody), OK)
        self.check(self.hearth("cache", "get", "-n", "other", "k"), FAILURE)
        for words in (["flush", "default"], ["create", "x"], ["drop", "other"],
                      ["alter", "other", "--ttl", "1s"], ["list"]):
            with self.subTest(words):
                self.check(self.hearth("namespace", *words, **nobody), DENIED, "admin = true")


if __name__ == "__main__":
    unittest.main()
