"""STATUS_BOARD.md: a pure function of the state at a commit. Absolute times only, so that it says the same everywhere.

It has at most 60 lines, and a small chart where there are few sessions. Each section has its share of the lines; what one doesn't
need the next ones get. One event changes few lines, for every commit carries the page. Everything in it that a session wrote is
made inert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeVar

from gitcoord.core import leases, queue, readiness, trials
from gitcoord.core.handoffs import ANYONE
from gitcoord.core.inbox import notices
from gitcoord.core.messages import TO_ALL
from gitcoord.core.names import Resource
from gitcoord.core.records import Claim, Handoff, Heartbeat, Ignored, Message, Session, Ticket, Trial
from gitcoord.core.retention import not_made_before
from gitcoord.core.sessions import standing
from gitcoord.core.state import State
from gitcoord.core.tables import Outline
from gitcoord.views import needs
from gitcoord.views.attention import Item, attention
from gitcoord.views.gantt import gantt
from gitcoord.views.inert import inert
from gitcoord.views.links import Links

T = TypeVar("T")

LINES = 60  # of the page, the chart not counted
_HEAD = 4  # of them: the title, the sums, the time
_NEEDS = 10  # of what needs somebody
_HALF_A_DAY = timedelta(hours=12)
_NAMED = 12  # sessions without a place of their own that are named
_ABREAST = 3  # sessions in a line, where there are too many for a row each
_ROWS = 6  # of the room for sessions, that part is rows of a session each in any case: a half, and at least so many
_CHARTED = 12  # sessions: with more there is no chart
CHART = "## 📊 Claims In Time"
"""The title of the last section: a picture, for whoever draws it."""

_STEP = 256
"""A page has a multiple of so many bytes and a newline. Git packs a file as what differs from one of nearly the same size: among
pages of one size that is the newest, which differs least.
"""
_STATES = ("working", "blocked", "waiting", "idle", "quiet")
"""How a session can stand, in the order in which the sums name it."""

_WORDS = {"active": "working"}


@dataclass(frozen=True)
class _Section:
    """A part of the page.

    - `wants`: how many rows it has; `share`: how many of them it gets in any case.
    - `draw`: returns its rows, at most so many.
    - `head`: what stands above them; `stays`: it is there, and says "none", without rows too.
    - `none`: what stands there without rows.
    - `cut`: what the title says where not all rows are shown, of how many are (`{shown}`) and how many there are (`{all}`).
    """

    title: str
    wants: int
    share: int
    draw: Callable[[int], list[str]]
    head: tuple[str, ...] = ()
    stays: bool = False
    cut: str = ": {shown} of {all}"
    shown: Callable[[int, int], int] = lambda wants, room: room
    """Returns how many of those that it wants to show are shown in that room."""
    none: str = "none"

    @property
    def around(self) -> int:
        """Return how many lines it takes beside its rows."""
        return 2 + len(self.head) if self.wants else 3

    def lines(self, room: int) -> list[str]:
        """Return it with that many rows at most."""
        if not self.wants:
            return ["", f"## {self.title}", f"- {self.none}"]
        shown = self.shown(self.wants, room)
        few = self.cut.format(shown=shown, all=self.wants) if shown < self.wants else ""
        return ["", f"## {self.title}{few}", *self.head, *self.draw(room)]


def _newest(title: str, share: int, records: Sequence[T], line: Callable[[T], str], *, stays: bool = False) -> _Section:
    """Return a section with a line for each of those, the newest first; only what is shown is laid out."""
    draw = lambda room: [line(record) for record in records[:room]]  # noqa: E731  # it stands in one line
    return _Section(title, len(records), share, draw, stays=stays, cut=": the newest {shown}")


def render(state: State) -> str:
    """Return the board of that state, at the time of its newest commit."""
    page = _Page(state)
    sections = [section for section in page.sections() if section.wants or section.stays]
    rooms = [min(section.share, section.wants) for section in sections]
    left = LINES - _HEAD - sum(section.around for section in sections) - sum(rooms)
    for index, section in enumerate(sections):
        more = max(0, min(left, section.wants - rooms[index]))
        rooms[index] += more
        left -= more
    parts = page.head()
    for section, room in zip(sections, rooms, strict=True):
        parts += section.lines(room)
    text = "\n".join([*parts, *page.chart()])
    return text + " " * (-len(text.encode()) % _STEP) + "\n"


class _Page:
    """The board's sections and rows, of one state."""

    def __init__(self, state: State) -> None:
        self.state, self.now = state, state.at
        self.claims = leases.live(state, self.now)
        self.line: list[Ticket] = queue.line(state, self.now)
        self.plan = readiness.overview(state, self.now)
        self.several = bool(state.rules.repositories)
        self.links = Links.of(state.rules)
        self.standing = {session.session_id: self._standing(session) for session in state.sessions.live()}

    @cached_property
    def sessions(self) -> list[Session]:
        """Return the live sessions in the order of their starts, which no event changes."""
        return sorted(self.state.sessions.live(), key=lambda one: (one.start_seq, one.session_id))

    def _standing(self, session: Session) -> str:
        """Return how the session stands, in a word."""
        word = standing(session, self.now, self.state.rules.quiet_after)
        beat = self.state.heartbeats.get(session.session_id)
        if word == "active" and beat is not None and (beat.blocked_by or beat.action == "blocked"):
            return "blocked"
        if word == "active" and any(ticket.session_id == session.session_id for ticket in self.line):
            return "waiting"
        return _WORDS.get(word, word)

    # --- what stands where -------------------------------------------------------------------------------------------

    def head(self) -> list[str]:
        """Return the title, the sums in a line, and of when the page is."""
        words = list(self.standing.values())
        each = ", ".join(f"{words.count(word)} {word}" for word in _STATES if word in words)
        sums = [f"**Active Sessions:** {len(words)}{f' ({each})' if each else ''}", f"**Claims:** {len(self.claims)}"]
        sums += [f"**Tasks:** {self.plan.words().replace(' · ', ', ')}"] if self.state.rules.tasks.added else []
        sums += [f"**Waiting In Line:** {len(self.line)}", f"**Foretold Conflicts:** {len(self.state.conflicts)}"]
        when = f"**Last Updated:** {self.now:%Y-%m-%d %H:%M} UTC (event {self.state.seq})"
        return ["# Multi-Session Status Board", "", f"{' · '.join(sums)}  ", f"{when}. All times are UTC; edits are ignored."]

    def sections(self) -> Iterator[_Section]:
        """Yield the sections in their order, those without rows, too."""
        state, now = self.state, self.now
        items = needs.ordered(attention(state, now))
        yield _Section(
            "⚠️ Coordination Needed", min(len(items), _NEEDS), 7, lambda room: self._needs(items, room), stays=True, cut=""
        )
        header = ("| Session | State | Working On | Where | Holds | Heard |", "| --- | --- | --- | --- | --- | --- |")
        none = "none: `gitcoord start NAME` begins one"
        yield _Section(
            "🟢 Active Sessions", len(self.sessions), 17, self._sessions, header, stays=True, shown=_placed, none=none
        )  # fmt: skip
        header = ("| Claim | Holder | Until | Fence | For |", "| --- | --- | --- | --- | --- |")
        claims = sorted(self.claims, key=lambda one: (one.resource not in self._awaited, -one.fence, one.resource, one.claimed_by))
        draw = lambda room: [self._claim(lease) for lease in claims[:room]]  # noqa: E731  # it stands in one line
        yield _Section("🔒 Active Claims", len(claims), 4, draw, header, stays=True)
        offers = sorted((one for one in state.handoffs.values() if one.status == "open"), key=lambda one: one.seq)
        ready: list[Handoff | Outline] = [*offers, *self.plan.first]
        unlisted = self.plan.ready - len(self.plan.first)
        yield _Section("📦 Ready To Pick Up", len(ready) + unlisted, 3, lambda room: [self._ready(one) for one in ready[:room]])
        tried = trials.newest(state)
        yield _newest("🧪 Trials", 1, tried, self._trial)
        recent = sorted(recent_messages(state, now), key=lambda one: (-one.seq, one.id))
        pinned = notices(state, now)
        ids = {one.id for one in pinned}
        words = [*pinned, *(one for one in recent if one.id not in ids)]
        yield _newest("📬 Recent Messages (Last Hour)", 3, words, self._message, stays=True)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        today = [one for one in state.sessions.ended(midnight) if one.ended_at is not None and one.ended_at.date() == now.date()]
        over = sorted(today, key=lambda one: (one.ended_at or now, one.session_id), reverse=True)
        yield _newest("🏁 Ended Today", 3, over, self._ended)
        yield _newest("🚫 Ignored Commits", 1, state.rules.ignored, self._ignored)

    def chart(self) -> list[str]:
        """Return the claims in time as a picture; nothing where there are too many sessions or no claims."""
        if len(self.standing) > _CHARTED:
            return []
        drawn = gantt(self.claims)
        return ["", CHART, *drawn] if drawn else []

    @cached_property
    def _awaited(self) -> set[Resource]:
        return {wanted for ticket in self.line for wanted in ticket.wanted}

    @cached_property
    def _held(self) -> dict[str, list[Claim]]:
        held: dict[str, list[Claim]] = {}
        for lease in self.claims:
            held.setdefault(lease.claimed_by, []).append(lease)
        return held

    # --- rows --------------------------------------------------------------------------------------------------------

    def _clock(self, when: datetime) -> str:
        """Return the time of day, with the date where it could be another day's: around midnight it needs none."""
        near = when.date() == self.now.date() or abs(when - self.now) < _HALF_A_DAY
        return f"{when:%H:%M}" if near else f"{when:%Y-%m-%d %H:%M}"

    def _needs(self, items: Sequence[Item], room: int) -> list[str]:
        shown, rest = needs.chosen(items, room)
        return [*map(self._need, shown), *([f"- … {rest}"] if rest else [])]

    def _need(self, item: Item) -> str:
        since = f" (since {self._clock(item.since)})" if item.since is not None else ""
        return f"- **{needs.label(item)}:** {inert(item.text, 240)}{since}"

    def _sessions(self, room: int) -> list[str]:
        """Return a row for each session. Where there are too many, the quiet ones and the latest share lines below the table."""
        if room >= len(self.sessions):
            return [self._session(one) for one in self.sessions]
        rows, lines = _divided(len(self.sessions), room)
        quiet = ("idle", "quiet")
        busy = sorted(self.sessions, key=lambda one: self.standing[one.session_id] in quiet)[:rows]
        names = {one.session_id for one in busy}
        rest = [one for one in self.sessions if one.session_id not in names]
        parts = [rest[at : at + _ABREAST] for at in range(0, lines * _ABREAST, _ABREAST)]
        unnamed = rest[lines * _ABREAST :]
        text = [f"- {' · '.join(map(self._brief, part))}" for part in parts if part]
        if unnamed:
            named = ", ".join(inert(one.session_id) for one in unnamed[:_NAMED]) + (", …" if len(unnamed) > _NAMED else "")
            text.append(f"- … and {len(unnamed)} more: {named}")
        return [*(self._session(one) for one in self.sessions if one.session_id in names), "", *text]

    def _brief(self, session: Session) -> str:
        """Return a session in some words: how it stands, what it works on, and how much it holds."""
        beat = self.state.heartbeats.get(session.session_id)
        doing = [inert(text, 48) for text in _doing(session.current_work, beat) if text]
        held = self._held.get(session.session_id, [])
        holds = inert(_short(held[0].resource), 40) + (f" +{len(held) - 1}" if len(held) > 1 else "") if held else ""
        parts = [self._stands(session), *doing[-1:], *([f"holds {holds}"] if holds else [])]
        return f"**{inert(session.session_id, 60)}** {', '.join(parts)}"

    def _stands(self, session: Session) -> str:
        word = self.standing[session.session_id]
        return f"{word} for {inert(session.waiting_for, 40)}" if word == "waiting" and session.waiting_for else word

    def _session(self, session: Session) -> str:
        held = [inert(_short(lease.resource), 60) for lease in self._held.get(session.session_id, ())]
        holds = ", ".join(held[:2]) + (f" +{len(held) - 2}" if len(held) > 2 else "")
        name = inert(session.session_id, 80)
        return _row(
            name, self._stands(session), self._work(session), self._where(session), holds, self._clock(session.last_heartbeat)
        )

    def _work(self, session: Session) -> str:
        """Return what the session is at: what it does, how far it is, what comes next."""
        beat = self.state.heartbeats.get(session.session_id)
        parts = [inert(text) for text in _doing(session.current_work, beat)]
        parts += [inert(session.phase, 70)] if session.phase else []
        parts += [inert(session.progress, 30)] if session.progress else []
        if beat is not None:
            parts += [f"blocked by {inert(beat.blocked_by)}"] if beat.blocked_by else []
            parts += [f"next: {inert(beat.next_action)}"] if beat.next_action else []
            parts += [f"ready {self._clock(beat.estimated_completion)}"] if beat.estimated_completion else []
        return ", ".join(filter(None, parts))

    def _where(self, session: Session) -> str:
        # A machine is named where it tells one agent from another.
        agent = f"{session.agent} on {session.host}" if session.agent and session.host else session.agent
        place = session.repo if self.several else None
        parts = [inert(place, 70)] if place else []
        parts += [self.links.branch(session.branch, 70)] if session.branch else []
        parts += [inert(part, 70) for part in (session.role, agent) if part]
        adopter, _, carrier = (session.carried or "").partition(" ")
        parts += [f"carried by {inert(adopter, 70)} from {inert(carrier, 70)}"] if adopter else []
        return ", ".join(parts)

    def _claim(self, lease: Claim) -> str:
        seq = readiness.number(lease.resource)
        task = self.state.tasks.get(seq) if seq is not None else None
        why = [inert(task.title)] if task is not None else []
        why += [inert(text, 70) for text in (lease.phase, lease.reason) if text]
        why = list(dict.fromkeys(why))  # who takes a task often gives its title for the reason
        why += ["shared"] if lease.mode == "shared" else []
        why += ["offered"] if lease.offered_until is not None else []
        waiting = sum(lease.resource in ticket.wanted for ticket in self.line)
        why += [f"**{waiting} in line**"] if waiting else []
        until = self._clock(lease.expires_at)
        return _row(inert(str(lease.resource)), inert(lease.claimed_by, 80), until, str(lease.fence), ", ".join(why))

    def _ready(self, work: Handoff | Outline) -> str:
        if not isinstance(work, Handoff):
            phase = f" ({inert(work.phase, 60)})" if work.phase else ""
            return f"- **\\#{work.seq}** {inert(work.title)}{phase}" + (f", for {inert(work.to, 70)}" if work.to else "")
        receiver = [f"for {inert(work.to, 70)}"] if work.to != ANYONE else []
        tests = [f"tests {inert(work.tests, 60)}"] if work.tests else []
        when = self._clock(work.timestamp)
        if not work.by_claim:
            parts = [*receiver, f"handoff {work.seq} of {inert(work.sender, 80)} at {when}"]
            parts += [f"blocked by {inert(work.blockers)}"] if work.blockers else []
            parts += [*tests, *([f"branch {self.links.branch(work.branch, 60)}"] if work.branch else [])]
            parts += [f"with {_few(work.resources)}"] if work.resources else []
            return f"- **{inert(work.about)}** ({', '.join(parts)})"
        then = f" for {inert(work.next)}" if work.next else ""
        parts = [f"left by {inert(work.sender, 80)} at {when}"]
        parts += [f"last phase {inert(work.phase, 60)}"] if work.phase else []
        parts += [*tests, *([f"files {_few(work.files)}"] if work.files else []), *receiver]
        return f"- **{_few(work.resources)}**{then} ({', '.join(parts)})"

    def _trial(self, trial: Trial) -> str:
        who, when = inert(trial.session_id, 80), self._clock(trial.timestamp)
        return f"- **{when}** {inert(trials.verdict(trial), 240)} (by {who})"

    def _message(self, one: Message) -> str:
        to = "all" if one.to == TO_ALL else inert(one.to, 80)
        pin = f"📌 until {self._clock(one.expires_at)} " if one.pinned and one.expires_at is not None else ""
        return f"- {pin}**{one.timestamp:%H:%M}** {inert(one.sender, 80)} → {to}: {inert(one.subject)}"

    def _ignored(self, one: Ignored) -> str:
        return f"- commit {self.links.commit(one.commit)} (before event {one.seq}): {inert(one.reason)}"

    def _ended(self, one: Session) -> str:
        done = "; ".join(inert(text) for text in one.work_completed[:2]) or inert(one.status)
        return f"- **{inert(one.session_id, 80)}** at {one.ended_at:%H:%M} after {inert(one.total_duration or '?', 40)}: {done}"


def _doing(work: str | None, beat: Heartbeat | None) -> list[str]:
    """Return what a session works on, and what it did last, if a hook told more."""
    action, target = (beat.action, beat.target) if beat is not None else (None, None)
    if action and target and target != work:
        return [work, f"{action}: {target}"] if work and work != action else [f"{action}: {target}"]
    return [f"{action}: {work}" if action and work and action != work else work or action or ""]


def _divided(count: int, room: int) -> tuple[int, int]:
    """Return how many sessions have a row, and how many lines take the others, of that room and an empty line between them.

    Each line takes some sessions. If even so not all find a place, one more line says so.
    """
    room = max(2, room - 1)
    lines = -(-(count - room) // (_ABREAST - 1))
    least = min(max(_ROWS, room // 2), room - 1)
    if room - lines >= least:
        return room - lines, lines
    return least, room - least - 1


def _placed(count: int, room: int) -> int:
    """Return how many of the sessions have a row or stand in a line, of that room."""
    rows, lines = _divided(count, room)
    return count if room >= count else min(count, rows + lines * _ABREAST)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _short(resource: Resource) -> str:
    """Return a resource as short as a command takes it: a path in a folder needs no type."""
    return resource.name if resource.type == "file" and "/" in resource.name else str(resource)


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(inert(name, 60) for name in names[:3]) + more


def recent_messages(state: State, now: datetime, within: timedelta = timedelta(hours=1)) -> list[Message]:
    """The messages of that long before `now`; an id tells its age, so that old ones need not be read."""
    first = now - within - timedelta(hours=1)
    young = not_made_before(state.messages.said(first=first.date()), first)
    return [one for one in state.messages.some(young) if one.timestamp >= now - within]
