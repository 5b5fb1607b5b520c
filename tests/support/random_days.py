"""Sequences of commands by several sessions, under clocks that differ; every event is checked as it happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from pure_branch import T0, Story, days, hours, minutes, seconds

from gitcoord.core.claims import AcquireClaims
from gitcoord.core.events import Command
from gitcoord.core.handover import OfferHandoff, TakeHandoff
from gitcoord.core.heartbeats import RecordHeartbeat
from gitcoord.core.leases import held_by
from gitcoord.core.messages import SendMessage, TakeMessages
from gitcoord.core.overlap import overlaps
from gitcoord.core.releases import ReleaseClaims
from gitcoord.core.renewals import RenewClaims
from gitcoord.core.sessions import EndSession, StartSession
from gitcoord.core.succession import SupersedeSession
from gitcoord.errors import GitcoordError

SESSIONS = ("ann", "bob", "eve")
RESOURCES = ("file:a", "file:src", "file:src/x", "file:src/*", "file:**", "droplet:d", "droplet:e")

sessions = st.sampled_from(SESSIONS)
wanted = st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=3).map(tuple)
modes = st.sampled_from(("exclusive", "exclusive", "shared"))


@dataclass(frozen=True)
class Step:
    """What one session does next: after so long, by a clock that is so wrong, with its command's time so old."""

    session: str
    what: str
    given: dict[str, Any]
    pause: timedelta
    skew: timedelta
    late: timedelta
    older_run: bool


_TEXT = st.sampled_from(("x", "two\nlines", "\nCoord-Seq: 9", "\x1b[2J", "", "\u202e", "a "))
_WHAT: dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]] = {
    "acquire": (6, {"resources": wanted, "mode": modes, "ttl_seconds": st.sampled_from((None, None, 300, 3600, 86400))}),
    "press": (3, {"resources": wanted, "mode": modes, "any_of": st.booleans(), "if_stale": st.booleans(), "breaks": st.booleans()}),
    "renew": (2, {"resources": st.just(()) | wanted, "ttl_seconds": st.sampled_from((None, 300, 86400))}),
    "release": (3, {"fence": st.integers(0, 3), "resources": wanted, "done": st.none() | _TEXT,
                    "next_phase": st.none() | st.just("P")}),
    "beat": (4, {"action": st.sampled_from((None, "building", "waiting")), "target": st.sampled_from((None, "person"))}),
    "send": (3, {"to": st.sampled_from((*SESSIONS, "broadcast")), "message": _TEXT, "type": st.sampled_from(("note", "notice")),
                 "expires_at": st.none() | st.just(T0 + days(20))}),
    "take": (3, {"type": st.none() | st.just("note")}),
    "start": (3, {"succeeds": st.booleans(), "generated": st.booleans()}),
    "end": (1, {"done": st.just(()) | st.just(("all",)), "to": st.sampled_from((None, "anyone", *SESSIONS))}),
    "offer": (3, {"to": st.sampled_from(("anyone", "role:x", *SESSIONS)), "leases": st.none() | wanted, "notes": st.none() | _TEXT,
                  "next": st.none() | _TEXT}),
    "accept": (3, {"which": st.integers(0, 3)}),
    "supersede": (2, {"previous": sessions}),
}  # fmt: skip
"""What sessions do, how often, and with what."""

_PAUSES = (
    [seconds(0)] * 4 + [seconds(10)] * 3 + [minutes(5), minutes(20), minutes(31), minutes(61), minutes(62), hours(26), days(15)]
)


def _steps(skews: tuple[timedelta, ...]) -> st.SearchStrategy[list[Step]]:
    weighted = [what for what, (weight, _) in _WHAT.items() for _ in range(weight)]
    command = st.sampled_from(weighted).flatmap(lambda what: st.tuples(st.just(what), st.fixed_dictionaries(_WHAT[what][1])))
    step = st.builds(
        lambda session, command, pause, skew, late, older: Step(session, *command, pause, skew, late, older),
        sessions,
        command,
        st.sampled_from(_PAUSES),
        st.sampled_from(skews),
        st.sampled_from([seconds(0)] * 6 + [minutes(30), days(2)]),
        st.sampled_from([False] * 9 + [True]),
    )
    return st.lists(step, min_size=5, max_size=30)


honest = _steps((seconds(0), seconds(0), seconds(-25), seconds(25)))
"""Clocks that differ by less than the grace."""
wild = _steps(
    (seconds(0), seconds(30), -seconds(30), -minutes(2), minutes(2), hours(5), -hours(5), days(30), -days(30), days(3650))
)
"""Clocks as they are."""


def _command(story: Story, step: Step) -> Command:
    run = story.runs.get(step.session, "")
    if step.older_run and run:
        run = f"{run.rpartition('-')[0]}-{max(0, int(run.rpartition('-')[2]) - 1)}"
    asked = story.now + step.skew - step.late
    common: dict[str, Any] = {"op": story.op(), "session": step.session, "run_id": run, "at": asked}
    given = dict(step.given)
    match step.what:
        case "acquire":
            return AcquireClaims(**common, **given)
        case "press":
            fences = [one.fence for one in story.state.claims.values() if one.claimed_by != step.session]
            given["breaks"] = min(fences) if given["breaks"] and fences else None
            return AcquireClaims(**common, **given)
        case "renew":
            return RenewClaims(**common, **given)
        case "release":
            off = given.pop("fence")
            held = {str(one.resource): one.fence for one in held_by(story.state, step.session)}
            named = given.pop("resources")
            names = named if off == 2 or not held else tuple(held)
            leases = tuple(f"{max(0, held.get(name, off) - (off == 1))} {name}" for name in names)
            return ReleaseClaims(**common, **given, leases=leases)
        case "beat":
            return RecordHeartbeat(**common, **given)
        case "send":
            return SendMessage(**common, **given, subject="a subject")
        case "take":
            return TakeMessages(**common, **given)
        case "end":
            return EndSession(**common, **given)
        case "offer":
            named = given.pop("leases")
            return OfferHandoff(**common, **given, leases=None if named is None else tuple(f"0 {name}" for name in named))
        case "accept":
            offers = sorted(story.state.handoffs.values(), key=lambda one: -one.seq)
            return TakeHandoff(**common, handoff=offers[given["which"] % len(offers)].id if offers else "none")
        case "supersede":
            return SupersedeSession(**common, **given)
        case _:
            number = int(run.rpartition("-")[2] or 0) + 1
            common["run_id"] = f"{step.session}-{number}"
            return StartSession(**common, generated=given["generated"], succeeds=run if given["succeeds"] else "")


def play(steps: list[Step]) -> Story:
    """The story, checked after every event."""
    story = Story.of(*SESSIONS)
    fences: dict[str, int] = {}
    for step in steps:
        story.wait(step.pause)
        before = story.state
        command = _command(story, step)
        try:
            event = story.ask(command, now=story.now + step.skew)  # a story judges what is decided: `problem` is None
        except GitcoordError:
            assert story.state is before
            continue
        if event is None:
            assert story.state is before
            continue
        if isinstance(command, StartSession):
            story.runs[event.session] = command.run_id
        _check_leases(story, fences)
    return story


def _check_leases(story: Story, fences: dict[str, int]) -> None:
    leases = list(story.state.claims.values())
    for one in leases:
        for other in leases:
            if one.claimed_by != other.claimed_by and "exclusive" in (one.mode, other.mode):
                assert not overlaps(one.resource, other.resource), (one, other)
    for lease in leases:
        what = str(lease.resource)
        assert 0 < lease.fence <= story.state.seq
        if lease.mode == "exclusive":
            assert lease.fence >= fences.get(what, 0), f"the fence of {what} went back"
            fences[what] = lease.fence
        holder = story.state.sessions.get(lease.claimed_by)
        assert holder is not None
        assert holder.live
        assert holder.run_id == lease.run_id
