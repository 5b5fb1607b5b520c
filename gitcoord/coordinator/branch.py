"""Looking at the branch: what is, what was, and whether history, trees and boards agree. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.core import clocks, leases, names, term
from gitcoord.core.events import Clock
from gitcoord.core.leases import due_renewals
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.renewals import regained_by
from gitcoord.core.state import State
from gitcoord.core.term import is_over
from gitcoord.core.times import spell
from gitcoord.errors import Alarm, GitcoordError, NoSession, NotInitialised, NotWritten, Unknown, Unreachable
from gitcoord.git.repo import Oid
from gitcoord.log.entries import EntryFilter, LogEntry, entry_of
from gitcoord.log.history import Bad, Good
from gitcoord.log.outcomes import View
from gitcoord.statusline import note as status_note
from gitcoord.views import board as board_view
from gitcoord.views.attention import Item, attention
from gitcoord.views.repository import of_repository

if TYPE_CHECKING:
    from gitcoord.coordinator.verify import Verdict
    from gitcoord.views.blame import Origin
    from gitcoord.views.holdings import HistoryStep, Holdings, How
    from gitcoord.views.report import Report

_AGAIN = 2  # flushes more while something waits
_BY_ITSELF = 2 / 3  # of a lease is left: then a sign of life that nobody else sends is worth a commit
_COUNTED = 1000
"""Commits behind a limit that are still looked at, to say how many are not shown."""


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
    unverified: bool = False


class Branch:
    """The branch, as one actor looks at it. A look also tells the actor's session what it lost."""

    def __init__(self, parts: Parts, acting: Acting, notices: Notices, last: View | None = None) -> None:
        self.parts, self.acting, self.notices = parts, acting, notices
        self._view = last

    @property
    def last(self) -> View | None:
        """Return the view that was read last; None before the first."""
        return self._view

    # --- the branch as it is -----------------------------------------------------------------------------------------

    def view(self, *, fresh: bool | None = None) -> View:
        """Return the branch: fetched (unless the actor is `cached`), or as remembered when the remote is away."""
        if fresh is False or (self.acting.actor.cached and fresh is None):
            return self.known()
        try:
            self._view = self.parts.log.refresh(self.parts.seconds, unverified=self.acting.actor.unverified)
            self.parts.outbox.note_reach(reached=True, now=self.parts.now())
            if self._view.unverified:  # nothing is sent, settled or told of by what nobody has checked
                return self._view
            if self.parts.submitter.sendable():  # the remote is back: what waited goes first
                self.parts.submitter.flush()
                self._view = self.parts.log.refresh(self.parts.seconds)
        except Unreachable as error:
            view = replace(self.last_view(), read_at=None)
            plain = self._plain(error)
            if not view.checked.tip:
                raise plain from error
            self.notices.add(f"{plain.message}; this is what was known at {spell(view.state.at)}")
            return view
        self.parts.submitter.settle_carried(self._view)
        self.note_losses(self._view.state)
        return self._view

    def _plain(self, error: GitcoordError) -> GitcoordError:
        """Return the error; in a sandbox in words of ours: git's are about a file that it may not write, or a name that it may not
        look up.
        """
        if not self.parts.boxed or not isinstance(error, (Unreachable, NotWritten)):
            return error
        return Unreachable(f"{self.parts.log.tip.where} can't be reached from this sandbox", hint="run it outside of the sandbox")

    def last_view(self) -> View:
        """Return the view that was read last, else what this clone knows."""
        return self._view or self.parts.log.view(unverified=self.acting.actor.unverified)

    def remember(self, view: View) -> None:
        """Go by that view from here on."""
        self._view = view

    def forget(self) -> None:
        """Go by what this clone knows from here on."""
        self._view = None

    def look_at(self, view: View) -> None:
        """Go by that view from here on, and tell the session what it lost by it."""
        self.remember(view)
        self.note_losses(view.state)

    def look_again(self, seconds: float) -> View:
        """Return the branch, fetched within that time; nothing that waits is sent first. Raises Unreachable."""
        view = self.parts.log.refresh(seconds)
        self.look_at(view)
        return view

    def state_at(self, seq: int) -> State:
        """Return the state at that event, or a later one: another clone of this machine may have sent it."""
        view = self.parts.log.view()
        return (view if view.checked.seq >= seq and seq else self.parts.log.refresh(self.parts.seconds)).state

    def check_receiver(self, to: str) -> None:
        """Make sure that a session is known, as far as anybody can be asked: what is queued is refused to nobody's face. Raises
        NoSession.
        """
        if not names.is_session_name(to) or to in self.view(fresh=False).state.sessions:
            return
        if to not in self.view(fresh=True).state.sessions:
            raise NoSession(f"no session is called {to}", hint="gitcoord peers, or: gitcoord handoff anyone")

    def known(self) -> View:
        """Return the view that was read last. Raises NotInitialised where there is none."""
        view = self.last_view()
        if not view.checked.tip:
            raise NotInitialised("there is no coordination branch here yet", hint="gitcoord init")
        return view

    def note_losses(self, state: State) -> None:
        """Tell the session once which leases it had and has no more."""
        if not self.acting.session:
            return
        me, now = self.acting.session, clocks.shown_at(state, self.parts.log.clock(), ask=False)[0]
        held = leases.holding(state, me, now)
        gone = self.parts.identity.missing(me, held.keys(), state.seq)
        if not self.acting.actor.heard:  # told to nobody, it would be told never
            self.parts.identity.see(me, held, state.seq, keep=gone)
            return
        self.parts.identity.lose(me, gone, spell(self.parts.now()))  # first: what is told twice is better than what is lost
        self.notices.add(*(leases.how_lost(state, me, entry, now) for entry in gone))
        for lease in leases.held_by(state, me):
            if lease.offered_until is not None and not is_over(lease, now):
                self.notices.add(f"{lease.resource} is offered to you until {spell(lease.offered_until)}: claim it")
        self.note_held(held, state.seq)

    def note_held(self, held: Mapping[str, tuple[float, int]], seq: int) -> None:
        """Note what the session holds at that event, and tell it what was left for it to know."""
        if self.acting.session:
            if self.acting.actor.heard:
                self.notices.add(*self.parts.outbox.take_notes(self.acting.session))
            self.parts.identity.see(self.acting.session, held, seq)

    def time_of(self, view: View, *, tell: bool = False) -> datetime:
        """Return the time by which that view is shown: this machine's, unless that is contradicted. `tell`: warns of it then."""
        now, doubt = clocks.shown_at(view.state, self.parts.log.clock(), ask=view.read_at is not None)
        if doubt and tell:
            self.notices.add_new(doubt)
        return now

    def folds(self, state: State) -> bool:
        """Return True if capital and small letters name one file, here or in another repository of the branch."""
        return self.acting.actor.folds or state.rules.settings.ignorecase

    def time_now(self) -> datetime:
        """Return the time by which the view that was read last is shown."""
        return self.time_of(self.last_view())

    def remind(self) -> None:
        """Tell the session which of its leases run out soon or are over, also where nobody has looked at the branch."""
        if not (self.acting.session and self.acting.actor.heard):
            return
        self.notices.add_new(*self.ending())

    def ending(self) -> list[str]:
        """Return what is to be said of leases that run out soon or are over, by what is noted in this work tree."""
        found = []
        for entry, held in self.parts.identity.holding(self.acting.session).items():
            if not term.ending(entry, held.until, held.ttl, self.parts.now().timestamp()):
                continue
            now = self.time_now()
            state = self.last_view().state
            fence, resource = leases.LeaseRef.parse(entry)
            known = leases.find(state.claims.get, self.acting.session, fence, resource)
            until = max(held.until, known.expires_at.timestamp()) if known is not None else held.until  # another process renewed it
            found.append(term.ending(entry, until, held.ttl, now.timestamp()))
        return [text for text in found if text]

    def glance(self, view: View) -> None:
        """Note what a status line shows, if that view was just read on the remote."""
        if view.read_at is not None and not view.unverified:
            status_note.note(self.parts.identity, view.state, self.time_of(view), view.read_at)

    def sync(self, *, if_due: bool = False, look: bool = False) -> tuple[list[GitcoordError], View | None]:
        """Send what waits and read the branch; return what stood in the way, and the view if there is one.

        - `if_due`: only where an automatic heartbeat is due, or a command waits.
        - `look`: the branch is read even so.
        """
        due = not if_due or self._is_due()
        if not due and not look:
            return [], None
        errors = self.parts.submitter.flush(anew=not if_due) if due else []
        for _ in range(_AGAIN):  # another one was at it and may not have seen the newest
            if due and not errors and self.parts.submitter.sendable():
                errors = self.parts.submitter.flush()
        try:
            view = self.view(fresh=True)
            self.glance(view)
            return [*map(self._plain, errors)], view
        except (Unreachable, Unknown, Alarm) as error:
            return [*map(self._plain, errors), error], None

    def _is_due(self) -> bool:
        """Return True if a command waits, or if a session in the spool has pushed, has been silent for its share of the budget, or
        has a lease to renew.
        """
        try:
            state = self.known().state
        except NotInitialised:
            return False
        if self.parts.submitter.sendable():
            return True
        now = self.parts.now()
        settings = state.rules.settings
        heard = sum(1 for _, signs in state.sessions.signs() if now - signs.last_heartbeat < timedelta(hours=1))
        share = timedelta(seconds=max(settings.heartbeat_every, settings.heartbeat_share * heard))
        for name, entries in self.parts.outbox.spooled().items():
            session = state.sessions.get(name)
            if any(entry.get("soon") for _, entry in entries):
                return True
            if session is None or now - session.last_heartbeat >= share:
                return True
            if due_renewals(state, name, now, Clock(now=now), left=_BY_ITSELF) or regained_by(state, name, now, Clock(now=now)):
                return True
        return False

    # --- reading -----------------------------------------------------------------------------------------------------

    def status(self, repo: str | None = None, at: str | None = None) -> Status:
        """Return the branch at a glance. `repo`: only what concerns that one of the repositories that share it; `at`: as it was at
        that time, event or commit.
        """
        view = self.view()
        if at is not None:
            return self._status_at(view, at, self.time_of(view, tell=True), repo)
        return self.status_of(view, repo)

    def status_of(self, view: View, repo: str | None = None) -> Status:
        """Return that view of the branch at a glance."""
        now = self.time_of(view, tell=True)
        state = view.state if repo is None else of_repository(view.state, repo)
        bad = view.checked.unmended
        items = attention(state, now, [(one.commit, one.reason) for one in bad], self.acting.session)
        self.glance(view)
        return Status(now, view.checked.tip, state, tuple(items), bad, view.read_at, view.checked.seq, view.unverified)

    def board(self, *, at: str | None = None, from_history: bool = False) -> str:
        """Return the board of the tip, of an earlier event (`at`), or rebuilt from the history alone."""
        view = self.view()
        if not from_history and at is None:
            return board_view.render(view.state)
        good = self._last_good(view, at)
        return board_view.render(self._replayed(view, good.event.seq) if from_history else good.state)

    def _status_at(self, view: View, at: str, now: datetime, repo: str | None) -> Status:
        good = self._last_good(view, at)
        state = good.state if repo is None else of_repository(good.state, repo)
        as_of = min(_moment(at)[2] or good.committed_at, now)
        items = attention(state, as_of, me=self.acting.session)
        return Status(as_of, good.commit, state, tuple(items), (), view.read_at, good.event.seq, view.unverified)

    def _last_good(self, view: View, at: str | None) -> Good:
        """Return the last good commit of the view that is not after `at`: a seq, a commit's name, or an instant. Raises
        NotInitialised where there is none.
        """
        seq, commit, instant = _moment(at) if at is not None else (view.checked.seq, "", None)
        good = self.parts.log.last_good(view.checked, seq=seq, commit=commit, instant=instant)
        if good is None:
            raise NotInitialised(f"the branch has no event at {at}", hint="gitcoord log")
        return good

    def _replayed(self, view: View, seq: int) -> State:
        """Return the state after that event, by the history alone."""
        last: list[State] = []

        def keep(good: Good) -> None:
            if good.event.seq <= seq:
                last[:] = [good.state]

        if seq < view.checked.seq or self.parts.log.replay_halves(view.checked.tip, keep) is None:
            last.clear()
            self.parts.log.replay(self.parts.log.epoch_of(view.checked, seq).tip, keep)
        return last[0]

    def entries(self, *, limit: int, **asked: Any) -> list[LogEntry]:
        """Return the newest events that match (see `counted`), oldest first."""
        return list(islice((entry for entry in self._matching(**asked) if entry is not None), limit))[::-1]

    def counted(self, *, limit: int, **asked: Any) -> tuple[list[LogEntry], int, bool]:
        """Return the newest events that match, oldest first; how many earlier ones match; and False where not all of them were
        counted: for that alone no long past is read. `after`: only those behind that event; `fetch`: with the
        archives that can be had; `asked`: what must fit, by the fields of `EntryFilter`.
        """
        walk = self._matching(**asked)
        found = list(islice((entry for entry in walk if entry is not None), limit))
        rest = list(islice(walk, _COUNTED + 1))
        return found[::-1], sum(entry is not None for entry in rest[:_COUNTED]), len(rest) <= _COUNTED

    def _matching(self, *, after: int | None = None, fetch: bool = False, **asked: Any) -> Iterator[LogEntry | None]:
        """Yield the events, the newest first; None for each that doesn't match. `fetch`: with the archives that can be had."""
        wanted = EntryFilter(**asked)
        for one in self.parts.log.all_entries(self.view().checked, newest_first=True, fetch=fetch):
            entry = entry_of(one, self.parts.now())
            if after is not None and 0 < entry.seq <= after:
                return
            yield entry if wanted.fits(entry) else None

    def steps(self, since: datetime, until: datetime) -> Iterator[HistoryStep]:
        """Yield the good events whose commits were made in that time, the newest first. What is older is not read."""
        from gitcoord.views.holdings import HistoryStep

        for entry in self.parts.log.entries(self.last_view().checked, newest_first=True):
            at = entry.commit.committed_at
            if at is not None and at < since and entry.event is not None:
                return
            if at is not None and at <= until and entry.event is not None:
                yield HistoryStep(entry.commit.oid, entry.event, at)

    def report(self, since: datetime, until: datetime | None = None, session: str = "") -> Report:
        """Return who did what in that time. `session`: only what that one did."""
        from gitcoord.views.report import report

        view = self.view()
        end = until or self.time_of(view, tell=True)
        return report(list(self.steps(since, end))[::-1], view.state, since, end, session)

    def blame(self, what: Resource, commits: Mapping[str, tuple[datetime, tuple[str, ...]]]) -> tuple[dict[str, Origin], list[str]]:
        """Return whose each of those commits of a file is, and who holds the file now; archives that can be had are fetched.
        `commits`: when each was made, and the sessions that it names.
        """
        from gitcoord.views.blame import Past
        from gitcoord.views.holdings import HistoryStep

        view = self.view()
        now = self.time_of(view, tell=True)
        past = Past(now)
        for good in self.parts.log.line(view.checked, fetch=not self.acting.actor.cached):
            past.see(HistoryStep(good.commit, good.event, good.committed_at))
        holders = [lease.claimed_by for lease in leases.live(view.state, now) if overlaps(lease.resource, what)]
        return past.origins(what, commits), list(dict.fromkeys(holders))

    def history(self, resource: Resource, *, fetch: bool = False) -> tuple[Holdings, datetime]:
        """Return who held that, or what overlaps it, and when, by the good events alone, and until when that is known. `fetch`:
        with the archives that can be had.
        """
        from gitcoord.views.holdings import HistoryStep, Holdings

        view = self.view()
        held = Holdings(about=resource)
        for good in self.parts.log.line(view.checked, fetch=fetch and not self.acting.actor.cached):
            held.see(HistoryStep(good.commit, good.event, good.committed_at))
        return held, self.time_of(view, tell=True)

    def beginning(self) -> int:
        """Return the number of the first event that can be read here: 1, where no archive is missing."""
        checked = self.last_view().checked
        older = [one.checked.before for one in self.parts.log.archives.behind(checked)]
        return min([checked.before, *older]) + 1

    def how_it_ended(self, resource: Resource, fence: int) -> How | None:
        """Return how the session's lease with that fence ended, by what this clone knows; None if it didn't, or can't be found."""
        from gitcoord.views.holdings import HistoryStep, Holdings

        held = Holdings(about=resource)
        for good in self.parts.log.line(self.parts.log.view().checked):
            held.see(HistoryStep(good.commit, good.event, good.committed_at))
        return next((one.how for one in held.over if (one.session, one.fence) == (self.acting.session, fence)), None)

    def verify(self, *, full: bool = False) -> Verdict:
        """Replay the whole history and compare it with what lies on the branch; see `Verifier`."""
        from gitcoord.coordinator.verify import Verifier

        return Verifier(self.parts.log, self.parts.verifying).verify(self.view().checked, full=full)


def _moment(at: str) -> tuple[int | None, str, datetime | None]:
    """Return the seq, the beginning of a commit's name, or the instant that `at` is."""
    if at.isascii() and at.isdigit() and len(at) < 10:
        return int(at), "", None
    if len(at) >= 7 and all(char in "0123456789abcdef" for char in at):
        return None, at, None
    return None, "", datetime.fromisoformat(at)
