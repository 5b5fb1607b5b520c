"""Handoffs, as a session uses them: offer work, look at what is offered, take it, take a silent session's place, end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.commands import Commands, granted, without_code, words_of
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.coordinator.sessions import Sessions
from gitcoord.core import handoffs, handover, leases, names
from gitcoord.core.events import Receipt
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.records import Claim, Handoff
from gitcoord.core.state import State
from gitcoord.errors import BadInput, NotHeld


@dataclass(frozen=True)
class Offer:
    """An open or taken handoff as the caller sees it: whether it could take it, and whether it made it."""

    handoff: Handoff
    for_me: bool
    mine: bool


@dataclass(frozen=True)
class Taken:
    """What a take gave: the receipt, the handoff, the leases, and of what it names the leases of others that are in the way."""

    receipt: Receipt
    handoff: Handoff
    claims: tuple[Claim, ...] = ()
    missed: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Handoffs:
    """The caller's handoffs."""

    parts: Parts
    acting: Acting
    notices: Notices
    branch: Branch
    commands: Commands
    sessions: Sessions

    def offer(
        self, to: str, *, resources: Sequence[Resource] | None = None, op: str = "", **said: str | None
    ) -> tuple[Receipt, tuple[str, ...]]:
        """Offer work; return the receipt, and the leases (`42 file:a`) that go along. Raises NotHeld for one that the session
        doesn't hold, NoSession for a receiver that nobody knows.

        - `resources`: which leases go along; None: all of the session's.
        - `op`: the caller's own id for the offer.
        - `said`: the words that go along: `done`, `next`, `blockers`, `tests`, `notes`, `branch`, `commit`.
        """  # fmt: skip
        self.sessions.ensure()
        to = handoffs.parse_receiver(to)
        given = words_of(said)
        typed = {**without_code(given), "to": to, "resources": None if resources is None else sorted(map(str, resources))}
        if (done := self.commands.earlier(handover.OfferHandoff, self.acting.actor, op, typed)) is not None:
            return done[0], done[1].leases if isinstance(done[1], handover.HandoffOffered) else ()
        entries: tuple[str, ...] | None = None
        if resources is not None:
            entries = tuple(f"0 {resource}" for resource in dict.fromkeys(resources))
            self._check_own(resources)
        known = [] if entries == () else self._known_leases()
        if not known and not entries and not any(given.get(key) for key in ("done", "next", "blockers", "notes")):
            raise BadInput("a handoff needs words, or claims to go along", hint='gitcoord handoff anyone --next "what comes next"')
        self.branch.check_receiver(to)
        receipt, event = self.commands.submit(
            handover.OfferHandoff, self.sessions.current(handover.OfferHandoff), op=op, typed=typed, to=to, leases=entries, **given
        )
        if event is not None and event.lapsed:
            self.notices.add(f"this handoff has no effect: {event.lapsed}")
        if receipt.state == "queued":
            return receipt, tuple(known) if entries is None else entries
        going = event.leases if isinstance(event, handover.HandoffOffered) else ()
        if entries is None and len(known) > leases.AT_ONCE:
            self.notices.add(f"{leases.AT_ONCE} claims go along, the others don't: hand them over by a second handoff")
        return receipt, going

    def _known_leases(self) -> list[str]:
        """Return what the session holds, as far as this work tree or else this clone knows."""
        noted = self.parts.identity.held(self.acting.session)
        return noted or [one.entry for one in leases.held_by(self.branch.view(fresh=False).state, self.acting.session)]

    def _check_own(self, resources: Sequence[Resource]) -> None:
        own = leases.held_by(self.branch.view().state, self.acting.session)
        for resource in resources:
            if not any(one.resource == resource and one.offered_until is None for one in own):
                raise NotHeld(f"{self.acting.session} doesn't hold {resource}, so it can't go along", hint="gitcoord claims --mine")

    def listed(self, *, everything: bool = False) -> list[Offer]:
        """Return the open handoffs, those that the session could take at the front. `everything`: then the taken ones."""
        return _offers(self.branch.view().state, self.acting.session, everything=everything)

    def offered(self) -> list[Handoff]:
        """Return the open handoffs that the session could take, by the view that was read last."""
        return handoffs.open_for(self.branch.view(fresh=False).state, self.acting.session)

    def ready(self, overlapping: Resource | None = None, *, state: State | None = None) -> list[Handoff]:
        """Return the open handoffs, the oldest first: of that state, or by the view that was read last."""
        state = state or self.branch.last_view().state
        return sorted(
            (
                one
                for one in state.handoffs.values()
                if one.status == "open"
                and (overlapping is None or any(overlaps(Resource.read(name), overlapping) for name in one.resources))
            ),
            key=lambda one: one.seq,
        )

    def take(self, named: str | None, *, op: str = "") -> Taken:
        """Take a handoff, by its id or seq (None: the only one for the session). Raises Held if another was first, or if it is for
        another session.

        - `op`: the caller's own id for the taking.
        """
        self.sessions.ensure()
        typed = {"handoff": named or ""}
        receipt, event = self.commands.earlier(handover.TakeHandoff, self.acting.actor, op, typed) or self.commands.submit(
            handover.TakeHandoff,
            self.sessions.current(handover.TakeHandoff),
            op=op,
            typed=typed,
            handoff=names.parse_id(named) if named else self._only(),
        )
        state = self.branch.state_at(receipt.seq)
        given = event.handoff if isinstance(event, handover.HandoffTaken) else named or ""
        offer = handoffs.find(state, given)
        if offer is None:
            raise BadInput(f"there is no handoff {names.show(given, 60)}", hint="gitcoord handoffs --all")
        claims = granted(event)
        if event is None:  # it was taken before, by the caller
            claims = tuple(one for one in leases.held_by(state, self.acting.session) if str(one.resource) in offer.resources)
        missed: dict[Any, Claim] = {}
        for resource in map(names.resource_of, offer.resources):
            if not any(lease.resource == resource for lease in leases.held_by(state, self.acting.session)):
                missed |= {one.key: one for one in leases.in_the_way(state, resource, "exclusive", self.acting.session)}
        return Taken(receipt, offer, claims, tuple(missed.values()))

    def _only(self) -> str:
        found = handoffs.open_for(self.branch.view().state, self.acting.session)
        if not found:
            raise BadInput("no handoff is open for you", hint="gitcoord handoffs")
        if len(found) > 1:
            listed = "; ".join(f"#{one.seq} of {one.sender}: {names.show(one.about, 60)}" for one in found[:5])
            raise BadInput(f"{len(found)} handoffs are open: {listed}", hint=f"gitcoord take {found[0].seq}")
        return found[0].id


def _offers(state: State, me: str, *, everything: bool) -> list[Offer]:
    ready = handoffs.open_for(state, me)
    others = sorted((one for one in state.handoffs.values() if one.status == "open" and one not in ready), key=lambda one: one.seq)
    over = sorted((one for one in state.handoffs.values() if one.status != "open"), key=lambda one: -one.seq)
    every = [*ready, *others, *(over if everything else [])]
    return [Offer(one, one in ready, one.sender == me) for one in every]
