"""The line with real processes: who waits, is killed, cut off or resumed, and who gets it next.

The clock of every process here, and of the remote as it tells it, is one file that the test sets (`Times`): minutes pass when
the test says so, for all of them.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pytest
from checker import Event, read_branch
from clones import PATIENCE, Seat, Seats, collect, file, until
from gits import git
from remotes import Remote

from gitcoord.cli.arguments import patience
from gitcoord.coordinator.actor import Actor
from gitcoord.coordinator.commands import Commands
from gitcoord.core.events import Command
from gitcoord.core.names import Resource
from gitcoord.errors import GitcoordError, NotInTime, Unknown, Unreachable

# Sets the real program under the test's clock. `GITCOORD=…` variables say who sits where; this one is the test's own.
ITS_CLOCK = """
import datetime, os, signal, sys
from pathlib import Path
from gitcoord.connection import connect
from gitcoord.git.remote_tip import RemoteTip
def shift():
    return datetime.timedelta(seconds=float(Path(os.environ["TEST_CLOCK"]).read_text()))
class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.now(tz) + shift()
connect.datetime = Shifted
tells = RemoteTip.at_hand
def at_hand(self):
    time = tells(self)  # None, where the remote is away
    return time and time + shift()
RemoteTip.at_hand = at_hand
if "TEST_STOPS" in os.environ:
    real = RemoteTip.swap
    def swap(*args, **more):
        RemoteTip.swap = real
        os.kill(os.getpid(), signal.SIGSTOP)
        return real(*args, **more)
    RemoteTip.swap = swap
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

    prelude: ClassVar[str] = ITS_CLOCK


@pytest.fixture
def times(tmp_path: Path) -> Times:
    """A clock that is six hours late."""
    found = Times(tmp_path / "clock")
    found.set(-6 * 3600)
    return found


@dataclass
class Pauses:
    """Sleeping without time: the clocks move on, and what is to happen meanwhile happens in the first pause."""

    times: Times
    meanwhile: Callable[[], object]
    slept: float = 0.0

    def __call__(self, seconds: float) -> None:
        first = not self.slept
        self.slept += seconds
        self.times.move(seconds=seconds)
        if first:
            self.meanwhile()

    def clock(self) -> float:
        """A monotonic clock."""
        return self.slept


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
            found.append(Timed(seat.path, seat.outbox, name, {"TEST_CLOCK": str(times.path)}))
            with found[-1].here(times) as here:
                if number == 0:
                    here.coordinator.setup.init()
                here.coordinator.sessions.start(name)
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
        found.coordinator.claims.acquire(list(wanted), wait=0.0, **asked)


def collects(seat: Seat, times: Times, *wanted: Resource, **asked: Any) -> list[int]:
    """The session asks once more and has what it waited for; the fences."""
    with seat.here(times) as found:
        return [one.fence for one in found.coordinator.claims.acquire(list(wanted), wait=0.0, **asked).claims]


def release(seat: Seat, times: Times, *wanted: Resource) -> Event:
    """The session gives it back; the event."""
    with seat.here(times) as found:
        found.coordinator.claims.release(list(wanted))
    return _last(seat)


def _last(seat: Seat) -> Event:
    events, _ = read_branch(seat.path, "refs/remotes/origin/coordination")
    return events[-1]


# --- eight in line ---------------------------------------------------------------------------------------------------

DEAD = (0, 3, 4)  # by their place in line: the first one, and two in a row
CUT = (2, 7)


def test_eight_wait_three_die_two_are_resumed_and_each_live_one_gets_it_once_in_order(
    file_remote: Remote, sit: Take, times: Times
) -> None:
    names = [f"s-{number:02}" for number in range(8)]
    holder, *others = sit("holder", *names, machines=3)
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
                until(partial(passed, file_remote, offered), f"{offered} is passed by nobody")
    finally:
        for child in running.values():
            child.kill()
            child.communicate()
    assert got == live
    events = history(file_remote)
    # Each place is one place, kept by who was cut: nobody stood in line twice.
    assert {event.session: event.seq for event in reversed(events) if event.kind == "claim.queued"} == places
    assert [len([one for one in granted_to(events) if one == name]) <= 1 for name in names] == [True] * len(names)
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


def passed(remote: Remote, before: list[str]) -> bool:
    """Whether somebody else has it now."""
    return holders(remote).get("file:x") != before


def granted_to(events: Sequence[Event]) -> list[str]:
    """Whom they offer anything, in order."""
    return [who for event in events for who, _ in granted(event)]


def took(event: Event) -> bool:
    """Whether a waiter took it up: an offer, or what nobody else took up."""
    return event.kind == "claim.renewed" or (event.kind == "claim.acquired" and bool(event.all("Taken")))


# --- others in line --------------------------------------------------------------------------------------------------


def test_five_shared_waiters_are_granted_by_one_commit_and_the_exclusive_one_after_them(
    file_remote: Remote, sit: Take, times: Times
) -> None:
    readers = [f"reader-{number}" for number in range(5)]
    ann, writer, late, *seats = sit("ann", "writer", "late", *readers, machines=2)
    ann.ok("claim", "docs")
    for seat in seats:
        waits(seat, times, *file("docs/guide"), mode="shared")
    waits(writer, times, *file("docs/**/*.md"))
    waits(late, times, *file("docs/guide/one.md"), mode="shared")
    event = release(ann, times, *file("docs"))
    assert granted(event) == [(name, "file:docs/guide") for name in readers]
    assert holders(file_remote) == {"file:docs/guide": readers}
    for seat in seats:
        assert collects(seat, times, *file("docs/guide"), mode="shared") == [event.seq]
    given = [granted(release(seat, times, *file("docs/guide"))) for seat in seats]
    assert given == [[], [], [], [], [("writer", "file:docs/**/*.md")]]
    assert granted(release(writer, times, *file("docs/**/*.md"))) == [("late", "file:docs/guide/one.md")]
    assert ann.ok("verify")["ok"]


def test_shared_exclusive_and_places_of_a_semaphore_stand_in_one_line(file_remote: Remote, sit: Take, times: Times) -> None:
    ann, ben, cy, dee, eve = sit("ann", "ben", "cy", "dee", "eve", machines=2)
    slot = Resource("ci", "slot")
    ann.ok("config", "--shared", "capacity.ci", "2")
    for seat in (ann, ben):
        seat.ok("claim", "ci", "slot")
    ann.ok("claim", "src")
    waits(cy, times, slot, *file("src/a"))  # all or none: a slot and a file
    waits(dee, times, slot)
    waits(eve, times, *file("src/*.py"), mode="shared")  # src/a is no such file: only ann's src is in its way
    assert granted(release(ann, times, *file("src"))) == [("eve", "file:src/*.py")]
    assert granted(release(ann, times, slot)) == [("cy", "ci:slot"), ("cy", "file:src/a")]
    assert in_line(file_remote) == ["dee"]
    assert granted(release(ben, times, slot)) == [("dee", "ci:slot")]
    fences = [*collects(cy, times, slot, *file("src/a")), *collects(dee, times, slot)]
    assert len(set(fences)) == 2  # each holder of a place has its own, cy both of hers in one commit
    assert holders(file_remote) == {"ci:slot": ["cy", "dee"], "file:src/*.py": ["eve"], "file:src/a": ["cy"]}


@pytest.mark.parametrize(("first", "second"), [("src", "src/api"), ("src/*.py", "src/api.*"), ("src/**/x", "src/a/b/x")])
def test_overlapping_names_stand_in_one_line(file_remote: Remote, sit: Take, times: Times, first: str, second: str) -> None:
    ann, ben, cy, dee = sit("ann", "ben", "cy", "dee", machines=2)
    ann.ok("claim", ".")
    waits(ben, times, *file(first))
    waits(cy, times, *file(second))
    waits(dee, times, *file("docs"))
    assert granted(release(ann, times, *file("."))) == [("ben", f"file:{first}"), ("dee", "file:docs")]
    assert ann.run("claim", second).code == 3
    assert granted(release(ben, times, *file(first))) == [("cy", f"file:{second}")]


# --- the program while it waits --------------------------------------------------------------------------------------


def test_a_wait_that_is_over_is_exit_9_with_the_place(file_remote: Remote, sit: Take, times: Times) -> None:
    ann, ben, cy = sit("ann", "ben", "cy", machines=1)
    fence = ann.ok("claim", "x")["claims"][0]["fence"]
    waits(ben, times, *file("x"))
    ran = cy.run("claim", "x", "--wait", "--timeout", "0s", "--json")
    assert ran.code == 9
    said = ran.json
    assert (said["outcome"], said["place"], said["claims"], said["error"]) == ("waiting", 2, [], "not_in_time")
    assert {"commit", "seq", "hint"} <= said.keys()
    blocked = [(one["claimed_by"], one["resource_name"], one["fence"], one["reason"]) for one in said["blocked_by"]]
    assert blocked == [("ann", "x", fence, "held"), ("ben", "x", 0, "waits, and comes first")]
    assert "the place is kept until" in said["message"]
    assert "--break" not in said["hint"]
    assert in_line(file_remote) == ["ben", "cy"]
    assert cy.run("claim", "x", "--timeout", "5m").code == 2  # says how long to wait, and doesn't wait


def test_a_place_outlives_whoever_asks_by_ten_minutes(file_remote: Remote, sit: Take, times: Times) -> None:
    ann, ben = sit("ann", "ben", machines=1)
    ann.ok("claim", "x", "--ttl", "4h")
    for _ in range(20):  # an agent that asks for nothing else, a minute after the other
        waits(ben, times, *file("x"))
        [place] = records(file_remote, "waiting").values()
        left = datetime.fromisoformat(place["until"]) - times()
        assert timedelta(minutes=10) - timedelta(seconds=1) <= left <= timedelta(minutes=20)
        times.move(minutes=1)
    assert len([event for event in history(file_remote) if event.kind == "claim.queued"]) <= 3


@pytest.mark.parametrize("agent", ["CLAUDE_CODE_SESSION_ID", "CODEX_THREAD_ID", ""])
def test_an_agent_waits_for_90_seconds_and_a_person_for_days(sit: Take, times: Times, agent: str) -> None:
    (seat,) = sit("ann")
    seat.extra |= {agent: "abc"} if agent else {}
    with seat.here(times) as found:
        assert patience(found.coordinator, None) == (90.0 if agent else 10 * 86400.0)
        assert patience(found.coordinator, "30m") == 1800.0


def test_who_interrupts_a_wait_keeps_the_place(file_remote: Remote, sit: Take, times: Times) -> None:
    ann, ben = sit("ann", "ben", machines=1)
    ann.ok("claim", "x")
    child = ben.start("claim", "x", "--wait")
    until(lambda: in_line(file_remote) == ["ben"], "ben has no place")
    assert child.stderr is not None
    told = child.stderr.readline()
    assert told.startswith("waiting, number 1 in line: file:x is held by ann for another ")
    child.send_signal(signal.SIGINT)
    (ran,) = collect([child])
    assert (ran.code, ran.out) == (130, "")
    assert "your place in line is kept for some minutes" in ran.err
    assert in_line(file_remote) == ["ben"]
    ben.ok("release", "x")  # as it was told
    assert in_line(file_remote) == []


def test_a_waiter_whose_remote_goes_away_and_comes_back_goes_on(file_remote: Remote, sit: Take, times: Times) -> None:
    ann, ben = sit("ann", "ben")
    ann.ok("claim", "x", "--ttl", "4h")
    child = ben.start("claim", "x", "--wait", "--json")
    until(lambda: in_line(file_remote) == ["ben"], "ben has no place")
    assert child.stderr is not None
    assert "number 1" in child.stderr.readline()
    file_remote.away()
    times.move(minutes=11)  # long enough that the place wants to be kept on, which needs the remote
    with ben.here(times) as found:
        tried = found.outbox.path / "looked"
    before = tried.stat().st_mtime_ns if tried.exists() else 0
    until(lambda: tried.exists() and tried.stat().st_mtime_ns > before, "nobody looked at the remote that is away")
    assert child.poll() is None
    file_remote.back()
    assert granted(release(ann, times, *file("x"))) == [("ben", "file:x")]
    (ran,) = collect([child])
    assert (ran.code, ran.json["outcome"]) == (0, "held")


@pytest.mark.parametrize("kind", [Unreachable, Unknown, NotInTime])
def test_no_step_of_a_wait_that_fails_for_the_moment_ends_it(
    file_remote: Remote, sit: Take, times: Times, kind: type[GitcoordError], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, ben = sit("ann", "ben", machines=1)
    ann.ok("claim", "x", "--ttl", "4h")
    waits(ben, times, *file("x"))
    told: list[str] = []
    with ben.here(times) as found:
        coordinator = found.coordinator
        submit = Commands.submit

        def fails_twice(commands: Commands, command: type[Command], caller: Actor, **asked: Any) -> Any:
            if "op" not in asked and len(told) < 2:  # a later step of the wait: only the first one takes the caller's operation
                told.append("failed")
                raise kind("for the moment")
            return submit(commands, command, caller, **asked)

        pauses = Pauses(times, lambda: release(ann, times, *file("x")))
        monkeypatch.setattr(Commands, "submit", fails_twice)
        monkeypatch.setattr(coordinator.parts.submitter, "sleep", pauses)
        monkeypatch.setattr(coordinator.parts.submitter, "clock", pauses.clock)
        assert [one.claimed_by for one in coordinator.claims.acquire(file("x"), wait=60.0).claims] == ["ben"]
    assert told == ["failed", "failed"]


# --- asking the holder -----------------------------------------------------------------------------------------------


def asked_for(seat: Seat) -> dict[str, Any]:
    """The one request in the session's inbox."""
    [found] = [one for one in seat.ok("inbox")["messages"] if one["type"] == "release_request"]
    return dict(found)


def test_an_approved_request_is_an_offer_to_the_asker_before_the_line(file_remote: Remote, sit: Take, times: Times) -> None:
    ann, ben, cy = sit("ann", "ben", "cy")
    ann.ok("claim", "x")
    waits(cy, times, *file("x"))
    sent = ben.ok("request", "file", "x", "May I? Only for the tests.")
    assert (sent["asked"], sent["denied"]) == (["ann"], [])
    [item] = [one for one in cy.ok("status")["attention"] if one["kind"] == "request"]
    assert item["text"] == "ann has not answered ben, who asks for file:x"
    note = asked_for(ann)
    assert (note["from"], note["message"]) == ("ben", "May I? Only for the tests.")
    said = ann.ok("respond", str(note["seq"]), "approve", "Take it.")
    assert (said["answer"], said["asker"], said["offered"]) == ("approve", "ben", True)
    assert holders(file_remote) == {"file:x": ["ben"]}
    assert history(file_remote)[-1].kind == "claim.responded"  # given up and offered by one commit
    [reply] = ben.ok("inbox")["messages"]
    assert (reply["type"], reply["details"], reply["in_reply_to"]) == ("release_reply", {"answer": "approve"}, note["id"])
    assert reply["message"].startswith("Take it.")
    assert ben.ok("claim", "x")["claims"][0]["fence"] == said["seq"]
    assert "no longer" not in ann.run("heartbeat", "testing").err  # what was given is no loss
    assert in_line(file_remote) == ["cy"]
    assert ann.run("respond", note["id"], "deny").code == 2  # it was answered already


def test_a_denied_request_changes_nothing_and_a_shared_one_is_held_by_both(file_remote: Remote, sit: Take, times: Times) -> None:
    ann, ben = sit("ann", "ben")
    fence = ann.ok("claim", "x")["claims"][0]["fence"]
    ben.ok("request", "x")
    ann.ok("respond", asked_for(ann)["id"], "deny", "In an hour.")
    assert holders(file_remote) == {"file:x": ["ann"]}
    [reply] = ben.ok("inbox")["messages"]
    assert (reply["details"]["answer"], reply["message"]) == ("deny", "In an hour.\n\nann keeps it.")
    ben.ok("request", "x")
    ann.ok("respond", asked_for(ann)["id"], "share")
    assert holders(file_remote) == {"file:x": ["ann", "ben"]}
    assert {one["claimed_by"]: one["mode"] for one in records(file_remote, "claims").values()} == {"ann": "shared", "ben": "shared"}
    assert ben.ok("claim", "x", "--shared")["outcome"] == "held"
    assert ann.ok("renew", "x")["claims"][0]["fence"] == fence


def test_who_takes_no_requests_denies_by_itself(file_remote: Remote, sit: Take) -> None:
    ann, ben = sit("ann", "ben")
    ann.ok("claim", "x", "--no-coordination")
    ran = ben.run("request", "x", "--json")
    assert (ran.code, ran.json["denied"], ran.json["asked"]) == (3, ["ann"], [])
    assert "--break" not in ran.json["hint"]
    [reply] = ben.ok("inbox")["messages"]
    assert (reply["from"], reply["details"]) == ("ann", {"answer": "deny"})
    assert holders(file_remote) == {"file:x": ["ann"]}
    assert [one for one in ann.ok("status")["attention"] if one["kind"] == "request"] == []


def test_a_request_to_nobody_is_refused_and_writes_nothing(file_remote: Remote, sit: Take) -> None:
    ann, ben = sit("ann", "ben")
    tip = git(file_remote.path, "rev-parse", "coordination")
    ran = ben.run("request", "x", "--json")
    assert (ran.code, ran.json["hint"]) == (2, "gitcoord claim file:x")
    ann.ok("claim", "y")
    assert ann.run("request", "y").code == 2  # one's own
    assert git(file_remote.path, "rev-parse", "coordination^") == tip  # but for ann's claim


def test_what_is_approved_is_offered_only_where_nobody_else_is_in_the_way(file_remote: Remote, sit: Take, times: Times) -> None:
    ann, ben, cy = sit("ann", "ben", "cy", machines=1)
    ann.ok("claim", "file:src/a")
    cy.ok("claim", "file:src/b")
    sent = ben.ok("request", "src")
    assert sent["asked"] == ["ann", "cy"]
    assert ann.ok("respond", asked_for(ann)["id"], "approve")["offered"] is False
    assert holders(file_remote) == {"file:src/b": ["cy"]}
    assert cy.ok("respond", asked_for(cy)["id"], "approve")["offered"] is True
    assert holders(file_remote) == {"file:src": ["ben"]}


# --- a holder that was stopped ---------------------------------------------------------------------------------------


def test_a_renewal_that_was_stopped_until_another_took_over_says_so_and_changes_nothing(
    file_remote: Remote, sit: Take, times: Times
) -> None:
    ann, ben = sit("ann", "ben")
    fence = ann.ok("claim", "x", "--ttl", "5m")["claims"][0]["fence"]
    ann.extra["TEST_STOPS"] = "before the push"
    child = ann.start("renew", "x", "--json")
    del ann.extra["TEST_STOPS"]
    until(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "it doesn't stop")
    times.move(minutes=7)
    taken = ben.ok("claim", "x")["claims"][0]["fence"]
    assert taken > fence
    tip = git(file_remote.path, "rev-parse", "coordination")
    child.send_signal(signal.SIGCONT)
    (ran,) = collect([child])
    assert (ran.code, ran.json["error"]) == (4, "not_held")
    assert "held by ben until" in ran.json["message"]
    assert git(file_remote.path, "rev-parse", "coordination") == tip


def test_a_session_that_was_stopped_until_another_took_over_learns_it_with_its_next_command(
    file_remote: Remote, sit: Take, times: Times
) -> None:
    ann, ben = sit("ann", "ben")
    program = shlex.join([*ann.program, "--session", "ann"])
    script = f"{program} claim x --ttl 5m >&2; read go; {program} heartbeat building; {program} release x; echo $?"
    shell = subprocess.Popen(
        ["sh", "-c", script], cwd=ann.path, env=ann.env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert shell.stderr is not None
    assert "there is no x here" in shell.stderr.readline()
    assert "held: file:x" in shell.stderr.readline()
    shell.send_signal(signal.SIGSTOP)
    times.move(minutes=7)
    fence = ben.ok("claim", "x")["claims"][0]["fence"]
    shell.send_signal(signal.SIGCONT)
    out, err = shell.communicate("\n", timeout=PATIENCE)
    assert err.count("you no longer hold file:x") == 1
    assert f"ben holds it now (fence {fence})" in err
    assert out.splitlines()[-1] == "4"
    assert holders(file_remote) == {"file:x": ["ben"]}
    assert [one["details"] | {"from": one["from"]} for one in ann.ok("inbox")["messages"]] == [{"from": "ben"}]
