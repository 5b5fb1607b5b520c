"""P3 and P4: many sessions claim different names at once.

P3, one machine: beside a plain script (`plain`) under the same load, which is stopped after its time is up: what it had not
finished by then counts with the time it had waited, so its 99th percentile is a lower bound.

P4, several machines: beside the ideal. Only one push can succeed at a time, and a push can carry no more than all that waits on
its machine: so the ideal is bare pushes, one after the other, each of so many prepared commits. A fair turn is one push of each
machine. That ideal knows the tip without asking. So there is a second line, beside perfect turns: a fetch, the commits, a push,
by one machine after the other, with nothing lost, decided or checked.

Every session is a process of its own that is started before the clock is.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from remotes import Remote

from bench import plain
from bench.measure import Row, percentile
from bench.places import Place
from gitcoord.cli.app import load_all
from gitcoord.connection.connect import connect
from gitcoord.core.names import Resource

SESSIONS = 32
EACH = 10
TRIP = 0.1


@dataclass
class Result:
    """How a crowd fared: seconds of each operation, how many were begun and not finished, seconds in all."""

    took: list[float]
    waiting: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Operations a second."""
        return len(self.took) / self.seconds if self.seconds else 0.0

    @property
    def p99(self) -> float:
        """The 99th percentile in seconds; what was not finished counts with the time it had waited."""
        return percentile(self.took + self.waiting, 0.99) if self.took + self.waiting else 0.0


def race(workers: Sequence[Callable[[Callable[[], None]], None]], folder: Path, limit: float) -> Result:
    """Lets the workers run at once. Each calls what it is given when an operation begins and again when it has ended."""
    load_all()  # what a command loads when it comes to need it is its start, too
    folder.mkdir(parents=True)
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    children = []
    for number, work in enumerate(workers):
        pid = os.fork()
        if pid:
            children.append(pid)
            continue
        code = 1
        try:
            os.setsid()
            os.close(go_write)
            random.seed(number)
            log = open(folder / f"{number}.times", "w", buffering=1)  # noqa: SIM115  # it ends with the process
            os.write(ready_write, b".")
            os.read(go_read, 1)
            work(partial(_note, log))
            code = 0
        except BaseException as error:
            (folder / f"{number}.error").write_text(repr(error))
        finally:
            os._exit(code)
    seen = 0
    while seen < len(children):
        seen += len(os.read(ready_read, len(children)))
    begun = time.monotonic()
    os.close(go_write)
    end = begun + limit
    left = set(children)
    while left and time.monotonic() < end:
        for pid in list(left):
            if os.waitpid(pid, os.WNOHANG)[0]:
                left.discard(pid)
        time.sleep(0.005)
    over = time.monotonic()
    for pid in left:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for fd in (ready_read, ready_write, go_read):
        os.close(fd)
    took, waiting, last = [], [], begun
    for number in range(len(workers)):
        stamps = [float(line) for line in (folder / f"{number}.times").read_text().split()]
        took += [after - before for before, after in zip(stamps[::2], stamps[1::2], strict=False)]
        last = max([last, *stamps[1::2]])
        if len(stamps) % 2:
            waiting.append(over - stamps[-1])
    for path in folder.glob("*.error"):
        print(f"note: {path.read_text()[:300]}")
    return Result(took, waiting, (over if left else last) - begun)


def _note(log: TextIO) -> None:
    print(time.monotonic(), file=log)


def _ours(place: Place, seats: Sequence[tuple[Path, dict[str, str], str]]) -> list[Callable[[Callable[[], None]], None]]:
    def worker(path: Path, env: dict[str, str], session: str) -> Callable[[Callable[[], None]], None]:
        def work(tell: Callable[[], None]) -> None:
            with connect(str(path), env, session=session) as found:
                for number in range(EACH):
                    tell()
                    found.coordinator.claims.acquire([Resource("name", f"{session}-{number}")])
                    tell()

        return work

    return [worker(*seat) for seat in seats]


def gitcoord(
    place: Place, remote: Remote, name: str, *, outboxes: int, clones: int, limit: float = 240.0, sessions: int = SESSIONS
) -> Result:
    """That many sessions on that many machines and clones, 10 claims each."""
    paths = [place.clone(remote, f"{name}-{number}") for number in range(clones)]
    seats = [(paths[number % clones], place.outbox(f"{name}-{number % outboxes}"), f"s{number:02}") for number in range(sessions)]
    with connect(str(seats[0][0]), seats[0][1], session=seats[0][2]) as found:
        found.coordinator.setup.init()

    def starter(path: Path, env: dict[str, str], session: str) -> Callable[[Callable[[], None]], None]:
        def work(tell: Callable[[], None]) -> None:
            with connect(str(path), env, session=session) as found:
                found.coordinator.sessions.start(session)

        return work

    for begin in range(0, sessions, 8):  # eight at a time: that they all come, not how fast, is what counts here
        race([starter(*seat) for seat in seats[begin : begin + 8]], place.folder / "times" / f"{name}-start-{begin}", limit)
    return race(_ours(place, seats), place.folder / "times" / name, limit)


def script(place: Place, remote: Remote, name: str, *, clones: int, limit: float, sessions: int = SESSIONS) -> Result:
    """The plain script under the same load."""
    paths = [place.clone(remote, f"{name}-{number}") for number in range(clones)]
    place.git(paths[0], *remote.flags, "push", "-q", remote.url, "HEAD:refs/heads/plain")

    def worker(number: int) -> Callable[[Callable[[], None]], None]:
        def work(tell: Callable[[], None]) -> None:
            for turn in range(EACH):
                tell()
                plain.claim(paths[number % clones], remote.url, remote.flags, f"s{number}-{turn}", f"s{number}")
                tell()

        return work

    return race([worker(number) for number in range(sessions)], place.folder / "times" / name, limit)


def ideal(place: Place, remote: Remote, name: str, *, machines: int) -> Result:
    """Bare pushes, one after the other, each of as many prepared commits as sessions wait on one machine."""
    clone, carried = place.clone(remote, name), SESSIONS // machines
    tree = place.git(clone, "mktree").strip()  # the empty tree
    place.git(clone, *remote.flags, "push", "-q", remote.url, "HEAD:refs/heads/ideal")
    tip, tips = place.git(clone, "rev-parse", "HEAD").strip(), []
    for number in range(SESSIONS * EACH):
        tip = place.git(clone, "commit-tree", tree, "-p", tip, "-m", f"number {number}").strip()
        tips.append(tip)
    begun, took = time.monotonic(), []
    for last in tips[carried - 1 :: carried]:
        start = time.monotonic()
        place.git(clone, *remote.flags, "push", "-q", remote.url, f"{last}:refs/heads/ideal")
        took += [machines * (time.monotonic() - start)] * carried  # its machine's turn comes when all others had theirs
    return Result(took, [], time.monotonic() - begun)


def perfect_turns(place: Place, remote: Remote, name: str, *, machines: int) -> Result:
    """The same, by machines that have to see the tip on which they write: each fetches, writes its commits, and pushes."""
    clones = [place.clone(remote, f"{name}-{number}") for number in range(machines)]
    carried = SESSIONS // machines
    place.git(clones[0], *remote.flags, "push", "-q", remote.url, "HEAD:refs/heads/turns")
    begun, took = time.monotonic(), []
    for number in range(3 * machines):  # each turn costs the same
        clone, start = clones[number % machines], time.monotonic()
        place.git(clone, *remote.flags, "fetch", "-q", "--no-write-fetch-head", remote.url, "+refs/heads/turns:refs/plain/turns")
        story = "".join(
            f"commit refs/plain/turns\ncommitter a <a@b> {number} +0000\ndata 1\nx\n"
            + ("from refs/plain/turns^0\n" if nth == 0 else "")
            + f"M 644 inline claims/{number}-{nth}\ndata 1\nx\n"
            for nth in range(carried)
        )
        place.git(clone, "fast-import", "--quiet", "--force", stdin=story)
        place.git(clone, *remote.flags, "push", "-q", remote.url, "refs/plain/turns:refs/heads/turns")
        took += [machines * (time.monotonic() - start)] * carried
    return Result(took, [], time.monotonic() - begun)


def against_ideal(what: str, ours: Result, best: Result) -> Row:
    """A line: throughput as a share of the ideal's, p99 in fair turns."""
    ratio, turn = ours.rate / best.rate, statistics.mean(best.took)
    whole = len(ours.took) == SESSIONS * EACH
    return Row(
        what,
        f"{ours.rate:.1f} op/s, p99 {ours.p99:.2f} s" + ("" if whole else f", {SESSIONS * EACH - len(ours.took)} GAVE UP"),
        f"{best.rate:.1f} op/s, a fair turn {turn:.2f} s",
        ratio,
        "≥ 0.7, p99 ≤ 3 turns",
        ratio >= 0.7 and ours.p99 <= 3 * turn and whole,
        {"ours_op_s": ours.rate, "ours_p99_s": ours.p99, "ideal_op_s": best.rate, "turn_s": turn, "p99_turns": ours.p99 / turn},
    )


def row(what: str, ours: Result, beside: Result, times: float, share: float) -> Row:
    """A line: throughput and p99 against the plain script's."""
    ratio = ours.rate / beside.rate if beside.rate else float("inf")
    slower = ours.p99 / beside.p99
    whole = len(ours.took) == SESSIONS * EACH
    return Row(
        what,
        f"{ours.rate:.1f} op/s, p99 {ours.p99:.2f} s" + ("" if whole else f", {SESSIONS * EACH - len(ours.took)} GAVE UP"),
        f"{beside.rate:.2f} op/s, p99 ≥ {beside.p99:.1f} s",
        ratio,
        f"≥ {times:.0f} ×, p99 ≤ 1/{1 / share:.0f}",
        ratio >= times and slower <= share and whole,
        {"ours_op_s": ours.rate, "ours_p99_s": ours.p99, "plain_op_s": beside.rate, "plain_p99_s": beside.p99, "p99_ratio": slower},
    )


def run(place: Place, limit: float) -> Iterator[Row]:
    """The rows of P3 (one machine) and P4 (4 and 8 machines, near and 100 ms away)."""
    near = script(place, place.remote("file"), "plain-near", clones=SESSIONS, limit=limit)
    one = script(place, place.remote("file"), "plain-one", clones=1, limit=limit)
    for what, clones, beside in (("one clone", 1, one), ("32 clones", SESSIONS, near)):
        found = gitcoord(place, place.remote("file"), f"ours-{clones}", outboxes=1, clones=clones)
        yield row(f"P3 32 sessions × 10 claims, {what}", found, beside, 60, 1 / 100)
    for kind, trip, where in (("file", 0.0, ""), ("git", TRIP, ", 100 ms away")):
        if place.remotes.available(kind) is not None:
            continue
        for machines in (4, 8):
            best = ideal(place, place.remote(kind, trip=trip), f"ideal-{kind}-{machines}", machines=machines)
            found = gitcoord(place, place.remote(kind, trip=trip), f"{kind}-{machines}", outboxes=machines, clones=machines)
            yield against_ideal(f"P4 the same from {machines} machines{where}", found, best)
            turns = perfect_turns(place, place.remote(kind, trip=trip), f"turns-{kind}-{machines}", machines=machines)
            what = f"P4 {machines} machines{where}: beside perfect turns"
            shown = f"{turns.rate:.1f} op/s, {turns.rate / best.rate:.2f} of the ideal"
            yield Row(what, f"{found.rate:.1f} op/s", shown, found.rate / turns.rate, "", None, {"turns_op_s": turns.rate})
