"""Says who really said each event that a face shows: by its commit's address and signature, and by whom the user trusts.

What is told here is shown and never acts: names and signatures change nothing of what is good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from gitcoord.coordinator.branch import Branch, Status
from gitcoord.coordinator.parts import Parts
from gitcoord.core.records import Session
from gitcoord.core.state import State
from gitcoord.core.trust import UNREAD, Trust, Verdict, judge
from gitcoord.errors import GitFault
from gitcoord.git.objects import Commit
from gitcoord.git.repo import NULL, Oid
from gitcoord.log.origins import EventOrigin, OriginTable
from gitcoord.log.outcomes import Advance, View
from gitcoord.views import speakers
from gitcoord.views.attention import Item

_SHORT = 3000  # commits that somebody who looks waits for; more are gone through in the background
_CHECKS = 10  # signatures that are checked by a process of its own while somebody waits
_LATELY = timedelta(days=1)  # for so long a session that somebody else may have ended is told of
_SECONDS = 20.0  # that such a process may take


@dataclass(frozen=True)
class Doubtful:
    """An event of which its origin says something else than its session's name. `wrong`: its signature does."""

    commit: Oid
    seq: int
    words: str
    wrong: bool


@dataclass(frozen=True)
class Examined:
    """Holds what the whole history says of who spoke: which events are doubtful, and how many have which kind of signature."""

    doubtful: list[Doubtful]
    signatures: dict[str, int]


@dataclass
class Speakers:
    """Says of events and sessions who really spoke."""

    parts: Parts
    branch: Branch
    _table: OriginTable | None = field(default=None, init=False)
    _untold: int = field(default=0, init=False)
    """Up to this event it was asked and could not be told: a long past is not listed once for each session."""
    _state: State = field(default_factory=State, init=False)  # of that table's last event, or a later one

    @cached_property
    def trust(self) -> Trust:
        """Return what the user trusts."""
        return self.parts.trust()

    def table(self, *, at_least: int = 0, everything: bool = False) -> OriginTable | None:
        """Return where the events came from, up to the view that was read last; None where that can't be told now.

        - `at_least`: an event that somebody asks for.
        - `everything`: go through all of a long past, too, and check every signature.
        """
        known = self._table
        if known is not None and 0 < at_least <= known.seq:
            return known
        view = self.branch.last_view()
        if view.checked.seq < at_least and not view.unverified:
            view = self.parts.log.view()
        if view.unverified or not view.checked.tip:
            return None
        if known is None and not everything and 0 < view.checked.seq <= self._untold:
            return None
        self._state = view.state
        if known is None or known.seq < view.checked.seq or (everything and known.unread):
            try:
                self._table = self._extended(view, everything=everything)
            except GitFault:  # it is only shown: the rest of the answer is there without it
                self._untold = view.checked.seq
                return None
            if self._table is None:
                self._untold = view.checked.seq
        return self._table

    def _extended(self, view: View, *, everything: bool) -> OriginTable | None:
        table = self._table or self._kept()
        found = self.parts.log.commits_since(view.checked, table.tip)
        if found is None:
            table = OriginTable()
            found = self.parts.log.commits_since(view.checked, NULL)
        if found is None:
            return None
        count, commits = found
        if count > _SHORT and not everything:
            self.parts.log.background()
            return None
        asked = 0

        def check(oid: Oid, seq: int) -> str:
            nonlocal asked
            asked += 1
            return self._ask_git(oid) if everything or asked <= _CHECKS else UNREAD

        with self.parts.log.waits.during("the check who signed what") as advance:
            table.extend(_counted(commits, count, advance), view.checked.tip, check)
            unread = sorted(table.unread, key=lambda oid: -table.unread[oid]) if count or everything else []
            for number, oid in enumerate(unread):  # the newest first
                advance(number, len(unread))
                if (key := check(oid, 0)) != UNREAD:
                    table.settle(oid, key)
        if count or unread:
            self.parts.origins.write(table.dump())
        return table

    def _ask_git(self, oid: Oid) -> str:
        return self.parts.checks_signature(oid, _SECONDS) if self.parts.checks_signature is not None else UNREAD

    def _kept(self) -> OriginTable:
        data = self.parts.origins.read()
        try:
            return OriginTable.load(data) if data else OriginTable()
        except (ValueError, KeyError, TypeError):
            return OriginTable()

    # --- what is said ----------------------------------------------------------------------------------------------------

    def of(self, seq: int, session: str) -> Verdict | None:
        """Return what is to be said of that event of that session; None where nothing can be told."""
        table = self.table(at_least=seq)
        found = table.of(seq) if table is not None else None
        return None if table is None or found is None else self._judged(table, seq, session, found)

    def mark(self, seq: int, session: str) -> str:
        """Return what a line about that event of that session says of its origin; "" where there is nothing to say."""
        return speakers.mark(session, self.of(seq, session))

    def doubt(self, seq: int, session: str) -> str:
        """Return why somebody else may have made that event of that session; "" where nothing says so."""
        verdict = self.of(seq, session)
        return speakers.doubt(session, verdict) if verdict is not None else ""

    def record(self, seq: int, session: str) -> dict[str, Any]:
        """Return the same for programs, as `speaker`; nothing where there is nothing to say."""
        return speakers.record(self.of(seq, session))

    def doubts(self, claims: Iterable[tuple[int, str]]) -> list[str]:
        """Return a line for each claim (its fence, its holder) that somebody else seems to have made in the holder's name."""
        found = [(fence, self.doubt(fence, holder)) for fence, holder in dict.fromkeys(claims)]
        return [f"event {fence} {words}" for fence, words in found if words]

    def of_session(self, session: Session) -> Verdict | None:
        """Return what is to be said of what that session has said since it started: the worst of it, else of its newest event."""
        table = self.table()
        if table is None:
            return None
        name = session.session_id
        found = sorted(table.origins(name, session.start_seq), reverse=True, key=lambda one: one[0])
        verdicts = [self._judged(table, seq, name, origin) for seq, origin in found]
        return next((one for one in verdicts if one.is_doubtful), verdicts[0] if verdicts else None)

    def status(self, repo: str | None = None, at: str | None = None) -> Status:
        """Return the branch at a glance; what somebody else seems to have said in a session's name needs attention. `repo`: only
        what concerns that repository of a hub; `at`: as it was then.
        """
        now = self.branch.status(repo=repo, at=at)
        table = self.table()
        if table is None:
            return now
        doubts: list[tuple[int, str, Verdict]] = []
        for name in _lately(now):
            found = [(seq, origin) for seq, origin in table.origins(name, 0) if seq <= now.seq]
            judged = [(seq, name, self._judged(table, seq, name, origin)) for seq, origin in found]
            doubtful = [one for one in judged if one[2].is_doubtful]
            if doubtful:  # nearly never: only then its record is read
                first = now.state.sessions[name].start_seq
                doubts += [one for one in doubtful if one[0] >= first]
        items = [
            Item("speaker", f"event {seq} {speakers.doubt(name, verdict)}", (name,))
            for seq, name, verdict in sorted(doubts, key=lambda one: -one[0])
        ]
        return replace(now, attention=(*items, *now.attention)) if items else now

    def examine(self, *, signatures: bool) -> Examined:
        """Go through the whole history anew, and return in which events somebody else seems to have spoken, and with `signatures`
        what each signature says.
        """
        view, table, known = self.branch.last_view(), OriginTable(), self._kept()
        self._state = view.state
        found = self.parts.log.commits_since(view.checked, NULL)
        count, commits = found if found is not None else (0, iter(()))
        doubtful: list[Doubtful] = []
        words: Counter[str] = Counter()

        def check(oid: Oid, seq: int) -> str:
            before = known.of(seq) if known.seq <= view.checked.seq else None
            key = before.origin.key if before is not None and not before.covered else ""
            return key if key not in ("", UNREAD) else self._ask_git(oid)

        def seen(oid: Oid, session: str, seq: int) -> None:
            origin = table.of(seq)
            if origin is None:
                return
            verdict = self._judged(table, seq, session, origin)
            words[verdict.word] += 1
            missing = signatures and verdict.word == "unsigned" and verdict.expected
            if verdict.is_doubtful or missing:
                doubtful.append(Doubtful(oid, seq, speakers.mark(session, verdict), wrong=verdict.word == "wrong"))

        with self.parts.log.waits.during("the check who signed what") as advance:
            table.extend(_counted(commits, count, advance), view.checked.tip, check if signatures else None, seen)
        if signatures:
            self._table = table
            self.parts.origins.write(table.dump())
        return Examined(doubtful, dict(words))

    def page(self) -> str:
        """Return what is to be said of the live sessions, as a part of a board that is printed; "" where there is nothing to say.
        It is by what this user trusts, so it never lies on the branch.
        """
        live = sorted(self.branch.last_view().state.sessions.live(), key=lambda one: (one.start_seq, one.session_id))
        marks = [(one.session_id, speakers.mark(one.session_id, self.of_session(one))) for one in live]
        return speakers.page([(name, words) for name, words in marks if words])

    def _judged(self, table: OriginTable, seq: int, session: str, found: EventOrigin) -> Verdict:
        speaker = found.origin.adopter or session
        known = self._state.sessions.get(speaker) if self.trust.keys else None  # roles are bound to keys
        role = (known.role or "") if known is not None else ""
        return judge(speaker, found.origin, table.owner(speaker, seq), self.trust, found.at, role=role, covered=found.covered)


def _counted(commits: Iterator[Commit], count: int, advance: Advance) -> Iterator[tuple[Commit, bool]]:
    """Yield the commits, all of them good, and say now and then how many of them are done."""
    for number, commit in enumerate(commits, 1):
        if number % 500 == 0:
            advance(number, count)
        yield commit, True


def _lately(now: Status) -> list[str]:
    """Return the names of the sessions that are live, or that were said to have ended lately."""
    since = now.as_of - _LATELY
    return [name for name, one in now.state.sessions.signs() if one.live or (one.ended_at is not None and one.ended_at > since)]
