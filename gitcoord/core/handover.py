"""Passing work on: offering a handoff, and taking one with the leases of who offered it, in one commit.

Who offers goes on holding what it offers until somebody takes it. Only what it held when it offered goes over (a lease granted
later has a higher fence than the offer's number), and only what it still holds then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from gitcoord.core import clocks, handoffs, leases, names, queue, readiness, records
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.handoffs import Note
from gitcoord.core.leases import LeaseEntry, LeaseRef
from gitcoord.core.names import Resource, resource_of
from gitcoord.core.records import Claim, CodeBranch, CommitId, Count, Handoff, Id, Line, ResourceText, SessionName, Text
from gitcoord.core.sessions import acting, lapse
from gitcoord.core.times import Instant, spell
from gitcoord.errors import BadInput, Held, NoSession

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State


Leases = Annotated[tuple[LeaseEntry, ...], Field(max_length=leases.AT_ONCE)]
Resources = Annotated[tuple[ResourceText, ...], Field(max_length=leases.AT_ONCE)]


class OfferHandoff(Command):
    """Offers work to a session, a group or anyone. `leases`: those that go along, fence 0 for "as I hold it"; None: all."""

    kind: ClassVar[str] = "handoff.offer"
    deferrable: ClassVar[bool] = True

    to: Line = handoffs.ANYONE
    leases: Leases | None = None
    branch: CodeBranch | None = None
    commit: CommitId | None = None
    done: Note | None = None
    next: Note | None = None
    blockers: Note | None = None
    tests: Line | None = None
    notes: Text | None = None


class TakeHandoff(Command):
    """Takes an open handoff, named by its id or its seq."""

    kind: ClassVar[str] = "handoff.take"

    handoff: Id


class HandoffOffered(Event):
    """Work is ready for somebody; who offers it keeps what it holds until it is taken."""

    kind: ClassVar[str] = "handoff.offered"
    text: ClassVar[str] = "notes"
    trailers: ClassVar[dict[str, str]] = {"leases": "Lease"}

    to: Line
    leases: Leases = ()
    branch: CodeBranch | None = None
    commit: CommitId | None = None
    done: Note | None = None
    next: Note | None = None
    blockers: Note | None = None
    tests: Line | None = None
    notes: Text | None = None

    def headline(self) -> str:
        """The commit's subject."""
        if self.lapsed:
            return f"handoff: {self.session} (too late: {self.lapsed})"
        said = names.first_line(self.next or self.done or self.notes or "")
        return f"handoff: {self.session} to {self.to}" + (f": {said}" if said else "")

    def evolve(self, draft: Draft) -> None:
        """The offer appears; a session that it is for is told."""
        handoffs.leave(
            draft,
            Handoff(
                id=self.id, seq=self.seq, sender=self.session, to=self.to, timestamp=self.at,
                resources=tuple(str(LeaseRef.parse(entry).resource) for entry in self.leases),
                branch=self.branch, commit=self.commit,
                done=self.done, next=self.next, blockers=self.blockers, tests=self.tests, notes=self.notes,
            ),
        )  # fmt: skip

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """For somebody, and with own leases only."""
        if not handoffs.is_receiver(self.to):
            return f"{self.to} is nobody"
        for entry in self.leases:
            fence, resource = LeaseRef.parse(entry)
            if leases.find(state.claims.get, self.session, fence, resource) is None:
                return f"{self.session} doesn't hold {resource} with fence {fence}"
        return None


class HandoffTaken(Event):
    """Somebody took a handoff: the leases of who offered it went over, and what else it named and was free was granted.

    `moved` are leases of the giver as they were; `resources` all that is granted here, those included.
    """

    kind: ClassVar[str] = "handoff.taken"
    trailers: ClassVar[dict[str, str]] = {"resources": "Resource", "ttl_seconds": "Ttl", "expires_at": "Expires"}

    handoff: Id
    giver: SessionName
    moved: Leases = ()
    resources: Resources = ()
    ttl_seconds: Count = 0
    expires_at: Instant | None = None

    def headline(self) -> str:
        """The commit's subject."""
        what = " ".join(self.resources[0].split(":", 1)) if self.resources else ""
        more = f" and {len(self.resources) - 1} more" if len(self.resources) > 1 else ""
        until = f" with {what}{more} until {self.expires_at:%H:%M} UTC (fence {self.seq})" if what and self.expires_at else ""
        if self.giver == self.session:
            return f"take: {self.session} takes its own handoff back{until}"
        return f"take: {self.session} takes over from {self.giver}{until}"

    def evolve(self, draft: Draft) -> None:
        """The offer is taken, the leases go over, and who gave them is told."""
        move(draft, self, self.giver, self.moved, self.resources, self.ttl_seconds, self.expires_at)
        offer = draft.handoff(self.handoff)
        if offer is not None and offer.status == "open":
            handoffs.take(draft, offer, self.session, self.at)
        handoffs.take_for(draft, self.session, self.resources, self.at)
        giver = draft.session(self.giver)
        if offer is not None and giver is not None and giver.live and self.giver != self.session:
            gone = [f"{LeaseRef.parse(entry).resource} (fence {LeaseRef.parse(entry).fence})" for entry in self.moved]
            told = records.Message(
                id=f"{self.id}.0", seq=self.seq, sender=self.session, to=self.giver, timestamp=self.at, type="handoff",
                subject=names.show(f"{self.session} took what you handed over: {offer.about}", names.SUBJECT_LIMIT),
                message="\n".join(gone and ["It holds now what you held:", *gone]), details={"handoff": self.handoff},
            )  # fmt: skip
            draft.put("messages", told.id, told)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """An open handoff for this session; what goes over was the giver's when it offered and still is, and stands in no way."""
        offer = state.handoffs.get(self.handoff)
        if offer is None or offer.status != "open":
            return f"{self.handoff} is no open handoff"
        if offer.sender != self.giver:
            return f"{self.handoff} was not offered by {self.giver}"
        if not handoffs.is_for(state, offer, state.sessions[self.session]):
            return f"{self.handoff} is for {offer.to}"
        if not set(self.resources) <= set(offer.resources):
            return "it takes what the handoff doesn't name"
        if self.giver == self.session and self.moved:
            return "its own leases don't go over"
        for entry in self.moved:
            fence, resource = LeaseRef.parse(entry)
            if fence >= offer.seq:
                return f"the lease on {resource} with fence {fence} is younger than the handoff"
        return move_problem(state, self, self.giver, self.moved, self.resources, self.ttl_seconds, self.expires_at, committed_at)


# --- leases that go from one to the other ------------------------------------------------------------------------------


def fitting(state: State, going: Iterable[Claim], session: str, without: Collection[str] = ()) -> list[Claim]:
    """Those of the leases that can go over to the session: nothing else, of the giver or of others, is in their way then.
    `without`: sessions whose other leases are gone by then.
    """
    moving = list(going)
    while True:
        keys = {one.key for one in moving}
        others = (one for one in state.claims.values() if one.key not in keys and one.claimed_by not in without)
        left = leases.nearby(state.rules.settings, others)
        stuck = [one for one in moving if leases.blocking(state.rules.settings, left, one.resource, one.mode, session)]
        if not stuck:
            return moving
        moving = [one for one in moving if one not in stuck]


def others_come_first(state: State, resource: Resource, mode: records.Mode, session: str, now: datetime, giver: str) -> bool:
    """Whether anybody but these two stands in line for it."""
    return any(place.session_id != giver for place in queue.ahead(state, resource, mode, session, now))


def move(
    draft: Draft, event: Event, giver: str, moved: Sequence[str], granted: Sequence[str], ttl: int, until: datetime | None
) -> None:  # fmt: skip
    """The giver's leases go, and what is granted appears as the session's, under the event's fence. What was said of a lease that
    goes over (its mode, phase and reason) stays.
    """
    old: dict[Resource, Claim] = {}
    for entry in moved:
        fence, resource = LeaseRef.parse(entry)
        lease = leases.find(draft.claim, giver, fence, resource)
        if lease is not None:
            old[resource] = lease
            draft.put("claims", lease.key, None)
    if until is None:
        return
    for text in granted:
        resource = resource_of(text)
        new: dict[str, Any] = {
            "claimed_by": event.session, "run_id": event.run_id, "claimed_at": event.at, "ttl_seconds": ttl, "renewed_at": event.at,
            "expires_at": until, "fence": event.seq, "offered_until": None,
        }  # fmt: skip
        leases.drop_own(draft, event.session, resource)
        if resource in old:
            claim = old[resource].model_copy(update=new)
        else:
            mode = leases.mode_of(draft.rules, resource, "exclusive")
            claim = Claim(resource_type=resource.type, resource_name=resource.name, repo=resource.repo, mode=mode, **new)
        draft.put("claims", claim.key, claim)
    queue.served(draft, event.session, map(resource_of, granted))


def move_problem(
    state: State, event: Event, giver: str, moved: Sequence[str], granted: Sequence[str], ttl: int, until: datetime | None,
    committed_at: datetime, *, ends: bool = False,
) -> str | None:  # fmt: skip
    """Why those leases can't go over in a commit of that date, or None. `ends`: the giver's other leases are gone by it, and
    who stands in line for one comes first.
    """
    if not granted:
        return "nothing is granted for what goes" if moved else None
    longest = leases.longest(state, committed_at)
    if until is None or until > longest or not 300 <= ttl <= state.rules.settings.max_ttl:
        return "the lease is not as long as the branch allows"
    if len(set(granted)) < len(granted):
        return "one thing is granted twice"
    going: dict[str, Claim] = {}
    for entry in moved:
        fence, resource = LeaseRef.parse(entry)
        lease = leases.find(state.claims.get, giver, fence, resource)
        if lease is None or lease.offered_until is not None:
            return f"{giver} doesn't hold {resource} with fence {fence}"
        if str(resource) in going or str(resource) not in granted:
            return f"{resource} goes and is not granted"
        going[str(resource)] = lease
    gone = {one.key for one in going.values()}
    others = (one for one in state.claims.values() if one.key not in gone and not (ends and one.claimed_by == giver))
    left = leases.nearby(state.rules.settings, others)
    for text in granted:
        lease = going.get(text)
        resource, mode = resource_of(text), lease.mode if lease else "exclusive"
        met = leases.blocking(state.rules.settings, left, resource, mode, event.session)
        if met:
            return f"{met[0].claimed_by} holds {met[0].resource}"
        consented = lease is not None and not ends and not leases.is_over(lease, committed_at)
        if not consented and others_come_first(state, resource, mode, event.session, committed_at, giver if ends else ""):
            return f"others wait for {resource} and come first"
    return None


# --- deciding ----------------------------------------------------------------------------------------------------------


def decide_offer(state: State, command: OfferHandoff, clock: Clock) -> Event | None:
    """Offers. What was to go along and isn't the session's any more stays away; a late offer is recorded without effect. Raises
    NoSession for a receiver that nobody knows.
    """
    late = lapse(state, command)
    if not late and names.is_session_name(command.to) and command.to not in state.sessions:
        raise NoSession(f"no session is called {command.to}", hint="gitcoord peers, or: gitcoord handoff anyone")
    own = leases.held_now(state, command.session, clocks.date_of(state, clock))
    going = () if late else (own if command.leases is None else _named(own, command.leases))
    return HandoffOffered(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, to=command.to,
        leases=tuple(one.entry for one in going[: leases.AT_ONCE]), branch=command.branch, commit=command.commit,
        done=command.done, next=command.next, blockers=command.blockers, tests=command.tests, notes=command.notes or None,
        lapsed=late,
    )  # fmt: skip


def _named(own: Sequence[Claim], entries: Iterable[str]) -> list[Claim]:
    wanted = [LeaseRef.parse(entry) for entry in entries]
    return [one for one in own if any(one.resource == resource and fence in (0, one.fence) for fence, resource in wanted)]


def decide_take(state: State, command: TakeHandoff, clock: Clock) -> Event | None:
    """Takes; nothing where the session took it before. Raises Held for one that another took, or that is for somebody else, and
    BadInput for one that isn't there.
    """
    session = acting(state, command)
    offer = handoffs.find(state, command.handoff)
    if offer is None:
        raise BadInput(f"there is no handoff {names.show(command.handoff, 60)}", hint="gitcoord handoffs")
    data: dict[str, Any] = {"outcome": "blocked", "blocked_by": [], "handoff": offer.id, "taken_by": offer.taken_by}
    if offer.status != "open":
        if offer.taken_by == command.session:
            return None
        when = f" {spell(offer.taken_at)}" if offer.taken_at else ""
        raise Held(f"handoff {offer.seq} was taken by {offer.taken_by}{when}", hint="gitcoord handoffs", data=data)
    if not handoffs.is_for(state, offer, session):
        raise Held(
            f"handoff {offer.seq} of {offer.sender} is for {names.show(offer.to, 70)}, not for {command.session}",
            hint="gitcoord handoffs",
            data=data,
        )
    now = clocks.date_of(state, clock)
    moving, granted = _granted(state, offer, command.session, now)
    if granted:
        clocks.trust(state, clock)
    ttl = leases.lease_seconds(state, None)
    return HandoffTaken(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, handoff=offer.id,
        giver=offer.sender, moved=tuple(one.entry for one in moving), resources=tuple(map(str, granted)),
        ttl_seconds=ttl if granted else 0, expires_at=now + timedelta(seconds=ttl) if granted else None,
    )  # fmt: skip


def _granted(state: State, offer: Handoff, session: str, now: datetime) -> tuple[list[Claim], list[Resource]]:
    """The giver's leases that go over, and all that the taker gets of what the handoff names."""
    listed = list(dict.fromkeys(resource_of(text) for text in offer.resources))[: leases.AT_ONCE]
    candidates = [
        one
        for one in leases.held_by(state, offer.sender)
        if offer.sender != session and one.resource in listed and one.fence < offer.seq and one.offered_until is None
        and (not leases.is_over(one, now) or not others_come_first(state, one.resource, one.mode, session, now, ""))
    ]  # fmt: skip
    moving = fitting(state, candidates, session)
    keys = {one.key for one in moving}
    left = leases.nearby(state.rules.settings, (one for one in state.claims.values() if one.key not in keys))
    granted = [one.resource for one in moving]
    had = {one.resource for one in leases.held_by(state, session) if not leases.is_over(one, now)}
    for resource in listed:
        if resource in granted or resource in had or not readiness.is_to_do(state, resource):
            continue
        free = not leases.blocking(state.rules.settings, left, resource, "exclusive", session)
        if free and not others_come_first(state, resource, "exclusive", session, now, ""):
            granted.append(resource)
    return moving, granted
