"""Renewing: a holder keeps what it holds for longer, under the same fence; an offer is taken up by it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from gitcoord.core import clocks, leases, names, waiting
from gitcoord.core.leases import LeaseEntry, RenewalEntry, held_by, split_renewal
from gitcoord.core.names import Resource
from gitcoord.core.records import Clock, Command, Event, ResourceText
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


class ClaimRenewed(Event):
    """Leases go on, under their fences."""

    kind: ClassVar[str] = "claim.renewed"

    renewed: Annotated[tuple[RenewalEntry, ...], Field(min_length=1)]
    collected: tuple[LeaseEntry, ...] = ()

    @property
    def makes(self) -> bool:
        """Nothing under its own id."""
        return False

    def headline(self) -> str:
        """The commit's subject."""
        fence, until, resource = split_renewal(self.renewed[0])
        more = f" and {len(self.renewed) - 1} more" if len(self.renewed) > 1 else ""
        verb, what = "collect" if self.collected else "renew", f"{resource.type} {resource.name}{more}"
        return f"{verb}: {what} by {self.session} until {until:%H:%M} UTC (fence {fence})"

    def evolve(self, draft: Draft) -> None:
        """The leases' expiry moves."""
        leases.apply_renewals(draft, self.session, self.renewed, self.at)
        waiting.served(draft, self.session, (split_renewal(entry)[2] for entry in self.renewed))

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Own live leases only."""
        return leases.renewal_problem(state, self.session, self.renewed, committed_at)


def decide_renew(state: State, command: RenewClaims, clock: Clock) -> tuple[Event, ...]:
    """Renews. Raises NotHeld for a lease that is another's, gone or expired."""
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
                raise _not_held(state, command.session, resource)
            mine += found
    else:
        mine = [lease for lease in own if lease.expires_at > now]
    for lease in mine:
        if lease.expires_at <= now:
            raise NotHeld(
                f"your lease on {lease.resource} expired {spell(lease.expires_at)} (fence {lease.fence}); it can't be renewed",
                hint=f"gitcoord claim {names.word(str(lease.resource))}",
            )
    if not mine:
        return ()
    renewed = tuple(leases.renewed_entry(state, lease, command.ttl_seconds, now) for lease in mine)
    collected = tuple(lease.entry for lease in mine if lease.offered_until is not None)
    return (
        ClaimRenewed(
            id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, renewed=renewed,
            collected=collected,
        ),
    )  # fmt: skip


def _not_held(state: State, session: str, resource: Resource) -> NotHeld:
    others = [lease for lease in state.claims.values() if lease.resource == resource]
    if others:
        holder = others[0]
        return NotHeld(
            f"{resource} is held by {holder.claimed_by} until {spell(holder.expires_at)} (fence {holder.fence}), not by {session}",
            hint=f"gitcoord send {holder.claimed_by} {names.word('About ' + resource.name)}",
        )
    return NotHeld(f"{session} doesn't hold {resource}; nobody does", hint=f"gitcoord claim {names.word(str(resource))}")
