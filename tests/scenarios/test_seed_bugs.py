"""The bugs of the shell scripts that the protocol came from, each as a fact that no longer holds."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from clones import Clock, Seat, file
from remotes import Remote

from gitcoord.errors import Held, NotHeld

TRICKY = 'a "quote", a \\ backslash, a \'tick\', $(whoami), `date`, {"json": true}, é, 🤝'


def test_two_heartbeats_in_one_second_are_both_kept(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    clock = Clock()
    for action in ("building", "testing"):
        with ada.here(clock) as found:
            found.coordinator.sessions.heartbeat(action=action)
    kinds = [one["subject"] for one in ada.ok("log", "--session", "ada")["events"] if one["event"] == "heartbeat.recorded"]
    assert kinds == ["heartbeat: ada building", "heartbeat: ada testing"]


def test_two_messages_in_one_second_are_both_kept(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    clock = Clock()
    for subject in ("one", "two"):
        with ada.here(clock) as found:
            found.coordinator.messages.send("ben", subject, "")
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["one", "two"]


def test_sessions_of_one_clone_do_not_share_one_identity(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    ada.ok("start", "other", "--new")
    for name in ("ada", "other"):
        seat = Seat(ada.path, ada.outbox, name)
        assert seat.ok("whoami")["session_id"] == name
        assert seat.ok("claim", "droplet", name)["claims"][0]["claimed_by"] == name


def test_an_expired_claim_is_taken_over_and_a_live_one_is_not(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        old = found.coordinator.claims.acquire(file("x"), ttl_seconds=3600).claims[0]
    clock.move(minutes=59)
    with ben.here(clock) as found, pytest.raises(Held):
        found.coordinator.claims.acquire(file("x"))
    clock.now = old.expires_at + timedelta(seconds=61)
    with ben.here(clock) as found:
        new = found.coordinator.claims.acquire(file("x"))
    assert new.claims[0].fence > old.fence
    assert new.taken == (f"{old.fence} ada expired file:x",)
    with ada.here(clock) as found:
        [message], _, _ = found.coordinator.messages.inbox()
        assert message.type == "alert"
        with pytest.raises(NotHeld):
            found.coordinator.claims.renew(file("x"))


def test_quotes_do_not_break_the_record(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "x", "--reason", TRICKY)
    ada.ok("send", "ben", TRICKY, f"{TRICKY}\n\n{TRICKY}")
    assert ben.ok("claims")["claims"][0]["reason"] == TRICKY
    [mail] = ben.ok("inbox")["messages"]
    assert (mail["subject"], mail["message"]) == (TRICKY, f"{TRICKY}\n\n{TRICKY}")
    assert ben.ok("verify")["ok"]


def test_a_release_by_another_frees_nothing(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "x")
    assert ben.run("release", "x").code == 4
    assert [one["claimed_by"] for one in ada.ok("claims")["claims"]] == ["ada"]


def test_more_than_five_messages_are_shown(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with ada.here() as found:
        for number in range(12):
            found.coordinator.messages.send("ben", f"note {number}", "")
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == [f"note {number}" for number in range(12)]


def test_the_own_broadcast_is_not_in_the_own_inbox(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("send", "broadcast", "to all of you")
    assert ada.ok("inbox")["messages"] == []
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["to all of you"]


def test_nothing_is_cleaned_up_by_a_file_s_time(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    ada.ok("heartbeat", "building")
    ada.ok("claim", "x")
    for place in Path(file_remote.path).rglob("*"):
        if place.is_file():
            os.utime(place, (0, 0))
    ben.ok("heartbeat", "testing")
    status = ben.ok("status")
    assert [one["session_id"] for one in status["sessions"] if one["heartbeat"]] == ["ada", "ben"]
    assert len(status["claims"]) == 1
