"""Holding leases while something runs: renews them in time, and finds out when one is lost. Starts nothing, prints nothing.

A lease counts as held until its own end and no longer, by the wall clock or by the monotonic one, whichever gets there first:
a stopped process, a machine that slept and a clock that was set back can end it early, never late. What was held before is
renewed too, and never given back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Thread
from time import monotonic
from typing import Any

from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.core.events import Landing
from gitcoord.core.leases import LeaseRef, held_by
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.records import Claim
from gitcoord.core.state import State
from gitcoord.core.term import is_over
from gitcoord.core.times import spell
from gitcoord.errors import BadInput, GitcoordError, NoSession, NotHeld

_TICK = 5.0  # seconds between two looks at the clocks: a machine that slept notices by then
_UNDER_WAY = 0.1  # the same while a renewal is under way: its answer may be that the lease is lost
_AGAIN = (2.0, 60.0)  # seconds, at least and at most, before a renewal that failed is tried again
_BY_ITSELF = frozenset({"released", "session_ended"})  # ends of a lease that its own session made


@dataclass(frozen=True)
class Kept:
    """A lease that is being kept. `before`: it was held before, so it isn't this keeper's to give back."""

    resource: Resource
    fence: int
    expires_at: datetime
    before: bool = False

    @property
    def entry(self) -> str:
        """Return the lease as events name it: `42 file:a`."""
        return str(LeaseRef(self.fence, self.resource))


@dataclass(frozen=True)
class Loss:
    """Leases that are held no more, and why in one line."""

    leases: tuple[Kept, ...]
    message: str


@dataclass(frozen=True)
class Farewell:
    """How it ended: what was given back, how far that got, what stood in the way, and who holds now what was lost."""

    released: tuple[Kept, ...] = ()
    state: Landing = "unchanged"
    error: GitcoordError | None = None
    holders: tuple[Claim, ...] = ()


class _Renewal(Thread):
    """One renewal in the background: `until` (the new end of each lease, by entry), or the error."""

    def __init__(self, renew: Callable[[], dict[str, datetime]]) -> None:
        super().__init__(name="renewal", daemon=True)
        self._renew = renew
        self.until: dict[str, datetime] = {}
        self.error: Exception | None = None

    def run(self) -> None:
        """Renews; whoever asks for the outcome deals with the error, a bug included."""
        try:
            self.until = self._renew()
        except Exception as error:
            self.error = error


class Keeper:
    """Keeps leases for one caller. `clock` is monotonic, in seconds; the time of day is the coordinator's."""

    def __init__(self, coordinator: Coordinator, clock: Callable[[], float] = monotonic) -> None:
        self.coordinator = coordinator
        self.kept: tuple[Kept, ...] = ()
        self.lost: tuple[Kept, ...] = ()
        self._clock = clock
        self._ends: dict[str, float] = {}  # by entry: when the lease ends by the monotonic clock
        self._due = (datetime.max, 0.0)  # when to renew, by each clock
        self._renewal: _Renewal | None = None
        self._why = ""  # why the last renewal failed

    def take(self, resources: Sequence[Resource], **asked: Any) -> tuple[Kept, ...]:
        """Acquire all of them, or raise what `acquire` raises. What the session holds already goes on under its fence.

        Raises BadInput where the session holds one in the other mode: that lease would be replaced, and gone after the run.
        """
        self.coordinator.sessions.ensure()
        mode = asked.get("mode", "exclusive")
        for one in self._own():
            if one.resource in resources and one.mode != mode and not is_over(one, self.coordinator.now()):
                raise BadInput(
                    f"you hold {one.resource} already, {one.mode} (fence {one.fence}), and ask for it {mode}",
                    hint="gitcoord claims --mine",
                )
        given = self.coordinator.claims.acquire(resources, **asked)
        by_name = {one.resource: one for one in given.claims}
        # A lease that this very event granted has the event's seq for its fence, and an offer was taken up by it; any other
        # was held before.
        self.kept = tuple(
            Kept(
                one.resource, one.fence, one.expires_at, before=one.fence != given.receipt.seq and one.entry not in given.collected
            )
            for one in (by_name[name] for name in dict.fromkeys(resources) if name in by_name)
        )
        self._mark({})
        return self.kept

    def _own(self) -> list[Claim]:
        """Return the session's leases as this clone knows them; none where it knows nothing yet: the claim itself will find out."""
        return held_by(self.coordinator.log.view().state, self.coordinator.actor.session)

    # --- keeping -----------------------------------------------------------------------------------------------------

    def hold(self, wait: Callable[[float], bool], lost: Callable[[Loss], None], told: Callable[[str], None]) -> None:
        """Keep the leases until `wait(seconds)`, called again and again, says that it is over.

        `lost` hears of each loss before anything is waited for again; `told` gets warnings. Renewals run in a thread of their
        own, so that a remote that hangs holds up neither the look at the clocks nor `wait`.
        """
        over = False
        while True:
            for loss in self.look(told):
                lost(loss)
            if over:
                return
            if self.kept and self._renewal is None and self._is_due():
                self._renewal = _Renewal(self._renew)
                self._renewal.start()
            over = wait(self._pause())

    def look(self, told: Callable[[str], None]) -> list[Loss]:
        """Return what is lost by now: by the answer of a renewal, or by the clocks."""
        return [loss for loss in (self._answer(told), self._ended()) if loss is not None]

    def left(self) -> float:
        """Return the seconds until the first of the leases ends, by the clock that gets there first; 0 when none is held."""
        return max(0.0, min((self._left(one) for one in self.kept), default=0.0))

    def settle(self) -> None:
        """Wait for the renewal that is under way: at most as long as a command may take."""
        if self._renewal is not None:
            self._renewal.join()

    def _pause(self) -> float:
        if not self.kept:
            return _TICK
        if self._renewal is not None:
            return _UNDER_WAY
        due = min((self._due[0] - self.coordinator.now()).total_seconds(), self._due[1] - self._clock())
        return max(0.0, min(_TICK, due, *(self._left(one) for one in self.kept)))

    def _left(self, one: Kept) -> float:
        """Seconds until its end, by the clock that gets there first."""
        return min((one.expires_at - self.coordinator.now()).total_seconds(), self._ends[one.entry] - self._clock())

    def _is_due(self) -> bool:
        return self.coordinator.now() >= self._due[0] or self._clock() >= self._due[1]

    def _mark(self, until: dict[str, datetime]) -> None:
        """Notes when the leases end. They are due when a third of the shortest time is over."""
        for one in self.kept:
            ends = until.get(one.entry, one.expires_at)
            # One that didn't move ends when it did before, whatever the wall clock was set to meanwhile.
            if one.entry not in self._ends or ends > one.expires_at:
                self._ends[one.entry] = self._clock() + (ends - self.coordinator.now()).total_seconds()
        self.kept = tuple(replace(one, expires_at=max(until.get(one.entry, one.expires_at), one.expires_at)) for one in self.kept)
        self._later(min((self._left(one) for one in self.kept), default=0.0) / 3)

    def _later(self, seconds: float) -> None:
        self._due = (self.coordinator.now() + timedelta(seconds=seconds), self._clock() + seconds)

    def _renew(self) -> dict[str, datetime]:
        self.coordinator.sessions.act_as_newest_run()
        given = self.coordinator.claims.renew([one.resource for one in self.kept], again=False)
        return {one.entry: one.expires_at for one in given.claims}

    def _answer(self, told: Callable[[str], None]) -> Loss | None:
        """Return what was lost by the renewal, if it is done."""
        work = self._renewal
        if work is None or work.is_alive():
            return None
        self._renewal = None
        for warning in self.coordinator.notices:
            told(f"warning: {warning}")
        self.coordinator.notices.clear()
        if isinstance(work.error, NotHeld | NoSession):
            now = self.coordinator.now()
            mine = {one.entry for one in self._own() if not is_over(one, now)}
            gone = [one for one in self.kept if one.entry not in mine] or list(self.kept)
            self._forget(gone)  # it is told here, and need not be told again by the next look
            return self._lose(gone, work.error.message)
        if isinstance(work.error, GitcoordError):
            left = min((self._left(one) for one in self.kept), default=0.0)
            if work.error.message != self._why:
                told(f"warning: not renewed, and tried again until it ends: {work.error.message}")
            self._why = work.error.message
            self._later(min(max(left / 20, _AGAIN[0]), _AGAIN[1]))
            return None
        if work.error is not None:
            raise work.error
        if self._why:
            told("renewed again")
        self._why = ""
        gone = [one for one in self.kept if one.entry not in work.until]
        self._mark(work.until)
        return self._lose(gone, "it was lost in between, and claimed anew by another command of yours") if gone else None

    def _ended(self) -> Loss | None:
        over = [one for one in self.kept if self._left(one) <= 0]
        if not over:
            return None
        failed = f" and could not be renewed: {self._why}" if self._why else " without being renewed"
        return self._lose(over, f"it ended {spell(over[0].expires_at)}{failed}")

    def _lose(self, gone: Sequence[Kept], why: str) -> Loss:
        self.lost += tuple(gone)
        self.kept = tuple(one for one in self.kept if one not in gone)
        what = ", ".join(f"{one.resource} (fence {one.fence})" for one in gone)
        return Loss(tuple(gone), f"you no longer hold {what}: {why}")

    def _forget(self, gone: Sequence[Kept]) -> None:
        names = {one.entry for one in gone}
        session = self.coordinator.actor.session
        self.coordinator.parts.identity.drop(session, names)

    # --- the end -----------------------------------------------------------------------------------------------------

    def finish(self, lost: Callable[[Loss], None], told: Callable[[str], None]) -> Farewell:
        """Gives back what this keeper was granted and still is the session's; `lost` hears what turns out to be gone only now.

        Once something is lost, the branch is looked at before anything is written: what another holds by then is not touched.
        What can't be given back now is queued, or ends by itself.
        """
        self.settle()
        for loss in self.look(told):
            lost(loss)
        self.coordinator.sessions.act_as_newest_run()
        seen = set(self.coordinator.parts.identity.held(self.coordinator.actor.session))
        look = self.lost or any(one.before or one.entry not in seen for one in self.kept)
        held = self._held_now() if look else {one.entry for one in self.kept}
        mine = [one for one in (*self.kept, *self.lost) if not one.before and one.entry in held]
        gone = [one for one in self.kept if one.entry not in held]
        farewell = self._give_back(mine)
        if farewell.state == "committed":
            gone += [one for one in mine if one in self.kept and one not in farewell.released]
        taken = [one for one in gone if self.coordinator.branch.how_it_ended(one.resource, one.fence) not in _BY_ITSELF]
        if taken:
            lost(self._lose(taken, "it was taken while the command ran"))
        return replace(farewell, holders=self._holders())

    def _held_now(self) -> set[str]:
        """Return what the session holds by a look at the branch, or, where that isn't possible, by the last one."""
        try:
            state = self.coordinator.branch.view().state
        except GitcoordError:
            state = self.coordinator.log.view().state
        return {one.entry for one in held_by(state, self.coordinator.actor.session)}

    def _give_back(self, mine: Sequence[Kept]) -> Farewell:
        if not mine:
            return Farewell()
        try:
            receipt, freed = self.coordinator.claims.give_back([one.entry for one in mine])
        except GitcoordError as error:
            return Farewell(error=error)
        done = mine if receipt.state == "queued" else [one for one in mine if one.entry in freed]
        return Farewell(tuple(done), receipt.state)

    def _holders(self) -> tuple[Claim, ...]:
        if not self.lost:
            return ()
        state: State = self.coordinator.log.view().state
        return tuple(
            one
            for one in state.claims.values()
            if one.claimed_by != self.coordinator.actor.session and any(overlaps(one.resource, gone.resource) for gone in self.lost)
        )
