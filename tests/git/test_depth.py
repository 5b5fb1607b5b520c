"""A clone of any depth coordinates: where a fetch stopped is no root and no rewriting, and other branches keep their depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from clones import Seat
from gits import git
from remotes import Remote

REF = "refs/remotes/origin/coordination"


def _boundary(path: Path) -> set[str]:
    """Where the user's main ends in that clone."""
    return set(git(path, "rev-list", "--max-parents=0", "refs/remotes/origin/main").split())


def _every_branch(url: str, where: Path) -> None:
    git(where.parent, "clone", "-q", "--depth=2", "--no-single-branch", url, str(where))


def _recipe(url: str, where: Path) -> None:
    git(where.parent, "clone", "-q", "--depth=1", url, str(where))
    git(where, "fetch", "-q", "--depth=1", "origin", f"coordination:{REF}")


def _by_date(url: str, where: Path) -> None:
    git(where.parent, "clone", "-q", "--depth=1", url, str(where))
    first = git(where, "ls-remote", url, "refs/heads/main").split()[0]
    git(where, "fetch", "-q", "--depth=3", "origin", f"+coordination:{REF}")
    assert first in _boundary(where)


@pytest.fixture
def shallow(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> str:
    """The URL by which a depth counts; main has two commits, so that it can be cut, too."""
    ada, _ = pair
    git(ada.path, "commit", "-q", "--allow-empty", "-m", "second")
    git(ada.path, "push", "-q", "origin", "HEAD:main")
    return f"file://{file_remote.path}"


@pytest.mark.parametrize("make", [_every_branch, _recipe, _by_date])
def test_a_new_clone_of_some_depth_works_and_its_main_stays_shallow(
    shallow: str, pair: tuple[Seat, Seat], tmp_path: Path, make: Callable[[str, Path], None]
) -> None:
    ada, _ = pair
    make(shallow, tmp_path / "cut")
    cut = Seat(tmp_path / "cut", tmp_path / "outboxes" / "cut")
    before = _boundary(cut.path)
    cut.ok("start", "cleo")
    assert cut.ok("claim", "x")["outcome"] == "held"
    assert cut.ok("verify")["ok"]
    assert cut.ok("verify")["events"] == ada.ok("verify")["events"]
    assert _boundary(cut.path) == before
    assert set((cut.path / ".git" / "shallow").read_text().split()) <= before
    assert "rewritten" not in cut.run("doctor").out


def test_a_clone_in_use_that_is_fetched_with_a_depth_goes_on(shallow: str, pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.git("remote", "set-url", "origin", shallow)
    held = ada.ok("claim", "x", "--op", "mine")
    ben.ok("send", "ada", "hello")
    ada.git("fetch", "-q", "--depth=1")
    assert git(ada.path, "rev-list", "--count", REF) == "1"
    again = ada.ok("claim", "x", "--op", "mine")
    assert again["claims"][0]["fence"] == held["claims"][0]["fence"]
    ada.git("fetch", "-q", "--depth=2")
    assert len(ada.ok("log")["events"]) == ben.ok("status")["seq"]
    ada.git("fetch", "-q", "--depth=1")
    ada.ok("release", "x")
    ada.git("gc", "-q", "--prune=now")
    assert ada.ok("status")["seq"] == ben.ok("status")["seq"]
    assert ada.ok("verify")["ok"]


def test_a_cut_that_can_not_be_completed_is_said_and_is_no_alarm(shallow: str, pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    _every_branch(shallow, tmp_path / "cut")
    git(tmp_path / "cut", "remote", "set-url", "origin", str(tmp_path / "nowhere"))
    ran = Seat(tmp_path / "cut", tmp_path / "outbox").run("status", "--json")
    assert (ran.code, ran.json["error"]) == (6, "unreachable")


def test_a_real_rewriting_is_an_alarm_in_a_shallow_clone_too(shallow: str, pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, _ = pair
    ada.git("remote", "set-url", "origin", shallow)
    seen = ada.ok("status")["tip"]
    git(file_remote.path, "update-ref", "refs/heads/coordination", "refs/heads/coordination~1")
    ada.git("fetch", "-q", "--depth=1")
    ran = ada.run("status", "--json")
    assert (ran.code, ran.json["error"], ran.json["seen"]) == (8, "rewritten", seen)
