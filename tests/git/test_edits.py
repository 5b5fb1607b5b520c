"""What a work tree has changed, line by line, in lines of the commit where it left the default branch; nothing is touched."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from clones import snapshot
from gits import attempt, git

from gitcoord.coordinator.touched import touches_of
from gitcoord.git import edits
from gitcoord.git.repo import Repository

LINES = [f"line {number}\n" for number in range(1, 41)]


@pytest.fixture
def repo(bare: Path, tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    git(tmp_path, "clone", "-q", str(bare), str(path))
    for name in ("api.py", "old.py", "gone.py", "moved.py"):
        (path / name).write_text("".join(LINES))
    (path / "gone.py").write_text("gone\n")
    (path / "logo").write_bytes(b"\0one")
    (path / ".gitignore").write_text("*.o\n")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "all")
    git(path, "push", "-q", "origin", "main")
    return path


def _with(text: str, *numbers: int) -> str:
    return "".join(text if number in numbers else line for number, line in enumerate(LINES, 1))


def _told(path: Path) -> tuple[str, list[str]]:
    found = edits.look(Repository.find(str(path), os.environ), "origin")
    assert found is not None
    told = [touch.entry for change in found.changes for touch in touches_of(change, uncommitted=found.uncommitted)]
    return found.base, sorted(re.sub(r"=[0-9a-f]{2}", "", entry) for entry in told)


def test_what_is_changed_is_told_committed_or_not_and_nothing_is_touched(repo: Path) -> None:
    base = git(repo, "rev-parse", "HEAD")
    git(repo, "checkout", "-q", "-b", "work")
    (repo / "api.py").write_text(_with("committed\n", 3))
    (repo / "gone.py").unlink()
    git(repo, "mv", "moved.py", "there.py")
    git(repo, "commit", "-q", "-am", "work")
    (repo / "api.py").write_text("first\n" + _with("committed\n", 3).replace("line 20\n", ""))
    (repo / "old.py").write_text(_with("staged\n", 7, 8))
    git(repo, "add", "old.py")
    (repo / "logo").write_bytes(b"\0two")
    (repo / "new.py").write_text("new\n")
    (repo / "x.o").write_text("ignored\n")
    git(repo, "status")
    before = snapshot(repo)
    objects = git(repo, "count-objects", "-v")
    os.utime(repo / ".gitignore", (1, 1))  # git would note in the index that it is as it was
    index = (repo / ".git" / "index").read_bytes()
    told = _told(repo)
    assert (repo / ".git" / "index").read_bytes() == index
    assert told == (
        base,
        ["api.py:0+,3,20,?", "gone.py:-", "logo:*,?", "moved.py:>", "new.py:+,?", "old.py:7-8,?", "there.py:<"],
    )
    assert (snapshot(repo), git(repo, "count-objects", "-v")) == (before, objects)


def test_lines_count_from_the_new_base_after_a_rebase(repo: Path) -> None:
    git(repo, "checkout", "-q", "-b", "work")
    (repo / "api.py").write_text(_with("mine\n", 30))
    git(repo, "commit", "-q", "-am", "work")
    first = _told(repo)
    git(repo, "checkout", "-q", "main")
    (repo / "api.py").write_text("a\nb\nc\n" + "".join(LINES))
    git(repo, "commit", "-q", "-am", "three lines more")
    git(repo, "push", "-q", "origin", "main")
    git(repo, "checkout", "-q", "work")
    assert _told(repo) == first  # the default branch went on: the work began where it began
    git(repo, "rebase", "-q", "main")
    assert _told(repo) == (git(repo, "rev-parse", "main"), ["api.py:33"])
    assert first[1] == ["api.py:30"]


def test_where_it_can_not_be_told_nothing_is(repo: Path, tmp_path: Path) -> None:
    git(repo, "checkout", "-q", "--orphan", "strange")
    assert edits.look(Repository.find(str(repo), os.environ), "origin") is None
    git(repo, "commit", "-q", "-m", "strange")
    assert edits.look(Repository.find(str(repo), os.environ), "origin") is None
    git(tmp_path, "init", "-q", "empty")
    assert edits.look(Repository.find(str(tmp_path / "empty"), os.environ), "") is None


def test_what_stands_in_the_work_tree_counts_in_the_middle_of_a_merge_too(repo: Path) -> None:
    for branch in ("one", "two"):
        git(repo, "checkout", "-q", "-b", branch, "main")
        (repo / "api.py").write_text(_with(f"{branch}\n", 12))
        git(repo, "commit", "-q", "-am", branch)
    assert attempt(repo, "merge", "-q", "one").code == 1
    assert _told(repo)[1] == ["api.py:12,?"]
