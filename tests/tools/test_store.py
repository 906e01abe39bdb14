"""hearth store: what is in a store's memory and what is wrong with it, live and in a saved image."""

from __future__ import annotations

import json
import stat
import unittest

from harness import FAILURE, NOT_RUNNING, OK, USAGE, CliTest, private_daemon

SMALL = """
[[store]]
name = "default"
size = "2MiB"
segment_size = "64KiB"

[[store.namespace]]
name = "default"

[[store.namespace]]
name = "other"
quota_max = "256KiB"
"""


class Store(CliTest):
    @classmethod
    def setUpClass(cls) -> None:
        context = private_daemon(SMALL)
        cls.daemon = context.__enter__()
        cls.folder = cls.daemon.folder
        cls.addClassCleanup(context.__exit__, None, None, None)

    def setUp(self) -> None:
        for i in range(50):
            self.check(self.hearth("cache", "set", f"key {i}", f"the value of key {i}"), OK)

    def test_inspect_shows_what_is_there(self) -> None:
        shown = json.loads(self.hearth("store", "inspect", "--json").stdout)
        self.assertEqual(shown["entries"], 50)
        self.assertEqual(sum(shown["segments"].values()), 32)
        self.assertEqual([n["name"] for n in shown["namespaces"]], ["default", "other"])
        self.assertEqual(shown["namespaces"][1]["quota_max_bytes"], 256 * 1024)
        text = self.hearth("store", "inspect")
        self.check(text, OK)
        self.assertIn(b"50 entries", text.stdout)
        self.assertIn(shown["uuid"].encode(), text.stdout)

    def test_verify_finds_a_sound_store_sound(self) -> None:
        result = self.hearth("store", "verify")
        self.check(result, OK)
        self.assertIn(b"50 entries", result.stdout)
        self.assertTrue(result.stdout.endswith(b": sound\n"))
        report = json.loads(self.hearth("store", "verify", "--json").stdout)
        self.assertEqual((report["sound"], report["entries"], report["problems"]), (True, 50, []))

    def test_an_image_is_the_store_and_its_damage_is_found(self) -> None:
        image = self.folder / "image"
        self.check(self.hearth("store", "save", str(image)), OK)
        self.assertEqual(stat.S_IMODE(image.stat().st_mode), 0o600)
        self.check(self.hearth("store", "verify", "--image", str(image)), OK)
        # An image is never written over.
        self.check(self.hearth("store", "save", str(image)), FAILURE, "File exists")
        sound = image.read_bytes()
        at = sound.index(b"the value of key 7")
        for name, damaged, told in (
            ("a bit of a value", sound[:at] + b"T" + sound[at + 1:], ""),
            ("cut", sound[:500_000], "500000 are mapped"),
            ("a bit of the header", sound[:30] + bytes([sound[30] ^ 1]) + sound[31:], "header is damaged"),
            ("another layout", sound[:12] + b"\x09" + sound[13:], "layout version 9"),
            ("not finished", bytes(8) + sound[8:], "still being created"),
            ("nothing", b"", "no image of a store"),
            ("zeros", bytes(len(sound)), "still being created"),
        ):
            with self.subTest(name):
                image.write_bytes(damaged)
                result = self.hearth("store", "verify", "--image", str(image))
                self.assertNotEqual(result.returncode, OK)
                self.assertIn(told.encode(), result.stderr)
                if not told:
                    self.assertIn(b"checksum is wrong", result.stdout)
                    self.assertIn(b"49 entries", result.stdout)
        image.unlink()

    def test_wrong_words(self) -> None:
        self.check(self.hearth("store", "verify", "--image", "/nowhere"), FAILURE, "No such file")
        self.check(self.hearth("store", "verify", "--store", "x"), FAILURE, "hearth status")
        self.check(self.hearth("store", "verify", "--image", "x", "--store", "y"), USAGE, "excludes")
        self.check(self.hearth("store", "save"), USAGE)
        self.check(self.hearth("store", "save", "/nowhere/image"), FAILURE, "No such file")
        self.check(self.hearth("--socket", str(self.folder / "none"), "store", "inspect"), NOT_RUNNING)


if __name__ == "__main__":
    unittest.main()
