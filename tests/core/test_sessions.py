"""Sessions: who is there. A start, an end, a new run; names that are free; what a later start must not inherit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pure_branch import T0, Story, hours, minutes
from strategies import session_names

from gitcoord.core import names
from gitcoord.core.sessions import SessionEnded, SessionResumed, SessionStarted, StartSession, free_name
from gitcoord.core.state import State
from gitcoord.core.tables import Roll
from gitcoord.errors import Held, NoSession, NotHeld


@pytest.fixture
def story() -> Story:
    """A branch with two sessions, at ten o'clock."""
    return Story.of("ann", "bob")


def test_start_registers_what_is_known() -> None:
    story = Story.of()
    event = story.start(
        "ann", capabilities=("build", "debug"), role="builder", work="api", agent="x", repo="r", branch="b", host="h"
    )
    session = story.state.sessions["ann"]
    assert isinstance(event, SessionStarted)
    assert session.live
    assert (session.session_id, session.run_id, session.status) == ("ann", "ann-1", "active")
    assert (session.started_at, session.last_heartbeat) == (T0, T0)
    assert session.start_seq == session.read_seq == event.seq
    assert (session.capabilities, session.role, session.current_work) == (("build", "debug"), "builder", "api")
    assert (session.agent, session.repo, session.branch, session.host) == ("x", "r", "b", "h")


def test_name_that_is_active_elsewhere_is_refused(story: Story) -> None:
    with pytest.raises(Held, match="the name ann is taken") as refused:
        story.start("ann")
    assert refused.value.exit_code == 3
    assert story.state.sessions["ann"].run_id == "ann-1"


def test_a_start_is_known_by_its_run_and_by_what_was_asked(story: Story) -> None:
    started = story.start("eve", generated=True).model_copy(update={"asked": "abc"})
    command = story.command(StartSession, "eve", run_id=started.run_id).model_copy(update={"asked": "abc"})
    assert command.made(started)
    assert not command.made(started.model_copy(update={"run_id": "eve-9"}))
    assert not command.made(started.model_copy(update={"asked": "other"}))


def test_generated_name_is_numbered_when_taken(story: Story) -> None:
    assert story.start("ann", generated=True).session == "ann-2"
    assert story.start("ann", generated=True).session == "ann-3"
    assert story.start("eve", generated=True).session == "eve"


def test_generated_name_avoids_ended_sessions_too(story: Story) -> None:
    story.end("ann")
    assert story.start("ann", generated=True).session == "ann-2"


def test_name_of_an_ended_session_may_be_chosen_again(story: Story) -> None:
    story.claim("ann", "a")
    story.end("ann", done=("all",))
    story.wait(hours(1)).start("ann")
    session = story.state.sessions["ann"]
    assert session.live
    assert session.started_at == T0 + hours(1)
    assert (session.ended_at, session.work_completed) == (None, ())
    assert story.holds("ann") == set()


@given(session_names, st.integers(1, 30))
def test_free_name_is_a_name_and_free(wish: str, taken: int) -> None:
    sessions: dict[str, None] = {}
    for _ in range(taken):
        name = free_name(State(sessions=Roll(dict.fromkeys(sessions, object()))), wish)  # type: ignore[arg-type]  # only its keys count
        assert names.is_session_name(name)
        assert name not in sessions
        sessions[name] = None


@pytest.mark.parametrize("wish", ["x" * 64, "x" * 62 + ".a", "a" * 61 + "...", "con-x", "a.lock.x"])
def test_free_name_of_a_long_wish_is_a_name(wish: str) -> None:
    state = State(sessions=Roll({wish: object()}))  # type: ignore[dict-item]  # only its keys count
    assert names.is_session_name(free_name(state, wish))


def test_resumed_session_keeps_claims_and_mail_under_a_new_run(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    story.send("bob", "ann", "before")
    story.beat("ann", "waiting", target="person")
    event = story.wait(minutes(5)).start("ann", succeeds="ann-1", work="more")
    session, lease = story.state.sessions["ann"], story.lease("a")
    assert isinstance(event, SessionResumed)
    assert lease is not None
    assert (session.run_id, lease.run_id, lease.fence) == ("ann-2", "ann-2", fence)
    assert session.started_at == T0
    assert (session.status, session.waiting_for, session.current_work) == ("active", None, "more")
    assert story.subjects("ann") == ["before"]


def test_resume_says_only_what_changed(story: Story) -> None:
    story.end("bob")
    story.start("bob", role="tester", capabilities=("debug",))
    story.start("bob", succeeds="bob-2")
    session = story.state.sessions["bob"]
    assert (session.role, session.capabilities, session.run_id) == ("tester", ("debug",), "bob-3")


def test_only_the_current_run_can_be_succeeded(story: Story) -> None:
    story.start("ann", succeeds="ann-1")
    with pytest.raises(Held):
        story.start("ann", succeeds="ann-1")
    assert story.problem(story.event(SessionResumed, "ann", succeeds="ann-1", run_id="ann-9")) is not None
    assert story.problem(story.event(SessionResumed, "ann", succeeds="ann-2", run_id="ann-9")) is None


def test_start_of_a_live_name_is_not_valid(story: Story) -> None:
    assert story.problem(story.event(SessionStarted, "ann", run_id="x")) == "ann is active already"
    story.end("ann")
    assert story.problem(story.event(SessionStarted, "ann", run_id="x")) is None


def test_end_releases_all_and_closes_the_record(story: Story) -> None:
    story.claim("ann", "a", "b")
    story.claim("bob", "c")
    story.beat("ann", "building")
    story.wait(hours(2)).end("ann", done=("the api", "its tests"), notes="ready\nfor review")
    session = story.state.sessions["ann"]
    assert not session.live
    assert (session.status, session.ended_at, session.total_duration) == ("completed", T0 + hours(2), "2 hours")
    assert (session.work_completed, session.handoff_notes) == (("the api", "its tests"), "ready\nfor review")
    assert (story.holds("ann"), story.holds("bob")) == (set(), {"file:c"})
    assert "ann" not in story.state.heartbeats


def test_end_of_anothers_run_is_not_valid(story: Story) -> None:
    assert story.problem(story.event(SessionEnded, "ann", run_id="ann-0")) is not None
    assert story.problem(story.event(SessionEnded, "nobody")) is not None
    assert story.problem(story.event(SessionEnded, "ann")) is None


def test_end_of_a_session_that_never_was_is_recorded_without_effect(story: Story) -> None:
    event = story.end("nobody")
    assert event.lapsed
    assert "nobody" not in story.state.sessions


def test_unknown_session_is_told_how_to_begin(story: Story) -> None:
    with pytest.raises(NoSession) as refused:
        story.take("nobody")
    assert refused.value.hint == "gitcoord start"


def test_old_run_is_told_that_it_is_over(story: Story) -> None:
    story.runs["ann"] = "ann-0"
    with pytest.raises(NotHeld) as refused:
        story.take("ann")
    assert refused.value.exit_code == 4


def test_event_with_an_older_time_does_not_move_the_sign_of_life_back(story: Story) -> None:
    late = story.command(StartSession, "eve", offline=True)
    story.wait(minutes(30)).beat("ann", "building")
    heard = story.state.sessions["ann"].last_heartbeat
    assert heard == T0 + minutes(30)
    story.happen(story.event(SessionResumed, "ann", succeeds="ann-1", run_id="ann-2", at=T0))
    assert story.state.sessions["ann"].last_heartbeat == heard
    assert late.can_wait
    assert not story.command(StartSession, "eve").can_wait


def test_event_dated_ahead_of_its_commit_is_no_sign_of_life_from_the_future(story: Story) -> None:
    """The author's date is only said; the commit's date is what others can hold against their clocks."""
    story.happen(story.event(SessionResumed, "ann", succeeds="ann-1", run_id="ann-2", at=T0 + hours(1000)), T0 + minutes(1))
    assert story.state.sessions["ann"].last_heartbeat <= T0 + minutes(1)


def test_start_in_place_of_an_old_record_survives_its_own_commit() -> None:
    """What is swept takes nothing along that the same event made."""
    story = Story.of("ann", "bob")
    story.end("ann")
    story.wait(hours(24 * 20)).beat("bob", "still here")
    story.start("ann")
    assert story.state.sessions["ann"].live
    assert story.state.sessions["ann"].run_id == "ann-2"
