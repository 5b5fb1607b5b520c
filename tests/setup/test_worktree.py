"""`start --worktree`: a work tree and a branch beside the clone, a session in it, and nothing that is there is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from clones import Seat, Seats
from guards import commit
from remotes import Remote


@pytest.fixture
def ada(file_remote: Remote, seats: Seats) -> Seat:
    """A clone with a commit and the branch."""
    (seat,) = seats(file_remote, "ada")
    commit(seat, "files", "src/api.py")
    with seat.here() as found:
        found.coordinator.setup.init()
    return seat


def test_a_session_starts_in_a_work_tree_of_its_own_which_stays_behind_it(ada: Seat) -> None:
    said = ada.ok("start", "--worktree", "search/form")
    tree = ada.path.parent / f"{ada.path.name}-search-form"
    assert (said["session_id"], said["branch"], said["worktree"]) == ("search-form", "search/form", str(tree))
    assert (tree / "src/api.py").is_file()
    refused = ada.run("start", "--worktree", "search/form")
    assert (refused.code, refused.err.splitlines()[0]) == (3, f"error: the branch search/form is checked out in {tree}")
    there = replace(ada, path=tree)
    ended = there.run("end")
    assert (ended.code, f"note: the work tree {tree} stays, with its branch search/form" in ended.err) == (0, True)
    assert (tree / "src/api.py").is_file()


def test_where_it_can_not_be_nothing_is_left(ada: Seat) -> None:
    before = ada.git("for-each-ref", "refs/heads"), sorted(ada.path.parent.iterdir())
    mine = ada.git("branch", "--show-current")
    for words, code in (([mine], 3), (["bad..name"], 2), (["coordination"], 2)):
        assert ada.run("start", "--worktree", *words).code == code
    Path(f"{ada.path}-work").mkdir()
    assert ada.run("start", "--worktree", "work").code == 2
    Path(f"{ada.path}-work").rmdir()
    assert ada.run("start", "--worktree", "free", "--role", "r" * 100).code == 2  # said when the work tree is there already
    assert (ada.git("for-each-ref", "refs/heads"), sorted(ada.path.parent.iterdir())) == before
