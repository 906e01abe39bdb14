"""Where suites come from: meson's list of tests, Go modules, tests/suites.list."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Suite:
    """One command that is run, timed and counted. `kind` is a kind of counts.count."""

    name: str
    kind: str
    command: list[str]
    cwd: Path
    timeout: float
    env: dict[str, str] = field(default_factory=dict)
    binaries: list[str] = field(default_factory=list)  # what ninja must build first


def from_meson(build: Path, stage: str, label: str | None = None, slower: float = 1) -> list[Suite]:
    """The tests meson knows (with this suite label only, if one is given)."""
    if not (build / "build.ninja").exists():
        return []
    found: list[Suite] = []
    targets = {t["id"]: t["filename"] for t in _introspect(build, "--targets")}
    for test in _introspect(build, "--tests"):
        labels = [name.rsplit(":", 1)[-1] for name in test["suite"]]
        if label is not None and label not in labels:
            continue
        binaries = [f for target in test.get("depends", []) for f in targets.get(target, [])]
        found.append(Suite(
            name=f"{stage}/{labels[0]}/{test['name']}" if labels else f"{stage}/{test['name']}",
            kind="exit" if "fuzz" in labels else "doctest",
            command=test["cmd"],
            cwd=Path(test["workdir"] or build),
            timeout=(test["timeout"] or 600) * slower,
            env=test["env"],
            binaries=[str(Path(b).relative_to(build)) for b in binaries],
        ))
    return found


def _introspect(build: Path, what: str) -> list[dict]:
    answer = subprocess.run(["meson", "introspect", what, str(build)],
                            capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def from_go(root: Path) -> list[Suite]:
    """Every module under go-binding: built without cgo, then tested with and without race."""
    found: list[Suite] = []
    for mod in sorted((root / "go-binding").rglob("go.mod")):
        folder = mod.parent
        if "testdata" in folder.parts or not any(folder.rglob("*.go")):
            continue
        name = str(folder.relative_to(root))
        test = ["go", "test", "-json", "-count=1", "-timeout=480s"]
        pure, race = {"CGO_ENABLED": "0"}, {"CGO_ENABLED": "1"}
        found += [
            Suite(f"go/build/{name}", "step", ["go", "build", "./..."], folder, 600, pure),
            Suite(f"go/test/{name}", "go", [*test, "./..."], folder, 600, pure),
            Suite(f"go/race/{name}", "go", [*test, "-race", "./..."], folder, 900, race),
        ]
    return found


def from_list(root: Path, full: bool) -> list[Suite]:
    """tests/suites.list; its header describes the format."""
    path = root / "tests/suites.list"
    if not path.exists():
        return []
    found: list[Suite] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        name, *command = words
        timeout = 300.0
        if command and command[0].startswith("timeout="):
            timeout = float(command.pop(0).removeprefix("timeout="))
        if not command:
            raise ValueError(f"tests/suites.list:{number}: '{name}' has no command")
        # A command with a folder is a file of the tree; a bare word comes from PATH.
        if "/" in command[0]:
            command[0] = str(root / command[0])
        found.append(Suite(f"script/{name}", "script", command, root, timeout * (6 if full else 1)))
    return found
