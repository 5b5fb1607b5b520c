"""The past as a picture: who was there, who held and awaited what, what was said, handed over and done, and each event.

A pure fold over the good events, beside `holdings`, which it uses. Everything in a picture has the seq of the event that began it
and of the one that ended it, so that whoever shows the picture can tell what was the case after any event.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gitcoord.core import handoffs, names
from gitcoord.core.addresses import TO_ALL, is_group
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.events import Event
from gitcoord.core.foretold import ConflictForetold
from gitcoord.core.handover import HandoffOffered, HandoffTaken
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.messages import MessageSent
from gitcoord.core.overlap import overlaps
from gitcoord.core.queue import ClaimQueued
from gitcoord.core.records import ASKING, QUESTION
from gitcoord.core.releases import ClaimReleased
from gitcoord.core.requests import REQUEST, ClaimRequested, RequestAnswered, split_asked
from gitcoord.core.sessions import SessionEnded, SessionResumed, SessionStarted
from gitcoord.core.succession import SessionSuperseded
from gitcoord.core.task_cards import read_card, read_change
from gitcoord.core.tasks import TaskAdded, TaskChanged, TaskClosed, TaskReopened
from gitcoord.views.holdings import HistoryStep, Holding, Holdings, Wait

_LINE, _BODY = 140, 600  # characters of anybody's line, and of a message's text

Place = tuple[int, datetime]
"""The seq of an event, and the time of its commit."""


@dataclass(frozen=True)
class Stay:
    """A session from its start to its end. `how` it ended: its own `end`, `superseded`, or `abandoned` as silent."""

    session: str
    began: Place
    work: str = ""
    role: str = ""
    agent: str = ""
    host: str = ""
    branch: str = ""
    ended: Place | None = None
    how: str = ""
    done: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bar:
    """A lease from its grant to its end, or to `until`, when it runs out. `ended` None: no event took it away (or it lasts)."""

    session: str
    what: str
    began: Place
    until: datetime
    ended: int | None = None
    how: str = ""
    by: str = ""
    note: str = ""
    shared: bool = False


@dataclass(frozen=True)
class Queueing:
    """A session waits in line for what `holders` held when it began to."""

    session: str
    what: tuple[str, ...]
    began: Place
    until: datetime
    ended: int | None = None
    how: str = ""
    holders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Note:
    """A message. `root`: the first one of its thread; `asks`: somebody has to answer it; `answered`: by which event that was."""

    id: str
    seq: int
    at: datetime
    sender: str
    to: str
    type: str
    subject: str
    body: str = ""
    root: int = 0
    asks: bool = False
    answered: int | None = None


@dataclass(frozen=True)
class Pass:
    """Work that is handed over, from the offer to the session that takes it."""

    id: str
    began: Place
    sender: str
    to: str
    about: str
    taken: Place | None = None
    by: str = ""
    resources: tuple[str, ...] = ()
    """Who claims one of these takes it."""


@dataclass(frozen=True)
class Card:
    """A task. `steps`: the events that closed or reopened it, each with what it is from there on."""

    seq: int
    title: str
    began: Place
    by: str
    needs: tuple[int, ...] = ()
    to: str = ""
    steps: tuple[tuple[int, str, str], ...] = ()
    """(seq of the event, `open` | `done` | `dropped`, session)"""


@dataclass(frozen=True)
class Warn:
    """What is foretold of two sessions, from that event on; `none`: nothing more."""

    began: Place
    sessions: tuple[str, ...]
    verdict: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """An event as the log of the picture has it. `text` "": a sign of life that nobody typed."""

    seq: int
    at: datetime
    kind: str
    session: str
    text: str
    state: str = ""
    """What a session says that it does, from there on."""
    blocked: str = ""


@dataclass(frozen=True)
class Picture:
    """All of it at an instant. `total`: how many events there are; `first`: the first one that is in `steps`."""

    now: datetime
    total: int
    first: int
    stays: tuple[Stay, ...] = ()
    bars: tuple[Bar, ...] = ()
    waits: tuple[Queueing, ...] = ()
    notes: tuple[Note, ...] = ()
    passes: tuple[Pass, ...] = ()
    cards: tuple[Card, ...] = ()
    warns: tuple[Warn, ...] = ()
    steps: tuple[Step, ...] = ()
    quiet_after: int = 900
    sums: tuple[tuple[str, int], ...] = ()
    """Sums over all events, whatever the picture leaves out."""

    def since(self, seq: int) -> Picture:
        """Return the picture of the events from that one on: with what was still going on then, and without what was over."""
        first = max(self.first, min(seq, self.total + 1))
        steps = tuple(one for one in self.steps if one.seq >= first)
        began = steps[0].at if steps else self.now

        def kept(ended: int | None, until: datetime | None = None) -> bool:
            return until >= began if ended is None and until is not None else ended is None or ended >= first

        return replace(
            self, first=first, steps=steps,
            stays=tuple(one for one in self.stays if kept(one.ended[0] if one.ended else None)),
            bars=tuple(one for one in self.bars if kept(one.ended, one.until)),
            waits=tuple(one for one in self.waits if kept(one.ended, one.until)),
            notes=tuple(one for one in self.notes if one.seq >= first or (one.asks and kept(one.answered))),
            passes=tuple(one for one in self.passes if kept(one.taken[0] if one.taken else None)),
            cards=tuple(one for one in self.cards if one.began[0] >= first or not one.steps or one.steps[-1][1] == "open"
                        or one.steps[-1][0] >= first),
            warns=tuple(self._warned(first)),
        )  # fmt: skip

    def thinned(self) -> Picture:
        """Return the newest half of it: what goes on may be more than a page can hold, too."""
        tables = ("stays", "bars", "waits", "notes", "passes", "cards", "warns")
        return replace(self, **{name: getattr(self, name)[(len(getattr(self, name)) + 1) // 2 :] for name in tables})

    def _warned(self, first: int) -> Iterable[Warn]:
        """The newest verdict on each pair from before, and all later ones."""
        newest: dict[tuple[str, ...], Warn] = {}
        for one in self.warns:
            if one.began[0] < first:
                newest[one.sessions] = one
        yield from (one for one in newest.values() if one.verdict != "none")
        yield from (one for one in self.warns if one.began[0] >= first)


def line(text: str | None, limit: int = _LINE) -> str:
    """Return anybody's text as one plain line."""
    return names.show(names.unblank(text or ""), limit)


@dataclass
class Timeline:
    """The fold: it is shown every good event, oldest first, and gives the picture at the end."""

    held: Holdings = field(default_factory=Holdings)
    _stays: list[Stay] = field(default_factory=list)
    _here: dict[str, int] = field(default_factory=dict)  # where the stay of a session that hasn't ended lies
    _waits: dict[int, Queueing] = field(default_factory=dict)
    _notes: list[Note] = field(default_factory=list)
    _by_id: dict[str, int] = field(default_factory=dict)
    _passes: dict[str, Pass] = field(default_factory=dict)
    _open_passes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # offers that a claim takes
    _cards: dict[int, Card] = field(default_factory=dict)
    _warns: list[Warn] = field(default_factory=list)
    _steps: list[Step] = field(default_factory=list)

    def see(self, event: Event, committed_at: datetime) -> None:
        """Take the next good event, in the order of the branch."""
        place = (event.seq, committed_at)
        before = set(self.held.in_line)
        busy = list(self.held.open.values()) if isinstance(event, ClaimQueued) and not event.place else []
        self.held.see(HistoryStep(str(event.seq), event, committed_at))
        self._see_line(event, place, before, busy)
        self._steps.append(_step(event, committed_at))
        for session in event.abandoned:
            self._leave(session, place, "abandoned")
        if event.known and event.lapsed is None:
            self._see_sessions(event, place)
            self._see_talk(event, place)
            self._see_work(event, place)
            self._see_tasks(event, place)

    def picture(self, now: datetime, quiet_after: int = 900) -> Picture:
        """Return all of it, as it is at that instant."""
        bars = [
            Bar(
                session=one.session, what=line(str(one.resource), names.NAME_LIMIT), began=(one.fence, one.granted_at),
                until=one.ended_at if one.how == "expired" and one.ended_at else one.expires_at,
                ended=int(one.commits[-1]) if one.how and len(one.commits) > 1 and one.how != "expired" else None,
                how=one.how or "", by=one.by or "", note=line(one.done or one.reason or one.phase), shared=one.mode == "shared",
            )
            for one in self.held.all(now)
        ]  # fmt: skip
        waits = [
            replace(self._waits[one.seq], until=one.until or one.kept, how=one.how or "")
            for one in self.held.all_waits(now)
            if one.seq in self._waits
        ]
        closed = [card.steps[-1][1] for card in self._cards.values() if card.steps]
        sums = {
            "events": len(self._steps), "sessions": len(self._stays), "claims": len(bars), "waits": len(waits),
            "messages": len(self._notes), "handoffs": len(self._passes), "tasks": len(self._cards), "done": closed.count("done"),
        }  # fmt: skip
        total = self._steps[-1].seq if self._steps else 0
        return Picture(
            now=now, total=total, first=self._steps[0].seq if self._steps else 1, stays=tuple(self._stays), bars=tuple(bars),
            waits=tuple(waits), notes=tuple(self._notes), passes=tuple(self._passes.values()), cards=tuple(self._cards.values()),
            warns=tuple(self._warns), steps=tuple(self._steps), quiet_after=quiet_after, sums=tuple(sums.items()),
        )  # fmt: skip

    # --- what an event does --------------------------------------------------------------------------------------------

    def _see_line(self, event: Event, place: Place, before: set[int], busy: list[Holding]) -> None:
        for seq in before - set(self.held.in_line):
            if seq in self._waits:
                self._waits[seq] = replace(self._waits[seq], ended=place[0])
        if isinstance(event, ClaimQueued) and not event.place and event.seq in self.held.in_line:
            wait: Wait = self.held.in_line[event.seq]
            holders = dict.fromkeys(
                one.session
                for one in busy
                if one.session != wait.session and any(overlaps(one.resource, it) for it in wait.resources)
            )
            self._waits[event.seq] = Queueing(
                wait.session, tuple(line(str(one)) for one in wait.resources), place, wait.kept, holders=tuple(holders)[:8]
            )

    def _see_sessions(self, event: Event, place: Place) -> None:
        if isinstance(event, SessionStarted | SessionResumed):
            given: dict[str, Any] = {
                key: line(value)
                for key in ("work", "role", "agent", "host", "branch")
                if (value := getattr(event, key)) is not None
            }
            at = self._here.get(event.session)
            if at is None:
                self._here[event.session] = len(self._stays)
                self._stays.append(Stay(event.session, place, **given))
            else:
                self._stays[at] = replace(self._stays[at], **given)
        elif isinstance(event, SessionEnded):
            self._leave(event.session, place, "ended", tuple(line(one) for one in event.done[:4]))
        elif isinstance(event, SessionSuperseded):
            self._leave(event.previous, place, "superseded")

    def _leave(self, session: str, place: Place, how: str, done: tuple[str, ...] = ()) -> None:
        at = self._here.pop(session, None)
        if at is not None:
            self._stays[at] = replace(self._stays[at], ended=place, how=how, done=done)

    def _see_talk(self, event: Event, place: Place) -> None:
        if isinstance(event, MessageSent):
            asked = self._by_id.get(event.in_reply_to or "")
            first = self._by_id.get(event.thread or "", asked)
            root = self._notes[first].root if first is not None else event.seq
            if asked is not None and event.type != QUESTION and self._was_asked(asked, event.session):
                self._answer(asked, event.seq)
            self._say(event.id, place, event.session, event.to, event.type, event.subject, event.message, root)
        elif isinstance(event, ClaimRequested):
            for index, entry in enumerate(event.holders):
                _, holder, how, _ = split_asked(entry)
                said = f"{event.session} asks for {event.resource}"
                self._say(f"{event.id}.{2 * index}", place, event.session, holder, REQUEST, said, event.message, event.seq)
                if how == "denied":
                    self._answer(len(self._notes) - 1, event.seq)
        elif isinstance(event, RequestAnswered):
            asked = self._by_id.get(event.request)
            if asked is not None:
                self._answer(asked, event.seq)
            root = self._notes[asked].root if asked is not None else event.seq
            said = f"{event.answer}: {event.resource}"
            self._say(event.id, place, event.session, event.asker, "release_reply", said, event.message, root)
        elif isinstance(event, ClaimReleased) and event.done is not None and event.released:
            said = names.first_line(event.done) or "done"
            self._say(f"{event.id}.0", place, event.session, TO_ALL, "work_completed", said, None, event.seq)

    def _was_asked(self, at: int, session: str) -> bool:
        """Return True if that message was to the session, or to many of whom it may be one."""
        to, sender = self._notes[at].to, self._notes[at].sender
        return to == session or (sender != session and (to == TO_ALL or is_group(to)))

    def _say(self, id: str, place: Place, sender: str, to: str, kind: str, subject: str, body: str | None, root: int) -> None:
        text = names.show_text((body or "")[:_BODY])
        self._by_id[id] = len(self._notes)
        self._notes.append(Note(id, *place, sender, line(to), line(kind, 40), line(subject), text, root, kind in ASKING))

    def _answer(self, at: int, seq: int) -> None:
        if self._notes[at].answered is None:
            self._notes[at] = replace(self._notes[at], answered=seq)

    def _see_work(self, event: Event, place: Place) -> None:
        if isinstance(event, HandoffOffered) or (isinstance(event, SessionEnded) and event.to):
            about = (
                event.next or (event.done if isinstance(event, HandoffOffered) else " ".join(event.done)) or event.notes or "work"
            )
            self._passes[event.id] = Pass(event.id, place, event.session, line(event.to), line(names.first_line(about)))
        elif isinstance(event, ClaimReleased) and event.released and (event.next_phase or event.to):
            what = tuple(entry.partition(" ")[2] for entry in event.released)
            about = event.next_phase or names.first_line(event.done or "") or ", ".join(what)
            self._passes[event.id] = Pass(
                event.id, place, event.session, line(event.to or handoffs.ANYONE), line(about), resources=what
            )
            self._open_passes[event.id] = what
        elif isinstance(event, HandoffTaken) and event.handoff in self._passes:
            self._take(event.handoff, place, event.session)
        elif isinstance(event, ConflictForetold):
            files = tuple(line(entry.rpartition(":")[0]) for entry in event.lines[:5])
            self._warns.append(Warn(place, event.between, event.verdict, files))
        if isinstance(event, ClaimAcquired | HandoffTaken):
            for id, what in list(self._open_passes.items()):
                if not set(what).isdisjoint(event.resources):
                    self._take(id, place, event.session)

    def _take(self, id: str, place: Place, session: str) -> None:
        self._passes[id] = replace(self._passes[id], taken=place, by=session)
        self._open_passes.pop(id, None)

    def _see_tasks(self, event: Event, place: Place) -> None:
        if isinstance(event, TaskAdded):
            for seq, text in zip(event.numbers(), event.cards, strict=True):
                card = read_card(text)
                self._cards[seq] = Card(seq, line(card.title), place, event.session, card.needs, line(card.to))
        elif isinstance(event, TaskChanged) and event.task in self._cards:
            change = read_change(event.change)
            given: dict[str, object] = {"title": line(change.title)} if "title" in change.model_fields_set else {}
            given |= {"needs": change.needs} if "needs" in change.model_fields_set else {}
            self._cards[event.task] = replace(self._cards[event.task], **given)  # type: ignore[arg-type] # fields by their names
        elif isinstance(event, TaskClosed | TaskReopened) and event.task in self._cards:
            card_now = self._cards[event.task]
            status = event.status if isinstance(event, TaskClosed) and not event.goes_on else "open"
            self._cards[event.task] = replace(card_now, steps=(*card_now.steps, (event.seq, status, event.session)))


def _step(event: Event, at: datetime) -> Step:
    if isinstance(event, HeartbeatRecorded):
        doing = " ".join(part for part in (event.action, event.target) if part)
        extra = ", ".join(part for part in (event.phase, event.progress) if part)
        blocked = event.blocked_by or ("something" if event.action == "blocked" else "")
        text = line(event.headline()) if event.is_work else ""
        return Step(event.seq, at, event.kind, event.session, text, line(f"{doing} ({extra})" if extra else doing), line(blocked))
    return Step(event.seq, at, event.kind, event.session, line(event.headline()))
