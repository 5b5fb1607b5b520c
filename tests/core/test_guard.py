"""The guard's rule: whose claims stand in the way of a file, and which commits were made under a lease that is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest
from pure_branch import T0, Story, hours, minutes, seconds

from gitcoord.core.guard import Over, Remembered, Target, Work, in_the_way, over
from gitcoord.core.names import Resource
from gitcoord.core.overlap import covers


@dataclass(frozen=True)
class Held:
    """A lease as the guard sees one."""

    claimed_by: str
    resource: Resource
    mode: str = "exclusive"
    fence: int = 1
    expires_at: datetime = T0 + hours(1)


def file(name: str) -> Resource:
    """A file as a resource."""
    return Resource("file", name)


def hit(leases: list[Held], *paths: str, session: str = "ben", now: datetime = T0) -> list[str]:
    """The paths that are covered by leases of others."""
    found = in_the_way(leases, [Target(path) for path in paths], session=session, now=now, grace=seconds(60))
    return sorted({target.path for _, targets in found for target in targets})


@pytest.mark.parametrize(
    ("name", "path", "covered"),
    [
        ("src/api.py", "src/api.py", True),
        ("src/api.py", "src/api.pyc", False),
        ("src", "src/deep/api.py", True),
        ("src", "source/api.py", False),
        (".", "anything", True),
        ("src/*.py", "src/api.py", True),
        ("src/*.py", "src/deep/api.py", False),
        ("**/*.py", "src/deep/api.py", True),
        ("src/api.py", "src", True),  # a folder that becomes a file, or a submodule: all below it goes
        ("src/?.py", "src/?.py", True),
        ("src/a.py", "src/?.py", False),  # in a path a question mark is a letter
        ("src/a.py", "src/*", False),
        ("a*b", "a*b", True),
        ("a*b", "a?b", True),
        ("src/[id].py", "src/[id].py", True),
        ("src/[id].py", "src/i.py", False),
        ("src", "src/with\nnewline", True),
        ("-x", "-x", True),
        ("é", "é", True),
        ("src", "src/\udcff", True),
    ],
)
def test_a_claim_covers_what_it_names_and_what_lies_below(name: str, path: str, covered: bool) -> None:
    assert covers(file(name), path) is covered
    assert hit([Held("ada", file(name))], path) == ([path] if covered else [])


def test_other_types_of_resources_cover_no_file() -> None:
    assert hit([Held("ada", Resource("droplet", "src"))], "src") == []


def test_a_lease_counts_until_the_grace_is_over() -> None:
    lease = Held("ada", file("src"), expires_at=T0)
    assert hit([lease], "src/a", now=T0 + seconds(60)) == ["src/a"]
    assert hit([lease], "src/a", now=T0 + seconds(61)) == []


@pytest.mark.parametrize(
    ("leases", "blocked"),
    [
        ([Held("ben", file("src"))], False),
        ([Held("ada", file("src"), "shared")], True),
        ([Held("ada", file("src"), "shared"), Held("ben", file("src"), "shared")], False),
        ([Held("ada", file("src"), "shared"), Held("ben", file("src/b"), "shared")], True),
        ([Held("ada", file("src"), "shared"), Held("ben", file("src"), "shared", expires_at=T0 - minutes(2))], True),
        ([Held("ada", file("src")), Held("ben", file("src"), "shared")], True),
    ],
)
def test_ones_own_and_a_shared_one_together_are_fine(leases: list[Held], blocked: bool) -> None:
    assert bool(hit(leases, "src/a")) is blocked


def test_each_lease_comes_once_with_its_paths_in_the_order_of_the_fences() -> None:
    leases = [Held("cleo", file("docs"), fence=7), Held("ada", file("src"), fence=3)]
    targets = [Target("src/a"), Target("docs/x", new=True), Target("free"), Target("src/b")]
    found = in_the_way(leases, targets, session="ben", now=T0, grace=seconds(60))
    assert [(lease.claimed_by, [target.path for target in targets]) for lease, targets in found] == [
        ("ada", ["src/a", "src/b"]),
        ("cleo", ["docs/x"]),
    ]


def test_real_leases_fit() -> None:
    story = Story.of("ada", "ben")
    story.claim("ada", "src/**")
    found = in_the_way(story.state.claims.values(), [Target("src/a")], session="ben", now=T0, grace=seconds(60))
    assert [lease.claimed_by for lease, _ in found] == ["ada"]


# --- leases that are over ----------------------------------------------------------------------------------------------


def work(commit: str = "c1", *paths: str, at: datetime = T0, fences: tuple[tuple[int, Resource], ...] = ()) -> Work:
    """A commit of those files."""
    return Work(commit, at, paths, fences)


def judged(leases: list[Held], *works: Work, remembered: list[Remembered] | None = None, now: datetime = T0) -> list[Over]:
    """What ben's push is told."""
    return over(leases, works, remembered=remembered or [], session="ben", now=now)


def test_a_named_lease_must_live() -> None:
    named = work(fences=((4, file("src")),))
    assert judged([Held("ben", file("src"), fence=4)], named) == []
    assert judged([Held("ben", file("src"), fence=9)], named) == [Over(4, file("src"), ("c1",))]
    assert judged([Held("ben", file("lib"), fence=4)], named) == [Over(4, file("src"), ("c1",))]
    assert judged([], named) == [Over(4, file("src"), ("c1",))]


def test_its_holder_has_no_grace() -> None:
    lease, named = Held("ben", file("src"), fence=4, expires_at=T0), work(fences=((4, file("src")),))
    assert judged([lease], named, now=T0 - seconds(1)) == []
    assert judged([lease], named, now=T0) == [Over(4, file("src"), ("c1",))]


def test_what_was_remembered_and_is_gone_counts_for_commits_that_touch_it() -> None:
    remembered = [Remembered(4, file("src"))]
    assert judged([], work("c1", "docs/x"), remembered=remembered) == []
    assert judged([], work("c1", "docs/x", "src/a"), work("c2", "src/b"), remembered=remembered) == [
        Over(4, file("src"), ("c1", "c2"))
    ]
    assert judged([Held("ben", file("src"), fence=4)], work("c1", "src/a"), remembered=remembered) == []


def test_commits_made_after_the_loss_was_seen_were_not_made_under_it() -> None:
    remembered = [Remembered(4, file("src"), until=T0)]
    assert judged([], work("c1", "src/a", at=T0), remembered=remembered) == [Over(4, file("src"), ("c1",))]
    assert judged([], work("c1", "src/a", at=T0 + seconds(1)), remembered=remembered) == []


def test_what_was_claimed_anew_is_ones_own_again() -> None:
    remembered = [Remembered(4, file("src"))]
    assert judged([Held("ben", file("src"), fence=9)], work("c1", "src/a"), remembered=remembered) == []
    assert judged([Held("ben", file("src/a"), fence=9)], work("c1", "src/a", "src/b"), remembered=remembered) != []
    assert judged([Held("ada", file("src"), fence=9)], work("c1", "src/a"), remembered=remembered) != []
