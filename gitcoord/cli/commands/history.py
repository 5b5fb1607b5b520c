"""`gitcoord history`: show who held it when, how it ended and who waited, from the history alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from gitcoord.cli import moments
from gitcoord.cli.arguments import resources
from gitcoord.cli.connect import (
    PLAIN_LINES,
    answer,
    beginning,
    connection,
    earlier,
    looked_at,
    options,
    others_words,
    out,
    say,
    table,
)
from gitcoord.core.names import Resource, word
from gitcoord.core.times import spell, spell_short, spell_span
from gitcoord.errors import BadInput
from gitcoord.views import as_json
from gitcoord.views.holdings import Holding


def history(
    names: Annotated[list[str], typer.Argument(metavar="[TYPE] NAME", help="One thing: a path, TYPE NAME or TYPE:NAME.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many of the newest.")] = PLAIN_LINES,
) -> None:
    """Show who held it when, how it ended and who waited, from the history alone; what overlaps it is marked."""
    with connection() as found:
        wanted = resources(found, names)
        if len(wanted) != 1:
            raise BadInput(f"one thing at a time, not {len(wanted)}", hint=f"gitcoord history {word(str(wanted[0]))}")
        held, now = found.coordinator.branch.history(wanted[0], fetch=True)
        began = found.coordinator.branch.beginning()
    every, waits = held.all(now), held.all_waits(now)
    shown = every[-limit:]
    if options.json:
        answer(
            {
                "resource_type": wanted[0].type, "resource_name": wanted[0].name, "as_of": spell(now),
                "earlier": len(every) - len(shown), "began": began,
                "leases": [as_json.holding(one, now, wanted[0]) for one in shown],
                "waits": [as_json.wait(one) for one in waits[-limit:]],
                "gaps": [as_json.gap(one) for one in held.gaps(now)[-limit:]],
                "unclaimed": [as_json.unclaimed(one) for one in held.unclaimed[-limit:]],
            }
        )  # fmt: skip
        return
    if len(every) > len(shown):
        out(earlier(len(every) - len(shown)))
    elif began > 1:
        say(beginning(began))
    moments.as_of(now)
    rows = [_row(one, now, wanted[0]) for one in shown]
    with others_words():
        table(
            ["WHAT", "HOLDER", "MODE", "FROM", "UNTIL", "HELD FOR", "RENEWED", "FENCE", "ENDED"],
            rows,
            title=f"{wanted[0]}",
            firm=["HOLDER", "FROM", "UNTIL", "HELD FOR", "FENCE"],
        )
        for lease in shown:
            for session, seq in lease.touched:
                out(f"{session} committed {lease.resource} while {lease.session} held it (event {seq})")
        for since, until in [gap for gap in held.gaps(now) if not shown or gap.since >= shown[0].granted_at]:
            out(f"nobody held it from {moments.moment(since)} " + (f"to {moments.moment(until)}" if until else "on"))
        if len(held.unclaimed) > limit:
            out(earlier(len(held.unclaimed) - limit, " without a claim"))
        for one in held.unclaimed[-limit:]:
            commit = f", commit {one.commit[:9]}" if one.commit else ""
            what = f"{', '.join(one.paths[:3])} without a claim, {moments.moment(one.at)}"
            out(f"{one.session} worked on {what} (event {one.seq}{commit})")
        if waits:
            out("")
            if len(waits) > limit:
                out(earlier(len(waits) - limit, " who waited"))
            lines = [
                [one.session, moments.moment(one.since), moments.moment(one.until) if one.until else "waits still", one.how or ""]
                for one in waits[-limit:]
            ]
            table(["WAITED", "FROM", "UNTIL", "ENDED"], lines, firm=["WAITED", "FROM", "UNTIL"])


def _row(one: Holding, now: datetime, about: Resource) -> list[str]:
    """Return a lease as the table has it. A terminal is narrow: what is usual is left out there."""
    look, span = looked_at(), timedelta(seconds=one.seconds(now))
    until = moments.moment(one.ended_at) if one.ended_at else f"held {moments.until(one.expires_at)}"
    if look and one.ended_at is None and one.expires_at > now:
        until = moments.moment(one.expires_at)
    return [
        str(one.resource) if one.resource != about else "" if look else "it", one.session,
        "" if look and one.mode == "exclusive" else one.mode, moments.moment(one.granted_at), until,
        spell_short(span) if look else spell_span(span), "" if look and not one.renewals else str(one.renewals), str(one.fence),
        as_json.ending(one),
    ]  # fmt: skip
