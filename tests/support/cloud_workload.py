"""Eight cloud sessions that may push little or nothing, adopters that are killed, and a forger; at the end all of it is counted.

    python tests/support/cloud_workload.py --host claude --commands 1000 --seed 1

The host is a bare repository with an update hook: `claude` and `copilot` allow branches below that folder, `nothing` allows none
and `cut` is out of reach; in both of these the branches are pushed from outside, as the agents' makers do it. All processes are
forked from this one; what they said is read from their branches, what came of it from ours.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clones import Seat
from environment import seal
from gits import git
from remotes import create_bare

from gitcoord.connection.connect import Connection
from gitcoord.core.carrying import CarryAnswered
from gitcoord.core.claims import AcquireClaims, ClaimAcquired
from gitcoord.core.names import Resource
from gitcoord.core.renewals import ClaimRenewed
from gitcoord.core.sessions import StartSession
from gitcoord.errors import GitcoordError, Held, NotHeld, NotInTime, Unknown
from gitcoord.log import carrier
from gitcoord.log.history import Good

HOSTS = ("claude", "copilot", "nothing", "cut")
CLOUDS, ADOPTERS = 8, 2
PROMISED = 30.0  # seconds from a claim's push to its answer
RULE = """#!/bin/sh
case "$CLOUD_MAY:$1" in :*|*:refs/heads/$CLOUD_MAY) exit 0;; esac
echo "only $CLOUD_MAY may be pushed" >&2
exit 1
"""
_FORK = multiprocessing.get_context("fork")


@dataclass
class Report:
    """What came of a run. `wrong`: each promise that was broken, in words."""

    host: str
    said: int = 0
    adopted: int = 0
    claims: int = 0
    granted: int = 0
    killed: int = 0
    forged: int = 0
    answered: list[float] = field(default_factory=list)
    """Seconds from asking to having the answer, as the agents saw it: some wait longer, for they look only now and then."""
    on_the_branch: list[float] = field(default_factory=list)
    """Seconds from asking, before the push, to the date of the answer's commit."""
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The figures in one line."""
        times = f"on the branch {_spread(self.on_the_branch)}, seen {_spread(self.answered)}"
        return (
            f"{self.host}: {self.said} said, {self.adopted} adopted, {self.claims} claims ({self.granted} granted), answered "
            f"{times}; {self.killed} adopters killed, {self.forged} forged, {self.seconds:.0f} s, {len(self.wrong)} wrong"
        )


def _spread(seconds: Sequence[float]) -> str:
    waits = sorted(seconds) or [0.0]
    return f"p50 {waits[len(waits) // 2]:.1f} p99 {waits[int(len(waits) * 0.99)]:.1f} max {waits[-1]:.1f} s"


@dataclass(frozen=True)
class Place:
    """Where a run lies, and by what rule."""

    folder: Path
    host: str

    @property
    def remote(self) -> Path:
        """The host's repository."""
        return self.folder / "host.git"

    @property
    def rides(self) -> str:
        """The folder of branches that its agents work on."""
        return {"claude": "claude", "copilot": "copilot"}.get(self.host, "codex")

    def seat(self, name: str, may: str = "") -> Seat:
        """A clone on a machine of its own; `may`: what it may push, "" for everything."""
        path = self.folder / name
        git(self.folder, "clone", "--quiet", str(self.remote), str(path))
        return Seat(path, self.folder / "outboxes" / name, extra={"CLOUD_MAY": may} if may else {})

    def cloud(self, number: int) -> Seat:
        """An agent in a cloud, on a branch of its own."""
        seat = self.seat(f"cloud-{number}", "none" if self.host == "nothing" else f"{self.rides}/*")
        seat.git("checkout", "--quiet", "-b", f"{self.rides}/{number}")
        seat.git("config", "gitcoord.deadline", "30")
        with seat.here() as found:
            found.coordinator.branch.view()
        if self.host == "cut":
            seat.git("remote", "set-url", "origin", f"{self.remote}-away")
        return seat


def work(place: Place, seat: Seat, dice: random.Random, commands: int, record: Path) -> None:
    """One cloud session's life: a start, so many commands, an end."""
    waits: list[float] = []
    may_claim = place.host != "cut"
    for number in range(commands):
        _patiently(seat, lambda found, n=number: _say(found, n, commands, dice, waits, may_claim=may_claim))  # type: ignore[misc]
    record.write_text(json.dumps(waits))


def _patiently(seat: Seat, say: Callable[[Connection], None]) -> None:
    """Say it; what has no answer yet is asked once more, as an agent would."""
    for _ in range(5):
        try:
            with seat.here() as found:
                say(found)
                return
        except Unknown:
            continue


def _say(found: Connection, number: int, count: int, dice: random.Random, waits: list[float], *, may_claim: bool) -> None:
    coordinator = found.coordinator
    if number == 0:
        coordinator.sessions.start(None, work="in a cloud")
        return
    if number == count - 1:
        coordinator.sessions.end(["all"], None)
        return
    what = dice.random()
    if what < 0.2 and may_claim:
        begun = time.monotonic()
        with suppress(Held, NotHeld, NotInTime):
            coordinator.claims.acquire([Resource("file", f"src/{dice.randrange(12)}.py")], ttl_seconds=300)
        waits.append(time.monotonic() - begun)
    elif what < 0.35 and may_claim:
        coordinator.claims.release(None)
    elif what < 0.6:
        coordinator.messages.send("broadcast", f"said {number}", "")
    else:
        coordinator.sessions.heartbeat(action="building", target=f"part {number}")


def adopt(seat: Seat) -> None:
    """Adopt until somebody ends this process."""
    while True:
        with suppress(GitcoordError), seat.here() as found:
            _, view = found.coordinator.branch.sync()
            found.coordinator.adoption.try_adopt(view, [])
        time.sleep(0.2)


def forge(place: Place, seat: Seat, dice: random.Random) -> None:
    """Push what is not one's own to say, again and again: others' trailers, others' sessions, bytes."""
    number = 0
    while True:
        number += 1
        seat.git("fetch", "--quiet", "origin")
        lines = [
            line for line in seat.git("log", "--remotes", "--format=%B", "-50").splitlines() if line.startswith("Coord-Carry: ")
        ]
        picked = dice.sample(lines, min(3, len(lines)))
        branch = f"{place.rides}/forged-{number % 5}"
        own = []
        for found in carrier.decode("x\n\n" + "\n".join(picked)):
            if isinstance(found, carrier.Carried) and not isinstance(found.command, StartSession):
                new = found.command.model_copy(update={"op": f"FORGED{number}.{len(own)}"})
                own += [carrier.encode(new, branch), carrier.encode(new, found.branch)]
        text = carrier.message([*picked, *own, "Coord-Carry: 1.!!!", "Coord-Carry: 1.e30"], skip_ci=True)
        commit = git(seat.path, "commit-tree", "HEAD^{tree}", "-p", "HEAD", stdin=text).strip()
        git(seat.path, "push", "--quiet", "origin", f"+{commit}:refs/heads/{branch}")
        time.sleep(0.5)


def carry_outside(place: Place, clouds: Sequence[Seat]) -> None:
    """Push the agents' branches from outside of their boxes, as their makers do."""
    while True:
        for seat in clouds:
            with suppress(Exception):
                outside = {name: value for name, value in os.environ.items() if name != "CLOUD_MAY"}
                git(seat.path, "push", "--quiet", str(place.remote), "HEAD", env=outside)
        time.sleep(0.5)


def run(host: str, commands: int, seed: int, folder: Path) -> Report:
    """One run under that host's rule."""
    place, dice, begun = Place(folder, host), random.Random(seed), time.monotonic()
    create_bare(place.remote)
    hook = place.remote / "hooks" / "update"
    hook.write_text(RULE)
    hook.chmod(0o755)
    lead = place.seat("lead")
    with lead.here() as found:
        found.coordinator.setup.init()
        found.coordinator.sessions.start("lead")
        found.coordinator.setup.set_shared("carry", "true")
    clouds = [place.cloud(number) for number in range(CLOUDS)]
    adopters = [place.seat(f"adopter-{number}") for number in range(ADOPTERS)]
    forger = place.seat("forger")

    def child(target: Callable[..., None], *args: Any) -> Any:
        made = _FORK.Process(target=target, args=args, daemon=True)
        made.start()
        return made

    records = [folder / f"record-{number}.json" for number in range(CLOUDS)]
    agents = [
        child(work, place, seat, random.Random(f"{seed}-{number}"), commands // CLOUDS, records[number])
        for number, seat in enumerate(clouds)
    ]
    beside = [child(forge, place, forger, random.Random(seed))]
    beside += [child(carry_outside, place, clouds)] if host in {"nothing", "cut"} else []
    running = [child(adopt, seat) for seat in adopters]
    report = Report(host)
    while any(one.is_alive() for one in agents):
        time.sleep(dice.uniform(0.5, 3.0))
        victim = dice.randrange(ADOPTERS)
        running[victim].kill()
        running[victim].join()
        report.killed += 1
        running[victim] = child(adopt, adopters[victim])
    if host in {"nothing", "cut"}:
        time.sleep(2.0)
    for one in [*beside, *running]:
        one.kill()
        one.join()
    for _ in range(20):  # what a killed adopter left is sent by the next
        for seat in (*adopters, lead):
            with seat.here() as found:
                _, view = found.coordinator.branch.sync()
                found.coordinator.adoption.try_adopt(view, [])
        if _unadopted(lead, clouds) == 0:
            break
    report.answered = [wait for record in records if record.exists() for wait in json.loads(record.read_text())]
    _judge(report, lead, clouds, records)
    report.seconds = time.monotonic() - begun
    return report


def _spoken(seat: Seat) -> list[carrier.Carried]:
    """What a cloud session's branch carries, in order."""
    texts = seat.git("log", "--reverse", "--format=%B%x00", "main..HEAD").split("\0")
    return [found for text in texts for found in carrier.decode(text.lstrip("\n")) if isinstance(found, carrier.Carried)]


def _events(lead: Seat) -> list[Any]:
    return [good.event for good in _line(lead)]


def _line(lead: Seat) -> list[Good]:
    with lead.here() as found:
        return list(found.coordinator.log.line(found.coordinator.branch.view(fresh=True).checked))


def _unadopted(lead: Seat, clouds: Sequence[Seat]) -> int:
    ids = {event.id for event in _events(lead)}
    return sum(one.command.op not in ids for seat in clouds for one in _spoken(seat))


def _judge(report: Report, lead: Seat, clouds: Sequence[Seat], records: Sequence[Path]) -> None:
    """Say what came of it, and what should not have."""
    line = _line(lead)
    events = [good.event for good in line]
    dates = {good.event.id: good.committed_at for good in line}
    times = Counter(event.id for event in events)
    seqs = {event.id: event.seq for event in events}
    by_id = {event.id: event for event in events}
    spoken = {seat.path.name: [one.command for one in _spoken(seat)] for seat in clouds}
    allowed = {command.op for commands in spoken.values() for command in commands}
    for name, commands in spoken.items():
        ops = [command.op for command in commands]
        report.said += len(set(ops))
        if len(ops) != len(set(ops)):
            report.wrong.append(f"{name} says something twice")
        missing = [op for op in ops if times[op] != 1]
        if missing:
            report.wrong.append(f"{name}: {len(missing)} commands are not on the branch exactly once: {missing[:3]}")
        order = [seqs[op] for op in ops if op in seqs]
        if order != sorted(order):
            report.wrong.append(f"{name}: adopted out of order")
        for command in commands:
            if isinstance(command, AcquireClaims):
                report.claims += 1
                event = by_id.get(command.op)
                report.granted += isinstance(event, ClaimAcquired)
                if event is not None:
                    report.on_the_branch.append((dates[command.op] - command.at).total_seconds())
                if not isinstance(event, ClaimAcquired | ClaimRenewed | CarryAnswered):
                    report.wrong.append(f"{name}: a claim is not answered: {command.op}")
    carried = [event for event in events if event.carried is not None]
    report.adopted = len(carried)
    report.wrong += [f"adopted though nobody said it: {event.id}" for event in carried if event.id not in allowed]
    report.wrong += [f"a forged event: {event.id}" for event in events if event.id.startswith("FORGED")]
    report.forged = sum(1 for line in git(lead.path, "ls-remote", "origin", "*forged*").splitlines() if line)
    late = [wait for wait in report.on_the_branch if wait > PROMISED]
    if late:
        report.wrong.append(f"{len(late)} claims were answered on the branch later than {PROMISED:.0f} s after they were asked")
    report.wrong += [f"no record of {one.stem}" for one in records if not one.exists()]
    with lead.here() as found:
        verdict = found.coordinator.branch.verify(full=False)
        report.wrong += [f"verify: {one}" for one in verdict.problems]


def main(argv: Sequence[str]) -> int:
    """Run it from a shell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", choices=(*HOSTS, "all"), default="all")
    parser.add_argument("--commands", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    bad = 0
    for host in HOSTS if asked.host == "all" else [asked.host]:
        with tempfile.TemporaryDirectory(prefix="gitcoord-cloud-") as folder:
            clean = seal(os.environ, Path(folder))
            for name in os.environ.keys() - clean.keys():
                del os.environ[name]
            os.environ.update(clean)
            report = run(host, asked.commands, asked.seed, Path(folder))
        print(report.line(), *report.wrong, sep="\n  ", flush=True)
        bad += bool(report.wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
