"""Handoffs: a release with a next phase leaves one; whoever claims the thing takes it."""

from __future__ import annotations

import pytest
from pure_branch import COMMIT, Story, minutes

from gitcoord.core import handover


@pytest.fixture
def story() -> Story:
    """ann has left the dashboard ready for its next phase."""
    story = Story.of("ann", "bob", "eve")
    story.claim("ann", "droplet:dashboard", "droplet:church", phase="BUILD")
    story.release("ann", "droplet:dashboard", next_phase="PRODUCTION", done="built", tests="pass", branch="topic", commit=COMMIT)
    return story


def test_offer_says_what_is_ready_for_what(story: Story) -> None:
    (offer,) = story.state.handoffs.values()
    assert (offer.sender, offer.to, offer.status, offer.taken_by) == ("ann", "anyone", "open", None)
    assert (offer.resources, offer.next, offer.phase) == (("droplet:dashboard",), "PRODUCTION", "BUILD")
    assert (offer.done, offer.tests, offer.branch, offer.commit) == ("built", "pass", "topic", COMMIT)


def test_claim_of_the_thing_takes_the_offer(story: Story) -> None:
    story.claim("bob", "droplet:dashboard")
    (offer,) = story.state.handoffs.values()
    assert (offer.status, offer.taken_by) == ("taken", "bob")


def test_claim_of_something_else_leaves_it_open(story: Story) -> None:
    story.claim("bob", "droplet:dash")
    (offer,) = story.state.handoffs.values()
    assert (offer.status, offer.taken_by) == ("open", None)


def test_taken_offer_is_not_taken_again(story: Story) -> None:
    story.claim("bob", "droplet:dashboard")
    story.release("bob", "droplet:dashboard")
    story.claim("eve", "droplet:dashboard")
    (offer,) = story.state.handoffs.values()
    assert offer.taken_by == "bob"


def test_offer_may_name_its_receiver(story: Story) -> None:
    story.release("ann", "droplet:church", to="bob")
    (offer,) = (one for one in story.state.handoffs.values() if one.resources == ("droplet:church",))
    assert offer.to == "bob"


def test_offer_to_a_group_tells_each_of_it_until_one_takes_it() -> None:
    story = Story.of("ann")
    for name in ("bob", "eve", "joe"):
        story.start(name, role="writer" if name != "joe" else None)
    offered = story.ask(story.command(handover.OfferHandoff, "ann", to="role:writer", next="the index"))
    assert isinstance(offered, handover.HandoffOffered)
    assert {name: story.subjects(name) for name in ("ann", "bob", "eve", "joe")} == {
        "ann": [], "bob": ["ann hands work to role:writer: the index"], "eve": ["ann hands work to role:writer: the index"],
        "joe": [],
    }  # fmt: skip
    story.ask(story.command(handover.TakeHandoff, "bob", handoff=offered.id))
    story.wait(minutes(1))
    assert story.subjects("eve") == []
