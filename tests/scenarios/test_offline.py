"""The remote is away: what waits, what is refused, and what arrives late."""

from __future__ import annotations

from datetime import timedelta

import pytest
from clones import Clock, Clone, Seat, Seats, file
from remotes import Remote

from gitcoord.core.times import spell
from gitcoord.errors import Unreachable


@pytest.fixture
def office(remote: Remote, seats: Seats) -> tuple[Seat, Seat]:
    """Two started sessions on each kind of remote."""
    ada, ben = seats(remote, "ada", "ben")
    ada.ok("init")
    ada.ok("start", "ada")
    ben.ok("start", "ben")
    return ada, ben


@pytest.mark.usually("file", "git")
def test_messages_and_heartbeats_wait_and_arrive_in_order_with_their_own_times(office: tuple[Seat, Seat], remote: Remote) -> None:
    ada, ben = office
    clock = Clock()
    clock.move(minutes=-10)  # all of it was said before it is sent
    remote.away()
    said = []
    for number in range(3):
        clock.move(seconds=7)
        with ada.here(clock) as found:
            assert found.coordinator.messages.send("ben", f"note {number}", "").state == "queued"
        said.append((f"note {number}", spell(clock.now)))
    clock.move(seconds=7)
    with ada.here(clock) as found:
        assert found.coordinator.sessions.heartbeat(action="building", target="offline").state == "queued"
    warned = ada.run("status")
    assert "4 unsent since" in warned.err
    remote.back()
    assert ada.ok("sync")["unsent"] == 0
    mail = ben.ok("inbox")["messages"]
    assert [(one["subject"], one["timestamp"]) for one in mail] == said
    beat = ben.ok("status")["sessions"][0]["heartbeat"]
    assert (beat["action"], beat["timestamp"]) == ("building", spell(clock.now))
    assert ben.ok("verify")["ok"]


def test_a_claim_says_exit_6_and_leaves_nothing_behind(office: tuple[Seat, Seat], remote: Remote) -> None:
    ada, ben = office
    remote.away()
    refused = ada.run("claim", "x", "--json")
    assert refused.code == 6
    assert refused.json["error"] == "unreachable"
    assert refused.json["hint"]
    remote.back()
    assert ada.ok("sync")["unsent"] == 0
    assert ben.ok("claims")["claims"] == []
    assert ada.ok("claim", "x")["outcome"] == "held"


@pytest.mark.servers
@pytest.mark.usually("http", "ssh")
@pytest.mark.parametrize("kind", ["ssh", "http", "git"])
def test_a_silent_remote_is_given_up_within_the_deadline(kind: str, remotes, seats: Seats) -> None:  # type: ignore[no-untyped-def]
    if remotes.available(kind):
        pytest.skip(remotes.available(kind))
    remote = remotes.make(kind)
    try:
        (ada,) = seats(remote, "ada")
        ada.ok("init")
        ada.ok("start", "ada")
        ada.git("config", "gitcoord.deadline", "2")
        remote.silent()
        assert ada.run("claim", "x").code in (5, 6)
        assert ada.ok("send", "broadcast", "hello")["state"] == "queued"
    finally:
        remote.close()


def test_a_late_release_frees_nothing_that_has_a_new_owner(file_remote: Remote, seats: Seats) -> None:
    ada, ben = seats(file_remote, "ada", "ben")
    clock = Clock()
    with ada.here(clock) as found:
        found.coordinator.setup.init()
        found.coordinator.sessions.start("ada")
        found.coordinator.claims.acquire(file("x"), ttl_seconds=300)
    with ben.here(clock) as found:
        found.coordinator.sessions.start("ben")
    file_remote.away()
    with ada.here(clock) as found:
        receipt, *_ = found.coordinator.claims.release(file("x"))
        assert receipt.state == "queued"
        with pytest.raises(Unreachable):
            found.coordinator.claims.acquire(file("y"))
    file_remote.back()
    later = Clock(clock.now + timedelta(minutes=10))
    with ben.here(later) as found:
        found.coordinator.log.tip.witness = lambda: later.now  # type: ignore[method-assign]  # the remote's clock goes with the story's
        fence = found.coordinator.claims.acquire(file("x")).claims[0].fence
    with ada.here(later) as found:
        errors, _ = found.coordinator.branch.sync()
        assert errors == []
        assert found.coordinator.parts.outbox.waiting() == []
    with ben.here(later) as found:
        [lease] = found.coordinator.claims.leases(mine=False, overlapping=None)
        assert (lease.claimed_by, lease.fence) == ("ben", fence)
        last = found.coordinator.branch.entries(session="ada", resource=None, since=None, limit=1)[0]
        assert last.kind == "claim.released"
        assert last.resources == ()


def test_a_start_without_a_name_waits_too(file_remote: Remote, seats: Seats, clone: Clone) -> None:
    ada, ben = seats(file_remote, "ada", "ben")
    ada.ok("init")
    ben.ok("sync")
    file_remote.away()
    started = ben.ok("start")
    assert started["state"] == "queued"
    assert ben.run("start", "chosen").code == 6
    assert ben.ok("send", "broadcast", "I am here")["state"] == "queued"
    file_remote.back()
    assert ben.ok("sync")["unsent"] == 0
    assert [one["session_id"] for one in ada.ok("status")["sessions"]] == [started["session_id"]]
    assert ben.ok("whoami")["state"] == "committed"


def test_a_queued_message_to_nobody_is_set_aside_and_told(file_remote: Remote, seats: Seats) -> None:
    (ada,) = seats(file_remote, "ada")
    ada.ok("init")
    ada.ok("start", "ada")
    file_remote.away()
    assert ada.ok("send", "nobody", "where are you?")["state"] == "queued"
    assert ada.ok("send", "broadcast", "hello")["state"] == "queued"
    file_remote.back()
    assert ada.ok("sync")["unsent"] == 0
    assert "not carried out: 1 queued command" in ada.run("status").err
    assert "no session is called nobody" in ada.run("doctor").out
    assert [one["subject"] for one in ada.ok("inbox", "--sent")["messages"]] == ["hello"]
