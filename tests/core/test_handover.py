"""Passing work on: who offers keeps its leases until somebody takes them, and exactly one takes, in one commit."""

from __future__ import annotations

from typing import Any

import pytest
from pure_branch import COMMIT, Story, days, hours, minutes

from gitcoord.core import handoffs, rules
from gitcoord.core.events import Clock
from gitcoord.core.handover import HandoffOffered, HandoffTaken, OfferHandoff, TakeHandoff
from gitcoord.core.records import Handoff
from gitcoord.core.sessions import SessionEnded
from gitcoord.errors import BadInput, Held, NoSession, NotHeld


@pytest.fixture
def story() -> Story:
    """ann holds two files and a folder; bob and eve are there."""
    story = Story.of("ann", "bob", "eve")
    story.claim("ann", "a.py", phase="BUILD", reason="the parser")
    story.claim("ann", "docs", mode="shared")
    story.claim("ann", "src")
    return story


def offer_of(story: Story) -> Handoff:
    """The newest handoff."""
    return max(story.state.handoffs.values(), key=lambda one: one.seq)


# --- offering ----------------------------------------------------------------------------------------------------------


def test_offer_says_all_and_takes_nothing_from_its_giver(story: Story) -> None:
    said = {"done": "half", "next": "the rest", "blockers": "CI", "tests": "2 fail", "branch": "topic", "commit": COMMIT}
    event = story.handoff("ann", "bob", notes="look at b.py", **said)
    offer = offer_of(story)
    assert {key: getattr(offer, key) for key in said} == said
    assert (offer.id, offer.seq, offer.sender, offer.to, offer.notes) == (event.id, event.seq, "ann", "bob", "look at b.py")
    assert (offer.status, offer.taken_by, offer.resources) == ("open", None, ("file:a.py", "file:docs", "file:src"))
    assert story.holds("ann") == {"file:a.py", "file:docs", "file:src"}
    assert story.wait(minutes(62)).claim("bob", "a.py")  # it goes on expiring as every lease does


def test_only_the_chosen_claims_go_along(story: Story) -> None:
    story.handoff("ann", "bob", "a.py", "droplet:unheld")
    assert offer_of(story).resources == ("file:a.py",)
    story.ask(story.command(OfferHandoff, "ann", to="bob", leases=()))
    assert offer_of(story).resources == ()


@pytest.mark.parametrize("to", ["bob", "anyone", "role:reviewer"])
def test_one_session_is_told_by_a_message_and_nobody_else_is(story: Story, to: str) -> None:
    story.handoff("ann", to, next="the rest")
    told = [(one.type, one.details) for one in story.unread("bob")]
    assert told == ([("handoff", {"handoff": offer_of(story).id})] if to == "bob" else [])
    assert story.unread("eve") == story.unread("ann") == []


def test_unknown_receiver_is_refused(story: Story) -> None:
    with pytest.raises(NoSession):
        story.handoff("ann", "zoe")
    for to in ("broadcast", "Bob", "role:", "x:y"):
        event = story.event(HandoffOffered, "ann", to=to)
        assert story.problem(event) is not None, to
    assert story.problem(story.event(HandoffOffered, "ann", to="role:x")) is None


def test_late_offer_of_an_older_run_has_no_effect(story: Story) -> None:
    late = story.command(OfferHandoff, "ann")
    story.start("ann", succeeds=story.runs["ann"])
    event = story.ask(late)
    assert event is not None
    assert event.lapsed
    assert event.leases == ()
    assert story.state.handoffs == {}


def test_nobody_offers_what_is_not_its_own(story: Story) -> None:
    fence = story.claim("eve", "e.py").seq
    for session, entry in (("bob", f"{fence} file:e.py"), ("eve", f"{fence - 1} file:e.py"), ("eve", f"{fence} file:x")):
        event = story.event(HandoffOffered, session, to="anyone", leases=(entry,))
        assert "doesn't hold" in (story.problem(event) or ""), entry
    assert story.problem(story.event(HandoffOffered, "eve", to="anyone", leases=(f"{fence} file:e.py",))) is None


# --- taking ------------------------------------------------------------------------------------------------------------


def test_taker_has_every_lease_under_a_new_fence_in_the_same_commit(story: Story) -> None:
    offer = story.handoff("ann", next="the rest")
    taken = story.wait(minutes(10)).accept("bob", offer)
    assert story.holds("ann") == set()
    leases = [story.lease(name) for name in ("a.py", "docs", "src")]
    assert [(one.claimed_by, one.run_id, one.fence, one.expires_at) for one in leases if one] == [
        ("bob", "bob-1", taken.seq, story.now + hours(1))
    ] * 3
    assert [one.mode for one in leases if one] == ["exclusive", "shared", "exclusive"]
    assert leases[0]
    assert (leases[0].phase, leases[0].reason) == ("BUILD", "the parser")
    record = offer_of(story)
    assert (record.status, record.taken_by, record.taken_at) == ("taken", "bob", story.now)


def test_giver_is_told_and_its_old_fence_is_worth_nothing(story: Story) -> None:
    fence = story.lease("a.py").fence  # type: ignore[union-attr]  # it is there
    story.accept("bob", story.handoff("ann"))
    [told] = story.unread("ann")
    assert (told.type, told.sender) == ("handoff", "bob")
    assert f"file:a.py (fence {fence})" in told.message
    with pytest.raises(NotHeld):
        story.renew("ann", "a.py")
    assert story.release("ann", "a.py", fence=fence).lapsed
    assert story.lease("a.py", "bob")


def test_second_taker_is_told_who_was_first_and_when(story: Story) -> None:
    offer = story.handoff("ann")
    story.accept("bob", offer)
    before = story.state
    with pytest.raises(Held, match=r"taken by bob 2025-11-15T10:00:00Z"):
        story.wait(minutes(1)).accept("eve", offer)
    assert story.state is before
    assert story.accept("bob", offer) is None  # the same again, after an answer that was lost


def test_handoff_for_another_is_refused_and_the_giver_may_take_it_back(story: Story) -> None:
    offer = story.handoff("ann", "bob")
    with pytest.raises(Held, match="is for bob"):
        story.accept("eve", offer)
    with pytest.raises(BadInput):
        story.accept("eve", "nothing")
    fences = {one.fence for one in story.state.claims.values()}
    story.accept("ann", offer)
    assert (offer_of(story).status, offer_of(story).taken_by) == ("taken", "ann")
    assert {one.fence for one in story.state.claims.values()} == fences
    with pytest.raises(Held, match="taken by ann"):
        story.accept("bob", offer)


def test_group_takes_and_what_was_for_one_who_ended_is_for_anyone(story: Story) -> None:
    story.start("rev", role="reviewer", capabilities=("rust",))
    for to in ("role:reviewer", "cap:rust"):
        offer = story.handoff("ann", to)
        with pytest.raises(Held):
            story.accept("eve", offer)
        story.accept("rev", offer)
    offer = story.handoff("ann", "bob")
    story.end("bob")
    story.accept("eve", offer)
    assert offer_of(story).taken_by == "eve"


def test_lease_that_is_younger_than_the_offer_stays(story: Story) -> None:
    offer = story.handoff("ann", "anyone", "a.py")
    story.release("ann", "a.py")
    again = story.claim("ann", "a.py").seq
    story.accept("bob", offer)
    assert story.lease("a.py").fence == again  # type: ignore[union-attr]  # it is there
    assert story.lease("a.py", "ann")


def test_what_its_giver_holds_no_more_is_granted_where_it_is_free(story: Story) -> None:
    offer = story.handoff("ann")
    story.release("ann", "a.py", "src")
    story.claim("eve", "src")
    story.accept("bob", offer)
    assert story.holds("bob") == {"file:a.py", "file:docs"}
    assert story.holds("eve") == {"file:src"}


def test_part_of_what_its_giver_keeps_does_not_go(story: Story) -> None:
    """Two holders of what overlaps would be there otherwise."""
    story.claim("ann", "src/x.py")
    story.accept("bob", story.handoff("ann", "anyone", "src/x.py", "a.py"))
    assert story.holds("bob") == {"file:a.py"}
    assert story.holds("ann") == {"file:docs", "file:src", "file:src/x.py"}


def test_who_stands_in_line_comes_before_what_is_free_but_a_lease_is_its_holders_to_pass_on(story: Story) -> None:
    offer = story.handoff("ann")
    story.claim("eve", "a.py", wait=True)
    story.claim("eve", "src", wait=True)
    story.release("ann", "src")  # offered to eve, who stands in line for it
    story.accept("bob", offer)
    assert story.holds("bob") == {"file:a.py", "file:docs"}
    assert story.lease("src", "eve")


def test_expired_lease_goes_to_the_line_first(story: Story) -> None:
    offer = story.handoff("ann", "anyone", "a.py")
    story.wait(minutes(55)).claim("eve", "a.py", wait=True)
    story.wait(minutes(6))
    story.accept("bob", offer)
    assert story.holds("bob") == set()
    free = story.handoff("bob")
    assert story.problem(story.event(HandoffTaken, "eve", handoff=free.id, giver="bob")) is None


def test_release_with_a_next_phase_is_taken_by_a_take_too(story: Story) -> None:
    story.claim("ann", "droplet:x", phase="BUILD")
    offer = story.release("ann", "droplet:x", next_phase="PRODUCTION")
    story.accept("bob", offer)
    assert story.holds("bob") == {"droplet:x"}
    assert offer_of(story).taken_by == "bob"


def test_claim_takes_what_a_release_left_and_no_words_of_a_handoff(story: Story) -> None:
    """Who only claims is not shown what the giver wrote: nobody would read it any more."""
    offer = story.handoff("ann", notes="mind the gap")
    story.release("ann", "a.py")
    story.claim("bob", "a.py")
    assert story.state.handoffs[offer.id].status == "open"


def _forged(story: Story, offer: Any, session: str = "bob", **given: Any) -> str | None:
    fence = story.lease("a.py").fence  # type: ignore[union-attr]  # it is there
    until = story.now + hours(1)
    common = {
        "handoff": offer.id, "giver": "ann", "moved": (f"{fence} file:a.py",), "resources": ("file:a.py",), "ttl_seconds": 3600,
        "expires_at": until,
    }  # fmt: skip
    return story.problem(story.event(HandoffTaken, session, **{**common, **given}))


def test_taker_names_no_lease_that_was_not_the_givers_to_give(story: Story) -> None:
    other = story.claim("eve", "e.py").seq
    kept = story.lease("src").fence  # type: ignore[union-attr]  # it is there
    offer = story.handoff("ann", "anyone", "a.py")
    young = story.claim("ann", "y.py").seq
    assert _forged(story, offer) is None
    for entry in (f"{other} file:e.py", f"{kept} file:src", f"{young} file:y.py", "1 file:a.py"):
        resource = entry.partition(" ")[2]
        assert _forged(story, offer, moved=(entry,), resources=(resource,)), entry
    assert _forged(story, offer, giver="eve")
    assert _forged(story, offer, resources=("file:a.py", "file:z.py"))
    assert _forged(story, offer, resources=())
    assert _forged(story, offer, resources=("file:a.py", "file:a.py"))
    assert _forged(story, offer, moved=())
    assert _forged(story, offer, expires_at=None)
    assert _forged(story, offer, expires_at=story.now + days(9))
    assert _forged(story, offer, ttl_seconds=1)
    assert _forged(story, offer, handoff="nothing")
    assert _forged(story, story.handoff("ann", "eve", "a.py"))
    story.release("ann", "a.py")
    again = story.claim("ann", "a.py").seq
    assert "younger" in (_forged(story, offer, moved=(f"{again} file:a.py",)) or "")


def test_two_takers_of_the_same_moment_are_one_taker(story: Story) -> None:
    """Both decide on the same state; the second one's event is not valid any more, and deciding anew refuses it."""
    offer = story.ask(story.command(OfferHandoff, "ann", to="anyone", leases=(), next="the rest"))
    assert offer is not None
    events = [
        rules.decide(story.state, story.command(TakeHandoff, name, handoff=offer.id), Clock(now=story.now))
        for name in ("bob", "eve")
    ]
    story.happen(events[0])
    assert story.problem(events[1].model_copy(update={"seq": story.state.seq + 1}))
    with pytest.raises(Held):
        story.accept("eve", offer)


# --- an end that hands over --------------------------------------------------------------------------------------------


def test_end_leaves_a_handoff_and_frees_what_it_names(story: Story) -> None:
    """A lease needs somebody who answers for it: nobody holds what an ended session held."""
    story.end("ann", done=("half",), notes="mind the gap", to="anyone", next="the rest", branch="topic", commit=COMMIT)
    offer = offer_of(story)
    assert (offer.done, offer.next, offer.notes, offer.branch, offer.commit) == (
        "half",
        "the rest",
        "mind the gap",
        "topic",
        COMMIT,
    )
    assert offer.resources == ("file:a.py", "file:docs", "file:src")
    assert story.holds("ann") == set()
    story.accept("bob", offer.id)
    assert story.holds("bob") == set(offer.resources)


def test_end_for_somebody_who_is_not_known_any_more_is_for_anyone(story: Story) -> None:
    story.end("ann", to="zoe")
    assert offer_of(story).to == "anyone"


def test_end_hands_over_only_its_own(story: Story) -> None:
    fence = story.claim("eve", "e.py").seq
    assert story.problem(story.event(SessionEnded, "bob", to="anyone", released=(f"{fence} file:e.py",)))
    assert story.problem(story.event(SessionEnded, "bob", to="nobody at all"))
    assert story.problem(story.event(SessionEnded, "bob", to="anyone")) is None


# --- what a session sees -----------------------------------------------------------------------------------------------


def test_own_last_handoff_comes_first_then_those_to_it_then_its_groups_then_anyones() -> None:
    story = Story.of("bob")
    here = {"host": "h", "repo": "r", "branch": "b"}
    story.start("old", **here)
    story.start("ann", role="reviewer", **here)
    story.handoff("bob", "anyone", next="4")
    story.handoff("bob", "role:reviewer", next="3")
    story.handoff("bob", "ann", next="2")
    story.handoff("ann", "anyone", next="own, of this run")
    story.handoff("bob", "old", next="for another")
    story.end("ann", to="anyone", next="0")
    story.start("ann", role="reviewer", **here)
    seen = [one.next for one in handoffs.open_for(story.state, "ann")]
    assert seen == ["own, of this run", "0", "2", "3", "4"]  # of the run before this one, by now
    story.end("old", to="anyone", next="1")
    assert [one.next for one in handoffs.open_for(story.state, "ann")] == [
        "own, of this run", "0", "1", "2", "3", "4", "for another",
    ]  # fmt: skip
    story.handoff("ann", "anyone", next="new")
    assert "new" not in [one.next for one in handoffs.open_for(story.state, "ann")]
    assert handoffs.open_for(story.state, "nobody") == []
