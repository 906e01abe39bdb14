"""What the tests of the checkers share: a scratch tree to plant violations in."""

from __future__ import annotations

import shutil
import tempfile
import unittest
from collections.abc import Callable, Iterable
from pathlib import Path

from tree import Finding, Tree

Checker = Callable[[Tree], Iterable[Finding]]
HEADER = "// Says what it is for.\n"


class Planted(unittest.TestCase):
    """A scratch tree per test."""

    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="hearth-selftest-"))
        self.addCleanup(shutil.rmtree, self.root)

    def plant(self, path: str, text: str, mode: int = 0o644) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)

    def found(self, checker: Checker) -> list[str]:
        return [str(finding) for finding in sorted(checker(Tree(self.root)))]

    def expect(self, checker: Checker, *fragments: str) -> None:
        """The findings are exactly as many as the fragments, and contain them in order."""
        found = self.found(checker)
        self.assertEqual(len(found), len(fragments), found)
        for finding, fragment in zip(found, fragments, strict=True):
            self.assertIn(fragment, finding)
