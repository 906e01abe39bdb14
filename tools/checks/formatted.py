#!/usr/bin/env python3
"""Checks that C++ is as clang-format-14 and Go is as gofmt would write it; --fix rewrites.

Usage: formatted.py [--root DIR] [--fix] cpp|go
One finding per file, at the first line that differs.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tree import CPP, GO, Finding, Tree, is_generated

_WHY = "one format for all means diffs show changes only; run 'tools/check --fix'"


def _run(tree: Tree, command: list[str], paths: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command + paths, cwd=tree.root, capture_output=True, text=True, check=False)


def check_cpp(tree: Tree, paths: list[str], fix: bool) -> list[Finding]:
    workers = os.cpu_count() or 1
    parts = [paths[i::workers] for i in range(workers) if paths[i::workers]]
    how = ["-i"] if fix else ["--dry-run", "-Werror"]
    command = ["clang-format-14", "--style=file", *how]
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(lambda part: _run(tree, command, part), parts))
    first: dict[str, int] = {}
    for result in results:
        for path, line in re.findall(r"^(\S+?):(\d+):\d+: error:", result.stderr, re.M):
            first.setdefault(path, int(line))
        if result.returncode != 0 and not first:
            sys.exit(f"clang-format-14 failed: {result.stderr.strip()}")
    return [Finding(path, line, "not formatted", _WHY) for path, line in sorted(first.items())]


def check_go(tree: Tree, paths: list[str], fix: bool) -> list[Finding]:
    result = _run(tree, ["gofmt", "-w" if fix else "-l"], paths)
    if result.returncode != 0:
        sys.exit(f"gofmt failed: {result.stderr.strip()}")
    return [Finding(path, 1, "not formatted", _WHY) for path in result.stdout.split()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--fix", action="store_true")
    parser.add_argument("language", choices=("cpp", "go"))
    options = parser.parse_args()
    tree = Tree(options.root)
    suffixes, checker = (CPP, check_cpp) if options.language == "cpp" else (GO, check_go)
    paths = [p for p in tree.select(suffixes) if not is_generated(tree, p)]
    findings = checker(tree, paths, options.fix) if paths else []
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
