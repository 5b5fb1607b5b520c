"""What a clone remembers decides only if it is what was written, and if the commit that it names bears it out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clones import Seat
from gits import git

from gitcoord.machine import files

Known = dict[str, Any]


def another_number(known: Known, seat: Seat) -> Known:
    """The number of the last event is another one."""
    return {**known, "seq": known["seq"] + 99_995}


def an_older_commit(known: Known, seat: Seat) -> Known:
    """The last good commit is an older one."""
    return {**known, "good": seat.git("rev-parse", f"{known['good']}~1")}


def bad_commits(known: Known, seat: Seat) -> Known:
    """A good commit counts as bad."""
    return {**known, "bad": [[seat.git("rev-parse", f"{known['good']}~1"), "it is not", known["seq"] - 2]]}


def a_commit_of_the_user(known: Known, seat: Seat) -> Known:
    """All hangs on a commit of another branch."""
    oid = seat.git("rev-parse", "HEAD")
    return {**known, "tip": oid, "good": oid}


CHANGES = [another_number, an_older_commit, bad_commits, a_commit_of_the_user]


def memory(seat: Seat) -> Path:
    """The file in which the clone remembers what it checked."""
    [path] = (seat.path / ".git" / "gitcoord").glob("checked-*.json")
    return path


@pytest.mark.parametrize("change", CHANGES)
def test_a_memory_that_was_changed_is_set_aside_and_made_anew(
    change: Callable[[Known, Seat], Known], pair: tuple[Seat, Seat]
) -> None:
    ada, ben = pair
    ada.ok("sync")
    path = memory(ada)
    path.write_text(json.dumps(change(json.loads(path.read_bytes()), ada)))
    last = int(git(ada.path, "log", "-1", "--format=%(trailers:key=Coord-Seq,valueonly)", "origin/coordination"))
    assert ada.ok("claim", "x")["claims"][0]["fence"] == last + 1
    assert ben.ok("verify")["problems"] == []
    assert json.loads(path.read_bytes())["bad"] == []
    assert list(path.parent.glob("checked-*.damaged-*"))


@pytest.mark.parametrize("change", [another_number, an_older_commit, a_commit_of_the_user])
def test_a_memory_that_its_commit_does_not_bear_out_is_set_aside_too(
    change: Callable[[Known, Seat], Known], pair: tuple[Seat, Seat]
) -> None:
    ada, ben = pair
    ada.ok("sync")
    path = memory(ada)
    path.write_text(json.dumps(files.sealed(change(files.unsealed(json.loads(path.read_bytes())), ada))))
    last = int(git(ada.path, "log", "-1", "--format=%(trailers:key=Coord-Seq,valueonly)", "origin/coordination"))
    assert ada.ok("claim", "x")["claims"][0]["fence"] == last + 1
    assert ben.ok("verify")["problems"] == []


def test_a_list_of_leases_that_was_changed_lets_nothing_through(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    name = ada.git("ls-files").splitlines()[0]
    ada.ok("config", "--shared", "guard", "block")
    ada.ok("claim", name)
    ben.ok("sync")
    (ben.path / name).write_text("changed\n")
    ben.git("add", name)
    assert ben.run("guard", "--staged").code == 3
    [path] = memory(ben).parent.glob("held-*.json")
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "leases": []}))
    assert ben.run("guard", "--staged").code == 3
