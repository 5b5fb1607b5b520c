"""For whom a branch may speak, what readers accept of that, and how a carried command is answered."""

from __future__ import annotations

import pytest
from pure_branch import Story, minutes

from gitcoord.core.carrying import CarryAnswered, error_of, may_carry
from gitcoord.core.claims import AcquireClaims, ClaimAcquired
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.messages import SendMessage, TakeMessages
from gitcoord.core.sessions import StartSession
from gitcoord.errors import BadInput, Held, NoSession, NotHeld, NotInTime

FROM = "ada claude/x@" + "a" * 40
LATER = "ben claude/x@" + "b" * 40
ELSEWHERE = "ada claude/y@" + "a" * 40


@pytest.fixture
def story() -> Story:
    """`ada` pushes; `cloud` was started from claude/x."""
    made = Story.of("ada")
    made.start("cloud", offline=True, carried=FROM)
    return made


def test_the_record_says_up_to_where_its_branch_was_adopted(story: Story) -> None:
    event = story.ask(story.command(SendMessage, "cloud", to="ada", subject="x", carried=LATER))
    assert event is not None
    known = story.state.sessions["cloud"]
    assert (known.carried, known.carried_op) == (LATER, event.id)


@pytest.mark.parametrize(
    ("session", "carried", "error"), [("cloud", ELSEWHERE, NotHeld), ("ada", FROM, NotHeld), ("nobody", FROM, NoSession)]
)
def test_a_branch_speaks_only_for_the_sessions_that_it_started(
    story: Story, session: str, carried: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        story.decide(story.command(SendMessage, session, to="ada", subject="x", carried=carried))


@pytest.mark.parametrize(("session", "carried"), [("cloud", ELSEWHERE), ("ada", FROM), ("cloud", "no carrier")])
def test_no_reader_accepts_an_event_of_another_carrier(story: Story, session: str, carried: str) -> None:
    event = story.event(HeartbeatRecorded, session, action="building", carried=carried)
    assert story.problem(event) is not None
    assert story.problem(event.model_copy(update={"carried": None})) is None


def test_who_pushes_by_itself_is_carried_no_more(story: Story) -> None:
    story.beat("cloud", "building")
    assert story.state.sessions["cloud"].carried is None
    with pytest.raises(NotHeld, match="pushes by itself"):
        story.decide(story.command(SendMessage, "cloud", to="ada", subject="x", carried=LATER))


def test_a_claim_is_granted_or_answered_under_its_own_operation(story: Story) -> None:
    story.claim("ada", "a.py")
    granted = story.ask(story.command(AcquireClaims, "cloud", resources=("file:b.py",), carried=LATER))
    assert isinstance(granted, ClaimAcquired)
    refused = story.command(AcquireClaims, "cloud", resources=("file:a.py",), carried=LATER)
    answer = story.ask(refused)
    assert isinstance(answer, CarryAnswered)
    assert (answer.id, answer.exit_code) == (refused.op, 3)
    assert isinstance(error_of(answer), Held)
    assert "a.py is held by ada" in str(error_of(answer))
    assert story.holds("cloud") == {"file:b.py"}
    assert story.state.sessions["cloud"].carried_op == refused.op


@pytest.mark.parametrize(("given", "error"), [({"wait": True}, BadInput), ({"breaks": 3}, BadInput)])
def test_a_carried_claim_neither_waits_nor_breaks(story: Story, given: dict[str, object], error: type[Exception]) -> None:
    answer = story.ask(story.command(AcquireClaims, "cloud", resources=("file:a.py",), carried=LATER, **given))
    assert isinstance(answer, CarryAnswered)
    assert isinstance(error_of(answer), error)


def test_a_claim_that_nobody_waits_for_any_more_is_not_granted(story: Story) -> None:
    command = story.command(AcquireClaims, "cloud", resources=("file:a.py",), carried=LATER)
    story.wait(minutes(11))
    answer = story.ask(command)
    assert isinstance(answer, CarryAnswered)
    assert isinstance(error_of(answer), NotInTime)
    assert story.holds("cloud") == set()


def test_only_what_is_carried_is_answered_and_only_some_kinds_are_carried(story: Story) -> None:
    bare = story.event(CarryAnswered, "cloud", command="claim.acquire", lapsed="no")
    assert story.problem(bare) is not None
    assert story.problem(bare.model_copy(update={"carried": LATER, "lapsed": None})) is not None
    with pytest.raises(BadInput):
        story.decide(story.command(TakeMessages, "cloud", carried=LATER))
    with pytest.raises(BadInput):
        story.decide(story.command(StartSession, "other", run_id="01R", generated=True, carried=LATER))
    with pytest.raises(Held):
        story.decide(story.command(StartSession, "ada", run_id="01R", offline=True, carried=LATER))


def test_which_branches_may_carry() -> None:
    assert [one for one in ("claude/x", "claude/a/b", "claude/", "claude", "main", "", None) if may_carry("claude/* x/*", one)] == [
        "claude/x",
        "claude/a/b",
    ]
