"""Claims: asking for leases, granting, renewing, giving them back. A claim is what is asked for, a lease what is granted.

Admission is in `decide_*` (which knows clocks and the grace), validity in each event's `problem` (pure); the rules about
leases that both use are in `leases`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gitcoord.core import handoffs, leases, messages, names
from gitcoord.core.leases import (
    Claim,
    LeaseEntry,
    Mode,
    RenewalEntry,
    TakenEntry,
    held_by,
    in_the_way,
    split_lease,
    split_renewal,
    split_taken,
)
from gitcoord.core.names import Resource
from gitcoord.core.records import (
    Clock,
    Command,
    Count,
    Event,
    Line,
    Lines,
    ResourceText,
    Text,
)
from gitcoord.core.sessions import acting, lapse, run_problem
from gitcoord.core.times import Instant, spell
from gitcoord.errors import ClockSkew, Held, NotHeld

if TYPE_CHECKING:
    from gitcoord.core.state import ClaimKey, Draft, State
AT_ONCE = 64  # resources in one command: what an event can name and a person can read


class AcquireClaims(Command):
    """Asks for leases, all or none (`any_of`: the first free one). What the session holds already is renewed."""

    kind: ClassVar[str] = "claim.acquire"

    resources: Annotated[tuple[ResourceText, ...], Field(min_length=1, max_length=AT_ONCE)]
    mode: Mode = "exclusive"
    any_of: bool = False
    ttl_seconds: int | None = None
    phase: Line | None = None
    reason: Text | None = None
    estimated_duration: Line | None = None
    allow_coordination: bool = True
    if_stale: bool = False
    breaks: int | None = None
    repo: Line | None = None


class RenewClaims(Command):
    """Asks to hold on to leases; no resources: all of the session's."""

    kind: ClassVar[str] = "claim.renew"

    resources: Annotated[tuple[ResourceText, ...], Field(max_length=AT_ONCE)] = ()
    ttl_seconds: int | None = None


class ReleaseClaims(Command):
    """Gives leases back. `leases`: resource and fence as known when it was asked, so that a late one frees nothing new."""

    kind: ClassVar[str] = "claim.release"
    deferrable: ClassVar[bool] = True

    leases: Annotated[tuple[LeaseEntry, ...], Field(max_length=4096)]
    done: Text | None = None
    tests: Literal["pass", "fail"] | None = None
    next_phase: Line | None = None
    to: Line | None = None
    branch: Line | None = None
    commit: Line | None = None


class ClaimAcquired(Event):
    """Leases were granted; expired or broken ones in their way went in the same commit."""

    kind: ClassVar[str] = "claim.acquired"
    text: ClassVar[str] = "reason"
    trailers: ClassVar[dict[str, str]] = {
        "resources": "Resource", "ttl_seconds": "Ttl", "expires_at": "Expires", "estimated_duration": "Estimate",
        "allow_coordination": "Coordination",
    }  # fmt: skip

    resources: Annotated[tuple[ResourceText, ...], Field(min_length=1, max_length=AT_ONCE)]
    mode: Mode = "exclusive"
    ttl_seconds: Count
    expires_at: Instant
    phase: Line | None = None
    reason: Text | None = None
    estimated_duration: Line | None = None
    allow_coordination: bool = True
    repo: Line | None = None
    renewed: tuple[RenewalEntry, ...] = ()
    taken: tuple[TakenEntry, ...] = ()
    witnessed: bool | None = None

    def headline(self) -> str:
        """The commit's subject."""
        what = " ".join(self.resources[0].split(":", 1))
        more = f" and {len(self.resources) - 1} more" if len(self.resources) > 1 else ""
        shared = " (shared)" if self.mode == "shared" else ""
        over = f", taken over from {split_taken(self.taken[0])[1]}" if self.taken else ""
        return f"claim: {what}{more}{shared} by {self.session} until {self.expires_at:%H:%M} UTC (fence {self.seq}){over}"

    def evolve(self, draft: Draft) -> None:
        """Taken leases go, granted ones appear, previous holders get a message, open handoffs of it are taken."""
        gone: dict[str, list[str]] = {}
        for entry in self.taken:
            fence, holder, why, resource = split_taken(entry)
            leases.drop(draft, holder, fence, resource)
            session = draft.session(holder)
            if holder != self.session and session is not None and session.live:
                gone.setdefault(holder, []).append(f"{resource} (fence {fence}): {leases.WHY[why]}")
        for index, (holder, lost) in enumerate(sorted(gone.items())):
            notice = messages.Message(
                id=f"{self.id}.{index}", seq=self.seq, sender=self.session, to=holder, timestamp=self.at, type="alert",
                subject=f"{self.session} took over what you held", message="\n".join(lost),
            )  # fmt: skip
            draft.put("messages", notice.id, notice)
        for text in self.resources:
            resource = Resource.read(text)
            leases.drop_own(draft, self.session, resource)
            claim = Claim(
                claimed_by=self.session, run_id=self.run_id, claimed_at=self.at, resource_type=resource.type,
                resource_name=resource.name, repo=self.repo, mode=self.mode, phase=self.phase, reason=self.reason,
                estimated_duration=self.estimated_duration, ttl_seconds=self.ttl_seconds, renewed_at=self.at,
                expires_at=self.expires_at, fence=self.seq, allow_coordination=self.allow_coordination,
            )  # fmt: skip
            draft.put("claims", claim.key, claim)
        leases.apply_renewals(draft, self.session, self.renewed, self.at)
        handoffs.take_for(draft, self.session, self.resources)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """What is granted is free by this commit's own date, or named among the taken with a reason that holds."""
        problem = run_problem(state, self) or leases.renewal_problem(state, self.session, self.renewed, committed_at)
        if problem:
            return problem
        if self.expires_at > leases.longest(state, committed_at) or not 300 <= self.ttl_seconds <= state.rules.settings.max_ttl:
            return "the lease is not as long as the branch allows"
        wanted = [Resource.read(text) for text in self.resources]
        gone: set[tuple[int, str]] = set()
        for entry in self.taken:
            fence, holder, why, resource = split_taken(entry)
            lease = leases.find(state.claims.values(), holder, fence, resource)
            if lease is None:
                return f"{holder} doesn't hold {resource} with fence {fence}"
            if not leases.may_take(state, lease, why, committed_at):
                return f"the lease of {holder} on {resource} is not {why}"
            if not leases.conflicts(lease, wanted, self.mode):
                return f"the lease of {holder} on {resource} is not in the way"
            gone.add((fence, str(resource)))
        for lease in state.claims.values():
            if lease.claimed_by == self.session or (lease.fence, str(lease.resource)) in gone:
                continue
            if leases.conflicts(lease, wanted, self.mode):
                return f"{lease.claimed_by} holds {lease.resource}"
        return None


class ClaimRenewed(Event):
    """Leases go on, under their fences."""

    kind: ClassVar[str] = "claim.renewed"

    renewed: Annotated[tuple[RenewalEntry, ...], Field(min_length=1)]

    def headline(self) -> str:
        """The commit's subject."""
        fence, until, resource = split_renewal(self.renewed[0])
        more = f" and {len(self.renewed) - 1} more" if len(self.renewed) > 1 else ""
        return f"renew: {resource.type} {resource.name}{more} by {self.session} until {until:%H:%M} UTC (fence {fence})"

    def evolve(self, draft: Draft) -> None:
        """The leases' expiry moves."""
        leases.apply_renewals(draft, self.session, self.renewed, self.at)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Own live leases only."""
        return run_problem(state, self) or leases.renewal_problem(state, self.session, self.renewed, committed_at)


class ClaimReleased(Event):
    """Leases were given back; what was finished is broadcast, what comes next is ready to pick up."""

    kind: ClassVar[str] = "claim.released"
    text: ClassVar[str] = "done"
    trailers: ClassVar[dict[str, str]] = {"next_phase": "Next-Phase", "released": "Released", "files": "File"}

    released: tuple[LeaseEntry, ...] = ()
    done: Text | None = None
    tests: Literal["pass", "fail"] | None = None
    phase: Line | None = None
    next_phase: Line | None = None
    to: Line | None = None
    branch: Line | None = None
    commit: Line | None = None
    files: Lines = ()

    def headline(self) -> str:
        """The commit's subject."""
        if self.lapsed:
            return f"release: {self.session} (too late: {self.lapsed})"
        if not self.released:
            return f"release: {self.session} held none of it"
        fence, resource = split_lease(self.released[0])
        more = f" and {len(self.released) - 1} more" if len(self.released) > 1 else ""
        then = f", ready for {self.next_phase}" if self.next_phase else ""
        return f"release: {resource.type} {resource.name}{more} by {self.session} (fence {fence}){then}"

    def evolve(self, draft: Draft) -> None:
        """The leases go; `done` makes a broadcast, a next phase an open handoff."""
        freed = []
        for entry in self.released:
            fence, resource = split_lease(entry)
            leases.drop(draft, self.session, fence, resource)
            freed.append(resource)
        if not freed:
            return
        label = ", ".join(resource.name for resource in freed[:3]) + (" …" if len(freed) > 3 else "")
        if self.done is not None:
            details = {"resource": ", ".join(str(resource) for resource in freed[:AT_ONCE])}
            given = {"phase_completed": self.phase, "next_phase": self.next_phase,
                     "files_modified": ", ".join(self.files) or None, "branch": self.branch, "commit": self.commit,
                     "tests_passing": {"pass": "true", "fail": "false"}.get(self.tests or "")}  # fmt: skip
            details |= {key: value for key, value in given.items() if value}
            first = self.done.splitlines()[0] if self.done.strip() else ""
            subject = f"{label}: {first}" if first else f"{label}: done"
            note = messages.Message(
                id=f"{self.id}.0", seq=self.seq, sender=self.session, to="broadcast", timestamp=self.at,
                type="work_completed", subject=subject[: names.SUBJECT_LIMIT], message=self.done, details=details,
            )  # fmt: skip
            draft.put("messages", note.id, note)
        if self.next_phase or self.to:
            offer = handoffs.Handoff(
                id=self.id, seq=self.seq, sender=self.session, to=self.to or "anyone", timestamp=self.at,
                resources=tuple(str(resource) for resource in freed), phase=self.phase, next=self.next_phase,
                done=self.done, tests=self.tests, branch=self.branch, commit=self.commit, files=self.files,
            )  # fmt: skip
            draft.put("handoffs", offer.id, offer)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Own leases, by their fences."""
        problem = run_problem(state, self)
        if problem:
            return problem
        for entry in self.released:
            fence, resource = split_lease(entry)
            if leases.find(state.claims.values(), self.session, fence, resource) is None:
                return f"{self.session} doesn't hold {resource} with fence {fence}"
        return None


# --- deciding --------------------------------------------------------------------------------------------------------


def _reason_to_take(state: State, lease: Claim, command: AcquireClaims, clock: Clock) -> str | None:
    """Why this command may take the lease over, or None. Raises ClockSkew when only a doubtful clock says so."""
    if leases.holder_gone(state, lease):
        return "ended"
    if command.breaks is not None and lease.fence == command.breaks:
        return "broken"
    late = clock.now > lease.expires_at + state.rules.grace
    stale = command.if_stale and clock.now - leases.silent_since(state, lease) >= state.rules.takeover_after
    if not late and not stale:
        return None
    if clock.now < state.at - state.rules.grace:
        raise ClockSkew(
            f"this machine's clock ({spell(clock.now)}) is behind the branch ({spell(state.at)}): it can't judge that the "
            f"lease of {lease.claimed_by} on {lease.resource} is over",
            hint="set the clock, then try again",
        )
    witness = clock.witness()
    if witness is not None and clock.now > witness + state.rules.grace:
        raise ClockSkew(
            f"this machine's clock ({spell(clock.now)}) is ahead of the remote's ({spell(witness)}): it can't judge that the "
            f"lease of {lease.claimed_by} on {lease.resource} is over",
            hint="set the clock, then try again",
        )
    return "expired" if late else "stale"


def _refusal(state: State, blocked: list[Claim], now: datetime) -> Held:
    first = blocked[0]
    more = f" (and {len(blocked) - 1} more)" if len(blocked) > 1 else ""
    why = f": {names.show(first.phase or first.reason or '', 80)}" if first.phase or first.reason else ""
    message = f"{first.resource} is held by {first.claimed_by} until {spell(first.expires_at)} (fence {first.fence}){why}{more}"
    return Held(
        message,
        hint=f'gitcoord send {first.claimed_by} "May I have {names.show(first.resource_name, 60)}?"'
        " | or other work: gitcoord claims",
        data={"outcome": "blocked", "blocked_by": [leases.describe(state, lease, now) for lease in blocked]},
    )


def decide_acquire(state: State, command: AcquireClaims, clock: Clock) -> tuple[Event, ...]:
    """Grants all, or (`any_of`) the first that is free. Raises Held with every lease in the way, ClockSkew, BadInput."""
    acting(state, command)
    ttl = leases.lease_seconds(state, command.ttl_seconds)
    now = leases.start_of_time(state, clock)
    until = now + timedelta(seconds=ttl)
    wanted = list(dict.fromkeys(Resource.read(text) for text in command.resources))
    if command.breaks is not None and not any(
        lease.fence == command.breaks for one in wanted for lease in in_the_way(state, one, command.mode, command.session)
    ):
        raise NotHeld(
            f"no lease with fence {command.breaks} is in the way of {', '.join(map(str, wanted))}",
            hint="gitcoord claims",
        )
    granted: list[Resource] = []
    renewed: list[str] = []
    taken: dict[ClaimKey, str] = {}
    blocked: list[Claim] = []
    for resource in wanted:
        own = [
            lease
            for lease in held_by(state, command.session)
            if lease.resource == resource and lease.mode == command.mode and lease.expires_at > now
        ]
        if own:
            renewed += [leases.renewed_entry(state, lease, command.ttl_seconds, now) for lease in own]
            if command.any_of:
                break
            continue
        here: dict[ClaimKey, str] = {}
        stuck: list[Claim] = []
        for lease in in_the_way(state, resource, command.mode, command.session):
            why = _reason_to_take(state, lease, command, clock)
            if why is None:
                stuck.append(lease)
            else:
                here[lease.key] = f"{lease.fence} {lease.claimed_by} {why} {lease.resource}"
        blocked += stuck
        if not stuck:
            granted.append(resource)
            taken |= here
            if command.any_of:
                break
    if blocked and not (command.any_of and (granted or renewed)):
        raise _refusal(state, list({lease.key: lease for lease in blocked}.values()), now)
    common: dict[str, Any] = {
        "id": command.op, "seq": state.seq + 1, "session": command.session, "run_id": command.run_id, "at": command.at,
    }  # fmt: skip
    if not granted:
        return (ClaimRenewed(renewed=tuple(renewed), **common),)
    by_clock = any(split_taken(entry)[2] in {"expired", "stale"} for entry in taken.values())
    return (
        ClaimAcquired(
            resources=tuple(str(resource) for resource in granted), mode=command.mode, ttl_seconds=ttl, expires_at=until,
            phase=command.phase, reason=command.reason, estimated_duration=command.estimated_duration,
            allow_coordination=command.allow_coordination, repo=command.repo, renewed=tuple(renewed),
            taken=tuple(taken.values()), witnessed=(clock.witness() is not None) if by_clock else None, **common,
        ),
    )  # fmt: skip


def decide_renew(state: State, command: RenewClaims, clock: Clock) -> tuple[Event, ...]:
    """Renews. Raises NotHeld for a lease that is another's, gone or expired."""
    acting(state, command)
    now = leases.start_of_time(state, clock)
    own = held_by(state, command.session)
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
                hint=f"gitcoord claim {lease.resource}",
            )
    if not mine:
        return ()
    renewed = tuple(leases.renewed_entry(state, lease, command.ttl_seconds, now) for lease in mine)
    return (
        ClaimRenewed(
            id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, renewed=renewed,
        ),
    )  # fmt: skip


def _not_held(state: State, session: str, resource: Resource) -> NotHeld:
    others = [lease for lease in state.claims.values() if lease.resource == resource]
    if others:
        holder = others[0]
        return NotHeld(
            f"{resource} is held by {holder.claimed_by} until {spell(holder.expires_at)} (fence {holder.fence}), not by {session}",
            hint=f'gitcoord send {holder.claimed_by} "About {names.show(resource.name, 60)}"',
        )
    return NotHeld(f"{session} doesn't hold {resource}; nobody does", hint=f"gitcoord claim {resource}")


def decide_release(state: State, command: ReleaseClaims, clock: Clock) -> tuple[Event, ...]:
    """Frees what is still the session's under the fences it knew; a lease that has a new owner is left alone.

    Fence 0 stands for "whatever I hold"; nothing held, no event. A fence that is over is recorded, without effect.
    """
    late = lapse(state, command)
    freed: list[Claim] = []
    for entry in () if late else command.leases:
        fence, resource = split_lease(entry)
        freed += [lease for lease in held_by(state, command.session) if lease.resource == resource and fence in (0, lease.fence)]
    if not freed and not late:
        if not any(split_lease(entry)[0] for entry in command.leases):
            return ()
        late = "the lease is over"  # it named a fence: what came too late is recorded, without effect
    beat = state.heartbeats.get(command.session)
    phases = [lease.phase for lease in freed if lease.phase]
    files = beat.files_touched if beat else ()
    return (
        ClaimReleased(
            id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at,
            released=tuple(f"{lease.fence} {lease.resource}" for lease in freed), done=command.done, tests=command.tests,
            phase=phases[0] if phases else None, next_phase=command.next_phase, to=command.to, branch=command.branch,
            commit=command.commit, files=files if command.done is not None or command.next_phase else (), lapsed=late,
        ),
    )  # fmt: skip
