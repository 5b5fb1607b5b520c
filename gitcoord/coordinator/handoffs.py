"""Handoffs, as a session uses them: offer work, look at what is offered, take it, take a silent session's place, end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitcoord.coordinator.commands import Asker, Receipt
from gitcoord.core import handoffs, handover, inbox, leases, names, sessions, succession
from gitcoord.core.events import Event
from gitcoord.core.names import Resource
from gitcoord.core.records import Claim, Handoff, Message
from gitcoord.core.state import State
from gitcoord.errors import BadInput, NoSession, NotHeld


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
class Superseded:
    """What taking a session's place gave: the receipt, the leases, its open handoffs (from it and to it), its open questions."""

    receipt: Receipt
    claims: tuple[Claim, ...]
    handoffs: tuple[Handoff, ...]
    questions: tuple[Message, ...]


@dataclass
class Handing(Asker):
    """One caller's handoffs."""

    def handoff(
        self, to: str, *, resources: Sequence[Resource] | None = None, op: str = "", **said: str | None
    ) -> tuple[Receipt, tuple[str, ...]]:
        """Offers work: the receipt, and the leases (`42 file:a`) that go along. `resources`: of which leases; None: all of the
        session's; `op`: the caller's own id for it. Raises NotHeld for one that it doesn't hold, NoSession for a receiver that
        nobody knows.
        """  # fmt: skip
        self.require_session()
        to = handoffs.parse_receiver(to)
        given = _words(said)
        typed = {**_without_code(given), "to": to, "resources": None if resources is None else sorted(map(str, resources))}
        if (done := self._earlier(handover.OfferHandoff, op, typed)) is not None:
            return done[0], done[1].leases if isinstance(done[1], handover.HandoffOffered) else ()
        entries: tuple[str, ...] | None = None
        if resources is not None:
            entries = tuple(f"0 {resource}" for resource in dict.fromkeys(resources))
            self._check_own(resources)
        known = [] if entries == () else self._known_leases()
        if not known and not entries and not any(given.get(key) for key in ("done", "next", "blockers", "notes")):
            raise BadInput("a handoff needs words, or claims to go along", hint='gitcoord handoff anyone --next "what comes next"')
        self._check_receiver(to)
        receipt, event = self._ask(handover.OfferHandoff, op=op, typed=typed, to=to, leases=entries, **given)
        if event is not None and event.lapsed:
            self.warnings.append(f"this handoff has no effect: {event.lapsed}")
        if receipt.state == "queued":
            return receipt, tuple(known) if entries is None else entries
        going = event.leases if isinstance(event, handover.HandoffOffered) else ()
        if entries is None and len(known) > leases.AT_ONCE:
            self.warnings.append(f"{leases.AT_ONCE} claims go along, the others don't: hand them over by a second handoff")
        return receipt, going

    def _known_leases(self) -> list[str]:
        """What the session holds, as far as this work tree or else this clone knows."""
        noted = self.identity.held(self.who.session)
        return noted or [one.entry for one in leases.held_by(self.view(fresh=False).state, self.who.session)]

    def _check_own(self, resources: Sequence[Resource]) -> None:
        own = leases.held_by(self.view().state, self.who.session)
        for resource in resources:
            if not any(one.resource == resource and one.offered_until is None for one in own):
                raise NotHeld(f"{self.who.session} doesn't hold {resource}, so it can't go along", hint="gitcoord claims --mine")

    def _check_receiver(self, to: str) -> None:
        """Makes sure that a session is known, as far as anybody can be asked: what is queued is refused to nobody's face."""
        if not names.is_session_name(to) or to in self.view(fresh=False).state.sessions:
            return
        if to not in self.view(fresh=True).state.sessions:
            raise NoSession(f"no session is called {to}", hint="gitcoord peers, or: gitcoord handoff anyone")

    def handoffs(self, *, everything: bool = False) -> list[Offer]:
        """The open handoffs, those that the caller should see first at the front; `everything`: then the taken ones."""
        return _offers(self.view().state, self.who.session, everything=everything)

    def offered(self) -> list[Handoff]:
        """The open handoffs that the caller could take, by the view that was read last."""
        return handoffs.open_for(self.view(fresh=False).state, self.who.session)

    def take(self, named: str | None, *, op: str = "") -> Taken:
        """Takes a handoff, by its id or seq (None: the only one for the caller). `op`: the caller's own id for it. Raises Held when
        another was first, or it is for somebody else.
        """
        self.require_session()
        typed = {"handoff": named or ""}
        receipt, event = self._earlier(handover.TakeHandoff, op, typed) or self._ask(
            handover.TakeHandoff, op=op, typed=typed, handoff=names.parse_id(named) if named else self._only()
        )
        state = self._state_at(receipt)
        given = event.handoff if isinstance(event, handover.HandoffTaken) else named or ""
        offer = handoffs.find(state, given)
        if offer is None:
            raise BadInput(f"there is no handoff {names.show(given, 60)}", hint="gitcoord handoffs --all")
        claims = self._granted(event)
        if event is None:  # it was taken before, by the caller
            claims = tuple(one for one in leases.held_by(state, self.who.session) if str(one.resource) in offer.resources)
        missed: dict[Any, Claim] = {}
        for resource in map(names.resource_of, offer.resources):
            if not any(lease.resource == resource for lease in leases.held_by(state, self.who.session)):
                missed |= {one.key: one for one in leases.in_the_way(state, resource, "exclusive", self.who.session)}
        return Taken(receipt, offer, claims, tuple(missed.values()))

    def _only(self) -> str:
        found = handoffs.open_for(self.view().state, self.who.session)
        if not found:
            raise BadInput("no handoff is open for you", hint="gitcoord handoffs")
        if len(found) > 1:
            listed = "; ".join(f"#{one.seq} of {one.sender}: {names.show(one.about, 60)}" for one in found[:5])
            raise BadInput(f"{len(found)} handoffs are open: {listed}", hint=f"gitcoord take {found[0].seq}")
        return found[0].id

    def take_place(self, previous: str, *, op: str = "") -> Superseded:
        """Takes the place of a silent session. `op`: the caller's own id for it. Raises Held while it counts as alive."""
        self.require_session()
        receipt, event = self._ask(succession.SupersedeSession, op=op, previous=names.parse_session(previous))
        state = self._state_at(receipt)
        open_ = [one for one in state.handoffs.values() if one.status == "open" and previous in (one.sender, one.to)]
        asked = inbox.open_questions(state.messages.coming(state.seq, previous), self.now())
        return Superseded(
            receipt,
            self._granted(event),
            tuple(sorted(open_, key=lambda one: one.seq)),
            tuple(sorted(asked, key=lambda one: one.seq)),
        )

    def end(self, done: Sequence[str], notes: str | None, *, to: str | None = None, op: str = "", **said: str | None) -> Receipt:
        """Releases all and ends the session. `to`: leaves a handoff for that session, group or anyone, in the same commit; `op`:
        the caller's own id for it.
        """
        self.require_session()
        given = _words(said)
        if to is not None:
            given["to"] = handoffs.parse_receiver(to)
            self._check_receiver(given["to"])
        receipt, event = self._ask(
            sessions.EndSession,
            op=op,
            typed={**_without_code(given), "done": list(done), "notes": notes},
            done=tuple(names.parse_line(one, "done") for one in done),
            notes=names.parse_text(notes, "notes") if notes else None,
            **given,
        )
        if event is not None and event.lapsed:
            self.warnings.append(f"this has no effect: {event.lapsed}")
        self.identity.forget(self.who.session)
        self.identity.unbind(self.who.session)
        return receipt

    def _state_at(self, receipt: Receipt) -> State:
        """The state at the receipt's event, or a later one: another clone of this machine may have sent it."""
        view = self.log.view()
        return (view if view.checked.seq >= receipt.seq and receipt.seq else self.log.refresh(self.seconds)).state

    def _granted(self, event: Event | None) -> tuple[Claim, ...]:
        """The leases that came with the event, read from what it says."""
        if not isinstance(event, handover.HandoffTaken | succession.SessionSuperseded) or event.expires_at is None:
            return ()
        return tuple(
            Claim(
                claimed_by=event.session, run_id=event.run_id, claimed_at=event.at, resource_type=resource.type,
                resource_name=resource.name, repo=resource.repo, ttl_seconds=event.ttl_seconds, renewed_at=event.at,
                expires_at=event.expires_at, fence=event.seq,
            )
            for resource in map(names.resource_of, event.resources)
        )  # fmt: skip


def _words(said: dict[str, str | None]) -> dict[str, Any]:
    """What was typed, as a command carries it."""
    found: dict[str, Any] = {}
    for key, value in said.items():
        if key in ("done", "next", "blockers"):
            found[key] = handoffs.parse_note(value, key)
        elif key == "notes":
            found[key] = names.parse_text(value, key) if value else None
        else:
            found[key] = names.parse_line(value, key) if value else None
    return found


def _without_code(given: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, but for where the code stands: that moves on between two runs of one command."""
    return {key: value for key, value in given.items() if key not in ("branch", "commit")}


def _offers(state: State, me: str, *, everything: bool) -> list[Offer]:
    ready = handoffs.open_for(state, me)
    others = sorted((one for one in state.handoffs.values() if one.status == "open" and one not in ready), key=lambda one: one.seq)
    over = sorted((one for one in state.handoffs.values() if one.status != "open"), key=lambda one: -one.seq)
    every = [*ready, *others, *(over if everything else [])]
    return [Offer(one, one in ready, one.sender == me) for one in every]
