#!/usr/bin/env python3
"""The engine behind tools/test, whose header is the manual.

A run is a list of stages. Each stage yields suites; a suite is run under a watchdog, its output
goes to build/test-logs, and its counts are added up. A stage that cannot be built counts as one
failure, and the run goes on with the stages that do not need it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import process
from counts import Counts, count
from suites import Suite, from_go, from_list, from_meson

BUDGET_SECONDS = 25 * 60
_FIRST_LINES, _LAST_LINES = 20, 30  # of the log of a failed suite
_EXPORTED = {
    "HEARTHD": "daemon/hearthd",
    "HEARTH_CLI": "tools/hearth/hearth",
    "HEARTH_WIRE_VECTORS": "tests/conformance/wire/wire_vectors",
    "HEARTH_CONFORMANCE": "tests/conformance/conformance_vectors",
}
_SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:detect_leaks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


@dataclass
class Run:
    root: Path
    only: re.Pattern[str] | None = None
    full: bool = False
    total: Counts = field(default_factory=Counts)
    failures: list[str] = field(default_factory=list)
    ran: int = 0

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def logs(self) -> Path:
        return self.build / "test-logs"

    def wants(self, suite: Suite) -> bool:
        return self.only is None or self.only.search(suite.name) is not None

    def wants_stage(self, stage: str) -> bool:
        """False only when --only names other stages ("go/x|script": no need to build for TSan)."""
        if self.only is None:
            return True
        named = [re.match(r"\^?([a-z]+)(/|$)", part) for part in self.only.pattern.split("|")]
        known = {name for name, _ in STAGES}
        return any(n is None or n[1] not in known or n[1] == stage for n in named)

    def environment(self) -> dict[str, str]:
        env = {**os.environ, "HEARTH_BUILD_DIR": str(self.build), **_SANITIZER_OPTIONS}
        for variable, path in _EXPORTED.items():
            env.pop(variable, None)
            if (self.build / path).exists():
                env[variable] = str(self.build / path)
        if self.full:
            env["HEARTH_FULL"] = "1"
        return env

    def execute(self, suite: Suite) -> bool:
        """Runs, prints one line (and the end of the log if it failed), adds up."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / (suite.name.replace("/", "__") + ".log")
        env = {**self.environment(), **suite.env}
        finished = process.run(suite.command, log, suite.cwd, env, suite.timeout)
        text = log.read_text(encoding="utf-8", errors="replace")
        counts = count(suite.kind, text, finished)
        self.add(suite.name, counts, finished.seconds, "" if suite.kind == "go" else text, log)
        if suite.kind != "step":
            self.ran += 1
        return counts.failed == 0

    def add(self, name: str, counts: Counts, seconds: float, text: str, log: Path | None) -> None:
        verdict = "failed" if counts.failed else "skipped" if counts.skipped and not counts.passed else "ok"
        numbers = [f"{counts.passed} passed"] if counts.passed else []
        numbers += [f"{counts.failed} failed"] if counts.failed else []
        numbers += [f"{counts.skipped} skipped"] if counts.skipped else []
        print(f"{verdict:8}{name:44} {seconds:6.1f} s  {', '.join(numbers)}".rstrip(), flush=True)
        if counts.failed:
            for line in excerpt(text):
                print(f"    | {line}")
            for problem in counts.problems:
                print(f"    {problem}")
            if log:
                print(f"    log: {os.path.relpath(log, self.root)}", flush=True)
            self.failures.append(name)
        self.total.passed += counts.passed
        self.total.failed += counts.failed
        self.total.skipped += counts.skipped
        self.total.reasons += [f"{name}: {reason}" for reason in counts.reasons]

    def step(self, name: str, command: list[str], env: dict[str, str] | None = None) -> bool:
        return self.execute(Suite(name, "step", command, self.root, 1800, env or {}))

    def build_failed(self, stage: str) -> bool:
        """Whether there is nothing to test; then the stage counts as failed."""
        failed = any(name.startswith("build/") for name in self.failures)
        if failed:
            self.not_run(stage, "the build failed")
        return failed

    def not_run(self, name: str, why: str) -> None:
        counts = Counts()
        counts.fail(f"not run: {why}")
        self.add(name, counts, 0.0, "", None)


def excerpt(text: str) -> list[str]:
    """Both ends of a log: sanitizers name the fault first, tests count at the end."""
    lines = text.rstrip().split("\n") if text else []
    left_out = len(lines) - _FIRST_LINES - _LAST_LINES
    if left_out <= 0:
        return lines
    return [*lines[:_FIRST_LINES], f"[... {left_out} lines ...]", *lines[-_LAST_LINES:]]


def configure(run: Run, stage: str, build: Path, options: list[str], env: dict[str, str]) -> bool:
    if (build / "build.ninja").exists():
        return True
    if build != run.build:  # the logs are in the main one, whatever its state
        shutil.rmtree(build, ignore_errors=True)
    command = ["meson", "setup", str(build), "-Dbuildtype=debugoptimized", *options]
    return run.step(f"{stage}/configure", command, env)


def stage_build(run: Run) -> None:
    if configure(run, "build", run.build, [], {}):
        run.step("build/compile", ["meson", "compile", "-C", str(run.build)])


def stage_check(run: Run) -> None:
    suite = Suite("check/tree", "script", [str(run.root / "tools/check")], run.root, 300)
    if run.wants(suite):
        run.execute(suite)


def stage_cpp(run: Run) -> None:
    if run.build_failed("cpp"):
        return
    for suite in filter(run.wants, from_meson(run.build, "cpp", slower=6 if run.full else 1)):
        run.execute(suite)


def sanitized(run: Run, stage: str, sanitizers: str, label: str) -> None:
    """Builds and runs the tests with one label under sanitizers.

    clang, because a default run then sees the code with a second compiler and its thread-safety
    analysis. setarch -R, because the shadow memory of clang 14 collides with a kernel that
    randomizes addresses by more than 28 bits.
    """
    build = run.root / f"build-{stage}"
    clang = {"CC": "clang-14", "CXX": "clang++-14"}
    # -O1: half the time to compile, and the tests that follow are short.
    options = [f"-Db_sanitize={sanitizers}", "-Db_lundef=false", "-Doptimization=1"]
    if run.build_failed(stage) or not configure(run, stage, build, options, clang):
        return
    chosen = [s for s in from_meson(build, stage, label, slower=5) if run.wants(s)]
    binaries = sorted({b for s in chosen for b in s.binaries})
    if chosen and run.step(f"{stage}/compile", ["ninja", "-C", str(build), *binaries]):
        for suite in chosen:
            suite.command = ["setarch", "-R", *suite.command]
            run.execute(suite)


def stage_asan(run: Run) -> None:
    sanitized(run, "asan", "address,undefined", "unit")


def stage_tsan(run: Run) -> None:
    sanitized(run, "tsan", "thread", "threads")


def stage_go(run: Run) -> None:
    suites = from_go(run.root)
    if any(run.wants(suite) for suite in suites):
        for suite in suites:
            if run.wants(suite) or suite.kind == "step":
                run.execute(suite)


def stage_script(run: Run) -> None:
    for suite in filter(run.wants, from_list(run.root, run.full)):
        run.execute(suite)


def stage_tidy(run: Run) -> None:
    suite = Suite("tidy/tree", "step", [str(run.root / "tools/tidy")], run.root, 3600)
    if run.full and run.wants(suite):
        run.execute(suite)


def stage_clang(run: Run) -> None:
    if not run.full or run.build_failed("clang"):
        return
    build = run.root / "build-clang"
    if not configure(run, "clang", build, ["-Dfuzzers=true"], {"CC": "clang-14", "CXX": "clang++-14"}):
        return
    if run.step("clang/compile", ["meson", "compile", "-C", str(build)]):
        for suite in filter(run.wants, from_meson(build, "clang", slower=6)):
            run.execute(suite)


STAGES: list[tuple[str, Callable[[Run], None]]] = [
    ("build", stage_build), ("check", stage_check), ("cpp", stage_cpp), ("asan", stage_asan),
    ("tsan", stage_tsan), ("go", stage_go), ("script", stage_script),
    ("tidy", stage_tidy), ("clang", stage_clang),
]
_NEED_BUILD = ("build", "check", "cpp", "go", "script", "tidy")


def run_stages(run: Run) -> None:
    needs_build = any(run.wants_stage(stage) for stage in _NEED_BUILD)
    for name, stage in STAGES:
        if run.wants_stage(name) or (name == "build" and needs_build):
            try:
                stage(run)
            except Exception as error:  # a broken list or introspection must not end the whole run
                run.not_run(name, f"{type(error).__name__}: {error}")
    if run.ran == 0 and not run.failures:
        run.not_run("run", "no suite matches" if run.only else "there was nothing to run")


def summary(total: Counts) -> str:
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    return f"{total.passed} passed, {total.failed} failed{skipped}"


def report(run: Run, seconds: float) -> None:
    for reason in run.total.reasons:
        print(f"skipped: {reason}")
    for name in run.failures:
        print(f"failed: {name}")
    over = "" if run.full or seconds <= BUDGET_SECONDS else ", over the budget of 25 minutes"
    print(f"took {seconds / 60:.1f} minutes{over}; logs in {os.path.relpath(run.logs, run.root)}")
    print(summary(run.total), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/test", add_help=False)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", type=re.compile, metavar="PATTERN")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    options = parser.parse_args()
    run = Run(options.root.resolve(), options.only, options.full)
    process.adopt_orphans()
    # End children as Ctrl-C does; and do not pass on that SIGINT is ignored, as it is in the background.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    try:
        run_stages(run)
    except KeyboardInterrupt:
        run.not_run("run", "interrupted")
        report(run, time.monotonic() - started)
        return 130
    report(run, time.monotonic() - started)
    return 1 if run.total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
