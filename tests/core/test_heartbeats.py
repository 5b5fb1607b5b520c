"""Heartbeats: what is said is shown, what isn't said stays; what is late or another's changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pure_branch import COMMIT, T0, Story, hours, minutes, resource

from gitcoord.core.heartbeats import FILES_LIMIT, HeartbeatRecorded, RecordHeartbeat
from gitcoord.core.trespasses import committed
from gitcoord.views.attention import attention


@pytest.fixture
def story() -> Story:
    """A branch with two sessions, at ten o'clock."""
    return Story.of("ann", "bob")


def test_heartbeat_tells_what_the_session_does(story: Story) -> None:
    story.wait(minutes(5)).beat(
        "ann", "building", target="church", phase="BUILD", files_touched=("a.py",), progress="30%", next_action="form",
        estimated_completion=T0 + hours(2), branch="topic", commit=COMMIT, blocked_by=None,
    )  # fmt: skip
    beat, session = story.state.heartbeats["ann"], story.state.sessions["ann"]
    assert beat.timestamp == session.last_heartbeat == T0 + minutes(5)
    assert (beat.action, beat.target, beat.phase, beat.progress) == ("building", "church", "BUILD", "30%")
    assert (beat.next_action, beat.estimated_completion) == ("form", T0 + hours(2))
    assert (beat.files_touched, beat.branch, beat.commit) == (("a.py",), "topic", COMMIT)
    assert (session.current_work, session.phase, session.progress, session.branch) == ("church", "BUILD", "30%", "topic")


def test_what_is_not_said_stays_as_before(story: Story) -> None:
    story.beat("ann", "building", target="church", phase="BUILD", progress="30%", files_touched=("a.py",))
    story.wait(minutes(1)).beat("ann", progress="40%")
    beat, session = story.state.heartbeats["ann"], story.state.sessions["ann"]
    assert (beat.action, beat.target, beat.phase, beat.progress) == ("building", "church", "BUILD", "40%")
    assert beat.files_touched == ("a.py",)
    assert (session.current_work, session.progress) == ("church", "40%")


def test_new_action_is_no_longer_blocked_by_the_old_thing(story: Story) -> None:
    story.beat("ann", "blocked", blocked_by="the deploy key")
    assert story.state.heartbeats["ann"].blocked_by == "the deploy key"
    story.beat("ann", progress="1%")
    assert story.state.heartbeats["ann"].blocked_by == "the deploy key"
    story.beat("ann", "building")
    assert story.state.heartbeats["ann"].blocked_by is None


@pytest.mark.parametrize(
    ("action", "target", "status", "waits_for"),
    [("waiting", "person", "waiting", "person"), ("waiting", "claim", "waiting", "claim"),
     ("waiting", "answer", "waiting", "answer"), ("waiting", "godot", "active", None), ("idle", None, "idle", None),
     ("building", "x", "active", None)],
)  # fmt: skip
def test_action_sets_the_status(story: Story, action: str, target: str | None, status: str, waits_for: str | None) -> None:
    story.beat("ann", action, target=target)
    session = story.state.sessions["ann"]
    assert (session.status, session.waiting_for) == (status, waits_for)
    story.beat("ann", "building")
    assert (story.state.sessions["ann"].status, story.state.sessions["ann"].waiting_for) == ("active", None)


def test_automatic_heartbeat_does_not_overwrite_what_was_said_of_the_work(story: Story) -> None:
    story.beat("ann", "building", target="church")
    story.beat("ann", "editing", target="main.py", folded=3)
    assert story.state.sessions["ann"].current_work == "church"
    story.beat("ann", "testing", target="forms")
    assert story.state.sessions["ann"].current_work == "forms"


def test_late_heartbeat_keeps_its_own_time_and_moves_nothing_back(story: Story) -> None:
    late = story.command(RecordHeartbeat, "ann", action="early")
    story.wait(minutes(10)).beat("ann", "later")
    event = story.wait(minutes(10)).ask(late)
    assert event is not None
    assert event.at == T0
    assert story.state.heartbeats["ann"].timestamp == T0 + minutes(10)
    assert story.state.sessions["ann"].last_heartbeat == T0 + minutes(10)


def test_more_files_than_fit_are_cut_not_refused(story: Story) -> None:
    event = story.beat("ann", "editing", files_touched=tuple(f"f{number}" for number in range(FILES_LIMIT + 20)))
    assert event.files_touched == tuple(f"f{number}" for number in range(FILES_LIMIT))


def test_heartbeat_of_another_run_or_of_nobody_is_not_valid(story: Story) -> None:
    story.end("bob")
    assert story.problem(story.event(HeartbeatRecorded, "ann", run_id="ann-0")) is not None
    assert story.problem(story.event(HeartbeatRecorded, "bob")) is not None
    assert story.problem(story.event(HeartbeatRecorded, "nobody")) is not None
    assert story.problem(story.event(HeartbeatRecorded, "ann")) is None


def test_heartbeat_of_a_session_that_never_was_is_recorded_without_effect(story: Story) -> None:
    event = story.beat("nobody", "building")
    assert event.lapsed == "no such session"
    assert "nobody" not in story.state.heartbeats


# --- a file that another holds was committed ----------------------------------------------------------------------------


def _commit(story: Story, session: str, *paths: str, at: datetime | None = None) -> Any:
    at = at or story.now
    noted = tuple(committed(at, path) for path in paths)
    return story.beat(session, "committed", folded=1, files_touched=paths, committed=noted, commit="0d2f" * 10)


@pytest.mark.parametrize(
    ("held", "path", "told"),
    [("src/a.py", "src/a.py", True), ("src", "src/a.py", True), ("src/*.py", "src/a.py", True), ("src/b.py", "src/a.py", False),
     ("slot:x", "x", False)],
)  # fmt: skip
def test_holder_is_told_once_of_a_commit_of_its_file(held: str, path: str, told: bool) -> None:
    story = Story.of("ann", "bob")
    fence = story.claim("ann", held).seq
    story.wait(minutes(1))
    event = _commit(story, "bob", "README.md", path)
    assert event.touched == ((f"{fence} ann {resource(held)}",) if told else ())
    assert story.subjects("ann") == ([f"bob committed {path} (0d2f0d2f0d2f), which you hold"] if told else [])
    story.beat("bob", "building")
    assert len(story.unread("ann")) == told
    items = [item.kind for item in attention(story.state, story.now)]
    assert (items[0] == "trespass" if told else "trespass" not in items) if items else not told
    assert story.lease(held) is not None


def test_nobody_is_told_of_what_it_did_not_hold_when_it_was_committed() -> None:
    story = Story.of("ann", "bob")
    story.claim("bob", "shared", mode="shared")
    story.claim("ann", "shared", mode="shared")
    story.claim("ann", "early", ttl_seconds=300)
    before = story.wait(minutes(4)).now
    story.wait(minutes(10)).claim("ann", "late")
    assert _commit(story, "bob", "late", at=before).touched == ()  # kept while the remote was away
    assert _commit(story, "bob", "early", "shared").touched == ()
    assert _commit(story, "bob", "early", at=before).touched
    assert _commit(story, "ann", "late").touched == ()
    old = story.command(RecordHeartbeat, "bob", folded=1, files_touched=("late",), committed=(committed(story.now, "late"),))
    story.start("bob", succeeds="bob-1")
    assert story.ask(old) is None


def test_no_event_names_a_lease_that_no_file_of_it_meets() -> None:
    story = Story.of("ann", "bob")
    fence = story.claim("ann", "a").seq
    for touched, files, wrong in [
        (f"{fence} ann file:a", ("a",), ""),
        (f"{fence} ann file:a", ("b",), "no file"),
        (f"{fence} bob file:a", ("a",), "doesn't hold"),
        (f"{fence + 1} ann file:a", ("a",), "doesn't hold"),
    ]:
        said = story.problem(story.event(HeartbeatRecorded, "bob", touched=(touched,), files_touched=files)) or ""
        assert wrong in said
        assert bool(wrong) == bool(said)


def test_lines_are_told_with_their_base_and_since_when_each_file_was_changed(story: Story) -> None:
    story.beat("ann", "edited", base=COMMIT, commit=COMMIT, touches=("a.py:12-40,?", "new.py:+,?"))
    story.wait(minutes(3)).beat("ann", progress="1%")  # what isn't said stays
    story.wait(minutes(2)).beat("ann", base=COMMIT, commit="1" * 40, touches=("a.py:12-41",))
    beat = story.state.heartbeats["ann"]
    assert [(one.path, one.lines, one.since) for one in beat.touches] == [("a.py", "12-41", T0)]
    assert (beat.base, beat.commit) == (COMMIT, "1" * 40)
    story.beat("ann", base="1" * 40)
    assert story.state.heartbeats["ann"].touches == ()


def test_lines_without_the_commit_whose_lines_they_are_are_refused(story: Story) -> None:
    event = HeartbeatRecorded(
        id="x" * 26, seq=story.state.seq + 1, session="ann", run_id=story.state.sessions["ann"].run_id, at=T0, touches=("a.py:1",)
    )
    assert story.state.seq
    assert event.problem(story.state, T0) == "it names lines, and not the commit whose lines they are"
    for wrong in (("a.py",), tuple(f"{number}:1" for number in range(65)), (f"{'x' * 400}:1",) * 11):
        with pytest.raises(ValueError, match=r"touches"):
            HeartbeatRecorded(**{**dict(event), "touches": wrong})
