"""Looking at the branch: what is, what was, and whether history, trees and boards agree. Changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from gitcoord.coordinator.verify import Verdict, Verifier
from gitcoord.core import clocks, leases, names, queue, records, requests, term, trespasses
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.events import Event
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps, within
from gitcoord.core.records import Claim, Handoff, Session, Waiting
from gitcoord.core.renewals import ClaimRenewed
from gitcoord.core.state import State
from gitcoord.core.term import is_over
from gitcoord.core.times import spell
from gitcoord.errors import Held, NotHeld, NotInitialised, Unreachable
from gitcoord.git.repo import Oid
from gitcoord.log.entries import Entry
from gitcoord.log.eventlog import EventLog, View
from gitcoord.log.history import Bad, Good
from gitcoord.machine.identity import Binding, Identity
from gitcoord.outbox.store import Desk
from gitcoord.outbox.submit import Flusher
from gitcoord.statusline import note as status_note
from gitcoord.views import board as board_view
from gitcoord.views.attention import Item, attention
from gitcoord.views.holdings import Holdings, How, Step
from gitcoord.views.repository import of_repository

_COUNTED = 1000
"""Commits behind a limit that are still looked at, to say how many are not shown."""


@dataclass(frozen=True)
class Who:
    """On whose behalf: a session, the run of it that sits here ("" when not known here), and what a new one would be. `named`: the
    caller said which session it speaks for.
    """

    session: str = ""
    run_id: str = ""
    agent: dict[str, str] = field(default_factory=dict)
    agent_name: str | None = None
    wish: str = "session"
    repo: str = ""
    hub: bool = False  # whether several repositories share the branch
    branch: str | None = None
    host: str | None = None
    owner: tuple[int, str] = (0, "")
    human: str = ""
    folds: bool = False  # whether this repository can't tell capital from small letters
    named: bool = False

    @property
    def namespace(self) -> str:
        """What the names of this work tree's files begin with, where several repositories share the branch; else ""."""
        return self.repo if self.hub else ""


@dataclass(frozen=True)
class Status:
    """The branch at a glance. `behind` is what the local view could not be compared with: the remote was away."""

    as_of: datetime
    tip: Oid
    state: State
    attention: tuple[Item, ...]
    bad: tuple[Bad, ...]
    read_at: datetime | None
    seq: int


@dataclass(frozen=True)
class LogEntry:
    """One event of the history, for reading."""

    commit: Oid
    at: datetime
    seq: int
    session: str
    kind: str
    subject: str
    ignored: str | None = None
    resources: tuple[str, ...] = ()
    id: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Reader:
    """One caller's look at the branch."""

    log: EventLog
    flusher: Flusher
    desk: Desk
    identity: Identity
    who: Who
    now: Callable[[], datetime]
    seconds: float
    cached: bool = False
    boxed: bool = False
    """Whether this process runs in a sandbox: nothing but the spool may be written, or the network is cut off."""
    heard: bool = True
    """Whether anybody hears the warnings; if not, they are kept for the next command."""
    warnings: list[str] = field(default_factory=list)
    rest: Callable[[float], None] | None = None
    """How to pass seconds in which only others act (None: asleep). It may raise, and so end the wait: nothing is under way then."""
    _view: View | None = None

    # --- the branch as it is -----------------------------------------------------------------------------------------

    def view(self, *, fresh: bool | None = None) -> View:
        """The branch: fetched (unless `cached` was asked for), or as remembered when the remote is away."""
        if fresh is False or (self.cached and fresh is None):
            return self._known()
        try:
            self._view = self.log.refresh(self.seconds)
            self.desk.note_reach(reached=True, now=self.now())
            if self.desk.waiting():  # the remote is back: what waited goes first
                self.flusher.flush()
                self._view = self.log.refresh(self.seconds)
        except Unreachable as error:
            view = replace(self._view or self.log.view(), read_at=None)
            if not view.checked.tip:
                raise
            self.warnings.append(f"{error.message}; this is what was known at {spell(view.state.at)}")
            return view
        self._note_losses(self._view.state)
        return self._view

    def look_at(self, view: View) -> None:
        """Goes by that view from here on, and tells the session what it lost by it."""
        self._view = view
        self._note_losses(view.state)

    def look_again(self, seconds: float) -> View:
        """The branch, fetched within that time; nothing that waits is sent first. Raises Unreachable."""
        self.look_at(self.log.refresh(seconds))
        assert self._view is not None
        return self._view

    def _known(self) -> View:
        view = self._view or self.log.view()
        if not view.checked.tip:
            raise NotInitialised("there is no coordination branch here yet", hint="gitcoord init")
        return view

    def _note_losses(self, state: State) -> None:
        """Tells the session once which leases it had and has no more."""
        if not self.who.session:
            return
        me, now = self.who.session, clocks.shown_at(state, self.log.clock(), ask=False)[0]
        held = leases.holding(state, me, now)
        gone = self.identity.missing(me, held.keys(), state.seq)
        if not self.heard:  # told to nobody, it would be told never
            self.identity.see(me, held, state.seq, keep=gone)
            return
        self.identity.lose(me, gone, spell(self.now()))  # first: what is told twice is better than what is lost
        self.warnings += [leases.how_lost(state, me, entry, now) for entry in gone]
        for lease in leases.held_by(state, me):
            if lease.offered_until is not None and not is_over(lease, now):
                self.warnings.append(f"{lease.resource} is offered to you until {spell(lease.offered_until)}: claim it")
        self._note_held(held, state.seq)

    def _note_held(self, held: Mapping[str, tuple[float, int]], seq: int) -> None:
        """Notes what the session holds at that event, and tells it what was left for it to know."""
        if self.who.session:
            if self.heard:
                self.warnings += self.desk.take_notes(self.who.session)
            self.identity.see(self.who.session, held, seq)

    def time_of(self, view: View, *, tell: bool = False) -> datetime:
        """Return the time by which that view is shown: this machine's, unless that is contradicted. `tell`: warns of it then."""
        now, doubt = clocks.shown_at(view.state, self.log.clock(), ask=view.read_at is not None)
        if doubt and tell and doubt not in self.warnings:
            self.warnings.append(doubt)
        return now

    def folds(self, state: State) -> bool:
        """Return True if capital and small letters name one file, here or in another repository of the branch."""
        return self.who.folds or state.rules.settings.ignorecase

    def time_now(self) -> datetime:
        """Return the time by which the view that was read last is shown."""
        return self.time_of(self._view or self.log.view())

    def remind(self) -> None:
        """Tells the session which of its leases runs out soon, or is over: also where nobody has looked at the branch."""
        if not (self.who.session and self.heard):
            return
        self.warnings += [text for text in self.ending() if text not in self.warnings]

    def ending(self) -> list[str]:
        """What is to be said of leases that run out soon or are over, by what is noted here."""
        found = []
        for entry, held in self.identity.holding(self.who.session).items():
            if not term.ending(entry, held.until, held.ttl, self.now().timestamp()):
                continue
            now = self.time_now()
            state = (self._view or self.log.view()).state
            fence, resource = leases.split_lease(entry)
            known = leases.find(state.claims.get, self.who.session, fence, resource)
            until = max(held.until, known.expires_at.timestamp()) if known is not None else held.until  # another process renewed it
            found.append(term.ending(entry, until, held.ttl, now.timestamp()))
        return [text for text in found if text]

    def _glance(self, view: View) -> None:
        """Notes what a status line shows, where the branch was just read where it lives."""
        if view.read_at is not None:
            status_note.note(self.identity, view.state, self.time_of(view), view.read_at)

    # --- reading -----------------------------------------------------------------------------------------------------

    def status(self, repo: str | None = None) -> Status:
        """The branch now. `repo`: only what concerns that one of the repositories that share it."""
        view = self.view()
        state = view.state if repo is None else of_repository(view.state, repo)
        now = self.time_of(view, tell=True)
        bad = view.checked.unmended
        items = attention(state, now, [(one.commit, one.reason) for one in bad], self.who.session)
        self._glance(view)
        return Status(now, view.checked.tip, state, tuple(items), bad, view.read_at, view.checked.seq)

    def whoami(self) -> tuple[Session | None, Binding | None]:
        """The caller's session, from the local view."""
        if not self.who.session:
            return None, None
        try:
            known = self.view(fresh=False).state.sessions.get(self.who.session)
        except NotInitialised:
            known = None
        return known, self.identity.get(self.who.session)

    def check(self, resources: Sequence[Resource], fence: int | None) -> tuple[Claim, ...]:
        """The session's own leases on them. Raises Held when another holds one, NotHeld when the session's own lease is over, or
        the fence is an old one.
        """
        view = self.view()
        state, now = view.state, self.time_of(view, tell=True)
        mine: list[Claim] = []
        for resource in resources:
            fold = self.folds(state)
            had = [lease for lease in leases.held_by(state, self.who.session) if overlaps(lease.resource, resource, fold=fold)]
            own = [lease for lease in had if not is_over(lease, now)]
            if fence is not None and not any(lease.fence == fence for lease in own):
                raise NotHeld(
                    f"the lease on {resource} with fence {fence} is over", hint=f"gitcoord claim {names.word(str(resource))}"
                )
            others = self._in_the_way(state, resource, own, now)
            if others:
                raise Held(
                    leases.words(state, others[0], now),
                    hint=leases.ways_out(others[0], [resource]),
                    data={"blocked_by": [leases.describe(state, lease, now) for lease in others]},
                )
            over = [lease for lease in had if lease.offered_until is None]
            if over and not own:
                text = f"your lease on {over[0].resource} ended {spell(over[0].expires_at)} (fence {over[0].fence})"
                raise NotHeld(f"{text}; nobody has taken it", hint=f"gitcoord renew {names.word(str(over[0].resource))}")
            mine += own
        return tuple(mine)

    def _in_the_way(self, state: State, resource: Resource, own: Sequence[Claim], now: datetime) -> list[Claim]:
        """Return the leases of others for which a claim of it would be refused; `own`: what the session has of it already."""
        state = state.folding() if self.folds(state) else state
        settings = state.rules.settings
        has = [lease for lease in own if not is_over(lease, now) and within(resource, lease.resource, fold=settings.ignorecase)]
        if has and settings.capacity(resource):
            return []
        live = [lease for lease in state.claims.values() if not is_over(lease, now, state.rules.grace)]
        mode: records.Mode = "shared" if has and all(lease.mode == "shared" for lease in has) else "exclusive"
        return leases.blocking(settings, live, resource, mode, self.who.session)

    def leases(self, *, mine: bool, overlapping: Resource | None) -> list[Claim]:
        """The leases there are, without those that are over."""
        return self._leases_that(lambda lease, now: not is_over(lease, now), self.view().state, mine, overlapping)

    def over(self, *, mine: bool, overlapping: Resource | None) -> list[Claim]:
        """The leases that are over and that nobody has taken or given back, by the view that was read last."""
        return self._leases_that(is_over, (self._view or self.log.view()).state, mine, overlapping)

    def _leases_that(
        self, counts: Callable[[Claim, datetime], bool], state: State, mine: bool, overlapping: Resource | None
    ) -> list[Claim]:  # fmt: skip
        now = self.time_now()
        found = [
            lease
            for lease in state.claims.values()
            if counts(lease, now)
            and (not mine or lease.claimed_by == self.who.session)
            and (overlapping is None or overlaps(lease.resource, overlapping, fold=self.folds(state)))
        ]
        return sorted(found, key=lambda one: (one.resource, one.fence, one.claimed_by))

    def places(self, *, mine: bool, overlapping: Resource | None) -> list[tuple[int, Waiting]]:
        """Who waits, in order, each with its number in the line."""
        view = self.view(fresh=False)
        now = self.time_of(view)
        return [
            (queue.number(view.state, place, now), place)
            for place in queue.line(view.state, now)
            if (not mine or place.session_id == self.who.session)
            and (overlapping is None or any(overlaps(one, overlapping) for one in place.wanted))
        ]

    def ready(self, overlapping: Resource | None = None) -> list[Handoff]:
        """The work that is ready to pick up, by the view that was read last, the oldest first."""
        state = (self._view or self.log.view()).state
        return sorted(
            (
                one
                for one in state.handoffs.values()
                if one.status == "open"
                and (overlapping is None or any(overlaps(Resource.read(name), overlapping) for name in one.resources))
            ),
            key=lambda one: one.seq,
        )

    def board(self, *, at: str | None = None, from_history: bool = False) -> str:
        """The board of the tip, of an earlier event, or rebuilt from the history alone."""
        view = self.view()
        if not from_history and at is None:
            return board_view.render(view.state)
        last: list[Good] = []
        limit = _when(at)

        def keep(good: Good) -> None:
            if limit(good):
                last[:] = [good]

        self.log.replay(view.checked.tip, keep)
        if not last:
            raise NotInitialised(f"the branch has no event at {at}", hint="gitcoord log")
        return board_view.render(last[0].state)

    def entries(self, *, limit: int, **asked: Any) -> list[LogEntry]:
        """The newest events that match (see `counted`), oldest first."""
        return list(islice((entry for entry in self._matching(**asked) if entry is not None), limit))[::-1]

    def counted(self, *, limit: int, **asked: Any) -> tuple[list[LogEntry], int, bool]:
        """Return the newest events that match, oldest first; how many earlier ones match; and False where not all of them were
        counted: for that alone no long past is read. `session`, `resource`, `since`: what must fit; `after`: only those behind
        that event.
        """
        walk = self._matching(**asked)
        found = list(islice((entry for entry in walk if entry is not None), limit))
        rest = list(islice(walk, _COUNTED + 1))
        return found[::-1], sum(entry is not None for entry in rest[:_COUNTED]), len(rest) <= _COUNTED

    def _matching(
        self, *, session: str | None, resource: Resource | None, since: datetime | None, after: int | None = None
    ) -> Iterator[LogEntry | None]:
        """Yield the events, the newest first; None for each that doesn't match."""
        for one in self.log.entries(self.view().checked, newest_first=True):
            entry = entry_of(one, self.now())
            if after is not None and 0 < entry.seq <= after:
                return
            fits = (since is None or entry.at >= since) and (session is None or entry.session == session)
            about = resource is None or any(overlaps(Resource.read(text), resource) for text in entry.resources)
            yield entry if fits and about else None

    def history(self, resource: Resource) -> tuple[Holdings, datetime]:
        """Who held that, or what overlaps it, and when: from the good events alone; and the instant until which that is known."""
        view = self.view()
        held = Holdings(about=resource)
        for good in self.log.line(view.checked):
            held.see(Step(good.commit, good.event, good.committed_at))
        return held, self.time_of(view, tell=True)

    def how_it_ended(self, resource: Resource, fence: int) -> How | None:
        """How the session's lease with that fence ended, from what this clone knows; None if it didn't, or can't be found."""
        held = Holdings(about=resource)
        for good in self.log.line(self.log.view().checked):
            held.see(Step(good.commit, good.event, good.committed_at))
        return next((one.how for one in held.over if (one.session, one.fence) == (self.who.session, fence)), None)

    def verify(self, *, full: bool = False) -> Verdict:
        """Replays the whole history and compares it with what lies on the branch; see `Verifier`."""
        return Verifier(self.log).verify(self.view().checked, full=full)


def entry_of(entry: Entry, now: datetime) -> LogEntry:
    """Return a commit as the log tells it; `data` has what this kind of event says, by the names of its fields. `now` stands for a
    date that can't be read.
    """
    commit, event = entry.commit, entry.event
    if event is None:
        at = commit.authored_at or commit.committed_at or now
        return LogEntry(commit.oid, at, 0, commit.author, "", entry.subject, ignored=entry.ignored)
    data = event.model_dump(mode="json", exclude_defaults=True, exclude={"id", "seq", "session", "at"})
    about = _resources(event)
    return LogEntry(commit.oid, event.at, event.seq, event.session, event.kind, entry.subject, None, about, event.id, data)


_RENEWING = ClaimAcquired | ClaimRenewed | HeartbeatRecorded
"""The events that are about what they renew; any other may renew something on its way."""


def _resources(event: Event) -> tuple[str, ...]:
    """What an event is about, for a reader who asks for one resource."""
    found = [*getattr(event, "resources", ()), *getattr(event, "left", ())]
    if isinstance(event, requests.ClaimRequested | requests.RequestAnswered):
        found.append(event.resource)
    for key, split in (
        ("released", leases.split_lease),
        *((("renewed", leases.split_renewal),) if isinstance(event, _RENEWING) else ()),
        ("regained", leases.split_renewal),
        ("leases", leases.split_lease),
        ("taken", leases.split_taken),
        ("touched", trespasses.split_touched),
        ("granted", queue.split_granted),
    ):
        for entry in getattr(event, key, ()):
            with contextlib.suppress(ValueError):
                found.append(str(split(entry)[-1]))
    return tuple(dict.fromkeys(found))


def _when(at: str | None) -> Callable[[Good], bool]:
    """Whether a commit is not after `at`: a seq, a commit's name, or an instant."""
    if at is None:
        return lambda good: True
    if at.isascii() and at.isdigit() and len(at) < 10:
        return lambda good: good.event.seq <= int(at)
    if len(at) >= 7 and all(char in "0123456789abcdef" for char in at):
        passed: list[bool] = []

        def upto(good: Good) -> bool:
            before = not passed
            if good.commit.startswith(at):
                passed.append(True)
            return before

        return upto
    instant = datetime.fromisoformat(at)
    return lambda good: good.committed_at <= instant
