"""What a session should know when it starts, or since it looked last: a pure function of state and time, bounded in bytes.

All that others wrote stands between two marks that nobody can guess, on lines that are inert, as information and not as
instructions. Unread messages are only looked at here: a briefing may be made at any time, be cut, and be read by nobody, so it
takes none; `inbox` does. Those to the session stand here with the beginning of their text, all the others with their subject.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitcoord.core import foretold, handoffs, inbox, leases
from gitcoord.core.messages import TO_ALL
from gitcoord.core.names import Resource, show, unblank
from gitcoord.core.overlap import overlaps
from gitcoord.core.readiness import Look
from gitcoord.core.records import Claim, Handoff, Message, Session
from gitcoord.core.sessions import standing
from gitcoord.core.state import State
from gitcoord.core.times import spell
from gitcoord.views import quoting

LIMIT = 4096  # bytes of a first briefing (protocol, section 9)
AGAIN = 1024  # bytes of one that tells what is new
HISTORY = 10  # messages to all, and lines of a chat, that are told as history
LETTER = 800  # bytes of a message's text that an agent is given unasked
LATELY = timedelta(days=1)  # how long ago a session may have ended to be told of in a first briefing
KEPT = 1000  # names of sessions that are remembered as having been there
ALL = frozenset(
    {"own", "over", "conflicts", "handoffs", "messages", "notices", "tasks", "near", "sessions", "claims", "ended", "history"}
)
CONCERNS = frozenset({"conflicts", "handoffs", "near"})
"""What concerns a session beside its messages: what it will collide with, what is handed to it, claims near its work; not who comes
and goes.
"""
NEAR = 100  # paths that a claim is held against: a branch that changes more is near to everything

UNVERIFIED = "unverified: the history is still being checked, so any of this may be wrong; gitcoord doctor says how far it is"
"""What stands before all that is shown of a branch whose history is not checked yet."""

_MARK, _NAME, _SUBJECT, _TEXT = 160, 80, 160, 240  # bytes of a mark, of what somebody chose, said in a line, said at length


@dataclass(frozen=True)
class BriefedUpTo:
    """What a session was told last: up to which event, in which run, and who was there."""

    seq: int
    run_id: str
    live: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Briefing:
    """The text ("" where nothing is new), how many there are of each kind of thing, what to remember once it was shown, and the
    lines that stand between the marks.
    """

    text: str
    counts: dict[str, int]
    seen: BriefedUpTo
    lines: tuple[str, ...] = ()


Says = Callable[[int, str], str]


@dataclass(frozen=True)
class _Section:
    key: str
    title: str
    lines: tuple[str, ...]
    share: int  # per cent of the room that it may always have

    @property
    def size(self) -> int:
        return _size(self.title) + sum(_size(line) + 2 for line in self.lines)

    @property
    def least(self) -> int:
        return _size(self.title) + _size(_more(len(self.lines)))


def brief(
    state: State,
    session: str,
    now: datetime,
    *,
    nonce: str,
    near: Sequence[Resource] = (),
    seen: BriefedUpTo | None = None,
    read_at: datetime | None = None,
    unverified: bool = False,
    limit: int = 0,
    only: Container[str] = ALL,
    says: Says = lambda seq, session: "",
) -> Briefing:
    """The briefing of that session. `nonce`: what the marks are made of, new and random each time; `near`: what it works on, apart
    from what it holds and said it touched; `seen`: what it was told before, in this run of it (None: nothing); `read_at`: when the
    branch was read where it lives (None: not now, this is what was known); `unverified`: the history of that state is not checked
    yet, so that any of it may be wrong; `limit`: bytes, 0 for the usual ones; `only`: what
    is told of, by the keys of the counts; `says`: what is said of who really made that event of that session, "" for nothing.
    """
    me = state.sessions.get(session)
    if seen is not None and (seen.seq > state.seq or me is None or me.run_id != seen.run_id):
        seen = None  # another run remembers nothing of what this one was told
    live = sorted(one.session_id for one in state.sessions.live())
    found = [one for one in _sections(state, session, me, now, near, seen, says) if one.key in only]
    remembered = BriefedUpTo(state.seq, me.run_id if me else "", frozenset(live[:KEPT]))
    counts = {one.key: len(one.lines) for one in found}
    if not any(counts.values()) and seen is not None:
        return Briefing("", counts, remembered)
    limit = limit or (LIMIT if seen is None else AGAIN)
    since = f", new since event {seen.seq}" if seen is not None else ""
    read = f", branch read {spell(read_at)}" if read_at is not None else ", as this clone knew it last"
    head = f"gitcoord briefing for {show(session, 64) or 'nobody yet'}: event {state.seq} of {spell(state.at)}{since}{read}\n"
    head += f"{UNVERIFIED}\n" if unverified else ""
    foot = "gitcoord inbox takes the messages; gitcoord handoffs and gitcoord status show the rest.\n"
    room = limit - len(head.encode()) - quoting.size(nonce) - len(foot.encode())
    lines = _fit(found, room, nonce)
    return Briefing(head + quoting.quoted(lines, nonce) + foot, counts, remembered, tuple(lines))


def letter(one: Message, origin: str = "", *, again: bool = False) -> str:
    """A message that is given to an agent, on one line and inert. `again`: it may have been shown before;
    `origin`: what is said of who really sent it.
    """
    size = len(unblank(one.message).encode())
    rest = f" ({size} bytes; all of it: gitcoord inbox --all)" if size > LETTER else ""
    return ("(redelivered) " if again else "") + _message(one, LETTER, origin) + rest


# --- what there is to tell ---------------------------------------------------------------------------------------------


def _sections(
    state: State,
    session: str,
    me: Session | None,
    now: datetime,
    near: Sequence[Resource],
    seen: BriefedUpTo | None,
    says: Says,
) -> list[_Section]:
    def said(one: Message, text: int) -> str:
        return _message(one, text, says(one.seq, one.sender))

    since = seen.seq if seen is not None else 0
    offers = [one for one in handoffs.open_for(state, session) if one.seq > since]
    unread = [one for one in inbox.unread(state, session, now) if one.to != TO_ALL and one.seq > since]
    notices = [one for one in inbox.notices(state, now) if one.sender != session and one.seq > since]
    told = {one.id for one in [*unread, *notices]}
    history = [one for one in _said_lately(state, session, now) if one.id not in told and one.seq > since][-HISTORY:]
    close, far = _claims(state, session, near, since, now)
    own = leases.held_now(state, session, now) if seen is None and session else []
    gone = [one for one in leases.over(state, now) if one.claimed_by == session and one.offered_until is None] if session else []
    gone = gone if seen is None else []
    others = [one for one in state.sessions.live() if one.session_id != session and one.start_seq > since]
    others.sort(key=lambda one: (one.last_heartbeat, one.session_id), reverse=True)
    far = far if seen is None else []
    return [
        _Section("own", "You hold:", tuple(_claim(one, mine=True) for one in own), 8),
        _Section("over", "Over, and no longer yours (gitcoord renew takes it again):", tuple(_gone(one) for one in gone), 4),
        _Section("conflicts", "Will collide with yours (gitcoord conflicts):", _foretold(state, session, since), 10),
        _Section("handoffs", "Handed over, yours to take:", tuple(_offer(one, says(one.seq, one.sender)) for one in offers), 20),
        _Section("messages", "Unread, to you:", tuple(said(one, _TEXT) for one in unread), 20),
        _Section("notices", "Notices:", tuple(said(one, _TEXT) for one in sorted(notices, key=lambda one: one.seq)), 10),
        _Section("tasks", "Ready for you (gitcoord next takes the first one):", _ready(state, me, now) if seen is None else (), 6),
        _Section("near", "Claims near your work:", tuple(_claim(one) for one in close), 12),
        _Section(
            "sessions",
            "Who is there:" if seen is None else "Who came:",
            tuple(_session(one, now, state.rules.quiet_after) for one in others),
            10,
        ),
        _Section("claims", "Other claims:", tuple(_claim(one) for one in far), 4),
        _Section("ended", "Who ended:", tuple(_ended(one) for one in _over(state, session, now, seen)), 8),
        _Section("history", "Said to all lately:", tuple(said(one, 0) for one in history), 8),
    ]


def _ready(state: State, me: Session | None, now: datetime) -> tuple[str, ...]:
    """The first tasks that the session could take; what it holds already stands among that."""
    if me is None or not state.rules.tasks.open:
        return ()
    ready = [one.task for one in Look(state, me, now).ready() if not one.mine or one.offered]
    return tuple(f"#{one.seq} {_cut(one.title, _SUBJECT)}" + (f" ({_cut(one.phase, 40)})" if one.phase else "") for one in ready)


def _foretold(state: State, session: str, since: int) -> tuple[str, ...]:
    """Whom the session will collide with, what is certain first."""
    records = [one for one in state.conflicts.values() if session in one.sessions and one.seq > since] if session else []
    records.sort(key=lambda one: (one.kind != "certain", one.seq))
    return tuple(f"#{one.seq} {_cut(foretold.line(one, session), _TEXT)}" for one in records)


def _said_lately(state: State, session: str, now: datetime) -> list[Message]:
    """The newest of what was said to all, and in a chat to the session, oldest first: as many days as it takes to have enough."""
    found: list[Message] = []
    for days in (1, 7, 60):
        recent = state.messages.some(state.messages.said((now - timedelta(days=days)).date()))
        for_all = [one for one in recent if one.to == TO_ALL and one.sender != session]
        found = [*for_all, *(one for one in recent if one.to == session and "via" in one.details)]
        if len(found) > 2 * HISTORY:
            break
    return sorted(found, key=lambda one: (one.seq, one.id))


def _claims(
    state: State, session: str, near: Sequence[Resource], since: int, now: datetime
) -> tuple[list[Claim], list[Claim]]:  # fmt: skip
    """The claims of others that meet what the session works on, and the rest."""
    beat = state.heartbeats.get(session)
    touched = [Resource("file", path) for path in beat.files_touched if path] if beat else []
    work = list(dict.fromkeys([*(one.resource for one in leases.held_by(state, session)), *touched, *near]))[:NEAR]
    close: list[Claim] = []
    far: list[Claim] = []
    for lease in leases.live(state, now):
        if lease.claimed_by != session and lease.fence > since:
            (close if any(overlaps(lease.resource, one) for one in work) else far).append(lease)
    return close, far


def _over(state: State, session: str, now: datetime, seen: BriefedUpTo | None) -> Iterable[Session]:
    """The sessions that ended since the last look; in a first briefing: lately."""
    over = {one.session_id: one for one in state.sessions.ended(now - LATELY) if seen is None or one.start_seq > seen.seq}
    for name in seen.live if seen is not None else ():
        known = state.sessions.get(name)
        if known is not None and not known.live:
            over[name] = known
    over.pop(session, None)
    return sorted(over.values(), key=lambda one: (one.ended_at or now, one.session_id), reverse=True)


# --- a line for each ---------------------------------------------------------------------------------------------------


def _size(line: str) -> int:
    return len(line.encode()) + 1


def _more(count: int) -> str:
    return f"- … and {count} more"


def _cut(text: str | None, limit: int) -> str:
    """Somebody's text on one line, inert, at most `limit` bytes long."""
    line = show(unblank(text or ""), limit)
    data = line.encode()
    return line if len(data) <= limit else data[: limit - 3].decode("utf-8", "ignore") + "…"


def _offer(one: Handoff, origin: str = "") -> str:
    extra = [_cut(origin, _MARK)] if origin else []
    extra += [f"with {_cut(', '.join(one.resources), _NAME)}"] if one.resources else []
    extra += [f"done: {_cut(one.done, _NAME)}"] if one.done and one.about != one.done else []
    extra += [f"blocked by {_cut(one.blockers, _NAME)}"] if one.blockers else []
    extra += [f"tests {_cut(one.tests, 40)}"] if one.tests else []
    extra += [f"branch {_cut(one.branch, 60)}"] if one.branch else []
    to = f" to {_cut(one.to, 70)}" if one.to != handoffs.ANYONE else ""
    return f"#{one.seq} {one.sender}{to}: {_cut(one.about, _SUBJECT)}" + (f" ({'; '.join(extra)})" if extra else "")


def _message(one: Message, text: int, origin: str = "") -> str:
    marks = [one.type] if one.type != "note" else []
    marks += [origin] if origin else []
    marks += [f"via {_cut(one.details['via'], 40)}"] if "via" in one.details else []
    kind = f" ({', '.join(_cut(mark, _MARK) for mark in marks)})" if marks else ""
    until = f" until {spell(one.expires_at)}" if one.type == "notice" and one.expires_at else ""
    said = _cut(one.message, text) if text else ""
    return f"#{one.seq} {spell(one.timestamp)} {one.sender}{kind}{until}: {_cut(one.subject, _SUBJECT)}" + (
        f" | {said}" if said else ""
    )


def _gone(one: Claim) -> str:
    return f"{_cut(str(one.resource), _SUBJECT)} ended {spell(one.expires_at)} (fence {one.fence})"


def _claim(one: Claim, *, mine: bool = False) -> str:
    who = "" if mine else f" by {one.claimed_by}"
    mode = " (shared)" if one.mode == "shared" else ""
    what = f": {_cut(one.phase or one.reason, _NAME)}" if one.phase or one.reason else ""
    return f"{_cut(str(one.resource), _SUBJECT)}{who}{mode} until {spell(one.expires_at)} (fence {one.fence}){what}"


def _session(one: Session, now: datetime, quiet_after: timedelta) -> str:
    does = [_cut(part, limit) for part, limit in ((one.current_work, _SUBJECT), (one.phase, 40), (one.progress, 20)) if part]
    extra = [f"{label} {_cut(part, 60)}" for label, part in (("role", one.role), ("branch", one.branch)) if part]
    quiet = ["quiet"] if standing(one, now, quiet_after) == "quiet" else []
    return (
        f"{one.session_id}: {', '.join(does) or one.status} ({'; '.join([*quiet, f'heard {spell(one.last_heartbeat)}', *extra])})"
    )


def _ended(one: Session) -> str:
    how = f"its place was taken by {_cut(one.superseded_by, 64)}" if one.superseded_by else one.status
    lasted = f" after {_cut(one.total_duration, 40)}" if one.total_duration else ""
    said = [_cut(text, _SUBJECT) for text in one.work_completed[:2]]
    said += [f"left: {_cut(one.handoff_notes, _TEXT)}"] if one.handoff_notes else []
    return f"{one.session_id} {how}{lasted}" + (f": {'; '.join(said)}" if said else "")


# --- what there is room for --------------------------------------------------------------------------------------------


def _fit(sections: Sequence[_Section], room: int, nonce: str) -> list[str]:
    """The lines that fit. Each section may have its share, and what those behind it don't need of theirs."""
    kept = [one for one in sections if one.lines]
    needs = [min(one.size, max(one.least, room * one.share // 100)) for one in kept]
    lines: list[str] = []
    for number, section in enumerate(kept):
        free = room - sum(needs[number + 1 :])
        whole = section.size <= free
        if not whole and section.least > free:
            continue
        used = _size(section.title)
        taken = [section.title]
        for count, text in enumerate(section.lines, 1):
            line = "- " + text.replace(nonce, "")  # nobody can have guessed it; but nothing shall hang on that
            left = len(section.lines) - count
            if not whole and used + _size(line) + (_size(_more(left)) if left else 0) > free:
                left += 1
                taken.append(_more(left))
                used += _size(_more(left))
                break
            taken.append(line)
            used += _size(line)
        lines += taken
        room -= used
    return lines
