"""Trials on the branch: what is valid, who hears of it, what is kept, and how long a red one stands."""

from __future__ import annotations

from typing import Any

import pytest
from pure_branch import COMMIT, Story, days

from gitcoord.core import trials
from gitcoord.core.landing import Incoming
from gitcoord.core.trials import RecordTrial, TrialDone

ANN, BOB, CAT = (str(Incoming(digit * 40, name, f"{name}-branch")) for digit, name in (("a", "ann"), ("b", "bob"), ("c", "cat")))
DIGEST = "0123456789abcdef" * 2


@pytest.fixture
def story() -> Story:
    """A branch with three sessions."""
    made = Story.of()
    for name in ("ann", "bob", "cat"):
        made.start(name, branch=f"{name}-branch")
    return made


def said(**given: Any) -> dict[str, Any]:
    """A trial of three branches, two of which are red together."""
    usual = {"onto": "main", "base": COMMIT, "incoming": (ANN, BOB, CAT), "program": "make", "digest": DIGEST, "exit_code": 2}
    return {**usual, "culprits": (ANN, BOB), **given}


def red(story: Story, **given: Any) -> Any:
    """Cat's machine has tried them."""
    return story.ask(story.command(RecordTrial, "cat", **said(**given)))


def standing(story: Story) -> list[str]:
    """The red trials that hold, in words."""
    return [trials.verdict(one) for one in trials.standing(story.state, story.now)]


def test_each_session_of_the_pair_hears_of_it_and_nobody_else(story: Story) -> None:
    red(story)
    line = "ann-branch (ann) and bob-branch (bob) are red together on main (make, exit 2)"
    assert story.subjects("ann") == story.subjects("bob") == [line]
    assert story.subjects("cat") == []
    assert standing(story) == [line]


def test_only_what_is_red_and_was_tried_is_blamed(story: Story) -> None:
    for given, why in (
        ({"incoming": (ANN, CAT)}, "was not tried"),
        ({"exit_code": 0}, "green"),
        ({"base_exit": 1}, "was red before"),
        ({"exit_code": 0, "base_exit": 1, "culprits": ()}, "is green"),
    ):
        assert why in str(story.problem(story.event(TrialDone, "cat", **said(**given))))


def test_newest_few_are_kept(story: Story) -> None:
    seqs = [red(story).seq for _ in range(trials.KEPT + 3)]
    assert sorted(story.state.trials) == seqs[-trials.KEPT :]


def test_red_pair_stands_until_one_of_it_has_another_commit(story: Story) -> None:
    red(story)
    story.beat("ann", branch="ann-branch", commit="a" * 40)
    assert standing(story)
    story.beat("bob", branch="bob-branch", commit="d" * 40)
    assert standing(story) == []
    red(story)
    red(story, incoming=(str(Incoming("e" * 40, "ann", "ann-branch")),), culprits=(), exit_code=0, digest="f" * 32)
    assert standing(story) == []


def test_red_pair_stands_until_a_later_trial_has_both_and_not_for_ever(story: Story) -> None:
    red(story)
    red(story, incoming=(BOB,), culprits=(), exit_code=0)
    assert len(standing(story)) == 1
    red(story, culprits=(), exit_code=0)
    assert standing(story) == []
    red(story)
    story.wait(days(3))
    assert standing(story) == []


def test_same_command_on_the_same_commits_is_known_and_nothing_else_is(story: Story) -> None:
    words, commits = ["make", "test"], [Incoming.parse(one).commit for one in (ANN, BOB, CAT)]
    digest = trials.digest(story.state, words)
    assert trials.done_before(story.state, COMMIT, commits, digest) is None
    event = red(story, digest=digest)
    done = trials.done_before(story.state, COMMIT, commits, digest)
    assert done is not None
    assert done.seq == event.seq
    others = ((COMMIT, commits[::-1], digest), (COMMIT, commits[:2], digest), ("f" * 40, commits, digest))
    assert [trials.done_before(story.state, *one) for one in others] == [None] * 3
    assert trials.digest(story.state, ["make", "lint"]) != digest
    assert trials.digest(Story.of("ann", now=story.now + days(1)).state, words) != digest  # another branch


def test_trial_of_a_run_that_is_over_has_no_effect(story: Story) -> None:
    command = story.command(RecordTrial, "cat", **said())
    story.end("cat")
    event = story.ask(command)
    assert event.lapsed
    assert not story.state.trials
    assert story.subjects("ann") == []
