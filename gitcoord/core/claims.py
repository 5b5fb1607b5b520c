"""Claims: asking for leases, granting and renewing them. A claim is what is asked for, a lease what is granted.

Admission is in `decide_*` (which knows clocks and the grace), validity in each event's `problem` (pure); the rules about
leases that both use are in `leases`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from gitcoord.core import clocks, deadlocks, handoffs, leases, names, queue, readiness, records
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.leases import LeaseEntry, RenewedLease, TakenEntry, TakenLease, in_the_way
from gitcoord.core.names import Resource
from gitcoord.core.records import Claim, Count, Line, Mode, ResourceText, Text
from gitcoord.core.renewals import ClaimRenewed
from gitcoord.core.sessions import acting
from gitcoord.core.times import Instant, spell
from gitcoord.errors import BadInput, GitcoordError, Held, NotHeld

if TYPE_CHECKING:
    from gitcoord.core.records import ClaimKey
    from gitcoord.core.state import Draft, State
HEAD_START = timedelta(seconds=10)
"""How long each in line is given to take over what expired before who stands behind does it for them: a few polls."""


class AcquireClaims(Command):
    """Asks for leases, all or none (`any_of`: the first free one). What the session holds already is renewed.

    `wait`: stands in line where it isn't free.
    """

    kind: ClassVar[str] = "claim.acquire"

    resources: Annotated[tuple[ResourceText, ...], Field(min_length=1, max_length=leases.AT_ONCE)]
    mode: Mode = "exclusive"
    any_of: bool = False
    ttl_seconds: int | None = None
    phase: Line | None = None
    reason: Text | None = None
    estimated_duration: Line | None = None
    allow_coordination: bool = True
    if_stale: bool = False
    breaks: int | None = None
    wait: bool = False
    folds: bool = False  # whether the repository that asks can't tell capital from small letters


class ClaimAcquired(Event):
    """Leases were granted; expired or broken ones in their way went in the same commit."""

    kind: ClassVar[str] = "claim.acquired"
    text: ClassVar[str] = "reason"
    trailers: ClassVar[dict[str, str]] = {
        "resources": "Resource", "ttl_seconds": "Ttl", "expires_at": "Expires", "estimated_duration": "Estimate",
        "allow_coordination": "Coordination",
    }  # fmt: skip

    resources: Annotated[tuple[ResourceText, ...], Field(min_length=1, max_length=leases.AT_ONCE)]
    mode: Mode = "exclusive"
    ttl_seconds: Count
    expires_at: Instant
    phase: Line | None = None
    reason: Text | None = None
    estimated_duration: Line | None = None
    allow_coordination: bool = True
    collected: tuple[LeaseEntry, ...] = ()
    taken: tuple[TakenEntry, ...] = ()
    witnessed: bool | None = None
    folds: bool = False

    @property
    def makes(self) -> bool:
        """A message to each previous holder."""
        return bool(self.taken)

    def headline(self) -> str:
        """The commit's subject."""
        what = " ".join(self.resources[0].split(":", 1))
        more = f" and {len(self.resources) - 1} more" if len(self.resources) > 1 else ""
        shared = " (shared)" if self.mode == "shared" else ""
        over = f", taken over from {TakenLease.parse(self.taken[0]).holder}" if self.taken else ""
        return f"claim: {what}{more}{shared} by {self.session} until {self.expires_at:%H:%M} UTC (fence {self.seq}){over}"

    def evolve(self, draft: Draft) -> None:
        """Taken leases go, granted ones appear, previous holders get a message, open handoffs of it are taken."""
        if self.folds:
            draft.fold()
        gone: dict[str, list[str]] = {}
        for entry in self.taken:
            fence, holder, why, resource = TakenLease.parse(entry)
            leases.drop(draft, holder, fence, resource)
            session = draft.session(holder)
            if holder != self.session and session is not None and session.live:
                gone.setdefault(holder, []).append(f"{resource} (fence {fence}): {leases.WHY[why]}")
        for index, (holder, lost) in enumerate(sorted(gone.items())):
            notice = records.Message(
                id=f"{self.id}.{index}", seq=self.seq, sender=self.session, to=holder, timestamp=self.at, type="alert",
                subject=f"{self.session} took over what you held", message="\n".join(lost),
            )  # fmt: skip
            draft.put("messages", notice.id, notice)
        for text in self.resources:
            resource = Resource.read(text)
            leases.drop_own(draft, self.session, resource)
            claim = Claim(
                claimed_by=self.session, run_id=self.run_id, claimed_at=self.at, resource_type=resource.type,
                resource_name=resource.name, repo=resource.repo, phase=self.phase, reason=self.reason, ttl_seconds=self.ttl_seconds,
                mode=leases.mode_of(draft.rules, resource, self.mode), estimated_duration=self.estimated_duration,
                renewed_at=self.at, expires_at=self.expires_at, fence=self.seq, allow_coordination=self.allow_coordination,
            )  # fmt: skip
            draft.put("claims", claim.key, claim)
        handoffs.take_for(draft, self.session, self.resources, self.at)
        held = [*self.resources, *(str(RenewedLease.parse(entry).resource) for entry in self.renewed)]
        queue.served(draft, self.session, map(names.resource_of, held))

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """What is granted is free by this commit's own date, or named among the taken with a reason that holds."""
        state = state.folding() if self.folds else state
        if self.expires_at > leases.longest(state, committed_at) or not 300 <= self.ttl_seconds <= state.rules.settings.max_ttl:
            return "the lease is not as long as the branch allows"
        wanted = [Resource.read(text) for text in self.resources]
        gone: set[tuple[int, str, str]] = set()
        forced = False
        everywhere = leases.nearby(state.rules.settings, state.claims.values())
        for entry in self.taken:
            fence, holder, why, resource = TakenLease.parse(entry)
            lease = leases.find(state.claims.get, holder, fence, resource)
            if lease is None:
                return f"{holder} doesn't hold {resource} with fence {fence}"
            if not leases.may_take(state, lease, why, committed_at):
                return f"the lease of {holder} on {resource} is not {why}"
            if not any(lease in leases.in_the_way(state, one, self.mode, self.session, everywhere) for one in wanted):
                return f"the lease of {holder} on {resource} is not in the way"
            gone.add((fence, holder, str(resource)))
            forced |= why == "broken"
        still = (lease for lease in state.claims.values() if (lease.fence, lease.claimed_by, str(lease.resource)) not in gone)
        left = leases.nearby(state.rules.settings, still) if gone else everywhere
        for one in wanted:
            met = leases.blocking(state.rules.settings, left, one, self.mode, self.session)
            if met:
                return f"{met[0].claimed_by} holds {met[0].resource}"
            first = queue.ahead(state, one, self.mode, self.session, committed_at, self._place(state, committed_at))
            if first and not forced:
                return f"{first[0].session_id} waits for {one} and comes first"
        return None

    def _place(self, state: State, committed_at: datetime) -> int | None:
        """The session's place in line for what is granted, by its seq."""
        granted = set(self.resources) | {str(RenewedLease.parse(entry).resource) for entry in self.renewed}
        mine = (one for one in queue.line(state, committed_at) if one.session_id == self.session)
        return min((one.seq for one in mine if granted & set(one.resources)), default=None)


# --- deciding --------------------------------------------------------------------------------------------------------


def _reason_to_take(state: State, lease: Claim, command: AcquireClaims, clock: Clock) -> str | None:
    """Why this command may take the lease over, or None. Raises ClockSkew when only a doubtful clock says so; who waits in line
    waits on where nobody confirms the clock: what it observes meanwhile decides.
    """
    if leases.holder_gone(state, lease):
        return "ended"
    if command.breaks is not None and lease.fence == command.breaks:
        return "broken"
    # An offer that nobody collected passes on at once: its grace would be as long as itself.
    late = leases.is_over(lease, clock.now, state.rules.grace)
    stale = command.if_stale and clock.now - leases.silent_since(state, lease) >= state.rules.takeover_after
    ahead = leases.is_ahead(state, lease, clock.now)
    length = max(lease.expires_at - lease.renewed_at, timedelta(0))
    needed = length if lease.offered_until else length + state.rules.grace
    if (stale and not late) or (ahead and command.if_stale):
        needed = min(needed, state.rules.takeover_after)

    def mark(then: State) -> object:
        return leases.sign_of_life(then, lease)

    if ahead:  # its dates say nothing to anybody: what counts is what this machine has seen itself
        return "ahead" if clock.observed(state, mark) >= needed else None
    if not late and not stale:
        return None
    doubt = clocks.judge(
        state, clock, f"the lease of {lease.claimed_by} on {lease.resource} is over", mark=mark, needed=needed,
        hint=f"gitcoord claim {names.word(str(lease.resource))} --wait: this machine observes it meanwhile",
    )  # fmt: skip
    if isinstance(doubt, clocks.Unconfirmed) and command.wait:
        return None
    if doubt is not None:
        raise doubt
    return "expired" if late else "stale"


def _refusal(
    state: State, command: AcquireClaims, wanted: Sequence[Resource], blocked: list[Claim], first_in_line: list[records.Ticket],
    now: datetime,
) -> Held:  # fmt: skip
    flags = (" --shared" if command.mode == "shared" else "") + (" --any" if command.any_of else "")
    described = [leases.describe(state, lease, now) for lease in blocked]
    described += [queue.describe(place) for place in first_in_line]
    data = {"outcome": "blocked", "blocked_by": described}
    if not blocked:
        place = first_in_line[0]
        what = ", ".join(names.show(str(one), 60) for one in place.wanted[:3])
        return Held(
            f"{place.session_id} waits for {what} since {spell(place.since)} and comes first",
            hint=f"stand in line: gitcoord claim {' '.join(names.word(str(one)) for one in wanted)}{flags} --wait"
            " | or other work: gitcoord claims",
            data=data,
        )
    first = blocked[0]
    more = f" (and {len(blocked) - 1} more)" if len(blocked) > 1 else ""
    why = f": {names.show(first.phase or first.reason or '', 80)}" if first.phase or first.reason else ""
    return Held(
        f"{leases.words(state, first, now)}{why}{more}",
        hint=leases.ways_out(first, wanted, flags=flags),
        data=data,
    )


def decide_acquire(state: State, command: AcquireClaims, clock: Clock) -> Event | None:
    """Grants all, or (`any_of`) the first that is free; who waits gets a place in line instead of a refusal. Raises Held with
    every lease in the way, ClockSkew, BadInput.
    """
    acting(state, command)
    clocks.trust(state, clock)
    state = state.folding() if command.folds else state
    ttl = leases.lease_seconds(state, command.ttl_seconds)
    now = clocks.date_of(state, clock)
    until = now + timedelta(seconds=ttl)
    wanted = list(dict.fromkeys(Resource.read(text) for text in command.resources))
    readiness.check_claimable(state, wanted)
    if command.breaks is not None and not any(
        lease.fence == command.breaks for one in wanted for lease in in_the_way(state, one, command.mode, command.session)
    ):
        raise NotHeld(
            f"no lease with fence {command.breaks} is in the way of {', '.join(map(str, wanted))}",
            hint="gitcoord claims",
        )
    granted: list[Resource] = []
    renewed: list[str] = []
    collected: list[str] = []
    taken: dict[ClaimKey, str] = {}
    over: dict[ClaimKey, str] = {}
    blocked: list[Claim] = []
    before: list[records.Ticket] = []
    settings = state.rules.settings
    everywhere = leases.nearby(settings, state.claims.values())
    place = queue.place_of(state, command.session, wanted, command.mode, now, any_of=command.any_of)
    own_of = {one: leases.own(state, command.session, one, command.mode, now) for one in wanted}
    offered = [one for one in wanted if any(lease.offered_until is not None for lease in own_of[one])]
    for resource in dict.fromkeys([*offered, *wanted]) if command.any_of else wanted:  # what is offered comes before what is free
        own = own_of[resource]
        if own:
            renewed += [leases.renewed_entry(state, lease, command.ttl_seconds, now) for lease in own]
            collected += [lease.entry for lease in own if lease.offered_until is not None]
            if command.any_of:
                break
            continue
        here: dict[ClaimKey, str] = {}
        stuck: list[Claim] = []
        met = in_the_way(state, resource, command.mode, command.session, everywhere)
        full = leases.blocking(settings, met, resource, command.mode, command.session)
        for lease in met:
            why = _reason_to_take(state, lease, command, clock)
            if why is None or (why == "stale" and not full):  # who is silent in one of several places is in nobody's way
                stuck.append(lease)
            else:
                here[lease.key] = f"{lease.fence} {lease.claimed_by} {why} {lease.resource}"
        stuck = leases.blocking(settings, stuck, resource, command.mode, command.session)
        forced = any(TakenLease.parse(entry).why == "broken" for entry in here.values())
        first = [] if forced else queue.ahead(state, resource, command.mode, command.session, now, place.seq if place else None)
        blocked += stuck
        before += first
        over |= {} if stuck else here
        if not stuck and not first:
            granted.append(resource)
            taken |= here
            if command.any_of:
                break
    if (blocked or before) and not (command.any_of and (granted or renewed)):
        if command.wait:
            return _stand_in_line(state, command, wanted, place, () if blocked else tuple(over.values()), clock)
        unique = list({lease.key: lease for lease in blocked}.values())
        raise _refusal(state, command, wanted, unique, list({one.seq: one for one in before}.values()), now)
    common: dict[str, Any] = {
        "id": command.op, "seq": state.seq + 1, "session": command.session, "run_id": command.run_id, "at": command.at,
    }  # fmt: skip
    if not granted:
        return ClaimRenewed(renewed=tuple(renewed), collected=tuple(collected), **common)
    by_clock = any(TakenLease.parse(entry).why in leases.BY_TIME for entry in taken.values())
    return ClaimAcquired(
        resources=tuple(str(resource) for resource in granted), mode=command.mode, ttl_seconds=ttl, expires_at=until,
        phase=command.phase, reason=command.reason, estimated_duration=command.estimated_duration,
        allow_coordination=command.allow_coordination, renewed=tuple(renewed),
        collected=tuple(collected), taken=tuple(taken.values()), folds=command.folds,
        witnessed=(clock.witness() is not None) if by_clock else None, **common,
    )  # fmt: skip


def would_change(state: State, command: AcquireClaims, clock: Clock) -> bool:
    """Whether the command would make anything happen now. What refuses it is for the real attempt to tell."""
    try:
        return bool(decide_acquire(state, command, clock))
    except GitcoordError:
        return True


def _stand_in_line(
    state: State,
    command: AcquireClaims,
    wanted: list[Resource],
    place: records.Ticket | None,
    over: Sequence[str],
    clock: Clock,
) -> Event | None:
    """A place in line, or the same place for longer, or no event where it stands as it is. `over`: leases in the way that are
    only left to be passed on: whoever stands before may not be asking any more. Raises Held for a wait without end.
    """
    now = clocks.date_of(state, clock)
    common: dict[str, Any] = {
        "id": command.op, "seq": state.seq + 1, "session": command.session, "run_id": command.run_id, "at": command.at,
    }  # fmt: skip
    if place is not None:
        expired = tuple(entry for entry in over if TakenLease.parse(entry).why == "expired")
        if expired and _others_had_their_time(state, expired, queue.number(state, place, now), clock):
            return queue.LinePassed(taken=expired[: leases.AT_ONCE], **common)
        if place.until - now > queue.OUTLIVES and place.run_id == command.run_id:
            return None
    until = now + queue.STRETCH + queue.OUTLIVES
    given: dict[str, Any] = {
        "resources": tuple(map(str, wanted)), "mode": command.mode, "any_of": command.any_of, "until": until,
        "phase": command.phase, "ttl_seconds": leases.lease_seconds(state, command.ttl_seconds), "reason": command.reason,
        "estimated_duration": command.estimated_duration, "allow_coordination": command.allow_coordination,
        "folds": command.folds,
    }  # fmt: skip
    if place is not None:
        return queue.ClaimQueued(place=place.seq, **given, **common)
    mine = [one for one in state.waiting.values() if one.session_id == command.session and one.until > now]
    if len(mine) >= queue.PLACES:
        raise BadInput(f"{command.session} has {len(mine)} places in line already", hint="gitcoord claims --mine")
    newcomer = records.Ticket(
        id=command.op, seq=state.seq + 1, session_id=command.session, resources=tuple(map(str, wanted)), mode=command.mode,
        until=until, since=now, any_of=command.any_of, ttl_seconds=given["ttl_seconds"],
    )  # fmt: skip
    told = deadlocks.cycle(state, newcomer, now)
    if told:
        raise deadlocks.deadlock(told, wanted)
    return queue.ClaimQueued(**given, **common)


def _others_had_their_time(state: State, expired: Sequence[str], number: int, clock: Clock) -> bool:
    """Whether those before in line would have taken it over by now if anybody still asked for them."""
    ends = []
    for entry in expired:
        fence, holder, _, resource = TakenLease.parse(entry)
        lease = leases.find(state.claims.get, holder, fence, resource)
        if lease is not None:
            ends.append(lease.expires_at + (state.rules.grace if lease.offered_until is None else leases.NO_GRACE))
    return bool(ends) and clock.now > max(ends) + number * HEAD_START
