"""What `watch` shows: the branch as rows of plain values (`scene`), what a key does (`pressed`), and the screen (`frame`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gitcoord.core import leases, queue
from gitcoord.core.readiness import overview
from gitcoord.core.sessions import standing
from gitcoord.core.state import State
from gitcoord.views import cells, needs
from gitcoord.views.attention import Item
from gitcoord.views.board import recent_messages
from gitcoord.views.cells import Line, Style, cut, fit
from gitcoord.views.lanes import short

TABS = ("sessions", "claims", "tasks", "messages", "log")
KEYS = "1-5 or s c t m l: what · ↑ ↓ j k: row · Enter: its day · Esc: close · q: quit"
SPLIT = 110  # columns from which the second pane stands beside the first
_WITHIN = timedelta(hours=12)  # messages that are still shown
_DAY = 24 * 3600


@dataclass(frozen=True)
class Happening:
    """An event, as the log shows it."""

    seq: int
    at: datetime
    session: str
    text: str


@dataclass(frozen=True)
class Row:
    """A row of a table. `session`: whose day it opens; `when`: the time that is shown as an age, or as time that is left."""

    cells: tuple[str, ...]
    style: Style
    session: str = ""
    when: datetime | None = None
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """The branch as rows. `asked`: when the remote was asked last, None if it is away."""

    title: str
    seq: int
    asked: datetime | None
    sums: str
    pressing: tuple[tuple[str, str], ...]
    tables: dict[str, tuple[Row, ...]]
    events: tuple[Happening, ...]
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Lines about a session, for its pane."""


@dataclass(frozen=True)
class Cursor:
    """Where the person is: which table, which row, whose day is open, and whether all is over."""

    tab: str = TABS[0]
    row: int = 0
    session: str = ""
    quit: bool = False


def scene(
    state: State, now: datetime, items: Iterable[Item], events: Sequence[Happening], *, title: str, asked: datetime | None
) -> Scene:
    """Return the branch as rows: all that is read of the state is read here."""
    live = sorted(state.sessions.live(), key=lambda one: (one.start_seq, one.session_id))
    held: dict[str, list[str]] = {}
    claims = leases.live(state, now)
    for lease in claims:
        held.setdefault(lease.claimed_by, []).append(short(str(lease.resource)))
    line = queue.line(state, now)
    waits = {place.session_id: " or ".join(map(short, place.resources[:2])) for place in line}
    tasks = overview(state, now)
    messages = sorted(recent_messages(state, now, _WITHIN), key=lambda one: (-one.seq, one.id))
    asks = sum(one.asks for one in messages)
    # How many sessions, claims and messages there are stands above the tables.
    sums = f"{len(line)} waiting · {asks} unanswered" + (f" · {tasks.done}/{tasks.total} tasks done" if tasks.total else "")
    rows, more = [], {}
    for session in live:
        name = session.session_id
        beat = state.heartbeats.get(name)
        word = "waiting" if name in waits else standing(session, now, state.rules.quiet_after)
        blocked = beat.blocked_by if beat is not None else None
        said = (beat.action, beat.target) if beat is not None else ()
        doing = " ".join(part for part in said if part)
        style: Style = "bad" if blocked else "open" if word == "waiting" else "over" if word == "quiet" else "plain"
        about = f"blocked by {blocked}" if blocked else f"for {waits[name]}" if name in waits else doing
        about = about or session.current_work or ""
        holds = ", ".join(held.get(name, ()))
        rows.append(Row((name, "blocked" if blocked else word, about, holds), style, name, session.last_heartbeat))
        where = " · ".join(part for part in (session.agent, session.host, session.branch) if part)
        more[name] = tuple(filter(None, (where, session.current_work or "", f"holds {holds}" if holds else "holds nothing")))
    claim_rows = [
        Row(
            (short(str(lease.resource)), lease.claimed_by, lease.phase or "", "shared" if lease.mode == "shared" else ""), "claim",
            lease.claimed_by, lease.expires_at,
        )
        for lease in claims
    ]  # fmt: skip
    claim_rows += [
        Row(
            (" or ".join(map(short, place.resources[:2])), place.session_id, "waits in line", ""),
            "wait",
            place.session_id,
            place.since,
        )
        for place in line
    ]
    task_rows = [
        *(Row((f"#{task.seq}", "in work", task.title, lease.claimed_by), "task", lease.claimed_by) for task, lease in tasks.work),
        *(Row((f"#{task.seq}", "ready", task.title, task.to or ""), "plain") for task in tasks.first),
    ]
    if tasks.blocked:
        task_rows.append(Row(("", "blocked", f"{tasks.blocked} more wait for others: gitcoord tasks --all", ""), "soft"))
    message_rows = [
        Row(
            (one.sender, "all" if one.to == "broadcast" else one.to, one.subject, "open" if one.asks else one.type),
            "open" if one.asks else "plain", one.sender, one.timestamp,
        )
        for one in messages
    ]  # fmt: skip
    log_rows = [Row((f"#{one.seq}", one.text), "plain", one.session, one.at) for one in reversed(events)]
    tables = dict(zip(TABS, map(tuple, (rows, claim_rows, task_rows, message_rows, log_rows)), strict=True))
    pressing, rest = needs.chosen(needs.ordered(items), 4)
    lines = tuple((needs.label(item), item.text) for item in pressing)
    return Scene(title, state.seq, asked, sums, (*lines, ("", rest)) if rest else lines, tables, tuple(events), more)


_SHORT = {"s": "sessions", "c": "claims", "t": "tasks", "m": "messages", "l": "log"}
_BACK = {"escape", "backspace", "h"}


def pressed(cursor: Cursor, key: str, shown: Scene) -> Cursor:
    """Return where the person is after that key."""
    rows = shown.tables[cursor.tab]
    at = min(cursor.row, max(0, len(rows) - 1))
    if key in {"q", "ctrl-c"}:
        return replace(cursor, quit=True)
    if key in _SHORT or key in set("12345"):
        return replace(cursor, tab=_SHORT.get(key) or TABS[int(key) - 1], row=0)
    if key in {"tab", "right", "left"}:
        step = -1 if key == "left" else 1
        return replace(cursor, tab=TABS[(TABS.index(cursor.tab) + step) % len(TABS)], row=0)
    moves = {"up": at - 1, "k": at - 1, "down": at + 1, "j": at + 1, "home": 0, "g": 0, "end": len(rows), "G": len(rows),
             "pageup": at - 10, "pagedown": at + 10}  # fmt: skip
    if key in moves:
        return _follow(replace(cursor, row=max(0, min(moves[key], len(rows) - 1))), rows)
    if key in {"enter", "o"} and rows:
        return replace(cursor, row=at, session="" if cursor.session == rows[at].session else rows[at].session)
    return replace(cursor, session="") if key in _BACK else cursor


def _follow(cursor: Cursor, rows: Sequence[Row]) -> Cursor:
    """An open day goes with the row."""
    return replace(cursor, session=rows[cursor.row].session or cursor.session) if cursor.session and rows else cursor


# --- the screen ---------------------------------------------------------------------------------------------------------


_HEADS = {
    "sessions": (("SESSION", 0.20), ("STATE", 0.10), ("DOING", 0.36), ("HOLDS", 0.34)),
    "claims": (("CLAIM", 0.46), ("HOLDER", 0.24), ("PHASE", 0.18), ("", 0.12)),
    "tasks": (("TASK", 0.08), ("STATE", 0.10), ("TITLE", 0.58), ("WHO", 0.24)),
    "messages": (("FROM", 0.18), ("TO", 0.18), ("SUBJECT", 0.48), ("", 0.16)),
    "log": (("EVENT", 0.08), ("WHAT", 0.92)),
}
_FITTED = {"sessions", "claims", "tasks"}  # whose columns are as wide as what stands in them; the others are long
_NONE = {
    "sessions": "nobody is here yet: gitcoord start NAME begins a session",
    "claims": "nothing is held, and nobody waits",
    "tasks": "no task is ready or in work",
    "messages": "no message in the last 12 hours",
    "log": "no event yet",
}
_WHEN = 10  # columns of the last one
_WORDS = {"sessions": "HEARD", "claims": "LEFT", "tasks": "", "messages": "AGE", "log": "AGE"}


def frame(shown: Scene, cursor: Cursor, now: datetime, width: int, height: int) -> list[Line]:
    """Return the screen: just so many lines, none of them wider."""
    width, height = max(20, width), max(6, height)
    lines = _top(shown, cursor, now, width)
    room = height - len(lines) - 1
    if cursor.session and width >= SPLIT:
        left = width * 3 // 5
        table, day = _table(shown, cursor, now, left - 2, room), _day(shown, cursor, now, width - left - 1, room)
        lines += [[*_filled(one, left - 2), (" │ ", "soft"), *other] for one, other in zip(table, day, strict=True)]
    elif cursor.session:
        below = max(3, room // 2)
        lines += _table(shown, cursor, now, width, room - below - 1)
        lines += [[("─" * width, "soft")], *_day(shown, cursor, now, width, below)]
    else:
        lines += _table(shown, cursor, now, width, room)
    return [*lines[: height - 1], [(fit(KEYS, width), "soft")]]


def _filled(line: Line, columns: int) -> Line:
    rest = columns - sum(cells.width(piece) for piece, _ in line)
    return [*line, (" " * rest, "plain")] if rest > 0 else line


def _top(shown: Scene, cursor: Cursor, now: datetime, width: int) -> list[Line]:
    asked = f"asked {age(now - shown.asked)} ago" if shown.asked is not None else "the remote is away"
    right = f"event {shown.seq}, {asked}"
    left = cut(f"{shown.title}: {shown.sums}", width - len(right) - 2)
    lines: list[Line] = [[(fit(left, width - len(right)), "name"), (right, "soft" if shown.asked else "bad")]]
    tabs: Line = []
    for number, name in enumerate(TABS, 1):
        text = f" {number} {name} {len(shown.tables[name])} "
        tabs += [(text, "chosen" if name == cursor.tab else "soft"), (" ", "plain")]
    lines.append(_clipped(tabs, width))
    lines += [[(fit(word, 14), "open"), (cut(text, width - 14), "plain" if word else "soft")] for word, text in shown.pressing]
    return [*lines, []]


def _clipped(line: Line, width: int) -> Line:
    found: Line = []
    room = width
    for text, style in line:
        if room <= 0:
            break
        found.append((cut(text, room) if len(text) > room else text, style))
        room -= len(text)
    return found


def _table(shown: Scene, cursor: Cursor, now: datetime, width: int, height: int) -> list[Line]:
    """The table, scrolled so that the row of the cursor is seen; filled up to that height."""
    rows, heads = shown.tables[cursor.tab], _HEADS[cursor.tab]
    room = width - (_WHEN if _WORDS[cursor.tab] else 0)
    sizes = _sizes(rows, heads, room) if cursor.tab in _FITTED else _shared(heads, room)
    titles = "".join(fit(head, size) for (head, _), size in zip(heads, sizes, strict=True))
    lines: list[Line] = [[(titles + _WORDS[cursor.tab], "soft")]]
    seen = max(1, height - 1)
    at = min(cursor.row, max(0, len(rows) - 1))
    first = max(0, min(at - seen // 2, len(rows) - seen))
    for number, row in enumerate(rows[first : first + seen], first):
        lines.append(_row(row, cursor, now, sizes, chosen=number == at))
    if not rows:
        lines.append([(_NONE[cursor.tab], "soft")])
    return [*(_clipped(line, width) for line in lines[:height]), *([] for _ in range(height - len(lines)))]


def _shared(heads: Sequence[tuple[str, float]], room: int) -> list[int]:
    """Return the columns' widths by their shares."""
    sizes = [max(len(head) + 5 if head else 4, int(share * room)) for head, share in heads]
    return [*sizes[:-1], max(4, room - sum(sizes[:-1]))]


def _sizes(rows: Sequence[Row], heads: Sequence[tuple[str, float]], room: int) -> list[int]:
    """Return the columns' widths by what stands in them: as wide as that, and the widest gives way where they don't fit."""
    sizes = [
        max(len(head), *(min(room, cells.width(row.cells[column])) for row in rows), 3) + 2 if rows else share
        for column, ((head, _), share) in enumerate(zip(heads, _shared(heads, room), strict=True))
    ]
    while sum(sizes) > room and max(sizes) > 4:
        sizes[sizes.index(max(sizes))] -= 1
    return [*sizes[:-1], max(4, room - sum(sizes[:-1]))]


def _row(row: Row, cursor: Cursor, now: datetime, sizes: Sequence[int], *, chosen: bool) -> Line:
    text = "".join(fit(cell, size - 1) + " " for cell, size in zip(row.cells, sizes, strict=True))
    when = ""
    if row.when is not None:
        ahead = row.when - now
        when = f"in {age(ahead)}" if ahead > timedelta(0) else age(-ahead)
    style: Style = "chosen" if chosen else row.style
    return [(text, style), (fit(when, _WHEN), "chosen" if chosen else "soft")]


def _day(shown: Scene, cursor: Cursor, now: datetime, width: int, height: int) -> list[Line]:
    """One session's day: what it is at, then its events, the newest first."""
    name = cursor.session
    lines: list[Line] = [[(cut(name, width), "name")]]
    lines += [[(cut(text, width), "plain")] for text in shown.more.get(name, ("it has ended, or is not known here",))]
    lines.append([])
    for one in reversed(shown.events):
        if one.session == name and (now - one.at).total_seconds() < _DAY:
            lines.append([(fit(age(now - one.at), 8), "soft"), (cut(_without(name, one.text), width - 8), "plain")])
    return [*lines[:height], *([] for _ in range(height - len(lines)))]


def _without(name: str, text: str) -> str:
    """Return an event's line without the name of the session whose day it stands in."""
    word, colon, rest = text.partition(": ")
    return f"{word}{colon}{rest.removeprefix(f'{name} ').replace(f' by {name}', '', 1)}"


def age(span: timedelta) -> str:
    """Return a span in its largest unit: `12 min`."""
    seconds = max(0, int(span.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
