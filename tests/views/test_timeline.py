"""The past as a picture: what it says of the moment after each event is what the state says."""

from __future__ import annotations

from datetime import datetime

import pytest
from pure_branch import Happened, Story, minutes
from workdays import picture_of, workday

from gitcoord.core import leases, rules
from gitcoord.core.state import State
from gitcoord.core.succession import SupersedeSession
from gitcoord.views.timeline import Bar, Card, Picture, Queueing


def after(picture: Picture, seq: int, when: datetime) -> dict[str, object]:
    """What the picture says of the moment after that event: the rule by which the page goes too."""

    def goes_on(one: Bar | Queueing) -> bool:
        return one.began[0] <= seq and not (one.ended and one.ended <= seq) and when < one.until

    def status(card: Card) -> str:
        return next((state for at, state, _ in reversed(card.steps) if at <= seq), "open")

    return {
        "sessions": sorted(one.session for one in picture.stays if one.began[0] <= seq and not (one.ended and one.ended[0] <= seq)),
        "claims": sorted((one.session, one.what, one.began[0]) for one in picture.bars if goes_on(one)),
        "waits": sorted((one.session, one.what) for one in picture.waits if goes_on(one)),
        "asked": sorted(one.id for one in picture.notes if one.asks and one.seq <= seq < (one.answered or seq + 1)),
        "handoffs": sorted(one.id for one in picture.passes if one.began[0] <= seq and not (one.taken and one.taken[0] <= seq)),
        "tasks": {card.seq: status(card) for card in picture.cards if card.began[0] <= seq},
    }  # fmt: skip


def really(state: State) -> dict[str, object]:
    """What the state says, at the time of its newest commit."""
    return {
        "sessions": sorted(one.session_id for one in state.sessions.live()),
        "claims": sorted((one.claimed_by, str(one.resource), one.fence) for one in leases.live(state, state.at)),
        "waits": sorted((one.session_id, one.resources) for one in state.waiting.values() if one.until > state.at),
        "asked": sorted(one.id for one in state.messages.values() if one.asks),
        "handoffs": sorted(one.id for one in state.handoffs.values() if one.status == "open"),
        "tasks": {task.seq: task.status for task in state.tasks.values()},
    }


def states(past: list[Happened]) -> list[State]:
    """The state after each event."""
    found, state = [], State()
    for one in past:
        state = rules.evolve(state, one.event, one.committed_at)
        found.append(state)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_after_each_event_the_picture_says_what_the_state_says(seed: int) -> None:
    story = workday(6, events=220, seed=seed)
    picture = picture_of(story)
    for state in states(story.past):
        assert after(picture, state.seq, state.at) == really(state), state.seq
    assert picture.total == story.state.seq == len(picture.steps)


def test_a_picture_of_the_end_keeps_what_was_still_going_on_before() -> None:
    story = workday(6, events=220, seed=4)
    whole = picture_of(story)
    part = whole.since(150)
    assert [step.seq for step in part.steps] == list(range(150, whole.total + 1))
    for state in states(story.past)[149:]:
        assert after(part, state.seq, state.at) | {"tasks": 0} == really(state) | {"tasks": 0}
    assert len(part.bars) < len(whole.bars)
    assert part.sums == whole.sums


def test_a_lease_ends_where_its_time_ran_out() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "a", ttl_seconds=600)
    story.wait(minutes(30)).beat("bob", "building")
    (bar,) = picture_of(story).bars
    assert (bar.how, bar.ended, bar.until - bar.began[1]) == ("expired", None, minutes(10))


def test_who_waits_is_told_with_who_held_it() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "src")
    story.claim("bob", "src/api.py", wait=True)
    (wait,) = picture_of(story).waits
    assert (wait.session, wait.what, wait.holders, wait.ended) == ("bob", ("file:src/api.py",), ("ann",), None)


def test_a_session_that_is_replaced_has_left() -> None:
    story = Story.of("ann", "bob")
    story.wait(minutes(60 * 3))
    event = story.ask(story.command(SupersedeSession, "bob", previous="ann"))
    stays = {one.session: one for one in picture_of(story).stays}
    assert event is not None
    assert (stays["ann"].how, stays["ann"].ended) == ("superseded", (event.seq, story.state.at))


def test_others_texts_are_one_plain_line() -> None:
    story = Story.of("ann", "bob")
    story.send("ann", "bob", "a question", type="question", message="one\n\x1b[2Jtwo\u202e")
    (note,) = picture_of(story).notes
    assert note.body == "one\n\\x1b[2Jtwo\\u202e"
