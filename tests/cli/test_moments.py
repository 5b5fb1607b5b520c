"""Times as a person reads them, and as they are for whoever compares them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from clones import Clock, Seat, file

from gitcoord.cli import moments
from gitcoord.core.times import spell

NOW = datetime(2025, 11, 15, 23, 50, tzinfo=UTC)


@pytest.fixture
def person() -> Iterator[None]:
    """A person reads, at NOW."""
    moments.read_by(lambda: NOW)
    yield
    moments.read_by(None)


def test_a_person_sees_how_far_away_a_time_is(person: None) -> None:
    assert moments.moment(NOW - timedelta(minutes=12)) == "12 min ago"
    assert moments.until(NOW + timedelta(minutes=48)) == "for another 48 min"
    assert moments.until(NOW - timedelta(minutes=9)) == "until 9 min ago"
    moments.as_of(NOW - timedelta(hours=3))
    assert moments.moment(NOW) == "in 3 h"


def test_who_compares_times_sees_them_as_they_are() -> None:
    moments.read_by(None)
    moments.as_of(NOW)
    assert moments.moment(NOW) == "2025-11-15T23:50:00Z"
    assert moments.until(NOW) == "until 2025-11-15T23:50:00Z"
    assert moments.in_words("it ended 2025-11-15T23:00:00Z") == "it ended 2025-11-15T23:00:00Z"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x is held by ada until 2025-11-16T00:38:00Z (fence 3)", "x is held by ada for another 48 min (fence 3)"),
        ("x ended 2025-11-15T23:41:00Z; free from 2025-11-15T23:51:00Z on", "x ended 9 min ago; free in 1 min"),
        ("this is what was known at 2025-11-15T20:50:00Z", "this is what was known 3 h ago"),
        ("ben waits since 2025-11-13T23:50:00Z and comes first", "ben waits since 2 days ago and comes first"),
        ("held by ada until 00:38 UTC (number 1)", "held by ada for another 48 min (number 1)"),
        ("the claim of ada on x expires 23:55 UTC", "the claim of ada on x expires in 5 min"),
        ("was last heard 2025-11-14 23:50 UTC", "was last heard 1 day ago"),
        ("this clock (2025-11-15T23:41:00Z) is slow", "this clock (2025-11-15T23:41:00Z) is slow"),
        ("until 2025-02-30T10:00:00Z", "until 2025-02-30T10:00:00Z"),
        ("until 25:61 UTC", "until 25:61 UTC"),
    ],
)
def test_a_sentence_of_the_program_says_it_relatively(person: None, text: str, shown: str) -> None:
    assert moments.in_words(text) == shown


def test_who_asks_for_utc_or_json_and_an_agent_get_absolute_times(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    (lease,) = ada.ok("claim", "a.py")["claims"]
    assert f"file:a.py  ada     exclusive  {lease['expires_at']}" in ben.run("claims", "--utc").out
    assert f"is held by ada until {lease['expires_at']} (fence" in ben.run("claim", "a.py", "--utc").err
    assert lease["expires_at"] in ben.run("claim", "a.py", "--json").json["message"]
    assert lease["expires_at"] not in ben.run("claims").out
    ben.extra["CLAUDE_CODE_SESSION_ID"] = "an-agent"
    assert lease["expires_at"] in ben.run("claims").out


def test_a_message_says_what_its_sender_wrote_times_too(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    text = f"frozen until {spell(datetime.now(UTC) + timedelta(hours=1))}"
    ada.ok("send", "ben", text)
    assert text in ben.run("inbox").out


def test_a_picture_of_the_past_shows_what_was_so_then(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("a.py"))
    then = spell(clock.now)
    clock.move(minutes=10)
    with ben.here(clock) as found:
        found.coordinator.claims.acquire(file("b.py"))
    for name in ("claims", "status"):
        assert [one["resource_name"] for one in ada.ok(name, "--at", then)["claims"]] == ["a.py"]
        assert "b.py" not in ada.run(name, "--at", then).out
    assert ada.ok("status", "--at", then)["as_of"] == then
    shown = ada.ok("log", "--until", then)["events"]
    assert shown
    assert all(one["at"] <= then for one in shown)
    assert "claim: file b.py" not in " ".join(one["subject"] for one in shown)


@pytest.mark.parametrize("words", [("inbox", "--wait"), ("claim", "x", "--wait"), ("ask", "ada", "why?")])
def test_a_time_to_wait_until_that_is_over_is_told(pair: tuple[Seat, Seat], words: tuple[str, ...]) -> None:
    ran = pair[1].run(*words, "--timeout", "yesterday 9:00")
    assert (ran.code, "is over already" in ran.err) == (2, True)
