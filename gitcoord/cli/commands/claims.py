"""`gitcoord claims`: list who holds what."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import colours, moments
from gitcoord.cli.arguments import At, past_point, resource
from gitcoord.cli.connect import (
    answer,
    connection,
    left_out,
    looked_at,
    mark_unverified,
    options,
    others_words,
    out,
    table,
    wrapped,
)
from gitcoord.core.leases import holder, purpose
from gitcoord.core.times import spell
from gitcoord.views import as_json

_NAMED = 10  # of what is over, and of what is ready to pick up


def claims(
    mine: Annotated[bool, typer.Option("--mine", help="Only yours.")] = False,
    overlapping: Annotated[str | None, typer.Option(metavar="PATH", help="Only what overlaps this.")] = None,
    at: At = None,
) -> None:
    """List who holds what."""
    point = past_point(at)
    with connection(unverified=point is None) as found:
        coordinator = found.coordinator
        over = resource(found, overlapping) if overlapping else None
        past = coordinator.branch.status(at=point) if point is not None else None
        leases = coordinator.claims.leases(mine=mine, overlapping=over, at=past)
        ended = coordinator.claims.over(mine=mine, overlapping=over, at=past)
        places = coordinator.claims.places(mine=mine, overlapping=over, at=past)
        ready = coordinator.handoffs.ready(over, state=past.state if past is not None else None) if not mine else []
        mark_unverified(found)
        if options.json:
            told = {
                "claims": [as_json.claim(one) for one in leases],
                "over": [as_json.claim(one) for one in ended],
                "waiting": [{**as_json.record(place), "place": number} for number, place in places],
                "ready": [as_json.record(one) for one in ready],
            }
            answer(told)
            return
        state = past.state if past is not None else coordinator.branch.last_view().state
        me = coordinator.actor.session
        moments.as_of(past.as_of if past is not None else coordinator.branch.time_now())
        if past is not None:
            out(f"as of {spell(past.as_of)} (event {past.seq})")
        rows = [
            [
                str(one.resource), f"{me} (you)" if one.claimed_by == me else one.claimed_by if looked_at() else holder(state, one),
                "" if looked_at() and one.mode == "exclusive" else one.mode,  # in a terminal only what is rare
                moments.moment(one.expires_at), str(one.fence), purpose(one),
            ]
            for one in leases
        ]  # fmt: skip
        with others_words():
            table(
                ["WHAT", "HOLDER", "MODE", "ENDS", "FENCE", "FOR"], rows, firm=["ENDS", "FENCE", "MODE"],
                meanings=[colours.MINE if one.claimed_by == me else "" for one in leases],
            )  # fmt: skip
            for one in ended[:_NAMED]:
                whose = "yours" if one.claimed_by == me else f"that of {holder(state, one)}"
                out(f"over: {one.resource}, {whose}, expired {moments.moment(one.expires_at)} (fence {one.fence})", colours.OVER)
            left_out(len(ended) - _NAMED, "that are over")
            if places:
                out("")
                table(
                    ["WAITS", "FOR", "MODE", "PLACE", "SINCE"],
                    [
                        [
                            one.session_id,
                            (" or " if one.any_of else " and ").join(one.resources),
                            one.mode,
                            str(number),
                            moments.moment(one.since),
                        ]
                        for number, one in places
                    ],
                    firm=["PLACE", "SINCE", "MODE"],
                    meanings=[colours.WAITING] * len(places),
                )
            for offer in ready[:_NAMED]:
                wrapped(f"ready to pick up: {as_json.offer_line(offer)}")
            left_out(len(ready) - _NAMED, "that are ready to pick up")
