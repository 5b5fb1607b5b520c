"""Instants and durations: one spelling, strictly read; what a person types is read kindly or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import instants

from gitcoord.core import times
from gitcoord.errors import BadInput

NOW = datetime(2025, 11, 15, 10, 0, tzinfo=UTC)


def test_instant_is_spelled_in_utc_with_z() -> None:
    assert times.spell(NOW) == "2025-11-15T10:00:00Z"
    east = datetime(2025, 11, 15, 12, 0, 30, 999999, tzinfo=timezone(timedelta(hours=2)))
    assert times.spell(east) == "2025-11-15T10:00:30Z"


@given(instants)
@example(datetime(2000, 1, 1, tzinfo=UTC))
@example(datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC))
def test_spelled_instant_is_read_back(when: datetime) -> None:
    assert times.read_instant(times.spell(when)) == when
    assert times.is_plausible(when)


@pytest.mark.parametrize("year", [1, 999, 1000, 1969, 1999, 2200, 9999])
def test_instant_of_an_impossible_year_is_not_read(year: int) -> None:
    """Near the ends of the calendar every sum fails, and before the year 1000 there are two spellings."""
    when = datetime(year, 1, 1, tzinfo=UTC)
    assert not times.is_plausible(when)
    for value in (when, f"{year:04d}-01-01T00:00:00Z"):
        with pytest.raises(ValueError):
            times.read_instant(value)
    with pytest.raises(BadInput):
        times.parse_when(f"{year:04d}-01-01T00:00:00Z", now=NOW, ahead=True)


@pytest.mark.parametrize(
    "value",
    ["", "2025-11-15", "2025-11-15T10:00:00", "2025-11-15T10:00:00+00:00", "2025-11-15T10:00:00z", "2025-11-15 10:00:00Z",
     "2025-11-15T10:00:00.5Z", "2025-11-15T10:00Z", "2026-02-30T00:00:00Z", "2025-11-15T24:00:00Z", "2025-11-15T23:59:60Z",
     "0000-01-01T00:00:00Z", "12025-11-15T10:00:00Z", "2025-11-15T10:00:00Z\n", " 2025-11-15T10:00:00Z",
     "\u0662025-11-15T10:00:00Z", 1763200800, 1.5, None, True, b"2025-11-15T10:00:00Z", datetime(2025, 11, 15)],
    ids=repr,
)  # fmt: skip
def test_other_spelling_is_not_read(value: object) -> None:
    with pytest.raises(ValueError):
        times.read_instant(value)


def test_aware_datetime_is_read_as_utc_in_whole_seconds() -> None:
    west = datetime(2025, 11, 15, 5, 0, 0, 7, tzinfo=timezone(timedelta(hours=-5)))
    assert times.read_instant(west) == NOW
    assert times.read_instant(west).microsecond == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("4h", 14400), ("2d", 172800), ("4 hours", 14400), ("1 hour", 3600), (" 30M ", 1800),
     ("1 minute", 60),
     ("2h40m", 9600), ("1d 6h", 108000), ("2 hours 40 minutes", 9600),
     ("10 seconds", 10), ("1 day", 86400), ("0s", 0), ("007m", 420), ("3650d", 3650 * 86400)],
)  # fmt: skip
def test_duration_is_read(text: str, seconds: int) -> None:
    assert times.parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "5", "m", "-5m", "+5m", "1.5h", "5 fortnights", "1e3s", "5m5m", "5s5m", "5m\n5", "\u0665m", "1w", "NaN", "inf", "0x10s",
     "3651d", "999999999d", "9" * 5000 + "s"],
    ids=lambda text: ascii(text[:12]),
)  # fmt: skip
def test_other_duration_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        times.parse_duration(text)
    assert "2d" in refused.value.hint


@given(st.integers(0, 10 * 365 * 86400))
def test_spelled_ttl_is_read_back(seconds: int) -> None:
    assert times.parse_duration(times.spell_ttl(seconds)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "spelled"), [(90, "90s"), (1800, "30m"), (14400, "4h"), (172800, "2d"), (3601, "3601s"), (0, "0s")]
)
def test_ttl_is_spelled_in_its_largest_whole_unit(seconds: int, spelled: str) -> None:
    assert times.spell_ttl(seconds) == spelled


@pytest.mark.parametrize(
    ("text", "ahead", "expected"),
    [
        ("30m", True, NOW + timedelta(minutes=30)),
        ("30m", False, NOW - timedelta(minutes=30)),
        ("2 hours", False, NOW - timedelta(hours=2)),
        ("2025-11-15T14:00:00Z", True, datetime(2025, 11, 15, 14, tzinfo=UTC)),
        ("2025-11-15T14:00:00+02:00", True, datetime(2025, 11, 15, 12, tzinfo=UTC)),
        ("2025-11-15T14:00:00", False, datetime(2025, 11, 15, 14, tzinfo=UTC)),
        ("2025-11-15 14:00", False, datetime(2025, 11, 15, 14, tzinfo=UTC)),
        ("2025-11-15", False, datetime(2025, 11, 15, tzinfo=UTC)),
        (" 2025-11-15T14:00:00.9Z ", True, datetime(2025, 11, 15, 14, tzinfo=UTC)),
    ],
)
def test_time_is_read_as_people_write_it(text: str, ahead: bool, expected: datetime) -> None:
    assert times.parse_when(text, now=NOW, ahead=ahead) == expected


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "ahead", "expected"),
    [
        ("15:00", False, "2026-03-29T13:00:00Z"),  # summer time began that morning
        ("15:00", True, "2026-03-30T13:00:00Z"),
        ("21:00", False, "2026-03-28T20:00:00Z"),  # the last one was in winter time
        ("21:00", True, "2026-03-29T19:00:00Z"),
        ("yesterday 9:00", False, "2026-03-28T08:00:00Z"),
        ("Yesterday", False, "2026-03-27T23:00:00Z"),
        ("tomorrow at 17:30", True, "2026-03-30T15:30:00Z"),
        ("2026-01-15", False, "2026-01-14T23:00:00Z"),
        ("2026-01-15 10:00", False, "2026-01-15T09:00:00Z"),
        ("2 hours ago", True, "2026-03-29T16:00:00Z"),
        ("in 2h40m", False, "2026-03-29T20:40:00Z"),
        ("2026-03-29T10:00:00Z", False, "2026-03-29T10:00:00Z"),
    ],
)
def test_time_without_a_zone_is_that_of_the_reader(text: str, ahead: bool, expected: str) -> None:
    now = datetime(2026, 3, 29, 20, tzinfo=BERLIN)
    found = times.parse_when(text, now=now, ahead=ahead, local=lambda naive: naive.replace(tzinfo=BERLIN))
    assert times.spell(found) == expected
    assert times.has_zone(text) == (text.endswith(("ago", "m", "00Z")))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "24:00",
        "9:60",
        "yesterday 25:00",
        "in 2h ago",
        "2026-02-30",
        "2025-11-15T10:00:60Z",
        "0001-01-01T00:00:00+14:00",
        "3651d",
    ],
)
def test_other_time_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        times.parse_when(text, now=NOW, ahead=True)


@given(st.text(max_size=30), st.booleans())
@example("0999-01-01T00:00:00Z", True)
@example("2199-12-31T23:59:59Z", True)
def test_every_time_that_is_taken_can_be_stored(text: str, ahead: bool) -> None:
    try:
        when = times.parse_when(text, now=NOW, ahead=ahead)
    except BadInput:
        return
    assert times.read_instant(times.spell(when)) == when


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(0), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=59), "59 seconds"),
        (timedelta(hours=2, minutes=5), "2 hours 5 minutes"),
        (timedelta(hours=1, minutes=1, seconds=1), "1 hour 1 minute"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=3, hours=4, minutes=59), "3 days 4 hours"),
        (timedelta(seconds=-5), "0 seconds"),
    ],
)
def test_span_is_told_in_words(span: timedelta, words: str) -> None:
    assert times.spell_span(span) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"), (-4, "just now"), (-40, "40 s ago"), (40, "in 40 s"), (-60, "1 min ago"), (48 * 60, "in 48 min"),
        (3600 - 4, "in 1 h"), (-(3 * 3600 + 25 * 60), "3 h 25 min ago"), (24 * 3600, "in 1 day"), (-75 * 3600, "3 days ago"),
    ],
)  # fmt: skip
def test_a_time_is_told_by_how_far_away_it_is(seconds: int, words: str) -> None:
    now = datetime(2025, 11, 15, 10, tzinfo=UTC)
    assert times.spell_relative(now + timedelta(seconds=seconds), now) == words
