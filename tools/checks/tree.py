"""What every checker shares: the files of the tree, comment stripping, findings, the command line.

A checker is a function from a Tree to findings. `main` runs it: prints one line per finding,
"file:line: rule: why", and exits with 1 if there was any.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CPP = (".h", ".hpp", ".cc", ".cpp", ".c", ".inl")
GO = (".go",)
GO_ASSEMBLY = (".s",)

# Comments first, then every literal that could contain something that looks like a comment.
# A quote after a digit is C++'s digit separator, not the start of a character literal.
_LEXEMES = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<literal>R"(?P<mark>[^()\s\\"]{0,16})\(.*?\)(?P=mark)"
      | "(?:\\.|[^"\\\n])*"
      | (?<![0-9A-Za-z])'(?:\\.|[^'\\\n])+')""",
    re.DOTALL | re.VERBOSE,
)
_GO_LEXEMES = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<literal>`[^`]*`|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')""",
    re.DOTALL | re.VERBOSE,
)
_NOT_NEWLINE = re.compile(r"[^\n]")


@dataclass(frozen=True, order=True)
class Finding:
    """One broken rule. `why` says what the rule protects, or what to do."""

    path: str
    line: int
    rule: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.why}"


class Tree:
    """The files that belong to the project: tracked, or untracked and not ignored."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.paths = sorted(p for p in _list(self.root) if (self.root / p).is_file())
        self._texts: dict[str, str] = {}

    def select(self, suffixes: tuple[str, ...], under: str = "") -> Iterator[str]:
        return (p for p in self.paths if p.endswith(suffixes) and p.startswith(under))

    def text(self, path: str) -> str:
        if path not in self._texts:
            self._texts[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._texts[path]

    def code(self, path: str, literals: bool = False) -> str:
        """The text with comments (and literals, unless wanted) blanked; line numbers are kept."""
        lexemes = _LEXEMES if path.endswith(CPP) else _GO_LEXEMES

        def blank(match: re.Match[str]) -> str:
            if literals and match.group("comment") is None:
                return match.group()
            return _NOT_NEWLINE.sub(" ", match.group())

        return lexemes.sub(blank, self.text(path))


def _list(root: Path) -> list[str]:
    git = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard", "."],
        capture_output=True, text=True, check=False,
    )
    inside = (root / ".git").exists()
    if inside and git.returncode == 0:
        return [p for p in git.stdout.split("\0") if p]
    return _walk(root)  # a release tarball, or a checkout that git refuses to read


def _walk(root: Path) -> list[str]:
    found: list[str] = []
    for directory, names, files in os.walk(root):
        at_top = Path(directory) == root
        names[:] = [n for n in names if n not in (".git", "__pycache__")
                    and not (at_top and n.startswith("build"))]
        found += [str((Path(directory) / f).relative_to(root)) for f in files]
    return found


def matches(path: str, patterns: Iterable[str]) -> bool:
    """A pattern that ends in "/" is a folder with all below it; others are globs."""
    return any(path.startswith(p) if p.endswith("/") else fnmatch.fnmatchcase(path, p)
               for p in patterns)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def is_generated(tree: Tree, path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    if fnmatch.fnmatchcase(name, "*_gen.*") or ".capnp." in name or "testdata/" in path:
        return True
    return re.search(r"^// Code generated .* DO NOT EDIT\.$", tree.text(path)[:2000], re.M) is not None


def main(checker: Callable[[Tree], Iterable[Finding]], manual: str | None) -> int:
    parser = argparse.ArgumentParser(
        description=manual, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2],
                        help="the tree to check (default: the one this script is in)")
    findings = sorted(set(checker(Tree(parser.parse_args().root))))
    for finding in findings:
        print(finding)
    sys.stdout.flush()
    return 1 if findings else 0
