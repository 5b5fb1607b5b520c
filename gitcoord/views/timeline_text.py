"""The lanes of a picture in the letters of a terminal. Colours are a face's business: each piece says what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitcoord.core.names import show
from gitcoord.views import cells as cells_of
from gitcoord.views.cells import Line, Piece, Style, cut, width_of
from gitcoord.views.lanes import Lane, Span, lanes, window
from gitcoord.views.timeline import Picture

NAME = 14  # columns of a session's name
_STEPS = (5, 15, 30, 60, 120, 240, 480, 1440, 2880, 10080, 43200)  # minutes between two times of the axis
_APART = 10  # columns between two of them, at least


@dataclass(frozen=True)
class Clock:
    """How times are shown: in the reader's zone."""

    local: Callable[[datetime], datetime]

    def brief(self, when: datetime) -> str:
        """Return the time of day, or the day where it begins one."""
        here = self.local(when)
        return f"{here:%d %b}" if (here.hour, here.minute) == (0, 0) else f"{here:%H:%M}"


def text(picture: Picture, clock: Clock, *, width: int = 80, most: int = 20) -> list[Line]:
    """Return the lines: the axis, the lanes of at most so many sessions, what was said and handed over, what the signs mean."""
    room = max(20, width - NAME - 1)
    found = lanes(picture, narrowest=1 / room, rows=3)
    begin, end = window(picture)
    lines = [_axis(begin, end, room, clock)]
    for lane in found[:most]:
        lines += _lane(picture, lane, room, begin, end)
    if len(found) > most:
        lines.append([(f"… and {len(found) - most} more sessions", "soft")])
    if not found:
        lines.append([("no session in this time", "soft")])
    signs = "▪ short  > goes on  m message  ? question  H handed over"
    lines.append([("[held]", "claim"), ("  ", "plain"), ("(waits)", "wait"), ("  ", "plain"), (signs, "soft")])
    return lines


def ticks(begin: datetime, end: datetime, clock: Clock, most: int) -> list[tuple[float, str]]:
    """Return at most so many round times of the reader's zone, each with its place as a share."""
    whole = (end - begin).total_seconds()
    step = next((one for one in _STEPS if whole / 60 / one <= most), _STEPS[-1]) * 60
    here = clock.local(begin)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    when = midnight + timedelta(seconds=step * -(-(here - midnight).total_seconds() // step))
    found: list[tuple[float, str]] = []
    while when <= end and len(found) < most:
        found.append(((when - begin).total_seconds() / whole, clock.brief(when)))
        when += timedelta(seconds=step)
    return found


def _axis(begin: datetime, end: datetime, room: int, clock: Clock) -> Line:
    row = [" "] * room
    for share, word in ticks(begin, end, clock, room // _APART):
        at = int(share * room)
        if at + len(word) <= room:
            row[at : at + len(word)] = word
    return [(show(f"{clock.local(end):%Z}", NAME).ljust(NAME + 1), "soft"), ("".join(row).rstrip(), "soft")]


def _lane(picture: Picture, lane: Lane, room: int, begin: datetime, end: datetime) -> list[Line]:
    """The session's name and when it was there, with the signs of what it said; then its rows."""
    whole = (end - begin).total_seconds()

    def column(when: datetime) -> int:
        return min(room - 1, max(0, int((when - begin).total_seconds() / whole * room)))

    there: list[tuple[str, Style]] = [(" ", "plain")] * room
    for a, b in lane.stays:
        for at in range(int(a * room), min(room, int(b * room) + 1)):
            there[at] = ("·", "soft")
    for note in picture.notes:
        if note.sender == lane.session and note.at >= begin:
            sign: Piece = ("?", "open" if not note.answered else "soft") if note.asks else ("m", "soft")
            if there[column(note.at)][0] != "?":
                there[column(note.at)] = sign
    for one in picture.passes:
        if one.sender == lane.session and one.began[1] >= begin:
            there[column(one.began[1])] = ("H", "handoff")
    name: Style = "over" if lane.state == "ended" else "open" if lane.state == "waiting" else "name"
    lines: list[Line] = [[(show(lane.session, NAME).ljust(NAME + 1), name), *_joined(there)]]
    for row in range(lane.rows if lane.spans else 0):
        state = [f"  {lane.state}"] if not row else [f"  +{lane.left} more"] if row == lane.rows - 1 and lane.left else [""]
        cells: list[tuple[str, Style]] = [(" ", "plain")] * room
        for span in (span for span in lane.spans if span.row == row):
            _draw(cells, span, room)
        lines.append([(state[0].ljust(NAME + 1), "soft"), *_joined(cells)])
    return lines


def _draw(cells: list[tuple[str, Style]], span: Span, room: int) -> None:
    a = min(room - 1, int(span.begin * room))
    size = max(1, min(room, int(span.end * room)) - a)
    left, right = ("(", ")") if span.kind == "wait" else ("[", "]")
    last = ">" if span.live else right
    label = cut(span.label, size - 2) if size > 4 else ""
    filled = label + ("." if span.kind == "wait" else "=") * (size - 2 - cells_of.width(label))
    drawn = f"{left}{filled}{last}" if size > 1 else ">" if span.live else "▪"
    style: Style = span.kind if span.live or span.kind == "wait" else "over"
    for char in drawn:
        taken = width_of(char)
        if not taken:
            cells[a - 1] = (cells[a - 1][0] + char, style)
            continue
        cells[a : a + taken] = [(char, style), *[("", style)] * (taken - 1)]
        a += taken


def _joined(cells: Sequence[tuple[str, Style]]) -> Line:
    """Neighbours of one style as one piece, without blanks at the end."""
    found: Line = []
    for char, style in cells:
        if found and found[-1][1] == style:
            found[-1] = (found[-1][0] + char, style)
        else:
            found.append((char, style))
    if found and not found[-1][0].strip():
        found.pop()
    return found
