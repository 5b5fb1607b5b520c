"""Foretold once for a pair of commits; over when a commit moved on or landed, or a session ended. The same for every reader."""

from __future__ import annotations

from typing import Any

import pytest
from pure_branch import Story, minutes

from gitcoord.core.foretold import ConflictForetold, ForetellConflict
from gitcoord.core.records import Foretold
from gitcoord.views import board, briefing
from gitcoord.views.attention import attention

A1, A2, B1, BASE = "a" * 40, "c" * 40, "b" * 40, "0" * 39 + "1"
PAIR = ("ann", "bob")


@pytest.fixture
def story() -> Story:
    """Two sessions that have told where they stand, and a third one."""
    made = Story.of("ann", "bob", "cleo")
    made.beat("ann", "edited", base=BASE, commit=A1, touches=("src/api.py:12-40",))
    made.beat("bob", "edited", base=BASE, commit=B1, touches=("src/api.py:30,?",))
    return made


def _foretell(story: Story, by: str = "cleo", **given: Any) -> Any:
    said = {"between": PAIR, "verdict": "certain", "commits": (A1, B1), "lines": ("src/api.py:30",), **given}
    return story.ask(story.command(ForetellConflict, by, **said))


def _known(story: Story) -> list[Foretold]:
    return list(story.state.conflicts.values())


def test_what_is_foretold_stands_for_all_until_it_is_over(story: Story) -> None:
    event = _foretell(story)
    assert [(one.kind, one.sessions, one.files[0].lines, one.foretold_by) for one in _known(story)] == [
        ("certain", PAIR, "30", "cleo")
    ]
    assert event.headline() == "foretold: ann and bob will collide in src/api.py"
    text = "ann and bob will conflict in src/api.py:30 (git can't merge them)"
    assert attention(story.state, story.now)[0].text == text
    page = board.render(story.state)
    assert page.index("will conflict in src/api.py:30") < page.index("Active Sessions\n")
    told = briefing.brief(story.state, "bob", story.now, nonce="n" * 32)
    assert "you will conflict with ann in src/api.py:30 (git can't merge them)" in told.text
    assert "will conflict" not in briefing.brief(story.state, "cleo", story.now, nonce="n" * 32).text


def test_it_is_said_once_for_a_pair_of_commits_and_what_is_certain_is_not_called_likely(story: Story) -> None:
    assert _foretell(story, verdict="likely") is not None
    assert _foretell(story, verdict="likely") is None
    assert _foretell(story) is not None
    assert _foretell(story, verdict="likely") is None
    assert _foretell(story, commits=(A2, B1)) is not None


@pytest.mark.parametrize("name", PAIR)
def test_it_is_over_when_a_commit_moved_on(story: Story, name: str) -> None:
    _foretell(story)
    story.beat(name, progress="1%")
    story.beat(name, commit={"ann": A1, "bob": B1}[name], base=BASE, touches=("src/api.py:12",))
    story.beat("cleo", commit=A2)
    assert _known(story)
    story.beat(name, commit=A2)
    assert _known(story) == []


def test_who_stood_elsewhere_already_has_not_moved_on(story: Story) -> None:
    story.beat("ann", commit=A2)
    _foretell(story)  # of what ann had pushed before
    story.beat("ann", commit=A2)
    assert _known(story)


def test_it_is_over_when_a_commit_landed_or_a_session_ended(story: Story) -> None:
    _foretell(story)
    story.beat("ann", commit=A1, base=A1)
    assert _known(story) == []
    _foretell(story)
    story.end("bob")
    assert _known(story) == []
    assert _foretell(story) is None  # it was asked for too late


def test_what_was_likely_is_over_when_the_lines_meet_no_more(story: Story) -> None:
    _foretell(story, verdict="likely")
    story.beat("ann", commit=A1, base=BASE, touches=("src/api.py:12-28",))
    assert _known(story) == []


def test_whoever_looks_again_takes_it_back(story: Story) -> None:
    assert _foretell(story, verdict="none", commits=(), lines=()) is None
    _foretell(story)
    assert _foretell(story, verdict="none", commits=(), lines=()).headline() == "foretold: ann and bob collide no more"
    assert _known(story) == []


def test_a_session_and_the_default_branch_collide_too(story: Story) -> None:
    _foretell(story, between=("ann",), branch="main")
    assert (
        attention(story.state, story.now)[0].text == "ann and the branch main will conflict in src/api.py:30 (git can't merge them)"
    )
    assert "with the branch main" in briefing.brief(story.state, "ann", story.now, nonce="n" * 32).text


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"between": ("bob", "ann")}, "it doesn't name two sessions in their order"),
        ({"between": ("ann", "ann")}, "it doesn't name two sessions in their order"),
        ({"between": ("ann", "zoe")}, "zoe is no live session"),
        ({"commits": (A1,)}, "it doesn't name the commits of both"),
        ({"verdict": "none"}, "nothing was foretold of these two"),
    ],
)
def test_readers_refuse_what_makes_no_sense(story: Story, wrong: dict[str, Any], why: str) -> None:
    said: dict[str, Any] = {"between": PAIR, "verdict": "certain", "commits": (A1, B1)}
    assert story.problem(story.event(ConflictForetold, "cleo", **said)) is None
    assert story.problem(story.event(ConflictForetold, "cleo", **{**said, **wrong})) == why


def test_an_automatic_look_is_no_work_of_its_session(story: Story) -> None:
    before = story.state.sessions["cleo"].worked_seq
    story.wait(minutes(1))
    _foretell(story)
    assert story.state.sessions["cleo"].worked_seq == before
