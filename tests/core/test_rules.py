"""The three functions that everything turns on, under any sequence of commands, by any clocks.

After every event: no two sessions hold leases that overlap and conflict, fences only grow, what was decided is valid, evolve
never raises, and the messages alone give the same state again.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pure_branch import T0, Happened, Story, days, hours, listing, minutes, plain, seconds, stamp
from pydantic import ValidationError
from random_days import SESSIONS, Step, _command, honest, play, wild
from strategies import any_event, many

from gitcoord.core import rules
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.events import Clock, Event
from gitcoord.core.handover import HandoffOffered, HandoffTaken
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.messages import MessageSent, SendMessage
from gitcoord.core.releases import ClaimReleased
from gitcoord.core.renewals import ClaimRenewed
from gitcoord.core.sessions import SessionEnded, SessionStarted
from gitcoord.core.state import State
from gitcoord.core.succession import SessionSuperseded
from gitcoord.errors import ClockSkew, GitcoordError
from gitcoord.log import wire
from gitcoord.views import board, tree


def _replayed(past: list[Happened]) -> State:
    """The state that the commit messages alone give."""
    state = State()
    for number, happened in enumerate(past):
        message = wire.encode(happened.event, writer="0", skip_ci=bool(number % 2))
        event = wire.decode(message, at=happened.event.at).event
        assert rules.problem(state, event, happened.committed_at) is None
        state = rules.evolve(state, event, happened.committed_at)
    return state


def _loaded(story: Story) -> State:
    """The state that the files of the tree alone give."""
    files = {path: tree.render(record) for path, record in tree.all_files(story.state).items()}
    return tree.load("", listing(files), lambda names: [files[name] for name in names], seq=story.state.seq, at=story.state.at)


@many
@given(honest)
def test_any_sequence_of_commands_by_honest_clocks(steps: list[Step]) -> None:
    story = play(steps)
    assert plain(_replayed(story.past)) == plain(story.state)
    assert plain(_loaded(story)) == plain(story.state)


@many
@given(wild)
def test_any_sequence_of_commands_by_any_clocks(steps: list[Step]) -> None:
    story = play(steps)
    assert plain(_replayed(story.past)) == plain(story.state)
    assert plain(_loaded(story)) == plain(story.state)


settings_changes = st.tuples(
    st.sampled_from(("max_ttl", "default_ttl", "grace", "takeover_after", "retention")),
    st.sampled_from(("300", "3600", "30000", "200000")),
)


@given(honest, settings_changes, honest)
def test_no_change_of_settings_makes_a_command_impossible(first: list[Step], change: tuple[str, str], then: list[Step]) -> None:
    story = play(first)
    with contextlib.suppress(GitcoordError):
        story.setting(SESSIONS[0], *change)
    for session in SESSIONS:
        with contextlib.suppress(GitcoordError):
            story.claim(session, f"droplet:{session}")
    for step in then:
        story.wait(step.pause)
        with contextlib.suppress(GitcoordError):
            story.ask(_command(story, step), now=story.now + step.skew)


# --- evolve is total ---------------------------------------------------------------------------------------------------


@many
@given(honest, honest)
def test_event_decided_elsewhere_never_stops_evolve(one: list[Step], other: list[Step]) -> None:
    state = play(one).state
    for happened in play(other).past:
        before = state
        state = rules.evolve(state, happened.event, happened.committed_at)
        assert state.seq == happened.event.seq
        tree.changes(before, state)


@given(st.lists(any_event, min_size=1, max_size=6))
def test_any_event_on_any_state_gives_a_state(events: list[Event]) -> None:
    state = Story.of(*SESSIONS).state
    for event in events:
        rules.problem(state, event, event.at)
        state = rules.evolve(state, event, event.at)


MALFORMED = (
    "",
    "x",
    "1",
    "1 2",
    "x file:a",
    "1 file:",
    "1 soon file:a",
    "1 ann because file:a",
    "-1 ann expired file:a",
    "1 ann expired",
)


@pytest.mark.parametrize(
    ("kind", "key"),
    [(ClaimReleased, "released"), (ClaimRenewed, "renewed"), (HeartbeatRecorded, "renewed"), (ClaimAcquired, "taken"),
     (ClaimAcquired, "renewed"), (HandoffOffered, "leases"), (HandoffTaken, "moved"), (SessionSuperseded, "moved")],
)  # fmt: skip
def test_malformed_entry_is_refused_at_the_border_or_stops_nobody(kind: type[Event], key: str) -> None:
    """Either such an event can't be made at all, or every function takes it; a reader must not fail."""
    story = Story.of("ann")
    more = {
        ClaimAcquired: {"resources": ("file:a",), "ttl_seconds": 300, "expires_at": T0 + hours(1)},
        HandoffOffered: {"to": "anyone"},
        HandoffTaken: {"handoff": "x", "giver": "bob"},
        SessionSuperseded: {"previous": "bob"},
    }.get(kind, {})  # fmt: skip
    failed = []
    for entry in MALFORMED:
        try:
            event = story.event(kind, "ann", **{key: (entry,)}, **more)
        except ValidationError:
            continue
        assert rules.problem(story.state, event, T0) is not None
        try:
            rules.evolve(story.state, event, T0)
            event.headline()
        except ValueError as error:
            failed.append((entry, str(error)))
    assert failed == []


IMPOSSIBLE = [datetime(year, 1, 1, tzinfo=UTC) for year in (1, 999, 1970, 1999, 2200)] + [
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
]
EXTREME = [datetime(2000, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)]


@pytest.mark.parametrize("when", [*IMPOSSIBLE, *EXTREME], ids=lambda when: f"{when:%Y}")
@pytest.mark.parametrize("which", ["author", "committer", "both"])
def test_commit_of_any_date_leaves_a_state_that_everybody_can_go_on_with(when: datetime, which: str) -> None:
    """git takes any date. Whoever comes after must still be able to decide, and readers to read."""
    story = Story.of("ann", "bob", "eve")
    story.claim("ann", "a")
    author = when if which != "committer" else T0
    committer = when if which != "author" else T0
    for kind, said in (
        (HeartbeatRecorded, {"action": "x", "estimated_completion": when}),
        (MessageSent, {"to": "bob", "subject": "x", "expires_at": when}),
        (MessageSent, {"to": "bob", "subject": "x"}),
        (ClaimAcquired, {"resources": ("file:c",), "ttl_seconds": 300, "expires_at": when}),
    ):
        try:
            event = story.event(kind, "eve", at=author, **said)
        except ValidationError:  # what a reader calls malformed
            continue
        if rules.problem(story.state, event, committer) is None:
            story.state = rules.evolve(story.state, event, committer)
            story.past.append(Happened(event, committer))
    board.render(story.state)
    story.claim("bob", "b")
    story.wait(hours(1)).beat("ann", "building")
    story.take("bob")
    board.render(story.state)
    assert plain(_loaded(story)) == plain(story.state)
    assert plain(_replayed(story.past)) == plain(story.state)


@pytest.mark.parametrize("year", [1970, 1999, 2200])
def test_machine_whose_clock_cannot_be_right_is_told_so(year: int) -> None:
    """A board without a battery wakes up in 1970: that is a clock to set, not a bug to report."""
    story = Story.of("ann", "bob")
    command = story.command(SendMessage, "ann", to="bob", subject="x")
    with pytest.raises(ClockSkew):
        rules.decide(story.state, command, Clock(now=T0.replace(year=year)))
    assert rules.decide(story.state, command, Clock(now=T0))


def test_no_record_says_a_time_later_than_the_commit_that_made_it() -> None:
    """The author's date is only said. Believed, it would make a message young for ever, and a silent holder never silent."""
    story = Story.of("ann", "bob")
    fence = story.claim("bob", "b").seq
    later = T0 + days(900)
    for kind, session, said in (
        (SessionStarted, "eve", {"run_id": "eve-1"}),
        (ClaimAcquired, "ann", {"resources": ("file:a",), "ttl_seconds": 3600, "expires_at": T0 + hours(1)}),
        (ClaimRenewed, "bob", {"renewed": (f"{fence} 2025-11-15T11:30:00Z file:b",)}),
        (HeartbeatRecorded, "ann", {"action": "x"}),
        (MessageSent, "ann", {"to": "broadcast", "subject": "x"}),
        (ClaimReleased, "bob", {"released": (f"{fence} file:b",), "done": "x", "next_phase": "P"}),
        (SessionEnded, "bob", {}),
    ):
        story.happen(story.event(kind, session, at=later, **said), T0 + minutes(1))
    said_times = [
        (path, key, value)
        for path, record in tree.all_files(story.state).items()
        for key, value in record.model_dump().items()
        if isinstance(value, datetime) and key not in {"expires_at", "estimated_completion"}
    ]
    assert len(said_times) > 8
    assert [one for one in said_times if one[2] > T0 + minutes(1)] == []


# --- unknown kinds -----------------------------------------------------------------------------------------------------


def test_event_of_an_unknown_kind_touches_no_record() -> None:
    """It is good only if its commit touches no record, so it must not be expected to touch any (protocol, section 10)."""
    story = Story.of("ann")
    event = wire.UnknownEvent(id="x", seq=story.state.seq + 1, session="ann", run_id="ann-1", at=T0 + hours(1), named="vote.cast")
    assert story.problem(event) is None
    after = rules.evolve(story.state, event, T0 + hours(1))
    assert after.touched == {}
    assert (after.seq, after.at) == (event.seq, T0 + hours(1))


# --- a record that is written can be read ------------------------------------------------------------------------------


@given(any_event)
def test_every_record_that_a_valid_event_makes_can_be_read_back(event: Event) -> None:
    """What a reader can't read back it would drop: two readers would disagree from there on."""
    story = Story.of(*SESSIONS)
    event = event.model_copy(update={"seq": story.state.seq + 1, "session": "ann", "run_id": "ann-1"})
    if rules.problem(story.state, event, T0) is not None:
        return
    after = rules.evolve(story.state, event, T0)
    for path, record in tree.changes(story.state, after).items():
        table = tree.table_of(path)
        assert table is not None
        if record is not None:
            assert tree.parse(table, tree.render(record)) == record


# --- dates -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (seconds(-5), T0),
        (seconds(0), T0),
        (seconds(30), T0 + seconds(30)),
        (seconds(60), T0 + seconds(60)),
        (seconds(61), T0),
        (days(9), T0),
    ],
)
def test_commit_is_never_dated_before_its_parent_unless_that_one_is_far_ahead(ahead: timedelta, expected: datetime) -> None:
    assert stamp(State(at=T0 + ahead), T0) == expected
