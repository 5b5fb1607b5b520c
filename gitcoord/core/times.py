"""Instants and durations as gitcoord spells them: RFC 3339 UTC with `Z`, whole seconds; `90s`, `30m`, `4h`, `2d`.

Everything below the faces gets the time as an argument; nothing here reads a clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from gitcoord.errors import BadInput

_INSTANT = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,9})\s*(s|m|h|d|seconds?|minutes?|hours?|days?)", re.ASCII)
_DURATIONS = re.compile(rf"(?:{_DURATION.pattern}[ ]*)+", re.ASCII)
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
_DAY = re.compile(rf"(?:(?P<day>today|yesterday|tomorrow)(?: (?:at )?(?P<late>{_CLOCK}))?|(?P<clock>{_CLOCK}))", re.ASCII)
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_TIMES = "write 30m, 2h40m, 15:00, yesterday 9:00, 2025-11-15 or 2025-11-15T10:00:00Z"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_LAST_DATE = datetime(2150, 1, 1, tzinfo=UTC)  # of a commit: what is counted from it (ten years at most) is a time still
_JUST = timedelta(seconds=5)
_LONGEST = 10 * 365 * 86400  # ten years, in seconds: longer is a typing error and near what datetime can't hold


@lru_cache(maxsize=1024)
def spell(instant: datetime) -> str:
    """The instant as `2025-11-15T10:00:00Z`."""
    when = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return f"{when.isoformat()[:19]}Z"


def is_plausible(instant: datetime) -> bool:
    """Whether the instant lies in the years 2000 to 2199: within them all sums of this program stay dates."""
    return EARLIEST <= instant < LATEST


def is_date(instant: datetime) -> bool:
    """Whether a commit may bear that date."""
    return EARLIEST <= instant < _LAST_DATE


def _days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def read_instant(value: object) -> datetime:
    """The aware UTC instant in `value`, exactly as `spell` writes it, in the years 2000 to 2199. Raises ValueError."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        instant = value if value.tzinfo is UTC and not value.microsecond else value.astimezone(UTC).replace(microsecond=0)
    else:
        spelled = _INSTANT.fullmatch(value) if isinstance(value, str) else None
        if spelled is None:
            raise ValueError("not a time of the form 2025-11-15T10:00:00Z")
        year, month, day, hour, minute, second = map(int, spelled.groups())
        # Said here and not left to `datetime`: one Python takes the hour 24, another doesn't.
        if not (1 <= month <= 12 and hour < 24 and minute < 60 and second < 60 and 1 <= day <= _days(year, month)):
            raise ValueError("not a time: there is no such day, hour, minute or second")
        if not EARLIEST.year <= year < LATEST.year:
            raise ValueError("not a time of the years 2000 to 2199")
        instant = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    if not is_plausible(instant):
        raise ValueError("not a time of the years 2000 to 2199")
    return instant


Instant = Annotated[datetime, BeforeValidator(read_instant), PlainSerializer(spell, return_type=str, when_used="json")]
"""An aware UTC datetime with whole seconds, spelled RFC 3339 with `Z` in every record."""


def parse_duration(text: str) -> timedelta:
    """The duration in `90s`, `30m`, `2h40m`, `2d` (or `2 hours 40 minutes`): the larger unit first, each once. Raises BadInput."""
    spelled = text.strip().lower()
    parts = [(int(count), _UNITS[unit[0]]) for count, unit in _DURATION.findall(spelled)] if _DURATIONS.fullmatch(spelled) else []
    units = [unit for _, unit in parts]
    if not parts or units != sorted(set(units), reverse=True):
        raise BadInput(f"{text!r} is not a duration", hint="write 90s, 30m, 2h40m or 2d")
    seconds = sum(count * unit for count, unit in parts)
    if seconds > _LONGEST:
        raise BadInput(f"{text!r} is longer than ten years", hint="write 90s, 30m, 2h40m or 2d")
    return timedelta(seconds=seconds)


def is_duration(text: str) -> bool:
    """Return True if the text has the form of a duration."""
    return _DURATIONS.fullmatch(text.strip().lower()) is not None


def _as_utc(naive: datetime) -> datetime:
    return naive.replace(tzinfo=UTC)


def parse_when(text: str, *, now: datetime, ahead: bool, local: Callable[[datetime], datetime] = _as_utc) -> datetime:
    """The instant in `text`, as people write it. Raises BadInput.

    - RFC 3339, or a date with or without a time; what has no zone is taken as `local` takes it.
    - A duration counted from `now` (onwards if `ahead`, else back); `2h ago` and `in 2h` say it themselves.
    - `15:00`: the next one if `ahead`, else the last one. `yesterday 9:00`, `today`, `tomorrow 17:30`: without a time, midnight.

    `now`: aware, in the zone of the reader; `local`: that zone, given a time without one.
    """
    spelled, onwards = _step(text)
    if _DURATIONS.fullmatch(spelled):
        span = parse_duration(spelled)
        return _plausible(now + span if (ahead if onwards is None else onwards) else now - span, text)
    named = _DAY.fullmatch(spelled)
    if named is not None:
        day, clock = named["day"], named["clock"] or named["late"]
        hour, minute, second = map(int, [*(clock or "0").split(":"), 0, 0][:3])
        if hour < 24 and minute < 60 and second < 60:
            date = now.date() + timedelta(days=_DAYS.get(day or "today", 0))
            found = local(datetime(date.year, date.month, date.day, hour, minute, second))  # `local` knows the zone
            if day is None and (found <= now if ahead else found > now):
                date += timedelta(days=1 if ahead else -1)
                found = local(datetime(date.year, date.month, date.day, hour, minute, second))
            return _plausible(found, text)
    try:
        instant = datetime.fromisoformat(text.strip())
        return _plausible(local(instant) if instant.tzinfo is None else instant, text)
    except (ValueError, OverflowError):
        raise BadInput(f"{text!r} is not a time", hint=_TIMES) from None


def _step(text: str) -> tuple[str, bool | None]:
    """Return the text without what says on which side of now it lies, and whether that is ahead; None where it doesn't say."""
    spelled = " ".join(text.lower().split())
    if spelled.startswith("in "):
        return spelled[3:], True
    return (spelled[:-4], False) if spelled.endswith(" ago") else (spelled, None)


def has_zone(text: str) -> bool:
    """Return True if the text says an instant without knowing where it is read: a duration, or a time with a zone."""
    if _DURATIONS.fullmatch(_step(text)[0]):
        return True
    try:
        return datetime.fromisoformat(text.strip()).tzinfo is not None
    except ValueError:
        return False


def _plausible(instant: datetime, text: str) -> datetime:
    instant = instant.astimezone(UTC)
    if not is_plausible(instant):
        raise BadInput(f"{text!r} is not in the years 2000 to 2199", hint=_TIMES)
    return instant.replace(microsecond=0)


def spell_span(span: timedelta) -> str:
    """The span in a reader's words, the largest two units: `2 hours 5 minutes`."""
    seconds = max(0, int(span.total_seconds()))
    parts = []
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {word}{'s' if count > 1 else ''}")
    return " ".join(parts[:2]) or "0 seconds"


def spell_short(span: timedelta) -> str:
    """The span at a glance: `40 s`, `48 min`, `3 h 25 min`, `3 days`."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days = round(seconds / 86400)
    return f"{days} day{'s' if days > 1 else ''}"


def spell_relative(instant: datetime, now: datetime) -> str:
    """The instant as somebody sees it at `now`: `12 min ago`, `in 48 min`."""
    if instant > now:
        return f"in {spell_short(instant - now)}"
    return "just now" if now - instant < _JUST else f"{spell_short(now - instant)} ago"


def spell_ttl(seconds: int) -> str:
    """The duration as it may be typed: `90s`, `30m`, `4h`, `2d`."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"
