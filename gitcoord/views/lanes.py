"""A picture laid out in lanes: one for each session, with what it held and awaited in rows where nothing overlaps.

Places are shares of the time that is shown: 0 where it begins, 1 where it ends. `timeline_text` and `timeline_svg` draw them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from gitcoord.views.timeline import Bar, Picture, Queueing, Stay

Scale = Callable[[datetime], float]
Kind = Literal["claim", "task", "wait"]
ROWS = 4
"""Rows of a lane; what would need more is counted."""


@dataclass(frozen=True)
class Span:
    """A lease or a wait in a row of its lane, from `begin` to `end`. `live`: it goes on at the end of the picture."""

    kind: Kind
    label: str
    begin: float
    end: float
    row: int
    live: bool
    title: str


@dataclass
class Lane:
    """A session: where it was there, and its spans. `left`: how many had no row."""

    session: str
    state: Literal["working", "waiting", "quiet", "ended"]
    about: str
    stays: list[tuple[float, float]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    left: int = 0

    @property
    def rows(self) -> int:
        """Return how many rows it has: at least one."""
        return max((span.row + 1 for span in self.spans), default=1)


@dataclass(frozen=True)
class Arrow:
    """A message or a handoff between two lanes, by their numbers. `open`: nobody has answered it."""

    kind: Literal["message", "handoff"]
    source: int
    target: int
    begin: float
    end: float
    open: bool
    title: str


def short(what: str) -> str:
    """Return a resource as it is read: a file's path, a task's number, any other as it is."""
    kind, _, name = what.partition(":")
    return name if kind == "file" else f"#{name}" if kind == "task" else what


def window(picture: Picture) -> tuple[datetime, datetime]:
    """Return from when to when a picture is shown: an hour at least."""
    begin = picture.steps[0].at if picture.steps else picture.now
    return min(begin, picture.now - timedelta(hours=1)), picture.now


def lanes(picture: Picture, *, narrowest: float, rows: int = ROWS) -> list[Lane]:
    """Return the lanes of a picture, who is there first. `narrowest`: what the shortest span takes, as a share."""
    begin, end = window(picture)

    place = _scale(begin, end)
    heard = {step.session: step.at for step in picture.steps}
    doing = {step.session: step.state for step in picture.steps if step.state}
    found: dict[str, Lane] = {}
    for stay in picture.stays:
        lane = found.setdefault(stay.session, Lane(stay.session, "ended", ""))
        lane.stays.append((place(stay.began[1]), place(stay.ended[1] if stay.ended else end)))
        silent = (end - max(heard.get(stay.session, stay.began[1]), stay.began[1])).total_seconds() > picture.quiet_after
        lane.state = "ended" if stay.ended else "quiet" if silent else "working"
        lane.about = _about(stay, doing.get(stay.session, ""))
    times = {step.seq: step.at for step in picture.steps}
    for wait in picture.waits:
        if not wait.ended and wait.until > end and wait.session in found:
            found[wait.session].state = "waiting"
    for name, lane in found.items():
        _pack(lane, _spans(picture, name, times), place, narrowest, rows)
    order = {"working": 0, "waiting": 0, "quiet": 0, "ended": 1}
    return sorted(found.values(), key=lambda lane: order[lane.state])


def _scale(begin: datetime, end: datetime) -> Scale:
    whole = (end - begin).total_seconds()
    return lambda when: min(1.0, max(0.0, (when - begin).total_seconds() / whole))


def _about(stay: Stay, doing: str) -> str:
    if stay.ended:
        return stay.done[0] if stay.done else stay.work or stay.how
    return doing or stay.work


def _spans(picture: Picture, session: str, times: dict[int, datetime]) -> list[tuple[Bar | Queueing, datetime, int]]:
    """The session's leases and waits with their ends, oldest first; leases of one event with one end are one, with their number."""
    joined: dict[tuple[int, datetime], tuple[Bar, int]] = {}
    found: list[tuple[Bar | Queueing, datetime, int]] = []
    for bar in picture.bars:
        if bar.session == session:
            end = min(bar.until, times.get(bar.ended or 0, bar.until), picture.now)
            known = joined.get((bar.began[0], end))
            joined[bar.began[0], end] = (known[0], known[1] + 1) if known else (bar, 0)
    found += [(bar, end, more) for (_, end), (bar, more) in joined.items()]
    for wait in picture.waits:
        if wait.session == session:
            found.append((wait, min(wait.until, times.get(wait.ended or 0, wait.until), picture.now), 0))
    return sorted(found, key=lambda one: one[0].began)


def _pack(lane: Lane, spans: list[tuple[Bar | Queueing, datetime, int]], place: Scale, narrowest: float, rows: int) -> None:
    ends: list[float] = []
    for one, until, more in spans:
        begin = place(one.began[1])
        end = max(begin + narrowest, place(until))
        row = next((at for at, free in enumerate(ends) if free <= begin), len(ends))
        if row >= rows:
            lane.left += 1
            continue
        ends[row : row + 1] = [end]
        live = not one.ended and not one.how
        if isinstance(one, Queueing):
            what = f"waits: {short(one.what[0])}"
            behind = f", held by {', '.join(one.holders)}" if one.holders else ""
            lane.spans.append(Span("wait", what, begin, end, row, live, f"{one.session} waits for {', '.join(one.what)}{behind}"))
        else:
            what = short(one.what) + (f" +{more}" if more else "")
            ended = f", {one.how.replace('_', ' ')}{f' by {one.by}' if one.by else ''}" if one.how else ""
            kind: Kind = "task" if one.what.startswith("task:") else "claim"
            lane.spans.append(Span(kind, what, begin, end, row, live, f"{one.session} holds {one.what}{ended}"))


def arrows(picture: Picture, shown: list[Lane], most: int = 120) -> list[Arrow]:
    """Return the newest messages and handoffs between those lanes."""
    begin, end = window(picture)
    at = {lane.session: number for number, lane in enumerate(shown)}

    place = _scale(begin, end)
    notes = [one for one in picture.notes if one.sender in at and one.to in at and one.sender != one.to and one.at >= begin]
    passes = [one for one in picture.passes if one.taken and one.sender in at and one.by in at and one.sender != one.by]
    return [
        *(
            Arrow("message", at[one.sender], at[one.to], place(one.at), place(one.at), one.asks and not one.answered,
                  f"{one.sender} to {one.to}: {one.subject}")
            for one in notes[-most:]
        ),
        *(
            Arrow("handoff", at[one.sender], at[one.by], place(one.began[1]), place(one.taken[1]), False,
                  f"{one.by} took over from {one.sender}: {one.about}")
            for one in passes[-most:] if one.taken
        ),
    ]  # fmt: skip
