"""Who held it when: leases as the events tell them, from the grant to the end. A pure fold; it needs no state.

At every good event the holdings that are open are the leases of the state (a test compares them). A holding ends when it was
given up or taken, or when its time ran out, whichever came first: that nobody takes an expired lease out of the tree holds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from gitcoord.core.branch import SettingsChanged, with_setting
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.events import Event
from gitcoord.core.handover import HandoffTaken
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.leases import LeaseRef, RenewedLease, TakenLease, mode_of, serves
from gitcoord.core.names import Resource, resource_named, resource_of
from gitcoord.core.overlap import covers, overlaps
from gitcoord.core.queue import OFFER, ClaimQueued, LinePassed, split_granted
from gitcoord.core.records import Mode, SharedSettings
from gitcoord.core.releases import ClaimReleased
from gitcoord.core.renewals import ClaimRenewed
from gitcoord.core.requests import RequestAnswered
from gitcoord.core.sessions import SessionEnded, SessionResumed, SessionStarted
from gitcoord.core.succession import SessionSuperseded
from gitcoord.core.tasks import TaskClosed
from gitcoord.core.term import is_over
from gitcoord.core.trespasses import split_touched
from gitcoord.core.values import is_whole

How = Literal[
    "released", "given_up", "handed_over", "session_ended", "abandoned", "taken_over", "broken", "superseded", "expired"
]  # fmt: skip
"""How a holding ended. `superseded`: by the session's own claim in another mode, or after the first had expired; `given_up`: to
who asked for it; `handed_over`: to who took a handoff; `abandoned`: its session was silent for long and given up; `expired`: its
time ran out, and whatever came later found it so.
"""


Left = Literal["offered", "acquired", "left", "session_ended", "late"]
"""How a wait ended. `late`: the place was not kept."""


@dataclass(frozen=True)
class HistoryStep:
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
    touched: tuple[tuple[str, int], ...] = ()
    """Who else committed it meanwhile, each with the event that says so."""

    @property
    def entry(self) -> str:
        """As events name it: `42 file:a`."""
        return str(LeaseRef(self.fence, self.resource))

    def at(self, now: datetime) -> Holding:
        """The holding as it stands at that instant: one whose time ran out is over, also while its record lies in the tree."""
        if self.how is not None or not is_over(self, now):
            return self
        return replace(self, ended_at=self.expires_at, how="expired")

    def seconds(self, now: datetime) -> int:
        """How long it lasted, until `now` if it still does."""
        return max(0, int(((self.ended_at or now) - self.granted_at).total_seconds()))


@dataclass(frozen=True)
class Wait:
    """A session's place in line: since when, until when, and how it ended. `kept`: as long as it was kept."""

    session: str
    run_id: str
    resources: tuple[Resource, ...]
    seq: int
    mode: Mode
    any_of: bool
    since: datetime
    kept: datetime
    phase: str | None = None
    reason: str | None = None
    until: datetime | None = None
    how: Left | None = None

    def at(self, now: datetime) -> Wait:
        """The wait as it stands at that instant: a place that nobody kept is over."""
        return self if self.how is not None or self.kept > now else replace(self, until=self.kept, how="late")


@dataclass(frozen=True)
class Unclaimed:
    """Work on a file by a session that had no claim on it: one heartbeat that names the file. `paths`: which of its files."""

    session: str
    at: datetime
    seq: int
    paths: tuple[str, ...]
    commit: str | None = None


_GAP = timedelta(minutes=1)


class Gap(NamedTuple):
    """A time in which nobody held it; `until` is None if that lasts."""

    since: datetime
    until: datetime | None


@dataclass
class Holdings:
    """The fold. `about`: only what overlaps this is told; None: all."""

    about: Resource | None = None
    open: dict[tuple[str, str], Holding] = field(default_factory=dict)
    """By session and entry (`42 file:a`)."""
    over: list[Holding] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    """Those that are over, in the order of their ends."""
    in_line: dict[int, Wait] = field(default_factory=dict)
    """The places that there are, by their seq."""
    unclaimed: list[Unclaimed] = field(default_factory=list)
    """Work on the file that is asked about without a claim on it; none is noted where all is."""
    runs: dict[str, str] = field(default_factory=dict)
    settings: SharedSettings = field(default_factory=SharedSettings)

    def see(self, step: HistoryStep) -> None:
        """Takes the next good event, in the order of the line."""
        event = step.event
        # As `evolve` has it: what an event says of its own time is no clock.
        at = min(event.at, step.committed_at)
        if not event.known:
            return
        if event.lapsed is None:
            if isinstance(event, SessionStarted | SessionResumed):
                self.runs[event.session] = event.run_id
            elif isinstance(event, SettingsChanged):
                self.settings = with_setting(self.settings, event.key, event.value) or self.settings
            self._renew(event.session, event.renewed)
            self._see_waits(event, at)
            self._see_ends(event, at, step.commit)
            if isinstance(event, ClaimAcquired):
                self._grant(event, at, step.commit)
            elif isinstance(event, RequestAnswered):
                self._answer(event, at, step.commit)
            elif isinstance(event, HandoffTaken):
                self._move(event, event.giver, at, step.commit, "handed_over")
            elif isinstance(event, SessionSuperseded):
                self._move(event, event.previous, at, step.commit, "taken_over")
                self._end_all(event.previous, at, step.commit, "abandoned")
                self._leave(event.previous, at, "session_ended")
            if isinstance(event, ClaimRenewed | HeartbeatRecorded):
                self._regain(event, at, step.commit)
            if isinstance(event, HeartbeatRecorded):
                self._touch(event)
                self._see_unclaimed(event, at)
            if isinstance(event, ClaimAcquired | ClaimRenewed):
                named = [*getattr(event, "resources", ()), *(str(RenewedLease.parse(entry).resource) for entry in event.renewed)]
                self._serve(event.session, set(map(resource_of, named)), at)
        for session in event.abandoned:
            self._end_all(session, at, step.commit, "abandoned")
            self._leave(session, at, "late")  # no place is kept as long as a session may be silent
        for entry in event.removed:
            table, _, seq = entry.partition(" ")
            if table == "waiting" and is_whole(seq):
                self._leave(None, at, "late", int(seq))
        places = dict(self.in_line)
        for entry in event.granted:
            self._offer(entry, places, event, step)

    def _touch(self, event: HeartbeatRecorded) -> None:
        for entry in event.touched:
            fence, holder, resource = split_touched(entry)
            known = self.open.get((holder, str(LeaseRef(fence, resource))))
            if known is not None:
                self.open[holder, known.entry] = replace(known, touched=(*known.touched, (event.session, event.seq)))

    def _see_unclaimed(self, event: HeartbeatRecorded, at: datetime) -> None:
        about = self.about
        if about is None or about.type != "file" or not event.files_touched:
            return
        paths = [path for path in event.files_touched if overlaps(resource_named("file", path), about)]
        held = [one.at(at) for one in self.open.values() if one.session == event.session]
        bare = [path for path in paths if not any(one.how is None and covers(one.resource, path) for one in held)]
        if bare:
            self.unclaimed.append(Unclaimed(event.session, at, event.seq, tuple(bare), event.commit))

    def gaps(self, now: datetime) -> list[Gap]:
        """Return when nobody held it, from its first grant on; what was shorter than a minute is no gap."""
        found: list[Gap] = []
        end: datetime | None = None
        every = self.all(now)
        for one in sorted(every, key=lambda one: one.granted_at):
            if end is not None and one.granted_at - end >= _GAP:
                found.append(Gap(end, one.granted_at))
            end = max(end or one.granted_at, one.ended_at or now)
        if end is not None and not any(one.ended_at is None for one in every):
            found.append(Gap(end, None))
        return found

    def all(self, now: datetime) -> list[Holding]:
        """Every holding at that instant, in the order of their grants."""
        return sorted(
            (one.at(now) for one in (*self.over, *self.open.values()) if self.about is None or overlaps(one.resource, self.about)),
            key=lambda one: (one.fence, one.resource, one.session),
        )

    # --- what an event does ------------------------------------------------------------------------------------------

    def _see_waits(self, event: Event, at: datetime) -> None:
        if isinstance(event, ClaimQueued):
            wanted = tuple(map(resource_of, event.resources))
            if event.place in self.in_line:
                old = self.in_line[event.place]
                self.in_line[event.place] = replace(old, kept=event.until, run_id=event.run_id)
            elif not event.place:
                for seq, place in list(self.in_line.items()):
                    if place.session == event.session and set(place.resources) == set(wanted):
                        self._leave(event.session, at, "late", seq)
                self.in_line[event.seq] = Wait(
                    event.session, event.run_id, wanted, event.seq, event.mode, event.any_of, at, event.until, event.phase,
                    event.reason,
                )  # fmt: skip
        elif isinstance(event, ClaimReleased):
            left = set(map(resource_of, event.left))
            for seq, place in list(self.in_line.items()):
                if place.session == event.session and left & set(place.resources):
                    self._leave(event.session, at, "left", seq)
        elif isinstance(event, SessionEnded):
            self._leave(event.session, at, "session_ended")
        elif isinstance(event, SessionResumed):
            for seq, place in self.in_line.items():
                if place.session == event.session:
                    self.in_line[seq] = replace(place, run_id=event.run_id)

    def _serve(self, session: str, named: set[Resource], at: datetime) -> None:
        """Places of the session that it needs no more, having what the event names."""
        has = {(one.resource, one.mode) for one in self.open.values() if one.session == session}
        for seq, place in list(self.in_line.items()):
            wanted = set(place.resources)
            got = {one for one, mode in has if one in wanted & named and serves(self.settings, mode, one, place.mode)}
            if place.session == session and (got if place.any_of else got == wanted):
                self._leave(session, at, "acquired", seq)

    def _leave(self, session: str | None, at: datetime, how: Left, seq: int | None = None) -> None:
        for key, place in list(self.in_line.items()):
            if session in (None, place.session) and seq in (None, key):
                del self.in_line[key]
                over = place.at(at)
                if self._is_about(place):
                    self.waits.append(over if over.how else replace(place, until=at, how=how))

    def _is_about(self, place: Wait) -> bool:
        return self.about is None or any(overlaps(one, self.about) for one in place.resources)

    def all_waits(self, now: datetime) -> list[Wait]:
        """Every wait at that instant, in the order in which they began."""
        waiting = [place.at(now) for place in self.in_line.values() if self._is_about(place)]
        return sorted((*self.waits, *waiting), key=lambda one: one.seq)

    def _offer(self, entry: str, places: Mapping[int, Wait], event: Event, step: HistoryStep) -> None:
        """Somebody in line is served: a short lease under this event's fence."""
        seq, session, resource = split_granted(entry)
        place = places.get(seq)
        if place is None or place.session != session:
            return
        self._leave(session, step.committed_at, "offered", seq)
        mode = mode_of(self.settings, resource, place.mode)
        self._supersede(session, resource, step.committed_at, step.commit)
        self._hold(
            Holding(
                session, place.run_id, resource, event.seq, mode, step.committed_at, step.committed_at + OFFER, (step.commit,),
                place.phase, place.reason,
            )
        )  # fmt: skip

    def _answer(self, event: RequestAnswered, at: datetime, commit: str) -> None:
        key = (event.session, event.lease)
        if event.answer == "approve":
            self._end(event.session, event.lease, at, commit, "given_up", by=event.asker)
        elif event.answer == "share" and key in self.open:
            self.open[key] = replace(self.open[key], mode="shared")
        if event.offered:
            wanted = resource_of(event.resource)
            mode: Mode = "shared" if event.answer == "share" else mode_of(self.settings, wanted, "exclusive")
            run = self.runs.get(event.asker, "")
            self._supersede(event.asker, wanted, at, commit)
            self._hold(Holding(event.asker, run, wanted, event.seq, mode, at, at + OFFER, (commit,)))
            self._serve(event.asker, {wanted}, at)

    def _see_ends(self, event: Event, at: datetime, commit: str) -> None:
        if isinstance(event, ClaimReleased):
            for entry in event.released:
                self._end(
                    event.session, entry, at, commit, "released", done=event.done, tests=event.tests, next_phase=event.next_phase
                )
        elif isinstance(event, TaskClosed):
            for entry in event.released:
                self._end(
                    event.session, entry, at, commit, "released", done=event.note, tests=event.tests, next_phase=event.next_phase
                )
        elif isinstance(event, SessionEnded):
            self._end_all(event.session, at, commit, "session_ended")
        elif isinstance(event, SessionResumed):
            for key, one in self.open.items():
                if one.session == event.session:
                    self.open[key] = replace(one, run_id=event.run_id)
        elif isinstance(event, LinePassed):
            for entry in event.taken:
                fence, holder, _, resource = TakenLease.parse(entry)
                self._end(holder, str(LeaseRef(fence, resource)), at, commit, "expired")
        elif isinstance(event, ClaimAcquired):
            for entry in event.taken:
                fence, holder, why, resource = TakenLease.parse(entry)
                how: How = "broken" if why == "broken" else "taken_over"
                self._end(
                    holder, str(LeaseRef(fence, resource)), at, commit, how, by=event.session, why=None if how == "broken" else why
                )

    def _grant(self, event: ClaimAcquired, at: datetime, commit: str) -> None:
        for text in event.resources:
            resource = Resource.read(text)
            self._supersede(event.session, resource, at, commit)
            self._hold(
                Holding(
                    session=event.session, run_id=event.run_id, resource=resource, fence=event.seq, granted_at=at,
                    mode=mode_of(self.settings, resource, event.mode), expires_at=event.expires_at, commits=(commit,),
                    phase=event.phase, reason=event.reason,
                )
            )  # fmt: skip

    def _move(self, event: HandoffTaken | SessionSuperseded, giver: str, at: datetime, commit: str, how: How) -> None:
        """Leases of the giver go over, and what else is granted with them."""
        old: dict[Resource, Holding] = {}
        for entry in event.moved:
            one = self.open.get((giver, entry))
            if one is not None:
                old[one.resource] = one
                self._end(giver, entry, at, commit, how, by=event.session, why="stale" if how == "taken_over" else None)
        for text in event.resources if event.expires_at is not None else ():
            resource = resource_of(text)
            before = old.get(resource)
            self._supersede(event.session, resource, at, commit)
            self._hold(
                Holding(
                    session=event.session, run_id=event.run_id, resource=resource, fence=event.seq, granted_at=at,
                    mode=before.mode if before else mode_of(self.settings, resource, "exclusive"), commits=(commit,),
                    expires_at=event.expires_at or at, phase=before.phase if before else None,
                    reason=before.reason if before else None,
                )
            )  # fmt: skip
        self._serve(event.session, set(map(resource_of, event.resources)), at)

    def _supersede(self, session: str, resource: Resource, at: datetime, commit: str) -> None:
        for one in list(self.open.values()):
            if one.session == session and one.resource == resource:
                self._end(session, one.entry, at, commit, "superseded", by=session)

    def _hold(self, given: Holding) -> None:
        self.open[(given.session, given.entry)] = given

    def _regain(self, event: ClaimRenewed | HeartbeatRecorded, at: datetime, commit: str) -> None:
        """What was over begins anew, under the event's fence."""
        for entry in event.regained:
            fence, until, resource = RenewedLease.parse(entry)
            old = self.open.get((event.session, str(LeaseRef(fence, resource))))
            self._end(event.session, str(LeaseRef(fence, resource)), at, commit, "expired")
            self._hold(
                Holding(
                    session=event.session, run_id=old.run_id if old else event.run_id, resource=resource, fence=event.seq,
                    granted_at=at,
                    mode=old.mode if old else mode_of(self.settings, resource, "exclusive"), expires_at=until, commits=(commit,),
                    phase=old.phase if old else None, reason=old.reason if old else None,
                )
            )  # fmt: skip
        self._serve(event.session, {RenewedLease.parse(entry).resource for entry in event.regained}, at)

    def _renew(self, session: str, renewed: Sequence[str]) -> None:
        for entry in renewed:
            fence, until, resource = RenewedLease.parse(entry)
            key = (session, str(LeaseRef(fence, resource)))
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
        fence, resource = LeaseRef.parse(entry)
        one = self.open.pop((session, str(LeaseRef(fence, resource))), None)
        if one is None:
            return
        if self.about is not None and not overlaps(one.resource, self.about):
            return
        late = one.expires_at < at
        if late and how not in {"taken_over", "broken", "handed_over"}:
            how, by = "expired", None
        self.over.append(
            replace(
                one, ended_at=one.expires_at if late else at, how=how, by=by, why=why, done=done, tests=tests,
                next_phase=next_phase, commits=(*one.commits, commit),
            )
        )  # fmt: skip
