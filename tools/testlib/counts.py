"""Turns what a suite printed into counts. One function per kind of suite.

A suite that crashed, hung, or printed no summary has failed, whatever it counted before.
A test that cannot run says so on a line "SKIP name: reason"; the reasons are shown at the end.
"""

from __future__ import annotations

import json
import re
import signal
from collections import defaultdict
from dataclasses import dataclass, field

from process import Finished

_DOCTEST = re.compile(
    r"^\[doctest\] test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed \|\s*(\d+) skipped", re.M)
_SCRIPT = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
_SKIP_LINE = re.compile(r"\bSKIP ([^\s:]+: .+)$", re.M)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
EXIT_SKIPPED = 77


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)  # why the suite as a whole failed
    reasons: list[str] = field(default_factory=list)   # why tests were skipped

    def fail(self, problem: str) -> None:
        self.failed += 1
        self.problems.append(problem)


def count(kind: str, text: str, finished: Finished) -> Counts:
    counter = {"doctest": _doctest, "script": _script, "go": _go, "exit": _exit, "step": _step}[kind]
    counts = counter(_COLOUR.sub("", text), finished)
    if finished.timed_out:
        counts.fail(f"hung: killed by the watchdog after {finished.seconds:.0f} s")
    elif finished.status < 0:
        counts.fail(f"crashed: {_signal_name(-finished.status)}")
    elif finished.status not in (0, EXIT_SKIPPED) and counts.failed == 0:
        counts.fail(f"exited with {finished.status} though it counted no failure")
    leftovers = [line for line in finished.leftovers if not _is_go_tool(line)]
    if leftovers and kind != "step":
        counts.fail("left processes running: " + "; ".join(leftovers))
    return counts


def _is_go_tool(leftover: str) -> bool:
    """The go command leaves a telemetry helper behind for a moment. `leftover` is "pid command"."""
    words = leftover.split()
    return len(words) > 1 and words[1].rsplit("/", 1)[-1] == "go"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _doctest(text: str, finished: Finished) -> Counts:
    summaries = _DOCTEST.findall(text)
    if not summaries:
        return _script(text, finished)
    passed, failed, skipped = (int(n) for n in summaries[-1])
    # doctest cannot skip at run time: a case that returns early prints a SKIP line and "passes".
    reasons = [reason.strip() for reason in _SKIP_LINE.findall(text)]
    early = min(len(reasons), passed)
    reasons += ["a test case marked doctest::skip()"] * skipped
    return Counts(passed - early, failed, skipped + early, reasons=reasons)


def _last_line(text: str) -> str:
    lines = text.rstrip().rsplit("\n", 1)
    return lines[-1].strip()


def _script(text: str, finished: Finished) -> Counts:
    last = _last_line(text)
    if finished.status == EXIT_SKIPPED:
        return Counts(skipped=1, reasons=[last or "no reason given"])
    summary = _SCRIPT.match(last)
    if summary is None:
        counts = Counts()
        if finished.status >= 0 and not finished.timed_out:
            counts.fail(f"printed no summary (exit status {finished.status})")
        return counts
    passed, failed, skipped = (int(n or 0) for n in summary.groups())
    reasons = [reason.strip() for reason in _SKIP_LINE.findall(text)]
    reasons += ["no reason given"] * (skipped - len(reasons))
    return Counts(passed, failed, skipped, reasons=reasons[:skipped])


def _exit(_text: str, finished: Finished) -> Counts:
    """One test: it passes by ending with 0."""
    return Counts(passed=1) if finished.status == 0 and not finished.timed_out else Counts()


def _step(_text: str, finished: Finished) -> Counts:
    """A step on the way (a build): it counts only when it fails."""
    counts = Counts()
    if finished.status > 0 and not finished.timed_out:
        counts.fail(f"failed with {finished.status}")
    return counts


def _go(text: str, _finished: Finished) -> Counts:
    """The events of `go test -json`: tests and subtests, and packages that failed without one."""
    counts = Counts()
    output: dict[tuple[str, str], list[str]] = defaultdict(list)
    failed_in: set[str] = set()
    events = 0
    for event in _events(text):
        events += 1
        package = event.get("Package") or event.get("ImportPath", "").split(" ", 1)[0]
        test, action = event.get("Test", ""), event.get("Action")
        if action in ("output", "build-output"):
            output[package, test].append(event.get("Output", "").rstrip())
        elif action == "pass" and test:
            counts.passed += 1
        elif action == "skip" and test:
            counts.skipped += 1
            counts.reasons.append(f"{test}: {_skip_reason(output[package, test])}")
        elif action == "fail" and test:
            failed_in.add(package)
            counts.failed += 1
            counts.problems += [f"{package} {test}", *_tail(output[package, test])]
        elif action == "fail" and package not in failed_in:
            counts.fail(f"{package} failed outside its tests")
            counts.problems += _tail(output[package, ""])
    if events == 0:
        counts.fail("go test printed no events")
    return counts


def _events(text: str) -> list[dict[str, str]]:
    """JSON lines only; a runtime that dies may write plain text between them."""
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return found


def _skip_reason(lines: list[str]) -> str:
    said = [line.strip() for line in lines if line.startswith(" ") and "--- SKIP" not in line]
    return re.sub(r"^\S+\.go:\d+: ", "", said[-1]) if said else "no reason given"


def _tail(lines: list[str], most: int = 25) -> list[str]:
    return ["    " + line for line in lines[-most:]]
