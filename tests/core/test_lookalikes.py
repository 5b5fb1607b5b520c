"""Names that people would take for each other: known as such, never given out, and nothing else is held back."""

from __future__ import annotations

import pytest
from pure_branch import Story

from gitcoord.core import lookalikes
from gitcoord.core.sessions import SessionStarted
from gitcoord.errors import Held
from gitcoord.views.attention import attention


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("session-001", "session-00l"),
        ("session-001", "session-o01"),
        ("marnie", "mamie"),
        ("ewa", "evva"),
        ("fix_login", "fix-login"),
        ("v1.2", "v1-2"),
        ("a--b", "a-b"),
        ("rnodern_0", "modern-o"),
    ],
)
def test_a_name_that_looks_like_anothers_is_refused_and_never_made_up(name: str, other: str) -> None:
    story = Story.of(name)
    with pytest.raises(Held, match=f"{other} looks like {name}") as refused:
        story.start(other)
    assert refused.value.exit_code == 3
    made = story.start(other, generated=True).session
    assert lookalikes.alike(made, [name]) == ""


@pytest.mark.parametrize(
    ("name", "other"), [("session-001", "session-002"), ("ali", "all"), ("ann", "anna"), ("claude-7f", "claude-f7"), ("a-b", "ab")]
)
def test_names_that_differ_to_the_eye_are_free(name: str, other: str) -> None:
    story = Story.of(name)
    assert story.start(other).session == other
    assert not [item for item in attention(story.state, story.now) if item.kind == "look_alike"]


def test_the_later_one_of_two_that_look_alike_is_named_to_all() -> None:
    story = Story.of("ann-1", "zoe")
    story.happen(story.event(SessionStarted, "ann-l", run_id="by-hand"))  # as somebody writes it who asks no gitcoord
    items = attention(story.state, story.now)
    assert [(item.kind, item.sessions) for item in items] == [("look_alike", ("ann-l", "ann-1"))]
