"""The last tip that a clone accepted hangs on a ref of its own: no prune, no `gc` takes it, and `doctor` says the way back."""

from __future__ import annotations

import re

import pytest
from clones import Seat
from gits import attempt, git
from remotes import Remote

REF = "refs/heads/coordination"
LAST = "refs/gitcoord/last/origin/coordination"


def _prune(seat: Seat) -> None:
    seat.git("fetch", "-q", "--prune")
    seat.git("reflog", "expire", "--expire=now", "--all")
    seat.git("gc", "-q", "--prune=now")


def _step(text: str) -> list[str]:
    """The arguments of the one git command that doctor gives for the way back."""
    found = re.findall(r"git ((?:push|update-ref) \S.*?)(?:$|;| \()", text, re.MULTILINE)
    assert len(found) == 1, text
    return str(found[0]).split()


def test_a_deleted_branch_is_kept_and_comes_back_as_doctor_says(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    held = ada.ok("claim", "x")
    assert ada.git("rev-parse", LAST) == held["commit"]  # one's own
    assert ben.ok("status")["tip"] == ben.git("rev-parse", LAST)  # another's
    git(file_remote.path, "update-ref", "-d", REF)
    for seat in (ada, ben):
        _prune(seat)
        assert seat.run("status").code == 8
    ada.git(*_step(ada.run("doctor").out))
    assert [one["claimed_by"] for one in ben.ok("claims")["claims"]] == ["ada"]
    assert ben.ok("verify")["ok"]


def test_a_rewound_branch_is_kept_and_comes_back_without_force(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    held = ada.ok("claim", "x")
    git(file_remote.path, "update-ref", REF, f"{REF}~1")
    for seat in (ada, ben):
        _prune(seat)
        assert seat.run("inbox").code == (8 if seat is ada else 0)  # ben never saw what was taken away
    assert ada.git("rev-parse", LAST) == held["commit"]
    step = _step(ada.run("doctor").out)
    assert not [word for word in step if "force" in word or word.startswith("+")]
    ada.git(*step)
    assert [one["claimed_by"] for one in ben.ok("claims")["claims"]] == ["ada"]


def test_doctor_promises_nothing_that_is_not_there(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, _ = pair
    ada.ok("claim", "x")
    git(file_remote.path, "update-ref", "-d", REF)
    ada.git("update-ref", "-d", LAST)
    _prune(ada)
    text = ada.run("doctor").out
    assert "is not in this clone" in text
    assert "git push" not in text


def test_a_record_without_a_remote_is_kept_too(file_remote: Remote, tmp_path) -> None:  # type: ignore[no-untyped-def]
    git(tmp_path, "clone", "-q", str(file_remote.path), str(tmp_path / "alone"))
    alone = Seat(tmp_path / "alone", tmp_path / "outbox")
    alone.ok("init", "--local")
    alone.ok("start", "ada")
    alone.git("update-ref", "-d", REF)
    alone.git("gc", "-q", "--prune=now")
    alone.git(*_step(alone.run("doctor").out))
    assert [one["session_id"] for one in alone.ok("status")["sessions"]] == ["ada"]


@pytest.mark.parametrize("then", ["init", "status"])
def test_a_branch_deleted_on_purpose_is_forgotten_clone_by_clone_as_doctor_says(
    pair: tuple[Seat, Seat], file_remote: Remote, then: str
) -> None:
    ada, ben = pair
    git(file_remote.path, "update-ref", "-d", REF)
    for seat in (ada, ben):
        assert seat.run("init", "--json").json["error"] == "rewritten"
        assert "gitcoord init --remove" in seat.run("doctor").out
        seat.ok("init", "--remove")
        assert seat.git("for-each-ref", "refs/gitcoord/") == ""
        if then == "status":
            assert seat.run("status", "--json").json["error"] == "not_initialised"
    ada.ok("init")
    ben.ok("start", "ben")
    assert ben.ok("status")["seq"] == 2
    assert attempt(file_remote.path, "rev-parse", "--verify", REF).code == 0
