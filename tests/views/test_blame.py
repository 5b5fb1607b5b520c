"""Whose a commit of a file is: its own word first, then what hooks told, then who alone held the file."""

from __future__ import annotations

from datetime import datetime

import pytest
from plans import PlanStory
from pure_branch import COMMIT, T0, Story, minutes

from gitcoord.core.names import Resource
from gitcoord.views.blame import Origin, Past
from gitcoord.views.holdings import HistoryStep

API = Resource("file", "src/api.py")
OTHER = "1" * 40


def origin(story: Story, at: datetime, *named: str, commit: str = COMMIT) -> Origin:
    """Whose that commit of src/api.py is, made then."""
    past = Past(story.now)
    for number, one in enumerate(story.past):
        past.see(HistoryStep(f"{number:040x}", one.event, one.committed_at))
    return past.origins(API, {commit: (at, named)})[commit]


@pytest.fixture
def story() -> PlanStory:
    """Ann holds the file and task 1 from 10:00 to 10:30; bob holds all of src from 10:40 on."""
    found = PlanStory.of("ann", "bob", "cy")
    assert isinstance(found, PlanStory)
    found.add("ann", "the endpoints")
    found.claim("ann", "task:1", "src/api.py", phase="BUILD")
    found.wait(minutes(30)).release("ann", "src/api.py")
    found.wait(minutes(10)).claim("bob", "src/**")
    found.wait(minutes(10)).beat("cy", "committed", commit=OTHER, folded=1, files_touched=("src/api.py",))
    return found


def test_commit_that_names_its_session_is_that_ones(story: PlanStory) -> None:
    found = origin(story, T0 + minutes(10), "ann")
    assert (found.session, found.by, found.task, found.holders) == ("ann", "trailers", 1, ())
    assert found.claim is not None
    assert (str(found.claim.resource), found.claim.phase) == ("file:src/api.py", "BUILD")


def test_commit_that_hooks_told_of_is_that_ones_also_without_a_claim(story: PlanStory) -> None:
    found = origin(story, T0 + minutes(50), commit=OTHER)
    assert (found.session, found.by, found.claim, found.holders) == ("cy", "hooks", None, ("bob",))


def test_else_it_is_who_alone_held_it_then(story: PlanStory) -> None:
    assert (origin(story, T0 + minutes(29)).session, origin(story, T0 + minutes(29)).by) == ("ann", "time")
    held = origin(story, T0 + minutes(45))
    assert held.session == "bob"
    assert held.claim is not None
    assert str(held.claim.resource) == "file:src/**"


@pytest.mark.parametrize("at", [T0 - minutes(1), T0 + minutes(35)])
def test_commit_of_a_time_when_nobody_held_it_is_nobodys(story: PlanStory, at: datetime) -> None:
    assert origin(story, at) == Origin()


def test_where_several_held_it_none_is_picked() -> None:
    story = Story.of("ann", "bob")
    for name in ("ann", "bob"):
        story.claim(name, "src/api.py", mode="shared")
    assert origin(story, T0 + minutes(1)) == Origin(holders=("ann", "bob"))
    assert origin(story, T0 + minutes(1), "bob").holders == ("ann",)
