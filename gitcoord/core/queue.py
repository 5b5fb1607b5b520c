"""Waiting: a place in line, and who is next.

A place belongs to the session and outlives whoever asks for it: agents' shells cut long commands. Whoever frees something
grants every waiter that now fits, in the order of the line and in the same commit, as an *offer*: a short lease that its
first renewal makes a full one. Uncollected it passes on, since its place is gone with the offer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from gitcoord.core import entries, leases
from gitcoord.core.events import Event
from gitcoord.core.leases import TakenEntry, TakenLease
from gitcoord.core.names import Resource, is_session_name, show
from gitcoord.core.records import Claim, Count, Line, Mode, ResourceText, Text, Ticket
from gitcoord.core.times import Instant, spell
from gitcoord.core.values import read_whole
from gitcoord.errors import NotInTime

if TYPE_CHECKING:
    from gitcoord.core.records import SharedSettings
    from gitcoord.core.state import Draft, State

PLACES = 16  # places that one session may have: more is a program gone wrong
OFFER = timedelta(minutes=2)
"""How long an offer lasts uncollected (protocol, section 7)."""
OUTLIVES = timedelta(minutes=10)
"""How long a place outlives its poller at least (protocol, section 7)."""
STRETCH = timedelta(minutes=10)
"""For how long ahead somebody who goes on asking keeps a place: that often it costs a commit."""


GrantedEntry = Annotated[str, Field(max_length=1024), entries.entry(lambda value: split_granted(value))]
"""`57 session-003 file:a`: the place that is served, whose it is, and what is offered."""


class ClaimQueued(Event):
    """A session stands in line, or (`place`: the seq of its place) goes on standing there."""

    kind: ClassVar[str] = "claim.queued"
    text: ClassVar[str] = "reason"
    trailers: ClassVar[dict[str, str]] = {
        "resources": "Resource", "ttl_seconds": "Ttl", "estimated_duration": "Estimate", "allow_coordination": "Coordination",
    }  # fmt: skip

    place: Count = 0
    resources: Annotated[tuple[ResourceText, ...], Field(min_length=1, max_length=leases.AT_ONCE)]
    mode: Mode = "exclusive"
    any_of: bool = False
    until: Instant
    ttl_seconds: Count
    phase: Line | None = None
    reason: Text | None = None
    estimated_duration: Line | None = None
    allow_coordination: bool = True
    folds: bool = False

    def headline(self) -> str:
        """The commit's subject."""
        what = " ".join(self.resources[0].split(":", 1))
        more = f" and {len(self.resources) - 1} more" if len(self.resources) > 1 else ""
        return f"wait: {self.session} {'goes on waiting' if self.place else 'waits'} for {what}{more}"

    def evolve(self, draft: Draft) -> None:
        """The place appears at the end of the line, or lasts longer."""
        if self.folds:
            draft.fold()
        old = draft.waiting().get(self.place)
        if old is not None:
            draft.put("waiting", old.seq, old.model_copy(update={"until": self.until, "run_id": self.run_id}))
        elif not self.place:
            for seq, late in draft.waiting().items():  # a place that ran out is not gone back to
                if late.session_id == self.session and set(late.resources) == set(self.resources):
                    draft.put("waiting", seq, None)
            place = Ticket(
                id=self.id, seq=self.seq, session_id=self.session, run_id=self.run_id, resources=self.resources, mode=self.mode,
                until=self.until, since=self.at, any_of=self.any_of, ttl_seconds=self.ttl_seconds, phase=self.phase,
                reason=self.reason, estimated_duration=self.estimated_duration, allow_coordination=self.allow_coordination,
            )  # fmt: skip
            draft.put("waiting", place.seq, place)
        show_waiting(draft, self.session)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """A new place, or one's own."""
        if self.until > committed_at + STRETCH + OUTLIVES + state.rules.grace:
            return "no place is kept as long as that"
        if not 300 <= self.ttl_seconds <= state.rules.settings.max_ttl:
            return "the lease is not as long as the branch allows"
        old = state.waiting.get(self.place)
        if self.place and (old is None or old.session_id != self.session):
            return f"{self.session} has no place {self.place} in line"
        return None


class LinePassed(Event):
    """Expired leases went out of the way of those who wait, though none of them did it: `granted` says who is next."""

    kind: ClassVar[str] = "claim.passed"

    taken: Annotated[tuple[TakenEntry, ...], Field(min_length=1, max_length=leases.AT_ONCE)]

    def headline(self) -> str:
        """The commit's subject."""
        fence, holder, _, resource = TakenLease.parse(self.taken[0])
        return f"pass on: {resource.type} {resource.name}, expired under {holder} (fence {fence})"

    def evolve(self, draft: Draft) -> None:
        """The expired leases go."""
        for entry in self.taken:
            fence, holder, _, resource = TakenLease.parse(entry)
            leases.drop(draft, holder, fence, resource)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Only what is over goes."""
        for entry in self.taken:
            fence, holder, why, resource = TakenLease.parse(entry)
            lease = leases.find(state.claims.get, holder, fence, resource)
            if lease is None or why != "expired" or not leases.may_take(state, lease, why, committed_at):
                return f"the lease of {holder} on {resource} is not over"
        return None


# --- the line --------------------------------------------------------------------------------------------------------


def split_granted(entry: str) -> tuple[int, str, Resource]:
    """Place, session and resource of an entry of `granted`. Raises ValueError."""
    place, session, resource = leases.split(entry, 3)
    if not is_session_name(session):
        raise ValueError("not a place, a session and a resource")
    return read_whole(place), session, Resource.read(resource)


def line(state: State, now: datetime) -> list[Ticket]:
    """Who waits, in order; those whose place is over and those who have ended don't count."""
    return [
        place
        for _, place in sorted(state.waiting.items())
        if place.until > now and (known := state.sessions.get(place.session_id)) is not None and known.live
    ]


def comes_before(settings: SharedSettings, place: Ticket, wanted: Iterable[Resource], mode: Mode) -> bool:
    """Whether who wants that has to let the place go first."""
    return any(
        leases.can_meet(settings, one, leases.mode_of(settings, one, place.mode), other, leases.mode_of(settings, other, mode))
        for one in place.wanted
        for other in wanted
    )


def ahead(state: State, resource: Resource, mode: Mode, session: str, now: datetime, seq: int | None = None) -> list[Ticket]:
    """The places of others before `seq` (None: all there are) that come first for that resource."""
    settings = state.rules.settings
    return [
        place
        for place in line(state, now)
        if place.session_id != session and (seq is None or place.seq < seq) and comes_before(settings, place, [resource], mode)
    ]


def place_of(state: State, session: str, wanted: Sequence[Resource], mode: Mode, now: datetime, *, any_of: bool) -> Ticket | None:
    """The session's place for exactly that, or None."""
    for place in line(state, now):
        if place.session_id == session and set(place.wanted) == set(wanted) and (place.mode, place.any_of) == (mode, any_of):
            return place
    return None


def number(state: State, place: Ticket, now: datetime) -> int:
    """Which in line it is: 1 is next."""
    settings = state.rules.settings
    before = [
        one
        for one in line(state, now)
        if one.seq < place.seq and one.session_id != place.session_id and comes_before(settings, one, place.wanted, place.mode)
    ]
    return len(before) + 1


def options(place: Ticket) -> Iterator[tuple[Resource, ...]]:
    """The ways to serve a place, each a list of what it takes together: all of it at once, or one of several."""
    if place.any_of:
        yield from ((one,) for one in place.wanted)
    else:
        yield place.wanted


def _has(state: State, place: Ticket, resource: Resource, now: datetime) -> bool:
    """Whether the session has that already, at least as good as it waits for it."""
    return any(
        lease.resource == resource
        and not leases.is_over(lease, now)
        and leases.serves(state.rules.settings, lease.mode, resource, place.mode)
        for lease in leases.held_by(state, place.session_id)
    )


def fitting(state: State, now: datetime) -> tuple[GrantedEntry, ...]:
    """Whom the line serves on that state: every waiter, in order, whom no lease and nobody before keeps from it."""
    if not state.waiting:
        return ()
    settings = state.rules.settings
    held: list[Claim] = list(state.claims.values())
    unserved: list[Ticket] = []
    served: list[str] = []
    for place in line(state, now):
        for option in options(place):
            others = (one for one in unserved if one.session_id != place.session_id)
            first = [one for one in others if comes_before(settings, one, option, place.mode)]
            # What the session has of it already it keeps as it is: an offer would be a worse lease.
            lacking = [one for one in option if not _has(state, place, one, now)]
            stuck = [one for one in lacking if leases.blocking(settings, held, one, place.mode, place.session_id)]
            if not first and not stuck and len(served) + len(lacking) <= leases.AT_ONCE:
                served += [f"{place.seq} {place.session_id} {one}" for one in lacking]
                held += [_offer(settings, place, one, fence=0, at=now) for one in lacking]
                break
        else:
            unserved.append(place)
    return tuple(served)


def grant(draft: Draft, granted: Iterable[str], *, fence: int, at: datetime) -> None:
    """Gives the offers and takes their places out of the line. `at`: the commit's date."""
    places = draft.waiting()
    for entry in granted:
        seq, session, resource = split_granted(entry)
        place = places.get(seq)
        known = draft.session(session)
        if place is None or place.session_id != session or known is None or not known.live:
            continue
        leases.drop_own(draft, session, resource)
        lease = _offer(draft.rules, place, resource, fence=fence, at=at)
        draft.put("claims", lease.key, lease)
        draft.put("waiting", seq, None)
        show_waiting(draft, session)


def _offer(settings: SharedSettings, place: Ticket, resource: Resource, *, fence: int, at: datetime) -> Claim:
    return Claim(
        claimed_by=place.session_id, run_id=place.run_id, claimed_at=at, resource_type=resource.type, resource_name=resource.name,
        repo=resource.repo, mode=leases.mode_of(settings, resource, place.mode), phase=place.phase, reason=place.reason,
        estimated_duration=place.estimated_duration, ttl_seconds=place.ttl_seconds, renewed_at=at, expires_at=at + OFFER,
        fence=fence, offered_until=at + OFFER, allow_coordination=place.allow_coordination,
    )  # fmt: skip


def grant_problem(after: State, granted: Sequence[str], committed_at: datetime) -> str | None:
    """Why these can't be the offers of a commit, or None. `after`: the state that the rest of its event makes.

    Offers go in the order of the line: nobody is passed by who stands before and fits.
    """
    due = fitting(after, committed_at)
    wrong = [entry for entry in granted if entry not in due]
    return f"{wrong[0]} is not next in line" if wrong else None


def describe(place: Ticket) -> dict[str, Any]:
    """Who comes first, as `blocked_by` has it."""
    first = place.wanted[0]
    return {
        "resource_type": first.type, "resource_name": first.name, "repo": first.repo, "claimed_by": place.session_id, "fence": 0,
        "expires_at": spell(place.until), "mode": place.mode, "phase": place.phase, "why": place.reason,
        "reason": "waits, and comes first", "last_heard": None,
        "doing": None,
    }  # fmt: skip


def leave(draft: Draft, session: str, wanted: Iterable[Resource]) -> None:
    """Gives up the session's places for any of these."""
    names = set(wanted)
    for seq, place in draft.waiting().items():
        if place.session_id == session and names & set(place.wanted):
            draft.put("waiting", seq, None)
    show_waiting(draft, session)


def served(draft: Draft, session: str, held: Iterable[Resource]) -> None:
    """Takes the session's places out of the line that these leases serve. A shared one serves nobody who waits to be alone."""
    names = set(held)
    modes: tuple[Mode, ...] = ("exclusive", "shared")
    waiting = draft.waiting()
    has = {(lease.resource, lease.mode) for lease in draft.claims().values() if lease.claimed_by == session} if waiting else set()
    for seq, place in waiting.items():
        wanted = set(place.wanted)
        good = (
            one
            for one in wanted & names
            for mode in modes
            if (one, mode) in has and leases.serves(draft.rules, mode, one, place.mode)
        )
        got = set(good)
        if place.session_id == session and (got if place.any_of else got == wanted):
            draft.put("waiting", seq, None)
    show_waiting(draft, session)


def show_waiting(draft: Draft, session: str) -> None:
    """Makes the session's record say whether it waits for a claim."""
    known = draft.session(session)
    if known is None or not known.live:
        return
    waits = any(place.session_id == session for place in draft.waiting().values())
    update: dict[str, Any] | None = None
    if waits and known.status != "waiting":
        update = {"status": "waiting", "waiting_for": "claim"}
    elif not waits and (known.status, known.waiting_for) == ("waiting", "claim"):
        update = {"status": "active", "waiting_for": None}
    if update:
        draft.put("sessions", session, known.model_copy(update=update))


# --- telling ---------------------------------------------------------------------------------------------------------


def in_front(state: State, place: Ticket, now: datetime) -> tuple[list[Claim], list[Ticket]]:
    """What keeps the place from being served: leases of others, and places before it."""
    settings = state.rules.settings
    held = [
        lease
        for one in place.wanted
        for lease in leases.blocking(settings, state.claims.values(), one, place.mode, place.session_id)
    ]
    first = [one for resource in place.wanted for one in ahead(state, resource, place.mode, place.session_id, now, place.seq)]
    return list({lease.key: lease for lease in held}.values()), list({one.seq: one for one in first}.values())


def tell(state: State, session: str, wanted: Sequence[Resource], mode: Mode, now: datetime, *, any_of: bool) -> str:
    """What the session waits for, for people; nothing once it has no place."""
    place = place_of(state, session, wanted, mode, now, any_of=any_of)
    if place is None:
        return ""
    held, _ = in_front(state, place, now)
    by = "; ".join(leases.words(state, lease, now) for lease in held[:3])
    return f"waiting, number {number(state, place, now)} in line" + (f": {by}" if by else "")


def still(state: State, session: str, wanted: Sequence[Resource], mode: Mode, now: datetime, *, any_of: bool) -> NotInTime:
    """What who gave up asking is told: the place, how long it stays, and who is in front."""
    place = place_of(state, session, wanted, mode, now, any_of=any_of)
    what = ", ".join(show(str(one), 60) for one in wanted[:3])
    data: dict[str, Any] = {"outcome": "waiting", "place": None, "blocked_by": []}
    if place is None:
        return NotInTime(f"{what} was not free in time", hint="run the same command again", data=data)
    held, first = in_front(state, place, now)
    spot = number(state, place, now)
    data |= {"place": spot, "blocked_by": [leases.describe(state, one, now) for one in held] + [describe(one) for one in first]}
    return NotInTime(
        f"{tell(state, session, wanted, mode, now, any_of=any_of)}; the place is kept until {spell(place.until)}",
        hint="run the same command again to go on waiting",
        data=data,
    )
