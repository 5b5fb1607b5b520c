"""Who held it when: at every event the open holdings are the leases of the state, and each end is told as it was."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import histories
import pytest
from gits import git
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pure_branch import Happened, Story, hours, minutes, seconds

from gitcoord.core import rules
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.releases import ReleaseClaims
from gitcoord.core.requests import AnswerRequest, RequestClaims
from gitcoord.core.sessions import EndSession
from gitcoord.core.state import State
from gitcoord.errors import Divided, GitcoordError
from gitcoord.git.objects import Objects
from gitcoord.git.repo import Repository
from gitcoord.log.eventlog import EventLog
from gitcoord.log.history import Checked, History
from gitcoord.views.holdings import HistoryStep, Holding, Holdings
from gitcoord.views.projection import TreeProjection


def fold(past: list[Happened], about: str | None = None) -> Holdings:
    """The fold over a story."""
    held = Holdings(about=Resource.read(about) if about else None)
    for one in past:
        held.see(HistoryStep(f"c{one.event.seq}", one.event, one.committed_at))
    return held


def open_in(held: Holdings) -> set[tuple[object, ...]]:
    """What the fold takes for held."""
    return {
        (one.session, one.run_id, str(one.resource), one.fence, one.mode, one.expires_at, one.granted_at, one.phase, one.reason)
        for one in held.open.values()
    }


def open_at(state: State) -> set[tuple[object, ...]]:
    """What the state says."""
    return {
        (one.claimed_by, one.run_id, str(one.resource), one.fence, one.mode, one.expires_at, one.claimed_at, one.phase, one.reason)
        for one in state.claims.values()
    }


def line_in(held: Holdings) -> set[tuple[object, ...]]:
    """Who waits, as the fold has it."""
    return {(one.seq, one.session, one.run_id, one.resources, one.mode, one.any_of, one.kept) for one in held.in_line.values()}


def line_at(state: State) -> set[tuple[object, ...]]:
    """Who waits, as the state says."""
    return {(one.seq, one.session_id, one.run_id, one.wanted, one.mode, one.any_of, one.until) for one in state.waiting.values()}


# --- the fold and the state are one -----------------------------------------------------------------------------------

WHO = ("ann", "bob", "cat")
WHAT = ("src", "src/a.py", "src/*.py", "docs/x", "slot:one")
WORDS = ("claim", "share", "take", "break", "renew", "release", "old", "beat", "end", "start", "resume", "wait", "sleep",
         "line", "any", "pass", "ask", "approve", "lend", "deny", "places", "offer", "accept", "accept",
         "leave", "supersede")  # fmt: skip
moves = st.lists(
    st.tuples(
        st.sampled_from(WORDS),
        st.sampled_from(WHO), st.lists(st.sampled_from(WHAT), min_size=1, max_size=3, unique=True), st.integers(0, 400),
    ),
    max_size=40,
)  # fmt: skip


def move(story: Story, word: str, who: str, what: list[str], number: int) -> None:
    """One thing that a session does, whatever comes of it."""
    lease = story.lease(what[0]) if sum(str(one.resource).endswith(what[0]) for one in story.state.claims.values()) < 2 else None
    if word == "wait":
        story.wait(minutes(number))
    elif word == "sleep":  # the others are heard after a long time: then who was silent may be given up
        story.wait(hours(number))
        for other in WHO:
            if other != who:
                story.beat(other, "building")
    elif word in {"claim", "share"}:
        story.claim(who, *what, mode="shared" if word == "share" else "exclusive", ttl_seconds=300 + number * 60)
    elif word == "take":
        story.claim(who, *what, if_stale=True)
    elif word == "break" and lease is not None:
        story.claim(who, what[0], breaks=lease.fence)
    elif word == "renew":
        story.renew(who)
    elif word == "release":
        story.release(who, *what, done="done" if number % 2 else None, next_phase="NEXT" if number % 3 else None)
    elif word == "old":
        story.release(who, *what, fence=number)
    elif word == "beat":
        story.beat(who, "building")
    elif word in {"line", "any"}:
        mode = "shared" if number % 3 == 0 else "exclusive"
        story.claim(who, *what, wait=True, any_of=word == "any", mode=mode)
    elif word == "pass":  # what ran out uncollected goes on to the next
        story.wait(minutes(3))
        story.claim(who, *what, wait=True)
    elif word == "ask":
        story.ask(story.command(RequestClaims, who, resource=str(resource(what[0]))))
    elif word in {"approve", "lend", "deny"}:
        notes = [one for one in story.state.messages.to(who) if one.type == "release_request" and one.status != "answered"]
        for note in notes[:1]:
            verdict = {"lend": "share"}.get(word, word)
            story.ask(story.command(AnswerRequest, who, request=note.id, answer=verdict))
    elif word == "offer":
        held = [one for one in what if str(resource(one)) in story.holds(who)]
        story.handoff(who, "anyone" if number % 3 else WHO[number % 2], *(held if number % 2 else ()), next="go on")
    elif word == "accept":
        for key in [key for key, one in story.state.handoffs.items() if one.status == "open"][:1]:
            story.accept(who, key)
    elif word == "leave":
        story.end(who, to="anyone", next="go on")
    elif word == "supersede":
        other = WHO[number % 3]
        story.supersede(who, other)
    elif word == "places":
        story.setting(who, "capacity.slot", str(number % 4))
    elif word == "end":
        story.end(who)
    elif word in {"start", "resume"}:
        live = who in story.state.sessions and story.state.sessions[who].live
        story.start(who, **({"succeeds": story.runs[who]} if live else {}))


@given(plan=moves)
@example(plan=[("claim", "ann", ["src"], 0), ("sleep", "bob", ["src"], 400), ("beat", "bob", ["src"], 0)])
@example(
    plan=[("share", "ann", ["src"], 0), ("claim", "ann", ["src"], 0), ("share", "ann", ["src"], 0), ("end", "ann", ["src"], 0)]
)
def test_at_every_event_the_open_holdings_are_the_leases(plan: list[tuple[str, str, list[str], int]]) -> None:
    story = Story.of(*WHO)
    held = Holdings()
    told = 0
    for word, who, what, number in plan:
        with suppress(GitcoordError):
            move(story, word, who, what, number)
        for one in story.past[told:]:
            held.see(HistoryStep(f"c{one.event.seq}", one.event, one.committed_at))
        told = len(story.past)
        assert open_in(held) == open_at(story.state)
        assert line_in(held) == line_at(story.state)
        for one in held.over:
            assert one.ended_at is not None
            assert one.ended_at <= one.expires_at
            assert len(one.commits) == 2
    every = held.all(story.now)
    assert len(every) == len({(one.session, one.entry) for one in every})
    for name in WHAT:  # what is asked for one thing is a part of the whole
        about = fold(story.past, str(resource(name)))
        assert about.all(story.now) == [one for one in every if overlaps(one.resource, resource(name))]


def resource(name: str) -> Resource:
    """The resource that a story means."""
    return Resource.read(name if ":" in name else f"file:{name}")


def test_the_moves_reach_every_end() -> None:
    """What the property rests on: stories in which leases end in each of the ways."""
    found, waits = set[str](), set[str]()
    for seed in range(600):
        dice = random.Random(seed)
        story = Story.of(*WHO)
        if seed % 2:  # shorter than a lease may be: then a session is given up while it holds something
            story.setting("ann", "retention", "1h")
        for _ in range(40):
            plan = (dice.choice(WORDS), dice.choice(WHO), dice.sample(WHAT, dice.randint(1, 3)), dice.randint(0, 400))
            try:
                move(story, *plan)
            except GitcoordError:
                continue
        held = fold(story.past)
        found |= {one.how or "" for one in held.over}
        waits |= {one.how or "" for one in held.waits}
        assert open_in(held) == open_at(story.state)
    assert found == {
        "released",
        "session_ended",
        "abandoned",
        "taken_over",
        "broken",
        "superseded",
        "expired",
        "given_up",
        "handed_over",
    }
    assert waits == {"offered", "acquired", "left", "session_ended", "late"}


# --- on real commits, good and bad ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Objects]]:
    """An empty repository for all the histories."""
    path = tmp_path_factory.mktemp("library")
    git(path, "init", "-q")
    with Objects(Repository.find(str(path), dict(os.environ))) as objects:
        yield path, objects


@settings(max_examples=max(1, settings.default.max_examples // 2))
@given(plan=histories.moves)
@example(
    plan=[("good", 1, 0, 0), ("good", 4, 21, 0), ("fork", 3, 0, 0), ("theft", 0, 1, 1), ("good", 0, 28, 0), ("merge", 0, 1, 0)]
)
@example(plan=[(word, 7 * number, number, number % 2) for number, word in enumerate(["good"] * 4 + sorted(histories.MOVES) * 2)])
def test_bad_commits_and_what_a_merge_brought_do_not_count(
    library: tuple[Path, Objects], plan: list[tuple[str, int, int, int]]
) -> None:
    path, objects = library
    tip = histories.make(plan).write(path)[-1]
    log = event_log(objects)
    try:
        checked = History(objects, TreeProjection()).check(tip, Checked())
    except Divided:  # nobody is told anything then
        return
    held, state = Holdings(), State()
    seqs = []
    for good in log.line(checked):
        seqs.append(good.event.seq)
        held.see(HistoryStep(good.commit, good.event, good.committed_at))
        state = rules.evolve(state, good.event, good.committed_at)
        assert open_in(held) == open_at(state)
    assert seqs == list(range(1, checked.seq + 1))
    last = History(objects, TreeProjection()).state_at(checked.good, checked.seq)
    assert open_in(held) == open_at(last)


def event_log(objects: Objects):  # type: ignore[no-untyped-def]
    """A log that only reads."""
    return EventLog(tip=None, objects=objects, projection=TreeProjection(), memory=None, now=None, writer="", email="")  # type: ignore[arg-type]


# --- each end --------------------------------------------------------------------------------------------------------------


def only(story: Story, about: str = "file:x", now: datetime | None = None) -> Holding:
    """The one holding of the story's first lease."""
    return fold(story.past, about).all(now or story.now)[0]


@pytest.fixture
def story() -> Story:
    """Ann holds `x` for an hour."""
    found = Story.of("ann", "bob")
    found.claim("ann", "x", phase="BUILD", reason="the parser")
    return found


def test_what_lasts_has_no_end(story: Story) -> None:
    story.wait(minutes(10))
    one = only(story)
    assert (one.session, one.phase, one.reason, one.how, one.ended_at, one.seconds(story.now)) == (
        "ann", "BUILD", "the parser", None, None, 600,
    )  # fmt: skip
    assert len(one.commits) == 1


def test_released_with_its_words(story: Story) -> None:
    story.wait(minutes(10)).release("ann", "x", done="works", tests="pass", next_phase="PRODUCTION")
    one = only(story)
    assert (one.how, one.by, one.done, one.tests, one.next_phase, one.seconds(story.now)) == (
        "released", None, "works", "pass", "PRODUCTION", 600,
    )  # fmt: skip


def test_renewals_are_counted_and_move_the_end(story: Story) -> None:
    story.wait(minutes(20)).renew("ann")
    story.wait(minutes(40)).beat("ann", "building")
    story.wait(minutes(50)).claim("ann", "x")
    assert only(story).renewals == 3
    assert only(story).how is None
    assert only(story, now=story.now + hours(2)).how == "expired"


def test_expired_is_over_at_its_end_though_nobody_took_it(story: Story) -> None:
    granted = story.now
    story.wait(hours(3))
    one = only(story)
    assert (one.how, one.ended_at, one.seconds(story.now)) == ("expired", granted + hours(1), 3600)
    story.release("ann", "x")  # too late to be a release
    one = only(story)
    assert (one.how, one.ended_at) == ("expired", granted + hours(1))


def test_taken_over_by_whom_and_why(story: Story) -> None:
    granted = story.now
    story.wait(hours(1) + seconds(61)).claim("bob", "x")
    first, second = fold(story.past, "file:x").all(story.now)
    assert (first.how, first.by, first.why, first.ended_at) == ("taken_over", "bob", "expired", granted + hours(1))
    assert (second.session, second.how) == ("bob", None)
    story.wait(minutes(31)).claim("ann", "x", if_stale=True)
    second = fold(story.past, "file:x").all(story.now)[1]
    assert (second.how, second.by, second.why, second.ended_at) == ("taken_over", "ann", "stale", story.now)


def test_broken(story: Story) -> None:
    story.wait(minutes(5)).claim("bob", "x", breaks=only(story).fence)
    assert (only(story).how, only(story).by, only(story).seconds(story.now)) == ("broken", "bob", 300)


def test_ended_with_its_session(story: Story) -> None:
    story.wait(minutes(5)).end("ann")
    assert (only(story).how, only(story).seconds(story.now)) == ("session_ended", 300)


def test_given_up_with_its_silent_session() -> None:
    story = Story.of("ann", "bob", "cat")
    story.setting("ann", "retention", "1h")
    story.claim("ann", "x", ttl_seconds=4 * 3600)
    story.wait(hours(2)).beat("bob")
    story.beat("cat")
    assert (only(story).how, only(story).seconds(story.now)) == ("abandoned", 2 * 3600)


def test_handed_over_and_taken_with_the_place_of_a_silent_session() -> None:
    story = Story.of("ann", "bob", "cat")
    story.claim("ann", "x", "y", phase="BUILD", ttl_seconds=4 * 3600)
    story.wait(minutes(5)).accept("bob", story.handoff("ann"))
    first, second = fold(story.past, "file:x").all(story.now)
    assert (first.how, first.by, first.seconds(story.now)) == ("handed_over", "bob", 300)
    assert (second.session, second.phase, second.how) == ("bob", "BUILD", None)
    story.wait(minutes(40)).claim("ann", "y", wait=True)
    story.supersede("cat", "bob")
    taken, waited = (fold(story.past, f"file:{name}").all(story.now)[1] for name in "xy")
    assert (taken.how, taken.by, taken.why) == ("taken_over", "cat", "stale")
    assert (waited.session, waited.how) == ("bob", "abandoned")
    assert open_in(fold(story.past)) == open_at(story.state)


def test_superseded_by_ones_own_stronger_claim() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "x", mode="shared")
    story.wait(minutes(5)).claim("ann", "x")
    first, second = fold(story.past, "file:x").all(story.now)
    assert (first.mode, first.how, first.by) == ("shared", "superseded", "ann")
    assert (second.mode, second.how) == ("exclusive", None)


def test_what_covers_it_counts_and_what_is_beside_it_does_not() -> None:
    story = Story.of("ann", "bob")
    for name in ("src", "src/a.py", "src/*.py", "src/b.py", "docs", "slot:src"):
        story.claim("ann", name)
    names = [str(one.resource) for one in fold(story.past, "file:src/a.py").all(story.now)]
    assert names == ["file:src", "file:src/a.py", "file:src/*.py"]


def test_a_late_release_is_no_end(story: Story) -> None:
    story.wait(hours(2)).claim("bob", "x")
    story.release("ann", "x", fence=only(story).fence)
    assert [one.how for one in fold(story.past, "file:x").all(story.now)] == ["taken_over", None]


def test_a_late_end_of_an_old_run_ends_nothing(story: Story) -> None:
    late = story.command(EndSession, "ann")
    story.start("ann", succeeds=story.runs["ann"])
    event = story.ask(late)
    assert event is not None
    assert event.lapsed
    assert (only(story).how, only(story).run_id) == (None, story.runs["ann"])


def test_what_an_event_says_of_its_own_time_is_no_clock(story: Story) -> None:
    story.wait(minutes(10))
    entry = only(story).entry
    story.ask(story.command(ReleaseClaims, "ann", leases=(entry,), at=story.now + hours(5)))  # by a clock that is ahead
    one = only(story, now=story.now + hours(6))
    assert (one.how, one.ended_at) == ("released", story.now)


def test_gaps_are_when_nobody_held_it_and_the_last_one_lasts() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "src/a.py")
    story.wait(minutes(10)).release("ann", "src/a.py")
    story.wait(minutes(5)).claim("bob", "src/**", ttl_seconds=1800)
    story.wait(minutes(5)).claim("bob", "src/a.py", ttl_seconds=600)
    start = story.past[0].committed_at
    held = fold(story.past, "file:src/a.py")
    assert held.gaps(start + minutes(20)) == [(start + minutes(10), start + minutes(15))]
    assert held.gaps(start + minutes(60))[-1] == (start + minutes(50), None)  # the second claim renewed the first
    assert fold(story.past[:1], "file:src/a.py").gaps(start + minutes(60)) == []


def test_a_gap_of_seconds_is_none() -> None:
    story = Story.of("ann", "bob")
    start = story.now
    story.claim("ann", "src/a.py")
    story.release("ann", "src/a.py")
    story.wait(seconds(59)).claim("bob", "src/a.py")
    story.release("bob", "src/a.py")
    story.wait(seconds(60)).claim("ann", "src/a.py")
    assert fold(story.past, "file:src/a.py").gaps(story.now) == [(start + seconds(59), start + seconds(119))]


def test_who_worked_on_a_file_without_a_claim_is_told() -> None:
    story = Story.of("ann", "bob", "cy")
    story.claim("ann", "src/**")
    story.claim("bob", "docs", mode="shared")
    for name in ("ann", "bob", "cy"):
        story.beat(name, "committed", files_touched=("docs/x.md", "src/a.py"), commit="a" * 40, folded=1)
    story.release("ann", "src/**")
    story.beat("ann", "editing", files_touched=("src/a.py",))
    found = fold(story.past, "file:src/a.py").unclaimed
    assert [(one.session, one.paths, one.commit) for one in found] == [
        ("bob", ("src/a.py",), "a" * 40), ("cy", ("src/a.py",), "a" * 40), ("ann", ("src/a.py",), None),
    ]  # fmt: skip
    assert fold(story.past).unclaimed == []
    assert fold(story.past, "slot:ci").unclaimed == []
