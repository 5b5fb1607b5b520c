"""A repository of our own where branches are merged: what the user's has stays as it is, whatever happens there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from clones import Clone, snapshot
from gits import attempt, git
from remotes import Remote

from gitcoord.errors import BadInput, Refused
from gitcoord.git.repo import Repository
from gitcoord.git.scratch import Scratch

SECONDS = 20.0


@pytest.fixture
def workshop(file_remote: Remote, tmp_path: Path, clone: Clone) -> Path:
    """A clone whose remote has three branches: `left` and `right` change the same line, `aside` another file."""
    path = clone(file_remote, tmp_path / "user")
    for name, file, text in (("left", "README", "1\n"), ("right", "README", "2\n"), ("aside", "new.txt", "3\n")):
        git(path, "switch", "-q", "-c", name, "main")
        (path / file).write_text(text)
        git(path, "add", file)
        git(path, "commit", "-q", "-m", name)
        git(path, "push", "-q", "origin", name)
    git(path, "switch", "-q", "main")
    return path


def scratch(user: Path, folder: Path, remote: str = "origin") -> Scratch:
    """A scratch repository beside that clone."""
    folder.mkdir()
    return Scratch(Repository.find(str(user), os.environ), remote, str(folder), lambda: None, SECONDS)


def objects(path: Path) -> set[str]:
    """All files of objects of a repository."""
    return {str(one) for one in (path / ".git" / "objects").rglob("*")}


def test_branches_are_merged_in_order_and_a_conflict_names_its_files(workshop: Path, tmp_path: Path, clone: Clone) -> None:
    fresh = tmp_path / "fresh"  # it has nothing of the branches
    git(tmp_path, "clone", "-q", "--single-branch", "-b", "main", git(workshop, "remote", "get-url", "origin"), str(fresh))
    before, had = snapshot(fresh), objects(fresh)
    ground = scratch(fresh, tmp_path / "x")
    found = ground.look(["left", "right", "aside", "no-such"])
    assert found.default == "main"
    assert found.branches == {name: git(workshop, "rev-parse", name) for name in ("left", "right", "aside")}
    assert found.committed_at["aside"] == int(git(workshop, "show", "-s", "--format=%ct", "aside"))
    left, right, aside = (found.branches[name] for name in ("left", "right", "aside"))
    assert ground.merge(found.base, [left, right]).conflicts == ("README",)
    both = ground.merge(found.base, [left, aside])
    ground.check_out(both.commit)
    tree = Path(ground.tree)
    assert {path.name: path.read_text() for path in tree.iterdir() if path.is_file()} == {"README": "1\n", "new.txt": "3\n"}
    assert ground.is_same(both.commit, ground.merge(found.base, [aside, left]).commit)
    (tree / "README").write_text("changed")
    (tree / "left.o").write_text("a build left it")
    (tree / ".gitignore").write_text("*.o")
    ground.check_out(found.base)
    assert [path.name for path in tree.iterdir() if path.name != ".git"] == ["README"]
    assert (snapshot(fresh), objects(fresh)) == (before, had)


def test_push_moves_the_branch_only_from_where_it_was_and_a_refusal_is_one(workshop: Path, tmp_path: Path) -> None:
    ground = scratch(workshop, tmp_path / "x")
    found = ground.look(["left", "aside"])
    left, aside = found.branches["left"], found.branches["aside"]
    assert ground.merge_to_land(found.base, left, "Merge").commit == left
    assert ground.push("main", found.base, left)
    merged = ground.merge_to_land(found.base, aside, "Merge").commit
    assert not ground.push("main", found.base, merged)
    bare = Path(git(workshop, "remote", "get-url", "origin"))
    assert git(bare, "rev-parse", "main") == left
    hook = bare / "hooks" / "update"
    hook.write_text("#!/bin/sh\necho 'main is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    merged = ground.merge_to_land(left, aside, "Merge branch 'aside'").commit
    with pytest.raises(Refused, match="main is protected"):
        ground.push("main", left, merged)
    assert git(bare, "rev-parse", "main") == left


def _shallow(url: str, path: Path) -> None:
    git(path.parent, "clone", "-q", "--depth=1", "--no-single-branch", f"file://{url}", str(path))


def _partial(url: str, path: Path) -> None:
    git(Path(url), "config", "uploadpack.allowFilter", "true")
    git(path.parent, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{url}", str(path))


def _linked(url: str, path: Path) -> None:
    main = path.with_name("main")
    git(path.parent, "clone", "-q", url, str(main))
    git(main, "worktree", "add", "-q", "--detach", str(path))


@pytest.mark.parametrize("make", [_shallow, _partial, _linked])
def test_any_kind_of_clone_can_be_borrowed_from(workshop: Path, tmp_path: Path, make: Callable[[str, Path], None]) -> None:
    for number in range(3):  # the merge base is no tip
        git(workshop, "commit", "-q", "--allow-empty", "-m", str(number))
    git(workshop, "push", "-q", "origin", "main")
    make(git(workshop, "remote", "get-url", "origin"), tmp_path / "user-2")
    before = snapshot(tmp_path / "user-2") if make is not _partial else {}
    ground = scratch(tmp_path / "user-2", tmp_path / "x")
    found = ground.look(["left", "aside"])
    merged = ground.merge(found.base, list(found.branches.values()))
    ground.check_out(merged.commit)
    assert (Path(ground.tree) / "new.txt").read_text() == "3\n"
    if before:
        assert snapshot(tmp_path / "user-2") == before


def test_without_a_remote_the_branches_are_the_users_own(workshop: Path, tmp_path: Path) -> None:
    ground = scratch(workshop, tmp_path / "x", remote="")
    assert ground.look(["left"]).branches == {"left": git(workshop, "rev-parse", "left")}
    git(workshop, "branch", "-m", "main", "trunk")
    with pytest.raises(BadInput, match="no branch called main"):
        ground.look(["left"])
    assert attempt(workshop, "fsck", "--strict").code == 0
