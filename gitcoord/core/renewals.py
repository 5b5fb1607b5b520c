"""Renewing: a holder keeps what it holds for longer, under the same fence; an offer is taken up by it.

A lease that is over is no lease: it can't be renewed. If nobody took it or waits for it, its holder may take it again, under a new
fence: by `renew`, or by any heartbeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from gitcoord.core import clocks, leases, names, queue, requests
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.leases import LeaseEntry, RenewalEntry, RenewedLease, held_by
from gitcoord.core.names import Resource
from gitcoord.core.records import Claim, ResourceText
from gitcoord.core.sessions import acting
from gitcoord.core.times import spell
from gitcoord.errors import NotHeld

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State


class RenewClaims(Command):
    """Asks to hold on to leases; no resources: all of the session's."""

    kind: ClassVar[str] = "claim.renew"

    resources: Annotated[tuple[ResourceText, ...], Field(max_length=leases.AT_ONCE)] = ()
    ttl_seconds: int | None = None
    again: bool = True
    """Whether what is over by now may be taken again, under a new fence."""


Regained = Annotated[tuple[RenewalEntry, ...], Field(max_length=leases.AT_ONCE)]
"""Leases that were over and that their session holds again, under the event's own fence: `<old fence> <new end> <type>:<name>`."""


class ClaimRenewed(Event):
    """Leases go on, under their fences; those that were over begin anew, under this event's."""

    kind: ClassVar[str] = "claim.renewed"

    collected: tuple[LeaseEntry, ...] = ()
    regained: Regained = ()

    @property
    def makes(self) -> bool:
        """Nothing under its own id."""
        return False

    def headline(self) -> str:
        """The commit's subject."""
        entries = (*self.renewed, *self.regained)
        if not entries:
            return f"renew: nothing, by {self.session}"
        fence, until, resource = RenewedLease.parse(entries[0])
        more = f" and {len(entries) - 1} more" if len(entries) > 1 else ""
        verb, what = "collect" if self.collected else "renew", f"{resource.type} {resource.name}{more}"
        if self.regained:
            verb, fence = "again", fence if self.renewed else self.seq
        return f"{verb}: {what} by {self.session} until {until:%H:%M} UTC (fence {fence})"

    def evolve(self, draft: Draft) -> None:
        """What is renewed serves whoever waited for it; what was over begins anew."""
        queue.served(draft, self.session, (RenewedLease.parse(entry).resource for entry in self.renewed))
        regain(draft, self, self.regained)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Own leases only; what was over is free."""
        if not self.renewed and not self.regained:
            return "it renews nothing"
        return regain_problem(state, self.session, self.regained, committed_at)


def regain(draft: Draft, event: Event, regained: Sequence[str]) -> None:
    """The session's leases that were over begin anew, under the event's fence; all else that is said of them stays."""
    if not regained:
        return
    for entry in regained:
        fence, until, resource = RenewedLease.parse(entry)
        lease = leases.find(draft.claim, event.session, fence, resource)
        if lease is not None:
            update = {"fence": event.seq, "run_id": event.run_id or lease.run_id, "renewed_at": event.at, "expires_at": until}
            draft.put("claims", lease.key, lease.model_copy(update={**update, "claimed_at": event.at}))
    queue.served(draft, event.session, (RenewedLease.parse(entry).resource for entry in regained))


def regain_problem(state: State, session: str, regained: Sequence[str], committed_at: datetime) -> str | None:
    """Why the session can't take these again, or None: each is its own, over by the commit's date, and free."""
    if not regained:
        return None
    latest = leases.longest(state, committed_at)
    for entry in regained:
        fence, until, resource = RenewedLease.parse(entry)
        lease = leases.find(state.claims.get, session, fence, resource)
        if lease is None:
            return f"{session} didn't hold {resource} with fence {fence}"
        if not leases.is_over(lease, committed_at):
            return f"the lease on {resource} is not over"
        if not committed_at < until <= latest:
            return f"the lease on {resource} would not be as long as the branch allows"
        if not _is_free(state, lease, committed_at):
            return f"{resource} is not free"
    return None


def _is_free(state: State, lease: Claim, now: datetime) -> bool:
    """Return True if nobody holds or waits for what that lease, which is over, was on. A mere offer that ran out is the line's."""
    if lease.offered_until is not None:
        return False
    held = leases.blocking(state.rules.settings, state.claims.values(), lease.resource, lease.mode, lease.claimed_by)
    return not held and not queue.ahead(state, lease.resource, lease.mode, lease.claimed_by, now)


def may_regain(state: State, lease: Claim, now: datetime) -> bool:
    """Return True if its holder may take that lease again, which is over: it is free, and nobody has asked for it."""
    if not leases.is_over(lease, now) or not _is_free(state.folding(), lease, now):
        return False
    asked = (one for one in state.messages.coming(state.seq, lease.claimed_by) if one.type == requests.REQUEST)
    return not any(one.status != "answered" and one.details.get("lease") == lease.entry for one in asked)


def regained_by(state: State, session: str, at: datetime, clock: Clock) -> tuple[str, ...]:
    """Return what a heartbeat that was said at `at` takes again, with the new ends."""
    now = clocks.date_of(state, clock)
    said = now - max(timedelta(0), clock.now - at)
    found = [one for one in held_by(state, session) if leases.is_over(one, now) and may_regain(state, one, now)]
    if found and clocks.doubt(state, clock):
        return ()  # a clock that is contradicted says only that its session is there
    ends = {one: said + timedelta(seconds=leases.lease_seconds(state, None, one)) for one in found}
    return tuple(f"{one.fence} {spell(until)} {one.resource}" for one, until in ends.items() if until > now)[: leases.AT_ONCE]


def decide_renew(state: State, command: RenewClaims, clock: Clock) -> Event | None:
    """Renews, and takes again what is over and free. Raises NotHeld for a lease that is another's, gone, or over for good."""
    acting(state, command)
    now = clocks.date_of(state, clock)
    own = held_by(state, command.session)
    if own:
        clocks.trust(state, clock)
    if command.resources:
        mine = []
        for text in command.resources:
            resource = Resource.read(text)
            found = [lease for lease in own if lease.resource == resource]
            if not found:
                raise _not_held(state, command.session, resource, now)
            mine += found
    else:
        mine = [lease for lease in own if lease.offered_until is None or not leases.is_over(lease, now)]
    over = [lease for lease in mine if leases.is_over(lease, now)]
    back = [lease for lease in over if command.again and may_regain(state, lease, now)]
    live = [lease for lease in mine if lease not in over]
    lost = [lease for lease in over if lease not in back]
    if lost and (command.resources or not (live or back)):
        raise _over(state, lost[0], now)
    if not mine:
        return None
    return ClaimRenewed(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at,
        renewed=tuple(leases.renewed_entry(state, lease, command.ttl_seconds, now) for lease in live),
        collected=tuple(lease.entry for lease in live if lease.offered_until is not None),
        regained=tuple(leases.renewed_entry(state, lease, command.ttl_seconds, now) for lease in back),
    )  # fmt: skip


def _over(state: State, lease: Claim, now: datetime) -> NotHeld:
    """That a lease is over, and why its holder doesn't get it again by this."""
    first = queue.ahead(state, lease.resource, lease.mode, lease.claimed_by, now)
    why = f"{first[0].session_id} waits for it" if first else "it can't be renewed"
    return NotHeld(
        f"your lease on {lease.resource} ended {spell(lease.expires_at)} (fence {lease.fence}); {why}",
        hint=f"gitcoord claim {names.word(str(lease.resource))}{' --wait' if first else ''}",
    )


def _not_held(state: State, session: str, resource: Resource, now: datetime) -> NotHeld:
    others = [lease for lease in state.claims.values() if lease.resource == resource]
    if others:
        holder = others[0]
        return NotHeld(
            f"{leases.words(state, holder, now)}, not by {session}",
            hint=f"gitcoord send {holder.claimed_by} {names.word('About ' + resource.name)}",
        )
    return NotHeld(f"{session} doesn't hold {resource}; nobody does", hint=f"gitcoord claim {names.word(str(resource))}")
