"""When an epoch may be closed, what is left out of the next one, and that numbers and fences go on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pure_branch import Story, days, hours, minutes, stamp

from gitcoord.core import epochs, rules
from gitcoord.core.epochs import LEASE, CloseEpoch, EpochClosed
from gitcoord.core.state import State
from gitcoord.errors import BadInput, NotHeld

TREE = "a" * 40
COMMIT = "b" * 40


@pytest.fixture
def story() -> Story:
    """ada and ben are there, and ada holds the lease."""
    told = Story.of("ada", "ben")
    told.claim("ada", str(LEASE))
    return told


def closed(story: Story, kept: timedelta | None = None, session: str = "ada") -> EpochClosed:
    """What closing the epoch now would write."""
    seconds = None if kept is None else int(kept.total_seconds())
    return epochs.decide_close(story.state, story.command(CloseEpoch, session, kept=seconds), stamp(story.state, story.now))


def opened(story: Story, closing: EpochClosed) -> State:
    """The state with which the next epoch begins."""
    story.happen(closing)
    story.happen(epochs.opened(closing, COMMIT))
    return story.state


def test_numbers_and_fences_go_on(story: Story) -> None:
    fence = story.claim("ben", "src/api.py").seq
    state = opened(story, closed(story))
    assert (state.rules.epoch, state.rules.began, state.seq) == (2, state.seq, fence + 2)
    assert [(one.claimed_by, one.fence) for one in state.claims.values()] == [("ben", fence)]
    assert story.claim("ada", "docs").seq == fence + 3


def test_only_who_holds_the_lease_closes_it(story: Story) -> None:
    with pytest.raises(NotHeld):
        closed(story, session="ben")
    honest = closed(story)
    assert story.problem(honest) is None
    stolen = honest.model_copy(update={"session": "ben", "run_id": story.runs["ben"]})
    assert "ben doesn't hold" in (story.problem(stolen) or "")
    story.wait(hours(25))
    assert "ada doesn't hold" in (story.problem(honest.model_copy(update={"at": story.now})) or "")


def test_it_is_this_epoch_that_is_closed_and_the_next_one_that_is_opened(story: Story) -> None:
    honest = closed(story)
    assert story.problem(honest.model_copy(update={"epoch": 2})) == "this is epoch 1"
    assert story.problem(epochs.opened(honest.model_copy(update={"seq": honest.seq - 1}), COMMIT)) is not None
    story.happen(honest)
    wrong = epochs.opened(honest, COMMIT).model_copy(update={"epoch": 3})
    assert "doesn't begin with event" in (story.problem(wrong) or "")
    story.happen(epochs.opened(honest, COMMIT))
    again = epochs.opened(honest, COMMIT).model_copy(update={"seq": story.state.seq + 1})
    assert "doesn't begin with event" in (story.problem(again) or "")


def test_what_was_over_for_long_is_left_out_and_what_lives_stays(story: Story) -> None:
    story.setting("ada", "retention", str(365 * 86400))
    story.start("old")
    story.send("ben", "ada", "read long ago")
    story.take("ada")
    story.end("old")
    story.handoff("ben", "anyone", next="still open")
    story.wait(days(40))
    story.beat("ben", "here")
    story.send("ben", "ada", "new")
    story.claim("ada", str(LEASE))
    before = story.state
    state = opened(story, closed(story, days(30)))
    assert "old" in before.sessions
    assert "old" not in state.sessions
    assert {"ada", "ben"} <= set(state.sessions)
    assert [one.subject for one in state.messages.to("ada")] == ["new"]
    assert [one.next for one in state.handoffs.values()] == ["still open"]


def test_nothing_young_goes_and_no_clock_alone_makes_it_old(story: Story) -> None:
    honest = closed(story, days(2))
    early = honest.model_copy(update={"before": story.now - hours(23)})
    assert story.problem(early) == "it leaves out what is not old enough"
    with pytest.raises(BadInput):
        epochs.check_kept(hours(1))
    alone = Story.of("ada")
    alone.claim("ada", str(LEASE))
    alone.wait(minutes(5))
    assert closed(alone, days(30)).before is None
    assert alone.problem(closed(alone).model_copy(update={"before": alone.now - days(400)})) is not None


def test_another_event_after_a_closed_epoch_is_not_what_rules_judge() -> None:
    """A reader never goes on from a closing commit but by a root: the ids stay as they were used."""
    assert (EpochClosed.kind in rules.EVENTS, CloseEpoch.kind in rules.COMMANDS) == (True, False)
