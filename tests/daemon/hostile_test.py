#!/usr/bin/env python3
"""Attacks a running hearthd in every way that hostile_client knows, as the daemon's own user and as
another one, while a well-behaved client checks every answer it gets.

After each attack: the same daemon runs, the good client saw no error and goes on, what the daemon
said and logged is what PROTOCOL.md promises, descriptors and session regions are back to what they
were, and the daemon sleeps again when nobody wants anything.

Usage: hostile_test.py [PATTERN]    HEARTH_SEED repeats a run; HEARTH_FULL=1 takes longer
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from dataclasses import dataclass, field

from harness import OTHER_UID, Daemon, Process, Suite, full, main, wait_for

SEED = int(os.environ.get("HEARTH_SEED", "0"), 0) or random.SystemRandom().getrandbits(63)
DENIED_UID = 65533  # no rule of the policy matches it
QUARTER = 0.25  # of one CPU: far above an idle daemon, far below one that spins

CONFIG = f"""
[daemon]
socket_mode = "0666"
log_level = "debug"
[limits]
sessions_per_uid = 1200
hello_timeout = "10m"
[[store]]
name = "default"
size = "32MiB"
segment_size = "1MiB"
[[store.namespace]]
name = "open"
[[store]]
name = "second"
size = "16MiB"
[[policy]]
uid = {OTHER_UID}
stores = ["default"]
write = ["open"]
call = []
"""
# For attacks that another user carries out: it may do everything but administer.
GENEROUS = CONFIG.replace('write = ["open"]\ncall = []', 'write = ["*"]\ncall = ["*"]')


@dataclass
class Attack:
    """`told` and `logged` are patterns of which each must be found, as often as it is listed."""

    name: str
    told: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    runs: int | None = None
    argument: int | None = None


RUNS = 200 if full() else 20
KILLS = 2000 if full() else 200
BROKEN = r"session \d+ ended: .*DATA_LOSS: .*"
ATTACKS = [
    Attack("garbage", [r"\d+ of \d+ sessions ended"], [BROKEN], runs=3 * RUNS),
    Attack("tail-out-of-bounds", ["ended: DATA_LOSS: broken ring: head 0, tail"] * 5,
           [BROKEN + "head 0, tail"] * 5),
    Attack("tail-backwards", ["served", "ended: DATA_LOSS: broken ring: tail fell"], [BROKEN]),
    Attack("response-head-wrong", ["ended: DATA_LOSS: broken ring: head"], [BROKEN + "head"]),
    Attack("change-after-publishing", runs=RUNS),
    Attack("unknown-continuation", ["ended: DATA_LOSS: .*not open"], [BROKEN + "not open"]),
    Attack("sequence-does-not-grow", ["ended: DATA_LOSS: sequence"], [BROKEN + "sequence"]),
    Attack("seventeen-open-messages", ["ended: DATA_LOSS: more than 16"], [BROKEN + "more than 16"]),
    Attack("never-drain", ["ended: RESOURCE_EXHAUSTED: .*full"], ["RESOURCE_EXHAUSTED: .*full"]),
    Attack("never-grant-credit", ["ended: RESOURCE_EXHAUSTED"], ["ended: .*RESOURCE_EXHAUSTED"]),
    Attack("leave-before-the-answer-ends", runs=RUNS),
    Attack("announce-and-abandon", [rf"^{6 * 3} announcements refused"], runs=3),
    Attack("cancel-everything", runs=RUNS),
    Attack("hoard-leases", ["refused after 4096 leases: .*the limit", "free again"],
           [r"session \d+ ended: the client closed it"] * RUNS, runs=RUNS),
    Attack("punch-holes", [r"\d+ of \d+ sessions ended"], runs=2 * RUNS),
    Attack("overwrite-header", ["served", "served"]),
    Attack("resize-region", ["cannot shrink", "cannot grow", "served"]),
    Attack("block-descriptors", ["served"]),
    Attack("ring-for-nothing", ["served"], runs=RUNS),
    Attack("pin-everything", ["served"], runs=RUNS),
    Attack("kill-at-random", logged=[r"session \d+ ended: the client closed it"] * (KILLS // 10),
           runs=KILLS),
    Attack("fork-and-share", ["ended: DATA_LOSS"], [BROKEN]),
    Attack("no-hello", ["ended: INVALID_ARGUMENT: the first message must be hello"] * 2,
           ["the first message must be hello"] * 2),
    Attack("many-packets-before-hello", logged=["the first message must be hello"] * RUNS, runs=RUNS),
    Attack("hello-twice", ["ended: INVALID_ARGUMENT: a second hello"], ["a second hello"]),
    Attack("garbage-packets", logged=["connection of uid .* ended: INVALID_ARGUMENT"], runs=5 * RUNS),
    Attack("turned-bits", [r"\d+ of \d+ refused"], runs=10 * RUNS),
    Attack("truncated-hello", logged=["connection of uid .* ended: INVALID_ARGUMENT"] * 100),
    Attack("oversized-packet", ["ended: INVALID_ARGUMENT: .*more than 65536 bytes"] * 2,
           ["more than 65536 bytes"] * 2),
    Attack("empty-packet", ["^closed"]),
    Attack("packet-with-descriptors", ["ended: INVALID_ARGUMENT: .*descriptors"] * 4,
           ["INVALID_ARGUMENT: .*descriptors"] * 4),
    Attack("flood-without-reading", ["closed after many requests"], ["does not take its answers"]),
    Attack("half-closed"),
    Attack("wrong-versions",
           [r"FAILED_PRECONDITION 0: client '.*77.*' server '.*1.*', then closed",
            r"FAILED_PRECONDITION 1: client '.*77.*' server '.*1.*', then closed",
            r"FAILED_PRECONDITION 1: client '.*1 .*' server '.*1 .*', then closed",
            r"FAILED_PRECONDITION 2: client '.*77.*' server '.*1.*', then closed",
            r"FAILED_PRECONDITION 2: client '.*1 .*' server '.*1 .*', then closed"],
           ["refused uid .*77"] * 3),
    Attack("silent-connections", ["some were refused"],
           ["RESOURCE_EXHAUSTED: .*connections without a session"], argument=2000),
    Attack("take-all-sessions", ["refused after 1[12].*: RESOURCE_EXHAUSTED: .*sessions"],
           ["refused uid .*sessions_per_uid"]),
]


class Watch:
    """A daemon with a good client beside it, and what is true of both between two attacks."""

    def __init__(self, suite: Suite, name: str, config: str) -> None:
        self.daemon: Daemon = suite.daemon(name, config=config)
        self.good: Process = suite.client(self.daemon.socket, "good", seed=SEED)
        assert self.good.line() == "ready", self.good.log()
        self.operations = 0
        self.worst_us = 0
        self.after_good_client()
        self.descriptors = self.daemon.descriptors()
        self.mappings = self.daemon.session_mappings()
        self.anon = self.daemon.memory("RssAnon")

    def after_good_client(self) -> None:
        """The good client goes on, without an error."""
        def goes_on() -> bool:
            line = self.good.command("r")
            found = re.fullmatch(r"operations (\d+) errors (\d+) worst_us (\d+)", line)
            assert found, f"the good client says: {line or self.good.log()}"
            assert found.group(2) == "0", line
            self.worst_us = max(self.worst_us, int(found.group(3)))
            return int(found.group(1)) > before
        for _ in range(2):  # the second time all operations began after the attack
            before = self.operations
            wait_for("the good client to go on", goes_on)
            self.operations += 50

    def healthy(self) -> None:
        daemon = self.daemon
        assert daemon.running(), f"hearthd ended with {daemon.child.returncode}: {daemon.log()[-2000:]}"
        self.after_good_client()
        wait_for(f"descriptors back at {self.descriptors}, are {daemon.descriptors()}",
                 lambda: daemon.descriptors() == self.descriptors)
        assert daemon.session_mappings() == self.mappings
        assert self.good.command("p") == "paused"
        wait_for("an idle daemon", lambda: daemon.idle_share() < QUARTER)
        self.after_good_client()

    def attack(self, suite: Suite, attack: Attack, uid: int | None) -> str:
        mark = self.daemon.log_size()
        options = {"seed": SEED}
        if attack.runs is not None:
            options["runs"] = attack.runs
        if attack.argument is not None:
            options["argument"] = attack.argument
        client = suite.client(self.daemon.socket, attack.name, uid, **options)
        status, lines = client.finish()
        assert status == 0 and lines and lines[-1] == "done", f"{status} {lines} {client.log()[-500:]}"
        self.healthy()
        log = self.daemon.log(mark)
        for text, patterns in (("\n".join(lines), attack.told), (log, attack.logged)):
            for pattern in set(patterns):
                found = len(re.findall(pattern, text, re.M))
                assert found >= patterns.count(pattern), \
                    f"'{pattern}' {found} times, not {patterns.count(pattern)}, in:\n{text[-2000:]}"
        return "; ".join(line[:60] for line in lines[:-1][:2])


def stopped_client(suite: Suite, watch: Watch) -> None:
    client = suite.client(watch.daemon.socket, "stop", seed=SEED)
    while client.line() != "stopping":
        assert client.running()
    wait_for("the attacker to stand still",
             lambda: ") T " in open(f"/proc/{client.pid}/stat", encoding="utf-8").read())
    watch.after_good_client()
    client.signal(signal.SIGKILL)
    client.wait()
    watch.healthy()


def kernel_rights(suite: Suite, watch: Watch) -> str:
    client = suite.client(watch.daemon.socket, "kernel-rights", OTHER_UID, argument=watch.good.pid)
    return only_refusals(client, 22)


def only_refusals(client: Process, count: int) -> str:
    status, lines = client.finish()
    facts = [line for line in lines if line.startswith(("refused ", "ALLOWED "))]
    assert status == 0 and lines[-1] == "done", lines
    assert not [fact for fact in facts if fact.startswith("ALLOWED")], "\n".join(facts)
    assert len(facts) == count, f"{len(facts)} facts:\n" + "\n".join(facts)
    return f"{count} refusals"


def policy_rights(suite: Suite, watch: Watch) -> str:
    client = suite.client(watch.daemon.socket, "policy-rights", OTHER_UID)
    status, lines = client.finish()
    assert lines[:3] == ["writable: open true, default false", "set in open: OK", "read back: v"], lines
    facts = [line for line in lines if line.startswith("refused ")]
    assert status == 0 and len(facts) == 7 and not [x for x in lines if "ALLOWED" in x], lines
    log = watch.daemon.log()
    for pattern in ("may not call 'hearth.echo'", "may not administer", "may not use store 'second'"):
        assert re.search(rf"uid {OTHER_UID} {pattern}", log), pattern
    return f"{len(facts)} refusals"


def denied(suite: Suite, watch: Watch) -> str:
    client = suite.client(watch.daemon.socket, "no-rights", DENIED_UID)
    result = only_refusals(client, 2)
    told = rf"hearthd's policy gives uid {DENIED_UID} no rights"
    assert re.search(rf"refused uid {DENIED_UID} pid \d+: {told}", watch.daemon.log())
    return result


def hello_deadline(suite: Suite) -> str:
    """Who says nothing is told why it is closed; who greeted in time stays for as long as it likes."""
    config = CONFIG.replace('hello_timeout = "10m"', 'hello_timeout = "500ms"')
    daemon = suite.daemon("hello", config=config)
    good = suite.client(daemon.socket, "crowd", argument=1)
    assert good.line() == "ready", good.log()
    late = "ended: DEADLINE_EXCEEDED: no handshake within 500 ms (limits.hello_timeout)"
    cases: list[tuple[int | None, str]] = [(None, late)]
    if os.geteuid() == 0:
        cases += [(OTHER_UID, late), (DENIED_UID, f"ended: PERMISSION_DENIED: hearthd's policy gives uid {DENIED_UID} no rights")]
    for uid, told in cases:
        status, lines = suite.client(daemon.socket, "silent", uid).finish()
        assert (status, lines) == (0, [told, "done"]), lines
    assert good.command("p") == "answered 1"
    assert len(re.findall("connection of uid .* ended: DEADLINE_EXCEEDED", daemon.log())) == len(cases[:2])
    return late[7:60]


def hoarding(suite: Suite, uid: int | None) -> str:
    """What one uid hoards is its own; another one is served, and all comes back."""
    daemon = suite.daemon(f"hoarding{uid}", config=GENEROUS.replace("[limits]", '[limits]\nmemory_per_uid = "50MiB"'))
    name = uid or os.geteuid()
    bystander = None if uid else OTHER_UID
    limit = rf"uid {name} \(limits.memory_per_uid\) holds \d+ of {50 << 20} bytes, \d+ more do not fit"
    for _ in range(3):
        client = suite.client(daemon.socket, "hoard-memory", uid)
        refused, announced = client.line(), client.line()
        # Rings of 4 MiB: each session has a little more than 8 MiB.
        assert re.fullmatch(rf"refused after 6: RESOURCE_EXHAUSTED: {limit}", refused), refused
        assert re.fullmatch(rf"announcement: RESOURCE_EXHAUSTED {limit}", announced), announced
        if bystander is None or os.geteuid() == 0:
            assert suite.client(daemon.socket, "hello", bystander).finish()[1][0] == "set: OK"
        assert client.finish()[0] == 0
        wait_for("the hoard to be given back", lambda: daemon.session_mappings() == 0)
    return refused[:90]


def quiet_log(suite: Suite) -> str:
    """A client that is refused in a loop does not fill the disk, and what it did is counted."""
    daemon = suite.daemon("quiet", config=GENEROUS.replace('"debug"', '"info"'))
    runs = 500
    began = time.monotonic()
    assert suite.client(daemon.socket, "garbage-packets", runs=runs).finish()[0] == 0
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    seconds = time.monotonic() - began
    log = daemon.log()
    lines = len(re.findall("connection of uid .* ended: INVALID_ARGUMENT", log))
    left_out = sum(map(int, re.findall(r"(\d+) (?:more )?lines like", log)))
    # Ten at once, then one in ten seconds.
    assert 10 <= lines <= 11 + seconds / 10, f"{lines} lines in {seconds:.1f} s"
    assert lines + left_out == runs, f"{lines} lines and {left_out} left out:\n{log[-1000:]}"
    return f"{lines} lines for {runs} refusals"


def crowd(suite: Suite, watch: Watch) -> str:
    daemon, count = watch.daemon, 1000
    regions, anon = daemon.session_memory(), daemon.memory("RssAnon")
    client = suite.client(daemon.socket, "crowd", argument=count)
    assert client.line() == "ready", client.log()
    region = (daemon.session_memory() - regions) / count / 1024
    own = (daemon.memory("RssAnon") - anon) / count / 1024
    assert region + own < 300, f"{region:.0f} KiB of region and {own:.0f} KiB of its own"
    # Socket, region, server doorbell, one end of the client doorbell.
    assert daemon.descriptors() - watch.descriptors == 4 * count
    for _ in range(3):
        assert client.command("p") == f"answered {count}"
    assert watch.good.command("p") == "paused"
    wait_for("an idle daemon with a crowd", lambda: daemon.idle_share() < QUARTER)
    client.command("q")
    client.wait()
    watch.healthy()
    return f"{region:.0f} KiB of region and {own:.0f} KiB of hearthd's own for each session"


def exhausted_descriptors(suite: Suite) -> str:
    daemon = suite.daemon("exhausted", config=GENEROUS, nofile=60)
    good = suite.client(daemon.socket, "good", seed=SEED)
    assert good.line() == "ready", good.log()
    before = daemon.descriptors()
    greedy = suite.client(daemon.socket, "take-all-sessions")
    refusal = greedy.line()
    assert re.match(r"refused after \d+: (RESOURCE_EXHAUSTED|UNAVAILABLE)", refusal), refusal
    greedy.finish()
    # Silent connections take what is left; the others wait in the backlog, which has room for them.
    silent = suite.client(daemon.socket, "silent-connections", argument=120)
    assert re.search("let in|refused", silent.line()), silent.log()
    wait_for("a full daemon", lambda: "cannot accept a connection" in daemon.log())
    assert good.command("p") == "paused"
    wait_for("an idle daemon without descriptors", lambda: daemon.idle_share() < QUARTER)
    silent.finish()
    wait_for("free descriptors", lambda: daemon.descriptors() == before)
    for _ in range(3):
        late = suite.client(daemon.socket, "good", seed=SEED)
        assert late.line() == "ready", late.log()
        late.command("q")
    assert " errors 0 " in good.command("r")
    assert good.command("p") == "paused"
    wait_for("an idle daemon", lambda: daemon.idle_share() < QUARTER)
    assert daemon.running()
    return refusal[:60]


def stops_in_order(watch: Watch) -> None:
    """After all that; a sanitizer's build also looks for leaks then."""
    watch.good.finish()
    watch.daemon.signal(signal.SIGTERM)
    assert watch.daemon.wait() == 0, watch.daemon.log()[-2000:]


def no_leak(watch: Watch) -> str:
    """Of all attacks together."""
    grown = (watch.daemon.memory("RssAnon") - watch.anon) / 1024 / 1024
    assert grown < 64, f"{grown:.0f} MiB more than at first"
    return f"{grown:.1f} MiB more than at first; the good client waited {watch.worst_us / 1000:.1f} ms at most"


class Renewed:
    """A watch that is replaced after a failure, so that one failure is one failure."""

    def __init__(self, suite: Suite, name: str, config: str) -> None:
        self._make = lambda: Watch(suite, f"{name}{suite.failed}", config)
        self._suite, self._failed, self._watch = suite, suite.failed, self._make()

    def get(self) -> Watch:
        if self._suite.failed != self._failed:
            self._watch.good.kill()
            self._watch.daemon.kill()
            self._watch, self._failed = self._make(), self._suite.failed
        return self._watch


def body(suite: Suite) -> None:
    print(f"HEARTH_SEED={SEED} repeats this run", flush=True)
    watch = Renewed(suite, "own", GENEROUS)
    suite.check("a crowd of sessions", lambda: crowd(suite, watch.get()))
    for attack in ATTACKS:
        suite.check(attack.name, lambda: watch.get().attack(suite, attack, None))
    suite.check("a client that stops in the middle", lambda: stopped_client(suite, watch.get()))
    suite.check("no leak after all attacks", lambda: no_leak(watch.get()))
    for attack in ATTACKS:
        suite.check(f"{attack.name} as another user",
                    lambda: watch.get().attack(suite, attack, OTHER_UID), needs_root=True)
    suite.check("no leak after all attacks as another user", lambda: no_leak(watch.get()))
    suite.check("it stops in order after all attacks", lambda: stops_in_order(watch.get()))
    strict = Renewed(suite, "strict", CONFIG)
    suite.check("the kernel keeps other users out",
                lambda: kernel_rights(suite, strict.get()), needs_root=True)
    suite.check("the policy keeps other users in",
                lambda: policy_rights(suite, strict.get()), needs_root=True)
    suite.check("a user without a rule is refused", lambda: denied(suite, strict.get()), needs_root=True)
    suite.check("a connection that says nothing", lambda: hello_deadline(suite))
    suite.check("one uid's hoard of memory", lambda: hoarding(suite, None))
    suite.check("one uid's hoard of memory as another user", lambda: hoarding(suite, OTHER_UID), needs_root=True)
    suite.check("a log that a hostile client cannot fill", lambda: quiet_log(suite))
    suite.check("exhausted descriptors", lambda: exhausted_descriptors(suite))


if __name__ == "__main__":
    main(body)
