"""Taking the place of a session that has been silent for long: its leases go over in the commit that ends it."""

from __future__ import annotations

import pytest
from pure_branch import Story, hours, minutes, seconds

from gitcoord.core.succession import SessionSuperseded
from gitcoord.errors import BadInput, ClockSkew, Held, NoSession, NotHeld


@pytest.fixture
def story() -> Story:
    """ann holds something and falls silent at 10:00; bob is there."""
    story = Story.of("ann", "bob", "eve")
    story.claim("ann", "a.py", "docs", ttl_seconds=4 * 3600, phase="BUILD")
    return story


def test_silent_session_is_over_and_its_leases_are_the_takers(story: Story) -> None:
    event = story.wait(minutes(31)).supersede("bob", "ann")
    assert story.holds("ann") == set()
    assert story.holds("bob") == {"file:a.py", "file:docs"}
    lease = story.lease("a.py")
    assert lease is not None
    assert (lease.fence, lease.run_id, lease.phase, lease.expires_at) == (event.seq, "bob-1", "BUILD", story.now + hours(1))
    old = story.state.sessions["ann"]
    assert (old.status, old.superseded_by, old.ended_at) == ("abandoned", "bob", story.now)
    assert "ann" not in story.state.heartbeats


def test_live_session_is_refused_with_until_when_it_counts_as_alive(story: Story) -> None:
    story.wait(minutes(20)).beat("ann", "building")
    story.wait(minutes(29) + seconds(59))
    with pytest.raises(Held, match=r"alive until 2025-11-15T10:50:00Z"):
        story.supersede("bob", "ann")
    story.wait(seconds(1))
    assert story.supersede("bob", "ann")


def test_late_commands_of_the_old_one_are_refused_with_who_has_its_place(story: Story) -> None:
    fence = story.lease("a.py").fence  # type: ignore[union-attr]  # it is there
    story.wait(minutes(31)).supersede("bob", "ann")
    with pytest.raises(NotHeld, match="bob took the place of ann"):
        story.renew("ann", "a.py")
    with pytest.raises(NotHeld):
        story.claim("ann", "new.py")
    assert story.release("ann", "a.py", fence=fence).lapsed
    assert story.beat("ann", "back").lapsed
    assert story.holds("bob") == {"file:a.py", "file:docs"}
    story.start("ann")
    assert story.claim("ann", "new.py")


def test_what_somebody_waits_for_goes_to_the_line(story: Story) -> None:
    story.wait(minutes(25)).claim("eve", "docs/x", wait=True)
    story.wait(minutes(6)).supersede("bob", "ann")
    assert story.holds("bob") == {"file:a.py"}
    assert story.holds("eve") == {"file:docs/x"}


def test_who_waits_for_it_itself_gets_it(story: Story) -> None:
    story.wait(minutes(25)).claim("bob", "docs", wait=True)
    story.wait(minutes(6)).supersede("bob", "ann")
    assert story.holds("bob") == {"file:a.py", "file:docs"}
    assert story.state.waiting == {}


def test_ended_session_has_nothing_left_to_take(story: Story) -> None:
    story.end("ann")
    assert story.supersede("bob", "ann") is None
    with pytest.raises(NoSession):
        story.supersede("bob", "zoe")
    with pytest.raises(BadInput):
        story.supersede("bob", "bob")


def test_wrong_clock_supersedes_nobody(story: Story) -> None:
    story.wait(minutes(5))
    with pytest.raises(ClockSkew):
        story.supersede("bob", "ann", now=story.now + hours(5), witness=lambda: story.now)
    story.wait(hours(2)).beat("eve", "x")
    with pytest.raises(ClockSkew):
        story.supersede("bob", "ann", now=story.now - hours(1))
    assert story.supersede("bob", "ann", witness=lambda: story.now)


def test_no_event_says_that_a_live_session_was_silent(story: Story) -> None:
    def forged(**given: object) -> str | None:
        common = {"previous": "ann", "previous_run": "ann-1"}
        return story.problem(story.event(SessionSuperseded, "bob", **{**common, **given}))

    assert "not silent" in (forged() or "")
    story.wait(minutes(31))
    assert forged() is None
    assert forged(previous="bob", previous_run="bob-1")
    assert forged(previous="zoe")
    assert forged(previous_run="ann-0")
    other = story.claim("eve", "e.py").seq
    held = story.lease("a.py").fence  # type: ignore[union-attr]  # it is there
    until = {"ttl_seconds": 3600, "expires_at": story.now + hours(1)}
    assert forged(moved=(f"{held} file:a.py",), **until) is None
    assert forged(moved=(f"{held} file:a.py",))
    assert forged(moved=(f"{other} file:e.py",), **until)
    assert forged(moved=(f"{held - 1} file:a.py",), **until)
    story.claim("eve", "a.py", wait=True)
    assert forged(moved=(f"{held} file:a.py",), **until)
