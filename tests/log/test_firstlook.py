"""A first look at a long branch: marked, bounded, and binding nobody. A tip may show what it likes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from clones import Seat, Seats
from gits import git
from remotes import Remote

from gitcoord.core.records import Claim
from gitcoord.git.objects import NewCommit, Objects
from gitcoord.git.repo import NULL, Repository
from gitcoord.views import tree

NOW = datetime.now(UTC).replace(microsecond=0)


@contextmanager
def nobody_checks(seat: Seat) -> Iterator[None]:
    """No process begins a check of that clone meanwhile: one has its turn already, as far as others can see."""
    with seat.here() as found:
        lock = found.memory.lock
    lock.parent.mkdir(exist_ok=True)
    with open(lock, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(remote: Remote, seq: int, files: dict[str, bytes | None]) -> None:
    """Somebody writes a commit that says it is an event, with files as they like."""
    repo = Repository.find(str(remote.path), {**os.environ, "GIT_DIR": str(remote.path)})
    message = f"x\n\nCoord-Event: heartbeat.recorded\nCoord-Id: lie-{seq}\nCoord-Seq: {seq}\nCoord-Session: now-00\n"
    tip = git(remote.path, "rev-parse", "coordination").strip()
    lie = Objects(repo).write_chain(tip, tip, [NewCommit(message, "now-00", "now-00@localhost", NOW, NOW, files)])
    git(remote.path, "update-ref", "refs/heads/coordination", lie[0])


def a_claim(name: str) -> dict[str, bytes | None]:
    """A lease of `now-00` on that file, until tomorrow."""
    lease = Claim(
        claimed_by="now-00", claimed_at=NOW, resource_type="file", resource_name=name, ttl_seconds=86400, renewed_at=NOW,
        expires_at=NOW + timedelta(days=1), fence=1700,
    )  # fmt: skip
    return {tree.path_of("claims", lease): tree.render(lease)}


def test_what_a_lying_tip_shows_is_marked_and_keeps_nobody_from_anything(long_remote: Remote, seats: Seats) -> None:
    say(long_remote, 1701, a_claim("lie.py"))
    (ada,) = seats(long_remote, "ada")
    with nobody_checks(ada):
        told = ada.ok("claims")
        assert told["unverified"] is True
        assert "lie.py" in [one["resource_name"] for one in told["claims"]]
    ada.session = "ada"
    ada.ok("start", "ada")
    ada.ok("claim", "lie.py")
    told = ada.ok("claims", "--overlapping", "lie.py")
    assert ([one["claimed_by"] for one in told["claims"]], told.get("unverified")) == (["ada"], None)


def test_the_first_write_waits_for_the_check(long_remote: Remote, seats: Seats) -> None:
    say(long_remote, 1701, a_claim("lie.py"))
    (ada,) = seats(long_remote, "ada")
    with nobody_checks(ada):
        ada.ok("status")
    with ada.here() as found:
        assert found.memory.load().seq == 0
        found.coordinator.sessions.start("ada")
        assert [bad.seq for bad in found.memory.load().bad] == [1700]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"[" * 200_000, id="deep"),
        pytest.param(b"{" + b" " * (3 << 20) + b"}", id="large"),
        pytest.param(b'{"claimed_by": "now-00"}', id="half"),
    ],
)
def test_a_tip_that_holds_what_no_event_brings_is_not_shown_before_it_is_checked(
    long_remote: Remote, seats: Seats, data: bytes
) -> None:
    say(long_remote, 1701, {"claims/file-x.claim": data})
    (ada,) = seats(long_remote, "ada")
    told = ada.ok("claims")
    assert "unverified" not in told
    assert {one["claimed_by"] for one in told["claims"]} <= {"now-00", "now-01"}


def test_a_message_that_nobody_can_have_sent_is_not_shown_either(long_remote: Remote, seats: Seats) -> None:
    say(long_remote, 1701, {"messages/direct/now-00/x.json": b"[" * 200_000})
    (ada,) = seats(long_remote, "ada")
    ada.session = "now-00"
    told = ada.ok("inbox", "--peek")
    assert "unverified" not in told


def test_a_branch_that_is_none_of_ours_is_an_alarm_once_that_is_known(file_remote: Remote, seats: Seats) -> None:
    repo = Repository.find(str(file_remote.path), {**os.environ, "GIT_DIR": str(file_remote.path)})
    lines = (
        f"x\n\nCoord-Event: heartbeat.recorded\nCoord-Id: lie-{n}\nCoord-Seq: {n}\nCoord-Session: eve\n" for n in range(1, 1602)
    )
    lies = [NewCommit(message, "eve", "eve@localhost", NOW, NOW, {}) for message in lines]
    git(file_remote.path, "update-ref", "refs/heads/coordination", Objects(repo).write_chain(NULL, NULL, lies)[-1])
    (ada,) = seats(file_remote, "ada")
    with nobody_checks(ada):
        assert ada.ok("status")["unverified"] is True
    assert ada.run("sync").code == 8
    assert ada.run("status").code == 8
