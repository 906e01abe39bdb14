#!/usr/bin/env python3
"""Tests of the command `hearth` against a hearthd of their own.

Usage: tests/tools/cli_test.py [NAME]...
  NAME   a test file, class or method, as unittest names them: test_prewarm, test_errors.Denied

Needs HEARTHD and HEARTH_CLI, or the programs in HEARTH_BUILD_DIR (default: build). Tests that need
root are skipped for others. Ends with "N passed, N failed[, N skipped]"; takes about 20 seconds.
"""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import HEARTH_CLI, HEARTHD  # noqa: E402

FILES = ["test_commands", "test_errors", "test_large", "test_namespaces", "test_operations", "test_packages",
         "test_prewarm", "test_rejects", "test_scan", "test_store"]
EXIT_SKIPPED = 77


def main(names: list[str]) -> int:
    if names in (["--help"], ["-h"]):
        print(__doc__.strip())
        return 0
    for program in (HEARTHD, HEARTH_CLI):
        if not program.exists():
            print(f"there is no {program}; build it first")
            return EXIT_SKIPPED
    suite = unittest.defaultTestLoader.loadTestsFromNames(names or FILES)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(suite)
    for case, reason in result.skipped:
        print(f"SKIP {case.id()}: {reason}")
    # A test with several failing subtests is one failed test.
    bad = {getattr(case, "test_case", case).id() for case, _ in result.failures + result.errors}
    skipped = len(result.skipped)
    passed = max(0, result.testsRun - len(bad) - skipped)
    print(f"{passed} passed, {len(bad)} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
