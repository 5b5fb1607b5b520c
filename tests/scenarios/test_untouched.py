"""Your repository is untouched: whatever kind it is and whatever it is in the middle of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from clones import Seat, snapshot
from gits import attempt, git
from remotes import Remote


def _plain(remote: Remote, where: Path) -> Path:
    git(where.parent, "clone", "-q", str(remote.path), str(where))
    return where


def _linked(remote: Remote, where: Path) -> Path:
    _plain(remote, where)
    git(where, "worktree", "add", "-q", "-b", "side", str(where.with_name("linked")))
    return where.with_name("linked")


def _bare(remote: Remote, where: Path) -> Path:
    git(where.parent, "clone", "-q", "--bare", str(remote.path), str(where))
    return where


def _shallow(remote: Remote, where: Path) -> Path:
    git(where.parent, "clone", "-q", "--depth=1", f"file://{remote.path}", str(where))
    return where


def _partial(remote: Remote, where: Path) -> Path:
    git(remote.path, "config", "uploadpack.allowFilter", "true")
    git(where.parent, "clone", "-q", "--filter=blob:none", f"file://{remote.path}", str(where))
    return where


def _single_branch(remote: Remote, where: Path) -> Path:
    git(where.parent, "clone", "-q", "--single-branch", "-b", "main", str(remote.path), str(where))
    return where


def _detached(remote: Remote, where: Path) -> Path:
    _plain(remote, where)
    git(where, "checkout", "-q", "--detach")
    return where


def _conflict(remote: Remote, where: Path) -> Path:
    _plain(remote, where)
    for branch, text in (("one", "1\n"), ("two", "2\n")):
        git(where, "checkout", "-q", "-b", branch, "main")
        (where / "README").write_text(text)
        git(where, "commit", "-q", "-am", branch)
    return where


def _mid_merge(remote: Remote, where: Path) -> Path:
    assert attempt(_conflict(remote, where), "merge", "one").code == 1
    return where


def _mid_rebase(remote: Remote, where: Path) -> Path:
    assert attempt(_conflict(remote, where), "rebase", "one").code == 1
    return where


def _dirty_with_stash(remote: Remote, where: Path) -> Path:
    _plain(remote, where)
    (where / "README").write_text("stashed")
    git(where, "stash", "-q")
    (where / "README").write_text("staged")
    git(where, "add", "README")
    (where / "README").write_text("and changed")
    (where / "new.txt").write_text("untracked")
    return where


@pytest.mark.parametrize(
    "make",
    [_plain, _linked, _bare, _shallow, _partial, _single_branch, _detached, _mid_merge, _mid_rebase, _dirty_with_stash],
)
def test_no_command_changes_the_repository(file_remote: Remote, tmp_path: Path, make: Callable[[Remote, Path], Path]) -> None:
    path = make(file_remote, tmp_path / "repo")
    seat = Seat(path, tmp_path / "outbox", extra={"GIT_DIR": str(path)} if make is _bare else {})  # a bare one must be named
    before = snapshot(path)
    seat.ok("init")
    seat.ok("start", "ada")
    seat.ok("claim", "droplet", "x")
    seat.ok("heartbeat", "building")
    seat.ok("send", "broadcast", "hello")
    for words in (
        ("status",),
        ("inbox",),
        ("board",),
        ("log",),
        ("verify",),
        ("doctor", "--fix"),
        ("peers",),
        ("check", "y"),
        ("sync",),
        ("trial", "--", "true"),
        ("conflicts", "--all"),
    ):
        assert seat.run(*words).code == 0, words
    seat.ok("release", "--all")
    seat.ok("end")
    assert snapshot(path) == before
    assert attempt(path, "fsck", "--strict").code == 0


def test_a_repository_with_another_hash_works(tmp_path: Path) -> None:
    remote, path = tmp_path / "remote.git", tmp_path / "repo"
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", str(remote))
    git(tmp_path, "init", "-q", "--object-format=sha256", str(path))
    git(path, "commit", "-q", "--allow-empty", "-m", "first")
    git(path, "remote", "add", "origin", str(remote))
    git(path, "push", "-q", "origin", "main")
    seat = Seat(path, tmp_path / "outbox")
    seat.ok("init")
    seat.ok("start", "ada")
    assert len(seat.ok("claim", "x")["commit"]) == 64
    assert seat.ok("verify")["ok"]


def test_a_command_inside_a_hook_acts_on_the_right_repository(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    other = Path(ben.git("rev-parse", "--absolute-git-dir"))
    hook = {
        "GIT_DIR": str(other), "GIT_INDEX_FILE": str(other / "index"), "GIT_PREFIX": "x/", "GIT_WORK_TREE": str(ben.path),
        "GIT_OBJECT_DIRECTORY": str(tmp_path / "quarantine"), "GIT_QUARANTINE_PATH": str(tmp_path / "quarantine"),
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "remote.origin.url", "GIT_CONFIG_VALUE_0": str(tmp_path / "elsewhere"),
    }  # fmt: skip
    inside = Seat(ada.path, ada.outbox, extra=hook)
    before = [snapshot(ada.path), snapshot(ben.path)]
    assert inside.ok("claim", "x")["claims"][0]["claimed_by"] == "ada"
    assert [snapshot(ada.path), snapshot(ben.path)] == before


def test_our_own_git_runs_none_of_the_user_s_hooks(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    for name in ("pre-push", "reference-transaction", "post-commit", "pre-commit", "post-update"):
        hook = ada.path / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/ran\nexit 1\n")
        hook.chmod(0o755)
    ada.ok("claim", "x")
    ada.ok("status")
    assert not (tmp_path / "ran").exists()


def test_init_remove_leaves_no_local_byte(file_remote: Remote, tmp_path: Path) -> None:
    path = _plain(file_remote, tmp_path / "repo")
    seat = Seat(path, tmp_path / "outbox")

    def everything() -> dict[str, bytes]:
        objects = path / ".git" / "objects"
        return {str(one): one.read_bytes() for one in path.rglob("*") if one.is_file() and objects not in one.parents}

    before = everything()
    seat.ok("init")
    seat.ok("start", "ada")
    seat.ok("hooks", "install", "--git")
    seat.ok("claim", "x")
    seat.ok("heartbeat", "building")
    seat.ok("conflicts")
    assert (path / ".git" / "gitcoord" / "merges.git").exists()
    seat.ok("init", "--remove")
    assert everything() == before
    assert not list((tmp_path / "outbox").glob("*"))
    git(file_remote.path, "update-ref", "-d", "refs/heads/coordination")  # it must have been there
    for words in (
        "status",
        "board",
        "claims",
        "inbox",
        "check x",
        "log",
        "doctor",
        "whoami",
        "sync",
        "claim x",
        "conflicts",
        "status --cached",
    ):
        seat.run(*words.split())  # where nobody coordinates, a look leaves nothing either
        assert (everything(), list(path.glob(".git/gitcoord")), list((tmp_path / "outbox").glob("*"))) == (before, [], []), words


def test_a_record_made_without_a_remote_moves_to_the_first_one(file_remote: Remote, tmp_path: Path) -> None:
    path = _plain(file_remote, tmp_path / "repo")
    git(path, "remote", "rename", "origin", "elsewhere")
    seat = Seat(path, tmp_path / "outbox")
    seat.ok("init", "--local")
    seat.ok("start", "ada")
    seat.ok("claim", "x")
    git(path, "config", "--unset", "gitcoord.remote")
    assert seat.ok("init")["state"] == "committed"
    assert git(path, "for-each-ref", "refs/heads/coordination") == ""
    assert [one["claimed_by"] for one in seat.ok("claims")["claims"]] == ["ada"]
    assert seat.ok("verify")["ok"]
    git(path, "push", "--all", "elsewhere")
