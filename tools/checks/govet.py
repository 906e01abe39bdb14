#!/usr/bin/env python3
"""Runs `go vet ./...` without cgo in every Go module of the tree, for this machine and for arm64.

The tests run on amd64 alone; vet at least builds the other architecture's files and compares its
assembly with the Go declarations.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

from tree import GO, Finding, Tree, main

ARCHITECTURES = ("", "arm64")  # "": this machine's
_COMPLAINT = re.compile(r"^(?:vet: )?(?:\./)?(\S+?\.(?:go|s)):(\d+)(?::\d+)?: (.*)$", re.M)


def modules(tree: Tree) -> Iterator[str]:
    """Folders with a go.mod and at least one Go file, relative to the root ("" for the root)."""
    for path in tree.paths:
        folder = path.removesuffix("go.mod")
        if path.rsplit("/", 1)[-1] == "go.mod" and "testdata/" not in path:
            if any(tree.select(GO, folder)):
                yield folder


def check(tree: Tree) -> Iterator[Finding]:
    known: set[tuple[str, int, str]] = set()  # what is wrong everywhere is said once
    for architecture in ARCHITECTURES:
        environment = {**os.environ, "CGO_ENABLED": "0"}
        if architecture:
            environment["GOARCH"] = architecture
        for folder in modules(tree):
            for finding in vet(tree, folder, environment):
                what = (finding.path, finding.line, finding.why)
                if what not in known:
                    known.add(what)
                    yield finding


def vet(tree: Tree, folder: str, environment: dict[str, str]) -> Iterator[Finding]:
    run = subprocess.run(["go", "vet", "./..."], cwd=tree.root / folder, env=environment,
                         capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return
    title = " ".join(filter(None, ("go vet", environment.get("GOARCH"))))
    complaints = _COMPLAINT.findall(run.stderr)
    for path, line, message in complaints:
        yield Finding(folder + path, int(line), title, message)
    if not complaints:
        yield Finding(folder + "go.mod", 1, title, run.stderr.strip() or "failed without a word")


if __name__ == "__main__":
    sys.exit(main(check, __doc__))
