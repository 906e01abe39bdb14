#!/usr/bin/env python3
"""Checks who uses whom: C++ includes, restricted words, Go imports. The rules are in arrows.toml."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tree import CPP, GO, Finding, Tree, line_of, main, matches

RULES = Path(__file__).with_name("arrows.toml")
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"\n]+)[>\"]", re.M)
_GO_IMPORT = re.compile(r"^import\s*(?:\((.*?)^\)|([^\n]*))", re.M | re.S)
_GO_PATH = re.compile(r'"([^"\n]+)"')


def load_rules() -> dict[str, Any]:
    return tomllib.loads(RULES.read_text(encoding="utf-8"))


def includes(tree: Tree, path: str) -> Iterator[tuple[int, str, bool]]:
    """Line, header and whether it was written with quotes."""
    code = tree.code(path, literals=True)
    for match in _INCLUDE.finditer(code):
        yield line_of(code, match.start()), match.group(2), match.group(1) == '"'


def closure(tree: Tree, starts: list[str]) -> set[str]:
    """The start headers and what they include, directly or not, without leaving their folders."""
    folders = {s.rsplit("/", 1)[0] + "/" for s in starts}
    reached: set[str] = set()
    waiting = list(starts)
    while waiting:
        header = waiting.pop()
        if header in reached or not matches(header, folders):
            continue
        reached.add(header)
        if header in tree.paths:
            waiting += [target for _, target, _ in includes(tree, header)]
    return reached


def check_cpp(tree: Tree, rules: dict[str, Any]) -> Iterator[Finding]:
    for path in tree.select(CPP):
        if matches(path, rules["free"]) or "testdata/" in path:
            continue
        area = _most_specific(rules["area"], "path", path)
        if area is None:
            yield Finding(path, 1, "C++ outside every area",
                          "tools/checks/arrows.toml does not say what this folder may use; add it with a reason")
            continue
        readable = closure(tree, area.get("may_include_closure_of", []))
        for line, header, quoted in includes(tree, path):
            yield from _check_include(rules, area, readable, path, line, header, quoted)


def _most_specific(table: list[dict[str, Any]], key: str, path: str) -> dict[str, Any] | None:
    fitting = [row for row in table if path.startswith(row[key])]
    return max(fitting, key=lambda row: len(row[key]), default=None)


def _check_include(rules: dict[str, Any], area: dict[str, Any], readable: set[str],
                   path: str, line: int, header: str, quoted: bool) -> Iterator[Finding]:
    if header.split("/", 1)[0] in rules["roots"] and "/" in header:
        own = header.startswith(area["path"])
        allowed = own or matches(header, area["may_include"]) or header in readable
        if not allowed or matches(header, area.get("never", [])):
            yield Finding(path, line, f"{area['path']} may not include {header}", area["why"])
    elif library := _most_specific(rules["library"], "header", header):
        if not matches(path, library["only_in"]):
            yield Finding(path, line, f"{header} is not for {area['path']}", library["why"])
    elif quoted:
        yield Finding(path, line, f'include "{header}" is not written from the root of the tree',
                      "an include that names its folder shows the arrow, and cannot pick up a namesake")
    elif "/" in header and not matches(header, rules["platform"]):
        yield Finding(path, line, f"library of <{header}> is not in tools/checks/arrows.toml",
                      "every dependency is a decision: add it there with a reason, or do without")


def check_closures(tree: Tree, rules: dict[str, Any]) -> Iterator[Finding]:
    """The reading side itself must not drag in what its users may never include."""
    for area in rules["area"]:
        for header in sorted(closure(tree, area.get("may_include_closure_of", []))):
            if header not in tree.paths:
                continue
            for line, target, _ in includes(tree, header):
                if matches(target, area.get("never", [])):
                    yield Finding(header, line, f"{target} is reached from {area['path']}", area["why"])


def check_words(tree: Tree, rules: dict[str, Any]) -> Iterator[Finding]:
    words = [(re.compile(w["pattern"]), w) for w in rules["word"]]
    for path in tree.select(CPP):
        code = tree.code(path)
        for pattern, word in words:
            if not matches(path, word["only_in"]):
                for match in pattern.finditer(code):
                    yield Finding(path, line_of(code, match.start()),
                                  f"{word['name']} ({match.group().strip()})", word["why"])


def go_imports(tree: Tree, path: str) -> Iterator[tuple[int, str]]:
    code = tree.code(path, literals=True)
    for block in _GO_IMPORT.finditer(code):
        for match in _GO_PATH.finditer(code, *block.span()):
            yield line_of(code, match.start()), match.group(1)


def check_go(tree: Tree, rules: dict[str, Any]) -> Iterator[Finding]:
    go = rules["go"]
    root = _module_path(tree, go["root_module"])
    for path in tree.select(GO, go["under"]):
        for line, target in go_imports(tree, path):
            for rule in rules["go_import"]:
                wanted = root if rule["import"] == "@root" else rule["import"]
                outside = "only_in" in rule and not matches(path, rule["only_in"])
                if target == wanted and (outside or matches(path, rule.get("not_in", []))):
                    yield Finding(path, line, f'import "{target}" is not allowed here', rule["why"])
    for path in go["no_require"]:
        if path in tree.paths:
            yield from _check_no_require(tree, path)


def _module_path(tree: Tree, path: str) -> str | None:
    if path not in tree.paths:
        return None
    match = re.search(r"^module\s+(\S+)", tree.text(path), re.M)
    return match.group(1) if match else None


def _check_no_require(tree: Tree, path: str) -> Iterator[Finding]:
    for number, line in enumerate(tree.text(path).splitlines(), 1):
        if re.match(r"\s*(require|replace)\b", line):
            yield Finding(path, number, "this module may not require others",
                          "users of the core package get the standard library and nothing else")


def check(tree: Tree) -> Iterator[Finding]:
    rules = load_rules()
    yield from check_cpp(tree, rules)
    yield from check_closures(tree, rules)
    yield from check_words(tree, rules)
    yield from check_go(tree, rules)


if __name__ == "__main__":
    sys.exit(main(check, __doc__))
