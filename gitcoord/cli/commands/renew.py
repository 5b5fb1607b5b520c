"""`gitcoord renew`: hold on to leases."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import moments
from gitcoord.cli.arguments import Names, resources, seconds
from gitcoord.cli.connect import answer, connection, options
from gitcoord.views import as_json


def renew(names: Names = None, ttl: Annotated[str | None, typer.Option(help="How long from now.")] = None) -> None:
    """Hold on to leases; none named: all of yours."""
    with connection() as found:
        held = found.coordinator.claims.renew(resources(found, names) if names else [], seconds(ttl), op=options.op)
        lines = [f"held: {one.resource} {moments.until(one.expires_at)} (fence {one.fence})" for one in held.claims]
        answer(
            {
                "outcome": "held", "claims": [as_json.short_claim(one) for one in held.claims], "blocked_by": [], "place": None,
                "commit": held.receipt.commit or None, "seq": held.receipt.seq or None,
            },
            *(lines or ["nothing is held"]),
        )  # fmt: skip
