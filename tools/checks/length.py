#!/usr/bin/env python3
"""A ratchet on length: files over 400 lines and functions over 70.

Those that exist are in length.allow with their length ("path lines" or "path:function lines").
Longer than listed, or long and not listed, fails. So does an entry that is over 10 % too generous
or not needed any more: the numbers only go down. Generated files and testdata are exempt.

Functions are found by shape, which is reliable because clang-format and gofmt fix the shape: a
body ends at the first line that closes at the indentation of the function's first line.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tree import CPP, GO, GO_ASSEMBLY, Finding, Tree, is_generated, main

ALLOW = "tools/checks/length.allow"
MAX_FILE = 400
MAX_FUNCTION = 70
SLACK = 0.9
_OPENS_SCOPE = re.compile(
    r"^(namespace|extern|class|struct|enum|union|typedef|using|#|template\s*<[^{]*>\s*(class|struct)\b)")


@dataclass(frozen=True)
class Span:
    """A file (name is empty) or a function, and how long it is."""

    path: str
    name: str
    line: int
    lines: int

    @property
    def key(self) -> str:
        return f"{self.path}:{self.name}" if self.name else self.path

    @property
    def limit(self) -> int:
        return MAX_FUNCTION if self.name else MAX_FILE


def cpp_functions(code: str, names: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length. `names` is the same text with its string literals kept."""
    lines, named = code.split("\n"), names.split("\n")
    start = 0  # first line of the statement that is being read
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        if line.endswith("{"):
            head = " ".join(lines[start:number + 1]).strip()
            if _is_function(head):
                end = _closing_line(lines, number, _indent(lines[start]))
                yield _cpp_name(" ".join(named[start:number + 1])), start + 1, end - start + 1
                number = end
        if not line or line[-1] in "{};" or line.startswith("#") or line.endswith(("\\", ":")):
            start = number + 1
        number += 1


def _is_function(head: str) -> bool:
    if "(" not in head or _OPENS_SCOPE.match(head):
        return False
    return "=" not in re.sub(r"operator\s*[^\s\w(]+", "", _without_parentheses(head))


def _without_parentheses(text: str) -> str:
    before = None
    while before != text:
        before, text = text, re.sub(r"\([^()]*\)", "", text)
    return text


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _closing_line(lines: list[str], number: int, indent: int) -> int:
    for end in range(number + 1, len(lines)):
        if lines[end].strip().startswith("}") and _indent(lines[end]) <= indent:
            return end
    return len(lines) - 1


def _cpp_name(head: str) -> str:
    head = re.sub(r"^\s*template\s*<[^()]*?>\s+(?=\w)", "", head).strip()
    case = re.match(r"(\w+)\(\"([^\"]*)", head)
    if case:
        return f'{case[1]}("{case[2]}")'
    match = re.search(r"([~\w:]+|operator\s*\S+?)\s*\(", head)
    return match.group(1) if match else head[:40]


def go_functions(code: str) -> Iterator[tuple[str, int, int]]:
    lines = code.split("\n")
    for number, line in enumerate(lines):
        match = re.match(r"func\s+(?:\(\s*\w*\s*\*?(\w+)[^)]*\)\s*)?(\w+)", line)
        if not match or line.rstrip().endswith("}"):
            continue
        end = next((i for i in range(number, len(lines)) if lines[i].startswith("}")), number)
        # A declaration without a body (implemented in assembly) must not claim the next one's.
        following = next((i for i in range(number + 1, end) if lines[i].startswith("func ")), None)
        if following is None:
            name = f"{match[1]}.{match[2]}" if match[1] else match[2]
            yield name, number + 1, end - number + 1


def python_functions(text: str) -> Iterator[tuple[str, int, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def shell_functions(text: str) -> Iterator[tuple[str, int, int]]:
    lines = text.split("\n")
    for number, line in enumerate(lines):
        match = re.match(r"(?:function\s+)?([\w-]+)\s*\(\)\s*\{$", line)
        if match:
            end = next((i for i in range(number, len(lines)) if lines[i].startswith("}")), number)
            yield match[1], number + 1, end - number + 1


def functions(tree: Tree, path: str) -> Iterator[tuple[str, int, int]] | None:
    """None when the file is no source."""
    if path.endswith(CPP):
        return cpp_functions(tree.code(path), tree.code(path, literals=True))
    if path.endswith(GO):
        return go_functions(tree.code(path))
    if path.endswith(GO_ASSEMBLY):
        return iter(())
    if path.endswith(".py") or _shebang(tree, path, "python"):
        return python_functions(tree.text(path))
    if path.endswith(".sh") or _shebang(tree, path, "sh"):
        return shell_functions(tree.text(path))
    return None


def _shebang(tree: Tree, path: str, interpreter: str) -> bool:
    if "." in path.rsplit("/", 1)[-1]:
        return False
    first = tree.text(path).split("\n", 1)[0]
    return first.startswith("#!") and interpreter in first


def spans(tree: Tree) -> Iterator[Span]:
    for path in tree.paths:
        found = functions(tree, path)
        if found is None or is_generated(tree, path):
            continue
        yield Span(path, "", 1, tree.text(path).count("\n"))
        for name, line, lines in found:
            yield Span(path, name, line, lines)


def read_allowed(tree: Tree) -> dict[str, tuple[int, int]]:
    """Key to (allowed length, line of the list)."""
    allowed: dict[str, tuple[int, int]] = {}
    if ALLOW in tree.paths:
        for number, line in enumerate(tree.text(ALLOW).splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                key, _, lines = line.rpartition(" ")
                allowed[key] = (int(lines), number)
    return allowed


def check(tree: Tree) -> Iterator[Finding]:
    allowed = read_allowed(tree)
    longest: dict[str, Span] = {}
    for span in spans(tree):
        if span.key not in longest or span.lines > longest[span.key].lines:
            longest[span.key] = span
    for key, span in longest.items():
        if span.lines > span.limit:
            yield from _check_long(span, allowed.get(key))
    for key, (_, number) in allowed.items():
        if key not in longest or longest[key].lines <= longest[key].limit:
            yield Finding(ALLOW, number, f"{key} needs no entry any more",
                          "remove the line, so that it cannot grow back unseen")


def _check_long(span: Span, entry: tuple[int, int] | None) -> Iterator[Finding]:
    kind = f"function {span.name}" if span.name else "file"
    if entry is None:
        yield Finding(span.path, span.line, f"{kind} has {span.lines} lines, over {span.limit}",
                      "split it where a reader would pause; one that is better whole goes into "
                      f"{ALLOW} as '{span.key} {span.lines}'")
    elif span.lines > entry[0]:
        yield Finding(span.path, span.line, f"{kind} grew from {entry[0]} to {span.lines} lines",
                      "what is long already may only get shorter; move the new part elsewhere")
    elif span.lines < entry[0] * SLACK:
        yield Finding(ALLOW, entry[1], f"{span.key} has shrunk to {span.lines} lines",
                      f"lower {entry[0]} to {span.lines}, so that the gain is kept")


if __name__ == "__main__":
    sys.exit(main(check, __doc__))
