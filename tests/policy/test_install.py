"""The hook of a server is put in and taken out: what is there is kept and runs behind it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from clones import Seat
from gits import attempt, git
from servers import BRANCH, program, serve

from gitcoord.errors import BadInput, GitcoordError, NoRepository
from gitcoord.policy.install import install, remove, repository_at


def test_a_hook_that_is_there_runs_behind_ours_and_comes_back(pair: tuple[Seat, Seat], bare: Path, tmp_path: Path) -> None:
    ada = pair[0]
    remote = Path(ada.git("config", "remote.origin.url").strip())
    there = remote / "hooks" / "pre-receive"
    log = tmp_path / "log"
    there.write_text(f'#!/bin/sh\ncat >>"{log}"\ncase $(cat "{log}") in *forbidden*) echo "not that one" >&2; exit 1;; esac\n')
    there.chmod(0o755)
    was = there.read_bytes()
    assert serve(remote, tmp_path).events == 3
    assert serve(remote, tmp_path).hook.change == "none"
    ada.ok("send", "ben", "hello")
    assert BRANCH in log.read_text()
    pushed = attempt(ada.path, "push", "origin", "HEAD:refs/heads/forbidden")
    assert (pushed.code, "remote: not that one" in pushed.err) == (1, True)
    assert remove(repository_at(str(remote), os.environ)).hook.change == "restored"
    assert there.read_bytes() == was


def test_what_somebody_changed_stays(bare: Path, tmp_path: Path) -> None:
    path = serve(bare, tmp_path).hook.path
    path.write_text(path.read_text().replace("exit 1", "exit 0"))
    for change in (lambda: serve(bare, tmp_path), lambda: remove(repository_at(str(bare), os.environ))):
        with pytest.raises(GitcoordError, match="was changed since"):
            change()
    assert "exit 0" in path.read_text()


def test_where_a_folder_of_hooks_is_ours_lies_among_them(bare: Path, tmp_path: Path) -> None:
    """So it is in Gitea and Forgejo; GitLab's folder is named."""
    (bare / "hooks" / "pre-receive.d").mkdir(parents=True)
    assert serve(bare, tmp_path).hook.path == bare / "hooks" / "pre-receive.d" / "gitcoord"
    found = install(repository_at(str(bare), os.environ), program(tmp_path), settings={}, into="custom_hooks/pre-receive.d")
    assert found.hook.path == bare / "custom_hooks" / "pre-receive.d" / "gitcoord"


def test_it_is_for_a_bare_repository_with_hooks_of_its_own(bare: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "work")
    for place in (tmp_path / "work", tmp_path / "work" / ".git", tmp_path / "nowhere", tmp_path):
        with pytest.raises((BadInput, NoRepository)):
            repository_at(str(place), os.environ)
    git(bare, "config", "core.hooksPath", str(tmp_path / "shared"))
    with pytest.raises(GitcoordError, match="which other repositories share"):
        serve(bare, tmp_path)


def test_a_branch_that_is_none_of_ours_is_not_guarded(bare: Path, tmp_path: Path) -> None:
    git(bare, "branch", "coordination", "main")
    with pytest.raises(BadInput, match="no coordination branch"):
        serve(bare, tmp_path)


def test_it_is_typed_on_the_server(bare: Path, tmp_path: Path) -> None:
    seat = Seat(tmp_path, tmp_path / "outbox", extra={"PATH": f"{Path(program(tmp_path)).parent}:{os.environ['PATH']}"})
    shown = seat.ok("serve-policy", "install", str(bare), "--keep-leases", "--clock", "120")
    assert (shown["state"], shown["ref"], shown["keepleases"], shown["signed"]) == ("installed", BRANCH, True, False)
    assert git(bare, "config", "gitcoord.policy.clock") == "120"
    assert f"GITCOORD_PROGRAM='{program(tmp_path)}'" in (bare / "hooks" / "pre-receive").read_text()
    assert seat.ok("serve-policy", "install", str(bare), "--remove")["state"] == "absent"
    assert seat.run("serve-policy", "install", str(tmp_path / "nowhere")).code == 2
