"""A lease that is over is shown as held by no face; its session is told before and after, and may have it back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest
from clones import Clock, Ran, Seat, file

from gitcoord.agents.hook import steps
from gitcoord.agents.hook.place import Here
from gitcoord.agents.mailbox import Mailbox
from gitcoord.cli import app
from gitcoord.cli import connect as context
from gitcoord.connection.connect import connect
from gitcoord.core.names import Resource
from gitcoord.git.discovery import find
from gitcoord.guard import check as guard_check
from gitcoord.guard import words as guard_words
from gitcoord.mcp import schemas
from gitcoord.mcp.tools import At
from gitcoord.mcp.tools import status as mcp_status
from gitcoord.statusline import main as statusline
from gitcoord.statusline.line import line
from gitcoord.views import board, briefing

TTL = timedelta(hours=1)
X = Resource("file", "x")

Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], earlier: tuple[Seat, Seat, Clock]) -> Run:
    """Runs the real command line in this process, by the clock of the test."""
    _, _, clock = earlier
    monkeypatch.setattr(context, "connect", partial(connect, now=clock, witness=clock))
    monkeypatch.setattr("gitcoord.cli.arguments.utc_now", clock)

    def run(seat: Seat, *words: str) -> Ran:
        monkeypatch.chdir(seat.path)
        monkeypatch.setenv("GITCOORD_DESK", str(seat.outbox))
        context.options.__dict__.update(context.Globals().__dict__)
        capsys.readouterr()
        code = app.main(words)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


def faces(run: Run, ada: Seat, ben: Seat, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Every face that shows or judges a lease, with what it says of `file:x`, which is ada's."""
    stop = SimpleNamespace(time=lambda: clock.now.timestamp(), monotonic=time.monotonic)
    monkeypatch.setattr(statusline, "time", stop)
    monkeypatch.setattr(steps, "time", stop)
    yield "status", run(ada, "status").out
    yield "status of another", run(ben, "status").out
    yield "claims", run(ada, "claims").out
    yield "claims, mine", run(ada, "claims", "--mine").out
    for name in ("status", "claims"):
        yield f"{name} --json", " ".join(f"{one['resource_name']} held" for one in run(ben, name, "--json").json["claims"])
    for name, words in (("check", ("check", "x")), ("check of another", ("check", "x")), ("claim of another", ("claim", "x"))):
        ran = run(ben if "another" in name else ada, *words)
        yield name, f"exit {ran.code}: {ran.out} {ran.err.partition('hint:')[0]}"
    (ben.path / "x").write_text("mine\n")
    with ben.here(clock) as place:
        said = guard_check.look(
            place.coordinator.branch, place.repo, place.settings, guard_check.Asked(paths=("x",), here=str(ben.path))
        )
        yield "guard", "\n".join(guard_words.lines(said))
    found = statusline.look(str(ada.path), {}, {})
    assert found is not None
    yield "statusline", line(found)
    with ada.here(clock) as place:
        coordinator = place.coordinator
        state = coordinator.branch.view().state
        yield "board", board.render(replace(state, at=clock.now))
        for who in ("ada", "ben"):
            yield f"briefing of {who}", briefing.brief(state, who, clock.now, nonce="0" * 32).text
        yield "mcp", str(mcp_status(At(place, str(ada.path), 0.0, lambda: False), schemas.StatusGiven()))


@pytest.mark.parametrize("late", [-1, 0, 1])
def test_every_face_at_the_very_end_of_a_lease(
    late: int, run: Run, earlier: tuple[Seat, Seat, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        ends = found.coordinator.claims.acquire(file("x"), phase="the form").claims[0].expires_at
    clock.now = ends + timedelta(seconds=late)
    wrong, seen = [], 0
    for name, said in faces(run, ada, ben, clock, monkeypatch):
        about = "\n".join(part for part in said.splitlines() if re.search(r"\bx\b", part))
        held = bool(about) and not re.search("ended|expired|over", about)
        if held != (late < 0):
            wrong.append((name, said))
        seen += 1
    assert not wrong, wrong
    assert seen >= 15


def test_who_acts_on_a_lease_that_is_over_hears_of_it(run: Run, earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, _, clock = earlier
    with ada.here(clock) as found:
        fences = [found.coordinator.claims.acquire(file(name)).claims[0].fence for name in ("x", "y")]
    clock.move(minutes=44)
    assert "runs out" not in run(ada, "claims").err
    clock.move(minutes=1)  # a quarter is left: every command says so, also one that looks at nothing
    for words in (("claims",), ("whoami",), ("inbox",)):
        told = run(ada, *words).err
        assert re.findall(r"your lease on file:(\w) \(fence \d+\) runs out in 15 min: gitcoord renew file:\1", told) == [
            "x",
            "y",
        ], words
    clock.move(minutes=15)
    told = run(ada, "whoami").err  # nobody has looked: it is over as far as is known here
    assert told.count("as far as is known here") == 2
    told = run(ada, "status").err
    assert told.count("ended") == 2
    assert "nobody has taken it; gitcoord renew file:x takes it again" in told
    assert "ended" not in run(ada, "status").err  # it was said
    assert (run(ada, "check", "x").code, run(ada, "check", "x", "--fence", str(fences[0])).code) == (4, 4)
    again = run(ada, "renew", "x", "--json")
    assert again.code == 0
    assert [one["resource_name"] for one in again.json["claims"]] == ["x"]
    assert again.json["claims"][0]["fence"] > max(fences)
    assert "yours again" in again.err
    assert "ada holds it now" not in again.err
    beat = run(ada, "heartbeat", "testing")
    assert "your lease on file:y" in beat.err
    assert "yours again" in beat.err
    held = run(ada, "claims", "--json").json
    assert ([one["resource_name"] for one in held["claims"]], held["over"]) == (["x", "y"], [])
    assert run(ada, "check", "y").code == 0


def test_a_claim_of_ones_own_anew_is_no_loss_to_oneself(run: Run, earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    run(ada, "claim", "x")
    clock.move(hours=1)
    told = run(ada, "claim", "x")
    assert "held: file:x" in told.out
    assert "no longer hold" not in told.err
    assert "yours again" in told.err
    clock.move(hours=1, minutes=2)
    assert run(ben, "claim", "x").code == 0
    for words in (("renew", "x"), ("renew",)):
        lost = run(ada, *words)
        assert lost.code == 4, words
    assert run(ada, "heartbeat").code == 0
    assert run(ben, "check", "x").code == 0


def test_heartbeats_at_least_that_often_keep_a_lease(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, _, clock = earlier
    with ada.here(clock) as found:
        fence = found.coordinator.claims.acquire(file("x")).claims[0].fence
    for minutes in (29, 34, 55):
        clock.move(minutes=minutes)
        with ada.here(clock) as found:
            found.coordinator.sessions.heartbeat(action="building")
            assert [one.fence for one in found.coordinator.claims.check(file("x"), None)] == [fence]


def test_an_agent_s_hook_tells_once_what_runs_out(earlier: tuple[Seat, Seat, Clock], monkeypatch: pytest.MonkeyPatch) -> None:
    ada, _, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("x"))
        identity = found.coordinator.parts.identity
        [binding] = identity.all()
        Mailbox.of(identity.own, "ada").touch()
    monkeypatch.setattr(steps, "time", SimpleNamespace(time=lambda: clock.now.timestamp()))
    near = find(str(ada.path))
    assert near is not None
    here = Here(near, {}, {}, identity, binding)
    said = []
    for minutes in (44, 1, 1, 14, 1):
        clock.move(minutes=minutes)
        told = steps._show(here, binding)
        if told.done is not None:
            told.done()
        said.append(re.findall("runs out|ended", told.answer.context or ""))
    assert said == [[], ["runs out"], [], ["ended"], []]
