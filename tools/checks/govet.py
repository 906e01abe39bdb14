#!/usr/bin/env python3
"""Runs `go vet ./...` without cgo in every Go module of the tree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

from tree import GO, Finding, Tree, main

_COMPLAINT = re.compile(r"^(?:vet: )?(?:\./)?(\S+?\.(?:go|s)):(\d+)(?::\d+)?: (.*)$", re.M)


def modules(tree: Tree) -> Iterator[str]:
    """Folders with a go.mod and at least one Go file, relative to the root ("" for the root)."""
    for path in tree.paths:
        folder = path.removesuffix("go.mod")
        if path.rsplit("/", 1)[-1] == "go.mod" and "testdata/" not in path:
            if any(tree.select(GO, folder)):
                yield folder


def check(tree: Tree) -> Iterator[Finding]:
    environment = {**os.environ, "CGO_ENABLED": "0"}
    for folder in modules(tree):
        vet = subprocess.run(["go", "vet", "./..."], cwd=tree.root / folder, env=environment,
                             capture_output=True, text=True, check=False)
        if vet.returncode == 0:
            continue
        complaints = _COMPLAINT.findall(vet.stderr)
        for path, line, message in complaints:
            yield Finding(folder + path, int(line), "go vet", message)
        if not complaints:
            yield Finding(folder + "go.mod", 1, "go vet", vet.stderr.strip() or "failed without a word")


if __name__ == "__main__":
    sys.exit(main(check, __doc__))
