"""Two processes check one history: they come to what one comes to, or to nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from gits import git

from gitcoord.core.records import Claim
from gitcoord.git.objects import NewCommit, Objects
from gitcoord.git.repo import Oid, Repository
from gitcoord.log import halves
from gitcoord.log.history import Checked, Good, History
from gitcoord.views import tree
from gitcoord.views.projection import TreeProjection

NOW = datetime.now(UTC).replace(microsecond=0)
VIEWS = TreeProjection()


@pytest.fixture
def objects(long_history: Path) -> Iterator[Objects]:
    with Objects(Repository.find(str(long_history), {**os.environ, "GIT_DIR": str(long_history)})) as found:
        yield found


def helper(objects: Objects, change: Callable[[Checked], Checked | None] = lambda checked: checked) -> halves.Helper:
    """Somebody who checks the earlier half, and may say something else of it."""

    @contextmanager
    def helped(commit: Oid) -> Iterator[Callable[[], Checked | None]]:
        yield lambda: change(History(objects, VIEWS).check(commit, Checked()))

    return helped


def both(objects: Objects, tip: Oid, seen: list[Good], helped: halves.Helper) -> Checked | None:
    return halves.check(objects, VIEWS, tip, seen.append, helped, lambda done, total: None, worth=100)


def chain(objects: Objects, base: Oid, *names: str) -> Oid:
    """Commits on that one that say they are its next event, with a file each that no event brings."""
    seq = History(objects, VIEWS).check(base, Checked()).seq
    message = f"x\n\nCoord-Event: heartbeat.recorded\nCoord-Id: lie\nCoord-Seq: {seq + 1}\nCoord-Session: now-00\n"
    lies = [NewCommit(message, "eve", "eve@localhost", NOW, NOW, a_lease(name)) for name in names]
    return objects.write_chain(base, base, lies)[-1]


def a_lease(name: str) -> dict[str, bytes | None]:
    """A lease as a good commit could bring it."""
    lease = Claim(
        claimed_by="now-00", claimed_at=NOW, resource_type="file", resource_name=name, ttl_seconds=300, renewed_at=NOW,
        expires_at=NOW, fence=3,
    )  # fmt: skip
    return {tree.path_of("claims", lease): tree.render(lease)}


def test_two_halves_are_the_whole(objects: Objects, long_history: Path) -> None:
    tip = chain(objects, git(long_history, "rev-parse", "coordination").strip(), "a", "b")
    seen: list[Good] = []
    whole = History(objects, VIEWS).check(tip, Checked(), (told := list[Good]()).append)
    assert both(objects, tip, seen, helper(objects)) == whole
    assert [good.commit for good in seen] == [good.commit for good in told[-len(seen) :]]
    assert 800 < len(seen) < 900
    files = [{path: tree.render(one) for path, one in tree.all_files(good.state).items()} for good in (seen[-1], told[-1])]
    assert files[0] == files[1]


@pytest.mark.parametrize("says", [None, Checked("0" * 40, "0" * 40, 850)])
def test_what_the_other_one_does_not_find_counts_for_nothing(objects: Objects, long_history: Path, says: Checked | None) -> None:
    tip = git(long_history, "rev-parse", "coordination").strip()
    assert both(objects, tip, [], helper(objects, lambda checked: says)) is None


def test_a_lie_in_the_middle_is_found_by_who_comes_from_the_root(objects: Objects, long_history: Path) -> None:
    line = git(long_history, "rev-list", "--reverse", "coordination").split()
    tip = chain(objects, line[100], *map(str, range(120)))  # the one in the middle is a lie, and may be shown as any other
    assert both(objects, tip, [], helper(objects)) is None
