#!/usr/bin/env python3
"""Small rules that keep the tree readable: no markers for later, no paths of one machine, every
header and Go package says what it is for, shell scripts are strict, links lead somewhere."""

from __future__ import annotations

import re
import stat
import sys
from collections import defaultdict
from collections.abc import Iterator

from tree import GO, Finding, Tree, is_generated, line_of, main

# The brackets keep this file from finding itself.
_MARKER = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b")
_MARKED_FOLDERS = ("core/", "ipc/", "daemon/", "go-binding/", "tools/", "systemd/")
_HOME = re.compile(r"(?<![\w.$}])/(?:home|Users)/[\w.-]+/[\w.-]+")
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
_BINARY = (".png", ".jpg", ".gif", ".xz", ".gz", ".zst", ".bin", ".ico", ".pdf")


def check_markers(tree: Tree) -> Iterator[Finding]:
    for path in _texts(tree):
        if path.startswith(_MARKED_FOLDERS):
            for match in _MARKER.finditer(tree.text(path)):
                yield Finding(path, line_of(tree.text(path), match.start()), f"marker {match[1]}",
                              "do it now, or write down what it would take where users look: the documents")


def check_machine_paths(tree: Tree) -> Iterator[Finding]:
    own = str(tree.root) if len(tree.root.parts) > 2 else None
    for path in _texts(tree):
        text = tree.text(path)
        offsets = [(m.start(), m.group()) for m in _HOME.finditer(text)]
        if own:
            offsets += [(m.start(), own) for m in re.finditer(re.escape(own) + r"(?![\w-])", text)]
        for offset, found in offsets:
            yield Finding(path, line_of(text, offset), f"absolute path {found}",
                          "it exists on one machine only; start from the script's own folder or a variable")


def check_header_comments(tree: Tree) -> Iterator[Finding]:
    for path in tree.select((".h", ".hpp")):
        if not is_generated(tree, path) and not tree.text(path).lstrip().startswith(("//", "/*")):
            yield Finding(path, 1, "header does not start with a comment",
                          "the header is the manual: say what it is for and what it promises")


def check_package_comments(tree: Tree) -> Iterator[Finding]:
    packages: dict[str, list[str]] = defaultdict(list)
    for path in tree.select(GO):
        if "testdata/" not in path:
            packages[path.rpartition("/")[0]].append(path)
    for paths in packages.values():
        sources = [p for p in paths if not p.endswith("_test.go")] or paths
        if not any(re.search(r"(//[^\n]*|\*/)\npackage \w", "\n" + tree.text(p)) for p in sources):
            yield Finding(sources[0], 1, "Go package without a package comment",
                          "the comment above 'package' is what readers and go doc show first")


def check_shell(tree: Tree) -> Iterator[Finding]:
    for path in _scripts(tree):
        text = tree.text(path)
        interpreter = text.split("\n", 1)[0]
        if not re.search(r"\b(ba|da|k|z)?sh\b", interpreter):
            continue
        if not re.search(r"\bbash\b", interpreter):
            yield Finding(path, 1, "shell script that is not for bash",
                          "Debian's sh has no pipefail, so a failure inside a pipe would go unseen")
            continue
        statement = re.search(r"^(?![ \t]*(#|$)).*", text, re.M)
        if statement and statement.group() != "set -euo pipefail":
            yield Finding(path, line_of(text, statement.start()), "does not start with set -euo pipefail",
                          "a script that goes on after a failed command does damage with confidence")


def check_executable(tree: Tree) -> Iterator[Finding]:
    for path in _scripts(tree):
        if not (tree.root / path).stat().st_mode & stat.S_IXUSR:
            yield Finding(path, 1, "script is not executable", "chmod +x; people and tools/test start it by name")


def check_links(tree: Tree) -> Iterator[Finding]:
    for path in tree.select((".md",)):
        text = _FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), tree.text(path))
        for match in _LINK.finditer(text):
            target = (match[1] or match[2]).split("#", 1)[0]
            if not target or re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            base = tree.root if target.startswith("/") else (tree.root / path).parent
            if not (base / target.lstrip("/")).exists():
                yield Finding(path, line_of(text, match.start()), f"dead link {target}",
                              "documents are code: a link that leads nowhere is a call that fails")


def _texts(tree: Tree) -> Iterator[str]:
    return (p for p in tree.paths if not p.endswith(_BINARY) and p != "LICENSE")


def _scripts(tree: Tree) -> Iterator[str]:
    return (p for p in _texts(tree) if "testdata/" not in p and tree.text(p).startswith("#!"))


def check(tree: Tree) -> Iterator[Finding]:
    for rule in (check_markers, check_machine_paths, check_header_comments,
                 check_package_comments, check_shell, check_executable, check_links):
        yield from rule(tree)


if __name__ == "__main__":
    sys.exit(main(check, __doc__))
