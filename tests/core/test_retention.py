"""What leaves the tree and what never does: what is over, by two clocks; a wrong one wipes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pure_branch import T0, Story, days, hours, minutes, ulid

from gitcoord.core.heartbeats import HeartbeatRecorded, RecordHeartbeat
from gitcoord.core.messages import SendMessage
from gitcoord.core.records import Heartbeat
from gitcoord.core.retention import AT_ONCE, agreed_now, not_made_before, not_made_since, sweep
from gitcoord.core.sessions import SessionEnded, StartSession
from gitcoord.core.state import State
from gitcoord.core.tables import Table

RETENTION = days(14)  # the default


@pytest.fixture
def story() -> Story:
    """A branch with three sessions; ann and bob are the ones who live on."""
    return Story.of("ann", "bob", "eve")


def alive(story: Story, *sessions: str) -> Story:
    """Those sessions say that they are there, now."""
    for session in sessions:
        story.beat(session, "here")
    return story


def later(story: Story, span: timedelta, *, of: tuple[str, ...] = ("ann", "bob")) -> Story:
    """So much later, day by day: those sessions are heard every day, and each of their events sweeps."""
    end = story.now + span
    while story.now < end:
        story.wait(min(days(1), end - story.now))
        alive(story, *of)
    return story


# --- what leaves -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "leaves"), [(days(13), False), (days(16), True)])
def test_ended_session_leaves_after_the_retention(story: Story, age: timedelta, leaves: bool) -> None:
    story.end("eve")
    later(story, age)
    assert ("eve" in story.state.sessions) is not leaves


@pytest.mark.parametrize(("age", "leaves"), [(days(13), False), (days(16), True)])
def test_read_message_leaves_after_the_retention(story: Story, age: timedelta, leaves: bool) -> None:
    key = story.send("ann", "bob", "x").id
    story.take("bob")
    later(story, age)
    assert (key in story.state.messages) is not leaves


@pytest.mark.parametrize(("age", "leaves"), [(days(13), False), (days(16), True)])
def test_broadcast_leaves_by_age(story: Story, age: timedelta, leaves: bool) -> None:
    key = story.send("ann", "broadcast", "x").id
    later(story, age)
    assert (key in story.state.messages) is not leaves


def test_message_past_its_own_end_leaves_after_the_retention(story: Story) -> None:
    key = story.send("ann", "bob", "x", expires_at=T0 + hours(1)).id
    later(story, days(13))
    assert key in story.state.messages
    later(story, days(3))
    assert key not in story.state.messages


def test_unread_message_leaves_long_after_its_receivers_end(story: Story) -> None:
    key = story.send("ann", "eve", "x").id
    story.end("eve")
    later(story, days(13))
    assert key in story.state.messages
    later(story, days(3))
    assert key not in story.state.messages


def test_taken_handoff_leaves_and_an_open_one_stays(story: Story) -> None:
    story.claim("ann", "droplet:x", "droplet:y")
    story.release("ann", "droplet:x", next_phase="P")
    story.release("ann", "droplet:y", next_phase="P")
    story.claim("bob", "droplet:x")
    later(story, days(16))
    assert [one.resources for one in story.state.handoffs.values()] == [("droplet:y",)]


def test_heartbeat_without_a_session_leaves(story: Story) -> None:
    heartbeats = story.state.heartbeats.with_changes({"ghost": Heartbeat(session_id="ghost", timestamp=T0)})
    story.state = State(**{**story.state.__dict__, "heartbeats": heartbeats})
    alive(story, "ann")
    assert "ghost" not in story.state.heartbeats


def test_session_silent_for_the_retention_is_ended_as_abandoned_with_its_claims(story: Story) -> None:
    story.setting("ann", "max_ttl", "60d")
    story.claim("eve", "a", ttl_seconds=60 * 86400)
    story.beat("eve", "building")
    later(story, days(16))
    session = story.state.sessions["eve"]
    assert session.status == "abandoned"
    assert session.ended_at is not None
    assert T0 + RETENTION < session.ended_at <= story.now
    assert story.holds("eve") == set()
    assert "eve" not in story.state.heartbeats


def test_removals_and_endings_are_named_in_the_event(story: Story) -> None:
    story.end("bob")
    story.wait(days(16))
    story.state = State(**{**story.state.__dict__, "sessions": _heard(story.state, "ann", story.now)})
    assert sweep(story.state, "zoe", story.now) == (("session bob",), ("eve",))


def _heard(state: State, name: str, when: datetime) -> Table[str, object]:
    return state.sessions.with_changes({name: state.sessions[name].model_copy(update={"last_heartbeat": when})})


@pytest.mark.parametrize("count", [AT_ONCE - 1, AT_ONCE, AT_ONCE + 30, 3 * AT_ONCE])
def test_at_most_so_many_records_leave_with_one_commit_and_all_in_the_end(story: Story, count: int) -> None:
    keys = [story.send("ann", "broadcast", str(number)).id for number in range(count)]
    story.wait(days(16))
    story.state = State(**{**story.state.__dict__, "sessions": _heard(story.state, "bob", story.now)})
    left = count
    while left:
        event = story.beat("ann", "here")
        assert 0 < len(event.removed) + len(event.abandoned) <= AT_ONCE
        left -= sum(1 for entry in event.removed if entry.startswith("message "))
    assert not set(keys) & set(story.state.messages)


def test_sessions_and_messages_together_are_no_more_than_leave_with_one_commit(story: Story) -> None:
    for number in range(AT_ONCE // 2 + 5):
        story.start(f"old-{number}")
        story.end(f"old-{number}")
        story.send("ann", "broadcast", str(number))
        story.send("ann", "broadcast", f"{number} again")
    story.wait(days(16))
    story.state = State(**{**story.state.__dict__, "sessions": _heard(story.state, "bob", story.now)})
    removed, abandoned = sweep(story.state, "ann", story.now)
    assert {entry.partition(" ")[0] for entry in removed} == {"session", "message"}
    assert (len(removed), abandoned) == (AT_ONCE, ())


# --- what never leaves -------------------------------------------------------------------------------------------------


def test_unread_message_to_a_live_session_never_leaves(story: Story) -> None:
    key = story.send("ann", "bob", "x").id
    later(story, days(60))
    assert key in story.state.messages
    assert [one.id for one in story.unread("bob")] == [key]


def test_live_claim_never_leaves(story: Story) -> None:
    story.claim("ann", "a", ttl_seconds=86400)
    for _ in range(60 * 4):
        alive(story.wait(hours(6)), "ann", "bob")
    assert story.holds("ann") == {"file:a"}


def test_pinned_notice_stays_until_it_expires(story: Story) -> None:
    pinned = story.send("ann", "broadcast", "freeze", type="notice", expires_at=T0 + days(40)).id
    plain = story.send("ann", "broadcast", "note", expires_at=T0 + days(40)).id
    later(story, days(30))
    assert pinned in story.state.messages
    assert plain not in story.state.messages
    later(story, days(30))
    assert pinned not in story.state.messages


def test_live_session_that_is_heard_never_leaves(story: Story) -> None:
    later(story, days(40))
    assert story.state.sessions["ann"].live
    assert story.state.sessions["bob"].live


def test_history_is_never_shortened_by_what_leaves(story: Story) -> None:
    story.end("eve")
    later(story, days(16))
    assert [one.event.seq for one in story.past] == list(range(1, story.state.seq + 1))


# --- wrong clocks ------------------------------------------------------------------------------------------------------


def _full(story: Story) -> Story:
    """A branch with a bit of everything, an hour old."""
    story.send("ann", "bob", "read")
    story.take("bob")
    story.send("ann", "broadcast", "to all")
    story.claim("ann", "droplet:x", "b")
    story.release("ann", "droplet:x", next_phase="P")
    story.claim("bob", "droplet:x")
    story.start("over")
    story.end("over")
    return alive(story.wait(hours(1)), "ann", "bob", "eve")


def _content(state: State) -> tuple[set[str], ...]:
    live = {name for name, session in state.sessions.items() if session.live}
    return set(state.sessions), live, set(state.messages), set(state.handoffs), set(state.heartbeats)


@pytest.mark.parametrize("ahead", [days(15), days(3650), days(365 * 70)])
def test_one_clock_years_ahead_removes_nothing(story: Story, ahead: timedelta) -> None:
    before = _content(_full(story).state)
    event = story.ask(story.command(RecordHeartbeat, "ann", action="x", at=story.now + ahead), now=story.now + ahead)
    assert event is not None
    assert (event.removed, event.abandoned) == ((), ())
    alive(story, "bob", "eve")
    assert _content(story.state) == before


def test_one_clock_years_behind_removes_nothing(story: Story) -> None:
    before = _content(_full(story).state)
    past = story.now - days(3650)
    event = story.ask(story.command(RecordHeartbeat, "ann", action="x", at=past), now=past)
    assert event is not None
    alive(story, "bob", "eve")
    assert _content(story.state) == before


def test_two_sessions_of_one_machine_with_a_wrong_clock_remove_nothing() -> None:
    """Two sessions of one host are not two clocks."""
    story = Story.of()
    for session, host in (("ann", "host-a"), ("bob", "host-a"), ("eve", "host-b")):
        story.start(session, host=host)
    before = _content(_full(story).state)
    wrong = story.now + days(3650)
    for session in ("ann", "bob", "ann", "bob"):
        story.ask(story.command(RecordHeartbeat, session, action="x", at=wrong), now=wrong)
    assert _content(story.state) == before


def test_start_on_a_machine_with_a_wrong_clock_removes_nothing() -> None:
    """A session that only begins has a machine, too: what another one there said is no second clock."""
    story = Story.of()
    for session, host in (("ann", "host-a"), ("bob", "host-b"), ("eve", "host-b")):
        story.start(session, host=host)
    before = _content(_full(story).state)
    wrong = story.now + days(3650)
    story.ask(story.command(RecordHeartbeat, "ann", action="x", at=wrong), now=wrong)
    story.ask(story.command(StartSession, "new", run_id="new-1", host="host-a", at=wrong), now=wrong)
    left = _content(story.state)
    assert before[0] < left[0]
    assert left[0] - before[0] == {"new"}
    assert left[1] - before[1] == {"new"}
    assert left[2:4] == before[2:4]


def test_author_date_in_the_future_is_no_second_clock(story: Story) -> None:
    """Only the date of a commit is one: what an event says of its own time is not held against anything."""
    before = _content(_full(story).state)
    story.ask(story.command(SendMessage, "bob", to="broadcast", subject="x", at=story.now + days(3650)))
    ahead = story.now + days(3650)
    story.ask(story.command(RecordHeartbeat, "ann", action="x"), now=ahead)
    left = _content(story.state)
    assert left[0] == before[0]
    assert left[1] == before[1]


def test_lone_session_removes_nothing() -> None:
    story = Story.of("ann")
    key = story.send("ann", "broadcast", "x").id
    alive(story.wait(days(400)), "ann")
    assert key in story.state.messages
    assert agreed_now(story.state, "ann", story.now) is None


def test_agreed_time_is_the_earlier_of_two_clocks(story: Story) -> None:
    alive(story.wait(hours(5)), "bob")
    assert agreed_now(story.state, "ann", T0 + days(900)) == T0 + hours(5)
    assert agreed_now(story.state, "ann", T0 + hours(1)) == T0 + hours(1)
    assert agreed_now(story.state, "bob", T0 + days(900)) == T0


def test_silent_session_is_not_abandoned_by_the_writers_clock_alone(story: Story) -> None:
    story.wait(days(30)).beat("ann", "back from a holiday")
    assert story.state.sessions["bob"].live
    assert story.state.sessions["eve"].live
    story.beat("bob", "back too")
    story.beat("ann", "now there are two clocks")
    assert story.state.sessions["eve"].status == "abandoned"
    assert story.state.sessions["bob"].live


def test_writer_never_abandons_itself(story: Story) -> None:
    alive(story.wait(days(30)), "ann", "bob")
    assert story.state.sessions["ann"].live
    assert story.state.sessions["bob"].live


# --- validity ----------------------------------------------------------------------------------------------------------


def _swept(story: Story, session: str = "ann", **given: object) -> HeartbeatRecorded:
    event = story.event(HeartbeatRecorded, session, **given)
    assert isinstance(event, HeartbeatRecorded)
    return event


@pytest.mark.parametrize(
    "entry",
    ["session eve", "session bob", "session nobody", "message nothing", "heartbeat eve", "claim file:a", "handoff nothing", "",
     "gitcoord.json", "session ann"],
)  # fmt: skip
def test_removal_of_what_is_not_over_is_not_valid(story: Story, entry: str) -> None:
    later(story, days(1))
    alive(story, "eve")
    assert story.problem(_swept(story, removed=(entry,))) is not None


def test_removal_of_what_is_over_is_valid(story: Story) -> None:
    story.end("eve")
    story.wait(days(16))
    story.state = State(**{**story.state.__dict__, "sessions": _heard(story.state, "bob", story.now)})
    assert story.problem(_swept(story, removed=("session eve",))) is None
    assert story.problem(_swept(story, removed=("session eve",)), T0) is not None  # by the commit's own date it isn't


@pytest.mark.parametrize("name", ["ann", "bob", "nobody"])
def test_ending_of_a_session_that_was_heard_is_not_valid(story: Story, name: str) -> None:
    later(story, days(16))
    assert story.problem(_swept(story, abandoned=(name,))) is not None


def test_unread_mail_is_never_validly_removed(story: Story) -> None:
    key = story.send("ann", "bob", "x").id
    later(story, days(60))
    assert story.problem(_swept(story, removed=(f"message {key}",))) is not None


@pytest.mark.parametrize("kind", [HeartbeatRecorded, SessionEnded])
def test_event_without_effect_removes_no_more_than_another(story: Story, kind: type[HeartbeatRecorded]) -> None:
    """Recorded without effect: it must not be a way to end sessions and to take others' leases and mail away."""
    key = story.send("ann", "bob", "x").id
    story.claim("bob", "a")
    for given in ({"abandoned": ("bob",)}, {"removed": (f"message {key}",)}, {"removed": ("session bob",)}):
        assert story.problem(story.event(kind, "eve", lapsed="too late", **given)) is not None
    assert story.problem(story.event(kind, "eve", lapsed="too late")) is None


# --- how old an id is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "made"),
    [
        (ulid(T0, 7), T0), (ulid(T0, 7) + ".0", T0),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", datetime(2016, 7, 30, 23, 54, 10, 259000, UTC)),
    ],
)  # fmt: skip
def test_ulid_tells_when_it_was_made(key: str, made: datetime) -> None:
    moment = timedelta(milliseconds=1)
    assert (not_made_before([key], made), not_made_before([key], made + moment)) == ([key], [])
    assert (not_made_since([key], made), not_made_since([key], made + moment)) == ([], [key])


@pytest.mark.parametrize(
    "key",
    ["", "x", "deploy-42", "0000000000", "550e8400-e29b-41d4-a716-446655440000", "Z" * 26, "0000000000-deploy-finished-2025",
     "00a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3", "20251115100000-operation-of-mine"],
)  # fmt: skip
def test_other_id_tells_no_time(key: str) -> None:
    """A caller's own id may look like anything; a commit's name is not a date of 1970."""
    assert not_made_before([key], T0) == not_made_since([key], T0) == [key]


def test_message_under_a_callers_own_id_leaves_by_age_too(story: Story) -> None:
    keys = ["deploy-42", "7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1", "20991115100000-operation-of-mine"]
    for key in keys:
        story.send("ann", "broadcast", "x", op=key)
    later(story.wait(minutes(1)), days(17))
    assert not set(keys) & set(story.state.messages)
