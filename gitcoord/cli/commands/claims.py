"""`gitcoord claims`: list who holds what."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli.arguments import resource
from gitcoord.cli.connect import answer, connection, mark_unverified, options, others_words, out, table
from gitcoord.core.leases import holder
from gitcoord.core.times import spell
from gitcoord.views import as_json


def claims(
    mine: Annotated[bool, typer.Option("--mine", help="Only yours.")] = False,
    overlapping: Annotated[str | None, typer.Option(metavar="PATH", help="Only what overlaps this.")] = None,
) -> None:
    """List who holds what."""
    with connection(unverified=True) as found:
        coordinator = found.coordinator
        over = resource(found, overlapping) if overlapping else None
        leases = coordinator.claims.leases(mine=mine, overlapping=over)
        ended = coordinator.claims.over(mine=mine, overlapping=over)
        places = coordinator.claims.places(mine=mine, overlapping=over)
        ready = coordinator.handoffs.ready(over) if not mine else []
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
        state, me = coordinator.branch.last_view().state, coordinator.actor.session
        rows = [
            [
                str(one.resource), f"{me} (you)" if one.claimed_by == me else holder(state, one), one.mode,
                spell(one.expires_at), str(one.fence), one.phase or one.reason or "",
            ]
            for one in leases
        ]  # fmt: skip
        with others_words():
            table(["WHAT", "HOLDER", "MODE", "UNTIL", "FENCE", "FOR"], rows)
            for one in ended[:10]:
                whose = "yours" if one.claimed_by == me else f"that of {holder(state, one)}"
                out(f"over: {one.resource}, {whose} until {spell(one.expires_at)} (fence {one.fence})")
            if len(ended) > 10:
                out(f"… and {len(ended) - 10} more that are over (--json has them all)")
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
                            spell(one.since),
                        ]
                        for number, one in places
                    ],
                )
            for offer in ready[:10]:
                out(f"ready to pick up: {as_json.offer_line(offer)}")
