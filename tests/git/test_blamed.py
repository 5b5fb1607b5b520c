"""The commits of a file's lines, asked of real git."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gits import git

from gitcoord.errors import BadInput
from gitcoord.git.blamed import Blamed, blamed, words_of
from gitcoord.git.repo import Repository


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Two commits of a file with odd lines, and a line more that is not committed."""
    git(tmp_path, "init", "-q", "-b", "main")
    file = tmp_path / "odd name.txt"
    head = "0" * 40 + " 1 1 1"
    file.write_text(f"one\n{head}\nthree\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "First, with \u00fc", "--trailer", "Coord-Session: ann", "--date=1700000000 +0200")
    file.write_text(f"one\n{head}\n3\nfour\n")
    git(tmp_path, "commit", "-q", "-am", "Second")
    file.write_text(f"one\n{head}\n3\nfour\nfive\n")
    return Repository.find(str(tmp_path), dict(os.environ))


def test_lines_are_told_with_their_commits_and_those_that_have_none_yet(repo: Repository) -> None:
    second, first = git(Path(repo.work_tree), "log", "--format=%H").split()
    assert blamed(repo, "odd name.txt") == [Blamed(1, 2, first), Blamed(3, 4, second), Blamed(5, 5, "")]
    assert blamed(repo, "odd name.txt", (2, 3)) == [Blamed(2, 2, first), Blamed(3, 3, second)]


def test_commit_says_when_it_was_made_and_whose_it_is(repo: Repository) -> None:
    second, first = git(Path(repo.work_tree), "log", "--format=%H").split()
    said = words_of(repo, [first, second, ""], "Coord-Session", "Coord-Fence")
    assert said[first].made_at.timestamp() == 1_700_000_000
    assert said[first].subject == "First, with \u00fc"
    assert said[first].trailers == (("ann",), ())
    assert said[second].trailers == ((), ())
    assert words_of(repo, [""], "Coord-Session") == {}


@pytest.mark.parametrize(("path", "lines"), [("missing.txt", None), ("odd name.txt", (9, 9)), ("--help", None)])
def test_what_git_has_not_is_bad_input(repo: Repository, path: str, lines: tuple[int, int] | None) -> None:
    with pytest.raises(BadInput, match="git can't blame"):
        blamed(repo, path, lines)
