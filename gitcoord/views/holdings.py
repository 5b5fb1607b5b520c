"""Who held it when: leases as the events tell them, from the grant to the end. A pure fold; it needs no state.

At every good event the holdings that are open are the leases of the state (a test compares them). A holding ends when it was
given up or taken, or when its time ran out, whichever came first: that nobody takes an expired lease out of the tree holds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from gitcoord.core.claims import ClaimAcquired, ClaimReleased, ClaimRenewed
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.leases import Mode, split_lease, split_renewal, split_taken
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.records import Event
from gitcoord.core.sessions import SessionEnded, SessionResumed

How = Literal["released", "session_ended", "abandoned", "taken_over", "broken", "superseded", "expired"]
"""How a holding ended. `superseded`: by the session's own claim in another mode, or after the first had expired; `abandoned`: its
session was silent for the retention; `expired`: its time ran out, and whatever came later found it so.
"""


@dataclass(frozen=True)
class Step:
    """A good event: its commit, and the commit's date."""

    commit: str
    event: Event
    committed_at: datetime


@dataclass(frozen=True)
class Holding:
    """One lease, from its grant to its end. `commits`: of the grant, and of the event that took it out of the tree.

    `why`: of a take-over, the reason that the taker had (`expired`, `ended`, `stale`).
    """

    session: str
    run_id: str
    resource: Resource
    fence: int
    mode: Mode
    granted_at: datetime
    expires_at: datetime
    commits: tuple[str, ...]
    phase: str | None = None
    reason: str | None = None
    renewals: int = 0
    ended_at: datetime | None = None
    how: How | None = None
    by: str | None = None
    why: str | None = None
    done: str | None = None
    tests: str | None = None
    next_phase: str | None = None

    @property
    def entry(self) -> str:
        """As events name it: `42 file:a`."""
        return f"{self.fence} {self.resource}"

    def at(self, now: datetime) -> Holding:
        """The holding as it stands at that instant: one whose time ran out is over, also while its record lies in the tree."""
        if self.how is not None or self.expires_at > now:
            return self
        return replace(self, ended_at=self.expires_at, how="expired")

    def seconds(self, now: datetime) -> int:
        """How long it lasted, until `now` if it still does."""
        return max(0, int(((self.ended_at or now) - self.granted_at).total_seconds()))


@dataclass(frozen=True)
class Wait:
    """A session's place in line: since when, until when, and how it ended."""

    session: str
    resources: tuple[Resource, ...]
    since: datetime
    until: datetime | None = None
    how: str | None = None


@dataclass
class Holdings:
    """The fold. `about`: only leases that overlap this are kept; None keeps all."""

    about: Resource | None = None
    open: dict[tuple[str, str], Holding] = field(default_factory=dict)
    """By session and entry (`42 file:a`)."""
    over: list[Holding] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)

    def see(self, step: Step) -> None:
        """Takes the next good event, in the order of the line."""
        event = step.event
        # As `evolve` has it: what an event says of its own time is no clock.
        at = min(event.at, step.committed_at)
        if not event.known:
            return
        if event.lapsed is None:
            self._see_waits(step)
            self._see_ends(event, at, step.commit)
            if isinstance(event, ClaimAcquired):
                self._grant(event, at, step.commit)
            if isinstance(event, ClaimAcquired | ClaimRenewed | HeartbeatRecorded):
                self._renew(event.session, event.renewed)
        for session in event.abandoned:
            self._end_all(session, at, step.commit, "abandoned")

    def all(self, now: datetime) -> list[Holding]:
        """Every holding at that instant, in the order of their grants."""
        return sorted(
            (one.at(now) for one in (*self.over, *self.open.values())), key=lambda one: (one.fence, one.resource, one.session)
        )

    # --- what an event does ------------------------------------------------------------------------------------------

    def _see_waits(self, step: Step) -> None:
        """The one place where events about waiting will be read; there are none in this format yet."""

    def _see_ends(self, event: Event, at: datetime, commit: str) -> None:
        if isinstance(event, ClaimReleased):
            for entry in event.released:
                self._end(
                    event.session, entry, at, commit, "released", done=event.done, tests=event.tests, next_phase=event.next_phase
                )
        elif isinstance(event, SessionEnded):
            self._end_all(event.session, at, commit, "session_ended")
        elif isinstance(event, SessionResumed):
            for key, one in self.open.items():
                if one.session == event.session:
                    self.open[key] = replace(one, run_id=event.run_id)
        elif isinstance(event, ClaimAcquired):
            for entry in event.taken:
                fence, holder, why, resource = split_taken(entry)
                how: How = "broken" if why == "broken" else "taken_over"
                self._end(holder, f"{fence} {resource}", at, commit, how, by=event.session, why=None if how == "broken" else why)

    def _grant(self, event: ClaimAcquired, at: datetime, commit: str) -> None:
        for text in event.resources:
            resource = Resource.read(text)
            if self.about is not None and not overlaps(resource, self.about):
                continue
            for one in list(self.open.values()):
                if one.session == event.session and one.resource == resource:
                    self._end(one.session, one.entry, at, commit, "superseded", by=event.session)
            given = Holding(
                session=event.session, run_id=event.run_id, resource=resource, fence=event.seq, mode=event.mode, granted_at=at,
                expires_at=event.expires_at, commits=(commit,), phase=event.phase, reason=event.reason,
            )  # fmt: skip
            self.open[(event.session, given.entry)] = given

    def _renew(self, session: str, renewed: Sequence[str]) -> None:
        for entry in renewed:
            fence, until, resource = split_renewal(entry)
            key = (session, f"{fence} {resource}")
            one = self.open.get(key)
            if one is not None and until > one.expires_at:
                self.open[key] = replace(one, expires_at=until, renewals=one.renewals + 1)

    def _end_all(self, session: str, at: datetime, commit: str, how: How) -> None:
        for one in list(self.open.values()):
            if one.session == session:
                self._end(session, one.entry, at, commit, how)

    def _end(
        self, session: str, entry: str, at: datetime, commit: str, how: How, *, by: str | None = None, why: str | None = None,
        done: str | None = None, tests: str | None = None, next_phase: str | None = None,
    ) -> None:  # fmt: skip
        fence, resource = split_lease(entry)
        one = self.open.pop((session, f"{fence} {resource}"), None)
        if one is None:
            return
        late = one.expires_at < at
        if late and how not in {"taken_over", "broken"}:
            how, by = "expired", None
        self.over.append(
            replace(
                one, ended_at=one.expires_at if late else at, how=how, by=by, why=why, done=done, tests=tests,
                next_phase=next_phase, commits=(*one.commits, commit),
            )
        )  # fmt: skip
