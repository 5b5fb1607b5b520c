"""Which branches are about to land, and which of them lands first."""

from __future__ import annotations

from pure_branch import COMMIT, Story, days

from gitcoord.core.landing import AT_WORK, READY, RESTING, Candidate, Incoming, candidates, in_turn, lane, on_branch


def found(story: Story, **asked: object) -> dict[str, tuple[str, int]]:
    """The candidates: whose each branch is, and how ready."""
    return {one.branch: (one.session, one.ready) for one in candidates(story.state, story.now, **asked)}  # type: ignore[arg-type]


def test_work_that_is_finished_or_handed_over_is_readier_than_that_of_who_rests_or_works() -> None:
    story = Story.of()
    for name in ("ann", "bob", "cat", "dan", "eve"):
        story.start(name, branch=f"{name}-branch")
    story.beat("bob", "idle")
    story.handoff("cat", branch="cat-branch")
    story.end("dan")
    assert found(story) == {
        "ann-branch": ("ann", AT_WORK),
        "bob-branch": ("bob", RESTING),
        "cat-branch": ("cat", READY),
        "dan-branch": ("dan", READY),
        "eve-branch": ("eve", AT_WORK),
    }
    assert set(found(story, only=["bob", "eve"])) == {"bob-branch", "eve-branch"}
    story.wait(days(4))
    assert "dan-branch" not in found(story)
    assert "dan-branch" in found(story, only=["dan"])


def test_branch_of_two_sessions_comes_once_and_is_no_readier_than_the_one_that_works_on_it() -> None:
    story = Story.of()
    story.start("ann", branch="shared")
    story.start("bob", branch="shared")
    story.beat("ann", "idle")
    assert found(story) == {"shared": ("bob", AT_WORK)}


def test_other_repositories_of_a_hub_do_not_count() -> None:
    story = Story.of()
    story.start("ann", branch="a", repo="shop")
    story.start("bob", branch="b", repo="library")
    story.start("cat", branch="main", repo="shop")
    story.start("dan", branch="main", repo="library")
    assert set(found(story, repo="shop")) == {"a", "main"}
    assert on_branch(story.state, "main", repo="shop") == ["cat"]
    assert on_branch(story.state, "main", only=["dan"]) == ["dan"]


def test_of_equals_the_one_whose_last_commit_is_the_oldest_lands_first() -> None:
    every = [Candidate("new", "ann", AT_WORK), Candidate("old", "bob", AT_WORK), Candidate("done", "cat", READY)]
    every.append(Candidate("not-pushed", "dan", READY))
    assert [one.branch for one in in_turn(every, {"new": 30, "old": 10, "done": 20})] == ["done", "old", "new"]


def test_lane_of_a_hub_is_that_of_one_repository() -> None:
    assert str(lane("main")) == "land:main"
    assert lane("main", "shop") != lane("main", "library")


def test_entry_comes_back_as_it_was_and_nothing_else_is_one() -> None:
    one = Incoming(COMMIT, "ann", "feature/x")
    assert Incoming.parse(str(one)) == one
    for wrong in (f"{COMMIT} ann", f"{COMMIT[:7]} ann x", f"{COMMIT} Ann x", f"{COMMIT} ann -x", f"{COMMIT} ann a b"):
        try:
            Incoming.parse(wrong)
        except ValueError:
            continue
        raise AssertionError(wrong)
