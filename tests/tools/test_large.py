"""Values of many segments: files of any size up to the limit, whole and unchanged."""

from __future__ import annotations

import os
import unittest

from harness import CONFIG, FAILURE, OK, CliTest, private_daemon

MIB = 1024 * 1024
LARGE = CONFIG.replace('size = "64MiB"\nmax_value = "512KiB"', 'size = "256MiB"\nmax_value = "60MiB"')


class Large(CliTest):
    @classmethod
    def setUpClass(cls) -> None:
        context = private_daemon(LARGE)
        cls.daemon = context.__enter__()
        cls.folder = cls.daemon.folder
        cls.addClassCleanup(context.__exit__, None, None, None)

    def test_files_come_back_as_they_were(self) -> None:
        file = self.folder / "value"
        for size in (512 * 1024 + 1, 2 * MIB, 10 * MIB, 60 * MIB):
            with self.subTest(size=size):
                value = os.urandom(size)
                file.write_bytes(value)
                self.check(self.hearth("cache", "set", "k", "--file", str(file)), OK)
                self.assertTrue(self.value("k") == value)

    def test_one_byte_too_many_is_refused_and_the_value_stays(self) -> None:
        self.check(self.hearth("cache", "set", "limit", "old"), OK)
        self.check(self.hearth("cache", "set", "limit", "-", stdin=bytes(60 * MIB + 1)), FAILURE, "62914560")
        self.assertEqual(self.value("limit"), b"old")

    def test_an_append_makes_a_large_value_of_a_small_one(self) -> None:
        self.hearth("cache", "set", "grows", "-", stdin=bytes(400_000))
        for _ in range(3):
            self.check(self.hearth("cache", "append", "grows", "-", stdin=b"x" * 3_000_000), OK)
        self.assertTrue(self.value("grows") == bytes(400_000) + b"x" * 9_000_000)


if __name__ == "__main__":
    unittest.main()
