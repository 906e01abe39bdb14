"""Tests of tools/check itself: exit status, the counting line, generators."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent


class CommandTest(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="hearth-selftest-"))
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copytree(HERE, self.root / "tools/checks", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(HERE.parent / "check", self.root / "tools/check")

    def script(self, path: str, body: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{body}\n", encoding="utf-8")
        (self.root / path).chmod(0o755)

    def check(self, *names: str) -> tuple[int, list[str]]:
        only = [word for name in names for word in ("--only", name)]
        environment = {**os.environ, "HEARTH_BUILD_DIR": str(self.root / "build")}
        ran = subprocess.run([str(self.root / "tools/check"), *only], env=environment,
                             capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout.splitlines()

    def test_a_failing_check_fails_the_command(self) -> None:
        status, lines = self.check("hygiene", "length")
        self.assertEqual((status, lines[-1]), (0, "2 passed, 0 failed"))
        (self.root / "tools/x.h").write_text("#pragma once\n", encoding="utf-8")
        status, lines = self.check("hygiene", "length")
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed"))
        self.assertTrue(any(line.startswith("tools/x.h:1: header does not start") for line in lines))

    def test_generated_files_are_compared_when_there_is_a_generator(self) -> None:
        for name, script, generator in (
            ("layout", "tools/generate-layout", "build/tools/generate_layout/generate_layout"),
            ("wire", "tools/generate-wire", "build/tools/capnpc-hearth-go/capnpc-hearth-go"),
        ):
            with self.subTest(name=name):
                self.assertEqual(self.check(name)[1][-1], "0 passed, 0 failed, 1 skipped")
                self.script(script, f'[[ $* == "--check $PWD/{generator}" ]] && "$2"')
                status, lines = self.check(name)
                self.assertEqual((status, lines[-1]), (0, "0 passed, 0 failed, 1 skipped"))
                self.assertIn("in the build directory", lines[0])
                self.script(generator, "true")
                self.assertEqual(self.check(name)[1][-1], "1 passed, 0 failed")
                self.script(generator, "echo differs; false")
                self.assertEqual(self.check(name), (1, [self.check(name)[1][0], "differs", "0 passed, 1 failed"]))
