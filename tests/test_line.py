"""The line with real processes: who waits, is killed, cut off or resumed, and who gets it next.

The clock of every process here is one file that the test sets (`Times`): minutes pass when the test says so. All of it lies
in the past of the machine, so that the remote's own clock has nothing against it.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from checker import Event, read_branch
from conftest import Seats
from gits import attempt, git
from remotes import Remote
from seats import PATIENCE, Seat, collect, file, until

from gitcoord.bootstrap import Connection
from gitcoord.core.names import Resource
from gitcoord.errors import Held, NotHeld, NotInTime
from gitcoord.faces.cli.work import patience

# The real program under the test's clock. `GITCOORD=…` variables say who sits where; this one is the test's own.
UNDER_ITS_CLOCK = """
import datetime, os, signal, sys
from pathlib import Path
from gitcoord import bootstrap
class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.now(tz) + datetime.timedelta(seconds=float(Path(os.environ["TEST_CLOCK"]).read_text()))
bootstrap.datetime = Shifted
if "TEST_STOPS" in os.environ:
    from gitcoord.git.tip import RemoteTip
    real = RemoteTip.swap
    def swap(*args):
        RemoteTip.swap = real
        os.kill(os.getpid(), signal.SIGSTOP)
        return real(*args)
    RemoteTip.swap = swap
from gitcoord.entry import main
sys.exit(main())
"""


@dataclass
class Times:
    """The one clock of a test: by how many seconds it differs from the machine's stands in a file."""

    path: Path

    def set(self, seconds: float) -> None:
        """Sets it."""
        self.path.with_suffix(".new").write_text(str(seconds))
        os.replace(self.path.with_suffix(".new"), self.path)

    def move(self, **span: float) -> None:
        """Moves it on."""
        self.set(float(self.path.read_text()) + timedelta(**span).total_seconds())

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(self.path.read_text()))


@dataclass
class Timed(Seat):
    """A seat whose programs go by the test's clock."""

    @property
    def words(self) -> list[str]:
        """The program there."""
        return [sys.executable, "-c", UNDER_ITS_CLOCK, *(["--session", self.session] if self.session else [])]

    def start(self, *args: str, stdin: int | None = subprocess.DEVNULL, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Starts the program and does not wait."""
        return subprocess.Popen(
            [*self.words, *args], cwd=cwd or self.path, env=self.env, text=True, encoding="utf-8", errors="surrogateescape",
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


@pytest.fixture
def times(tmp_path: Path) -> Times:
    """A clock that is six hours late."""
    found = Times(tmp_path / "clock")
    found.set(-6 * 3600)
    return found


class Take(Protocol):
    """`sit("ada", "ben", machines=2)`: a session for each name, each in a clone of its own."""

    def __call__(self, *names: str, machines: int = ...) -> list[Timed]: ...


@pytest.fixture
def sit(file_remote: Remote, seats: Seats, times: Times) -> Take:
    """Seats whose sessions have started, on as many machines as is said (each its own), in turn."""

    def make(*names: str, machines: int = 0) -> list[Timed]:
        found = []
        for number, name in enumerate(names):
            (seat,) = seats(file_remote, name, machine=f"machine-{number % (machines or len(names))}")
            found.append(Timed(seat.path, seat.desk, name, {"TEST_CLOCK": str(times.path)}))
            with found[-1].here(times) as here:
                if number == 0:
                    here.coordinator.init()
                here.coordinator.start(name)
        return found

    return make


# --- the branch, read by plain git -----------------------------------------------------------------------------------


def records(remote: Remote, folder: str) -> dict[str, Any]:
    """The records below that folder of the branch, by their paths."""
    listed = git(remote.path, "ls-tree", "-r", "--name-only", "coordination", f"{folder}/").splitlines()
    return {path: json.loads(git(remote.path, "show", f"coordination:{path}")) for path in listed}


def in_line(remote: Remote) -> list[str]:
    """Who has a place, first one first."""
    return [one["session_id"] for one in sorted(records(remote, "waiting").values(), key=lambda one: one["seq"])]


def holders(remote: Remote) -> dict[str, list[str]]:
    """Who holds what, or is offered it."""
    found: dict[str, list[str]] = {}
    for one in records(remote, "claims").values():
        found.setdefault(f"{one['resource_type']}:{one['resource_name']}", []).append(one["claimed_by"])
    return {name: sorted(who) for name, who in found.items()}


def granted(event: Event) -> list[tuple[str, str]]:
    """Whom the event offers what."""
    return [(who, what) for _, who, what in (entry.split(" ", 2) for entry in event.all("Granted"))]


def history(remote: Remote) -> list[Event]:
    """Every event of the branch; all that is there must be one."""
    events, strange = read_branch(remote.path)
    assert strange == []
    return events


def waits(seat: Seat, times: Times, *wanted: Resource, **asked: Any) -> None:
    """The session asks once and has its place."""
    with seat.here(times) as found, pytest.raises(NotInTime):
        found.coordinator.acquire(list(wanted), wait=0.0, **asked)


def collects(seat: Seat, times: Times, *wanted: Resource, **asked: Any) -> list[int]:
    """The session asks once more and has what it waited for; the fences."""
    with seat.here(times) as found:
        return [one.fence for one in found.coordinator.acquire(list(wanted), wait=0.0, **asked).claims]


def release(seat: Seat, times: Times, *wanted: Resource) -> Event:
    """The session gives it back; the event."""
    with seat.here(times) as found:
        found.coordinator.release(list(wanted))
    return _last(seat)


def _last(seat: Seat) -> Event:
    events, _ = read_branch(seat.path, "refs/remotes/origin/coordination")
    return events[-1]


# --- sixteen in line -------------------------------------------------------------------------------------------------

DEAD = (0, 5, 6, 12)  # by their place in line: the first one, two in a row, one near the end
CUT = (2, 3, 9, 15)


def test_sixteen_wait_four_die_four_are_resumed_and_each_live_one_gets_it_once_in_order(
    file_remote: Remote, sit: Take, times: Times
) -> None:
    names = [f"s-{number:02}" for number in range(16)]
    holder, *others = sit("holder", *names, machines=4)
    seats = {seat.session: seat for seat in others}
    held = holder.ok("claim", "x", "--ttl", "4h")["claims"][0]["fence"]
    asked = ("claim", "x", "--wait", "--timeout", "1h", "--json")
    running = {name: seats[name].start(*asked) for name in names}
    try:
        until(lambda: len(in_line(file_remote)) == len(names), "not all of them have a place")
        order = in_line(file_remote)
        assert sorted(order) == names
        places = {one["session_id"]: one["seq"] for one in records(file_remote, "waiting").values()}
        dead, cut = {order[at] for at in DEAD}, {order[at] for at in CUT}
        for name in dead | cut:
            running[name].kill()
            collect([running[name]])
        live = [name for name in order if name not in dead]
        running = {name: running[name] for name in live} | {name: seats[name].start(*asked) for name in cut}
        freed = release(holder, times, *file("x"))
        assert granted(freed) == [(order[0], "file:x")]
        got = []
        while running:
            done = [name for name, child in running.items() if child.poll() is not None]
            for name in done:
                (ran,) = collect([running.pop(name)])
                assert ran.code == 0, (name, ran)
                assert (ran.json["outcome"], ran.json["claims"][0]["resource_name"]) == ("held", "x")
                got.append(name)
                release(seats[name], times, *file("x"))
            offered = holders(file_remote).get("file:x", [])
            if not done and offered and offered[0] in dead:
                times.move(seconds=150)  # its offer runs out, and those behind it have had their head start
                until(lambda was=offered: holders(file_remote).get("file:x") != was, f"{offered} is passed by nobody")
    finally:
        for child in running.values():
            child.kill()
            child.communicate()
    assert got == live
    events = history(file_remote)
    # Each place is one place, kept by who was cut: nobody stood in line twice.
    assert {event.session: event.seq for event in reversed(events) if event.kind == "claim.queued"} == places
    assert [len([one for one in granted_to(events) if one == name]) <= 1 for name in names] == [True] * 16
    line = iter(live)
    for event in events:
        if event.kind != "claim.released":
            continue
        # A hand-over is one commit: what frees it offers it to who is next.
        given = granted(event)
        if event.session == holder.session:
            assert given == [(order[0], "file:x")]
        else:
            at = order.index(next(line))
            assert order[at] == event.session
            assert given == ([(order[at + 1], "file:x")] if at + 1 < len(order) else [])
    assert [event.session for event in events if took(event)] == live
    assert held < min(event.seq for event in events if took(event))
    assert holders(file_remote) == {}
    assert holder.ok("verify")["ok"]


def granted_to(events: Sequence[Event]) -> list[str]:
    """Whom they offer anything, in order."""
    return [who for event in events for who, _ in granted(event)]


def took(event: Event) -> bool:
    """Whether a waiter took it up: an offer, or what nobody else took up."""
    return event.kind == "claim.renewed" or (event.kind == "claim.acquired" and bool(event.all("Taken")))
