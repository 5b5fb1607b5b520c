"""The finder that starts no git finds what git finds, believes no other user's folder, and asks git where files can't tell."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from gits import attempt, git

from gitcoord.git import discovery, environment


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with one commit, and a folder in it."""
    path = tmp_path / "clone"
    git(tmp_path, "init", "-q", str(path))
    git(path, "commit", "-q", "--allow-empty", "-m", "first")
    (path / "src" / "deep").mkdir(parents=True)
    return path


def empty_dot_git(clone: Path) -> Path:
    (clone / "src" / ".git").mkdir()
    return clone / "src" / "deep"


def half_dot_git(clone: Path) -> Path:
    (clone / "src" / ".git").mkdir()
    (clone / "src" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    return clone / "src" / "deep"


def file_that_points_nowhere(clone: Path) -> Path:
    (clone / "src" / ".git").write_text("nothing\n")
    return clone / "src" / "deep"


def file_that_points_to_no_git_folder(clone: Path) -> Path:
    (clone / "src" / ".git").write_text("gitdir: ../src\n")
    return clone / "src" / "deep"


def linked(clone: Path) -> Path:
    git(clone, "worktree", "add", "-q", "-b", "side", str(clone.parent / "side"))
    return clone.parent / "side"


def submodule(clone: Path) -> Path:
    git(clone, "submodule", "--quiet", "add", str(clone), "sub")
    return clone / "sub"


def bare_between(clone: Path) -> Path:
    git(clone, "init", "-q", "--bare", str(clone / "src" / "bare"))
    return clone / "src" / "bare" / "refs"


def inside_of_dot_git(clone: Path) -> Path:
    return clone / ".git" / "objects"


def through_a_link(clone: Path) -> Path:
    (clone.parent / "link").symlink_to(clone / "src")
    return clone.parent / "link"


def dot_git_is_a_link(clone: Path) -> Path:
    (clone / ".git").rename(clone.parent / "real")
    (clone / ".git").symlink_to(clone.parent / "real")
    return clone / "src"


def dot_git_is_a_pipe(clone: Path) -> Path:
    os.mkfifo(clone / "src" / ".git")
    return clone / "src" / "deep"


PLACES = [
    lambda clone: clone / "src" / "deep", empty_dot_git, half_dot_git, file_that_points_nowhere, file_that_points_to_no_git_folder,
    linked, submodule, bare_between, inside_of_dot_git, through_a_link, dot_git_is_a_link, dot_git_is_a_pipe,
    lambda clone: clone.parent,
]  # fmt: skip


@pytest.mark.parametrize("make", PLACES)
def test_it_finds_what_git_finds(make: Callable[[Path], Path], clone: Path) -> None:
    place = make(clone)
    found = discovery.find(str(place))
    asked = attempt(place, "rev-parse", "--absolute-git-dir", "--show-toplevel")
    by_git = tuple(map(os.path.realpath, asked.out.splitlines())) if asked.code == 0 else None
    assert (found and (found.git_dir, found.work_tree)) == by_git


def test_it_looks_no_higher_than_git(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(clone))
    assert discovery.find(str(clone / "src")) is None
    assert discovery.find(str(clone)) is not None


TRUST = {
    "nobody says so": ("", False),
    "this folder": ("[safe]\n directory = {clone}\n", True),
    "all": ("[safe]\n directory = *\n", True),
    "another one": ("[safe]\n directory = {clone}/src\n", False),
    "taken back": ("[safe]\n directory = *\n directory =\n", False),
}


@pytest.mark.parametrize("said", TRUST)
def test_another_users_folder_is_believed_only_where_git_believes_it(
    said: str, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, trusted = TRUST[said]
    (tmp_path / "config").write_text(text.format(clone=clone))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 4711)
    assert (discovery.find(str(clone / "src")) is not None) == trusted


def test_under_sudo_the_folder_of_who_called_it_is_believed(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setattr("os.lstat", lambda path, real=os.lstat: _as(4711, real(path)))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert discovery.find(str(clone)) is None
    monkeypatch.setenv("SUDO_UID", "4711")
    assert discovery.find(str(clone)) is not None


def _as(uid: int, status: os.stat_result) -> os.stat_result:
    return os.stat_result((*status[:4], uid, *status[5:]))


# --- which git ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [":{usual}", ".:{usual}", "bin:{usual}", "{clone}/bin:{usual}", "{usual}:"])
def test_a_git_of_the_checkout_is_never_run(way: str, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = os.environ["PATH"]
    for place in (clone / "git", clone / "bin" / "git"):
        place.parent.mkdir(exist_ok=True)
        place.write_text("#!/bin/sh\ntouch RUN\n")
        place.chmod(0o755)
    monkeypatch.chdir(clone)
    monkeypatch.setenv("PATH", way.format(usual=usual, clone=clone))
    assert environment.program(str(clone / "src")) == shutil.which("git", path=usual)
    given = environment.clean_environment(os.environ)["PATH"].split(os.pathsep)
    assert all(map(os.path.isabs, given))
    assert environment.safe_path(":.:bin") == os.defpath


def test_refs_that_are_no_files_are_asked_for(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a repository with reftables, whose `refs/heads` is a file."""
    git(clone, "update-ref", "refs/remotes/origin/coordination", "HEAD")
    git(clone, "pack-refs", "--all")
    common = clone / ".git"
    assert discovery.is_coordinated(str(common), "coordination")
    packed = (common / "packed-refs").read_bytes()
    monkeypatch.setattr(discovery, "_ask", lambda *_: b"refs/remotes/origin/coordination\n")
    (common / "packed-refs").unlink()
    assert not discovery.is_coordinated(str(common), "coordination")
    (common / "refs" / "heads").rmdir()
    (common / "refs" / "heads").write_text("this repository uses the reftable format\n")
    assert discovery.is_coordinated(str(common), "coordination")
    assert packed
