"""A time as whoever reads this run's answer should see it: relative for a person, absolute for an agent, in JSON and with `--utc`.

An agent compares times, and reads its own transcript again an hour later: `in 48 min` says nothing then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gitcoord.core.times import read_instant, spell, spell_relative, spell_short

_WORDS = "until|from|at|since|ended|expired|expires|heard|started|taken|done"
_SAID = re.compile(rf"\b({_WORDS}) (?:(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ)|(\d{{4}}-\d\d-\d\d )?(\d\d:\d\d) UTC)( on\b)?", re.ASCII)
"""A time in a sentence of this program: the word before it says what becomes of both."""


@dataclass
class _Reader:
    """Holds how the reader of an answer is shown times. `clock`: tells the time by which they are; None: they are absolute."""

    clock: Callable[[], datetime] | None = None
    as_of: datetime | None = None

    def is_now(self, clock: Callable[[], datetime] | None) -> None:
        """Note who reads from here on."""
        self.clock, self.as_of = clock, None

    def stands_at(self, now: datetime) -> None:
        """Note the time of what is shown."""
        self.as_of = now


_reader = _Reader()


def read_by(clock: Callable[[], datetime] | None) -> None:
    """Note by which clock a person reads the answer; None: times are shown as they are."""
    _reader.is_now(clock)


def as_of(now: datetime) -> None:
    """Note the time of what is shown, where that is another one than the clock's."""
    _reader.stands_at(now)


def _now() -> datetime | None:
    if _reader.clock is None:
        return None
    return _reader.as_of or _reader.clock()


def moment(instant: datetime) -> str:
    """Return the time: `12 min ago`, `in 48 min`, or absolute."""
    now = _now()
    return spell(instant) if now is None else spell_relative(instant, now)


def until(instant: datetime) -> str:
    """Return how long something lasts: `for another 48 min`, `until 9 min ago`, or `until` and the absolute time."""
    now = _now()
    if now is None or instant <= now:
        return f"until {moment(instant)}"
    return f"for another {spell_short(instant - now)}"


def in_words(text: str) -> str:
    """Return a sentence of this program with its times as they are shown here."""
    now = _now()
    return text if now is None else _SAID.sub(lambda match: _said(match, now), text)


def _said(match: re.Match[str], now: datetime) -> str:
    word, typed, day, clock, on = match.groups()
    try:
        instant = read_instant(typed or f"{day.strip() if day else format(now.astimezone(UTC), '%Y-%m-%d')}T{clock}:00Z")
    except ValueError:
        return match[0]
    if clock and not day and now - instant > timedelta(hours=12):  # without a day it is the next one
        instant += timedelta(days=1)
    if word == "until":
        return until(instant) + (on or "")
    if word == "at" or (word == "from" and on):
        return moment(instant)
    return f"{word} {moment(instant)}{on or ''}"
