"""Leases: the record of one, how events name them, who is in whose way, until when they last.

`fence` is the seq of the event that granted the lease; renewing keeps it, and it never goes back. Every rule about who holds
what, and until when, lives here, once; `claims` asks for leases, grants them and takes them back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gitcoord.core import clocks
from gitcoord.core.entries import BY_TIME as BY_TIME
from gitcoord.core.entries import WHY as WHY
from gitcoord.core.entries import LeaseEntry as LeaseEntry
from gitcoord.core.entries import LeaseRef as LeaseRef
from gitcoord.core.entries import RenewalEntry as RenewalEntry
from gitcoord.core.entries import RenewedLease as RenewedLease
from gitcoord.core.entries import TakenEntry as TakenEntry
from gitcoord.core.entries import TakenLease as TakenLease
from gitcoord.core.entries import split as split
from gitcoord.core.events import Clock
from gitcoord.core.names import Resource, show, word
from gitcoord.core.overlap import Nearby, overlaps
from gitcoord.core.records import Claim, Mode
from gitcoord.core.term import NO_GRACE as NO_GRACE
from gitcoord.core.term import is_over as is_over
from gitcoord.core.times import spell
from gitcoord.errors import BadInput

if TYPE_CHECKING:
    from gitcoord.core.records import ClaimKey, SharedSettings
    from gitcoord.core.state import Draft, State
AT_ONCE = 64  # resources or leases of one command and event: what an event can name and a person can read


# --- reading ---------------------------------------------------------------------------------------------------------


def find(get: Callable[[ClaimKey], Claim | None], holder: str, fence: int, resource: Resource) -> Claim | None:
    """Return the lease of that holder, fence and resource, or None. `get`: of a table of leases, by key."""
    for key in keys_of(resource, holder):
        lease = get(key)
        if lease is not None and lease.claimed_by == holder and lease.fence == fence:
            return lease
    return None


def keys_of(resource: Resource, holder: str) -> tuple[ClaimKey, ClaimKey]:
    """Return the places where the holder's leases on that resource stand: held alone, and shared."""
    return (resource.type, resource.name, ""), (resource.type, resource.name, holder)


def held_by(state: State, session: str) -> list[Claim]:
    """The session's leases, expired ones included, in the order of their fences."""
    return sorted((claim for claim in state.claims.values() if claim.claimed_by == session), key=lambda one: (one.fence, one.key))


def held_now(state: State, session: str, now: datetime) -> list[Claim]:
    """Return the leases that the session holds at that time: those that are not over, and no mere offers."""
    return [one for one in held_by(state, session) if one.offered_until is None and not is_over(one, now)]


def holding(state: State, session: str, now: datetime) -> dict[str, tuple[float, int]]:
    """Return the same as a machine notes it: each lease (`42 file:a`) with its end, in seconds since 1970, and its length."""
    return {one.entry: (one.expires_at.timestamp(), one.ttl_seconds) for one in held_now(state, session, now)}


def live(state: State, now: datetime) -> list[Claim]:
    """Return the leases that are not over at that time, offers included, in the order in which they are shown."""
    return sorted((one for one in state.claims.values() if not is_over(one, now)), key=_shown_first)


def over(state: State, now: datetime) -> list[Claim]:
    """Return the leases that are over and that nobody has taken or given back, in the order in which they are shown."""
    return sorted((one for one in state.claims.values() if is_over(one, now)), key=_shown_first)


def _shown_first(lease: Claim) -> tuple[Resource, int, str]:
    return (lease.resource, lease.fence, lease.claimed_by)


def own(state: State, session: str, resource: Resource, asked: Mode, now: datetime) -> list[Claim]:
    """The session's good leases on exactly that, held (or offered) as it is asked for."""
    mode = mode_of(state.rules.settings, resource, asked)
    found = (lease for lease in held_by(state, session) if lease.resource == resource and not is_over(lease, now))
    return [lease for lease in found if lease.mode == mode]


def serves(settings: SharedSettings, held: Mode, resource: Resource, asked: Mode) -> bool:
    """Whether who holds it so has what it asks for: to be alone is more than to share."""
    return held in ("exclusive", mode_of(settings, resource, asked))


def mode_of(settings: SharedSettings, resource: Resource, asked: Mode) -> Mode:
    """How it is held: a resource with places is shared by those who have one."""
    return "shared" if settings.capacity(resource) else asked


def can_meet(settings: SharedSettings, one: Resource, mode: Mode, other: Resource, other_mode: Mode) -> bool:
    """Whether two leases, or two who wait, can be in each other's way."""
    if settings.capacity(one) and settings.capacity(other):
        return one == other
    return "exclusive" in (mode, other_mode) and overlaps(one, other, fold=settings.ignorecase)


def blocking(
    settings: SharedSettings, held: Iterable[Claim] | Nearby[Claim], resource: Resource, mode: Mode, session: str
) -> list[Claim]:
    """Which of those leases keep the session from that resource: every one that conflicts; all holders where no place is left."""
    mode = mode_of(settings, resource, mode)
    candidates = held.to(resource) if isinstance(held, Nearby) else held
    met = [
        lease
        for lease in candidates
        if lease.claimed_by != session and can_meet(settings, lease.resource, lease.mode, resource, mode)
    ]
    return met if len(met) >= max(1, settings.capacity(resource)) else []


def nearby(settings: SharedSettings, held: Iterable[Claim]) -> Nearby[Claim]:
    """Return those leases in such a way that asking for many resources doesn't cost going through all for each; the oldest first,
    so that every reader names the same one.
    """
    ordered = sorted(held, key=lambda one: (one.fence, one.key))
    return Nearby(((lease.resource, lease) for lease in ordered), fold=settings.ignorecase)


def in_the_way(state: State, resource: Resource, mode: Mode, session: str, among: Nearby[Claim] | None = None) -> list[Claim]:
    """Return the leases of others that overlap and conflict, expired or not. `among`: all leases, by what is near."""
    settings = state.rules.settings
    mode = mode_of(settings, resource, mode)
    return [
        lease
        for lease in (state.claims.values() if among is None else among.to(resource))
        if lease.claimed_by != session and can_meet(settings, lease.resource, lease.mode, resource, mode)
    ]


def holder_gone(state: State, lease: Claim) -> bool:
    """Whether the holder has ended, or was never there."""
    holder = state.sessions.get(lease.claimed_by)
    return holder is None or not holder.live


def holder(state: State, lease: Claim) -> str:
    """Return the holder's name, and behind an agent's which agent it is and on which machine."""
    known = state.sessions.get(lease.claimed_by)
    if known is None or not known.agent:
        return lease.claimed_by
    machine = f" on {show(known.host, 60)}" if known.host else ""
    return f"{lease.claimed_by} ({show(known.agent, 40)}{machine})"


def purpose(lease: Claim) -> str:
    """Return what its holder holds it for, in words: the phase, and why."""
    return ", ".join(text for text in (lease.phase, lease.reason) if text)


def words(state: State, lease: Claim, now: datetime) -> str:
    """Say that another's lease is in the way at that time, or still is although it is over."""
    if not is_over(lease, now):
        return f"{lease.resource} is held by {holder(state, lease)} until {spell(lease.expires_at)} (fence {lease.fence})"
    free = lease.expires_at if lease.offered_until is not None else lease.expires_at + state.rules.grace
    return (
        f"the lease of {holder(state, lease)} on {lease.resource} ended {spell(lease.expires_at)} (fence {lease.fence}); "
        f"it can be taken from {spell(free)} on"
    )


def silent_since(state: State, lease: Claim) -> datetime:
    """When the holder was last heard of: its heartbeat or this renewal."""
    holder = state.sessions.get(lease.claimed_by)
    return max(lease.renewed_at, holder.last_heartbeat) if holder else lease.renewed_at


def heard(state: State, session: str) -> tuple[str, datetime] | None:
    """Return which run of the session was heard last, and when by its own clock; None where there is none."""
    known = state.sessions.get(session)
    return (known.run_id, known.last_heartbeat) if known else None


def sign_of_life(state: State, lease: Claim) -> object:
    """Return what changes with each sign of life of the lease's holder; None where that lease isn't."""
    same = find(state.claims.get, lease.claimed_by, lease.fence, lease.resource)
    return (same.renewed_at, same.expires_at, heard(state, lease.claimed_by)) if same else None


def may_take(state: State, lease: Claim, why: str, when: datetime) -> bool:
    """Whether the reason holds at that instant. Validity: no grace, no clock but the commit's own."""
    if why == "expired":
        return is_over(lease, when)
    if why == "ended":
        return holder_gone(state, lease)
    if why == "stale":
        return silent_since(state, lease) + state.rules.takeover_after <= when
    if why == "ahead":
        return is_ahead(state, lease, when)
    return why == "broken"


def is_ahead(state: State, lease: Claim, when: datetime) -> bool:
    """Return True if the lease was granted later than the longest lease of today could last: by a clock that was wrong.

    Its end says nothing; it is over for who has seen no sign of life of its holder for as long as the lease lasts.
    """
    return lease.renewed_at > when + timedelta(seconds=state.rules.settings.max_ttl) + state.rules.grace


def describe(state: State, lease: Claim, now: datetime) -> dict[str, Any]:
    """A lease in the way, as `blocked_by` has it: the record's main fields and the reason in words."""
    reason = "held"
    if is_over(lease, now):
        reason = "expired" if is_over(lease, now, state.rules.grace) else "expired, its grace runs"
    elif now - silent_since(state, lease) >= state.rules.takeover_after:
        reason = "held, but its holder is silent"
    return {
        "resource_type": lease.resource_type,
        "resource_name": lease.resource_name,
        "repo": lease.repo,
        "claimed_by": lease.claimed_by,
        "fence": lease.fence,
        "expires_at": spell(lease.expires_at),
        "mode": lease.mode,
        "phase": lease.phase,
        "why": lease.reason,
        "reason": reason,
        "last_heard": spell(silent_since(state, lease)),
        "doing": doing(state, lease.claimed_by),
    }


def doing(state: State, session: str) -> str | None:
    """Return what the session said last of what it does, in a line; None where it said nothing."""
    beat, known = state.heartbeats.get(session), state.sessions.get(session)
    words = []
    if beat is not None:
        words = [" ".join(filter(None, [beat.action, beat.target])), beat.progress or ""]
        words += [
            f"blocked by {beat.blocked_by}" if beat.blocked_by else "",
            f"next {beat.next_action}" if beat.next_action else "",
        ]
    text = ", ".join(filter(None, words)) or (known.current_work if known is not None else None)
    return show(text, 200) if text else None


def how_lost(state: State, session: str, entry: str, now: datetime) -> str:
    """Say how it stands with a lease (`42 file:a`) that the session had and doesn't hold any more."""
    fence, resource = LeaseRef.parse(entry)
    old = find(state.claims.get, session, fence, resource)
    if old is not None and is_over(old, now):
        return (
            f"your lease on {resource} (fence {fence}) ended {spell(old.expires_at)}, and you no longer hold it: "
            f"nobody has taken it; gitcoord renew {word(str(resource))} takes it again"
        )
    meets = [one for one in live(state, now) if overlaps(one.resource, resource, fold=state.rules.settings.ignorecase)]
    again = next((one for one in meets if one.claimed_by == session and one.resource == resource), None)
    if again is not None:
        return taken_again(resource, fence, again.expires_at, again.fence)
    others = [one for one in meets if one.claimed_by != session]
    by = f"{others[0].claimed_by} holds it now (fence {others[0].fence})" if others else "nobody holds it now"
    return f"you no longer hold {resource} (fence {fence}): {by}"


def taken_again(resource: Resource, fence: int, until: datetime, new: int) -> str:
    """Say that a session holds something again whose lease was over."""
    return f"your lease on {resource} (fence {fence}) had ended: it is yours again until {spell(until)}, under fence {new}"


def ways_out(lease: Claim, wanted: Sequence[Resource], *, flags: str = "") -> str:
    """What who meets that lease may do next, the safe choices in order: ask, do other work, wait. `flags`: of the claim."""
    asked = next((one for one in wanted if overlaps(one, lease.resource)), lease.resource)
    wait = f"wait: gitcoord claim {' '.join(word(str(one)) for one in wanted)}{flags} --wait"
    if not lease.allow_coordination:
        return f"gitcoord claims | or {wait}"
    return f'gitcoord request {word(str(asked))} "May I have it?" | or other work: gitcoord claims | or {wait}'


# --- changing --------------------------------------------------------------------------------------------------------


def drop(draft: Draft, holder: str, fence: int, resource: Resource) -> None:
    """The lease goes, if it is there."""
    lease = find(draft.claim, holder, fence, resource)
    if lease is not None:
        draft.put("claims", lease.key, None)


def drop_own(draft: Draft, session: str, resource: Resource) -> None:
    """What the session held of the resource goes, whatever its mode."""
    for key in keys_of(resource, session):
        lease = draft.claim(key)
        if lease is not None and lease.claimed_by == session:
            draft.put("claims", key, None)


def apply_renewals(draft: Draft, session: str, renewed: Sequence[str], at: datetime) -> None:
    """Moves the expiry of the session's leases that the entries name; others are left alone. `at`: when it was asked."""
    if not renewed:
        return
    for entry in renewed:
        fence, until, resource = RenewedLease.parse(entry)
        lease = find(draft.claim, session, fence, resource)
        if lease is not None and until > lease.expires_at:
            # The first renewal of an offer takes it up.
            update = {"expires_at": until, "renewed_at": max(at, lease.renewed_at), "offered_until": None}
            draft.put("claims", lease.key, lease.model_copy(update=update))


# --- how long --------------------------------------------------------------------------------------------------------


def longest(state: State, committed_at: datetime) -> datetime:
    """The latest expiry that a commit may give."""
    return committed_at + timedelta(seconds=state.rules.settings.max_ttl) + state.rules.grace


def lease_seconds(state: State, asked: int | None, lease: Claim | None = None) -> int:
    """Seconds that a lease lasts: as asked, as last time, or the default. Raises BadInput outside 5 minutes to `max_ttl`."""
    settings = state.rules.settings
    if asked is None:
        return min(lease.ttl_seconds if lease else settings.default_ttl, settings.max_ttl)
    if asked < 300:
        raise BadInput(f"a lease lasts at least 5 minutes, not {asked} seconds", hint="--ttl 5m or more")
    if asked > settings.max_ttl:
        raise BadInput(
            f"a lease lasts at most {settings.max_ttl} seconds on this branch, not {asked}",
            hint="a shorter --ttl; heartbeats renew it, or: gitcoord renew",
        )
    return asked


def renewed_entry(state: State, lease: Claim, asked: int | None, start: datetime) -> str:
    """The entry of `renewed` that renews the lease from `start` for the seconds asked (None: as long as last time)."""
    return _renewal(lease, start + timedelta(seconds=lease_seconds(state, asked, lease)))


def _renewal(lease: Claim, until: datetime) -> str:
    return f"{lease.fence} {spell(max(until, lease.expires_at))} {lease.resource}"


def due_renewals(state: State, session: str, at: datetime, clock: Clock, *, left: float = 0.9) -> tuple[str, ...]:
    """Return the renewals of the session's live leases of which less than that part is left, as a sign of life at `at` gives them:
    counted from then, for one that waited for the remote must not hold longer than the session was heard of. In a commit that is
    made anyway, what is older than a tenth of its length is renewed.
    """
    now = clocks.date_of(state, clock)
    said = now - max(timedelta(0), clock.now - at)
    due = []
    for lease in held_now(state, session, now):  # an offer is taken up by who asked for it, not by a sign of life
        span = timedelta(seconds=lease_seconds(state, None, lease))
        if lease.expires_at - now < span * left and said + span > lease.expires_at:
            due.append(_renewal(lease, said + span))
    # A clock that is contradicted says only that its session is there.
    return () if due and clocks.doubt(state, clock) else tuple(due[:AT_ONCE])


def renewal_problem(state: State, session: str, renewed: Sequence[str], committed_at: datetime) -> str | None:
    """Why the renewals are not valid: another's lease, an old fence, an expired lease, a longer one than allowed."""
    latest = longest(state, committed_at)
    for entry in renewed:
        fence, until, resource = RenewedLease.parse(entry)
        lease = find(state.claims.get, session, fence, resource)
        if lease is None:
            return f"{session} doesn't hold {resource} with fence {fence}"
        if is_over(lease, committed_at):
            return f"the lease on {resource} had expired"
        if until > max(latest, lease.expires_at):
            return f"the lease on {resource} would be longer than the branch allows"
    return None
