#!/usr/bin/env python3
"""Checks that every memory ordering is explained, and explained at both of its ends.

A label is a comment in C++, Go or Go assembly:
    SYNC release NAME: what crosses        the side that hands over
    SYNC acquire NAME: ...                 the side that receives
    SYNC both NAME: ...                    a handshake in which each side stores, then loads
Every NAME needs a release and an acquire, or two places that say `both`. Labels in tests do not
complete a NAME of the product. In C++ every ordered operation of core/base/atomic.h needs a label
of its own kind on the same line or in the six lines above it.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tree import CPP, GO, GO_ASSEMBLY, Finding, Tree, line_of, main, matches

VOCABULARY = "core/base/atomic.h"
REACH = 6
_TESTS = ("tests/", "*_test.go")
_CLAIM = re.compile(r"(?://+|\*)\s*SYNC\s+(?!labels?\b)(?P<rest>[^\n]*)")
_LABEL = re.compile(r"(release|acquire|both) ([A-Za-z0-9][\w.-]*): *\S")
_CALLS = re.compile(
    r"(?:\.|->)\s*(StoreRelease|LoadAcquire|StoreOrdered|LoadOrdered|ExchangeOrdered"
    r"|CompareExchangeOrdered)\s*\(|\b(AcquireFence|ReleaseFence|OrderedFence)\s*\(")
_KINDS = {
    "StoreRelease": ("release", "both"), "ReleaseFence": ("release", "both"),
    "LoadAcquire": ("acquire", "both"), "AcquireFence": ("acquire", "both"),
}
_ANY = ("release", "acquire", "both")


@dataclass(frozen=True)
class Label:
    path: str
    line: int
    side: str
    name: str


def labels(tree: Tree) -> Iterator[Label | Finding]:
    for path in tree.select(CPP + GO + GO_ASSEMBLY):
        if path == VOCABULARY or "testdata/" in path:
            continue
        text = tree.text(path)
        for claim in _CLAIM.finditer(text):
            line = line_of(text, claim.start())
            label = _LABEL.match(claim["rest"])
            if label:
                yield Label(path, line, label[1], label[2])
            else:
                yield Finding(path, line, "malformed SYNC label",
                              "write 'SYNC release|acquire|both NAME: what crosses', or nothing can pair it")


def check_pairs(found: list[Label]) -> Iterator[Finding]:
    by_name: dict[str, list[Label]] = defaultdict(list)
    for label in found:
        by_name[label.name].append(label)
    for name, ends in by_name.items():
        product = [e for e in ends if not matches(e.path, _TESTS)]
        missing = _missing_side(product or ends)
        if missing:
            first = (product or ends)[0]
            yield Finding(first.path, first.line, f"SYNC {name} has no {missing} side",
                          "an ordering works only when both ends take part; label the other end, or drop the ordering")


def _missing_side(ends: list[Label]) -> str | None:
    sides = [e.side for e in ends]
    if sides.count("both") == 1 and len(sides) == 1:
        return "second 'both'"
    for side in ("release", "acquire"):
        if side not in sides and "both" not in sides:
            return side
    return None


def check_calls(tree: Tree, found: list[Label]) -> Iterator[Finding]:
    by_path: dict[str, list[Label]] = defaultdict(list)
    for label in found:
        by_path[label.path].append(label)
    for path in tree.select(CPP):
        if path == VOCABULARY or path.startswith("tests/"):
            continue
        code = tree.code(path)
        for call in _CALLS.finditer(code):
            name = call[1] or call[2]
            line = line_of(code, call.start())
            near = [label for label in by_path[path] if line - REACH <= label.line <= line]
            yield from _check_call(path, line, name, near)


def _check_call(path: str, line: int, name: str, near: list[Label]) -> Iterator[Finding]:
    kinds = _KINDS.get(name, _ANY)
    if not near:
        yield Finding(path, line, f"{name} without a SYNC label",
                      f"say on this line or in the {REACH} above what crosses and to whom: 'SYNC {kinds[0]} NAME: ...'")
    elif all(label.side not in kinds for label in near):
        yield Finding(path, line, f"{name} is labelled SYNC {near[-1].side}",
                      f"the operation is the {kinds[0]} side; a reader who trusts the label would be misled")


def check(tree: Tree) -> Iterator[Finding]:
    found: list[Label] = []
    for item in labels(tree):
        if isinstance(item, Finding):
            yield item
        else:
            found.append(item)
    yield from check_pairs(found)
    yield from check_calls(tree, found)


if __name__ == "__main__":
    sys.exit(main(check, __doc__))
