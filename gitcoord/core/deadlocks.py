"""Circles of sessions that wait for each other: found when they would close, and refused with who waits for whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from gitcoord.core import leases, queue
from gitcoord.core.names import Resource, show
from gitcoord.core.records import Ticket
from gitcoord.errors import Held

if TYPE_CHECKING:
    from gitcoord.core.state import State


def cycle(state: State, newcomer: Ticket, now: datetime) -> list[str]:
    """Who would wait for whom for ever if the newcomer stood in line, in words; nothing: it ends.

    Everybody who doesn't wait is taken to free what it holds some day. Whoever fits then does the same, and so on: who is
    left over can never be served. This takes places and `--any` as they are, where a walk along single edges would not.
    """
    settings = state.rules.settings
    places = [*queue.line(state, now), newcomer]
    held = [lease for lease in state.claims.values() if not leases.is_over(lease, now)]

    def hindrances(place: Ticket, standing: Sequence[Ticket], option: Sequence[Resource]) -> dict[str, str]:
        stuck = {one.session_id for one in standing}
        found: dict[str, str] = {}
        for resource in option:
            of_stuck = [lease for lease in held if lease.claimed_by in stuck]
            for lease in leases.blocking(settings, of_stuck, resource, place.mode, place.session_id):
                found.setdefault(lease.claimed_by, f"{place.session_id} waits for {resource}, held by {lease.claimed_by}")
            others = (one for one in standing if one.session_id != place.session_id and one.seq < place.seq)
            for one in others:
                if queue.comes_before(settings, one, [resource], place.mode):
                    found.setdefault(one.session_id, f"{place.session_id} waits for {resource} behind {one.session_id}")
        return found

    while True:
        going = [place for place in places if any(not hindrances(place, places, option) for option in queue.options(place))]
        left = [place for place in places if place not in going]
        if len(left) == len(places):
            break
        places = left
    if newcomer not in places:
        return []
    told: list[str] = []
    at, been = newcomer, [newcomer.session_id]
    while True:
        found = {who: why for option in queue.options(at) for who, why in hindrances(at, places, option).items()}
        who = next((one for one in found if one in been), next(iter(found)))
        told.append(found[who])
        if who in been:
            return told[been.index(who) :]
        been.append(who)
        at = next(place for place in places if place.session_id == who)


def deadlock(told: Sequence[str], wanted: Sequence[Resource]) -> Held:
    """The refusal of who would close a circle."""
    what = ", ".join(show(str(one), 60) for one in wanted[:3])
    return Held(
        f"waiting for {what} would never end: {'; '.join(told)}",
        hint="give back what another of them waits for, then claim again; or ask: gitcoord peers",
        data={"outcome": "blocked", "reason": "deadlock", "cycle": list(told), "blocked_by": []},
    )
